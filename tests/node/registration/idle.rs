//! A program tells by two files whether it is used.

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use test_world::{starts, told};
use workspace_operator::api::{ConditionType, Reason, names, status::ActivityState};

use super::{BUSY_FILE, OFTEN, end_work, heard, required, with_agents_beating_every};
use crate::inside;

const ACTIVITY_FILE: &str = "/tmp/activity";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unused_program_is_stopped_only_when_its_work_is_done_and_wakes_when_the_hold_goes() {
    with_agents_beating_every(OFTEN, async |world| {
        let long_ago = "2026-01-01 00:00:00";
        let script = format!(
            "trap exit TERM; touch {BUSY_FILE}; touch -d '{long_ago}' {ACTIVITY_FILE}; sleep infinity & wait"
        );
        let mut spec = required();
        spec["args"] = json!(["sh", "-c", script]);
        spec["idle"] = json!({"stopAfterSeconds": 1});
        let variable = json!({"name": "WORKSPACE_AGENT_ACTIVITY_FILE", "value": ACTIVITY_FILE});
        spec["env"].as_array_mut().unwrap().push(variable);
        world.create("x", spec).await;
        world.ready("x").await;
        let busy = heard(&world, "x", ActivityState::Busy).await;
        assert_eq!(told(&busy, ConditionType::Suspended), "False/NotSuspended");
        world.quiet().await;
        assert_eq!(world.pods.started("x"), 1, "whenever it was used last, it works");

        end_work(&world, "x").await;
        let idle = world.reason("x", ConditionType::Ready, Reason::Idle).await;
        assert_eq!(told(&idle, ConditionType::Suspended), "True/Idle");
        assert!(idle.metadata.annotations.unwrap().contains_key(names::IDLE_HOLD));
        world.eventually("its Pod is gone", || async { world.pod("x").await.is_none().then_some(()) }).await;
        assert_eq!(world.get("x").await.status.unwrap().failures, None);

        world.annotate("x", names::IDLE_HOLD, None).await;
        world.ready_at("x", 2).await;
        heard(&world, "x", ActivityState::Busy).await;
        world.change("x", json!({"idle": {"stopAfterSeconds": 3600}})).await;
        inside::run(&world, "x", &format!("touch {ACTIVITY_FILE}")).await;
        end_work(&world, "x").await;
        let used = heard(&world, "x", ActivityState::Idle).await;
        let since = used.status.as_ref().unwrap().activity.as_ref().unwrap().since.as_ref().unwrap().0;
        assert!(since > Timestamp::now() - SignedDuration::from_hours(1), "used {since}");
        world.quiet().await;
        let awake = world.get("x").await;
        assert_eq!((starts(&awake), told(&awake, ConditionType::Ready).as_str()), (2, "True/Running"));
    })
    .await;
}
