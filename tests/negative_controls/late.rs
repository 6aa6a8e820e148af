//! What arrives late: calls that were held up on their way, while another operator went on.

use http::StatusCode;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use test_apiserver::{ClientOptions, Fault, Gate, Matcher, Verb};
use test_invariants::Invariant;
use test_world::{IMAGE, World, program::Program, registration};
use tokio::task::JoinHandle;
use workspace_operator::{
    api::{ConditionType, Reason, Workspace},
    protection::Protection,
    run,
};

use crate::notice;

/// A second operator, with a client of its own.
fn another(world: &World) -> JoinHandle<Result<(), run::Error>> {
    let client = world.server().unwrap().client_with(ClientOptions::named("operator-2")).client();
    world.start_replica_of(client, registration())
}

/// Holds the next call of the first operator back. Answers when it was sent.
async fn held(world: &World, calls: Matcher, act: impl AsyncFnOnce(&World)) -> Gate {
    let gate = Gate::new();
    let rule = world.operator().unwrap().faults().on(calls.times(1), Fault::Hold(gate.clone()));
    act(world).await;
    world.eventually("the call is on its way", || async { (rule.hits() > 0).then_some(()) }).await;
    gate
}

#[tokio::test]
async fn a_deletion_that_arrives_late() {
    notice(Protection::UidPrecondition, Invariant::I9, async |world: &mut World| {
        world.start_operator();
        world.create("x", json!({"image": IMAGE})).await;
        world.ready("x").await;
        let deletion = Matcher::kind("Pod").verb(Verb::Delete).name("x");
        let gate = held(world, deletion, async |world| _ = world.restart("x").await).await;
        let another = another(world);
        world.ready_at("x", 2).await;
        gate.open();
        world.quiet().await;
        another.abort();
    })
    .await;
}

#[tokio::test]
async fn a_claim_that_arrives_late() {
    notice(Protection::ConditionalClaim, Invariant::I2, async |world: &mut World| {
        world.start_operator();
        let claim = Matcher::kind("Workspace").subresource("status").writes();
        let gate =
            held(world, claim, async |world| _ = world.create("x", json!({"image": IMAGE})).await).await;
        let another = another(world);
        world.ready("x").await;
        world.restart("x").await;
        world.ready_at("x", 2).await;
        gate.open();
        world.quiet().await;
        another.abort();
    })
    .await;
}

#[tokio::test]
async fn a_program_that_registers_late() {
    notice(Protection::StaleReportRejection, Invariant::I8, async |world: &mut World| {
        world.start_operator();
        world.create("x", json!({"image": IMAGE, "registration": {"policy": "Required"}})).await;
        world.reason("x", ConditionType::Ready, Reason::AwaitingRegistration).await;
        let program = Program::of(world, "x", "a").await;
        // The operator does not see what another writes.
        world.operator().unwrap().freeze_watches(Matcher::any());
        let claimed = Patch::Merge(json!({"status": {"incarnation": {"number": 2}}}));
        world.api::<Workspace>().patch_status("x", &PatchParams::default(), &claimed).await.unwrap();
        let (code, _) = program.register().await;
        assert!(matches!(code, StatusCode::OK | StatusCode::UNAUTHORIZED), "{code}");
    })
    .await;
}
