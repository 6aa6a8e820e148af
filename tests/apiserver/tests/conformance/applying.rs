//! Server-side apply.

use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

use crate::support::*;

fn config(name: &str, data: &Value) -> Patch<Value> {
    Patch::Apply(
        json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name }, "data": data }),
    )
}

pub async fn an_apply_creates_what_is_missing(client: Client, ns: &str) {
    let api: Api<ConfigMap> = Api::namespaced(client, ns);
    let made =
        api.patch("new", &PatchParams::apply("one"), &config("new", &json!({ "a": "1" }))).await.unwrap();
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
    api.patch("shrinking", &one, &config("shrinking", &json!({ "a": "1", "b": "1", "c": "1" })))
        .await
        .unwrap();
    api.patch("shrinking", &two, &config("shrinking", &json!({ "c": "1" }))).await.unwrap();
    let after = api.patch("shrinking", &one, &config("shrinking", &json!({ "a": "1" }))).await.unwrap();
    let keys: Vec<_> = after.data.unwrap().into_keys().collect();
    assert_eq!(keys, ["a", "c"]);
}

pub async fn a_field_of_another_manager_is_a_conflict_unless_forced(client: Client, ns: &str) {
    let api: Api<ConfigMap> = Api::namespaced(client, ns);
    api.patch("disputed", &PatchParams::apply("one"), &config("disputed", &json!({ "a": "1", "b": "1" })))
        .await
        .unwrap();
    let two = PatchParams::apply("two");
    let refused = api.patch("disputed", &two, &config("disputed", &json!({ "a": "2" }))).await;
    let Err(kube::Error::Api(status)) = refused else { panic!("refused, not {refused:?}") };
    assert_eq!((status.code, status.reason.as_str()), (409, "Conflict"));
    assert_eq!(status.details.unwrap().causes[0].field, ".data.a");
    let forced =
        api.patch("disputed", &two.force(), &config("disputed", &json!({ "a": "2" }))).await.unwrap();
    assert_eq!(forced.data.unwrap()["a"], "2");
    // The loser does not take it back by dropping it.
    let after = api
        .patch("disputed", &PatchParams::apply("one"), &config("disputed", &json!({ "b": "1" })))
        .await
        .unwrap();
    assert_eq!(after.data.unwrap()["a"], "2");
}

pub async fn list_items_are_owned_one_by_one(client: Client, ns: &str) {
    let api = workspaces(client, ns);
    let spec = |env: Value| {
        Patch::Apply(json!({
            "apiVersion": "workspaces.dev/v1alpha1", "kind": "Workspace",
            "metadata": { "name": "items" },
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
        "metadata": { "name": "again", "labels": { "a": "b" } },
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

pub async fn an_apply_that_creates_must_name_its_object(client: Client, ns: &str) {
    let api: Api<ConfigMap> = Api::namespaced(client, ns);
    let nameless = Patch::Apply(json!({ "apiVersion": "v1", "kind": "ConfigMap" }));
    let params = PatchParams::apply("one");
    assert_eq!(refusal(api.patch("nameless", &params, &nameless).await), 400);
    made(&api, &config_map("nameless")).await;
    assert_eq!(api.patch("nameless", &params, &nameless).await.unwrap().data.unwrap()["k"], "v");
}

pub async fn an_apply_for_another_uid_is_refused(client: Client, ns: &str) {
    let api: Api<ConfigMap> = Api::namespaced(client, ns);
    made(&api, &config_map("other")).await;
    let patch = Patch::Apply(json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "other", "uid": STRANGER },
    }));
    assert_eq!(refusal(api.patch("other", &PatchParams::apply("one"), &patch).await), 422);
}

pub async fn a_field_written_by_an_update_is_a_conflict_too(client: Client, ns: &str) {
    let api: Api<ConfigMap> = Api::namespaced(client, ns);
    let by_hand = PostParams { field_manager: Some("hand".to_owned()), ..PostParams::default() };
    api.create(&by_hand, &config_map("posted")).await.unwrap();
    let wanted = config("posted", &json!({ "k": "w" }));
    let refused = api.patch("posted", &PatchParams::apply("one"), &wanted).await;
    let Err(kube::Error::Api(status)) = refused else { panic!("refused, not {refused:?}") };
    assert_eq!((status.code, status.reason.as_str()), (409, "Conflict"));
    assert!(status.message.contains("conflict with \"hand\""), "{}", status.message);
    // What is taken by force is gone when it is given up.
    api.patch("posted", &PatchParams::apply("one").force(), &wanted).await.unwrap();
    let after = api
        .patch("posted", &PatchParams::apply("one"), &config("posted", &json!({ "l": "1" })))
        .await
        .unwrap();
    assert_eq!(after.data.unwrap(), [("l".to_owned(), "1".to_owned())].into());
}

pub async fn a_label_given_up_leaves_no_empty_map(client: Client, ns: &str) {
    let api = workspaces(client, ns);
    let with = |metadata: Value| {
        Patch::Apply(json!({
            "apiVersion": "workspaces.dev/v1alpha1", "kind": "Workspace", "metadata": metadata,
            "spec": { "image": "example.com/ide:1" },
        }))
    };
    let params = PatchParams::apply("one");
    api.patch("bare", &params, &with(json!({ "name": "bare", "labels": { "a": "b" } }))).await.unwrap();
    let after = api.patch("bare", &params, &with(json!({ "name": "bare" }))).await.unwrap();
    assert_eq!(after.metadata.labels, None);
}

pub async fn an_owner_given_up_goes_alone(client: Client, ns: &str) {
    let api: Api<ConfigMap> = Api::namespaced(client, ns);
    let owners = [made(&api, &config_map("first")).await, made(&api, &config_map("second")).await];
    let owned_by = |owner: &ConfigMap| {
        Patch::Apply(json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": { "name": "owned", "ownerReferences": [owner.owner_ref(&()).unwrap()] },
        }))
    };
    api.patch("owned", &PatchParams::apply("one"), &owned_by(&owners[0])).await.unwrap();
    api.patch("owned", &PatchParams::apply("two"), &owned_by(&owners[1])).await.unwrap();
    let none =
        Patch::Apply(json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "owned" } }));
    let after = api.patch("owned", &PatchParams::apply("one"), &none).await.unwrap();
    assert_eq!(
        after.owner_references().iter().map(|owner| owner.name.as_str()).collect::<Vec<_>>(),
        ["second"]
    );
}

pub async fn an_apply_with_a_stranger_uid_creates_nothing(client: Client, ns: &str) {
    let api: Api<ConfigMap> = Api::namespaced(client, ns);
    let patch = Patch::Apply(json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": { "name": "ghost", "uid": STRANGER },
    }));
    assert_eq!(refusal(api.patch("ghost", &PatchParams::apply("one"), &patch).await), 409);
    assert!(is_gone(&api, "ghost").await);
}
