//! What ends in between: Pods, and the operator itself.

use k8s_openapi::api::core::v1::Pod;
use kube::api::DeleteParams;
use serde_json::json;
use test_apiserver::{Fault, Matcher, Verb};
use test_invariants::Invariant;
use test_world::{IMAGE, World, starts, told};
use workspace_operator::{
    api::{ConditionType, Reason, names},
    protection::Protection,
};

use crate::notice;

#[tokio::test]
async fn an_operator_that_ends_after_a_deletion() {
    notice(Protection::RecordedStop, Invariant::I17, async |world: &mut World| {
        world.start_operator();
        world.create("x", json!({"image": IMAGE})).await;
        world.ready("x").await;
        let deletion = Matcher::kind("Pod").verb(Verb::Delete).name("x").times(1);
        let rule = world.operator().unwrap().faults().on(deletion, Fault::DoThenSilence);
        world.restart("x").await;
        world.eventually("the Pod is being deleted", || async { (rule.hits() > 0).then_some(()) }).await;
        world.kill_operator().await;
        world.annotate("x", names::RESTARTED_AT, None).await;
        world.start_operator();
        world.ready_at("x", 2).await;
    })
    .await;
}

#[tokio::test]
async fn a_pod_that_is_lost_again_and_again() {
    notice(Protection::BackoffInStatus, Invariant::I11, async |world: &mut World| {
        world.start_operator();
        world.create("x", json!({"image": IMAGE})).await;
        for number in 1..3 {
            world.ready_at("x", number).await;
            world.kill_operator().await;
            world.api::<Pod>().delete("x", &DeleteParams::default().grace_period(0)).await.unwrap();
            world.start_operator();
        }
        world
            .until("x", "started again, or backing off", |workspace| {
                starts(workspace) > 2
                    || told(workspace, ConditionType::Ready) == format!("False/{}", Reason::BackingOff)
            })
            .await;
    })
    .await;
}
