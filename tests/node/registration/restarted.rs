//! Restarts around the first Pod: the race that once left the survivor with a dead token.

use http::StatusCode;
use jiff::Timestamp;
use kube::ResourceExt;
use serde_json::json;
use test_world::{
    World,
    program::{Program, token},
    starts,
};
use workspace_operator::api::names;

use super::{assert_never_refused, many, required, with_agents};

const TIMES: usize = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_before_the_first_pod_needs_one_pod_and_one_registration() {
    with_agents(async |world| {
        for name in many(TIMES) {
            let annotations = json!({names::RESTARTED_AT: Timestamp::now().to_string()});
            world.create_annotated(&name, required(), annotations).await;
        }
        for name in many(TIMES) {
            assert_eq!(starts(&world.ready(&name).await), 1, "{name}");
        }
        world.quiet().await;
        for name in many(TIMES) {
            assert_eq!(world.pods.started(&name), 1, "{name}");
            assert_never_refused(&world, &name).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_restart_right_after_the_first_pod_the_second_is_never_refused_and_the_first_always() {
    with_agents(async |world| {
        let mut former = Vec::new();
        for name in many(TIMES) {
            world.create(&name, required()).await;
            let pod = world.eventually("the first Pod", || world.pod(&name)).await;
            former.push((pod.uid(), token(&world, &pod, &[names::AUDIENCE]).await));
            world.restart(&name).await;
        }
        for (name, (uid, token)) in many(TIMES).zip(former) {
            assert_eq!(starts(&world.ready(&name).await), 2, "{name}");
            assert_ne!(world.pod(&name).await.unwrap().uid(), uid);
            assert_never_refused(&world, &name).await;
            refused(&world, &Program::of(&world, &name, "former").await.with_token(&token)).await;
        }
        world.quiet().await;
        for name in many(TIMES) {
            assert_eq!(world.pods.started(&name), 2, "{name}");
        }
    })
    .await;
}

/// Fails if it is answered anything but 401. So many refusals of one address have to wait for each other.
async fn refused(world: &World, program: &Program) {
    let calls = [("/v1/register", json!({"nonce": "former"})), ("/v1/heartbeat", json!({"nonce": "former"}))];
    for (path, body) in calls {
        let status = world
            .eventually("an answer", || async {
                let (status, _) = program.post(path, body.clone()).await;
                (status != StatusCode::TOO_MANY_REQUESTS).then_some(status)
            })
            .await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{path}");
    }
}
