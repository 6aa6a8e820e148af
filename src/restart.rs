//! Which restart is asked for. A restart is a time, not a command: asking twice for the same time, or for an
//! older one, asks for nothing, so a Git tool may re-apply or take away what it likes.

use std::time::Duration;

use jiff::Timestamp;

use crate::api::{RestartTime, WorkspaceStatus};

/// How far ahead of our clock a request may lie and still count as made now: clocks differ.
pub const TOLERANCE: Duration = Duration::from_mins(5);

/// What the annotation, the spec and the status together ask for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requested {
    /// The newest accepted request that was not served yet.
    pub pending: Option<RestartTime>,
    /// A request that lies too far ahead, to be served at its time.
    pub scheduled: Option<RestartTime>,
    /// What was wrong with a request, for people.
    pub notes: Vec<String>,
}

/// Reads `annotation` and `spec` (both as written), next to what `status` remembers, at `now`.
pub fn requested(
    annotation: Option<&str>,
    spec: Option<&str>,
    status: &WorkspaceStatus,
    now: Timestamp,
) -> Requested {
    let mut result = Requested::default();
    let mut accepted = status.requested_restart_at;
    for (place, text) in [("annotation workspaces.dev/restartedAt", annotation), ("spec.restartedAt", spec)] {
        let Some(text) = text else { continue };
        let Ok(time) = text.trim().parse::<Timestamp>() else {
            result.notes.push(format!("{place} is ignored: {:?} is not an RFC 3339 time", shortened(text)));
            continue;
        };
        let time = RestartTime(time);
        if is_ahead(time, status.scheduled_restart_at, now) {
            result.notes.push(format!("{place} lies ahead and is served at {time}"));
            result.scheduled = Some(result.scheduled.map_or(time, |other| other.min(time)));
        } else {
            accepted = accepted.max(Some(time));
        }
    }
    result.pending = accepted.filter(|time| Some(*time) > status.last_handled_restart_at);
    result
}

/// A time that was once too far ahead is waited for; the tolerance is for those that are new to us.
fn is_ahead(time: RestartTime, scheduled: Option<RestartTime>, now: Timestamp) -> bool {
    let limit =
        if scheduled == Some(time) { now } else { now.saturating_add(TOLERANCE).unwrap_or(Timestamp::MAX) };
    time.0 > limit
}

fn shortened(text: &str) -> String {
    text.chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use proptest::prelude::*;

    use super::*;

    fn now() -> Timestamp {
        "2026-01-01T12:00:00Z".parse().unwrap()
    }

    fn at(seconds: i64) -> RestartTime {
        RestartTime(now() + SignedDuration::from_secs(seconds))
    }

    fn status(requested: Option<i64>, handled: Option<i64>) -> WorkspaceStatus {
        WorkspaceStatus {
            requested_restart_at: requested.map(at),
            last_handled_restart_at: handled.map(at),
            ..Default::default()
        }
    }

    #[test]
    fn the_later_of_annotation_and_spec_counts() {
        let (early, late) = (at(-20).to_string(), at(-10).to_string());
        for (annotation, spec) in [(&early, &late), (&late, &early)] {
            let result = requested(Some(annotation), Some(spec), &status(None, None), now());
            assert_eq!(result.pending, Some(at(-10)));
        }
    }

    #[test]
    fn times_are_compared_as_instants() {
        let handled = status(None, Some(0));
        assert_eq!(requested(Some("2026-01-01T13:00:00+01:00"), None, &handled, now()).pending, None);
    }

    #[test]
    fn a_value_that_is_no_time_is_ignored_and_said() {
        let result = requested(Some("yesterday"), Some(&at(-5).to_string()), &status(None, None), now());
        assert_eq!(result.pending, Some(at(-5)));
        assert!(result.notes[0].contains("not an RFC 3339 time"));
    }

    #[test]
    fn a_time_far_ahead_waits_and_masks_nothing() {
        let ahead = at(3600).to_string();
        let result = requested(Some(&ahead), Some(&at(-5).to_string()), &status(None, None), now());
        assert_eq!((result.pending, result.scheduled), (Some(at(-5)), Some(at(3600))));
    }

    #[test]
    fn a_time_that_lay_ahead_is_served_at_its_moment_and_not_before() {
        let mut status = status(None, None);
        status.scheduled_restart_at = Some(at(100));
        let text = at(100).to_string();
        assert_eq!(requested(Some(&text), None, &status, now()).pending, None);
        assert_eq!(requested(Some(&text), None, &status, at(100).0).pending, Some(at(100)));
    }

    #[test]
    fn a_clock_a_little_ahead_is_taken_at_its_word() {
        assert_eq!(
            requested(Some(&at(200).to_string()), None, &status(None, None), now()).pending,
            Some(at(200))
        );
    }

    #[test]
    fn an_accepted_request_outlives_its_annotation() {
        assert_eq!(requested(None, None, &status(Some(-5), Some(-50)), now()).pending, Some(at(-5)));
    }

    proptest! {
        #[test]
        fn what_was_served_is_never_asked_for_again(handled in -1000_i64..1000, age in 0_i64..1000, requested_at in proptest::option::of(-1000_i64..1000)) {
            let requested_at = requested_at.map(|time| time.min(handled));
            let again = at(handled - age).to_string();
            let result = requested(Some(&again), Some(&again), &status(requested_at, Some(handled)), at(1000).0);
            prop_assert_eq!(result.pending, None);
        }

        #[test]
        fn no_text_makes_it_fail(annotation in ".{0,80}", spec in ".{0,80}") {
            requested(Some(&annotation), Some(&spec), &status(None, None), now());
        }
    }
}
