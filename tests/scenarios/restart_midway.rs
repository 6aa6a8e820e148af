//! Restarts asked for in the middle of something else.

use kube::ResourceExt;
use serde_json::json;
use test_apiserver::{Fault, Gate, Matcher, Verb, failure};
use test_world::{IMAGE, World, condition, is, shown, starts, told};
use workspace_operator::api::{ConditionType, Reason, Workspace, WorkspaceStatus};

scenarios!(
    a_restart_while_the_old_pod_terminates_joins_the_one_under_way,
    a_restart_while_booting_replaces_the_pod_at_once,
    a_restart_while_hanging_replaces_the_pod_at_once,
    a_restart_in_a_crash_loop_replaces_the_pod_at_once,
    a_restart_of_an_image_that_is_missing_replaces_the_pod_at_once,
    a_restart_while_backing_off_ends_it,
    the_second_start_waits_until_the_first_is_gone,
    one_workspace_hangs_while_another_becomes_ready,
);

mod faults {
    use super::*;

    scenarios_in_memory!(
        a_restart_while_the_pod_is_being_made_is_served_by_the_next,
        a_restart_while_the_claim_has_no_pod_claims_anew,
        a_restart_while_the_volume_is_pending_is_served,
    );
}

async fn a_restart_while_the_old_pod_terminates_joins_the_one_under_way(world: World) {
    world.create("x", json!({"image": "registry.test/linger:1"})).await;
    world.ready("x").await;
    world.restart("x").await;
    terminating(&world, "x").await;
    let newest = world.restart("x").await;
    let ready = status(world.ready("x").await);
    assert_eq!(ready.last_handled_restart_at.map(|time| time.0), Some(newest));
    world.quiet().await;
    assert_eq!(world.pods.started("x"), 2, "one restart with the newest time");
}

async fn a_restart_while_booting_replaces_the_pod_at_once(world: World) {
    if let Some(server) = world.server() {
        // Long enough to be found booting on a busy machine.
        server.behave(|behaviour| behaviour.change_after = std::time::Duration::from_secs(3));
    }
    world.create("x", json!({"image": "registry.test/slow:1"})).await;
    is_replaced_at_once(&world, Reason::AwaitingReadiness).await;
    let ready = world.ready("x").await;
    assert_eq!(starts(&ready), 2, "{ready:?}");
    assert_eq!(world.pods.started("x"), 2);
}

async fn a_restart_while_hanging_replaces_the_pod_at_once(world: World) {
    world.create("x", json!({"image": "registry.test/hang:1"})).await;
    is_replaced_at_once(&world, Reason::AwaitingReadiness).await;
}

async fn a_restart_in_a_crash_loop_replaces_the_pod_at_once(world: World) {
    world.create("x", json!({"image": "registry.test/crash:1"})).await;
    is_replaced_at_once(&world, Reason::CrashLoopBackOff).await;
}

async fn a_restart_of_an_image_that_is_missing_replaces_the_pod_at_once(world: World) {
    world.create("x", json!({"image": "registry.test/missing:1"})).await;
    is_replaced_at_once(&world, Reason::ImagePullBackOff).await;
}

/// Waits until its first Pod is there for that reason, restarts, and finds a second Pod and no third, without
/// any look at the successor, and no mark of a failure.
async fn is_replaced_at_once(world: &World, reason: Reason) {
    world.reason("x", ConditionType::Ready, reason).await;
    let first = living(world, "x").await;
    let asked = world.restart("x").await;
    let second = world.until("x", "at its second start", |workspace| starts(workspace) >= 2).await;
    let second = status(second);
    assert_eq!(second.last_handled_restart_at.map(|time| time.0), Some(asked));
    assert_eq!(second.failures, None, "what somebody stops has not failed");
    assert_ne!(living(world, "x").await, first);
    world.quiet().await;
    assert_eq!(world.pods.started("x"), 2, "{}", shown(&world.pods.of("x")));
    assert!(
        !world.log.requests().iter().any(|call| call.dry_run || call.is_probe),
        "a bad start has no veto"
    );
}

async fn a_restart_while_backing_off_ends_it(world: World) {
    world.create("x", json!({"image": "registry.test/fail:1"})).await;
    let waiting = world.reason("x", ConditionType::Ready, Reason::BackingOff).await;
    let number = starts(&waiting);
    assert_eq!(number, 2, "the first failure is replaced at once, the second waits");
    let asked = world.restart("x").await;
    let next = world.until("x", "started anew", |workspace| starts(workspace) > number).await;
    assert_eq!(starts(&next), 3);
    let next = status(next);
    assert_eq!(next.last_handled_restart_at.map(|time| time.0), Some(asked));
    assert!(next.failures.is_none_or(|failures| failures.consecutive <= 1), "new intent counts from zero");
}

