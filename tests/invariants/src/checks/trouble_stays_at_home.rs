//! I16: one workspace's trouble never delays another's.
//!
//! Judged where the recorder says who is in trouble, and all others have come to rest: they are looked at by their newest
//! generation, and what is wanted of them is done. Whoever waits for its turn in a rollout may wait for one in trouble.

use std::collections::BTreeSet;

use workspace_operator::api::ConditionType;

use crate::{
    History, Invariant, Violation, What,
    object::{Start, Workspace},
    objects::Objects,
    violation::Violations,
};

pub(crate) fn check(history: &History) -> Vec<Violation> {
    let mut violations = Violations::of(Invariant::I16);
    let mut troubled: BTreeSet<(&str, &str)> = BTreeSet::new();
    history.walk(|objects, event| match &event.what {
        What::Troubled { namespace, name } => drop(troubled.insert((namespace, name))),
        What::Settled if !troubled.is_empty() => {
            for workspace in objects.workspaces() {
                if !troubled.contains(&(workspace.namespace(), workspace.name()))
                    && let Some(what) = delayed(objects, workspace)
                {
                    violations.push(event.at, format!("{}: {what}", workspace.shown()));
                }
            }
        }
        _ => {}
    });
    violations.all()
}

fn delayed(objects: &Objects<'_>, workspace: Workspace<'_>) -> Option<&'static str> {
    let starts = objects.starts_of(workspace);
    if workspace.is_deleting() || objects.is_suspended(workspace) {
        return (!starts.is_empty()).then_some("is not stopped");
    }
    let is_waiting = [ConditionType::Ready, ConditionType::UpToDate, ConditionType::Suspended]
        .into_iter()
        .any(|type_| workspace.reason(type_) == "AwaitingRollout");
    if workspace.0.number("/status/observedGeneration") != workspace.generation() {
        return Some("is not looked at");
    }
    let is_ready = workspace.is(ConditionType::Ready) && starts.into_iter().any(Start::is_ready);
    (!is_ready && !is_waiting).then_some("is not Ready")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::{
        Invariant::I16,
        What,
        story::{Story, claim, workspace},
    };

    fn with_another_in_trouble(story: Story) -> Story {
        story
            .put(workspace("sick", json!({})))
            .says("sick", claim(1))
            .says("sick", json!({"observedGeneration": 1}))
            .what(What::Troubled { namespace: "ns".into(), name: "sick".into() })
    }

    #[test]
    fn whoever_serves_beside_it_is_right() {
        let well = Story::new().put(workspace("x", json!({}))).starts("x", 1);
        assert_eq!(with_another_in_trouble(well).settled().broken(), []);
    }

    #[test]
    fn whoever_waits_beside_it_breaks_it() {
        let waits = Story::new()
            .put(workspace("x", json!({})))
            .says("x", claim(1))
            .says("x", json!({"observedGeneration": 1}));
        assert_eq!(with_another_in_trouble(waits).settled().broken(), [I16]);
    }
}
