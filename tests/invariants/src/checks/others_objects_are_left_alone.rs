//! I14: nothing of another owner is adopted, changed or deleted.
//!
//! Another's is what no workspace owns: neither by an ownerReference nor, where nobody owns it, by the label of a workspace.
//! A network policy outlives its workspace, and is its Pod's alone then (docs/decisions/0012).
//! Judged are the calls of operators that were answered with success, by what they were made on.

use std::collections::BTreeMap;

use serde_json::Value;
use test_apiserver::{Verb, recorder::Request};
use workspace_operator::api::names;

use crate::{History, Invariant, Violation, What, object::Object, objects::Objects, violation::Violations};

pub(crate) fn check(history: &History) -> Vec<Violation> {
    let mut violations = Violations::of(Invariant::I14);
    // The UIDs of others' objects when a call for them began.
    let mut open: BTreeMap<u64, &str> = BTreeMap::new();
    // Others' objects that were taken away while such a call was under way.
    history.walk(|objects, event| match &event.what {
        What::Called { call, request, .. } => {
            if let Some(object) = anothers(objects, request) {
                open.insert(*call, object.uid());
            }
        }
        What::Changed(change) => {
            let Some(before) = change.before() else { return };
            let was = |(_, uid): &(&u64, &&str)| **uid == before.uid();
            let Some((call, _)) = open.iter().find(was) else { return };
            let Some((operator, request)) = successful(history, *call) else { return };
            let is_deletion = request.verb == Verb::Delete;
            let ends = change.after().is_none_or(Object::is_deleting) && !before.is_deleting();
            if ends == is_deletion && is_anothers(&change.kind, before) {
                let what = format!(
                    "{operator} asked to {:?} {} {}, which is another's",
                    request.verb,
                    change.kind,
                    before.shown()
                );
                violations.push(event.at, what);
            }
        }
        What::Done { call, .. } => drop(open.remove(call)),
        _ => {}
    });
    violations.all()
}

fn anothers<'a>(objects: &Objects<'a>, request: &Request) -> Option<Object<'a>> {
    let is_change = matches!(request.verb, Verb::Update | Verb::Patch | Verb::Apply | Verb::Delete);
    let is_child = matches!(
        request.kind.as_str(),
        "Pod" | "Secret" | "Service" | "NetworkPolicy" | "PodDisruptionBudget" | "PersistentVolumeClaim"
    );
    let is_own = request.name.as_deref() == Some(names::REGISTRATION_SECRET)
        || request.name.as_deref() == Some(names::HASH_KEY_SECRET);
    if !is_change || !is_child || is_own || request.dry_run {
        return None;
    }
    let object = objects.get(&request.kind, request.namespace.as_deref()?, request.name.as_deref()?)?;
    is_anothers(&request.kind, object).then_some(object)
}

fn is_anothers(kind: &str, object: Object<'_>) -> bool {
    let workspace = object.label(names::WORKSPACE);
    let is_labelled = !workspace.is_empty() || !object.label(names::PROBE_FOR).is_empty();
    let is_pod_s = |owner: &Value| {
        kind == "NetworkPolicy" && owner["kind"] == "Pod" && owner["name"].as_str() == Some(workspace)
    };
    let has_others = !object.list("/metadata/ownerReferences").iter().all(is_pod_s);
    object.owner().is_none() && (has_others || !is_labelled)
}

fn successful(history: &History, wanted: u64) -> Option<(&str, &Request)> {
    history.events.iter().find_map(|event| match &event.what {
        What::Done { operator, call, request } if *call == wanted && request.is_success() => {
            Some((operator.as_str(), request))
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use test_apiserver::Verb;

    use crate::{
        Invariant::I14,
        story::{Story, child, request},
    };

    fn strangers() -> Value {
        json!({"kind": "Service", "metadata": {"name": "x", "namespace": "ns", "uid": "s"}})
    }

    fn delete(object: Value) -> Story {
        Story::new()
            .put(object)
            .by("operator", Verb::Delete, "Service", "x", |story| story.remove("Service", "x"))
    }

    #[test]
    fn to_delete_what_is_another_s_breaks_it() {
        assert_eq!(delete(strangers()).broken(), [I14]);
        assert_eq!(delete(child("Service", "x")).broken(), []);
    }

    #[test]
    fn what_nobody_owns_is_ours_by_its_label_and_what_somebody_owns_is_not() {
        let mut retained = child("Service", "x");
        retained["metadata"]["ownerReferences"] = json!([]);
        assert_eq!(delete(retained).broken(), []);
        let mut owned = child("Service", "x");
        owned["metadata"]["ownerReferences"] =
            json!([{"apiVersion": "apps/v1", "kind": "Deployment", "uid": "d"}]);
        assert_eq!(delete(owned).broken(), [I14]);
    }

    #[test]
    fn a_policy_that_its_pod_alone_owns_is_ours_and_of_other_kinds_it_is_not() {
        let of_pod = |kind: &str, owner: &str| {
            let mut object = child(kind, "x");
            object["metadata"]["ownerReferences"] =
                json!([{"apiVersion": "v1", "kind": "Pod", "name": owner, "uid": "p"}]);
            let story = Story::new().put(object);
            story.by("operator", Verb::Delete, kind, "x", |story| story.remove(kind, "x")).broken()
        };
        assert_eq!(of_pod("NetworkPolicy", "x"), []);
        assert_eq!(of_pod("NetworkPolicy", "y"), [I14]);
        assert_eq!(of_pod("Service", "x"), [I14]);
    }

    #[test]
    fn to_adopt_it_breaks_it_too() {
        let adopted = child("Service", "x");
        let story = Story::new().put(strangers()).by("operator", Verb::Patch, "Service", "x", |story| {
            let mut adopted = adopted;
            adopted["metadata"]["uid"] = json!("s");
            story.put(adopted)
        });
        assert_eq!(story.broken(), [I14]);
    }

    #[test]
    fn a_refused_call_or_another_s_own_does_not() {
        let delete = request(Verb::Delete, "Service", "x");
        let story = Story::new().put(strangers()).call("operator", delete, 409, |story| story);
        assert_eq!(story.remove("Service", "x").broken(), []);
    }
}
