//! Stopping and starting by `spec.runState`.

use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Service};
use kube::{Resource, ResourceExt};
use serde_json::json;
use test_apiserver::{Fault, Gate, Matcher, Verb};
use test_world::{IMAGE, World, shown, starts, told};
use workspace_operator::api::{ConditionType, Reason, Workspace};

scenarios!(
    a_stop_takes_the_pod_and_leaves_the_volume,
    a_stop_costs_at_most_three_writes,
    a_stopped_workspace_starts_again_and_has_not_failed,
    a_workspace_can_be_stopped_at_every_stage_of_its_start,
    a_start_while_still_stopping_waits_for_the_old_pod_and_has_not_failed,
    a_workspace_created_stopped_has_all_conditions_and_no_child,
    a_stop_ends_a_back_off_and_the_next_start_is_at_once,
);

mod faults {
    use super::*;

    scenarios_in_memory!(
        a_stop_while_the_pod_is_being_made_leaves_no_pod,
        a_stop_between_claim_and_pod_is_followed_by_the_same_start,
        a_pod_is_deleted_once_though_the_cache_shows_it_alive,
    );
}

async fn a_stop_takes_the_pod_and_leaves_the_volume(world: World) {
    world.create("x", full()).await;
    world.ready("x").await;
    let volume: PersistentVolumeClaim = world.api().get("x").await.unwrap();
    stop(&world).await;
    let stopped = is_stopped(&world).await;
    for type_ in [ConditionType::Reconciling, ConditionType::Stalled] {
        assert_eq!(told(&stopped, type_), "False/Settled", "{type_}");
    }
    assert_eq!(told(&stopped, ConditionType::StorageReady), "True/Bound");
    assert_eq!(told(&stopped, ConditionType::PodReady), "False/NoPod");
    assert_eq!(told(&stopped, ConditionType::UpToDate), "Unknown/NoPod");
    let after: PersistentVolumeClaim = world.api().get("x").await.unwrap();
    assert_eq!(after.uid(), volume.uid());
    assert_eq!(after.metadata.deletion_timestamp, None);
}

async fn a_stop_costs_at_most_three_writes(world: World) {
    world.create("x", full()).await;
    world.ready("x").await;
    world.quiet().await;
    world.forget_writes();
    stop(&world).await;
    is_stopped(&world).await;
    world.quiet().await;
    let writes = world.writes();
    assert!(writes.len() <= 3, "{} writes: {}", writes.len(), shown(&writes));
}

async fn a_stopped_workspace_starts_again_and_has_not_failed(world: World) {
    world.create("x", full()).await;
    let before = world.ready("x").await.status.unwrap().incarnation.unwrap();
    stop(&world).await;
    is_stopped(&world).await;
    start(&world).await;
    let after = world.ready("x").await;
    assert_eq!(starts(&after), 2);
    assert_eq!(told(&after, ConditionType::Suspended), "False/NotSuspended");
    let status = after.status.unwrap();
    assert_eq!(status.failures, None, "a planned stop is no failure");
    assert_eq!(status.last_stop, None);
    assert_ne!(status.incarnation.unwrap().pod_uid, before.pod_uid);
    assert_eq!(world.pods.started("x"), 2);
}

async fn a_workspace_can_be_stopped_at_every_stage_of_its_start(world: World) {
    for (name, reason) in [
        ("slow", Reason::AwaitingReadiness),
        ("hang", Reason::AwaitingReadiness),
        ("late", Reason::AwaitingReadiness),
        ("missing", Reason::ImagePullBackOff),
        ("crash", Reason::CrashLoopBackOff),
    ] {
        world.create(name, json!({"image": format!("registry.test/{name}:1")})).await;
        world.reason(name, ConditionType::Ready, reason).await;
        world.change(name, json!({"runState": "Stopped"})).await;
    }
    for name in ["slow", "hang", "late", "missing", "crash"] {
        let stopped = world.reason(name, ConditionType::Suspended, Reason::Stopped).await;
        assert_eq!(told(&stopped, ConditionType::Ready), "False/Stopped", "{name}");
        assert_eq!(told(&stopped, ConditionType::Stalled), "False/Settled", "{name}");
        assert_eq!(starts(&stopped), 1, "{name}");
        assert_eq!(stopped.status.unwrap().failures, None, "{name}");
    }
    world.quiet().await;
    for name in ["slow", "hang", "late", "missing", "crash"] {
        assert!(world.pod(name).await.is_none(), "{name}");
        assert!(world.pods.started(name) <= 1, "{name}");
    }
}

async fn a_start_while_still_stopping_waits_for_the_old_pod_and_has_not_failed(world: World) {
    world.create("x", json!({"image": "registry.test/linger:1"})).await;
    let first = world.ready("x").await.status.unwrap().incarnation.unwrap().pod_uid;
    stop(&world).await;
    let stopping = world.reason("x", ConditionType::Suspended, Reason::Stopping).await;
    assert_eq!(told(&stopping, ConditionType::Ready), "False/Stopping");
    start(&world).await;
    let starting = world.reason("x", ConditionType::Suspended, Reason::NotSuspended).await;
    assert_eq!(told(&starting, ConditionType::Reconciling), "True/Progressing");
    let ready = world.ready_at("x", 2).await;
    assert_eq!(starts(&ready), 2);
    let status = ready.status.unwrap();
    assert_eq!(status.failures, None);
    assert_ne!(status.incarnation.unwrap().pod_uid, first);
    world.quiet().await;
    assert_eq!(world.pods.started("x"), 2);
}

