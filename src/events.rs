//! Events on transitions, with the condition's own reason and message.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{
    Resource,
    runtime::events::{Event, EventType},
};

use crate::{
    api::{ConditionStatus, ConditionType, Workspace, WorkspaceStatus},
    context::Context,
};

/// The conditions whose transitions are worth an event; the others follow from them.
const TOLD: &[ConditionType] =
    &[ConditionType::Ready, ConditionType::Stalled, ConditionType::Accepted, ConditionType::UpToDate];

/// Tells what changed from `before` to what `workspace` says now.
pub async fn tell(ctx: &Context, workspace: &Workspace, before: &WorkspaceStatus) {
    let status = workspace.status.clone().unwrap_or_default();
    for event in transitions(before, &status) {
        if let Err(error) = ctx.recorder.publish(&event, &workspace.object_ref(&())).await {
            // An event is a courtesy; the condition says the same.
            tracing::debug!(%error, "publishing an event");
        }
    }
}

fn transitions(before: &WorkspaceStatus, now: &WorkspaceStatus) -> Vec<Event> {
    let mut events = Vec::new();
    for type_ in TOLD {
        let find = |status: &WorkspaceStatus| {
            status.conditions.iter().find(|condition| condition.type_ == type_.as_str()).cloned()
        };
        let Some(condition) = find(now) else { continue };
        let is_news = match find(before) {
            Some(old) if *type_ == ConditionType::Accepted => {
                old.reason != condition.reason || old.message != condition.message
            }
            Some(old) => old.status != condition.status || old.reason != condition.reason,
            None => *type_ == ConditionType::Ready || is_note(*type_, &condition),
        };
        let is_good = is_good(*type_, &condition.status);
        // Good news is told by Ready alone, but for a note on a request.
        let speaks = !is_good || *type_ == ConditionType::Ready || is_note(*type_, &condition);
        let note = Some(condition.message.chars().take(1000).collect());
        // Several conditions may say the same of one cause.
        let is_told = events.iter().any(|told: &Event| told.reason == condition.reason && told.note == note);
        if is_news && speaks && !is_told {
            events.push(Event {
                type_: if is_good || !is_trouble(*type_, &condition.reason) {
                    EventType::Normal
                } else {
                    EventType::Warning
                },
                reason: condition.reason.clone(),
                note,
                action: type_.to_string(),
                secondary: None,
            });
        }
    }
    events
}

/// What was wrong with a request to restart stands beside a spec that is accepted.
fn is_note(type_: ConditionType, condition: &Condition) -> bool {
    type_ == ConditionType::Accepted
        && condition.status == ConditionStatus::True.as_str()
        && !condition.message.is_empty()
}

fn is_good(type_: ConditionType, status: &str) -> bool {
    let good = if type_ == ConditionType::Stalled { ConditionStatus::False } else { ConditionStatus::True };
    status == good.as_str() || status == ConditionStatus::Unknown.as_str()
}

/// What is on its way, or wanted by somebody, is no reason to warn.
fn is_trouble(type_: ConditionType, reason: &str) -> bool {
    let calm = [
        "AwaitingReadiness",
        "AwaitingRegistration",
        "VolumePending",
        "Stopping",
        "Stopped",
        "Held",
        "Idle",
        "Terminating",
        "Progressing",
        "CheckingImage",
        "AwaitingRestart",
        "AwaitingIdle",
        "AwaitingRollout",
        "RollingOut",
    ];
    type_ == ConditionType::Stalled || !calm.contains(&reason)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn status(told: &[(&str, &str, &str)]) -> WorkspaceStatus {
        let conditions: Vec<_> = told
            .iter()
            .map(|(type_, status, reason)| {
                json!({"type": type_, "status": status, "reason": reason, "message": "why",
                       "lastTransitionTime": "2026-01-01T00:00:00Z"})
            })
            .collect();
        serde_json::from_value(json!({ "conditions": conditions })).unwrap()
    }

    #[test]
    fn what_several_conditions_say_of_one_cause_is_told_once() {
        let before = status(&[("Ready", "True", "Running"), ("Accepted", "True", "Accepted")]);
        let after = status(&[
            ("Ready", "True", "Running"),
            ("Stalled", "True", "OutOfBounds"),
            ("Accepted", "False", "OutOfBounds"),
            ("UpToDate", "False", "OutOfBounds"),
        ]);
        let told: Vec<_> = transitions(&before, &after).into_iter().map(|event| event.action).collect();
        assert_eq!(told, ["Accepted"]);
    }

    #[test]
    fn waiting_for_a_turn_is_no_reason_to_warn() {
        let before = status(&[("Ready", "True", "Running"), ("UpToDate", "True", "UpToDate")]);
        let after = status(&[("Ready", "True", "Running"), ("UpToDate", "False", "AwaitingRollout")]);
        let told = transitions(&before, &after);
        assert_eq!(told.len(), 1);
        assert!(matches!(told[0].type_, EventType::Normal));
    }
}
