//! The cluster around the server: scheduler, volumes, kubelet.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are assertions")]

use std::{pin::pin, sync::Arc, time::Duration};

use futures::StreamExt;
use jiff::Timestamp;
use serde_json::{Value, json};
use test_apiserver::{ApiServer, Binding, Options, Resizing, Running, Scheduling, Termination};

const NS: &str = "default";

/// A server whose cluster runs on tokio's paused clock.
fn cluster() -> (ApiServer, Running) {
    let start: Timestamp = "2030-01-01T00:00:00Z".parse().unwrap();
    let server = ApiServer::with_options(Options::default().tokio_clock(start));
    let running = server.run();
    (server, running)
}

fn make_pod(server: &ApiServer, name: &str, image: &str, spec: &Value) {
    let mut object = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": name },
        "spec": { "containers": [{ "name": "main", "image": image, "resources": { "requests": { "cpu": "1" } } }] },
    });
    for (field, value) in spec.as_object().into_iter().flatten() {
        object["spec"][field] = value.clone();
    }
    server.create(object).unwrap();
}

fn make_claim(server: &ApiServer, name: &str) {
    server
        .create(json!({
            "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": { "name": name },
            "spec": { "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "1Gi" } } },
        }))
        .unwrap();
}

fn pod(server: &ApiServer, name: &str) -> Arc<Value> {
    server.object("Pod", NS, name).expect("the Pod exists")
}

fn condition(object: &Value, kind: &str) -> (String, String) {
    let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let found = conditions.into_iter().find(|one| one["type"] == kind).unwrap_or_default();
    let text = |field: &str| found[field].as_str().unwrap_or_default().to_owned();
    (text("status"), text("reason"))
}

fn is_ready(server: &ApiServer, name: &str) -> bool {
    condition(&pod(server, name), "Ready").0 == "True"
}

fn container(server: &ApiServer, name: &str) -> Value {
    pod(server, name)["status"]["containerStatuses"][0].clone()
}

fn waits_for(server: &ApiServer, name: &str) -> String {
    container(server, name)["state"]["waiting"]["reason"].as_str().unwrap_or_default().to_owned()
}

/// Lets everything happen that is due within the time.
async fn pass(time: Duration) {
    tokio::time::sleep(time).await;
}

async fn settle() {
    pass(Duration::from_millis(1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_plain_pod_becomes_ready_with_the_status_a_kubelet_writes() {
    let (server, _cluster) = cluster();
    make_pod(&server, "plain", "example.com/ide:1", &json!({}));
    settle().await;
    let pod = pod(&server, "plain");
    assert_eq!(pod["spec"]["nodeName"], "node-1");
    assert_eq!(pod["status"]["phase"], "Running");
    assert_eq!(pod["metadata"]["generation"], 1);
    for kind in ["PodScheduled", "Initialized", "ContainersReady", "Ready"] {
        assert_eq!(condition(&pod, kind).0, "True", "{kind}");
    }
    let status = &pod["status"]["containerStatuses"][0];
    assert!(status["imageID"].as_str().unwrap().starts_with("example.com/ide@sha256:"));
    assert_eq!(
        (&status["ready"], &status["started"], &status["restartCount"]),
        (&json!(true), &json!(true), &json!(0))
    );
    assert_eq!(status["state"]["running"]["startedAt"], "2030-01-01T00:00:00Z");
    for field in ["startTime", "podIP", "hostIP"] {
        assert!(pod["status"][field].is_string(), "{field}");
    }
}

#[tokio::test(start_paused = true)]
async fn images_name_what_becomes_of_a_pod() {
    let (server, _cluster) = cluster();
    for word in ["missing", "hang", "crash", "fail", "late", "slow"] {
        make_pod(&server, word, &format!("example.com/{word}:1"), &json!({}));
    }
    settle().await;
    assert_eq!(waits_for(&server, "missing"), "ErrImagePull");
    assert_eq!(waits_for(&server, "late"), "ContainerCreating");
    assert_eq!(waits_for(&server, "crash"), "CrashLoopBackOff");
    assert_eq!(container(&server, "crash")["restartCount"], 3);
    assert_eq!(container(&server, "crash")["lastState"]["terminated"]["exitCode"], 1);
    assert!(!is_ready(&server, "slow"));
    pass(Duration::from_millis(200)).await;
    assert_eq!(waits_for(&server, "missing"), "ImagePullBackOff");
    assert!(is_ready(&server, "slow"));
    assert_eq!(pod(&server, "fail")["status"]["phase"], "Failed");
    let ended = container(&server, "fail")["state"]["terminated"].clone();
    assert_eq!((&ended["exitCode"], ended["message"].is_string()), (&json!(3), true));
    pass(Duration::from_hours(1)).await;
    assert_eq!(pod(&server, "hang")["status"]["phase"], "Running");
    assert!(!is_ready(&server, "hang"));
    assert_eq!(waits_for(&server, "late"), "ContainerCreating");
    server.release(NS, "late").unwrap();
    settle().await;
    assert!(is_ready(&server, "late"));
}

#[tokio::test(start_paused = true)]
async fn a_deleted_pod_goes_and_a_lingering_one_stays_a_while() {
    let (server, _cluster) = cluster();
    for (name, image) in [("quick", "x/ide"), ("linger", "x/linger"), ("released", "x/linger")] {
        make_pod(&server, name, image, &json!({}));
    }
    settle().await;
    assert!(is_ready(&server, "linger"));
    for name in ["quick", "linger", "released"] {
        server.delete("Pod", NS, name).unwrap();
    }
    settle().await;
    assert!(server.object("Pod", NS, "quick").is_none());
    assert!(pod(&server, "linger")["metadata"]["deletionTimestamp"].is_string());
    server.release(NS, "released").unwrap();
    settle().await;
    assert!(server.object("Pod", NS, "released").is_none());
    assert!(server.object("Pod", NS, "linger").is_some());
    pass(Duration::from_millis(300)).await;
    assert!(server.object("Pod", NS, "linger").is_none());
}

#[tokio::test(start_paused = true)]
async fn a_test_can_unready_restart_and_fail_a_pod() {
    let (server, _cluster) = cluster();
    make_pod(&server, "x", "x/ide", &json!({}));
    settle().await;
    server.set_pod_ready(NS, "x", false).unwrap();
    pass(Duration::from_secs(5)).await;
    assert_eq!(condition(&pod(&server, "x"), "Ready"), ("False".to_owned(), "ContainersNotReady".to_owned()));
    server.set_pod_ready(NS, "x", true).unwrap();
    server.restart_container(NS, "x", "main", Termination::out_of_memory()).unwrap();
    settle().await;
    assert!(is_ready(&server, "x"));
    assert_eq!(container(&server, "x")["restartCount"], 1);
    assert_eq!(container(&server, "x")["lastState"]["terminated"]["reason"], "OOMKilled");
    assert_eq!(container(&server, "x")["state"]["running"]["startedAt"], "2030-01-01T00:00:05Z");
    server
        .fail_pod(NS, "x", Termination::exit(137).message("node was low on memory"), Some("Evicted"))
        .unwrap();
    settle().await;
    assert_eq!(pod(&server, "x")["status"]["phase"], "Failed");
    assert_eq!(pod(&server, "x")["status"]["reason"], "Evicted");
}

#[tokio::test(start_paused = true)]
async fn a_pod_waits_for_its_claim_to_be_bound() {
    let (server, _cluster) = cluster();
    server.behave(|behaviour| {
        behaviour.binding = Binding::Held;
    });
    let volumes =
        json!({ "volumes": [{ "name": "data", "persistentVolumeClaim": { "claimName": "data" } }] });
    make_pod(&server, "x", "x/ide", &volumes);
    settle().await;
    assert_eq!(
        condition(&pod(&server, "x"), "PodScheduled"),
        ("False".to_owned(), "Unschedulable".to_owned())
    );
    make_claim(&server, "data");
    settle().await;
    assert_eq!(server.object("PersistentVolumeClaim", NS, "data").unwrap()["status"]["phase"], "Pending");
    assert!(pod(&server, "x")["spec"]["nodeName"].is_null());
    server.bind_claim(NS, "data").unwrap();
    settle().await;
    assert_eq!(server.object("PersistentVolumeClaim", NS, "data").unwrap()["status"]["phase"], "Bound");
    assert!(is_ready(&server, "x"));
}

#[tokio::test(start_paused = true)]
async fn a_claim_in_use_stays_until_its_pod_is_gone() {
    let (server, _cluster) = cluster();
    make_claim(&server, "data");
    let volumes =
        json!({ "volumes": [{ "name": "data", "persistentVolumeClaim": { "claimName": "data" } }] });
    make_pod(&server, "x", "x/ide", &volumes);
    settle().await;
    server.delete("PersistentVolumeClaim", NS, "data").unwrap();
    pass(Duration::from_mins(1)).await;
    let claim = server.object("PersistentVolumeClaim", NS, "data").expect("the claim is protected");
    assert!(claim["metadata"]["deletionTimestamp"].is_string());
    server.delete("Pod", NS, "x").unwrap();
    settle().await;
    assert!(server.object("PersistentVolumeClaim", NS, "data").is_none());
}

#[tokio::test(start_paused = true)]
async fn a_container_waits_for_what_its_environment_refers_to() {
    let (server, _cluster) = cluster();
    let containers = json!({ "containers": [{
        "name": "main", "image": "x/ide", "envFrom": [{ "secretRef": { "name": "s" } }],
        "env": [{ "name": "A", "valueFrom": { "configMapKeyRef": { "name": "c", "key": "k" } } }],
    }] });
    make_pod(&server, "x", "x/ide", &containers);
    settle().await;
    assert_eq!(waits_for(&server, "x"), "CreateContainerConfigError");
    let secret = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "s" }, "stringData": { "k": "v" } });
    assert_eq!(server.create(secret).unwrap()["data"]["k"], "dg==");
    settle().await;
    assert_eq!(waits_for(&server, "x"), "CreateContainerConfigError");
    server
        .create(json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "c" }, "data": { "k": "v" } }))
        .unwrap();
    settle().await;
    assert!(is_ready(&server, "x"));
}

