//! How much one asker may ask: buckets that fill again with time.

use std::{
    collections::HashMap,
    hash::Hash,
    net::{IpAddr, Ipv6Addr},
    time::Duration,
};

use tokio::time::Instant;

/// How big a bucket is, and how fast it fills.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    pub burst: f64,
    pub per_second: f64,
}

/// More askers at a time than a cluster has are strangers; of those that asked least, nothing is remembered.
const MOST: usize = 65_536;

/// The address, or of IPv6 the network of 64 bits: who has one such has all its addresses.
pub fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

/// One bucket for each asker.
#[derive(Debug)]
pub struct Buckets<K> {
    rate: Rate,
    buckets: HashMap<K, Bucket>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    left: f64,
    at: Instant,
}

impl Bucket {
    fn at(self, now: Instant, rate: Rate) -> f64 {
        let filled = now.saturating_duration_since(self.at).as_secs_f64() * rate.per_second;
        (self.left + filled).min(rate.burst)
    }
}

impl<K: Eq + Hash> Buckets<K> {
    /// Full buckets.
    pub fn new(rate: Rate) -> Self {
        Self { rate, buckets: HashMap::new() }
    }

    /// Whether `asker` has something left; else how long that takes.
    pub fn check(&self, asker: &K, now: Instant) -> Result<(), Duration> {
        let left = self.buckets.get(asker).map_or(self.rate.burst, |bucket| bucket.at(now, self.rate));
        if left >= 1.0 { Ok(()) } else { Err(Duration::from_secs_f64((1.0 - left) / self.rate.per_second)) }
    }

    /// Gives one back to `asker`.
    pub fn refund(&mut self, asker: &K) {
        if let Some(bucket) = self.buckets.get_mut(asker) {
            bucket.left = (bucket.left + 1.0).min(self.rate.burst);
        }
    }

    /// Takes one from `asker`.
    pub fn charge(&mut self, asker: K, now: Instant) {
        let rate = self.rate;
        if self.buckets.len() >= MOST && !self.buckets.contains_key(&asker) {
            self.buckets.retain(|_, bucket| bucket.at(now, rate) < rate.burst);
        }
        if self.buckets.len() >= MOST {
            self.buckets.clear();
        }
        let bucket = self.buckets.entry(asker).or_insert(Bucket { left: rate.burst, at: now });
        *bucket = Bucket { left: (bucket.at(now, rate) - 1.0).max(0.0), at: now };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { burst: 2.0, per_second: 1.0 };

    #[test]
    fn who_asks_too_much_waits_and_nobody_else_does() {
        let mut buckets = Buckets::new(RATE);
        let now = Instant::now();
        for _ in 0..2 {
            assert!(buckets.check(&1, now).is_ok());
            buckets.charge(1, now);
        }
        assert_eq!(buckets.check(&1, now), Err(Duration::from_secs(1)));
        assert!(buckets.check(&2, now).is_ok());
        assert!(buckets.check(&1, now + Duration::from_secs(1)).is_ok());
    }

    #[test]
    fn what_was_good_costs_nothing() {
        let (mut buckets, now) = (Buckets::new(RATE), Instant::now());
        for _ in 0..10 {
            assert!(buckets.check(&1, now).is_ok());
            buckets.charge(1, now);
            buckets.refund(&1);
        }
    }

    #[test]
    fn a_network_of_ipv6_is_one_asker() {
        let network = |text: &str| network(text.parse().unwrap());
        assert_eq!(network("2001:db8::1"), network("2001:db8::ffff:2"));
        assert_ne!(network("2001:db8::1"), network("2001:db8:0:1::1"));
        assert_ne!(network("10.0.0.1"), network("10.0.0.2"));
    }

    #[test]
    fn however_many_ask_only_so_many_are_remembered() {
        let mut buckets = Buckets::new(RATE);
        let now = Instant::now();
        for asker in 0..=MOST {
            buckets.charge(asker, now);
        }
        assert!(buckets.buckets.len() <= MOST);
    }
}
