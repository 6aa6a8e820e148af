//! Several replicas: one leads and writes; any of them registers programs, and passes heartbeats on.

use std::time::Duration;

use http::StatusCode;
use k8s_openapi::api::coordination::v1::Lease;
use serde_json::json;
use test_apiserver::{ClientOptions, Matcher, Verb};
use test_world::{IMAGE, World, is, program::Program, registration, starts, told};
use workspace_operator::api::{ConditionType, names};

use crate::registration::required;

scenarios!(
    any_replica_registers_and_passes_heartbeats_on,
    when_the_leader_stops_the_other_goes_on_and_restarts_nobody,
    when_the_leader_dies_the_other_goes_on,
    who_takes_over_goes_by_what_is_and_not_by_what_was_when_it_began,
);

mod at_odds {
    use super::*;

    scenarios_in_memory!(two_that_see_different_things_do_not_write_without_end);
}

/// The identity that holds the Lease.
async fn leader(world: &World) -> Option<String> {
    let lease = world.api::<Lease>().get_opt(names::OPERATOR).await.unwrap()?;
    lease.spec?.holder_identity.filter(|holder| !holder.is_empty())
}

/// Starts the world's operator as the leader.
async fn lead(world: &mut World) -> String {
    world.stop_operator().await;
    world.elects = true;
    world.start_operator();
    world.eventually("somebody leads", || leader(world)).await
}

async fn any_replica_registers_and_passes_heartbeats_on(mut world: World) {
    lead(&mut world).await;
    let other = registration();
    let replica = world.start_replica(other.clone());
    world.create("x", required()).await;
    let program = Program::of(&world, "x", "a").await.speaking_to(&other.url);
    program.registers(&world).await;
    world.ready("x").await;
    world
        .eventually("the heartbeat reaches the leader", || async {
            (program.beat(json!({"busy": true, "message": "at work"})).await.0 == StatusCode::OK)
                .then_some(())
        })
        .await;
    let busy = world
        .until("x", "busy", |workspace| {
            workspace.status.as_ref().is_some_and(|status| status.activity.is_some())
        })
        .await;
    let activity = busy.status.unwrap().activity.unwrap();
    assert_eq!(activity.message.as_deref(), Some("at work"));
    let stranger = program.restarted("b");
    assert_eq!(stranger.beat(json!({})).await, (StatusCode::CONFLICT, json!({"error": "register first"})));
    assert_eq!(program.with_token("none").beat(json!({})).await.0, StatusCode::UNAUTHORIZED);
    replica.abort();
}

async fn when_the_leader_stops_the_other_goes_on_and_restarts_nobody(mut world: World) {
    let first = lead(&mut world).await;
    let replica = world.start_another_operator();
    world.create("x", json!({"image": IMAGE})).await;
    world.ready("x").await;
    world.stop_operator().await;
    world.eventually("another leads", || async { leader(&world).await.filter(|now| *now != first) }).await;
    world.create("y", json!({"image": IMAGE})).await;
    world.ready("y").await;
    let untouched = world.get("x").await;
    assert_eq!((starts(&untouched), told(&untouched, ConditionType::Ready).as_str()), (1, "True/Running"));
    replica.abort();
}

async fn when_the_leader_dies_the_other_goes_on(mut world: World) {
    let first = lead(&mut world).await;
    let replica = world.start_another_operator();
    world.create("x", json!({"image": IMAGE})).await;
    world.ready("x").await;
    world.kill_operator().await;
    world.eventually("another leads", || async { leader(&world).await.filter(|now| *now != first) }).await;
    world.create("y", json!({"image": IMAGE})).await;
    world.ready("y").await;
    assert_eq!(world.pods.started("x"), 1);
    replica.abort();
}

/// The replica that waits has seen the workspace as it was at first.
async fn who_takes_over_goes_by_what_is_and_not_by_what_was_when_it_began(mut world: World) {
    let first = lead(&mut world).await;
    let labelled =
        |value: &str| json!({"image": IMAGE, "podTemplate": {"metadata": {"labels": {"team": value}}}});
    world.create("x", labelled("a")).await;
    world.ready("x").await;
    let other = registration();
    let replica = world.start_replica(other.clone());
    // It answers once its caches are filled, and so its first passes wait for their turn.
    world.create("y", required()).await;
    Program::of(&world, "y", "a").await.speaking_to(&other.url).registers(&world).await;
    world.ready("y").await;
    world.change("x", labelled("b")).await;
    world
        .eventually("the label is changed", || async {
            (world.pod("x").await?.metadata.labels?.get("team")? == "b").then_some(())
        })
        .await;
    world.ready("x").await;
    world.quiet().await;
    world.stop_operator().await;
    world.forget_writes();
    world.eventually("another leads", || async { leader(&world).await.filter(|now| *now != first) }).await;
    world.quiet().await;
    assert_eq!(world.writes(), [], "there was nothing to do");
    replica.abort();
}

/// No election, or an old leader that does not know yet: both write.
async fn two_that_see_different_things_do_not_write_without_end(world: World) {
    world.create("x", json!({"image": IMAGE})).await;
    world.ready("x").await;
    let server = world.server().unwrap();
    let late = server.client_with(ClientOptions::named("operator-late"));
    let replica = world.start_replica_of(late.client(), registration());
    world
        .eventually("the other has seen the Pod", || async {
            let kinds = late.log().requests().into_iter().filter(|call| call.verb == Verb::Watch);
            kinds.map(|call| call.kind).any(|kind| kind == "Namespace").then_some(())
        })
        .await;
    world.quiet().await;
    late.freeze_watches(Matcher::kind("Pod"));
    world.forget_writes();
    server.set_pod_ready(&world.namespace, "x", false).unwrap();
    let statuses = || world.writes().len() + late.log().writes_without_probes().len();
    world.eventually("they differ", || async { (statuses() > 2).then_some(()) }).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(statuses() <= 12, "{} writes", statuses());

    late.thaw_watches();
    world.until("x", "seen as it is", |workspace| is(workspace, ConditionType::Ready, "False")).await;
    server.set_pod_ready(&world.namespace, "x", true).unwrap();
    world.ready("x").await;
    world.quiet().await;
    assert_eq!(world.pods.started("x"), 1);
    replica.abort();
}