async fn a_workspace_created_stopped_has_all_conditions_and_no_child(world: World) {
    let mut spec = full();
    spec["runState"] = json!("Stopped");
    world.create("x", spec).await;
    let stopped = is_stopped(&world).await;
    world.quiet().await;
    let types: Vec<_> =
        stopped.status.unwrap().conditions.into_iter().map(|condition| condition.type_).collect();
    assert_eq!(types, ConditionType::ALL.iter().map(ToString::to_string).collect::<Vec<_>>());
    let writes = world.writes();
    assert_eq!(writes.len(), 1, "only its status: {}", shown(&writes));
    assert_eq!(world.pods.started("x"), 0);
    assert!(!exists::<PersistentVolumeClaim>(&world).await && !exists::<Service>(&world).await);
    start(&world).await;
    assert_eq!(starts(&world.ready("x").await), 1);
}

async fn a_stop_ends_a_back_off_and_the_next_start_is_at_once(world: World) {
    world.create("x", json!({"image": "registry.test/fail:1"})).await;
    world.reason("x", ConditionType::Ready, Reason::BackingOff).await;
    stop(&world).await;
    is_stopped(&world).await;
    world.change("x", json!({"image": IMAGE, "runState": "Running"})).await;
    let ready = world.ready("x").await;
    assert_eq!(ready.status.unwrap().failures, None, "new intent counts from zero");
}

async fn a_stop_while_the_pod_is_being_made_leaves_no_pod(world: World) {
    let (operator, gate) = (world.operator().unwrap(), Gate::new());
    let making = Matcher::kind("Pod").verb(Verb::Create).main_resource().times(1);
    let held = operator.faults().on(making, Fault::Hold(gate.clone()));
    world.create("x", json!({"image": IMAGE})).await;
    world.eventually("the Pod is being made", || async { (held.hits() == 1).then_some(()) }).await;
    stop(&world).await;
    gate.open();
    let stopped = is_stopped(&world).await;
    world.quiet().await;
    assert!(world.pod("x").await.is_none());
    assert_eq!(stopped.status.unwrap().failures, None);
    start(&world).await;
    assert_eq!(starts(&world.ready("x").await), 2);
    assert_eq!(world.pods.started("x"), 2);
}

async fn a_stop_between_claim_and_pod_is_followed_by_the_same_start(mut world: World) {
    let operator = world.operator().unwrap();
    let making = Matcher::kind("Pod").verb(Verb::Create).main_resource().times(1);
    let held = operator.faults().on(making, Fault::Silence);
    world.create("x", json!({"image": IMAGE})).await;
    world.eventually("the Pod is asked for", || async { (held.hits() == 1).then_some(()) }).await;
    world.kill_operator().await;
    stop(&world).await;
    world.start_operator();
    is_stopped(&world).await;
    start(&world).await;
    let ready = world.ready("x").await;
    assert_eq!(starts(&ready), 1, "the claim never had a Pod, and still fits");
    assert_eq!(ready.status.unwrap().failures, None);
    assert_eq!(world.pods.started("x"), 1);
}

async fn a_pod_is_deleted_once_though_the_cache_shows_it_alive(world: World) {
    let operator = world.operator().unwrap();
    world.create("x", json!({"image": "registry.test/linger:1"})).await;
    world.ready("x").await;
    world.quiet().await;
    world.forget_writes();
    operator.freeze_watches(Matcher::kind("Pod"));
    stop(&world).await;
    for round in 0..5 {
        world.annotate("x", "example.com/poke", Some(&round.to_string())).await;
        world.quiet().await;
    }
    is_stopped(&world).await;
    let writes = world.writes();
    assert!(writes.len() <= 3, "{}", shown(&writes));
    operator.thaw_watches();
    start(&world).await;
    assert_eq!(starts(&world.ready("x").await), 2);
}

async fn stop(world: &World) {
    world.change("x", json!({"runState": "Stopped"})).await;
}

async fn start(world: &World) {
    world.change("x", json!({"runState": "Running"})).await;
}

/// Until there is no Pod, and status says why.
async fn is_stopped(world: &World) -> Workspace {
    let stopped = world.reason("x", ConditionType::Ready, Reason::Stopped).await;
    assert_eq!(told(&stopped, ConditionType::Suspended), "True/Stopped");
    assert!(world.pod("x").await.is_none(), "Stopped is said only once the Pod is gone");
    stopped
}

async fn exists<K>(world: &World) -> bool
where
    K: Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + serde::de::DeserializeOwned,
{
    world.api::<K>().get_opt("x").await.unwrap().is_some()
}

fn full() -> serde_json::Value {
    json!({"image": IMAGE, "storage": {"size": "1Gi"}, "ports": [{"containerPort": 80}]})
}
