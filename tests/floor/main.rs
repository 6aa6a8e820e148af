//! The security floor against the Pod Security admission of a real API server: what the floor lets through is
//! admitted there, and what it refuses by one of the standards' rules is refused there too.
#![allow(clippy::unwrap_used, clippy::panic, reason = "the tests' own functions may end a test too")]

mod cases;

use std::time::Duration;

use http::{Request, StatusCode, header};
use k8s_openapi::api::core::v1::PodSpec;
use kube::{Client, client::Body};
use serde_json::{Value, json};
use test_cluster::{Cluster, Namespace, NodeKind, until};
use workspace_operator::{
    api::class::PodSecurity,
    floor::{Floor, Token},
};

use cases::{Case, Rule};

/// How long a label of a namespace may take to be enforced.
const ENFORCED_LIMIT: Duration = Duration::from_secs(30);

/// The words by which Pod Security admission refuses.
const VIOLATES: &str = "violates PodSecurity";

/// A namespace that enforces a profile.
struct Ground {
    profile: PodSecurity,
    client: Client,
    namespace: Namespace,
}

/// What the API server says of a Pod.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Admitted,
    Violates,
    Invalid,
}

impl Ground {
    async fn up(profile: PodSecurity) -> Self {
        let cluster = Cluster::up(NodeKind::Fake).await.unwrap();
        let namespace = cluster.namespace("floor", NodeKind::Fake).await.unwrap();
        let ground = Self { profile, client: cluster.client().unwrap(), namespace };
        ground.enforce().await;
        ground
    }

    async fn enforce(&self) {
        let level = self.profile.as_str().to_lowercase();
        let labels = json!({
            "pod-security.kubernetes.io/enforce": level,
            "pod-security.kubernetes.io/enforce-version": "v1.37",
        });
        let request = Request::patch(format!("/api/v1/namespaces/{}", self.namespace.name()))
            .header(header::CONTENT_TYPE, "application/merge-patch+json");
        let patch = bytes(&json!({"metadata": {"labels": labels}}));
        let (status, answer) = self.send(request.body(patch).unwrap()).await;
        assert!(status.is_success(), "{answer}");
        let refused = json!({"hostPID": true, "containers": [{"name": "main", "image": "a"}]});
        until("the API server to enforce the profile", ENFORCED_LIMIT, || async {
            Ok((self.ask(&refused, &json!({})).await.0 == Answer::Violates).then_some(()))
        })
        .await
        .unwrap();
    }

    /// Asks for a Pod to be made, without making it.
    async fn ask(&self, spec: &Value, annotations: &Value) -> (Answer, String) {
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": "probe", "annotations": annotations}, "spec": spec,
        });
        let path =
            format!("/api/v1/namespaces/{}/pods?dryRun=All&fieldValidation=Strict", self.namespace.name());
        let request = Request::post(path).header(header::CONTENT_TYPE, "application/json");
        let (status, answer) = self.send(request.body(bytes(&pod)).unwrap()).await;
        let message = answer["message"].as_str().unwrap_or_default().to_owned();
        let answer = match status {
            StatusCode::FORBIDDEN if message.contains(VIOLATES) => Answer::Violates,
            StatusCode::UNPROCESSABLE_ENTITY => Answer::Invalid,
            status if status.is_success() => Answer::Admitted,
            status => panic!("{status} {message}"),
        };
        (answer, message)
    }

    async fn send(&self, request: Request<Body>) -> (StatusCode, Value) {
        let (parts, body) = self.client.send(request).await.unwrap().into_parts();
        let body = body.collect_bytes().await.unwrap();
        (parts.status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    /// What is wrong with what the two say of a case, if anything.
    async fn difference(&self, case: &Case) -> Option<String> {
        let floor =
            Floor { profile: self.profile, user_namespace: case.user_namespace, token: Token::Refused };
        let mut spec: PodSpec = serde_json::from_value(case.spec.clone()).unwrap();
        if case.is_filled {
            floor.fill(&mut spec);
        }
        let below = floor.check(&spec).err();
        let told = match self.profile {
            PodSecurity::Baseline => &case.baseline,
            PodSecurity::Restricted => &case.restricted,
        };
        assert_eq!(below.as_ref().map(|below| &below.field), told.as_ref(), "{case:#?}");
        let spec = serde_json::to_value(spec).unwrap();
        let (answer, message) = self.ask(&spec, &json!({})).await;
        let expected = match (&below, case.rule) {
            (None, _) => Some(Answer::Admitted),
            (Some(_), Rule::Standard) => Some(Answer::Violates),
            (Some(_), Rule::Invalid) => Some(Answer::Invalid),
            // Stricter than the standards, so they have no say.
            (Some(_), Rule::Own) => None,
        };
        let differs = expected.is_some_and(|expected| expected != answer);
        differs.then(|| format!("the floor: {below:?}; the API server: {answer:?} {message}; {spec}"))
    }
}

fn bytes(value: &Value) -> Body {
    Body::from(serde_json::to_vec(value).unwrap())
}

async fn agrees_with_the_api_server(profile: PodSecurity) {
    let ground = Ground::up(profile).await;
    let mut differences = Vec::new();
    for case in cases::all() {
        differences.extend(ground.difference(&case).await);
    }
    assert!(differences.is_empty(), "{differences:#?}");
    ground.namespace.close().await.unwrap();
}

#[tokio::test]
async fn what_stands_on_restricted_is_admitted_where_restricted_is_enforced_and_nothing_else() {
    agrees_with_the_api_server(PodSecurity::Restricted).await;
}

#[tokio::test]
async fn what_stands_on_baseline_is_admitted_where_baseline_is_enforced_and_nothing_else() {
    agrees_with_the_api_server(PodSecurity::Baseline).await;
}

#[tokio::test]
async fn an_app_armor_annotation_is_refused_where_the_standards_refuse_it() {
    let ground = Ground::up(PodSecurity::Baseline).await;
    let floor = Floor { profile: PodSecurity::Baseline, user_namespace: false, token: Token::Refused };
    let spec = json!({"containers": [{"name": "main", "image": "a"}]});
    for (value, expected) in [("runtime/default", Answer::Admitted), ("unconfined", Answer::Violates)] {
        let annotations = json!({"container.apparmor.security.beta.kubernetes.io/main": value});
        let (answer, message) = ground.ask(&spec, &annotations).await;
        assert_eq!(answer, expected, "{value}: {message}");
        let ours = floor.check_annotations(&serde_json::from_value(annotations).unwrap());
        assert_eq!(ours.is_ok(), answer == Answer::Admitted, "{value}");
    }
    ground.namespace.close().await.unwrap();
}

/// The floor doesn't look at them.
#[tokio::test]
async fn no_pod_begins_with_ephemeral_containers() {
    let ground = Ground::up(PodSecurity::Baseline).await;
    let containers = json!([{"name": "main", "image": "a"}]);
    let spec = json!({"containers": containers, "ephemeralContainers": [{"name": "debug", "image": "a"}]});
    let (answer, message) = ground.ask(&spec, &json!({})).await;
    assert_eq!(answer, Answer::Invalid, "{message}");
    ground.namespace.close().await.unwrap();
}
