//! Pure: how long refusals of one token are borne. A token may be refused for a moment while the operator's caches
//! catch up; the token of a former incarnation is refused for good.

use std::time::Duration;

/// How long, before anything was ever accepted.
const FIRST_PATIENCE: Duration = Duration::from_secs(30);
/// How many intervals, from then on.
const INTERVALS: u32 = 3;
/// At least so many refusals, however much time passed.
const FEWEST: u32 = 4;

/// Refusals of the same token in a row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refusals {
    /// Which of the tokens that the file held.
    token: u64,
    count: u32,
    /// The time between refusals that nothing came between.
    lasted: Duration,
    last: Option<Duration>,
}

impl Refusals {
    /// One more, at `now` since the start of this process.
    #[must_use]
    pub fn again(self, token: u64, now: Duration) -> Self {
        let former = if self.count > 0 && self.token == token { self } else { Self::default() };
        let since = former.last.map_or(Duration::ZERO, |last| now.saturating_sub(last));
        Self { token, count: former.count + 1, lasted: former.lasted + since, last: Some(now) }
    }

    /// A call failed. The time of an outage says nothing about the token: an operator that comes back refuses for a
    /// moment, too.
    #[must_use]
    pub fn interrupted(self) -> Self {
        Self { last: None, ..self }
    }

    pub fn count(&self) -> u32 {
        self.count
    }

    /// Whether the incarnation is stale. `interval` is that of its heartbeats, once known.
    pub fn are_final(&self, interval: Option<Duration>) -> bool {
        let patience = interval.map_or(FIRST_PATIENCE, |interval| interval * INTERVALS);
        self.count >= FEWEST && self.lasted >= patience
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn refused(at: &[u64]) -> Refusals {
        at.iter().fold(Refusals::default(), |refusals, now| refusals.again(1, Duration::from_secs(*now)))
    }

    #[test]
    fn half_a_minute_and_three_intervals_are_borne() {
        let interval = Some(Duration::from_secs(20));
        assert!(!refused(&[0, 1, 2, 29]).are_final(None));
        assert!(refused(&[0, 1, 2, 30]).are_final(None));
        assert!(!refused(&[0, 1, 2, 59]).are_final(interval));
        assert!(refused(&[0, 1, 2, 60]).are_final(interval));
    }

    #[test]
    fn a_few_refusals_are_not_enough_however_late() {
        assert!(!refused(&[0, 300, 600]).are_final(None));
    }

    #[test]
    fn another_token_starts_again() {
        let refusals = refused(&[0, 10, 20]).again(2, Duration::from_mins(1));
        assert_eq!(refusals.count(), 1);
        assert!(!refusals.are_final(None));
    }

    #[test]
    fn an_outage_counts_for_nothing_but_what_was_before_still_does() {
        let before = refused(&[0, 10, 20]).interrupted();
        let back = before.again(1, Duration::from_secs(500));
        assert!(!back.are_final(None), "20 s of refusals so far");
        assert!(back.again(1, Duration::from_secs(510)).are_final(None));
    }

    proptest! {
        #[test]
        fn no_answer_is_final_before_its_time(pauses in prop::collection::vec((0_u64..20, any::<bool>()), 0..20)) {
            let (mut refusals, mut now, mut whole) = (Refusals::default(), 0, 0);
            for (pause, is_outage) in pauses {
                now += pause;
                whole += if is_outage { 0 } else { pause };
                let former = if is_outage { refusals.interrupted() } else { refusals };
                refusals = former.again(1, Duration::from_secs(now));
                prop_assert!(!refusals.are_final(None) || whole >= 30);
            }
        }
    }
}
