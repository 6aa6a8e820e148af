//! Tokens as a test gets them past the kubelet, and their time.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are assertions")]

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewStatus};
use kube::{Api, Client, api::PostParams};
use serde_json::json;
use test_apiserver::{ApiServer, ClientOptions, Options};

const NS: &str = "default";

/// A server with a Pod that projects a token for the audience `short` alone.
fn server(seed: u64) -> ApiServer {
    let start: Timestamp = "2030-01-01T00:00:00Z".parse().unwrap();
    let server = ApiServer::with_options(Options::default().seed(seed).tokio_clock(start));
    let token = json!({ "path": "token", "audience": "short", "expirationSeconds": 600 });
    let volume = json!({ "name": "token", "projected": { "sources": [{ "serviceAccountToken": token }] } });
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "x" },
        "spec": { "containers": [{ "name": "main", "image": "x/ide" }], "volumes": [volume] },
    });
    server.create(pod).unwrap();
    server
}

async fn reviewed(client: &Client, token: &str, audience: &str) -> TokenReviewStatus {
    let review = json!({ "spec": { "token": token, "audiences": [audience] } });
    let review: TokenReview = serde_json::from_value(review).unwrap();
    let api: Api<TokenReview> = Api::all(client.clone());
    api.create(&PostParams::default(), &review).await.unwrap().status.unwrap()
}

async fn pass(time: Duration) {
    tokio::time::sleep(time).await;
}

#[tokio::test(start_paused = true)]
async fn a_projected_token_lasts_as_long_as_its_volume_asks() {
    let server = server(1);
    let client = server.client();
    let (short, hour) = (server.token(NS, "x", "short").unwrap(), server.token(NS, "x", "other").unwrap());
    let error = async |token: &str, audience: &str| reviewed(&client, token, audience).await.error;
    let expired = Some("[invalid bearer token, service account token has expired]".to_owned());
    // A minute late is not too late.
    pass(Duration::from_mins(11)).await;
    assert_eq!(error(&short, "short").await, None);
    pass(Duration::from_secs(2)).await;
    assert_eq!(error(&short, "short").await, expired);
    assert_eq!(error(&hour, "other").await, None);
    pass(Duration::from_hours(1)).await;
    assert_eq!(error(&hour, "other").await, expired);
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_outstays_its_grace_takes_its_token_with_it() {
    let server = server(1);
    server.step();
    let (client, token) = (server.client(), server.token(NS, "x", "short").unwrap());
    // Nobody runs the cluster on, so the Pod stays. It has 30 s, and the review a minute more.
    server.delete("Pod", NS, "x").unwrap();
    pass(Duration::from_secs(90)).await;
    assert_eq!(reviewed(&client, &token, "short").await.authenticated, Some(true));
    pass(Duration::from_secs(2)).await;
    assert!(server.object("Pod", NS, "x").is_some());
    assert_eq!(reviewed(&client, &token, "short").await.authenticated, None);
}

#[tokio::test]
async fn no_token_is_good_at_another_server() {
    let (server, other) = (server(1), server(2));
    let token = other.token(NS, "x", "short").unwrap();
    assert_eq!(reviewed(&other.client(), &token, "short").await.authenticated, Some(true));
    assert_eq!(reviewed(&server.client(), &token, "short").await.authenticated, None);
}

#[tokio::test]
async fn neither_a_token_nor_its_review_counts_as_a_write() {
    let server = server(1);
    let revision = server.revision();
    let client = server.client_with(ClientOptions::named("operator"));
    let accounts: Api<k8s_openapi::api::core::v1::ServiceAccount> = Api::namespaced(client.client(), NS);
    let request = serde_json::from_value(json!({ "spec": { "audiences": ["short"] } })).unwrap();
    let made = accounts.create_token_request("default", &PostParams::default(), &request).await.unwrap();
    reviewed(&client.client(), &made.status.unwrap().token.unwrap(), "short").await;
    assert_eq!((client.log().requests().len(), client.log().writes().len()), (2, 0));
    assert_eq!(server.revision(), revision);
}
