//! Tokens of service accounts, and what a review says of them.

use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenReview, TokenReviewStatus},
    core::v1::{Pod, Secret, ServiceAccount},
};
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, ListParams, PostParams},
};
use serde_json::{Value, json};

use crate::support::*;

const AUDIENCE: &str = "workspaces.dev";

async fn requested(client: &Client, ns: &str, account: &str, spec: Value) -> kube::Result<TokenRequest> {
    let mut request = json!({ "spec": { "audiences": [AUDIENCE] } });
    request["spec"].as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    let api: Api<ServiceAccount> = Api::namespaced(client.clone(), ns);
    api.create_token_request(account, &PostParams::default(), &object(request)).await
}

async fn token(client: &Client, ns: &str, spec: Value) -> String {
    token_of(requested(client, ns, "default", spec).await.unwrap())
}

fn token_of(request: TokenRequest) -> String {
    request.status.unwrap().token.unwrap()
}

fn bound_to(kind: &str, name: &str) -> Value {
    json!({ "boundObjectRef": { "apiVersion": "v1", "kind": kind, "name": name } })
}

async fn reviewed(client: &Client, token: &str, audiences: &[&str]) -> TokenReviewStatus {
    let api: Api<TokenReview> = Api::all(client.clone());
    let review: TokenReview = object(json!({ "spec": { "token": token, "audiences": audiences } }));
    made(&api, &review).await.status.unwrap()
}

fn is_good(status: &TokenReviewStatus) -> bool {
    status.authenticated == Some(true)
}

/// The review's error, after a look at all that a refusal must not tell.
async fn refused(client: &Client, token: &str, audiences: &[&str]) -> String {
    let status = reviewed(client, token, audiences).await;
    assert!(!is_good(&status), "{status:?}");
    assert_eq!((status.audiences, status.user.and_then(|user| user.username)), (None, None));
    status.error.unwrap()
}

async fn eventually_refused(client: &Client, token: &str) {
    // A real server remembers a success for ten seconds.
    eventually("the token is refused", || async { !is_good(&reviewed(client, token, &[AUDIENCE]).await) })
        .await;
}

pub async fn a_pods_token_tells_its_pod(client: Client, ns: &str) {
    let pod = made(&Api::<Pod>::namespaced(client.clone(), ns), &pod_nowhere("bound")).await;
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), ns);
    let account = accounts.get("default").await.unwrap();
    let made = requested(&client, ns, "default", bound_to("Pod", "bound")).await.unwrap();
    let metadata = &made.metadata;
    assert_eq!((&metadata.name, &metadata.uid), (&account.metadata.name, &account.metadata.uid));
    assert_eq!(made.spec.as_ref().unwrap().expiration_seconds, Some(3600));
    let token = token_of(made);
    assert_eq!(token.split('.').count(), 3);
    let status = reviewed(&client, &token, &["other", AUDIENCE]).await;
    assert_eq!((status.authenticated, status.error), (Some(true), None));
    assert_eq!(status.audiences, Some(vec![AUDIENCE.to_owned()]));
    let user = status.user.unwrap();
    assert_eq!(user.username.unwrap(), format!("system:serviceaccount:{ns}:default"));
    assert_eq!(user.uid, account.uid());
    let of_namespace = format!("system:serviceaccounts:{ns}");
    assert_eq!(user.groups.unwrap(), ["system:serviceaccounts", &of_namespace, "system:authenticated"]);
    let extra = user.extra.unwrap();
    let keys =
        ["credential-id", "pod-name", "pod-uid"].map(|key| format!("authentication.kubernetes.io/{key}"));
    assert_eq!(extra.keys().collect::<Vec<_>>(), keys.iter().collect::<Vec<_>>());
    assert_eq!(extra[&keys[1]], ["bound"]);
    assert_eq!(extra[&keys[2]], [pod.uid().unwrap()]);
}

pub async fn a_token_is_good_for_its_audience_only(client: Client, ns: &str) {
    let of_workspaces = token(&client, ns, json!({})).await;
    let why = refused(&client, &of_workspaces, &["other"]).await;
    assert!(why.contains("token audiences [\"workspaces.dev\"] is invalid"), "{why}");
    // Without an audience that of the API server is meant.
    refused(&client, &of_workspaces, &[]).await;
    let of_server = token(&client, ns, json!({ "audiences": [] })).await;
    assert!(is_good(&reviewed(&client, &of_server, &[]).await));
    refused(&client, &of_server, &[AUDIENCE]).await;
}

pub async fn a_forged_token_is_refused(client: Client, ns: &str) {
    let [mine, other] = [token(&client, ns, json!({})).await, token(&client, ns, json!({})).await];
    let parts: Vec<&str> = mine.split('.').collect();
    let signature = other.rsplit('.').next().unwrap();
    let why = refused(&client, &[parts[0], parts[1], signature].join("."), &[AUDIENCE]).await;
    assert!(why.starts_with("[invalid bearer token, "), "{why}");
    for stranger in ["garbage", "a.b.c"] {
        assert_eq!(refused(&client, stranger, &[AUDIENCE]).await, "invalid bearer token");
    }
}

