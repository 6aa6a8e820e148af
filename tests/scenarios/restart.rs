//! Restarts by annotation and by spec: which are served, and how often.

use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::events::v1::Event;
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::json;
use test_world::{IMAGE, World, condition, is, shown, starts};
use workspace_operator::api::{ConditionType, Workspace, names};

scenarios!(
    an_annotation_gives_one_new_pod,
    a_restart_costs_at_most_five_writes,
    a_removed_restart_annotation_restarts_nothing,
    ten_restarts_at_once_stop_at_most_twice,
    restart_before_the_first_pod_gives_exactly_one_pod,
    create_and_restart_back_to_back_gives_at_most_two_pods_never_at_once,
    many_workspaces_created_at_once_each_start_once,
    the_later_of_annotation_and_spec_counts,
    a_restart_in_git_that_is_applied_again_restarts_nothing,
    a_value_that_is_no_time_is_ignored_and_said_once,
    a_bad_value_from_the_beginning_is_said_too,
    a_time_far_ahead_waits_and_masks_no_earlier_restart,
    a_restart_while_stopped_is_served_by_the_next_start,
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

async fn create_and_restart_back_to_back_gives_at_most_two_pods_never_at_once(world: World) {
    let mut asked = Vec::new();
    for round in 0..100 {
        let name = format!("x{round}");
        world.create(&name, json!({"image": IMAGE})).await;
        asked.push((world.restart(&name).await, name));
    }
    for (asked, name) in &asked {
        let status = world.ready(name).await.status.unwrap();
        assert_eq!(status.last_handled_restart_at.map(|time| time.0), Some(*asked), "{name}");
        assert!(status.failures.is_none(), "{name} was marked failed: {:?}", status.failures);
    }
    world.quiet().await;
    for (_, name) in &asked {
        assert!(world.pods.started(name) <= 2, "{}", shown(&world.pods.of(name)));
    }
}

async fn many_workspaces_created_at_once_each_start_once(world: World) {
    let names: Vec<String> = (0..30).map(|number| format!("x{number}")).collect();
    let spec = json!({"image": IMAGE, "storage": {"size": "1Gi"}, "ports": [{"containerPort": 80}]});
    join_all(names.iter().map(|name| world.create(name, spec.clone()))).await;
    for ready in join_all(names.iter().map(|name| world.ready(name))).await {
        assert_eq!(starts(&ready), 1);
        assert!(ready.status.unwrap().failures.is_none());
    }
    world.quiet().await;
    assert!(names.iter().all(|name| world.pods.started(name) == 1));
    let writes = world.writes();
    assert!(writes.len() <= 6 * names.len(), "{} writes: {}", writes.len(), shown(&writes));
}

async fn the_later_of_annotation_and_spec_counts(world: World) {
    world.create("x", json!({"image": IMAGE})).await;
    world.ready("x").await;
    let both = json!({
        "metadata": {"annotations": {names::RESTARTED_AT: ago(30).to_string()}},
        "spec": {"restartedAt": ago(60).to_string()},
    });
    let both: Workspace = world.api().patch("x", &PatchParams::default(), &Patch::Merge(both)).await.unwrap();
    let later = both.metadata.annotations.unwrap()[names::RESTARTED_AT].parse().unwrap();
    assert_eq!(served(&world.ready_at("x", 2).await), Some(later));

    world.annotate("x", names::RESTARTED_AT, Some(&ago(45).to_string())).await;
    world.quiet().await;
    assert_eq!(starts(&world.get("x").await), 2, "an older time asks for nothing");

    let later = ago(15);
    world.change("x", json!({"restartedAt": later.to_string()})).await;
    assert_eq!(served(&world.ready_at("x", 3).await), Some(later));
    world.quiet().await;
    assert_eq!(world.pods.started("x"), 3);
}

async fn a_restart_in_git_that_is_applied_again_restarts_nothing(world: World) {
    world.create("x", json!({"image": IMAGE})).await;
    world.ready("x").await;
    let asked = ago(5);
    world.change("x", json!({"restartedAt": asked.to_string()})).await;
    assert_eq!(served(&world.ready_at("x", 2).await), Some(asked));
    let elsewhere = asked.to_string().replace('Z', "+00:00");
    for again in [json!(null), json!(asked.to_string()), json!(elsewhere)] {
        let changed = world.change("x", json!({"restartedAt": again})).await;
        let generation = changed.metadata.generation;
        let seen =
            |workspace: &Workspace| workspace.status.as_ref().unwrap().observed_generation == generation;
        world.until("x", "observed", seen).await;
    }
    world.quiet().await;
    let now = world.ready("x").await;
    assert_eq!((starts(&now), served(&now)), (2, Some(asked)));
    assert_eq!(world.pods.started("x"), 2);
}

async fn a_value_that_is_no_time_is_ignored_and_said_once(world: World) {
    world.create("x", json!({"image": IMAGE})).await;
    world.ready("x").await;
    world.quiet().await;
    world.forget_writes();
    world.annotate("x", names::RESTARTED_AT, Some("yesterday")).await;
    world.until("x", "told what is wrong", |workspace| accepted(workspace).contains("yesterday")).await;
    world.annotate("x", "example.com/unrelated", Some("1")).await;
    world.quiet().await;
    let now = world.get("x").await;
    assert!(is(&now, ConditionType::Accepted, "True") && is(&now, ConditionType::Ready, "True"));
    assert!(accepted(&now).contains("not an RFC 3339 time"), "{}", accepted(&now));
    assert_eq!((starts(&now), served(&now)), (1, None));
    let writes = world.writes();
    assert_eq!(writes.len(), 1, "{}", shown(&writes));
    assert_eq!(notes_about(&world, "yesterday").await, 1);

    world.restart("x").await;
    let ready = world.ready_at("x", 2).await;
    assert_eq!(accepted(&ready), "", "what was wrong is put right");
}

async fn a_bad_value_from_the_beginning_is_said_too(world: World) {
    let annotations = json!({names::RESTARTED_AT: "soon"});
    world.create_annotated("x", json!({"image": IMAGE}), annotations).await;
    let ready = world.until("x", "Ready", |workspace| is(workspace, ConditionType::Ready, "True")).await;
    assert!(accepted(&ready).contains("\"soon\" is not an RFC 3339 time"), "{}", accepted(&ready));
    world.quiet().await;
    assert_eq!(notes_about(&world, "soon").await, 1);
    assert_eq!(world.pods.started("x"), 1);
}

async fn a_time_far_ahead_waits_and_masks_no_earlier_restart(world: World) {
    world.create("x", json!({"image": IMAGE})).await;
    world.ready("x").await;
    let ahead = Timestamp::now() + SignedDuration::from_mins(10);
    world.annotate("x", names::RESTARTED_AT, Some(&ahead.to_string())).await;
    let is_scheduled = |workspace: &Workspace| {
        workspace.status.as_ref().unwrap().scheduled_restart_at.map(|time| time.0) == Some(ahead)
    };
    let noted = world.until("x", "scheduled", is_scheduled).await;
    assert!(accepted(&noted).contains(&format!("served at {ahead}")), "{}", accepted(&noted));
    world.quiet().await;
    assert_eq!(notes_about(&world, "lies ahead").await, 1);
    let now = world.get("x").await;
    assert_eq!((starts(&now), served(&now)), (1, None));
    assert_eq!(now.status.unwrap().requested_restart_at, None);

    let earlier = ago(5);
    world.change("x", json!({"restartedAt": earlier.to_string()})).await;
    let restarted = world.ready_at("x", 2).await;
    assert_eq!(served(&restarted), Some(earlier));
    assert!(is_scheduled(&restarted), "it is still to come");
    world.quiet().await;
    assert_eq!(world.pods.started("x"), 2);
}

async fn a_restart_while_stopped_is_served_by_the_next_start(world: World) {
    world.create("x", json!({"image": IMAGE})).await;
    world.ready("x").await;
    world.change("x", json!({"runState": "Stopped"})).await;
    world.until("x", "stopped", |workspace| is(workspace, ConditionType::Suspended, "True")).await;
    let asked = world.restart("x").await;
    let recorded = |workspace: &Workspace| {
        workspace.status.as_ref().unwrap().requested_restart_at.map(|time| time.0) == Some(asked)
    };
    let noted = world.until("x", "noted", recorded).await;
    assert_eq!(served(&noted), None);
    world.annotate("x", names::RESTARTED_AT, None).await;
    world.quiet().await;
    assert!(world.pod("x").await.is_none());
    world.change("x", json!({"runState": "Running"})).await;
    let ready = world.ready_at("x", 2).await;
    assert_eq!(served(&ready), Some(asked));
    world.quiet().await;
    assert_eq!(world.pods.started("x"), 2, "the start serves it: no other follows");
}

fn ago(seconds: i64) -> Timestamp {
    Timestamp::now() - SignedDuration::from_secs(seconds)
}

fn served(workspace: &Workspace) -> Option<Timestamp> {
    workspace.status.as_ref()?.last_handled_restart_at.map(|time| time.0)
}

fn accepted(workspace: &Workspace) -> String {
    condition(workspace, ConditionType::Accepted).map(|(.., message)| message).unwrap_or_default()
}

/// How often an event said this, repetitions counted in.
async fn notes_about(world: &World, text: &str) -> i32 {
    let events = world.api::<Event>().list(&ListParams::default()).await.unwrap();
    let about =
        events.items.iter().filter(|event| event.note.as_ref().is_some_and(|note| note.contains(text)));
    about.map(|event| event.series.as_ref().map_or(1, |series| series.count)).sum()
}
