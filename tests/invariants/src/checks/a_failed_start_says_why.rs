//! I13: every failed start ends with its reason in a condition within its deadline, also if the operator died in between.
//!
//! Judged where all has come to rest: whoever is Ready has a Pod that is, whoever is not says why, and past the deadline it
//! is Stalled. Only what counts from a claim has a deadline here. A minute is given for clocks and queues.

use jiff::{SignedDuration, Timestamp};
use workspace_operator::api::ConditionType;

use crate::{
    History, Invariant, Violation,
    object::{Object, Start, Workspace},
    objects::Objects,
    violation::Violations,
};

const SLACK: SignedDuration = SignedDuration::from_mins(1);
const DEADLINE: i64 = 600;

pub(crate) fn check(history: &History) -> Vec<Violation> {
    let mut violations = Violations::of(Invariant::I13);
    history.at_rest(|objects, event| {
        for workspace in objects.workspaces().filter(|workspace| !workspace.is_deleting()) {
            if let Some(what) = untold(objects, workspace, event.at) {
                violations.push(event.at, format!("{}: {what}", workspace.shown()));
            }
        }
    });
    violations.all()
}

fn untold(objects: &Objects<'_>, workspace: Workspace<'_>, now: Timestamp) -> Option<String> {
    let Some((status, reason)) = workspace.condition(ConditionType::Ready) else {
        return Some("says nothing of itself".to_owned());
    };
    if status == "True" {
        let starts = objects.starts_of(workspace);
        return (!starts.into_iter().any(Start::is_ready))
            .then(|| "is Ready without a Pod that is".to_owned());
    }
    if reason.is_empty() {
        return Some("is not Ready, and gives no reason".to_owned());
    }
    let is_waiting = objects.is_suspended(workspace) || reason == "AwaitingRollout";
    if is_waiting || workspace.is(ConditionType::Stalled) {
        return None;
    }
    let reconciling =
        workspace.since(ConditionType::Reconciling).filter(|_| workspace.is(ConditionType::Reconciling));
    let since = workspace
        .0
        .time("/status/incarnation/startTime")
        .into_iter()
        .chain(workspace.since(ConditionType::Ready))
        .chain(reconciling)
        .max()?;
    let late = now.duration_since(since) - deadline(objects, workspace) - SLACK;
    late.is_positive().then(|| format!("is not Ready ({reason}) past its deadline, and not Stalled"))
}

/// The longest that may apply.
fn deadline(objects: &Objects<'_>, workspace: Workspace<'_>) -> SignedDuration {
    let of_classes = objects
        .of_kind("WorkspaceClass")
        .filter_map(|class: Object<'_>| class.number("/spec/defaults/progressDeadlineSeconds"));
    let own = workspace.0.number("/spec/progressDeadlineSeconds");
    SignedDuration::from_secs(own.unwrap_or_else(|| of_classes.max().unwrap_or(0).max(DEADLINE)))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::{
        Invariant::I13,
        story::{Story, claim, pod, workspace},
    };

    fn started() -> Story {
        let story = Story::new().put(workspace("x", json!({"progressDeadlineSeconds": 100})));
        story.says("x", claim(1)).says("x", json!({"observedGeneration": 1})).put(pod("x", "x-uid", 1))
    }

    fn not_ready(reason: &str, stalled: &str) -> Value {
        json!({"conditions": [
            {"type": "Ready", "status": "False", "reason": reason},
            {"type": "Stalled", "status": stalled, "reason": "DeadlineExceeded"},
        ]})
    }

    #[test]
    fn within_the_deadline_a_reason_is_enough() {
        assert_eq!(started().says("x", not_ready("ErrImagePull", "False")).settled().broken(), []);
        assert_eq!(started().says("x", not_ready("", "False")).settled().broken(), [I13]);
    }

    #[test]
    fn past_the_deadline_it_is_stalled() {
        let late = |stalled| started().says("x", not_ready("ErrImagePull", stalled)).pass(200).settled();
        assert_eq!(late("True").broken(), []);
        assert_eq!(late("False").broken(), [I13]);
    }

    #[test]
    fn ready_without_a_pod_that_is_breaks_it() {
        let lost = Story::new().put(workspace("x", json!({}))).starts("x", 1).remove("Pod", "x");
        assert_eq!(lost.settled().broken(), [I13]);
    }
}
