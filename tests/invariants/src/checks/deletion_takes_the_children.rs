//! I5: an object under deletion eventually has no child that retention does not keep, and gets no new one once the
//! operator saw it.
//!
//! An operator has seen it when it wrote `Terminating` into its status.

use std::collections::BTreeSet;

use workspace_operator::api::ConditionType;

use crate::{History, Invariant, Violation, What, calls::Calls, object::Object, violation::Violations};

const CHILDREN: [&str; 6] =
    ["Pod", "Secret", "Service", "NetworkPolicy", "PodDisruptionBudget", "PersistentVolumeClaim"];

pub(crate) fn check(history: &History) -> Vec<Violation> {
    let mut violations = Violations::of(Invariant::I5);
    let mut calls = Calls::of(history);
    let mut saw: BTreeSet<(&str, &str)> = BTreeSet::new();
    history.walk(|objects, event| {
        calls.note(event);
        match &event.what {
            What::Changed(change) => {
                let Some(operator) = calls.behind() else { return };
                if let Some((_, after)) = change.of_workspace()
                    && after.is_deleting()
                    && after.reason(ConditionType::Ready) == "Terminating"
                {
                    saw.insert((operator, after.uid()));
                }
                if let Some(child) = change.after().filter(|_| change.before.is_none())
                    && let Some(owner) = child.owner()
                    && saw.contains(&(operator, owner.text("/uid")))
                {
                    let what = format!(
                        "{} {} was made by {operator}, which had seen that {} is being deleted",
                        change.kind,
                        child.shown(),
                        owner.text("/name"),
                    );
                    violations.push(event.at, what);
                }
            }
            What::Settled => {
                for workspace in objects.workspaces().filter(|workspace| workspace.is_deleting()) {
                    let is_left = |child: &Object<'_>| {
                        let owner = child.owner().map(|owner| owner.text("/uid"));
                        owner == Some(workspace.uid()) && !child.is_deleting()
                    };
                    for kind in CHILDREN {
                        for child in objects.of_kind(kind).filter(is_left) {
                            let what = format!(
                                "{} is being deleted, and its {kind} {} lives on",
                                workspace.shown(),
                                child.shown()
                            );
                            violations.push(event.at, what);
                        }
                    }
                }
            }
            _ => {}
        }
    });
    violations.all()
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use test_apiserver::Verb;

    use crate::{
        Invariant::I5,
        story::{Story, child, workspace},
    };

    fn deleted() -> Story {
        let mut deleted = workspace("x", json!({}));
        deleted["metadata"]["deletionTimestamp"] = json!("2026-01-01T12:00:00Z");
        Story::new().put(workspace("x", json!({}))).put(child("Service", "x")).put(deleted)
    }

    fn seen(story: Story) -> Story {
        let told = json!({"conditions": [{"type": "Ready", "status": "False", "reason": "Terminating"}]});
        story.says("x", told)
    }

    #[test]
    fn a_child_that_stays_breaks_it() {
        assert_eq!(deleted().settled().broken(), [I5]);
        assert_eq!(deleted().remove("Service", "x").settled().broken(), []);
    }

    #[test]
    fn a_volume_that_nobody_owns_is_kept() {
        let mut retained = child("PersistentVolumeClaim", "x");
        retained["metadata"]["ownerReferences"] = json!([]);
        assert_eq!(deleted().remove("Service", "x").put(retained).settled().broken(), []);
    }

    #[test]
    fn a_new_child_breaks_it_once_its_operator_saw_the_deletion() {
        let make = |story: Story, operator: &str| {
            let service = child("Service", "y");
            let mut service = service;
            service["metadata"]["ownerReferences"][0]["uid"] = json!("x-uid");
            story.by(operator, Verb::Create, "Service", "y", |story| story.put(service))
        };
        assert_eq!(make(seen(deleted()), "operator").broken(), [I5]);
        assert_eq!(make(deleted(), "operator").broken(), []);
        assert_eq!(make(seen(deleted()), "another").broken(), [], "its call may have been under way");
    }
}
