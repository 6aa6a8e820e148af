//! What makes one cluster fit for many test processes at once.

#![allow(clippy::unwrap_used, reason = "the tests' own helpers may end a test too")]

use std::{fs, time::Duration};

use k8s_openapi::{
    api::core::v1::{Namespace, Pod},
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api,
    api::{ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams, PostParams},
};
use serde_json::json;
use test_cluster::{Cluster, Component, NodeKind, until};

const LIMIT: Duration = Duration::from_secs(30);

const DEFINITION: &str = "apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: samples.test-cluster.example
spec:
  group: test-cluster.example
  scope: Namespaced
  names: { kind: Sample, listKind: SampleList, plural: samples, singular: sample }
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema: { type: object }
---
apiVersion: test-cluster.example/v1
kind: Sample
metadata:
  name: first
";

#[tokio::test]
async fn definitions_installed_by_several_callers_at_once_are_served_to_each() {
    let cluster = Cluster::up(NodeKind::Fake).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("sample.yaml"), DEFINITION).unwrap();
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("test-cluster.example", "v1", "Sample"));
    let install = async || {
        cluster.install_crds(folder.path()).await.unwrap();
        let samples: Api<DynamicObject> = Api::default_namespaced_with(cluster.client().unwrap(), &resource);
        samples.list(&ListParams::default()).await.unwrap().items.len()
    };
    let counts = tokio::join!(install(), install(), install());
    assert_eq!(counts, (1, 1, 1));
    let definitions: Api<CustomResourceDefinition> = Api::all(cluster.client().unwrap());
    definitions.delete("samples.test-cluster.example", &DeleteParams::default()).await.unwrap();
}

#[tokio::test]
async fn a_dropped_namespace_is_deleted() {
    let cluster = Cluster::up(NodeKind::Fake).await.unwrap();
    let namespace = cluster.namespace("dropped", NodeKind::Fake).await.unwrap();
    let name = namespace.name().to_owned();
    drop(namespace);
    let namespaces: Api<Namespace> = Api::all(cluster.client().unwrap());
    let is_leaving =
        namespaces.get_opt(&name).await.unwrap().is_none_or(|n| n.metadata.deletion_timestamp.is_some());
    assert!(is_leaving);
}

#[tokio::test]
async fn a_killed_component_is_started_again_by_the_next_who_needs_the_cluster() {
    let cluster = Cluster::up(NodeKind::Fake).await.unwrap();
    cluster.kill(Component::Kwok).await.unwrap();
    let cluster_again = Cluster::up(NodeKind::Fake).await.unwrap();
    a_pod_runs(&cluster_again).await;
}

#[tokio::test]
async fn a_component_that_was_stopped_works_again_once_started() {
    let cluster = Cluster::up(NodeKind::Fake).await.unwrap();
    cluster.stop(Component::Scheduler).await.unwrap();
    cluster.start(Component::Scheduler).await.unwrap();
    a_pod_runs(&cluster).await;
}

async fn a_pod_runs(cluster: &Cluster) {
    let namespace = cluster.namespace("again", NodeKind::Fake).await.unwrap();
    let pods: Api<Pod> = Api::namespaced(cluster.client().unwrap(), namespace.name());
    let pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": "pod" },
        "spec": { "containers": [{ "name": "main", "image": "registry.test/app:1" }] },
    });
    pods.create(&PostParams::default(), &serde_json::from_value(pod).unwrap()).await.unwrap();
    let runs = until("the pod to run", LIMIT, || async {
        let phase = pods.get("pod").await.unwrap().status.and_then(|status| status.phase);
        Ok((phase.as_deref() == Some("Running")).then_some(()))
    });
    runs.await.unwrap();
}
