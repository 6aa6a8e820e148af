//! I6: once the object is gone there is eventually no Pod, Service or policy of it, and its volume is as the retention in
//! force said: the ownerReference that it had.
//!
//! What was left without an owner by somebody else, as `--cascade=orphan` does, is not judged.

use workspace_operator::api::names;

use crate::{
    History, Invariant, Violation, What, calls::Calls, object::Object, objects::Objects,
    violation::Violations,
};

const CHILDREN: [&str; 6] =
    ["Pod", "Secret", "Service", "NetworkPolicy", "PodDisruptionBudget", "PersistentVolumeClaim"];

pub(crate) fn check(history: &History) -> Vec<Violation> {
    let mut violations = Violations::of(Invariant::I6);
    let mut calls = Calls::of(history);
    history.walk(|objects, event| {
        calls.note(event);
        match &event.what {
            What::Changed(change) if change.kind == "PersistentVolumeClaim" && change.after.is_none() => {
                let Some(before) = change.before() else { return };
                if before.owner().is_none()
                    && let Some(operator) = calls.behind()
                {
                    let what =
                        format!("{operator} deleted the volume claim {}, which was retained", before.shown());
                    violations.push(event.at, what);
                }
            }
            What::Settled => {
                for kind in CHILDREN {
                    for child in objects.of_kind(kind).filter(|child| is_left(objects, kind, *child)) {
                        let what = format!("{kind} {} outlives its workspace", child.shown());
                        violations.push(event.at, what);
                    }
                }
            }
            _ => {}
        }
    });
    violations.all()
}

fn is_left(objects: &Objects<'_>, kind: &str, child: Object<'_>) -> bool {
    if child.is_deleting() {
        return false;
    }
    let lives = |name: &str, uid: &str| objects.workspace(child.namespace(), name, uid).is_some();
    match child.owner() {
        Some(owner) => !lives(owner.text("/name"), owner.text("/uid")),
        // It is nobody's before its Pod exists.
        None => {
            let name = child.label(names::WORKSPACE);
            kind == "NetworkPolicy"
                && child.label(names::MANAGED_BY) == names::MANAGED_BY_VALUE
                && !name.is_empty()
                && objects.get("Workspace", child.namespace(), name).is_none()
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use test_apiserver::Verb;

    use crate::{
        Invariant::I6,
        story::{Story, child, claim, workspace},
    };

    fn gone(kind: &str, is_owned: bool) -> Story {
        let mut child = child(kind, "x");
        child["metadata"]["labels"]["workspaces.dev/incarnation"] = json!("1");
        if !is_owned {
            child["metadata"]["ownerReferences"] = json!([]);
        }
        Story::new().put(workspace("x", json!({}))).says("x", claim(1)).put(child).remove("Workspace", "x")
    }

    #[test]
    fn a_child_that_outlives_it_breaks_it() {
        for kind in ["Pod", "Service", "NetworkPolicy", "PersistentVolumeClaim"] {
            assert_eq!(gone(kind, true).settled().broken(), [I6], "{kind}");
            assert_eq!(gone(kind, true).remove(kind, "x").settled().broken(), [], "{kind}");
        }
    }

    #[test]
    fn a_policy_that_had_no_owner_yet_breaks_it() {
        assert_eq!(gone("NetworkPolicy", false).settled().broken(), [I6]);
    }

    #[test]
    fn a_volume_that_is_retained_stays() {
        assert_eq!(gone("PersistentVolumeClaim", false).settled().broken(), []);
        let delete = |story: Story| {
            story.by("operator", Verb::Delete, "PersistentVolumeClaim", "x", |story| {
                story.remove("PersistentVolumeClaim", "x")
            })
        };
        assert_eq!(delete(gone("PersistentVolumeClaim", false)).broken(), [I6]);
        assert_eq!(delete(gone("PersistentVolumeClaim", true)).broken(), []);
    }
}
