//! The API server and how it is asked. Almost everything is a dry run: nothing is stored and no test meets another.

use std::{path::Path, time::Duration};

use http::{HeaderMap, Request, StatusCode, header};
use kube::{Client, client::Body};
use serde_json::{Value, json};
use test_cluster::{Cluster, Namespace, NodeKind, until};
use workspace_operator::api::{crd, names};

use crate::schema;

/// How long the API server may take to serve a definition that was changed.
const SERVED_LIMIT: Duration = Duration::from_secs(30);

/// How objects are asked for: nothing is stored, and unknown fields are refused.
const DRY_RUN: &str = "dryRun=All&fieldValidation=Strict&fieldManager=test";

/// What the API server names where a mistake is about no single field.
pub const NO_FIELD: &str = "<nil>";

/// The two kinds, by the plural that stands in paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Workspace,
    WorkspaceClass,
}

impl Kind {
    pub const ALL: [Self; 2] = [Self::Workspace, Self::WorkspaceClass];

    fn plural(self) -> &'static str {
        match self {
            Self::Workspace => "workspaces",
            Self::WorkspaceClass => "workspaceclasses",
        }
    }

    /// The definition as this build renders it.
    pub fn definition(self) -> Value {
        let name = format!("{}.{}", self.plural(), names::GROUP);
        crd::all().unwrap().into_iter().find(|(found, _)| *found == name).unwrap().1
    }

    /// The schema of its objects.
    pub fn schema(self) -> Value {
        self.definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone()
    }

    /// An object of this kind.
    pub fn object(self, name: &str, spec: Value) -> Value {
        let api_version = format!("{}/v1alpha1", names::GROUP);
        json!({"apiVersion": api_version, "kind": format!("{self:?}"), "metadata": {"name": name}, "spec": spec})
    }

    /// An object whose workspace fields are these: a class has them as defaults.
    pub fn with_fields(self, fields: Value) -> Value {
        match self {
            Self::Workspace => self.object("probe", fields),
            Self::WorkspaceClass => self.object("probe", json!({"defaults": fields})),
        }
    }

    /// Where such fields stand.
    pub fn fields_at(self) -> &'static str {
        match self {
            Self::Workspace => "spec",
            Self::WorkspaceClass => "spec.defaults",
        }
    }

    /// Where objects of this kind are found.
    pub fn path(self, namespace: &str) -> String {
        let folder = match self {
            Self::Workspace => format!("namespaces/{namespace}/"),
            Self::WorkspaceClass => String::new(),
        };
        format!("/apis/{}/v1alpha1/{folder}{}", names::GROUP, self.plural())
    }
}

/// What the API server says of an object.
#[derive(Clone, Debug)]
pub enum Answer {
    /// Taken, in the form it would be stored.
    Accepted(Value),
    Refused(Refusal),
}

#[derive(Clone, Debug)]
pub struct Refusal {
    pub message: String,
    /// Field and words of each mistake.
    pub causes: Vec<(String, String)>,
}

impl Answer {
    /// The object as it would be stored.
    pub fn accepted(self, what: &str) -> Value {
        match self {
            Self::Accepted(object) => object,
            Self::Refused(refusal) => panic!("{what} was refused: {}", refusal.message),
        }
    }

    /// Whether it was taken; else what was said.
    pub fn is_accepted(&self) -> Result<(), String> {
        match self {
            Self::Accepted(_) => Ok(()),
            Self::Refused(refusal) => Err(format!("was refused as {:?}", refusal.causes)),
        }
    }

    /// Whether it was refused for `field` in such `words`; else what was said.
    pub fn is_refused_at(&self, field: &str, words: &str) -> Result<(), String> {
        match self {
            Self::Accepted(_) => Err("was accepted".to_owned()),
            Self::Refused(refusal) => {
                let told = refusal.causes.iter().any(|(at, said)| at == field && said.contains(words));
                if told { Ok(()) } else { Err(format!("was refused as {:?}", refusal.causes)) }
            }
        }
    }
}

/// An answer of the API server, whatever it is.
pub struct Response {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Value,
}