#[tokio::test(start_paused = true)]
async fn an_unschedulable_pod_says_why_and_heals() {
    let (server, _cluster) = cluster();
    server.behave(|behaviour| {
        behaviour.scheduling = Scheduling::Unschedulable("1 Insufficient cpu".to_owned());
    });
    make_pod(&server, "x", "x/ide", &json!({}));
    settle().await;
    assert_eq!(condition(&pod(&server, "x"), "PodScheduled").1, "Unschedulable");
    server.behave(|behaviour| {
        behaviour.scheduling = Scheduling::AtOnce;
    });
    settle().await;
    assert!(is_ready(&server, "x"));
}

#[tokio::test(start_paused = true)]
async fn a_readiness_gate_decides_whether_a_running_pod_is_ready() {
    let (server, _cluster) = cluster();
    let gates = json!([{ "conditionType": "test.dev/gate" }, { "conditionType": "test.dev/other" }]);
    make_pod(&server, "x", "x/ide", &json!({ "readinessGates": gates }));
    settle().await;
    let not_ready = ("False".to_owned(), "ReadinessGatesNotReady".to_owned());
    assert_eq!(condition(&pod(&server, "x"), "Ready"), not_ready);
    assert_eq!(condition(&pod(&server, "x"), "ContainersReady").0, "True");
    let meet = async |gate: &str, status: &str| {
        server.set_pod_condition(NS, "x", json!({ "type": gate, "status": status })).unwrap();
        settle().await;
    };
    meet("test.dev/other", "True").await;
    meet("test.dev/gate", "False").await;
    assert_eq!(condition(&pod(&server, "x"), "Ready"), not_ready);
    meet("test.dev/gate", "True").await;
    assert!(is_ready(&server, "x"));
    meet("test.dev/other", "Unknown").await;
    assert_eq!(condition(&pod(&server, "x"), "Ready"), not_ready);
    assert_eq!(condition(&pod(&server, "x"), "test.dev/gate").0, "True");
}

