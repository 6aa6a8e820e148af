//! The volume claim: growth, retention, loss, and claims that are somebody else's.

use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::{
    ResourceExt,
    api::{DeleteParams, Patch, PatchParams},
};
use serde_json::{Value, json};
use test_apiserver::{Binding, Verb, failure};
use test_world::{IMAGE, World, condition, is, shown, starts, told};
use workspace_operator::api::{ConditionType, Reason};

scenarios!(
    a_bigger_size_grows_the_claim_without_a_restart,
    a_smaller_size_is_ignored_and_said,
    retention_can_be_changed_on_a_living_workspace,
    a_missing_existing_claim_holds_the_start_before_the_claim,
    an_existing_claim_is_never_changed_or_deleted,
    a_claim_being_deleted_declines_restarts_while_the_pod_serves,
    a_lost_volume_stops_nobody_and_is_made_anew_only_on_a_new_restart,
    a_data_source_is_passed_on,
);

mod held {
    use super::*;

    scenarios_in_memory!(a_claim_that_binds_late_is_said_once, growth_waits_for_the_binding);
}

async fn a_bigger_size_grows_the_claim_without_a_restart(world: World) {
    world.create("x", json!({"image": IMAGE, "storage": {"size": "1Gi"}})).await;
    world.ready("x").await;
    let old = world.pod("x").await.unwrap().uid();
    world.change("x", json!({"storage": {"size": "2Gi"}})).await;
    world
        .eventually("the claim asks for more", || async { (size(&world, "x").await == "2Gi").then_some(()) })
        .await;
    let ready = world.ready("x").await;
    assert_eq!(told(&ready, ConditionType::StorageReady), "True/Bound");
    world.quiet().await;
    assert_eq!(world.pod("x").await.unwrap().uid(), old);
    assert_eq!(world.pods.started("x"), 1);
}

async fn a_smaller_size_is_ignored_and_said(world: World) {
    world.create("x", json!({"image": IMAGE, "storage": {"size": "2Gi"}})).await;
    world.ready("x").await;
    world.change("x", json!({"storage": {"size": "1Gi"}})).await;
    let said = world
        .until("x", "told that a volume can't shrink", |x| {
            condition(x, ConditionType::StorageReady)
                .is_some_and(|(.., message)| message.contains("can't shrink"))
        })
        .await;
    assert_eq!(told(&said, ConditionType::StorageReady), "True/Bound");
    let ready = world.ready("x").await;
    assert_eq!(told(&ready, ConditionType::Stalled), "False/Settled");
    assert_eq!((size(&world, "x").await.as_str(), world.pods.started("x")), ("2Gi", 1));
}

async fn retention_can_be_changed_on_a_living_workspace(world: World) {
    let uid = world.create("x", json!({"image": IMAGE, "storage": {"size": "1Gi"}})).await.uid().unwrap();
    world.ready("x").await;
    for (retention, owners) in [("Delete", vec![uid]), ("Retain", vec![])] {
        world.change("x", json!({"storage": {"whenDeleted": retention}})).await;
        world
            .eventually("the claim has the owner that the retention says", || async {
                let claim = claim(&world, "x").await;
                let found: Vec<_> = claim.owner_references().iter().map(|owner| owner.uid.clone()).collect();
                (found == owners).then_some(())
            })
            .await;
    }
    world.ready("x").await;
    assert_eq!(world.pods.started("x"), 1);
    let kept = claim(&world, "x").await.uid();
    world.delete("x").await;
    world.gone("x").await;
    assert_eq!(claim(&world, "x").await.uid(), kept);
}