/// The API server with the CRDs of this build.
#[derive(Clone)]
pub struct Ground {
    pub cluster: Cluster,
    client: Client,
}

impl Ground {
    /// The shared cluster, once it serves both definitions as this build renders them.
    pub async fn up() -> Self {
        let cluster = Cluster::up(NodeKind::Fake).await.unwrap();
        cluster.install_crds(&Path::new(env!("CARGO_MANIFEST_DIR")).join("crds")).await.unwrap();
        let client = cluster.client().unwrap();
        let ground = Self { cluster, client };
        until("the API server to serve the schemas of this build", SERVED_LIMIT, || async {
            Ok(ground.serves_this_build().await.then_some(()))
        })
        .await
        .unwrap();
        ground
    }

    async fn serves_this_build(&self) -> bool {
        let mut serves = true;
        for kind in Kind::ALL {
            let served = schema::as_rendered(&self.served_schema(kind).await);
            let rendered = schema::as_rendered(&kind.schema());
            serves &= served["properties"]["spec"] == rendered["properties"]["spec"];
            serves &= served[schema::RULES] == rendered[schema::RULES];
        }
        serves
    }

    /// The schema as `kubectl explain` reads it.
    pub async fn served_schema(&self, kind: Kind) -> Value {
        let path = format!("/openapi/v3/apis/{}/v1alpha1", names::GROUP);
        let mut body = self.get(&path, "application/json").await.body;
        body["components"]["schemas"][format!("dev.workspaces.v1alpha1.{kind:?}")].take()
    }

    /// A namespace for what a dry run can't show.
    pub async fn namespace(&self) -> Namespace {
        self.cluster.namespace("crd", NodeKind::Fake).await.unwrap()
    }

    /// Reads.
    pub async fn get(&self, path: &str, accept: &str) -> Response {
        self.send(Request::get(path).header(header::ACCEPT, accept).body(Body::empty()).unwrap()).await
    }

    /// Asks for an object to be made, without making it.
    pub async fn try_create(&self, kind: Kind, object: &Value) -> Answer {
        answer(self.post(&format!("{}?{DRY_RUN}", kind.path("default")), object).await)
    }

    /// Asks for a stored workspace to be changed by a merge patch, without changing it.
    pub async fn try_change(&self, namespace: &Namespace, name: &str, patch: &Value) -> Answer {
        let path = format!("{}/{name}?{DRY_RUN}", Kind::Workspace.path(namespace.name()));
        answer(self.patch(&path, "application/merge-patch+json", patch).await)
    }

    /// Stores a workspace.
    pub async fn create(&self, namespace: &Namespace, object: &Value) {
        let path = Kind::Workspace.path(namespace.name());
        answer(self.post(&path, object).await).accepted("the workspace to begin with");
    }

    /// Sends a body to a collection.
    pub async fn post(&self, path: &str, body: &Value) -> Response {
        let request = Request::post(path).header(header::CONTENT_TYPE, "application/json");
        self.send(request.body(bytes(body)).unwrap()).await
    }

    /// Sends a patch of some kind.
    pub async fn patch(&self, path: &str, kind: &str, body: &Value) -> Response {
        let request = Request::patch(path).header(header::CONTENT_TYPE, kind);
        self.send(request.body(bytes(body)).unwrap()).await
    }

    async fn send(&self, request: Request<Body>) -> Response {
        let (parts, body) = self.client.send(request).await.unwrap().into_parts();
        let body = body.collect_bytes().await.unwrap();
        let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
        Response { status: parts.status, headers: parts.headers, body }
    }
}

fn bytes(value: &Value) -> Body {
    Body::from(serde_json::to_vec(value).unwrap())
}

fn answer(response: Response) -> Answer {
    if response.status.is_success() {
        return Answer::Accepted(response.body);
    }
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let causes = response.body["details"]["causes"].as_array().into_iter().flatten();
    Answer::Refused(Refusal {
        message: text(&response.body["message"]),
        causes: causes.map(|cause| (text(&cause["field"]), text(&cause["message"]))).collect(),
    })
}
