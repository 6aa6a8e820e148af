//! I11: k failures in a row, and the delay grows to its cap; new intent ends it.
//!
//! Seen from two sides. The status says so: each failure from the second in a row on names a next start, by the law (10 s
//! doubling to 5 min, within 10 %). And the starts do so: what is claimed after the k-th loss in a row, with nothing else
//! wanted, comes no earlier than half that delay after the loss. Half, because recorders have clocks of their own. That
//! new intent ends a back-off shows in I3 and I17.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::{
    History, Invariant, Violation, What,
    calls::Calls,
    history::Change,
    object::{Object, Start, Workspace},
    violation::Violations,
};

/// A little less than the ten minutes that forgive.
const FORGIVEN_AFTER: SignedDuration = SignedDuration::from_secs(570);

/// What is known of a workspace.
#[derive(Clone, Copy, Default)]
struct Row {
    /// Losses in a row that led to a start.
    losses: u32,
    /// When the newest start was lost.
    lost: Option<Timestamp>,
    /// When it fell silent, if that is how it was lost.
    silent: Option<Timestamp>,
    ready_since: Option<Timestamp>,
    is_forgiven: bool,
}

pub(crate) fn check(history: &History) -> Vec<Violation> {
    let mut violations = Violations::of(Invariant::I11);
    let mut calls = Calls::of(history);
    let mut rows: BTreeMap<&str, Row> = BTreeMap::new();
    history.walk(|_, event| {
        calls.note(event);
        let What::Changed(change) = &event.what else { return };
        if let Some(start) = change.before().and_then(|before| Start::of(&change.kind, before)) {
            let row = rows.entry(start.workspace_uid()).or_default();
            let after = change.after().and_then(|after| Start::of(&change.kind, after));
            note(row, after, event.at);
        }
        if calls.behind().is_none() {
            return;
        }
        if let Some(what) = told(change) {
            violations.push(event.at, what);
        }
        if let Some((workspace, since)) = silent(change) {
            rows.entry(workspace.uid()).or_default().silent = since;
        }
        if let Some((before, after)) = change.claim() {
            let row = rows.entry(after.uid()).or_default();
            let is_loss = before.is_some_and(|before| is_only_a_loss(before, after));
            let before = *row;
            *row = Row { losses: if is_loss { before.losses + 1 } else { 0 }, ..Row::default() };
            if before.is_forgiven {
                row.losses = row.losses.min(1);
            }
            let (Some(lost), 2..) = (before.silent.or(before.lost), row.losses) else { return };
            let waited = event.at.duration_since(lost);
            if waited * 2 < delay(row.losses) {
                let what = format!(
                    "{}: the start after loss {} in a row was claimed {waited:#} after it",
                    after.shown(),
                    row.losses,
                );
                violations.push(event.at, what);
            }
        }
    });
    violations.all()
}

/// Notes how the Pod is.
fn note(row: &mut Row, pod: Option<Start<'_>>, now: Timestamp) {
    let is_lost = pod.is_none_or(Start::has_ended);
    if is_lost && row.lost.is_none() {
        row.lost = Some(now);
    }
    match (pod.is_some_and(Start::is_ready), row.ready_since) {
        (true, None) => row.ready_since = Some(now),
        (false, Some(since)) => {
            row.is_forgiven |= now.duration_since(since) >= FORGIVEN_AFTER;
            row.ready_since = None;
        }
        (true, Some(_)) | (false, None) => {}
    }
}

/// When the newest start fell silent, if that was what this change counts as a failure: whoever is lost by its silence
/// runs on until its time to start anew has come. None within, if it counts another.
fn silent(change: &Change) -> Option<(Workspace<'_>, Option<Timestamp>)> {
    let (before, workspace) = change.of_workspace()?;
    let last = |workspace: Workspace<'_>| workspace.0.0.pointer("/status/failures/last").cloned();
    let counted = last(workspace)?;
    if before.and_then(last).is_some_and(|before| before == counted) {
        return None;
    }
    let counted = Object(&counted);
    let since = counted.time("/time").filter(|_| counted.text("/reason") == "HeartbeatLost");
    Some((workspace, since))
}

/// Whether nothing but the loss of its Pod led to this claim.
fn is_only_a_loss(before: Workspace<'_>, after: Workspace<'_>) -> bool {
    let same = |pointer: &str| before.0.0.pointer(pointer) == after.0.0.pointer(pointer);
    after.0.text("/status/incarnation/cause") == "PodLost"
        && before.number().is_some_and(|number| after.number() == Some(number + 1))
        && before.0.0.pointer("/status/lastStop").is_none()
        && same("/status/incarnation/inputsHash")
        && same("/status/incarnation/generation")
        && same("/status/lastHandledRestartAt")
}