#[tokio::test(start_paused = true)]
async fn an_unmet_gate_is_told_in_the_words_of_a_kubelet() {
    let (server, _cluster) = cluster();
    let gates = json!([{ "conditionType": "test.dev/gate" }, { "conditionType": "test.dev/other" }]);
    make_pod(&server, "x", "x/ide", &json!({ "readinessGates": gates }));
    server.set_pod_condition(NS, "x", json!({ "type": "test.dev/other", "status": "False" })).unwrap();
    settle().await;
    let pod = pod(&server, "x");
    let ready = pod["status"]["conditions"].as_array().unwrap().iter().find(|one| one["type"] == "Ready");
    let expected = "corresponding condition of pod readiness gate \"test.dev/gate\" does not exist., \
                    the status of pod readiness gate \"test.dev/other\" is not \"True\", but False";
    assert_eq!(ready.unwrap()["message"], expected);
}

#[tokio::test(start_paused = true)]
async fn a_container_that_restarts_in_place_is_seen_to_end_and_to_run_again() {
    let (server, _cluster) = cluster();
    let sidecar = json!([{ "name": "agent", "image": "x/agent", "restartPolicy": "Always" }]);
    make_pod(&server, "x", "x/ide", &json!({ "initContainers": sidecar }));
    settle().await;
    let pods: kube::Api<k8s_openapi::api::core::v1::Pod> = kube::Api::namespaced(server.client(), NS);
    let version = server.revision().to_string();
    let mut events = pin!(pods.watch(&kube::api::WatchParams::default(), &version).await.unwrap());
    pass(Duration::from_secs(5)).await;
    server.restart_container(NS, "x", "main", Termination::exit(3)).unwrap();
    settle().await;
    let mut next = async || {
        let Some(Ok(kube::api::WatchEvent::Modified(pod))) = events.next().await else { panic!("a change") };
        serde_json::to_value(pod).unwrap()
    };
    let (down, up) = (next().await, next().await);
    let (before, after) = (&down["status"]["containerStatuses"][0], &up["status"]["containerStatuses"][0]);
    assert_eq!(condition(&down, "Ready"), ("False".to_owned(), "ContainersNotReady".to_owned()));
    assert_eq!((&before["ready"], &before["restartCount"]), (&json!(false), &json!(0)));
    assert_eq!(before["state"]["terminated"]["exitCode"], 3);
    assert_eq!(condition(&up, "Ready").0, "True");
    assert_eq!((&after["ready"], &after["restartCount"]), (&json!(true), &json!(1)));
    assert_eq!(after["lastState"], before["state"]);
    assert_eq!(after["state"]["running"]["startedAt"], "2030-01-01T00:00:05Z");
    assert_ne!(after["containerID"], before["containerID"]);
    assert_eq!(up["status"]["phase"], "Running");
    let agent = |pod: &Value| pod["status"]["initContainerStatuses"][0].clone();
    assert_eq!((&agent(&up)["restartCount"], agent(&up)), (&json!(0), agent(&down)));
    server.restart_container(NS, "x", "agent", Termination::exit(1)).unwrap();
    settle().await;
    let (down, up) = (next().await, next().await);
    assert_eq!((condition(&down, "Ready").0, condition(&up, "Ready").0), ("False".into(), "True".into()));
    assert_eq!(agent(&up)["restartCount"], 1);
    assert_eq!(container(&server, "x")["restartCount"], 1);
}

