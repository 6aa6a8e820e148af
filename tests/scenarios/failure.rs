//! Lost Pods, crash loops, deadlines.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    ResourceExt,
    api::{DeleteParams, EvictParams, Patch, PatchParams},
};
use serde_json::{Value, json};
use test_apiserver::{Scheduling, Verb};
use test_world::{IMAGE, World, condition, is, shown, starts, told};
use workspace_operator::api::{ConditionType, Reason, Workspace, status::Failures};

scenarios!(
    a_pod_that_somebody_deletes_is_replaced_at_once,
    an_evicted_pod_is_replaced_at_once,
    the_second_loss_in_a_row_backs_off_also_over_an_operator_restart,
    a_back_off_ends_with_a_start,
    new_intent_ends_a_back_off_and_counts_from_zero,
    a_crash_loop_is_explained_and_not_restarted,
    a_start_past_its_deadline_is_stalled_until_it_succeeds,
    the_deadline_of_a_start_is_kept_over_an_operator_restart,
    an_image_that_was_never_there_is_explained_without_flapping,
);

mod faults {
    use super::*;

    scenarios_in_memory!(a_pod_without_a_node_is_explained, a_lost_node_is_explained_and_its_pod_left_alone);
}

async fn a_pod_that_somebody_deletes_is_replaced_at_once(world: World) {
    world.create("x", json!({"image": IMAGE})).await;
    world.ready("x").await;
    lose(&world).await;
    let replaced = world.ready_at("x", 2).await;
    let failures = failures(&replaced);
    assert_eq!((failures.consecutive, failures.next_start_time), (1, None));
    assert_eq!(failures.last.unwrap().reason, "PodDeleted");
    world.quiet().await;
    assert_eq!(world.pods.started("x"), 2);
}

async fn an_evicted_pod_is_replaced_at_once(world: World) {
    for name in ["drained", "pushed"] {
        world.create(name, json!({"image": IMAGE})).await;
        world.ready(name).await;
    }
    world.api::<Pod>().evict("drained", &EvictParams::default()).await.unwrap();
    let status = json!({"phase": "Failed", "reason": "Evicted", "message": "the node was low on memory"});
    report(&world, "pushed", &status).await;
    for (name, reason) in [("drained", "PodDeleted"), ("pushed", "Evicted")] {
        let failures = failures(&world.ready_at(name, 2).await);
        assert_eq!((failures.consecutive, failures.next_start_time), (1, None));
        assert_eq!(failures.last.unwrap().reason, reason);
    }
}

async fn the_second_loss_in_a_row_backs_off_also_over_an_operator_restart(mut world: World) {
    world.create("x", json!({"image": "registry.test/fail:1"})).await;
    let waiting = world.reason("x", ConditionType::Ready, Reason::BackingOff).await;
    let before = failures(&waiting);
    assert_eq!((starts(&waiting), before.consecutive), (2, 2));
    assert!(before.next_start_time.is_some());
    let last = before.last.clone().unwrap();
    assert_eq!((last.reason.as_str(), last.exit_code), ("PodFailed", Some(3)));
    let (.., message) = condition(&waiting, ConditionType::Ready).unwrap();
    assert!(message.contains("2 failures in a row"), "{message}");

    world.kill_operator().await;
    world.forget_writes();
    world.start_operator();
    world.quiet().await;
    assert_eq!(failures(&world.get("x").await), before);
    assert!(world.writes().is_empty(), "{}", shown(&world.writes()));
    assert_eq!(world.pods.started("x"), 2);
}

async fn a_back_off_ends_with_a_start(world: World) {
    back_off(&world).await;
    let healed = world.ready_at("x", 3).await;
    assert_eq!(failures(&healed).consecutive, 2, "that it goes on by itself forgives nothing");
    assert_eq!(world.pods.started("x"), 3);
}

async fn new_intent_ends_a_back_off_and_counts_from_zero(world: World) {
    back_off(&world).await;
    world.restart("x").await;
    let restarted = world.ready("x").await;
    assert_eq!(starts(&restarted), 3);
    assert_eq!(restarted.status.unwrap().failures, None);

    lose(&world).await;
    world.ready_at("x", 4).await;
    lose(&world).await;
    world.reason("x", ConditionType::Ready, Reason::BackingOff).await;
    world.change("x", json!({"env": [{"name": "A", "value": "1"}]})).await;
    let changed = world.ready_at("x", 5).await;
    assert_eq!(changed.status.unwrap().failures, None);
}

async fn a_crash_loop_is_explained_and_not_restarted(world: World) {
    world.create("x", json!({"image": "registry.test/crash:1"})).await;
    let looping = world.reason("x", ConditionType::Ready, Reason::CrashLoopBackOff).await;
    let (.., message) = condition(&looping, ConditionType::Ready).unwrap();
    assert!(message.contains("exit code 1"), "{message}");
    assert_eq!(told(&looping, ConditionType::Reconciling), "True/Progressing");
    world.quiet().await;
    let still = world.get("x").await;
    assert_eq!((starts(&still), &still.status.as_ref().unwrap().failures), (1, &None));
    assert_eq!(world.pods.started("x"), 1, "the kubelet restarts the container, nobody the Pod");
}

async fn a_start_past_its_deadline_is_stalled_until_it_succeeds(world: World) {
    if let Some(server) = world.server() {
        server.behave(|cluster| cluster.change_after = Duration::from_secs(4));
    }
    world.create("x", json!({"image": "registry.test/slow:1", "progressDeadlineSeconds": 1})).await;
    let stalled = world.reason("x", ConditionType::Stalled, Reason::DeadlineExceeded).await;
    assert_eq!(told(&stalled, ConditionType::Reconciling), "False/DeadlineExceeded");
    assert_eq!(told(&stalled, ConditionType::Ready), "False/AwaitingReadiness");
    let healed = world.ready("x").await;
    assert_eq!(told(&healed, ConditionType::Stalled), "False/Settled");
    assert_eq!((starts(&healed), world.pods.started("x")), (1, 1), "the late Pod was left alone");
}

