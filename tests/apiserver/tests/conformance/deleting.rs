//! Deleting.

use k8s_openapi::api::{
    core::v1::{ConfigMap, Namespace, PersistentVolumeClaim, Pod},
    policy::v1::PodDisruptionBudget,
};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{DeleteParams, EvictParams, ListParams, Patch, PatchParams, Preconditions, PropagationPolicy},
};
use serde_json::json;

use crate::support::*;

fn for_uid(uid: Option<String>) -> DeleteParams {
    DeleteParams::default().preconditions(Preconditions { uid, resource_version: None })
}

fn propagating(policy: PropagationPolicy) -> DeleteParams {
    DeleteParams { propagation_policy: Some(policy), ..DeleteParams::default() }
}

pub async fn a_deletion_for_another_uid_is_refused(client: Client, ns: &str) {
    let api: Api<Pod> = Api::namespaced(client, ns);
    let first = made(&api, &pod_nowhere("again")).await;
    api.delete("again", &for_uid(first.uid())).await.unwrap();
    let second = made(&api, &pod_nowhere("again")).await;
    assert_ne!(first.uid(), second.uid());
    assert_eq!(refusal(api.delete("again", &for_uid(first.uid())).await), 409);
    assert_eq!(api.get("again").await.unwrap().uid(), second.uid());
    let stale = Preconditions { uid: None, resource_version: Some("1".to_owned()) };
    assert_eq!(refusal(api.delete("again", &DeleteParams::default().preconditions(stale)).await), 409);
}

pub async fn an_object_with_a_finalizer_stays_until_it_is_taken_off(client: Client, ns: &str) {
    let api: Api<ConfigMap> = Api::namespaced(client, ns);
    let mut held = config_map("held");
    held.metadata.finalizers = Some(vec!["test.dev/hold".to_owned()]);
    made(&api, &held).await;
    let answer = api.delete("held", &DeleteParams::default()).await.unwrap();
    assert!(answer.is_left(), "the object is answered while it stays");
    let marked = api.get("held").await.unwrap();
    assert!(marked.metadata.deletion_timestamp.is_some());
    let none = Patch::Merge(json!({ "metadata": { "finalizers": null } }));
    api.patch("held", &PatchParams::default(), &none).await.unwrap();
    assert!(is_gone(&api, "held").await);
}

pub async fn no_finalizer_is_added_to_an_object_under_deletion(client: Client, ns: &str) {
    let api: Api<ConfigMap> = Api::namespaced(client, ns);
    let mut held = config_map("late");
    held.metadata.finalizers = Some(vec!["test.dev/hold".to_owned()]);
    made(&api, &held).await;
    api.delete("late", &DeleteParams::default()).await.unwrap();
    let more = Patch::Merge(json!({ "metadata": { "finalizers": ["test.dev/hold", "test.dev/more"] } }));
    assert_eq!(refusal(api.patch("late", &PatchParams::default(), &more).await), 422);
    let none = Patch::Merge(json!({ "metadata": { "finalizers": null } }));
    api.patch("late", &PatchParams::default(), &none).await.unwrap();
}

pub async fn deletion_bumps_the_generation(client: Client, ns: &str) {
    let api = workspaces(client, ns);
    let mut held = workspace("bumped");
    held.metadata.finalizers = Some(vec!["test.dev/hold".to_owned()]);
    made(&api, &held).await;
    api.delete("bumped", &DeleteParams::default()).await.unwrap();
    assert_eq!(api.get("bumped").await.unwrap().metadata.generation, Some(2));
    let none = Patch::Merge(json!({ "metadata": { "finalizers": null } }));
    api.patch("bumped", &PatchParams::default(), &none).await.unwrap();
}

pub async fn a_pod_without_a_node_goes_at_once(client: Client, ns: &str) {
    let api: Api<Pod> = Api::namespaced(client, ns);
    made(&api, &pod_nowhere("unscheduled")).await;
    api.delete("unscheduled", &DeleteParams::default()).await.unwrap();
    assert!(is_gone(&api, "unscheduled").await);
}

