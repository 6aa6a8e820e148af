//! I4: stopped, held or deleted means eventually no Pod.
//!
//! Judged where all has come to rest. A Pod that is told to end and does not is its node's affair. A Pod may still
//! appear right after somebody stopped its workspace, for the call was under way: it must not stay.

use crate::{History, Invariant, Violation, violation::Violations};

pub(crate) fn check(history: &History) -> Vec<Violation> {
    let mut violations = Violations::of(Invariant::I4);
    history.at_rest(|objects, event| {
        for workspace in objects.workspaces() {
            let why = match (workspace.is_deleting(), objects.is_suspended(workspace)) {
                (true, _) => "is being deleted",
                (false, true) => "is to be stopped",
                (false, false) => continue,
            };
            for start in objects.starts_of(workspace).iter().filter(|start| !start.object.is_deleting()) {
                violations
                    .push(event.at, format!("{} {why}, and {} lives on", workspace.shown(), start.shown()));
            }
        }
    });
    violations.all()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::{
        Invariant::{I4, I5},
        story::{Story, workspace},
    };

    fn after(wish: Value) -> Story {
        Story::new().put(workspace("x", json!({}))).starts("x", 1).change("Workspace", "x", wish)
    }

    fn wishes() -> [Value; 2] {
        [
            json!({"spec": {"runState": "Stopped"}}),
            json!({"metadata": {"annotations": {"hold.workspaces.dev/night": "it is late"}}}),
        ]
    }

    #[test]
    fn a_pod_that_lives_on_breaks_it() {
        for wish in wishes() {
            assert_eq!(after(wish).settled().broken(), [I4]);
        }
        let deleted =
            json!({"metadata": {"deletionTimestamp": "2026-01-01T12:00:00Z", "finalizers": ["a/b"]}});
        assert_eq!(after(deleted).settled().broken(), [I4, I5]);
    }

    #[test]
    fn a_pod_of_a_held_namespace_that_lives_on_breaks_it() {
        let held = json!({"kind": "Namespace", "metadata": {"name": "ns", "uid": "ns", "annotations": {"hold.workspaces.dev/quota": ""}}});
        let story = Story::new().put(workspace("x", json!({}))).starts("x", 1).put(held).settled();
        assert_eq!(story.broken(), [I4]);
    }

    #[test]
    fn none_or_one_that_ends_is_right() {
        let ends = json!({"metadata": {"deletionTimestamp": "2026-01-01T12:00:00Z"}});
        for wish in wishes() {
            let told = json!({"conditions": [{"type": "Ready", "status": "False", "reason": "Stopped"}]});
            let story = after(wish).says("x", told);
            assert_eq!(story.change("Pod", "x", ends.clone()).settled().stops("x").settled().broken(), []);
        }
    }
}