async fn a_missing_existing_claim_holds_the_start_before_the_claim(world: World) {
    world.create("x", json!({"image": IMAGE, "storage": {"existingClaim": "data"}})).await;
    let waiting = world.reason("x", ConditionType::Ready, Reason::ReferenceMissing).await;
    assert_eq!(told(&waiting, ConditionType::StorageReady), "False/ReferenceMissing");
    assert_eq!(told(&waiting, ConditionType::Accepted), "True/Accepted");
    assert_eq!(told(&waiting, ConditionType::Reconciling), "True/Progressing");
    let (.., message) = condition(&waiting, ConditionType::Ready).unwrap();
    assert!(message.contains("PersistentVolumeClaim data"), "{message}");
    assert_eq!((starts(&waiting), world.pods.started("x")), (0, 0));
    provide_data(&world).await;
    // It is asked about every half minute; a touch of the workspace spares that wait.
    world.annotate("x", "example.com/touched", Some("now")).await;
    let ready = world.ready("x").await;
    assert_eq!(
        (starts(&ready), told(&ready, ConditionType::StorageReady).as_str()),
        (1, "True/ExistingClaim")
    );
}

async fn an_existing_claim_is_never_changed_or_deleted(world: World) {
    provide_data(&world).await;
    world.create("x", json!({"image": IMAGE, "storage": {"existingClaim": "data"}})).await;
    world.ready("x").await;
    let before = claim(&world, "data").await;
    world.restart("x").await;
    world.ready_at("x", 2).await;
    world.delete("x").await;
    world.gone("x").await;
    world.quiet().await;
    let after = claim(&world, "data").await;
    assert_eq!((before.uid(), &before.spec), (after.uid(), &after.spec));
    assert_eq!((before.labels(), before.owner_references()), (after.labels(), after.owner_references()));
    assert_eq!(after.metadata.deletion_timestamp, None);
    let writes = world.writes();
    assert!(writes.iter().all(|call| call.kind != "PersistentVolumeClaim"), "{}", shown(&writes));
}

async fn a_claim_being_deleted_declines_restarts_while_the_pod_serves(world: World) {
    world.create("x", json!({"image": IMAGE, "storage": {"size": "1Gi"}})).await;
    world.ready("x").await;
    world.api::<PersistentVolumeClaim>().delete("x", &DeleteParams::default()).await.unwrap();
    world.reason("x", ConditionType::StorageReady, Reason::VolumeTerminating).await;
    let asked = world.restart("x").await;
    let declined = world.reason("x", ConditionType::UpToDate, Reason::VolumeTerminating).await;
    assert_eq!(told(&declined, ConditionType::Ready), "True/Running");
    assert_eq!(declined.status.as_ref().unwrap().requested_restart_at.map(|time| time.0), Some(asked));
    world.change("x", json!({"env": [{"name": "A", "value": "1"}]})).await;
    world.reason("x", ConditionType::UpToDate, Reason::VolumeTerminating).await;
    world.quiet().await;
    assert!(is(&world.get("x").await, ConditionType::Ready, "True"));
    assert_eq!(world.pods.started("x"), 1);
    assert!(world.writes().iter().all(|call| call.verb != Verb::Delete), "{}", shown(&world.writes()));
}

async fn a_lost_volume_stops_nobody_and_is_made_anew_only_on_a_new_restart(world: World) {
    world.create("x", json!({"image": IMAGE, "storage": {"size": "1Gi"}})).await;
    world.ready("x").await;
    let old = claim(&world, "x").await.uid();
    let claims = world.api::<PersistentVolumeClaim>();
    claims.delete("x", &DeleteParams::default()).await.unwrap();
    let bare = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    claims.patch("x", &PatchParams::default(), &bare).await.unwrap();
    let lost = world.reason("x", ConditionType::Stalled, Reason::VolumeLost).await;
    assert_eq!(told(&lost, ConditionType::StorageReady), "False/VolumeLost");
    assert_eq!(told(&lost, ConditionType::Ready), "True/Running");

    world.change("x", json!({"env": [{"name": "A", "value": "1"}]})).await;
    let waiting = world.reason("x", ConditionType::UpToDate, Reason::VolumeLost).await;
    world.quiet().await;
    assert_eq!(told(&waiting, ConditionType::Ready), "True/Running");
    assert_eq!(world.pods.started("x"), 1, "its successor could not start");

    world.api::<Pod>().delete("x", &DeleteParams::default()).await.unwrap();
    let down = world.reason("x", ConditionType::Ready, Reason::VolumeLost).await;
    assert_eq!(told(&down, ConditionType::Stalled), "True/VolumeLost");
    world.quiet().await;
    assert!(claims.get_opt("x").await.unwrap().is_none(), "an empty volume was made unasked");

    world.restart("x").await;
    let ready = world.ready("x").await;
    assert_eq!(told(&ready, ConditionType::Stalled), "False/Settled");
    assert_ne!(claim(&world, "x").await.uid(), old);
    assert_eq!(world.pods.started("x"), 2);
}