async fn the_second_start_waits_until_the_first_is_gone(world: World) {
    world.create("x", json!({"image": "registry.test/linger:1"})).await;
    let first = status(world.ready("x").await).incarnation.unwrap().pod_uid;
    world.restart("x").await;
    terminating(&world, "x").await;
    let stopping = world.reason("x", ConditionType::Ready, Reason::Stopping).await;
    assert_eq!(starts(&stopping), 1, "nothing is claimed while the first is there");
    assert_eq!(told(&stopping, ConditionType::Reconciling), "True/Progressing");
    assert!(condition(&stopping, ConditionType::UpToDate).unwrap().2.contains("restart asked for"));
    world.until("x", "claimed anew", |workspace| starts(workspace) == 2).await;
    let now = world.pod("x").await.and_then(|pod| pod.uid());
    assert_ne!(now, first, "the claim comes after the first Pod's end");
    world.ready("x").await;
    assert_eq!(world.pods.started("x"), 2);
}

async fn one_workspace_hangs_while_another_becomes_ready(mut world: World) {
    world.stop_operator().await;
    world.settings.concurrency = 1;
    world.start_operator();
    world.create("hanging", json!({"image": "registry.test/hang:1"})).await;
    world.create("lingering", json!({"image": "registry.test/linger:1"})).await;
    world.ready("lingering").await;
    world.reason("hanging", ConditionType::Ready, Reason::AwaitingReadiness).await;
    world.restart("hanging").await;
    world.restart("lingering").await;
    world.create("other", json!({"image": IMAGE})).await;
    assert_eq!(starts(&world.ready("other").await), 1);
    assert!(is(&world.get("hanging").await, ConditionType::Ready, "False"), "it still hangs");
    world.ready("lingering").await;
    let hanging = world.get("hanging").await;
    assert_eq!(told(&hanging, ConditionType::Ready), "False/AwaitingReadiness");
    assert_eq!(starts(&hanging), 2);
}

async fn a_restart_while_the_pod_is_being_made_is_served_by_the_next(world: World) {
    let (operator, gate) = (world.operator().unwrap(), Gate::new());
    let making = Matcher::kind("Pod").verb(Verb::Create).main_resource().times(1);
    let held = operator.faults().on(making, Fault::Hold(gate.clone()));
    world.create("x", json!({"image": IMAGE})).await;
    world.until("x", "claimed", |workspace| starts(workspace) == 1).await;
    world.eventually("the Pod is being made", || async { (held.hits() == 1).then_some(()) }).await;
    let asked = world.restart("x").await;
    gate.open();
    let ready = world.ready("x").await;
    assert_eq!(starts(&ready), 2);
    assert_eq!(status(ready).last_handled_restart_at.map(|time| time.0), Some(asked));
    world.quiet().await;
    assert_eq!(world.pods.started("x"), 2);
}

async fn a_restart_while_the_claim_has_no_pod_claims_anew(world: World) {
    let server = world.server().unwrap();
    server.refuse(|admission| {
        (admission.kind == "Pod" && admission.verb == Verb::Create)
            .then(|| failure::failure(403, "Forbidden", "pods \"x\" is forbidden: a policy says no"))
    });
    world.create("x", json!({"image": IMAGE})).await;
    let refused = world.reason("x", ConditionType::Ready, Reason::PodRefused).await;
    assert_eq!(starts(&refused), 1);
    server.refuse_nothing();
    let asked = world.restart("x").await;
    let ready = world.ready("x").await;
    assert_eq!(starts(&ready), 2, "a number may be skipped, a wish may not");
    assert_eq!(status(ready).last_handled_restart_at.map(|time| time.0), Some(asked));
    world.quiet().await;
    assert_eq!(world.pods.started("x"), 1);
}

async fn a_restart_while_the_volume_is_pending_is_served(world: World) {
    let server = world.server().unwrap();
    server.behave(|cluster| cluster.binding = test_apiserver::Binding::Held);
    world.create("x", json!({"image": IMAGE, "storage": {"size": "1Gi"}})).await;
    world.reason("x", ConditionType::Ready, Reason::VolumePending).await;
    living(&world, "x").await;
    world.restart("x").await;
    world.until("x", "at its second start", |workspace| starts(workspace) == 2).await;
    server.bind_claim(&world.namespace, "x").unwrap();
    assert_eq!(starts(&world.ready("x").await), 2);
    world.quiet().await;
    assert_eq!(world.pods.started("x"), 2);
}

fn status(workspace: Workspace) -> WorkspaceStatus {
    workspace.status.unwrap()
}

/// Until the Pod is on its way out.
async fn terminating(world: &World, name: &str) {
    let what = format!("the Pod of {name} terminates");
    let is_terminating =
        || async { world.pod(name).await?.metadata.deletion_timestamp.is_some().then_some(()) };
    world.eventually(&what, is_terminating).await;
}

/// The UID of a Pod that is not on its way out.
async fn living(world: &World, name: &str) -> String {
    let what = format!("{name} has a Pod");
    let uid = || async {
        let pod = world.pod(name).await.filter(|pod| pod.metadata.deletion_timestamp.is_none())?;
        pod.uid()
    };
    world.eventually(&what, uid).await
}
