//! Restarts by annotation.

use jiff::Timestamp;
use serde_json::json;
use workspace_operator::api::names;

use crate::world::{IMAGE, World, shown, starts};

scenarios!(
    an_annotation_gives_one_new_pod,
    a_restart_costs_at_most_five_writes,
    a_removed_restart_annotation_restarts_nothing,
    ten_restarts_at_once_stop_at_most_twice,
    restart_before_the_first_pod_gives_exactly_one_pod,
);

async fn an_annotation_gives_one_new_pod(world: World) {
    world.create("x", json!({"image": IMAGE})).await;
    let before = world.ready("x").await;
    let asked = world.restart("x").await;
    let after = world.ready_at("x", 2).await;
    let status = after.status.unwrap();
    assert_eq!(status.last_handled_restart_at.map(|time| time.0), Some(asked));
    assert_ne!(status.incarnation.unwrap().pod_uid, before.status.unwrap().incarnation.unwrap().pod_uid);
    world.quiet().await;
    assert_eq!(world.pods.started("x"), 2);
    world.pods.assert_one_at_a_time("x");
}

async fn a_restart_costs_at_most_five_writes(world: World) {
    world
        .create("x", json!({"image": IMAGE, "storage": {"size": "1Gi"}, "ports": [{"containerPort": 80}]}))
        .await;
    world.ready("x").await;
    world.quiet().await;
    world.forget_writes();
    world.restart("x").await;
    world.ready_at("x", 2).await;
    world.quiet().await;
    let writes = world.writes();
    assert!(writes.len() <= 5, "{} writes: {}", writes.len(), shown(&writes));
}

async fn a_removed_restart_annotation_restarts_nothing(world: World) {
    world.create("x", json!({"image": IMAGE})).await;
    world.ready("x").await;
    world.restart("x").await;
    world.ready_at("x", 2).await;
    world.annotate("x", names::RESTARTED_AT, None).await;
    world.quiet().await;
    assert_eq!(starts(&world.get("x").await), 2);
    let older = (Timestamp::now() - jiff::SignedDuration::from_hours(1)).to_string();
    world.annotate("x", names::RESTARTED_AT, Some(&older)).await;
    world.quiet().await;
    assert_eq!(starts(&world.get("x").await), 2);
}

async fn ten_restarts_at_once_stop_at_most_twice(world: World) {
    world.create("x", json!({"image": IMAGE})).await;
    world.ready("x").await;
    let mut newest = Timestamp::UNIX_EPOCH;
    for _ in 0..10 {
        newest = world.restart("x").await;
    }
    let ready = world.ready("x").await;
    assert_eq!(ready.status.unwrap().last_handled_restart_at.map(|time| time.0), Some(newest));
    world.quiet().await;
    assert!(world.pods.started("x") <= 3, "{}", shown(&world.pods.of("x")));
    world.pods.assert_one_at_a_time("x");
}

async fn restart_before_the_first_pod_gives_exactly_one_pod(world: World) {
    for round in 0..100 {
        let name = format!("x{round}");
        let asked = Timestamp::now();
        let annotations = json!({names::RESTARTED_AT: asked.to_string()});
        world.create_annotated(&name, json!({"image": IMAGE}), annotations).await;
    }
    for round in 0..100 {
        let name = format!("x{round}");
        let ready = world.ready(&name).await;
        assert_eq!(starts(&ready), 1, "{name}");
        assert!(ready.status.unwrap().failures.is_none(), "{name} was marked failed");
    }
    world.quiet().await;
    for round in 0..100 {
        assert_eq!(world.pods.started(&format!("x{round}")), 1);
    }
}