#[tokio::test(start_paused = true)]
async fn a_container_stays_down_for_as_long_as_it_takes_to_start_it() {
    let (server, _cluster) = cluster();
    server.behave(|behaviour| behaviour.restart_after = Duration::from_secs(10));
    make_pod(&server, "x", "x/ide", &json!({}));
    settle().await;
    server.restart_container(NS, "x", "main", Termination::exit(1)).unwrap();
    pass(Duration::from_secs(9)).await;
    assert!(!is_ready(&server, "x"));
    assert_eq!(container(&server, "x")["restartCount"], 0);
    pass(Duration::from_secs(2)).await;
    assert!(is_ready(&server, "x"));
    assert_eq!(container(&server, "x")["state"]["running"]["startedAt"], "2030-01-01T00:00:10Z");
}

#[tokio::test(start_paused = true)]
async fn what_a_test_writes_into_a_status_stays() {
    let (server, _cluster) = cluster();
    make_pod(&server, "x", "x/ide", &json!({}));
    settle().await;
    server.change_status("Pod", NS, "x", |status| status["message"] = json!("by hand")).unwrap();
    pass(Duration::from_mins(1)).await;
    assert_eq!(pod(&server, "x")["status"]["message"], "by hand");
}

#[tokio::test(start_paused = true)]
async fn a_node_grants_or_defers_a_resize() {
    let (server, _cluster) = cluster();
    make_pod(&server, "x", "x/ide", &json!({}));
    settle().await;
    let client: kube::Api<k8s_openapi::api::core::v1::Pod> = kube::Api::namespaced(server.client(), NS);
    let resize = async |cpu: &str| {
        let resources = json!({ "requests": { "cpu": cpu } });
        let patch = json!({ "spec": { "containers": [{ "name": "main", "resources": resources }] } });
        let patch = kube::api::Patch::Strategic(patch);
        client.patch_resize("x", &kube::api::PatchParams::default(), &patch).await.unwrap();
        settle().await;
    };
    resize("2").await;
    assert_eq!(container(&server, "x")["resources"]["requests"]["cpu"], "2");
    server.behave(|behaviour| {
        behaviour.resizing = Resizing::Deferred;
    });
    resize("3").await;
    assert_eq!(container(&server, "x")["resources"]["requests"]["cpu"], "2");
    assert_eq!(condition(&pod(&server, "x"), "PodResizePending"), ("True".to_owned(), "Deferred".to_owned()));
    server.behave(|behaviour| {
        behaviour.resizing = Resizing::Done;
    });
    settle().await;
    assert_eq!(container(&server, "x")["resources"]["requests"]["cpu"], "3");
    assert_eq!(condition(&pod(&server, "x"), "PodResizePending").0, "");
}

