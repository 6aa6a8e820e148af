//! Deleting workspaces, and making them anew.

use k8s_openapi::api::core::v1::{Namespace, PersistentVolumeClaim, Pod, Service};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, Patch, PatchParams},
};
use serde_json::{Value, json};
use test_apiserver::{Fault, Gate, Matcher, Verb};
use test_world::{IMAGE, World, is, shown, starts, told};
use workspace_operator::api::{ConditionType, Reason, Workspace};

scenarios!(
    a_workspace_can_be_deleted_while_starting,
    a_workspace_can_be_deleted_while_restarting,
    a_workspace_can_be_deleted_while_stopping,
    a_workspace_deleted_and_created_at_once_becomes_ready_under_its_new_owner,
    a_new_workspace_waits_for_the_pod_of_the_former,
    a_retained_volume_is_taken_up_again,
    a_volume_goes_along_where_that_is_asked_for,
    a_new_workspace_waits_for_the_volume_of_the_former_to_go,
    what_a_finalizer_keeps_loses_its_pod_and_gets_no_new_one,
    a_stopped_workspace_kept_by_a_finalizer_loses_its_children,
    a_namespace_can_be_deleted,
);

mod faults {
    use super::*;

    scenarios_in_memory!(
        a_workspace_deleted_while_its_pod_is_being_made_leaves_no_pod,
        a_pod_lost_while_its_namespace_is_deleted_is_not_asked_for_again_and_again,
        without_a_garbage_collector_a_finalizer_still_lets_the_children_go,
    );
}

async fn a_workspace_can_be_deleted_while_starting(world: World) {
    for name in ["slow", "hang", "late", "crash"] {
        world.create(name, json!({"image": format!("registry.test/{name}:1")})).await;
        world.until(name, "claimed", |workspace| starts(workspace) == 1).await;
        world.delete(name).await;
        world.gone(name).await;
        assert!(world.pods.started(name) <= 1, "{}", shown(&world.pods.of(name)));
    }
    world.quiet().await;
    for name in ["slow", "hang", "late", "crash"] {
        assert!(world.pod(name).await.is_none(), "{name}");
    }
}

async fn a_workspace_can_be_deleted_while_restarting(world: World) {
    world.create("x", lingering()).await;
    world.ready("x").await;
    world.restart("x").await;
    world.reason("x", ConditionType::Ready, Reason::Stopping).await;
    world.delete("x").await;
    world.gone("x").await;
    world.quiet().await;
    assert!(world.pod("x").await.is_none());
    assert_eq!(world.pods.started("x"), 1, "the second start is not wanted any more");
}

async fn a_workspace_can_be_deleted_while_stopping(world: World) {
    world.create("x", lingering()).await;
    world.ready("x").await;
    world.change("x", json!({"runState": "Stopped"})).await;
    world.reason("x", ConditionType::Ready, Reason::Stopping).await;
    world.delete("x").await;
    world.gone("x").await;
    world.quiet().await;
    assert_eq!(world.pods.started("x"), 1);
}

async fn a_workspace_deleted_and_created_at_once_becomes_ready_under_its_new_owner(world: World) {
    world.create("x", full("Retain")).await;
    let former = world.ready("x").await;
    world.delete("x").await;
    let new = world.create("x", full("Retain")).await;
    assert_ne!(new.uid(), former.uid());
    let ready = world.ready("x").await;
    assert_eq!(ready.uid(), new.uid());
    assert_eq!(starts(&ready), 1, "it counts from one");
    assert_eq!(ready.status.unwrap().failures, None);
    assert_eq!(owner(&world.pod("x").await.unwrap()), new.uid());
    let service: Service = world.api().get("x").await.unwrap();
    assert_eq!(service.owner_references()[0].uid, new.uid().unwrap());
    world.quiet().await;
    assert_eq!(world.pods.started("x"), 2);
}