pub async fn a_pod_of_a_lost_node_stays_until_forced(client: Client, ns: &str) {
    let api: Api<Pod> = Api::namespaced(client, ns);
    made(&api, &pod_of_lost_node("lost")).await;
    api.delete("lost", &DeleteParams::default()).await.unwrap();
    let terminating = api.get("lost").await.unwrap();
    assert_eq!(terminating.metadata.deletion_grace_period_seconds, Some(30));
    assert!(terminating.metadata.deletion_timestamp.is_some());
    api.delete("lost", &DeleteParams::default().grace_period(0)).await.unwrap();
    assert!(is_gone(&api, "lost").await);
}

pub async fn a_dry_run_of_a_deletion_deletes_nothing(client: Client, ns: &str) {
    let api: Api<ConfigMap> = Api::namespaced(client, ns);
    let made = made(&api, &config_map("kept")).await;
    api.delete("kept", &DeleteParams::default().dry_run()).await.unwrap();
    assert_eq!(api.get("kept").await.unwrap(), made);
}

pub async fn a_collection_is_deleted_by_its_selector(client: Client, ns: &str) {
    let api: Api<ConfigMap> = Api::namespaced(client, ns);
    for (name, label) in [("in-1", "x"), ("in-2", "x"), ("out", "y")] {
        let mut one = config_map(name);
        one.labels_mut().insert("set".to_owned(), label.to_owned());
        made(&api, &one).await;
    }
    api.delete_collection(&DeleteParams::default(), &ListParams::default().labels("set=x")).await.unwrap();
    let left = api.list(&ListParams::default().labels("set")).await.unwrap();
    assert_eq!(left.iter().map(ResourceExt::name_any).collect::<Vec<_>>(), ["out"]);
}

pub async fn a_deletion_answers_with_a_status_or_the_pod(client: Client, ns: &str) {
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), ns);
    let made_map = made(&maps, &config_map("answered")).await;
    let status = maps.delete("answered", &DeleteParams::default()).await.unwrap().right().expect("a Status");
    assert_eq!(Some(status.details.unwrap().uid), made_map.uid());
    let pods: Api<Pod> = Api::namespaced(client, ns);
    let made_pod = made(&pods, &pod_nowhere("answered")).await;
    let pod = pods.delete("answered", &DeleteParams::default()).await.unwrap().left().expect("the Pod");
    assert_eq!(pod.uid(), made_pod.uid());
    assert_eq!(refusal(pods.delete("answered", &DeleteParams::default()).await), 404);
}

pub async fn a_claim_is_protected(client: Client, ns: &str) {
    let api: Api<PersistentVolumeClaim> = Api::namespaced(client, ns);
    let claim = made(&api, &claim("guarded")).await;
    assert_eq!(claim.finalizers(), ["kubernetes.io/pvc-protection"]);
    api.delete("guarded", &DeleteParams::default()).await.unwrap();
    eventually("the claim is gone", || is_gone(&api, "guarded")).await;
}

pub async fn an_eviction_is_refused_by_a_budget(client: Client, ns: &str) {
    let pods: Api<Pod> = Api::namespaced(client.clone(), ns);
    let budgets: Api<PodDisruptionBudget> = Api::namespaced(client, ns);
    let mut kept = pod("kept");
    kept.labels_mut().insert("app".to_owned(), "kept".to_owned());
    made(&pods, &kept).await;
    eventually("the Pod runs", || async {
        pods.get("kept").await.unwrap().status.unwrap().phase.as_deref() == Some("Running")
    })
    .await;
    let spec = json!({ "maxUnavailable": 0, "selector": { "matchLabels": { "app": "kept" } } });
    made(&budgets, &object(json!({ "metadata": { "name": "b" }, "spec": spec }))).await;
    let refused = pods.evict("kept", &EvictParams::default()).await;
    let Err(kube::Error::Api(status)) = refused else { panic!("refused, not {refused:?}") };
    assert_eq!((status.code, status.reason.as_str()), (429, "TooManyRequests"));
    assert_eq!(status.details.unwrap().causes[0].reason, "DisruptionBudget");
    budgets.delete("b", &DeleteParams::default()).await.unwrap();
    pods.evict("kept", &EvictParams::default()).await.unwrap();
    eventually("the Pod is gone", || is_gone(&pods, "kept")).await;
}

