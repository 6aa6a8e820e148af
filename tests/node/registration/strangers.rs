//! Tokens that are none of the workspace's own.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use http::StatusCode;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};
use test_cluster::NodeKind;
use test_world::{
    IMAGE, World,
    program::{Program, token},
};
use workspace_operator::api::names;

use super::{assert_undisturbed, cluster, required, with_agents};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_else_s_token_is_good_and_none_that_was_tampered_with() {
    with_agents(async |world| {
        world.create("x", required()).await;
        world.create("y", required()).await;
        world.ready("x").await;
        world.ready("y").await;
        let pod = world.pod("x").await.unwrap();
        let program = Program::of(&world, "x", "another-process").await;
        // It says that it is a start of `x`, and nobody who makes Pods can be kept from that.
        let labels = json!({names::WORKSPACE: "x", names::INCARNATION: "1"});
        let stranger = token(&world, &bare(&world, labels).await, &[names::AUDIENCE]).await;
        let elsewhere = World::on_a_real_api_server_without_operator(NodeKind::Real).await;
        let neighbour = token(&elsewhere, &bare(&elsewhere, json!({})).await, &[names::AUDIENCE]).await;
        let now = Timestamp::now().as_second();
        for (what, token) in [
            ("another Pod's", stranger.clone()),
            ("another namespace's", neighbour),
            ("for another audience", token(&world, &pod, &["https://kubernetes.default.svc"]).await),
            ("expired", renewed(&program.token, now - 3600).await),
            ("signed for something else", forged(&stranger, &program.token)),
        ] {
            let answered = program.with_token(&token).register().await;
            let unauthorized = (StatusCode::UNAUTHORIZED, json!({"error": "unauthorized"}));
            assert_eq!(answered, unauthorized, "{what}");
        }
        for name in ["x", "y"] {
            assert_undisturbed(&world, name).await;
        }
        // The same signature for another time is good, so it was only the time that was wrong.
        let (status, _) = program.with_token(&renewed(&program.token, now + 600).await).register().await;
        assert_eq!(status, StatusCode::OK);
        // And a token is good for its own workspace alone.
        let (status, answer) = Program::of(&world, "y", "another-process").await.register().await;
        assert_eq!((status, &answer["workspace"]), (StatusCode::OK, &json!("y")));
    })
    .await;
}

/// A Pod that nobody looks after.
async fn bare(world: &World, labels: Value) -> Pod {
    let containers = json!([{"name": "main", "image": IMAGE}]);
    let metadata = json!({"name": "stranger", "labels": labels});
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata});
    let mut pod = pod;
    pod["spec"] = json!({"containers": containers, "terminationGracePeriodSeconds": 0});
    world.apply(pod).await
}

/// The token with another end, signed by the cluster.
async fn renewed(token: &str, end: i64) -> String {
    let payload = token.split('.').nth(1).unwrap();
    let mut claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap();
    claims["iat"] = json!(end - 7200);
    claims["nbf"] = json!(end - 7200);
    claims["exp"] = json!(end);
    cluster().await.sign_token(&claims).unwrap()
}

/// What one token says, with the signature of another.
fn forged(signed: &str, said: &str) -> String {
    let (_, signature) = signed.rsplit_once('.').unwrap();
    let (said, _) = said.rsplit_once('.').unwrap();
    format!("{said}.{signature}")
}
