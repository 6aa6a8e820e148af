//! Objects and assertions that the cases share.

use std::{fmt::Debug, time::Duration};

use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Pod};
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, GroupVersionKind, PostParams},
};
use serde_json::{Value, json};

/// The HTTP code of a refusal.
pub fn refusal<T: Debug>(result: kube::Result<T>) -> u16 {
    match result {
        Err(kube::Error::Api(status)) => status.code,
        other => panic!("refused with a Status, not {other:?}"),
    }
}

/// No object's UID.
pub const STRANGER: &str = "00000000-0000-4000-8000-000000000000";

pub fn workspaces(client: Client, namespace: &str) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("workspaces.dev", "v1alpha1", "Workspace");
    Api::namespaced_with(client, namespace, &ApiResource::from_gvk(&kind))
}

pub fn workspace(name: &str) -> DynamicObject {
    object(json!({
        "apiVersion": "workspaces.dev/v1alpha1",
        "kind": "Workspace",
        "metadata": { "name": name },
        "spec": { "image": "example.com/ide:1" },
    }))
}

pub fn object<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

pub fn config_map(name: &str) -> ConfigMap {
    object(json!({ "metadata": { "name": name, "labels": { "app": "a" } }, "data": { "k": "v" } }))
}

pub fn pod(name: &str) -> Pod {
    object(json!({
        "metadata": { "name": name },
        "spec": { "containers": [{ "name": "main", "image": "example.com/ide:1", "env": [{ "name": "A", "value": "1" }] }] },
    }))
}

pub fn claim(name: &str) -> PersistentVolumeClaim {
    object(json!({
        "metadata": { "name": name },
        "spec": { "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "1Gi" } } },
    }))
}

/// A Pod that no scheduler and no kubelet touches.
pub fn pod_nowhere(name: &str) -> Pod {
    let mut pod = pod(name);
    pod.spec.as_mut().unwrap().node_selector = Some([("no".to_owned(), "where".to_owned())].into());
    pod.spec.as_mut().unwrap().scheduling_gates = Some(vec![object(json!({ "name": "test/never" }))]);
    pod
}

/// A Pod on a node that does not exist.
pub fn pod_of_lost_node(name: &str) -> Pod {
    let mut pod = pod(name);
    pod.spec.as_mut().unwrap().node_name = Some("lost".to_owned());
    pod
}

pub async fn made<K>(api: &Api<K>, object: &K) -> K
where
    K: kube::Resource + Clone + Debug + serde::Serialize + serde::de::DeserializeOwned,
{
    api.create(&PostParams::default(), object).await.unwrap()
}

/// Waits until the condition holds.
pub async fn eventually<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    for _ in 0..1000 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{what} within 20 s");
}

pub async fn is_gone<K>(api: &Api<K>, name: &str) -> bool
where
    K: Clone + Debug + serde::de::DeserializeOwned,
{
    api.get_opt(name).await.unwrap().is_none()
}