async fn a_new_workspace_waits_for_the_pod_of_the_former(world: World) {
    world.create("x", lingering()).await;
    world.ready("x").await;
    world.delete("x").await;
    let new = world.create("x", lingering()).await;
    let waiting = world.reason("x", ConditionType::Ready, Reason::Terminating).await;
    assert_eq!(starts(&waiting), 0, "nothing is claimed while the former's Pod is there");
    assert_eq!(told(&waiting, ConditionType::Reconciling), "True/Progressing");
    world.ready("x").await;
    assert_eq!(owner(&world.pod("x").await.unwrap()), new.uid());
    world.quiet().await;
    assert_eq!(world.pods.started("x"), 2);
}

async fn a_retained_volume_is_taken_up_again(world: World) {
    world.create("x", full("Retain")).await;
    world.ready("x").await;
    let kept = volume(&world).await.unwrap();
    world.delete("x").await;
    world.gone("x").await;
    world.quiet().await;
    let after = volume(&world).await.expect("a retained volume stays");
    assert_eq!((after.uid(), after.metadata.deletion_timestamp), (kept.uid(), None));
    world.create("x", full("Retain")).await;
    let ready = world.ready("x").await;
    assert_eq!(told(&ready, ConditionType::StorageReady), "True/Bound");
    assert_eq!(volume(&world).await.unwrap().uid(), kept.uid());
    let pod = world.pod("x").await.unwrap();
    let mounted = pod.spec.unwrap().volumes.unwrap_or_default().into_iter();
    let claims: Vec<_> = mounted.filter_map(|volume| volume.persistent_volume_claim).collect();
    assert_eq!(claims[0].claim_name, "x");
}

async fn a_volume_goes_along_where_that_is_asked_for(world: World) {
    world.create("x", full("Delete")).await;
    world.ready("x").await;
    world.delete("x").await;
    world.gone("x").await;
    is_volume_gone(&world).await;
    world.create("y", json!({"image": IMAGE, "storage": {"size": "1Gi"}})).await;
    world.ready("y").await;
    world.change("y", json!({"storage": {"whenDeleted": "Delete"}})).await;
    let owned = || async {
        let claim: PersistentVolumeClaim = world.api().get("y").await.unwrap();
        (!claim.owner_references().is_empty()).then_some(())
    };
    world.eventually("the retention asked for later is in force", owned).await;
    assert_eq!(world.pods.started("y"), 1, "and restarts nothing");
}

async fn a_new_workspace_waits_for_the_volume_of_the_former_to_go(world: World) {
    world.create("x", full("Delete")).await;
    world.ready("x").await;
    let former = volume(&world).await.unwrap();
    world.delete("x").await;
    world.create("x", full("Delete")).await;
    let ready = world.ready("x").await;
    assert_eq!(told(&ready, ConditionType::StorageReady), "True/Bound");
    let new = volume(&world).await.unwrap();
    assert_ne!(new.uid(), former.uid(), "what was to be deleted is not taken up");
    assert_eq!(new.owner_references()[0].uid, ready.uid().unwrap());
    world.quiet().await;
}

async fn what_a_finalizer_keeps_loses_its_pod_and_gets_no_new_one(world: World) {
    world.create("x", full("Delete")).await;
    world.ready("x").await;
    keep(&world, true).await;
    world.delete("x").await;
    let dying = world.reason("x", ConditionType::Ready, Reason::Terminating).await;
    assert!(is(&dying, ConditionType::Ready, "False"));
    children_go(&world).await;
    world.restart("x").await;
    world.quiet().await;
    assert!(world.pod("x").await.is_none());
    assert_eq!(world.pods.started("x"), 1);
    keep(&world, false).await;
    world.gone("x").await;
}

async fn a_stopped_workspace_kept_by_a_finalizer_loses_its_children(world: World) {
    world.create("x", full("Delete")).await;
    world.ready("x").await;
    keep(&world, true).await;
    world.change("x", json!({"runState": "Stopped"})).await;
    world.reason("x", ConditionType::Ready, Reason::Stopped).await;
    world.delete("x").await;
    children_go(&world).await;
    world.change("x", json!({"runState": "Running"})).await;
    world.quiet().await;
    assert_eq!(world.pods.started("x"), 1, "what is being deleted is not started");
    keep(&world, false).await;
    world.gone("x").await;
}

