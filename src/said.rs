//! What this operator said of a workspace, and how often another writer unsaid it.
//!
//! Two operators may both write for a while: without election, or while an old leader does not know yet. If what they
//! see differs, each corrects the other for as long as that lasts. So what was unsaid is said again only after a pause
//! that grows; anything new is said at once.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::{
    api::WorkspaceStatus,
    backoff::{self, Jitter, after},
    status::is_worth_writing,
};

/// The pause before it is said for the third time.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause: a status that is wrong for longer than that would be worse than the writes.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The status we wrote last, and what became of it. It may be lost at any moment: that costs a few writes.
#[derive(Clone, Debug, Default)]
pub struct Said {
    /// Of the status; none before the first write.
    digest: Option<u64>,
    /// How often it was unsaid.
    undone: u32,
    /// From when on it may be said again; none while nobody unsaid it.
    not_before: Option<Timestamp>,
}

impl Said {
    /// Until when `next` has to wait before it is written over `current`; none means that it need not.
    pub fn pause(
        &mut self,
        current: &WorkspaceStatus,
        next: &WorkspaceStatus,
        now: Timestamp,
        jitter: Jitter,
    ) -> Option<Timestamp> {
        if !is_worth_writing(current, next) {
            return None;
        }
        let again = Some(digest(next));
        if again != self.digest || again == Some(digest(current)) {
            return None;
        }
        let not_before = *self.not_before.get_or_insert_with(|| {
            let before = self.undone;
            self.undone = before.saturating_add(1);
            // Once is no contest: an old object was restored, or a leader's last write came late.
            if before == 0 {
                now
            } else {
                after(now, backoff::delay(before, FIRST_PAUSE, LONGEST_PAUSE, jitter))
            }
        });
        Some(not_before).filter(|time| *time > now)
    }

    /// Notes that `status` was written.
    pub fn note(&mut self, status: &WorkspaceStatus) {
        let digest = Some(digest(status));
        let undone = if self.digest == digest { self.undone } else { 0 };
        *self = Self { digest, undone, not_before: None };
    }
}

/// Of all that a status tells, but for when it came to be so: that differs each time it is said.
fn digest(status: &WorkspaceStatus) -> u64 {
    let mut timeless = status.clone();
    for condition in &mut timeless.conditions {
        condition.last_transition_time = Time(Timestamp::UNIX_EPOCH);
    }
    if let Some(activity) = &mut timeless.activity {
        activity.since = None;
    }
    if let Some(incarnation) = &mut timeless.incarnation {
        incarnation.registration_time = None;
        incarnation.ready_time = None;
    }
    timeless.awaiting_idle_since = None;
    let mut hasher = DefaultHasher::new();
    // It has no maps with keys that are no text, so it can be written as JSON.
    serde_json::to_string(&timeless).unwrap_or_default().hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::now;

    /// A status that says `word`.
    fn status(word: &str) -> WorkspaceStatus {
        WorkspaceStatus { address: Some(word.to_owned()), ..Default::default() }
    }

    fn seconds_from_now(time: Option<Timestamp>) -> Option<i64> {
        time.map(|time| time.duration_since(now()).as_secs())
    }

    #[test]
    fn what_is_new_is_said_at_once() {
        let mut said = Said::default();
        for (word, next) in [("a", "b"), ("b", "c"), ("c", "d")] {
            assert_eq!(said.pause(&status(word), &status(next), now(), Jitter::NONE), None);
            said.note(&status(next));
        }
    }

    #[test]
    fn what_another_unsays_is_said_again_after_pauses_that_grow_to_thirty_seconds() {
        let mut said = Said::default();
        let (ours, theirs) = (status("ours"), status("theirs"));
        let mut clock = now();
        let mut pauses = Vec::new();
        for _ in 0..9 {
            said.note(&ours);
            let until = said.pause(&theirs, &ours, clock, Jitter::NONE);
            pauses.push(until.map_or(0, |until| until.duration_since(clock).as_secs()));
            clock = until.unwrap_or(clock);
            assert_eq!(said.pause(&theirs, &ours, clock, Jitter::NONE), None, "the pause is over");
        }
        assert_eq!(pauses, [0, 1, 2, 4, 8, 16, 30, 30, 30]);
    }

    #[test]
    fn a_pause_that_runs_is_not_begun_anew_by_more_passes() {
        let mut said = Said::default();
        let (ours, theirs) = (status("ours"), status("theirs"));
        said.note(&ours);
        for _ in 0..3 {
            assert_eq!(said.pause(&theirs, &ours, now(), Jitter::NONE), None, "that was once");
        }
        said.note(&ours);
        for _ in 0..3 {
            let until = said.pause(&theirs, &ours, now(), Jitter::NONE);
            assert_eq!(seconds_from_now(until), Some(1));
        }
    }

    #[test]
    fn news_end_the_contest() {
        let mut said = Said::default();
        let (ours, theirs, news) = (status("ours"), status("theirs"), status("news"));
        for _ in 0..3 {
            said.note(&ours);
            let _ = said.pause(&theirs, &ours, now(), Jitter::NONE);
        }
        assert_eq!(said.pause(&theirs, &news, now(), Jitter::NONE), None);
        said.note(&news);
        assert_eq!(said.pause(&theirs, &news, now(), Jitter::NONE), None, "that was once");
    }

    #[test]
    fn nobody_waits_for_a_status_that_stands() {
        let mut said = Said::default();
        for _ in 0..3 {
            said.note(&status("ours"));
            assert_eq!(said.pause(&status("ours"), &status("ours"), now(), Jitter::NONE), None);
        }
    }
}