/// A failure that status counts anew, and whose next start is too early or too late.
fn told(change: &Change) -> Option<String> {
    let (before, after) = change.of_workspace()?;
    let failures = |workspace: Workspace<'_>| workspace.0.0.pointer("/status/failures").cloned();
    let counted = failures(after)?;
    if before.and_then(failures).is_some_and(|before| before == counted) {
        return None;
    }
    let failures = Object(&counted);
    let count = u32::try_from(failures.number("/consecutive")?).ok()?;
    let at = failures.time("/last/time")?;
    let wait = failures.time("/nextStartTime").map(|next| next.duration_since(at));
    let law = delay(count);
    let (least, most) = (law * 9 / 10 - second(), law * 11 / 10 + second());
    let is_right = match wait {
        None => count < 2,
        Some(wait) => count >= 2 && wait >= least && wait <= most,
    };
    let wait = wait.map_or_else(|| "never".to_owned(), |wait| format!("after {wait:#}"));
    (!is_right)
        .then(|| format!("{}: after {count} failures in a row the next start is {wait}", after.shown()))
}

fn second() -> SignedDuration {
    SignedDuration::from_secs(1)
}

/// The delay after the loss with this count.
fn delay(count: u32) -> SignedDuration {
    match count {
        0 | 1 => SignedDuration::ZERO,
        _ => SignedDuration::from_secs((10_i64 << (count - 2).min(5)).min(300)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::{
        Invariant::I11,
        story::{Story, pod, second, workspace},
    };

    fn claim(number: i64, hash: &str) -> Value {
        json!({"incarnation": {"number": number, "podUID": null, "startTime": second(number), "inputsHash": hash, "cause": "PodLost"}})
    }

    /// One loss after the other, each replaced after so many seconds.
    fn losses(waits: &[i64], hash: impl Fn(i64) -> String) -> Story {
        let mut story = Story::new().put(workspace("x", json!({})));
        for (number, wait) in (1..).zip([&[0], waits].concat()) {
            story = story.pass(wait).says("x", claim(number, &hash(number)));
            story = story.put(pod("x", "x-uid", number)).remove("Pod", "x");
        }
        story
    }

    fn same(_: i64) -> String {
        "v1:a".to_owned()
    }

    #[test]
    fn starts_that_keep_a_growing_distance_are_right() {
        assert_eq!(losses(&[0, 10, 20, 40, 80, 160, 300, 300], same).broken(), []);
    }

    #[test]
    fn the_second_loss_in_a_row_that_is_replaced_at_once_breaks_it() {
        assert_eq!(losses(&[0, 0], same).broken(), [I11]);
        assert_eq!(losses(&[0, 10, 20, 2], same).broken(), [I11]);
    }

    #[test]
    fn whoever_wants_something_new_does_not_wait() {
        assert_eq!(losses(&[0, 0, 0], |number| format!("v1:{number}")).broken(), []);
    }

    /// A start falls silent, waits for the time of the next one, and is ended then; its successor ends by itself.
    fn silent_then_lost(wait: i64) -> Story {
        let failures = |reason: &str, count: i64, next: i64| json!({"consecutive": count, "nextStartTime": second(next), "last": {"incarnation": count, "reason": reason, "time": second(0)}});
        let mut fallen_silent = claim(2, "v1:a");
        fallen_silent["failures"] = failures("HeartbeatLost", 2, 10);
        let mut told = claim(3, "v1:a");
        told["failures"] = fallen_silent["failures"].clone();
        let story = losses(&[0], same).put(pod("x", "x-uid", 2)).says("x", fallen_silent).pass(10);
        let story = story.remove("Pod", "x").says("x", told.clone()).put(pod("x", "x-uid", 3)).pass(60);
        told["activity"] = json!({"state": "Idle"});
        let story = story.says("x", told).remove("Pod", "x").pass(wait);
        story.says("x", claim(4, "v1:a"))
    }

    #[test]
    fn the_silent_wait_while_they_run_and_whoever_comes_after_them_waits_too() {
        assert_eq!(silent_then_lost(20).broken(), []);
        assert_eq!(silent_then_lost(1).broken(), [I11]);
    }

    fn told(count: i64, wait: Option<i64>) -> Story {
        let next = wait.map(second);
        let failures = json!({"consecutive": count, "nextStartTime": next, "last": {"incarnation": 1, "time": second(0)}});
        Story::new()
            .put(workspace("x", json!({})))
            .says("x", json!({"incarnation": {"number": 1}, "failures": failures}))
    }

    #[test]
    fn what_status_tells_keeps_the_law() {
        for (count, wait) in [(1, None), (2, Some(10)), (2, Some(9)), (3, Some(22)), (9, Some(330))] {
            assert_eq!(told(count, wait).broken(), [], "{count} {wait:?}");
        }
        for (count, wait) in [(2, None), (1, Some(10)), (3, Some(10)), (4, Some(20)), (9, Some(400))] {
            assert_eq!(told(count, wait).broken(), [I11], "{count} {wait:?}");
        }
    }
}
