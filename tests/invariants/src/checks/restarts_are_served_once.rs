//! I17: an accepted restart is served exactly once, whatever happens to its annotation.
//!
//! A Pod is stopped for a restart only once that was accepted. What was accepted or served is never taken back by an operator, and each start for a restart serves a newer one. At
//! rest all that was accepted is served, and so is all that is asked for and due, unless the workspace is stopped or says
//! why not; and the Pod is as new as the restart that is said to be served.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use workspace_operator::api::ConditionType;

use crate::{
    History, Invariant, Violation, What,
    calls::Calls,
    history::Change,
    object::{Object, Start, Workspace},
    objects::Objects,
    stops::{Reason, Stops},
    violation::Violations,
};

pub(crate) fn check(history: &History) -> Vec<Violation> {
    let mut violations = Violations::of(Invariant::I17);
    let mut calls = Calls::of(history);
    let mut stops = Stops::of(history);
    // Whose status somebody else wrote.
    let mut foreign: BTreeSet<&str> = BTreeSet::new();
    // The newest restart that each workspace accepted; whoever else wrote the status may have taken it back.
    let mut accepted: BTreeMap<&str, Option<Timestamp>> = BTreeMap::new();
    history.walk(|objects, event| {
        calls.note(event);
        let stop = stops.next(objects, event);
        if let Some(stop) = stop.filter(|stop| stop.reasons == [Reason::Restart].into())
            && let Some(what) = unaccepted(objects, stop.start)
            && !foreign.contains(stop.start.workspace_uid())
        {
            violations.push(stop.at, what);
        }
        match &event.what {
            What::Changed(change) => {
                let Some((before, after)) = change.of_workspace() else { return };
                if calls.behind().is_none() {
                    accepted.insert(after.uid(), after.requested());
                    if before.is_some_and(|before| before.0.0["status"] != after.0.0["status"]) {
                        foreign.insert(after.uid());
                    }
                    return;
                }
                let newest = accepted.entry(after.uid()).or_default();
                *newest = (*newest).max(after.requested());
                if let Some(what) = wrong(objects, change) {
                    violations.push(event.at, format!("{}: {what}", after.shown()));
                }
            }
            What::Settled => {
                for workspace in objects.workspaces().filter(|workspace| !workspace.is_deleting()) {
                    let accepted = accepted.get(workspace.uid()).copied().flatten();
                    if let Some(what) = unserved(objects, workspace, accepted, event.at) {
                        violations.push(event.at, format!("{}: {what}", workspace.shown()));
                    }
                }
            }
            _ => {}
        }
    });
    violations.all()
}

/// A start that is stopped for a restart which nobody would know of if the operator ended now.
fn unaccepted(objects: &Objects<'_>, start: Start<'_>) -> Option<String> {
    let (namespace, name) = (start.object.namespace(), start.workspace_name());
    let workspace = objects.workspace(namespace, name, start.workspace_uid())?;
    let claimed = start.claim()?;
    let claimed = Object(&claimed).time("/restart");
    let is_known = workspace.requested() > claimed;
    (!is_known).then(|| format!("{} was stopped for a restart that was not accepted", start.shown()))
}

fn wrong(objects: &Objects<'_>, change: &Change) -> Option<String> {
    let (Some(before), after) = change.of_workspace()? else { return None };
    let (was, is) = (before.handled(), after.handled());
    if is < was || after.requested() < before.requested() {
        return Some("a restart that was accepted or served is forgotten".to_owned());
    }
    let (_, claimed) = change.claim()?;
    let is_new = objects.starts_of(after).into_iter().all(|start| start.number() != claimed.number());
    let is_restart = claimed.0.text("/status/incarnation/cause") == "Restart";
    (is_new && is_restart && is == was).then(|| {
        format!("start {} is for a restart that was served before", claimed.number().unwrap_or_default())
    })
}

fn unserved(
    objects: &Objects<'_>,
    workspace: Workspace<'_>,
    accepted: Option<Timestamp>,
    now: Timestamp,
) -> Option<String> {
    let served = workspace.handled();
    let shown = |time: Option<Timestamp>| time.map_or_else(|| "none".to_owned(), |time| time.to_string());
    let known = workspace.requested().max(served);
    let due = workspace.asked(now).filter(|_| workspace.0.time("/status/scheduledRestartAt").is_none());
    if due > known {
        return Some(format!("the restart {} was not accepted, but {}", shown(due), shown(known)));
    }
    if accepted > known {
        return Some(format!("the restart {} was accepted and is forgotten", shown(accepted)));
    }
    if accepted > served && !is_excused(objects, workspace) {
        return Some(format!(
            "the restart {} was accepted, and {} is served",
            shown(accepted),
            shown(served)
        ));
    }
    let start =
        objects.starts_of(workspace).into_iter().find(|start| start.number() == workspace.number())?;
    let claimed = start.claim()?;
    let claimed = Object(&claimed).time("/restart");
    (claimed < served).then(|| {
        format!("the restart {} is said to be served, and {} is older", shown(served), start.shown())
    })
}

