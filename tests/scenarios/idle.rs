//! Workspaces that nobody uses are stopped, and activity wins over a stop that is on its way.

use std::time::Duration;

use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use test_world::{IMAGE, World, condition, is, program::Program, starts, told};
use workspace_operator::api::{
    ConditionType, Reason, names,
    status::{ActivityState, StartCause},
};

use crate::class::{create_with, delete, own, patch};

scenarios!(
    an_unused_workspace_is_stopped_and_woken_by_taking_the_hold_away,
    who_is_busy_or_says_nothing_is_not_stopped,
    without_a_limit_any_more_the_operator_takes_its_hold_away,
    a_change_waits_until_the_program_is_idle,
    a_change_of_the_class_waits_until_the_program_is_idle,
    a_change_waits_no_longer_than_it_may,
    a_restart_that_a_person_asks_for_waits_for_nobody,
    a_state_that_stays_costs_no_write,
    somebody_has_to_tell_of_activity,
);

/// How often a program may speak.
pub const BEAT: Duration = Duration::from_millis(300);

/// A workspace that is stopped after so many seconds.
fn stops_after(seconds: i64) -> Value {
    json!({"image": IMAGE, "registration": {"policy": "Required"}, "idle": {"stopAfterSeconds": seconds}})
}

fn when_idle(seconds: i64) -> Value {
    let strategy = json!({"type": "WhenIdle", "maxDelaySeconds": seconds});
    json!({"image": IMAGE, "registration": {"policy": "Required"}, "updateStrategy": strategy})
}

/// Says again and again that nobody uses it, until it is held for that.
async fn falls_asleep(world: &World, program: &Program) {
    world
        .eventually("it is held", || async {
            program.beat(unused()).await;
            tokio::time::sleep(BEAT).await;
            let workspace = world.get("x").await;
            is(&workspace, ConditionType::Suspended, "True").then_some(())
        })
        .await;
}

/// Says that nobody has used it for an hour.
pub fn unused() -> Value {
    json!({"busy": false, "activity": (Timestamp::now() - SignedDuration::from_hours(1)).to_string()})
}

/// Creates the workspace `x`, whose program registers and says so.
pub async fn begin(world: &World, spec: Value, says: Value) -> Program {
    world.create("x", spec).await;
    let program = Program::of(world, "x", "a").await;
    program.registers(world).await;
    world.ready("x").await;
    assert_eq!(program.beat(says).await.0, StatusCode::OK);
    program
}

async fn state(world: &World, state: ActivityState) {
    world
        .until("x", &format!("{state:?}"), |workspace| {
            let activity = workspace.status.as_ref().and_then(|status| status.activity.as_ref());
            activity.is_some_and(|activity| activity.state == state)
        })
        .await;
}

async fn an_unused_workspace_is_stopped_and_woken_by_taking_the_hold_away(world: World) {
    let program = begin(&world, stops_after(1), json!({"busy": true})).await;
    falls_asleep(&world, &program).await;
    let idle = world.reason("x", ConditionType::Ready, Reason::Idle).await;
    assert_eq!(told(&idle, ConditionType::Suspended), "True/Idle");
    let (_, _, message) = condition(&idle, ConditionType::Ready).unwrap();
    assert!(message.contains("no activity since") && message.contains(names::IDLE_HOLD), "{message}");
    assert!(idle.metadata.annotations.as_ref().unwrap().contains_key(names::IDLE_HOLD));
    world.eventually("the Pod is gone", || async { world.pod("x").await.is_none().then_some(()) }).await;
    assert_eq!(idle.status.unwrap().failures, None);

    world.annotate("x", names::IDLE_HOLD, None).await;
    let again = Program::of(&world, "x", "b").await;
    again.registers(&world).await;
    world.ready_at("x", 2).await;
    assert_eq!(again.beat(json!({"busy": true})).await.0, StatusCode::OK);
    world.quiet().await;
    assert!(is(&world.get("x").await, ConditionType::Ready, "True"));
}

async fn who_is_busy_or_says_nothing_is_not_stopped(world: World) {
    let program = begin(&world, stops_after(1), json!({"busy": true})).await;
    state(&world, ActivityState::Busy).await;
    let long_ago = Timestamp::now() - SignedDuration::from_hours(1);
    program.beat(json!({"busy": true, "activity": long_ago.to_string()})).await;
    world.quiet().await;
    assert_eq!(told(&world.get("x").await, ConditionType::Suspended), "False/NotSuspended");
    // A program that can't tell is no idle one.
    program.beat(json!({})).await;
    world
        .until("x", "of unknown activity", |workspace| workspace.status.as_ref().unwrap().activity.is_none())
        .await;
    world.quiet().await;
    assert_eq!(starts(&world.ready("x").await), 1);
}

