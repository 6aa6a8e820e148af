//! Restart times as people, and their tools, write them.

use jiff::{SignedDuration, Timestamp};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use workspace_operator::{
    api::{RestartTime, WorkspaceStatus},
    restart::{self, Requested, TOLERANCE},
};

/// The longest note: it stands in an event and in a condition.
const LONGEST_NOTE: usize = 1024;

/// Reads the lines of `input`: the annotation, the spec's time, then the times accepted, served and waited for.
pub fn check(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else { return };
    let mut lines = text.split('\n');
    let mut line = || lines.next().filter(|line| !line.is_empty());
    let (annotation, spec) = (line(), line());
    let mut time = || line().and_then(|text| text.parse().ok()).map(RestartTime);
    let status = WorkspaceStatus {
        requested_restart_at: time(),
        last_handled_restart_at: time(),
        scheduled_restart_at: time(),
        ..WorkspaceStatus::default()
    };
    let now = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(24 * 365 * 56);
    for text in [annotation, spec].into_iter().flatten() {
        says_what_is_written(text);
    }
    holds(annotation, spec, &status, now);
}

/// A time by RFC 3339 is taken for the instant that it is.
fn says_what_is_written(text: &str) {
    let read = text.trim().parse::<Timestamp>().ok();
    // Neither of the two counts leap seconds: each takes them for another moment of the second before.
    let is_leap = text.contains(":60");
    if let Ok(time) = OffsetDateTime::parse(text.trim(), &Rfc3339)
        && !is_leap
    {
        let instant = Timestamp::from_nanosecond(time.unix_timestamp_nanos()).ok();
        assert!(instant.is_none() || read == instant, "{text:?} is {instant:?} and was read as {read:?}");
    }
    if let Some(time) = read.map(RestartTime) {
        assert_eq!(time.to_string().parse().ok(), Some(time.0), "{text:?} does not survive being written");
    }
}

fn holds(annotation: Option<&str>, spec: Option<&str>, status: &WorkspaceStatus, now: Timestamp) {
    let Requested { pending, scheduled, notes } = restart::requested(annotation, spec, status, now);
    let written = [annotation, spec].into_iter().flatten().filter_map(|text| text.trim().parse().ok());
    let known: Vec<RestartTime> = written.map(RestartTime).chain(status.requested_restart_at).collect();
    for time in [pending, scheduled].into_iter().flatten() {
        assert!(known.contains(&time), "nobody asked for {time}");
    }
    assert!(
        pending.is_none() || pending > status.last_handled_restart_at,
        "it was served before: {pending:?}"
    );
    let ahead = scheduled.is_none_or(|time| time.0 > now);
    assert!(ahead, "what is no longer ahead is waited for: {scheduled:?}");
    for note in notes {
        assert!(note.chars().count() <= LONGEST_NOTE, "a note of {} characters", note.len());
    }
    // Once it is served, the same words ask for nothing more.
    let served = WorkspaceStatus {
        requested_restart_at: pending.or(status.requested_restart_at),
        last_handled_restart_at: pending.max(status.last_handled_restart_at),
        scheduled_restart_at: scheduled,
        ..WorkspaceStatus::default()
    };
    assert_eq!(restart::requested(annotation, spec, &served, now).pending, None, "it would be served twice");
    let later = now + TOLERANCE;
    let waited_for = restart::requested(annotation, spec, &served, later).pending;
    assert!(waited_for.is_none_or(|time| time.0 > now), "{waited_for:?} was masked");
}