/// Whether it says why an accepted restart has to wait.
fn is_excused(objects: &Objects<'_>, workspace: Workspace<'_>) -> bool {
    let (status, reason) = workspace.condition(ConditionType::UpToDate).unwrap_or_default();
    let is_waiting = status == "False" && !matches!(reason, "Progressing" | "CheckingImage");
    // A Pod that was told to end and does not keeps its successor waiting.
    let is_ending =
        objects.starts_of(workspace).into_iter().any(|start: Start<'_>| start.object.is_deleting());
    let is_in_the_way = !workspace.is(ConditionType::Accepted)
        || workspace.is(ConditionType::Stalled)
        || workspace.condition(ConditionType::StorageReady).is_some_and(|(status, _)| status == "False");
    objects.is_suspended(workspace) || is_waiting || is_ending || is_in_the_way
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::{
        Invariant::I17,
        story::{Story, pod, workspace},
    };

    const EARLY: &str = "2026-01-01T12:00:00Z";
    const LATE: &str = "2026-01-01T12:00:01Z";

    fn running() -> Story {
        let accepted = json!({"conditions": [
            {"type": "Ready", "status": "True", "reason": "Running"},
            {"type": "UpToDate", "status": "True", "reason": "UpToDate"},
            {"type": "Accepted", "status": "True", "reason": "Accepted"},
        ]});
        Story::new().put(workspace("x", json!({}))).starts("x", 1).says("x", accepted)
    }

    fn asked(story: Story, time: &str) -> Story {
        story.change(
            "Workspace",
            "x",
            json!({"metadata": {"annotations": {"workspaces.dev/restartedAt": time}}}),
        )
    }

    fn accepted(story: Story, time: &str) -> Story {
        story.says("x", json!({"requestedRestartAt": time}))
    }

    fn served(story: Story, number: i64, time: &str) -> Story {
        let mut made = pod("x", "x-uid", number);
        let claim = json!({"number": number, "restart": time}).to_string();
        made["metadata"]["annotations"]["workspaces.dev/claim"] = json!(claim);
        let incarnation = json!({"number": number, "cause": "Restart", "podUID": null, "startTime": time});
        let status: Value =
            json!({"incarnation": incarnation, "lastHandledRestartAt": time, "requestedRestartAt": time});
        story.stops("x").says("x", status).put(made).ready("x")
    }

    #[test]
    fn a_restart_that_is_served_is_right() {
        assert_eq!(served(accepted(asked(running(), LATE), LATE), 2, LATE).settled().broken(), []);
    }

    #[test]
    fn one_that_was_accepted_and_not_served_breaks_it() {
        assert_eq!(accepted(running(), LATE).settled().broken(), [I17], "though the annotation is gone");
    }

    #[test]
    fn one_that_was_not_even_accepted_breaks_it() {
        assert_eq!(asked(running(), LATE).settled().broken(), [I17]);
        assert_eq!(asked(running(), "2999-01-01T12:00:00Z").settled().broken(), [], "it lies ahead");
        assert_eq!(asked(running(), "soon").settled().broken(), []);
    }

    #[test]
    fn a_stop_for_one_that_was_not_accepted_breaks_it() {
        assert_eq!(asked(running(), LATE).stops("x").broken(), [I17]);
        assert_eq!(accepted(asked(running(), LATE), LATE).stops("x").broken(), []);
    }

    #[test]
    fn one_that_has_to_wait_and_says_why_does_not() {
        let declined = json!({"requestedRestartAt": LATE, "conditions": [
            {"type": "Ready", "status": "True", "reason": "Running"},
            {"type": "UpToDate", "status": "False", "reason": "RestartDeclined"},
        ]});
        assert_eq!(running().says("x", declined).settled().broken(), []);
    }

    #[test]
    fn one_that_is_served_twice_breaks_it() {
        let once = served(accepted(asked(running(), LATE), LATE), 2, LATE);
        let again = json!({"incarnation": {"number": 3, "cause": "Restart", "podUID": null}});
        assert_eq!(once.remove("Pod", "x").says("x", again).broken(), [I17]);
    }

    #[test]
    fn one_that_is_forgotten_breaks_it_unless_somebody_else_wiped_the_status() {
        let once = || served(accepted(asked(running(), LATE), LATE), 2, LATE);
        assert_eq!(once().says("x", json!({"lastHandledRestartAt": EARLY})).broken(), [I17]);
        let wiped = json!({"status": {"requestedRestartAt": null, "lastHandledRestartAt": null}});
        assert_eq!(once().change("Workspace", "x", wiped).broken(), []);
    }

    #[test]
    fn a_pod_older_than_what_is_said_to_be_served_breaks_it() {
        let story = asked(running(), LATE);
        let told = json!({"requestedRestartAt": LATE, "lastHandledRestartAt": LATE});
        assert_eq!(story.says("x", told).settled().broken(), [I17]);
    }
}
