//! What a workspace tells.

use std::{fmt::Debug, sync::Arc};

use jiff::Timestamp;
use kube::ResourceExt;
use workspace_operator::api::{ConditionType, IncarnationNumber, Workspace, names};

/// Status, reason and message of a condition.
pub fn condition(workspace: &Workspace, type_: ConditionType) -> Option<(String, String, String)> {
    let conditions = &workspace.status.as_ref()?.conditions;
    let found = conditions.iter().find(|condition| condition.type_ == type_.as_str())?;
    Some((found.status.clone(), found.reason.clone(), found.message.clone()))
}

/// Status and reason of a condition, as `False/Stopped`.
pub fn told(workspace: &Workspace, type_: ConditionType) -> String {
    condition(workspace, type_).map_or_else(String::new, |(status, reason, _)| format!("{status}/{reason}"))
}

/// Whether a condition has this status.
pub fn is(workspace: &Workspace, type_: ConditionType, status: &str) -> bool {
    condition(workspace, type_).is_some_and(|(is, ..)| is == status)
}

/// How often it was started.
pub fn starts(workspace: &Workspace) -> i64 {
    let incarnation = workspace.status.as_ref().and_then(|status| status.incarnation.as_ref());
    incarnation.map_or(0, |incarnation| {
        let IncarnationNumber(number) = incarnation.number;
        number
    })
}

/// Whether status speaks of the newest spec.
pub fn observed(workspace: &Workspace) -> bool {
    workspace.status.as_ref().and_then(|status| status.observed_generation) == workspace.metadata.generation
}

pub(crate) fn is_restart_served(workspace: &Workspace) -> bool {
    let asked =
        workspace.annotations().get(names::RESTARTED_AT).and_then(|time| time.parse::<Timestamp>().ok());
    let served =
        workspace.status.as_ref().and_then(|status| status.last_handled_restart_at).map(|time| time.0);
    asked.filter(|asked| *asked <= Timestamp::now()) <= served
}

/// What some assertions need in the message of a failure.
pub fn shown<T: Debug>(things: &[T]) -> Arc<str> {
    let lines: Vec<String> = things.iter().map(|thing| format!("{thing:?}")).collect();
    lines.join("\n").replace("subresource: None, dry_run: false, is_probe: false, ", "").into()
}