#[tokio::test(start_paused = true)]
async fn a_budget_refuses_an_eviction_with_too_many_requests() {
    let (server, _cluster) = cluster();
    make_pod(&server, "x", "x/ide", &json!({}));
    server.change("Pod", NS, "x", |pod| pod["metadata"]["labels"] = json!({ "app": "x" })).unwrap();
    server
        .create(json!({
            "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": { "name": "b" },
            "spec": { "maxUnavailable": 0, "selector": { "matchLabels": { "app": "x" } } },
        }))
        .unwrap();
    settle().await;
    let refused = server.evict(NS, "x").unwrap_err();
    assert_eq!((refused.code, refused.reason.as_str()), (429, "TooManyRequests"));
    server.delete("PodDisruptionBudget", NS, "b").unwrap();
    server.evict(NS, "x").unwrap();
    settle().await;
    assert!(server.object("Pod", NS, "x").is_none());
}

#[test]
fn the_same_seed_gives_the_same_world() {
    let world = || {
        let clock = || "2030-01-01T00:00:00Z".parse().unwrap();
        let server = ApiServer::with_options(Options::default().seed(7).clock(clock));
        make_pod(&server, "x", "x/ide", &json!({}));
        make_claim(&server, "data");
        server.step();
        (server.objects("Pod"), server.objects("PersistentVolumeClaim"), server.revision())
    };
    assert_eq!(world(), world());
}