pub async fn a_token_is_good_until_its_pod_is_gone(client: Client, ns: &str) {
    let api: Api<Pod> = Api::namespaced(client.clone(), ns);
    made(&api, &pod_of_lost_node("ending")).await;
    let token = token(&client, ns, bound_to("Pod", "ending")).await;
    api.delete("ending", &DeleteParams::default()).await.unwrap();
    assert!(api.get("ending").await.unwrap().metadata.deletion_timestamp.is_some());
    assert!(is_good(&reviewed(&client, &token, &[AUDIENCE]).await));
    api.delete("ending", &DeleteParams::default().grace_period(0)).await.unwrap();
    eventually_refused(&client, &token).await;
    let why = refused(&client, &token, &[AUDIENCE]).await;
    assert!(why.contains("service account token has been invalidated"), "{why}");
}

pub async fn a_token_of_a_pods_predecessor_is_refused(client: Client, ns: &str) {
    let api: Api<Pod> = Api::namespaced(client.clone(), ns);
    made(&api, &pod_nowhere("again")).await;
    let former = token(&client, ns, bound_to("Pod", "again")).await;
    api.delete("again", &DeleteParams::default()).await.unwrap();
    made(&api, &pod_nowhere("again")).await;
    let why = refused(&client, &former, &[AUDIENCE]).await;
    assert!(why.contains("does not match service account pod ref claim"), "{why}");
    let token = token(&client, ns, bound_to("Pod", "again")).await;
    assert!(is_good(&reviewed(&client, &token, &[AUDIENCE]).await));
}

pub async fn a_secrets_token_tells_no_secret_and_dies_with_it(client: Client, ns: &str) {
    let api: Api<Secret> = Api::namespaced(client.clone(), ns);
    made(&api, &object(json!({ "metadata": { "name": "key" } }))).await;
    let token = token(&client, ns, bound_to("Secret", "key")).await;
    let status = reviewed(&client, &token, &[AUDIENCE]).await;
    assert!(is_good(&status));
    let extra = status.user.unwrap().extra.unwrap();
    assert_eq!(extra.keys().collect::<Vec<_>>(), ["authentication.kubernetes.io/credential-id"]);
    api.delete("key", &DeleteParams::default()).await.unwrap();
    eventually_refused(&client, &token).await;
    made(&api, &object(json!({ "metadata": { "name": "key" } }))).await;
    refused(&client, &token, &[AUDIENCE]).await;
}

pub async fn a_token_dies_with_its_account(client: Client, ns: &str) {
    let api: Api<ServiceAccount> = Api::namespaced(client.clone(), ns);
    made(&api, &object(json!({ "metadata": { "name": "leaving" } }))).await;
    let token = token_of(requested(&client, ns, "leaving", json!({})).await.unwrap());
    api.delete("leaving", &DeleteParams::default()).await.unwrap();
    eventually_refused(&client, &token).await;
}

pub async fn a_token_is_bound_only_to_what_is_there(client: Client, ns: &str) {
    made(&Api::<Pod>::namespaced(client.clone(), ns), &pod_nowhere("there")).await;
    made(&Api::namespaced(client.clone(), ns), &config_map("there")).await;
    made(&Api::<Secret>::namespaced(client.clone(), ns), &object(json!({ "metadata": { "name": "there" } })))
        .await;
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), ns);
    made(&accounts, &object(json!({ "metadata": { "name": "other" } }))).await;
    let other_uid = |kind: &str| {
        let mut spec = bound_to(kind, "there");
        spec["boundObjectRef"]["uid"] = json!(STRANGER);
        spec
    };
    for (account, spec, code) in [
        ("nobody", json!({}), 404),
        ("default", bound_to("Pod", "missing"), 404),
        ("default", bound_to("Secret", "missing"), 404),
        ("default", other_uid("Pod"), 409),
        ("default", other_uid("Secret"), 409),
        ("default", bound_to("ConfigMap", "there"), 400),
        ("other", bound_to("Pod", "there"), 400),
        ("default", json!({ "expirationSeconds": 599 }), 422),
    ] {
        let answer = requested(&client, ns, account, spec.clone()).await;
        assert_eq!(refusal(answer), code, "{account} {spec}");
    }
}

pub async fn a_review_wants_a_token_and_is_not_kept(client: Client, _: &str) {
    let api: Api<TokenReview> = Api::all(client);
    let empty: TokenReview = object(json!({ "spec": { "token": "" } }));
    assert_eq!(refusal(api.create(&PostParams::default(), &empty).await), 400);
    assert_eq!(refusal(api.list(&ListParams::default()).await), 405);
}
