//! A program inside a Pod, as far as the operator hears it.

use std::sync::atomic::{AtomicU64, Ordering};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use jiff::Timestamp;
use k8s_openapi::{
    api::{
        authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec},
        core::v1::{Pod, ServiceAccount},
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{ResourceExt, api::PostParams};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject},
};
use serde_json::{Value, json};
use test_invariants::{Recorder, What};
use workspace_operator::api::names;

use crate::World;

/// A process of a Pod.
#[derive(Clone)]
pub struct Program {
    pub url: String,
    pub token: String,
    pub nonce: String,
    /// The certificates it was given.
    pub trust: String,
    /// Where its questions are written down.
    recorder: Recorder,
}

/// Tells one question from another.
static QUESTIONS: AtomicU64 = AtomicU64::new(0);

impl Program {
    /// One that runs in the Pod `name` as it is now.
    pub async fn of(world: &World, name: &str, nonce: &str) -> Self {
        let pod = world
            .eventually("the Pod is there", || async {
                world.pod(name).await.filter(|pod| pod.metadata.deletion_timestamp.is_none())
            })
            .await;
        let token = token(world, &pod, &[names::AUDIENCE]).await;
        let trust = pod.annotations()[names::REGISTRATION_CA].clone();
        Self::elsewhere(world, &token, nonce, &trust)
    }

    /// One that runs outside of the cluster, with what somebody gave it.
    pub fn elsewhere(world: &World, token: &str, nonce: &str, trust: &str) -> Self {
        Self {
            url: world.registration.url.clone(),
            token: token.to_owned(),
            nonce: nonce.to_owned(),
            trust: trust.to_owned(),
            recorder: world.recorder.clone(),
        }
    }

    /// The same with another token.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: token.to_owned(), ..self.clone() }
    }

    /// Another process with the same token.
    #[must_use]
    pub fn restarted(&self, nonce: &str) -> Self {
        Self { nonce: nonce.to_owned(), ..self.clone() }
    }

    /// The same that speaks to another replica.
    #[must_use]
    pub fn speaking_to(&self, url: &str) -> Self {
        Self { url: url.to_owned(), ..self.clone() }
    }

    pub async fn register(&self) -> (StatusCode, Value) {
        self.post("/v1/register", self.introduction()).await
    }

    fn introduction(&self) -> Value {
        json!({ "nonce": self.nonce })
    }

    /// Registers until that is heard.
    pub async fn registers(&self, world: &World) -> Value {
        world
            .eventually("the program registers", || async {
                // Who was killed while it listened has not heard it.
                let (status, answer) = self.try_post("/v1/register", self.introduction()).await?;
                (status == StatusCode::OK).then_some(answer)
            })
            .await
    }

    pub async fn beat(&self, says: Value) -> (StatusCode, Value) {
        self.try_beat(says).await.unwrap()
    }

    /// The same; none where nobody answers.
    pub async fn try_beat(&self, says: Value) -> Option<(StatusCode, Value)> {
        let mut body = says;
        body["nonce"] = json!(self.nonce);
        self.try_post("/v1/heartbeat", body).await
    }

    pub async fn post(&self, path: &str, body: Value) -> (StatusCode, Value) {
        self.try_post(path, body).await.unwrap()
    }

    async fn try_post(&self, path: &str, body: Value) -> Option<(StatusCode, Value)> {
        let request = Request::post(format!("{}{path}", self.url))
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token))
            .header(header::CONTENT_TYPE, "application/json");
        self.try_send(request.body(Full::new(Bytes::from(body.to_string()))).unwrap()).await
    }

    /// Sends any request, and reads the answer.
    pub async fn send(&self, request: Request<Full<Bytes>>) -> (StatusCode, Value) {
        self.try_send(request).await.unwrap()
    }

    async fn try_send(&self, request: Request<Full<Bytes>>) -> Option<(StatusCode, Value)> {
        let question = QUESTIONS.fetch_add(1, Ordering::Relaxed);
        let (path, pod_uid) = (request.uri().path().to_owned(), shown(&request).and_then(incarnation));
        self.recorder.note(Timestamp::now(), What::Asked { question, path, pod_uid });
        let answer = client(&self.trust).request(request).await.ok()?;
        let status = answer.status();
        self.recorder.note(Timestamp::now(), What::Answered { question, code: status.as_u16() });
        let body = answer.into_body().collect().await.ok()?.to_bytes();
        Some((status, serde_json::from_slice(&body).unwrap_or(Value::Null)))
    }
}

/// The token that a request shows.
fn shown<B>(request: &Request<B>) -> Option<&str> {
    request.headers().get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ').map(|(_, token)| token)
}

/// The UID of the Pod, or of the Secret, that a token is bound to by its own word.
fn incarnation(token: &str) -> Option<String> {
    let claims = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let claims: Value = serde_json::from_slice(&claims).ok()?;
    let bound = ["pod", "secret"].into_iter().find_map(|kind| claims["kubernetes.io"][kind]["uid"].as_str());
    bound.map(str::to_owned)
}

/// A token of the Pod's account for these audiences, as the kubelet would get it.
pub async fn token(world: &World, pod: &Pod, audiences: &[&str]) -> String {
    let account = pod.spec.as_ref().and_then(|spec| spec.service_account_name.as_deref());
    bound_token(world, account.unwrap_or("default"), "Pod", &pod.metadata, audiences).await
}

/// A token of `account` for these audiences that ends with an object.
pub async fn bound_token(
    world: &World,
    account: &str,
    kind: &str,
    object: &ObjectMeta,
    audiences: &[&str],
) -> String {
    let request = TokenRequest {
        spec: Some(TokenRequestSpec {
            audiences: Some(audiences.iter().map(|audience| (*audience).to_owned()).collect()),
            expiration_seconds: Some(3600),
            bound_object_ref: Some(BoundObjectReference {
                api_version: Some("v1".to_owned()),
                kind: Some(kind.to_owned()),
                name: object.name.clone(),
                uid: object.uid.clone(),
            }),
            ..Default::default()
        }),
        ..Default::default()
    };
    let accounts = world.api::<ServiceAccount>();
    let answer = accounts.create_token_request(account, &PostParams::default(), &request).await.unwrap();
    answer.status.unwrap().token.unwrap()
}

/// TLS that trusts these certificates and no others.
pub fn trusting(trust: &str) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(trust.as_bytes()) {
        roots.add(certificate.unwrap()).unwrap();
    }
    ClientConfig::builder_with_provider(ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth()
}

fn client(trust: &str) -> Client<HttpsConnector<HttpConnector>, Full<Bytes>> {
    let connector =
        HttpsConnectorBuilder::new().with_tls_config(trusting(trust)).https_only().enable_http1().build();
    Client::builder(TokioExecutor::new()).build(connector)
}
