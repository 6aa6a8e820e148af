//! Creating and changing.

use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::{
    Api, Client, ResourceExt,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::json;

use crate::support::*;

fn dry_run() -> PostParams {
    PostParams { dry_run: true, ..PostParams::default() }
}

pub async fn a_taken_name_is_refused_even_in_a_dry_run(client: Client, ns: &str) {
    let api: Api<ConfigMap> = Api::namespaced(client, ns);
    made(&api, &config_map("taken")).await;
    for params in [PostParams::default(), dry_run()] {
        let refused = api.create(&params, &config_map("taken")).await;
        let Err(kube::Error::Api(status)) = refused else { panic!("refused, not {refused:?}") };
        assert_eq!((status.code, status.reason.as_str()), (409, "AlreadyExists"));
    }
}

pub async fn a_generated_name_begins_with_its_prefix(client: Client, ns: &str) {
    let api: Api<ConfigMap> = Api::namespaced(client, ns);
    let mut wanted = config_map("");
    wanted.metadata.name = None;
    wanted.metadata.generate_name = Some("some-".to_owned());
    let (first, second) = (made(&api, &wanted).await.name_any(), made(&api, &wanted).await.name_any());
    assert!(first.starts_with("some-") && second.starts_with("some-"));
    assert_eq!(first.len(), "some-".len() + 5);
    assert_ne!(first, second);
}

pub async fn a_stale_write_is_refused(client: Client, ns: &str) {
    let api: Api<ConfigMap> = Api::namespaced(client, ns);
    let mut old = made(&api, &config_map("stale")).await;
    let patch = Patch::Merge(json!({ "data": { "k": "newer" } }));
    api.patch("stale", &PatchParams::default(), &patch).await.unwrap();
    old.data = Some([("k".to_owned(), "older".to_owned())].into());
    assert_eq!(refusal(api.replace("stale", &PostParams::default(), &old).await), 409);
    let stale = Patch::Merge(
        json!({ "metadata": { "resourceVersion": old.resource_version() }, "data": { "k": "x" } }),
    );
    assert_eq!(refusal(api.patch("stale", &PatchParams::default(), &stale).await), 409);
    assert_eq!(api.get("stale").await.unwrap().data.unwrap()["k"], "newer");
}

pub async fn a_write_for_another_uid_is_refused(client: Client, ns: &str) {
    let api: Api<ConfigMap> = Api::namespaced(client, ns);
    let mut other = made(&api, &config_map("other")).await;
    let patch = Patch::Merge(json!({ "metadata": { "uid": STRANGER } }));
    assert_eq!(refusal(api.patch("other", &PatchParams::default(), &patch).await), 422);
    other.metadata.uid = Some(STRANGER.to_owned());
    assert_eq!(refusal(api.replace("other", &PostParams::default(), &other).await), 409);
}

pub async fn an_unconditional_put_is_refused_for_custom_resources(client: Client, ns: &str) {
    let api = workspaces(client, ns);
    made(&api, &workspace("put")).await;
    assert_eq!(refusal(api.replace("put", &PostParams::default(), &workspace("put")).await), 422);
}

pub async fn a_write_that_changes_nothing_keeps_the_resource_version(client: Client, ns: &str) {
    let api = workspaces(client, ns);
    let made = made(&api, &workspace("same")).await;
    let put = api.replace("same", &PostParams::default(), &made).await.unwrap();
    assert_eq!(put.resource_version(), made.resource_version());
    let patch = Patch::Merge(json!({ "spec": { "image": "example.com/ide:1" } }));
    let patched = api.patch("same", &PatchParams::default(), &patch).await.unwrap();
    assert_eq!(patched.resource_version(), made.resource_version());
}

pub async fn the_generation_counts_changes_of_the_spec_only(client: Client, ns: &str) {
    let api = workspaces(client, ns);
    assert_eq!(made(&api, &workspace("counted")).await.metadata.generation, Some(1));
    let params = PatchParams::default();
    let label = Patch::Merge(json!({ "metadata": { "labels": { "a": "b" } } }));
    assert_eq!(api.patch("counted", &params, &label).await.unwrap().metadata.generation, Some(1));
    let status = Patch::Merge(json!({ "status": { "observedGeneration": 1 } }));
    assert_eq!(api.patch_status("counted", &params, &status).await.unwrap().metadata.generation, Some(1));
    let spec = Patch::Merge(json!({ "spec": { "image": "example.com/ide:2" } }));
    assert_eq!(api.patch("counted", &params, &spec).await.unwrap().metadata.generation, Some(2));
}

pub async fn status_and_spec_are_written_apart(client: Client, ns: &str) {
    let api = workspaces(client, ns);
    let mut with_status = workspace("apart");
    with_status.data["status"] = json!({ "observedGeneration": 7 });
    assert!(made(&api, &with_status).await.data.get("status").is_none());
    let both = Patch::Merge(json!({ "spec": { "image": "x:2" }, "status": { "observedGeneration": 3 } }));
    let params = PatchParams::default();
    let after = api.patch_status("apart", &params, &both).await.unwrap();
    assert_eq!(after.data["spec"]["image"], "example.com/ide:1");
    assert_eq!(after.data["status"]["observedGeneration"], 3);
    let after = api.patch("apart", &params, &Patch::Merge(json!({ "status": null }))).await.unwrap();
    assert_eq!(after.data["status"]["observedGeneration"], 3);
}

pub async fn a_stale_status_is_refused(client: Client, ns: &str) {
    let api = workspaces(client, ns);
    let old = made(&api, &workspace("stale")).await.resource_version();
    let status = |version: Option<String>, observed: i64| {
        let metadata = json!({ "resourceVersion": version });
        Patch::Merge(json!({ "metadata": metadata, "status": { "observedGeneration": observed } }))
    };
    let params = PatchParams::default();
    let newer = api.patch_status("stale", &params, &status(old.clone(), 1)).await.unwrap();
    assert_eq!(refusal(api.patch_status("stale", &params, &status(old, 2)).await), 409);
    let after = api.patch_status("stale", &params, &status(newer.resource_version(), 3)).await.unwrap();
    assert_eq!(after.data["status"]["observedGeneration"], 3);
}

pub async fn a_pods_labels_keep_its_generation(client: Client, ns: &str) {
    let api: Api<Pod> = Api::namespaced(client, ns);
    made(&api, &pod("labelled")).await;
    eventually("the Pod runs", || async {
        api.get("labelled").await.unwrap().status.unwrap().phase.as_deref() == Some("Running")
    })
    .await;
    let label = Patch::Merge(json!({ "metadata": { "labels": { "a": "b" } } }));
    let after = api.patch("labelled", &PatchParams::default(), &label).await.unwrap();
    assert_eq!(after.metadata.generation, Some(1));
}

pub async fn a_dry_run_changes_nothing(client: Client, ns: &str) {
    let api: Api<ConfigMap> = Api::namespaced(client, ns);
    let would = api.create(&dry_run(), &config_map("dry")).await.unwrap();
    assert!(would.uid().is_some());
    assert!(is_gone(&api, "dry").await);
    let made = made(&api, &config_map("dry")).await;
    let params = PatchParams { dry_run: true, ..PatchParams::default() };
    let patched = api.patch("dry", &params, &Patch::Merge(json!({ "data": { "k": "new" } }))).await.unwrap();
    assert_eq!(patched.data.unwrap()["k"], "new");
    assert_eq!(api.get("dry").await.unwrap(), made);
}

pub async fn a_json_patch_whose_test_fails_changes_nothing(client: Client, ns: &str) {
    let api: Api<ConfigMap> = Api::namespaced(client, ns);
    let made = made(&api, &config_map("tested")).await;
    let patch = |expected: &str| {
        Patch::<()>::Json(object(json!([
            { "op": "test", "path": "/data/k", "value": expected },
            { "op": "replace", "path": "/data/k", "value": "new" },
        ])))
    };
    assert_eq!(refusal(api.patch("tested", &PatchParams::default(), &patch("other")).await), 422);
    assert_eq!(api.get("tested").await.unwrap(), made);
    let patched = api.patch("tested", &PatchParams::default(), &patch("v")).await.unwrap();
    assert_eq!(patched.data.unwrap()["k"], "new");
}

pub async fn a_strategic_merge_keeps_other_items(client: Client, ns: &str) {
    let api: Api<Pod> = Api::namespaced(client, ns);
    made(&api, &pod_nowhere("merged")).await;
    let patch = Patch::Strategic(json!({
        "metadata": { "labels": { "a": "b" } },
        "spec": { "containers": [{ "name": "main", "image": "example.com/ide:2" }] },
    }));
    let patched = api.patch("merged", &PatchParams::default(), &patch).await.unwrap();
    let container = &patched.spec.unwrap().containers[0];
    assert_eq!(container.image.as_deref(), Some("example.com/ide:2"));
    assert_eq!(container.env.as_ref().unwrap().len(), 1);
}

pub async fn a_pod_is_immutable_but_for_its_image_and_metadata(client: Client, ns: &str) {
    let api: Api<Pod> = Api::namespaced(client, ns);
    made(&api, &pod_nowhere("fixed")).await;
    let params = PatchParams::default();
    let container = |fields: serde_json::Value| {
        let mut container = json!({ "name": "main" });
        container.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        Patch::Strategic(json!({ "spec": { "containers": [container] } }))
    };
    let environment = container(json!({ "env": [{ "name": "A", "value": "2" }] }));
    assert_eq!(refusal(api.patch("fixed", &params, &environment).await), 422);
    let resources = container(json!({ "resources": { "requests": { "cpu": "1" } } }));
    assert_eq!(refusal(api.patch("fixed", &params, &resources).await), 422);
    api.patch("fixed", &params, &container(json!({ "image": "example.com/ide:3" }))).await.unwrap();
}

pub async fn resources_of_a_running_pod_change_by_resize_only(client: Client, ns: &str) {
    let api: Api<Pod> = Api::namespaced(client, ns);
    let mut pod = pod("resized");
    pod.spec.as_mut().unwrap().containers[0].resources = Some(object(json!({ "requests": { "cpu": "1" } })));
    made(&api, &pod).await;
    eventually("the Pod runs", || async {
        api.get("resized").await.unwrap().status.unwrap().phase.as_deref() == Some("Running")
    })
    .await;
    let patch = Patch::Strategic(json!({ "spec": { "containers": [
        { "name": "main", "resources": { "requests": { "cpu": "2" } } },
    ] } }));
    assert_eq!(refusal(api.patch("resized", &PatchParams::default(), &patch).await), 422);
    let resized = api.patch_resize("resized", &PatchParams::default(), &patch).await.unwrap();
    let container = &resized.spec.unwrap().containers[0];
    assert_eq!(container.resources.as_ref().unwrap().requests.as_ref().unwrap()["cpu"].0, "2");
    assert_eq!(resized.metadata.generation, Some(2));
}

pub async fn a_pods_condition_is_patched_for_its_uid_only(client: Client, ns: &str) {
    let api: Api<Pod> = Api::namespaced(client, ns);
    let pod = made(&api, &pod_nowhere("gated")).await;
    let patch = |uid: Option<String>, kind: &str, status: &str| {
        let conditions = json!([{ "type": kind, "status": status, "reason": "Test" }]);
        Patch::Strategic(json!({ "metadata": { "uid": uid }, "status": { "conditions": conditions } }))
    };
    let params = PatchParams::default();
    // As any patch: only a PUT and a deletion answer 409.
    let stranger = patch(Some(STRANGER.to_owned()), "test.dev/gate", "True");
    let refused = api.patch_status("gated", &params, &stranger).await;
    let Err(kube::Error::Api(status)) = refused else { panic!("refused, not {refused:?}") };
    assert_eq!((status.code, status.reason.as_str()), (422, "Invalid"));
    assert_eq!(status.details.unwrap().causes[0].field, "metadata.uid");
    for (kind, status) in [("test.dev/gate", "False"), ("test.dev/other", "True"), ("test.dev/gate", "True")]
    {
        api.patch_status("gated", &params, &patch(pod.uid(), kind, status)).await.unwrap();
    }
    let conditions = api.get("gated").await.unwrap().status.unwrap().conditions.unwrap();
    for own in ["test.dev/gate", "test.dev/other"] {
        let found: Vec<_> =
            conditions.iter().filter(|one| one.type_ == own).map(|one| &*one.status).collect();
        assert_eq!(found, ["True"], "{own}");
    }
}

pub async fn a_pod_without_its_account_is_forbidden(client: Client, ns: &str) {
    let api: Api<Pod> = Api::namespaced(client, ns);
    let mut pod = pod("stranger");
    pod.spec.as_mut().unwrap().service_account_name = Some("nobody".to_owned());
    assert_eq!(refusal(api.create(&PostParams::default(), &pod).await), 403);
}

pub async fn an_object_in_a_missing_namespace_is_not_found(client: Client, _: &str) {
    let api: Api<ConfigMap> = Api::namespaced(client, "nowhere");
    assert_eq!(refusal(api.create(&PostParams::default(), &config_map("lost")).await), 404);
}
