//! Server-side apply.

use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::{
    Api, Client, ResourceExt,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};

use crate::support::*;

fn config(data: &Value) -> Patch<Value> {
    Patch::Apply(json!({ "apiVersion": "v1", "kind": "ConfigMap", "data": data }))
}

pub async fn an_apply_creates_what_is_missing(client: Client, ns: &str) {
    let api: Api<ConfigMap> = Api::namespaced(client, ns);
    let made = api.patch("new", &PatchParams::apply("one"), &config(&json!({ "a": "1" }))).await.unwrap();
    assert_eq!(made.data.as_ref().unwrap()["a"], "1");
    let fields = made.metadata.managed_fields.unwrap();
    assert_eq!(fields.len(), 1);
    assert_eq!(fields[0].manager.as_deref(), Some("one"));
    assert_eq!(fields[0].operation.as_deref(), Some("Apply"));
    assert_eq!(fields[0].fields_v1.as_ref().unwrap().0, json!({ "f:data": { "f:a": {} } }));
}

pub async fn a_field_no_longer_applied_goes(client: Client, ns: &str) {
    let api: Api<ConfigMap> = Api::namespaced(client, ns);
    let (one, two) = (PatchParams::apply("one"), PatchParams::apply("two"));
    api.patch("shrinking", &one, &config(&json!({ "a": "1", "b": "1", "c": "1" }))).await.unwrap();
    api.patch("shrinking", &two, &config(&json!({ "c": "1" }))).await.unwrap();
    let after = api.patch("shrinking", &one, &config(&json!({ "a": "1" }))).await.unwrap();
    let keys: Vec<_> = after.data.unwrap().into_keys().collect();
    assert_eq!(keys, ["a", "c"]);
}

pub async fn a_field_of_another_manager_is_a_conflict_unless_forced(client: Client, ns: &str) {
    let api: Api<ConfigMap> = Api::namespaced(client, ns);
    api.patch("disputed", &PatchParams::apply("one"), &config(&json!({ "a": "1", "b": "1" }))).await.unwrap();
    let two = PatchParams::apply("two");
    let refused = api.patch("disputed", &two, &config(&json!({ "a": "2" }))).await;
    let Err(kube::Error::Api(status)) = refused else { panic!("refused, not {refused:?}") };
    assert_eq!((status.code, status.reason.as_str()), (409, "Conflict"));
    assert_eq!(status.details.unwrap().causes[0].field, ".data.a");
    let forced = api.patch("disputed", &two.force(), &config(&json!({ "a": "2" }))).await.unwrap();
    assert_eq!(forced.data.unwrap()["a"], "2");
    // The loser does not take it back by dropping it.
    let after =
        api.patch("disputed", &PatchParams::apply("one"), &config(&json!({ "b": "1" }))).await.unwrap();
    assert_eq!(after.data.unwrap()["a"], "2");
}

pub async fn list_items_are_owned_one_by_one(client: Client, ns: &str) {
    let api = workspaces(client, ns);
    let spec = |env: Value| {
        Patch::Apply(json!({
            "apiVersion": "workspaces.dev/v1alpha1", "kind": "Workspace",
            "spec": { "image": "example.com/ide:1", "env": env },
        }))
    };
    let (one, two) = (PatchParams::apply("one"), PatchParams::apply("two"));
    api.patch("items", &one, &spec(json!([{ "name": "A", "value": "1" }, { "name": "B", "value": "1" }])))
        .await
        .unwrap();
    api.patch("items", &two, &spec(json!([{ "name": "C", "value": "1" }]))).await.unwrap();
    let after = api.patch("items", &one, &spec(json!([{ "name": "B", "value": "2" }]))).await.unwrap();
    let expected = json!([{ "name": "B", "value": "2" }, { "name": "C", "value": "1" }]);
    assert_eq!(after.data["spec"]["env"], expected);
}

pub async fn an_apply_of_the_same_keeps_the_resource_version(client: Client, ns: &str) {
    let api: Api<Pod> = Api::namespaced(client, ns);
    let pod = Patch::Apply(json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": { "labels": { "a": "b" } },
        "spec": {
            "containers": [{ "name": "main", "image": "x:1", "ports": [{ "containerPort": 80 }] }],
            "schedulingGates": [{ "name": "test/never" }],
        },
    }));
    let params = PatchParams::apply("one").force();
    let first = api.patch("again", &params, &pod).await.unwrap();
    let second = api.patch("again", &params, &pod).await.unwrap();
    assert_eq!(first.resource_version(), second.resource_version());
    assert_eq!(first, second);
}

pub async fn an_applied_status_leaves_the_spec_alone(client: Client, ns: &str) {
    let api = workspaces(client, ns);
    made(&api, &workspace("status")).await;
    let status = |observed: Value| {
        Patch::Apply(
            json!({ "apiVersion": "workspaces.dev/v1alpha1", "kind": "Workspace", "status": observed }),
        )
    };
    let params = PatchParams::apply("operator").force();
    let first = json!({ "observedGeneration": 1, "address": "a" });
    api.patch_status("status", &params, &status(first)).await.unwrap();
    let after =
        api.patch_status("status", &params, &status(json!({ "observedGeneration": 1 }))).await.unwrap();
    assert_eq!(after.data["status"], json!({ "observedGeneration": 1 }));
    assert_eq!(after.data["spec"]["image"], "example.com/ide:1");
    assert_eq!(after.metadata.generation, Some(1));
}

pub async fn an_apply_with_a_stranger_uid_creates_nothing(client: Client, ns: &str) {
    let api: Api<ConfigMap> = Api::namespaced(client, ns);
    let patch = Patch::Apply(json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": { "uid": "00000000-0000-4000-8000-000000000000" },
    }));
    assert_eq!(refusal(api.patch("ghost", &PatchParams::apply("one"), &patch).await), 409);
    assert!(is_gone(&api, "ghost").await);
}