async fn a_namespace_can_be_deleted(world: World) {
    world.create("x", full("Retain")).await;
    world.create("y", lingering()).await;
    world.ready("x").await;
    world.ready("y").await;
    let namespaces: Api<Namespace> = Api::all(world.client.clone());
    namespaces.delete(&world.namespace, &DeleteParams::default()).await.unwrap();
    let gone = || async { namespaces.get_opt(&world.namespace).await.unwrap().is_none().then_some(()) };
    world.eventually("the namespace is gone", gone).await;
    world.quiet().await;
    assert_eq!((world.pods.started("x"), world.pods.started("y")), (1, 1));
}

async fn a_workspace_deleted_while_its_pod_is_being_made_leaves_no_pod(world: World) {
    let (operator, gate) = (world.operator().unwrap(), Gate::new());
    let making = Matcher::kind("Pod").verb(Verb::Create).main_resource().times(1);
    let held = operator.faults().on(making, Fault::Hold(gate.clone()));
    world.create("x", json!({"image": IMAGE})).await;
    world.eventually("the Pod is being made", || async { (held.hits() == 1).then_some(()) }).await;
    world.delete("x").await;
    gate.open();
    world.gone("x").await;
    world.quiet().await;
    assert!(world.pod("x").await.is_none());
}

async fn a_pod_lost_while_its_namespace_is_deleted_is_not_asked_for_again_and_again(world: World) {
    let server = world.server().unwrap();
    world.create("x", json!({"image": IMAGE})).await;
    world.ready("x").await;
    server.behave(|cluster| cluster.empties_namespaces = false);
    server.delete("Namespace", "", &world.namespace).unwrap();
    world.forget_writes();
    server.vanish(&world.namespace, "x").unwrap();
    let waiting = world.reason("x", ConditionType::Ready, Reason::Terminating).await;
    assert_eq!(told(&waiting, ConditionType::Stalled), "False/Progressing");
    world.quiet().await;
    let calls = world.log.requests();
    let asked = calls.iter().filter(|call| call.kind == "Pod" && call.verb == Verb::Create && !call.dry_run);
    assert!(asked.count() <= 2, "{}", shown(&calls));
}

async fn without_a_garbage_collector_a_finalizer_still_lets_the_children_go(world: World) {
    world.server().unwrap().behave(|cluster| cluster.collects_garbage = false);
    what_a_finalizer_keeps_loses_its_pod_and_gets_no_new_one(world).await;
}

fn full(when_deleted: &str) -> Value {
    json!({
        "image": IMAGE,
        "ports": [{"containerPort": 80}],
        "storage": {"size": "1Gi", "whenDeleted": when_deleted},
    })
}

fn lingering() -> Value {
    json!({"image": "registry.test/linger:1"})
}

fn owner(pod: &Pod) -> Option<String> {
    pod.owner_references().first().map(|owner| owner.uid.clone())
}

async fn volume(world: &World) -> Option<PersistentVolumeClaim> {
    world.api().get_opt("x").await.unwrap()
}

async fn is_volume_gone(world: &World) {
    world.eventually("the volume is gone", || async { volume(world).await.is_none().then_some(()) }).await;
}

/// Somebody's finalizer on the workspace.
async fn keep(world: &World, is_kept: bool) {
    let finalizers = if is_kept { json!(["example.com/somebody"]) } else { Value::Null };
    let patch = Patch::Merge(json!({"metadata": {"finalizers": finalizers}}));
    world.api::<Workspace>().patch("x", &PatchParams::default(), &patch).await.unwrap();
}

/// Until Pod, Service and volume are gone though the workspace stays.
async fn children_go(world: &World) {
    let no_pod = || async { world.pod("x").await.is_none().then_some(()) };
    world.eventually("the Pod is gone", no_pod).await;
    let no_service = || async { world.api::<Service>().get_opt("x").await.unwrap().is_none().then_some(()) };
    world.eventually("the Service is gone", no_service).await;
    is_volume_gone(world).await;
}
