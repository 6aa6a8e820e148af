//! Exponential back-off, as a pure function of the count. Who counts, and where, differs: failures of starts are
//! counted in status, failed API calls in memory.

use std::time::Duration;

use jiff::Timestamp;

/// The first delay.
pub const BASE: Duration = Duration::from_secs(10);
/// The longest delay.
pub const CAP: Duration = Duration::from_mins(5);

/// A number in [-1, 1] that spreads equal delays; an argument, so that the same call gives the same answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Jitter(f64);

impl Jitter {
    /// No spread.
    pub const NONE: Self = Self(0.0);

    /// Clamps to [-1, 1].
    pub fn new(value: f64) -> Self {
        Self(if value.is_nan() { 0.0 } else { value.clamp(-1.0, 1.0) })
    }
}

/// The delay before try `k` (counted from 1): `base` doubling to `cap`, ±10 %.
pub fn delay(k: u32, base: Duration, cap: Duration, jitter: Jitter) -> Duration {
    let doubled = 2_u32.checked_pow(k.saturating_sub(1)).and_then(|factor| base.checked_mul(factor));
    doubled.unwrap_or(cap).min(cap).mul_f64(1.0 + 0.1 * jitter.0)
}

/// `now` plus `delay`.
pub fn after(now: Timestamp, delay: Duration) -> Timestamp {
    now.saturating_add(delay).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn doubles_from_ten_seconds_to_five_minutes() {
        let delays: Vec<u64> = (1..=7).map(|k| delay(k, BASE, CAP, Jitter::NONE).as_secs()).collect();
        assert_eq!(delays, [10, 20, 40, 80, 160, 300, 300]);
    }

    proptest! {
        #[test]
        fn stays_within_ten_percent_of_its_bounds(k in 0_u32.., jitter in -2.0_f64..2.0) {
            let delay = delay(k, BASE, CAP, Jitter::new(jitter));
            prop_assert!(delay >= BASE.mul_f64(0.899) && delay <= CAP.mul_f64(1.101));
        }

        #[test]
        fn never_shrinks_with_the_count(k in 1_u32..40) {
            prop_assert!(delay(k, BASE, CAP, Jitter::NONE) <= delay(k + 1, BASE, CAP, Jitter::NONE));
        }
    }
}
