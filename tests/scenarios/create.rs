//! Creating workspaces.

use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Service};
use serde_json::json;
use test_world::{IMAGE, World, is, shown, starts};
use workspace_operator::api::ConditionType;

scenarios!(
    a_workspace_becomes_ready_with_its_companions,
    a_workspace_costs_at_most_six_writes_to_ready,
    a_healthy_workspace_costs_no_write,
);

async fn a_workspace_becomes_ready_with_its_companions(world: World) {
    world.create("x", full()).await;
    let ready = world.ready("x").await;
    assert_eq!(starts(&ready), 1);
    let status = ready.status.unwrap();
    assert_eq!(status.conditions.len(), ConditionType::ALL.len());
    assert_eq!(status.address, Some(format!("x.{}.svc", world.namespace)));
    let pod = world.pod("x").await.unwrap();
    assert_eq!(status.incarnation.unwrap().pod_uid, pod.metadata.uid);
    let service: Service = world.api().get("x").await.unwrap();
    assert_eq!(service.spec.unwrap().cluster_ip.as_deref(), Some("None"));
    let claim: PersistentVolumeClaim = world.api().get("x").await.unwrap();
    assert_eq!(claim.metadata.owner_references, None, "a retained volume has no owner from the start");
}

async fn a_workspace_costs_at_most_six_writes_to_ready(world: World) {
    world.create("x", full()).await;
    world.ready("x").await;
    let writes = world.writes();
    assert!(writes.len() <= 6, "{} writes: {}", writes.len(), shown(&writes));
}

async fn a_healthy_workspace_costs_no_write(mut world: World) {
    world.create("x", full()).await;
    world.ready("x").await;
    world.quiet().await;
    world.forget_writes();
    world.stop_operator().await;
    world.start_operator();
    world.quiet().await;
    let writes = world.writes();
    assert!(writes.is_empty(), "an operator restart wrote: {}", shown(&writes));
    assert!(is(&world.get("x").await, ConditionType::Ready, "True"));
    assert_eq!(world.pods.started("x"), 1);
}

fn full() -> serde_json::Value {
    json!({
        "image": IMAGE,
        "command": ["sleep", "100000"],
        "ports": [{"containerPort": 8080}],
        "storage": {"size": "1Gi"},
    })
}