async fn the_deadline_of_a_start_is_kept_over_an_operator_restart(mut world: World) {
    world.create("x", json!({"image": "registry.test/hang:1", "progressDeadlineSeconds": 5})).await;
    let claimed = world.reason("x", ConditionType::Ready, Reason::AwaitingReadiness).await;
    world.quiet().await;
    world.kill_operator().await;
    let start = claimed.status.unwrap().incarnation.unwrap().start_time.unwrap().0;
    let deadline = start + SignedDuration::from_secs(5);
    world.eventually("the deadline passes", || async { (Timestamp::now() > deadline).then_some(()) }).await;
    assert!(is(&world.get("x").await, ConditionType::Stalled, "False"));
    world.start_operator();
    // A deadline counted from the operator's start would not be over by then.
    world.quiet().await;
    let stalled = world.get("x").await;
    assert_eq!(told(&stalled, ConditionType::Stalled), "True/DeadlineExceeded");
    assert_eq!((starts(&stalled), world.pods.started("x")), (1, 1));
}

async fn an_image_that_was_never_there_is_explained_without_flapping(world: World) {
    world.create("x", json!({"image": "registry.test/missing:1"})).await;
    let backing_off = world.reason("x", ConditionType::Ready, Reason::ImagePullBackOff).await;
    let (.., message) = condition(&backing_off, ConditionType::Ready).unwrap();
    assert!(message.contains("registry.test/missing:1"), "{message}");
    world.quiet().await;
    let written = status_writes(&world);
    assert!(
        written <= 3,
        "more than AwaitingReadiness, ErrImagePull, ImagePullBackOff: {}",
        shown(&world.writes())
    );

    world.forget_writes();
    for reason in ["ErrImagePull", "ImagePullBackOff", "ErrImagePull"] {
        let waiting = json!({"waiting": {"reason": reason, "message": format!("{reason} again")}});
        let main = json!({"name": "main", "image": "i", "imageID": "", "ready": false, "restartCount": 0, "state": waiting});
        report(&world, "x", &json!({"containerStatuses": [main]})).await;
        world.quiet().await;
    }
    assert_eq!(status_writes(&world), 0, "{}", shown(&world.writes()));

    world.change("x", json!({"image": IMAGE})).await;
    let healed = world.ready_at("x", 2).await;
    assert_eq!(healed.status.unwrap().failures, None);
}

async fn a_pod_without_a_node_is_explained(world: World) {
    let server = world.server().unwrap();
    server.behave(|cluster| cluster.scheduling = Scheduling::Unschedulable("1 Insufficient cpu".to_owned()));
    world.create("x", json!({"image": IMAGE})).await;
    let waiting = world.reason("x", ConditionType::Ready, Reason::Unschedulable).await;
    let (.., message) = condition(&waiting, ConditionType::Ready).unwrap();
    assert!(message.contains("1 Insufficient cpu"), "{message}");
    world.quiet().await;
    server.behave(|cluster| cluster.scheduling = Scheduling::AtOnce);
    let healed = world.ready("x").await;
    assert_eq!((starts(&healed), world.pods.started("x")), (1, 1));
}

async fn a_lost_node_is_explained_and_its_pod_left_alone(world: World) {
    let server = world.server().unwrap();
    world.create("x", json!({"image": IMAGE})).await;
    world.ready("x").await;
    world.quiet().await;
    world.forget_writes();
    // The node controller's mark: not Ready without a reason, while the kubelet's last word stands.
    server.set_pod_condition("test", "x", json!({"type": "Ready", "status": "False"})).unwrap();
    let lost = world.reason("x", ConditionType::Ready, Reason::NodeLost).await;
    let (.., message) = condition(&lost, ConditionType::Ready).unwrap();
    assert!(message.contains("node.kubernetes.io/out-of-service"), "{message}");
    world.quiet().await;
    assert!(world.writes().iter().all(|call| call.verb != Verb::Delete), "{}", shown(&world.writes()));
    server.set_pod_condition("test", "x", json!({"type": "Ready", "status": "True"})).unwrap();
    let back = world.ready("x").await;
    assert_eq!((starts(&back), world.pods.started("x")), (1, 1));
}

/// Two Pods lost in a row.
async fn back_off(world: &World) {
    world.create("x", json!({"image": IMAGE})).await;
    world.ready("x").await;
    lose(world).await;
    world.ready_at("x", 2).await;
    lose(world).await;
    let waiting = world.reason("x", ConditionType::Ready, Reason::BackingOff).await;
    assert_eq!((starts(&waiting), failures(&waiting).consecutive), (2, 2));
}

/// Somebody deletes the Pod.
async fn lose(world: &World) {
    world.api::<Pod>().delete("x", &DeleteParams::default()).await.unwrap();
}

fn failures(workspace: &Workspace) -> Failures {
    workspace.status.clone().unwrap().failures.expect("failures in status")
}

fn status_writes(world: &World) -> usize {
    world.writes().iter().filter(|call| call.subresource.as_deref() == Some("status")).count()
}

/// Writes a Pod's status as its kubelet would.
async fn report(world: &World, name: &str, status: &Value) {
    let patch = Patch::Merge(json!({ "status": status }));
    let pod = world.api::<Pod>().patch_status(name, &PatchParams::default(), &patch).await.unwrap();
    assert_eq!(pod.name_any(), name);
}
