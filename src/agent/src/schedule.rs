//! Pure: when the next call is due.

use std::time::Duration;

/// How many beats come early: 1, 2, 4, 8 and 16 s after one another. The operator learns of a container's restart a
/// moment late, so a registration may be lost again right after it was accepted; early beats find that out soon.
pub const EARLY_BEATS: u32 = 5;
/// The longest back-off.
pub const LONGEST_BACKOFF: Duration = Duration::from_secs(30);
const SHORTEST_BACKOFF: Duration = Duration::from_millis(500);

/// A number in [0, 1) that spreads equal delays; an argument, so that the same call gives the same answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Jitter(f64);

impl Jitter {
    /// From a random number.
    pub fn new(random: u32) -> Self {
        Self(f64::from(random) / (f64::from(u32::MAX) + 1.0))
    }
}

/// The pause before beat `number`, counted from 0 after registering: ±10 %.
pub fn beat(number: u32, interval: Duration, jitter: Jitter) -> Duration {
    early(number).map_or(interval, |early| early.min(interval)).mul_f64(0.9 + 0.2 * jitter.0)
}

fn early(number: u32) -> Option<Duration> {
    (number < EARLY_BEATS).then(|| Duration::from_secs(1 << number))
}

/// The pause after failure `k` in a row, counted from 1: anything up to half a second, doubling to `longest`. Without
/// a lower bound, because a herd spreads best over all of it.
pub fn backoff(k: u32, longest: Duration, jitter: Jitter) -> Duration {
    let doubled =
        2_u32.checked_pow(k.saturating_sub(1)).and_then(|factor| SHORTEST_BACKOFF.checked_mul(factor));
    doubled.unwrap_or(longest).min(longest).mul_f64(jitter.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MIDDLE: Jitter = Jitter(0.5);

    #[test]
    fn beats_come_early_and_then_at_the_interval() {
        let seconds = |interval| {
            (0..7)
                .map(|number| beat(number, Duration::from_secs(interval), MIDDLE).as_secs())
                .collect::<Vec<_>>()
        };
        assert_eq!(seconds(30), [1, 2, 4, 8, 16, 30, 30]);
        assert_eq!(seconds(3), [1, 2, 3, 3, 3, 3, 3]);
    }

    #[test]
    fn back_off_doubles_from_half_a_second_to_its_limit() {
        let halves: Vec<u128> =
            (1..=8).map(|k| backoff(k, LONGEST_BACKOFF, MIDDLE).as_millis() * 2).collect();
        assert_eq!(halves, [500, 1000, 2000, 4000, 8000, 16000, 30000, 30000]);
    }

    proptest! {
        #[test]
        fn a_beat_is_within_ten_percent(number in any::<u32>(), seconds in 1_u64..3600, random in any::<u32>()) {
            let interval = Duration::from_secs(seconds);
            let pause = beat(number, interval, Jitter::new(random));
            prop_assert!(pause >= Duration::from_millis(899) && pause <= interval.mul_f64(1.101));
        }

        #[test]
        fn back_off_never_passes_its_limit(k in any::<u32>(), random in any::<u32>()) {
            prop_assert!(backoff(k, LONGEST_BACKOFF, Jitter::new(random)) < LONGEST_BACKOFF);
        }
    }
}
