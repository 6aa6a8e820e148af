//! What fake nodes do with a Pod, by its image. Needs nothing installed but Go.

#![allow(clippy::unwrap_used, reason = "the tests' own helpers may end a test too")]

use std::time::Duration;

use k8s_openapi::api::core::v1::{ContainerState, PersistentVolumeClaim, Pod, PodStatus};
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use serde_json::json;
use test_cluster::{Cluster, Namespace, NodeKind, until};

const LIMIT: Duration = Duration::from_secs(30);

async fn pods_of_a_fresh_namespace() -> (Namespace, Api<Pod>) {
    let cluster = Cluster::up(NodeKind::Fake).await.unwrap();
    let namespace = cluster.namespace("fake", NodeKind::Fake).await.unwrap();
    let pods = Api::namespaced(cluster.client().unwrap(), namespace.name());
    (namespace, pods)
}

async fn create(pods: &Api<Pod>, image: &str, extra: serde_json::Value) {
    let mut pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": "pod" },
        "spec": { "containers": [{ "name": "main", "image": image }] },
    });
    for (field, value) in extra.as_object().into_iter().flatten() {
        pod["spec"][field] = value.clone();
    }
    pods.create(&PostParams::default(), &serde_json::from_value(pod).unwrap()).await.unwrap();
}

async fn status_that(pods: &Api<Pod>, what: &str, holds: impl Fn(&PodStatus) -> bool) -> PodStatus {
    let seen = until(what, LIMIT, || async {
        let status = pods.get("pod").await.unwrap().status.unwrap_or_default();
        Ok(holds(&status).then_some(status))
    });
    seen.await.unwrap()
}

fn condition<'a>(status: &'a PodStatus, type_: &str) -> &'a str {
    let conditions = status.conditions.iter().flatten();
    conditions.into_iter().find(|c| c.type_ == type_).map_or("", |c| &c.status)
}

fn is_ready(status: &PodStatus) -> bool {
    condition(status, "Ready") == "True"
}

fn state(status: &PodStatus) -> ContainerState {
    let containers = status.container_statuses.iter().flatten();
    containers.into_iter().next().and_then(|c| c.state.clone()).unwrap_or_default()
}

fn waits_for(status: &PodStatus) -> String {
    state(status).waiting.and_then(|waiting| waiting.reason).unwrap_or_default()
}

#[tokio::test]
async fn an_ordinary_pod_is_ready_at_once_with_all_that_a_kubelet_tells() {
    let (_namespace, pods) = pods_of_a_fresh_namespace().await;
    create(&pods, "registry.test/app:1", json!({})).await;
    let status = status_that(&pods, "the pod to be ready", is_ready).await;
    assert_eq!(status.phase.as_deref(), Some("Running"));
    for type_ in ["PodScheduled", "Initialized", "ContainersReady", "Ready"] {
        assert_eq!(condition(&status, type_), "True", "{type_}");
    }
    assert!(status.start_time.is_some());
    assert!(status.pod_ip.as_ref().is_some_and(|ip| ip.starts_with("10.245.")), "{:?}", status.pod_ip);
    let container = &status.container_statuses.unwrap()[0];
    assert!(container.ready);
    assert_eq!(container.started, Some(true));
    assert_eq!(container.image_id, "fake://registry.test/app:1");
}

#[tokio::test]
async fn a_pod_bound_to_a_node_by_name_behaves_the_same() {
    let (_namespace, pods) = pods_of_a_fresh_namespace().await;
    create(&pods, "registry.test/missing:1", json!({ "nodeName": "fake-0" })).await;
    status_that(&pods, "the image to be refused", |s| waits_for(s) == "ImagePullBackOff").await;
}

#[tokio::test]
async fn a_missing_image_is_refused_then_backs_off_and_never_runs() {
    let (_namespace, pods) = pods_of_a_fresh_namespace().await;
    create(&pods, "registry.test/missing:1", json!({})).await;
    status_that(&pods, "the image to be refused", |s| waits_for(s) == "ErrImagePull").await;
    let status = status_that(&pods, "the back-off", |s| waits_for(s) == "ImagePullBackOff").await;
    assert_eq!(status.phase.as_deref(), Some("Pending"));
    assert_eq!(condition(&status, "Ready"), "False");
}

#[tokio::test]
async fn a_slow_pod_runs_before_it_is_ready() {
    let (_namespace, pods) = pods_of_a_fresh_namespace().await;
    create(&pods, "registry.test/slow:1", json!({})).await;
    let running = |s: &PodStatus| s.phase.as_deref() == Some("Running") && !is_ready(s);
    status_that(&pods, "the pod to run, not ready", running).await;
    status_that(&pods, "the pod to be ready", is_ready).await;
}

#[tokio::test]
async fn a_late_pod_is_being_created_before_it_is_ready() {
    let (_namespace, pods) = pods_of_a_fresh_namespace().await;
    create(&pods, "registry.test/late:1", json!({})).await;
    status_that(&pods, "the pod to be created", |s| waits_for(s) == "ContainerCreating").await;
    status_that(&pods, "the pod to be ready", is_ready).await;
}

#[tokio::test]
async fn a_hanging_pod_runs_and_is_not_ready() {
    let (_namespace, pods) = pods_of_a_fresh_namespace().await;
    create(&pods, "registry.test/hang:1", json!({})).await;
    let status = status_that(&pods, "the pod to run", |s| state(s).running.is_some()).await;
    assert_eq!(condition(&status, "Ready"), "False");
    assert_eq!(status.phase.as_deref(), Some("Running"));
}