async fn a_data_source_is_passed_on(world: World) {
    let source = json!({"kind": "PersistentVolumeClaim", "name": "template"});
    world.create("x", json!({"image": IMAGE, "storage": {"size": "1Gi", "dataSourceRef": source}})).await;
    let claim = world.eventually("the claim is there", || async {
        world.api::<PersistentVolumeClaim>().get_opt("x").await.unwrap()
    });
    let found = claim.await.spec.unwrap().data_source_ref.unwrap();
    assert_eq!((found.kind.as_str(), found.name.as_str()), ("PersistentVolumeClaim", "template"));
}

async fn a_claim_that_binds_late_is_said_once(world: World) {
    let server = world.server().unwrap();
    server.behave(|cluster| cluster.binding = Binding::Held);
    world.create("x", json!({"image": IMAGE, "storage": {"size": "1Gi"}})).await;
    let pending = world.reason("x", ConditionType::Ready, Reason::VolumePending).await;
    assert_eq!(told(&pending, ConditionType::StorageReady), "False/VolumePending");
    world.quiet().await;
    let waiting = world.get("x").await;
    assert_eq!(told(&waiting, ConditionType::Ready), "False/VolumePending");
    assert_eq!(status_writes(&world), 1, "{}", shown(&world.writes()));
    // Whatever else is told of the Pod meanwhile is not worth a write.
    let creating = json!({"type": "PodReadyToStartContainers", "status": "False"});
    server.set_pod_condition("test", "x", creating).unwrap();
    world.quiet().await;
    assert_eq!(status_writes(&world), 1, "{}", shown(&world.writes()));
    server.bind_claim("test", "x").unwrap();
    world.ready("x").await;
    world.quiet().await;
    assert!(
        status_writes(&world) <= 3,
        "VolumePending, AwaitingReadiness, Running: {}",
        shown(&world.writes())
    );
}

/// As a real API server has it: only a bound claim may grow.
async fn growth_waits_for_the_binding(world: World) {
    let server = world.server().unwrap();
    server.behave(|cluster| cluster.binding = Binding::Held);
    server.refuse(|write| {
        let grows = |old: &Value| old["spec"]["resources"] != write.object["spec"]["resources"];
        let is_unbound = |old: &&Value| old["status"]["phase"] != "Bound";
        let refused =
            write.kind == "PersistentVolumeClaim" && write.old.filter(is_unbound).is_some_and(grows);
        refused.then(|| {
            failure::failure(403, "Forbidden", "only bound persistent volume claims can be expanded")
        })
    });
    world.create("x", json!({"image": IMAGE, "storage": {"size": "1Gi"}})).await;
    world.reason("x", ConditionType::Ready, Reason::VolumePending).await;
    world.quiet().await;
    world.change("x", json!({"storage": {"size": "2Gi"}})).await;
    world.quiet().await;
    server.bind_claim("test", "x").unwrap();
    world
        .eventually("the claim asks for more", || async { (size(&world, "x").await == "2Gi").then_some(()) })
        .await;
    let ready = world.ready("x").await;
    assert_eq!(condition(&ready, ConditionType::StorageReady).unwrap().2, "");
}

/// A claim that somebody made.
async fn provide_data(world: &World) {
    let _: PersistentVolumeClaim = world
        .apply(json!({
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": "data"},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
        }))
        .await;
}

async fn claim(world: &World, name: &str) -> PersistentVolumeClaim {
    world.api().get(name).await.unwrap()
}

/// What the claim asks for.
async fn size(world: &World, name: &str) -> String {
    let spec = claim(world, name).await.spec.unwrap();
    spec.resources.unwrap().requests.unwrap()["storage"].0.clone()
}

fn status_writes(world: &World) -> usize {
    world.writes().iter().filter(|call| call.subresource.as_deref() == Some("status")).count()
}
