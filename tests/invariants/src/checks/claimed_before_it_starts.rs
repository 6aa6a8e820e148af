//! I7: a Pod starts only after its claim, volume and policy are stored.
//!
//! What somebody took away again between a claim and its Pod counts as stored. Starts whose claim was made before the
//! history began can't be told from such without one, so nothing is said of workspaces that were there before.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::{History, Invariant, Violation, What, object::Start, objects::Objects, violation::Violations};

/// When an object of that kind, namespace and name was there last.
type Gone<'a> = BTreeMap<(&'a str, &'a str, &'a str), usize>;

pub(crate) fn check(history: &History) -> Vec<Violation> {
    let mut violations = Violations::of(Invariant::I7);
    let mut claims: BTreeMap<(&str, i64), usize> = BTreeMap::new();
    let mut known: BTreeSet<&str> = BTreeSet::new();
    let mut gone = Gone::new();
    let mut position = 0;
    history.walk(|objects, event| {
        position += 1;
        let What::Changed(change) = &event.what else { return };
        if let Some((None, after)) = change.of_workspace()
            && after.number().is_none()
        {
            known.insert(after.uid());
        }
        if let Some((_, after)) = change.claim()
            && let Some(number) = after.number()
        {
            claims.insert((after.uid(), number), position);
        }
        if let Some(before) = change.before().filter(|_| change.after.is_none()) {
            gone.insert((change.kind.as_str(), before.namespace(), before.name()), position);
        }
        let Some(start) = change.started().filter(|start| known.contains(start.workspace_uid())) else {
            return;
        };
        let Some(since) = claims.get(&(start.workspace_uid(), start.number().unwrap_or_default())) else {
            violations.push(event.at, format!("{} was never claimed", start.shown()));
            return;
        };
        for (kind, name) in needs(objects, start) {
            let namespace = start.object.namespace();
            let was_there = gone.get(&(kind, namespace, name)).is_some_and(|gone| gone > since);
            if !was_there && objects.get(kind, namespace, name).is_none() {
                violations.push(event.at, format!("{} was made before its {kind} {name}", start.shown()));
            }
        }
    });
    violations.all()
}

/// What has to be there first.
fn needs<'a>(objects: &Objects<'_>, start: Start<'a>) -> Vec<(&'static str, &'a str)> {
    let volumes = start.object.list("/spec/volumes").iter();
    let claims = volumes.filter_map(|volume| volume["persistentVolumeClaim"]["claimName"].as_str());
    let mut needs: Vec<_> = claims.map(|name| ("PersistentVolumeClaim", name)).collect();
    if start.kind == "Pod" && wants_policy(objects, start) {
        needs.push(("NetworkPolicy", start.workspace_name()));
    }
    needs
}

/// Whether the class it was claimed with is as it was, and has policies managed.
fn wants_policy(objects: &Objects<'_>, start: Start<'_>) -> bool {
    let claim = start.claim().unwrap_or(Value::Null);
    let class = claim["class"]["name"].as_str().and_then(|name| objects.get("WorkspaceClass", "", name));
    class.is_some_and(|class| {
        class.number("/metadata/generation") == claim["class"]["generation"].as_i64()
            && class.text("/spec/networkPolicy") == "Managed"
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::{
        Invariant::I7,
        story::{Story, child, claim, pod, workspace},
    };

    fn new() -> Story {
        Story::new().put(workspace("x", json!({})))
    }

    fn with_volume() -> Value {
        let mut pod = pod("x", "x-uid", 1);
        pod["spec"]["volumes"] = json!([{"name": "workspace", "persistentVolumeClaim": {"claimName": "x"}}]);
        pod
    }

    #[test]
    fn a_pod_whose_claim_is_stored_is_right() {
        assert_eq!(new().says("x", claim(1)).put(pod("x", "x-uid", 1)).broken(), []);
    }

    #[test]
    fn a_pod_without_a_claim_breaks_it() {
        assert_eq!(new().put(pod("x", "x-uid", 1)).broken(), [I7]);
        assert_eq!(new().says("x", claim(1)).put(pod("x", "x-uid", 2)).broken(), [I7]);
    }

    #[test]
    fn a_late_pod_of_an_older_claim_is_right() {
        assert_eq!(new().says("x", claim(1)).says("x", claim(2)).put(pod("x", "x-uid", 1)).broken(), []);
    }

    #[test]
    fn a_pod_before_its_volume_breaks_it() {
        assert_eq!(new().says("x", claim(1)).put(with_volume()).broken(), [I7]);
        let volume = child("PersistentVolumeClaim", "x");
        assert_eq!(new().put(volume.clone()).says("x", claim(1)).put(with_volume()).broken(), []);
        let taken = new().says("x", claim(1)).put(volume).remove("PersistentVolumeClaim", "x");
        assert_eq!(taken.put(with_volume()).broken(), [], "somebody took it away again");
    }

    #[test]
    fn a_pod_before_its_policy_breaks_it_where_the_class_has_them_managed() {
        let class = json!({"kind": "WorkspaceClass", "metadata": {"name": "c", "uid": "c", "generation": 1}, "spec": {"networkPolicy": "Managed"}});
        let mut made = pod("x", "x-uid", 1);
        let claimed = json!({"number": 1, "class": {"name": "c", "generation": 1}}).to_string();
        made["metadata"]["annotations"]["workspaces.dev/claim"] = json!(claimed);
        let story = || {
            Story::new().put(class.clone()).put(workspace("x", json!({"className": "c"}))).says("x", claim(1))
        };
        assert_eq!(story().put(made.clone()).broken(), [I7]);
        assert_eq!(story().put(child("NetworkPolicy", "x")).put(made).broken(), []);
    }
}