#[tokio::test]
async fn a_crashing_pod_backs_off_after_three_restarts() {
    let (_namespace, pods) = pods_of_a_fresh_namespace().await;
    create(&pods, "registry.test/crash:1", json!({})).await;
    let status = status_that(&pods, "the back-off", |s| waits_for(s) == "CrashLoopBackOff").await;
    let container = &status.container_statuses.unwrap()[0];
    assert_eq!(container.restart_count, 3);
    let last = container.last_state.clone().and_then(|state| state.terminated).unwrap();
    assert_eq!(last.exit_code, 1);
}

#[tokio::test]
async fn a_failing_pod_ends_as_a_whole_with_its_exit_code_and_message() {
    let (_namespace, pods) = pods_of_a_fresh_namespace().await;
    create(&pods, "registry.test/fail:1", json!({})).await;
    let status = status_that(&pods, "the pod to fail", |s| s.phase.as_deref() == Some("Failed")).await;
    let ended = state(&status).terminated.unwrap();
    assert_eq!((ended.exit_code, ended.reason.as_deref()), (3, Some("Error")));
    assert!(ended.message.is_some());
}

#[tokio::test]
async fn a_lingering_pod_is_seen_terminating_and_then_goes() {
    let (_namespace, pods) = pods_of_a_fresh_namespace().await;
    create(&pods, "registry.test/linger:1", json!({})).await;
    status_that(&pods, "the pod to be ready", is_ready).await;
    pods.delete("pod", &DeleteParams::default()).await.unwrap();
    assert!(pods.get("pod").await.unwrap().metadata.deletion_timestamp.is_some());
    gone(&pods).await;
}

#[tokio::test]
async fn a_deleted_pod_goes() {
    let (_namespace, pods) = pods_of_a_fresh_namespace().await;
    create(&pods, "registry.test/hang:1", json!({})).await;
    status_that(&pods, "the pod to run", |s| state(s).running.is_some()).await;
    pods.delete("pod", &DeleteParams::default()).await.unwrap();
    gone(&pods).await;
}

async fn gone(pods: &Api<Pod>) {
    let gone = until("the pod to be gone", LIMIT, || async {
        Ok(pods.get_opt("pod").await.unwrap().is_none().then_some(()))
    });
    gone.await.unwrap();
}

#[tokio::test]
async fn a_readiness_gate_decides_whether_a_running_pod_is_ready() {
    let (_namespace, pods) = pods_of_a_fresh_namespace().await;
    let gates = json!({ "readinessGates": [{ "conditionType": "workspaces.dev/registered" }] });
    create(&pods, "registry.test/app:1", gates).await;
    let contained = |s: &PodStatus| condition(s, "ContainersReady") == "True";
    let status = status_that(&pods, "the containers to be ready", contained).await;
    assert_eq!(condition(&status, "Ready"), "False");

    let set_gate = async |value: &str| {
        let condition = json!({ "type": "workspaces.dev/registered", "status": value });
        let patch = json!({ "status": { "conditions": [condition] } });
        pods.patch_status("pod", &PatchParams::default(), &Patch::Strategic(patch)).await.unwrap();
    };
    set_gate("True").await;
    status_that(&pods, "the pod to be ready", is_ready).await;
    set_gate("False").await;
    status_that(&pods, "the pod to be ready no longer", |s| !is_ready(s)).await;
}

#[tokio::test]
async fn a_resize_in_place_is_carried_out() {
    let (_namespace, pods) = pods_of_a_fresh_namespace().await;
    create(&pods, "registry.test/app:1", json!({})).await;
    status_that(&pods, "the pod to be ready", is_ready).await;
    let with_cpu = |cpu| json!([{ "name": "main", "resources": { "requests": { "cpu": cpu } } }]);
    let named = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": "sized" },
        "spec": { "containers": with_cpu("100m") },
    });
    let mut sized = named.clone();
    sized["spec"]["containers"][0]["image"] = json!("registry.test/app:1");
    pods.create(&PostParams::default(), &serde_json::from_value(sized).unwrap()).await.unwrap();
    let cpu_becomes = async |cpu: &str| {
        let became = until(format!("{cpu} of CPU"), LIMIT, || async {
            let status = pods.get("sized").await.unwrap().status.unwrap_or_default();
            let resources = status.container_statuses.unwrap_or_default().pop().and_then(|c| c.resources);
            let requests = resources.and_then(|r| r.requests).unwrap_or_default();
            Ok(requests.get("cpu").is_some_and(|found| found.0 == cpu).then_some(()))
        });
        became.await.unwrap();
    };
    cpu_becomes("100m").await;
    let patch = json!({ "spec": { "containers": with_cpu("200m") } });
    pods.patch_subresource("resize", "sized", &PatchParams::default(), &Patch::Strategic(patch))
        .await
        .unwrap();
    cpu_becomes("200m").await;
}

#[tokio::test]
async fn a_claim_is_bound_and_may_ask_for_more() {
    let cluster = Cluster::up(NodeKind::Fake).await.unwrap();
    let namespace = cluster.namespace("claim", NodeKind::Fake).await.unwrap();
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(cluster.client().unwrap(), namespace.name());
    let claim = json!({
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": { "name": "data" },
        "spec": { "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "1Gi" } } },
    });
    claims.create(&PostParams::default(), &serde_json::from_value(claim).unwrap()).await.unwrap();
    let bound = until("the claim to be bound", LIMIT, || async {
        let status = claims.get("data").await.unwrap().status.unwrap_or_default();
        Ok((status.phase.as_deref() == Some("Bound")).then_some(()))
    });
    bound.await.unwrap();
    let more = json!({ "spec": { "resources": { "requests": { "storage": "2Gi" } } } });
    claims.patch("data", &PatchParams::default(), &Patch::Merge(more)).await.unwrap();
    namespace.close().await.unwrap();
}
