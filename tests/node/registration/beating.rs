//! What heartbeats survive: the end of the operator, and of its certificates.

use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams},
};
use serde_json::{Value, json};
use std::time::Duration;
use test_world::{World, is, told};
use workspace_operator::api::{ConditionType, names, status::ActivityState};

use super::{
    OFTEN, assert_undisturbed, begin_work, end_work, heard, many, required, said, with_agents_beating_every,
};
use crate::inside;

const AGENTS: usize = 20;
/// The operator looks at its certificates once a minute.
const LOOK_LIMIT: Duration = Duration::from_secs(100);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_agents_beat_on_over_new_certificates_and_new_operators() {
    with_agents_beating_every(OFTEN, async |mut world| {
        for name in many(AGENTS) {
            world.create(&name, required()).await;
        }
        for name in many(AGENTS) {
            world.ready(&name).await;
        }
        // Another certificate of the same CA, while it serves.
        let before = lose_certificate(&world).await;
        let renewed = test_cluster::until("a new certificate", LOOK_LIMIT, || async {
            Ok(certificate(&world).await.filter(|now| *now != before))
        });
        let renewed = renewed.await.unwrap();
        world.kill_operator().await;
        world.start_operator();
        all_are_heard(&world, ActivityState::Busy).await;
        assert_eq!(certificate(&world).await, Some(renewed));

        // All of them lost: another CA, which nobody trusts who was not told.
        world.stop_operator().await;
        secrets(&world).delete(names::REGISTRATION_SECRET, &DeleteParams::default()).await.unwrap();
        world.start_operator();
        all_are_heard(&world, ActivityState::Idle).await;
        for name in many(AGENTS) {
            world.ready(&name).await;
            assert_undisturbed(&world, &name).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_an_operator_workspaces_serve_on_and_its_return_changes_nothing() {
    const FEW: usize = 5;
    // Slow enough for a machine with much to do: nobody falls silent while the operator is there.
    with_agents_beating_every(Duration::from_secs(5), async |mut world| {
        for name in many(FEW) {
            world.create(&name, required()).await;
        }
        for name in many(FEW) {
            world.ready(&name).await;
        }
        world.quiet().await;
        world.stop_operator().await;
        for name in many(FEW) {
            says(&world, &name, 1, "could not send a heartbeat").await;
            assert!(serves(&world, &name).await, "{name}");
            assert_eq!(inside::run(&world, &name, "echo $WORKSPACE_INCARNATION").await, "1\n");
        }
        world.forget_writes();
        world.start_operator();
        for name in many(FEW) {
            says(&world, &name, 2, "registered as ").await;
        }
        world.quiet().await;
        assert_eq!(world.writes(), [], "neither a restart nor a word of silence");
        for name in many(FEW) {
            assert!(is(&world.get(&name).await, ConditionType::Ready, "True"));
            assert_undisturbed(&world, &name).await;
        }
    })
    .await;
}

/// Every program begins or ends its work, and the operator gets to know.
async fn all_are_heard(world: &World, state: ActivityState) {
    for name in many(AGENTS) {
        match state {
            ActivityState::Busy => begin_work(world, &name).await,
            _ => end_work(world, &name).await,
        }
    }
    for name in many(AGENTS) {
        let workspace = heard(world, &name, state).await;
        assert_eq!(told(&workspace, ConditionType::Registered), "True/Registered", "{name}");
    }
}

/// Takes the certificate that is served out of the Secret, and tells which it was.
async fn lose_certificate(world: &World) -> Value {
    let before = certificate(world).await.unwrap();
    let patch = Patch::Merge(json!({"data": {"tls.crt": null, "tls.key": null}}));
    secrets(world).patch(names::REGISTRATION_SECRET, &PatchParams::default(), &patch).await.unwrap();
    before
}

async fn certificate(world: &World) -> Option<Value> {
    let secret = secrets(world).get(names::REGISTRATION_SECRET).await.unwrap();
    secret.data.unwrap_or_default().get("tls.crt").map(|certificate| json!(certificate))
}

fn secrets(world: &World) -> Api<Secret> {
    world.api()
}

/// Waits until the agent has said so that often.
async fn says(world: &World, name: &str, times: usize, what: &str) {
    world
        .eventually(&format!("{name} says `{what}`"), || async {
            let said = said(world, name).await;
            (said.iter().filter(|line| line.starts_with(what)).count() >= times).then_some(())
        })
        .await;
}

/// Whether Services send traffic to it.
async fn serves(world: &World, name: &str) -> bool {
    let pod: Pod = world.pod(name).await.unwrap();
    let conditions = pod.status.unwrap().conditions.unwrap_or_default();
    conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}
