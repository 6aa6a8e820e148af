//! Activity at each step of a stop for want of it, silence, and programs that are asked.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{Json, Router, routing::get};
use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use test_apiserver::{Fault, FaultRule, Gate, Matcher, Verb};
use test_world::{IMAGE, World, condition, is, program::Program, starts, told};
use tokio::net::TcpListener;
use workspace_operator::api::{ConditionType, Reason, names, status::ActivityState};

use crate::idle::{BEAT, begin, unused};

scenarios_in_memory!(
    activity_between_hold_and_record_wins,
    activity_after_the_deletion_is_too_late,
    an_edit_while_the_hold_is_set_is_not_lost,
    a_silent_program_is_told_and_left_alone,
    a_program_that_is_asked_and_idle_is_stopped,
    a_program_that_gives_no_answer_is_not_stopped,
    a_program_that_was_active_since_is_not_stopped,
);

fn stops() -> Value {
    json!({"image": IMAGE, "registration": {"policy": "Required"}, "idle": {"stopAfterSeconds": 1}})
}

/// The program says that nobody uses it, until the operator is where `rule` holds it.
async fn unused_until(world: &World, program: &Program, rule: &FaultRule) {
    world
        .eventually("the operator is on its way", || async {
            program.beat(unused()).await;
            tokio::time::sleep(BEAT).await;
            (rule.hits() == 1).then_some(())
        })
        .await;
}

/// Stops at `calls`, lets the program say that it is busy, and goes on: the Pod must live.
async fn busy_at(world: World, calls: Matcher) {
    let program = begin(&world, stops(), json!({"busy": true})).await;
    world.quiet().await;
    let gate = Gate::new();
    let rule = world.operator().unwrap().faults().on(calls.times(1), Fault::Hold(gate.clone()));
    let pod = world.pod("x").await.unwrap().metadata.uid;
    unused_until(&world, &program, &rule).await;
    let (status, answer) = program.beat(json!({"busy": true})).await;
    assert_eq!((status, answer), (StatusCode::CONFLICT, json!({"error": "suspended"})));
    gate.open();
    world
        .until("x", "awake", |workspace| {
            let is_held =
                workspace.metadata.annotations.as_ref().is_some_and(|all| all.contains_key(names::IDLE_HOLD));
            !is_held && is(workspace, ConditionType::Ready, "True")
        })
        .await;
    world.quiet().await;
    assert_eq!(world.pod("x").await.unwrap().metadata.uid, pod, "it was not stopped");
    assert_eq!(told(&world.get("x").await, ConditionType::Suspended), "False/NotSuspended");
    assert_eq!(program.beat(json!({"busy": true})).await.0, StatusCode::OK);
    assert_eq!(world.pods.started("x"), 1);
}

async fn activity_between_hold_and_record_wins(world: World) {
    let (server, namespace) = (world.server().unwrap().clone(), world.namespace.clone());
    let is_held = move || {
        let workspace = server.object("Workspace", &namespace, "x");
        workspace.is_some_and(|workspace| workspace["metadata"]["annotations"][names::IDLE_HOLD].is_string())
    };
    // The first write of status after the hold is the record of the stop.
    let records = Matcher::kind("Workspace").subresource("status").writes().when(move |_| is_held());
    busy_at(world, records).await;
}

/// What is said while the deletion is under way comes too late. It is stopped, and nothing is lost.
async fn activity_after_the_deletion_is_too_late(world: World) {
    let program = begin(&world, stops(), json!({"busy": true})).await;
    let gate = Gate::new();
    let deletions = Matcher::kind("Pod").verb(Verb::Delete).times(1);
    let rule = world.operator().unwrap().faults().on(deletions, Fault::Hold(gate.clone()));
    unused_until(&world, &program, &rule).await;
    assert_eq!(program.beat(json!({"busy": true})).await.0, StatusCode::CONFLICT);
    gate.open();
    world.reason("x", ConditionType::Ready, Reason::Idle).await;
    world.quiet().await;
    assert_eq!(world.pods.started("x"), 1);
}

/// The hold is conditional: who edited meanwhile is looked at first.
async fn an_edit_while_the_hold_is_set_is_not_lost(world: World) {
    let program = begin(&world, stops(), json!({"busy": true})).await;
    let gate = Gate::new();
    let holds = Matcher::kind("Workspace").verb(Verb::Patch).main_resource().times(1);
    let rule = world.operator().unwrap().faults().on(holds, Fault::Hold(gate.clone()));
    unused_until(&world, &program, &rule).await;
    world.change("x", json!({"idle": null})).await;
    gate.open();
    world.quiet().await;
    let workspace = world.get("x").await;
    assert!(is(&workspace, ConditionType::Ready, "True"));
    assert_eq!((starts(&workspace), workspace.metadata.annotations), (1, None));
}

async fn a_silent_program_is_told_and_left_alone(mut world: World) {
    world.stop_operator().await;
    world.settings.heartbeat = Duration::from_secs(1);
    world.start_operator();
    let program = begin(&world, stops(), json!({"busy": true})).await;
    let silent = world.reason("x", ConditionType::Ready, Reason::HeartbeatLost).await;
    assert_eq!(told(&silent, ConditionType::Registered), "False/HeartbeatLost");
    assert_eq!(told(&silent, ConditionType::PodReady), "True/Running");
    assert_eq!(silent.status.unwrap().activity.unwrap().state, ActivityState::Silent);
    assert_eq!(program.beat(json!({"busy": false})).await.0, StatusCode::OK);
    let back = world.ready("x").await;
    assert_eq!(told(&back, ConditionType::Registered), "True/Registered");
    assert_eq!((starts(&back), world.pods.started("x")), (1, 1));
}

/// A program that says when it was active last, and the workspace around it; until it was asked.
async fn asked(world: &World, answer: Value) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let router = Router::new().route(
        "/api/status",
        get(move || {
            count.fetch_add(1, Ordering::Relaxed);
            async move { Json(answer) }
        }),
    );
    tokio::spawn(async move { axum::serve(listener, router).await });
    let get = json!({"port": port, "path": "/api/status"});
    let idle = json!({"stopAfterSeconds": 1, "probe": {"httpGet": get}});
    world.create("x", json!({"image": IMAGE, "idle": idle})).await;
    world.ready("x").await;
    let server = world.server().unwrap();
    server
        .change_status("Pod", &world.namespace, "x", |status| status["podIP"] = json!("127.0.0.1"))
        .unwrap();
}

async fn a_program_that_is_asked_and_idle_is_stopped(world: World) {
    let long_ago = Timestamp::now() - SignedDuration::from_hours(1);
    asked(&world, json!({"connections": 0, "kernels": 0, "last_activity": long_ago.to_string()})).await;
    let idle = world.reason("x", ConditionType::Ready, Reason::Idle).await;
    let (_, _, message) = condition(&idle, ConditionType::Ready).unwrap();
    assert!(message.contains(&long_ago.to_string()), "{message}");
}

async fn a_program_that_gives_no_answer_is_not_stopped(world: World) {
    asked(&world, json!({"last_activity": "yesterday"})).await;
    world.quiet().await;
    assert!(is(&world.get("x").await, ConditionType::Ready, "True"));
}

async fn a_program_that_was_active_since_is_not_stopped(world: World) {
    asked(&world, json!({"last_activity": (Timestamp::now() + SignedDuration::from_hours(1)).to_string()}))
        .await;
    world.quiet().await;
    assert!(is(&world.get("x").await, ConditionType::Ready, "True"));
}