async fn without_a_limit_any_more_the_operator_takes_its_hold_away(world: World) {
    let program = begin(&world, stops_after(1), json!({"busy": true})).await;
    falls_asleep(&world, &program).await;
    world.change("x", json!({"idle": null})).await;
    Program::of(&world, "x", "b").await.registers(&world).await;
    let awake = world.ready_at("x", 2).await;
    assert!(!awake.metadata.annotations.unwrap_or_default().contains_key(names::IDLE_HOLD));
}

async fn a_change_waits_until_the_program_is_idle(world: World) {
    let program = begin(&world, when_idle(3600), json!({"busy": true})).await;
    state(&world, ActivityState::Busy).await;
    world.change("x", json!({"env": [{"name": "A", "value": "1"}]})).await;
    let waiting = world.reason("x", ConditionType::UpToDate, Reason::AwaitingIdle).await;
    let (_, _, message) = condition(&waiting, ConditionType::UpToDate).unwrap();
    assert!(message.starts_with("changed: env; waits until the program is idle"), "{message}");
    for type_ in [ConditionType::Reconciling, ConditionType::Stalled] {
        assert_eq!(told(&waiting, type_), "False/Settled");
    }
    assert!(is(&waiting, ConditionType::Ready, "True"));
    assert!(waiting.status.unwrap().awaiting_idle_since.is_some());
    program.beat(json!({"busy": false})).await;
    world.until("x", "started again", |workspace| starts(workspace) == 2).await;
    Program::of(&world, "x", "b").await.registers(&world).await;
    let done = world.ready_at("x", 2).await;
    assert_eq!(done.status.unwrap().awaiting_idle_since, None);
}

async fn a_change_of_the_class_waits_until_the_program_is_idle(world: World) {
    let class = own(&world, "agents");
    create_with(&world, &class, json!({"defaults": when_idle(3600)})).await;
    let program = begin(&world, json!({ "className": class }), json!({"busy": true})).await;
    state(&world, ActivityState::Busy).await;
    patch(&world, &class, json!({"spec": {"defaults": {"env": [{"name": "A", "value": "1"}]}}})).await;
    let waiting = world.reason("x", ConditionType::UpToDate, Reason::AwaitingIdle).await;
    assert_eq!(starts(&waiting), 1);
    program.beat(json!({"busy": false})).await;
    let rolled = world.until("x", "started again", |workspace| starts(workspace) == 2).await;
    let cause = rolled.status.unwrap().incarnation.unwrap().cause;
    assert_eq!(cause, Some(StartCause::Rollout), "it took its turn in the rollout");
    delete(&world, &class).await;
}

async fn a_change_waits_no_longer_than_it_may(world: World) {
    begin(&world, when_idle(1), json!({"busy": true})).await;
    state(&world, ActivityState::Busy).await;
    world.change("x", json!({"env": [{"name": "A", "value": "1"}]})).await;
    world.until("x", "started again", |workspace| starts(workspace) == 2).await;
}

async fn a_restart_that_a_person_asks_for_waits_for_nobody(world: World) {
    begin(&world, when_idle(3600), json!({"busy": true})).await;
    state(&world, ActivityState::Busy).await;
    world.restart("x").await;
    world.until("x", "started again", |workspace| starts(workspace) == 2).await;
}

async fn a_state_that_stays_costs_no_write(world: World) {
    let program = begin(&world, stops_after(86_400), json!({"busy": true})).await;
    state(&world, ActivityState::Busy).await;
    world.quiet().await;
    world.forget_writes();
    for number in 0..5 {
        let says = json!({"busy": true, "message": format!("step {number}"), "activity": Timestamp::now().to_string()});
        program.beat(says).await;
    }
    world.quiet().await;
    assert_eq!(world.writes(), []);
    program.beat(json!({"busy": false})).await;
    state(&world, ActivityState::Idle).await;
    world.quiet().await;
    assert_eq!(world.writes().len(), 1, "{:?}", world.writes());
}

async fn somebody_has_to_tell_of_activity(world: World) {
    world.create("x", json!({"image": IMAGE, "idle": {"stopAfterSeconds": 60}})).await;
    let refused = world.reason("x", ConditionType::Accepted, Reason::InvalidSpec).await;
    let (_, _, message) = condition(&refused, ConditionType::Accepted).unwrap();
    assert!(message.contains("spec.idle.stopAfterSeconds"), "{message}");
    world.change("x", json!({"idle": null, "updateStrategy": {"type": "WhenIdle"}})).await;
    world
        .until("x", "refused for its strategy", |workspace| {
            condition(workspace, ConditionType::Accepted).unwrap().2.contains("spec.updateStrategy.type")
        })
        .await;
}