/// An owner and its dependent.
async fn family(api: &Api<ConfigMap>, name: &str) -> (String, String) {
    let owner = made(api, &config_map(&format!("{name}-owner"))).await;
    let mut dependent = config_map(&format!("{name}-dependent"));
    let mut reference = owner.owner_ref(&()).unwrap();
    reference.block_owner_deletion = Some(true);
    dependent.owner_references_mut().push(reference);
    let dependent = made(api, &dependent).await;
    (owner.name_any(), dependent.name_any())
}

pub async fn dependents_follow_their_owner(client: Client, ns: &str) {
    let api: Api<ConfigMap> = Api::namespaced(client, ns);
    let (owner, dependent) = family(&api, "followed").await;
    api.delete(&owner, &DeleteParams::default()).await.unwrap();
    eventually("the dependent is gone", || is_gone(&api, &dependent)).await;
}

pub async fn orphans_outlive_their_owner(client: Client, ns: &str) {
    let api: Api<ConfigMap> = Api::namespaced(client, ns);
    let (owner, dependent) = family(&api, "orphaning").await;
    api.delete(&owner, &propagating(PropagationPolicy::Orphan)).await.unwrap();
    eventually("the owner is gone", || is_gone(&api, &owner)).await;
    assert!(api.get(&dependent).await.unwrap().owner_references().is_empty());
}

pub async fn a_foreground_deletion_waits_for_dependents(client: Client, ns: &str) {
    let api: Api<ConfigMap> = Api::namespaced(client, ns);
    let (owner, dependent) = family(&api, "foreground").await;
    let hold = Patch::Merge(json!({ "metadata": { "finalizers": ["test.dev/hold"] } }));
    api.patch(&dependent, &PatchParams::default(), &hold).await.unwrap();
    api.delete(&owner, &propagating(PropagationPolicy::Foreground)).await.unwrap();
    eventually("the dependent is being deleted", || async {
        api.get(&dependent).await.unwrap().metadata.deletion_timestamp.is_some()
    })
    .await;
    assert!(api.get(&owner).await.unwrap().finalizers().contains(&"foregroundDeletion".to_owned()));
    let none = Patch::Merge(json!({ "metadata": { "finalizers": null } }));
    api.patch(&dependent, &PatchParams::default(), &none).await.unwrap();
    eventually("the owner is gone", || is_gone(&api, &owner)).await;
    assert!(is_gone(&api, &dependent).await);
}

pub async fn nothing_is_made_in_a_terminating_namespace(client: Client, ns: &str) {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let name = format!("{ns}-ending");
    made(&namespaces, &object(json!({ "metadata": { "name": name } }))).await;
    let api: Api<ConfigMap> = Api::namespaced(client, &name);
    let mut held = config_map("held");
    held.metadata.finalizers = Some(vec!["test.dev/hold".to_owned()]);
    made(&api, &held).await;
    namespaces.delete(&name, &DeleteParams::default()).await.unwrap();
    let refused = api.create(&kube::api::PostParams::default(), &config_map("late")).await;
    let Err(kube::Error::Api(status)) = refused else { panic!("refused, not {refused:?}") };
    assert_eq!((status.code, status.reason.as_str()), (403, "Forbidden"));
    assert_eq!(status.details.unwrap().causes[0].reason, "NamespaceTerminating");
    let none = Patch::Merge(json!({ "metadata": { "finalizers": null } }));
    api.patch("held", &PatchParams::default(), &none).await.unwrap();
    eventually("the namespace is gone", || is_gone(&namespaces, &name)).await;
}
