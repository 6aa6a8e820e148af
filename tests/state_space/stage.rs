//! The ground of the campaign: a namespace with what specs refer to, and how objects get there.

use http::Request;
use kube::Client;
use serde_json::{Value, json};
use test_cluster::NodeKind;
use test_world::{IMAGE, World};
use workspace_operator::api::names;

use crate::{
    kind::Kind,
    meaning::{CLASSES, NAMESPACE},
};

/// What generated names of Secrets, ConfigMaps, their keys, service accounts and claims are.
const EXISTING: [&str; 2] = ["aa", "aaa"];
/// On everything of this campaign that belongs to the whole cluster.
const OF_CAMPAIGN: &str = "workspaces-test/state-space";

/// A world with what specs refer to.
pub struct Stage {
    pub world: World,
    client: Client,
}

/// What the API server says against an object.
pub type Refusal = String;

impl Stage {
    /// Builds it up on the shared cluster, with the operator running.
    pub async fn up() -> Self {
        let world = World::on_a_real_api_server_without_operator(NodeKind::Fake).await;
        let client = world.client.clone();
        let mut stage = Self { world, client };
        for name in EXISTING {
            let data = json!({"aa": "MQ==", "aaa": "Mg=="});
            let claim =
                json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}});
            stage.make("v1", "secrets", "Secret", name, json!({"data": data})).await;
            stage.make("v1", "configmaps", "ConfigMap", name, json!({"data": {"aa": "1", "aaa": "2"}})).await;
            stage.make("v1", "serviceaccounts", "ServiceAccount", name, json!({})).await;
            stage
                .make("v1", "persistentvolumeclaims", "PersistentVolumeClaim", name, json!({"spec": claim}))
                .await;
        }
        for (name, env) in CLASSES.iter().zip([json!([]), json!([{"name": "A", "value": "class"}])]) {
            stage
                .create(Kind::Class, &stage.named(name), &json!({"defaults": {"image": IMAGE, "env": env}}))
                .await
                .unwrap();
        }
        stage.world.start_operator();
        stage
    }

    /// Takes away what a namespace does not take with it.
    pub async fn down(self) {
        let label = format!("{OF_CAMPAIGN}%3D{}", self.world.namespace);
        let path = format!("/apis/{}/v1alpha1/workspaceclasses?labelSelector={label}", names::GROUP);
        self.send("DELETE", &path, "application/json", &Value::Null).await.unwrap();
    }

    /// `text` with the namespace in place of what stands for it.
    fn named(&self, text: &str) -> String {
        text.replace(NAMESPACE, &self.world.namespace)
    }

    /// Name of the class of a subject.
    pub fn class(&self, subject: &str) -> String {
        format!("{}-{subject}", self.world.namespace)
    }

    /// Makes a workspace that is what `spec` of a workspace, or of its class, makes of it.
    pub async fn begin(&self, kind: Kind, subject: &str, spec: &Value) -> Result<(), Refusal> {
        match kind {
            Kind::Workspace => self.create(kind, subject, spec).await,
            Kind::Class => {
                let class = self.class(subject);
                self.create(kind, &class, spec).await?;
                self.create(Kind::Workspace, subject, &json!({"className": class})).await
            }
        }
    }

    /// Gives the workspace, or its class, another spec.
    pub async fn put(&self, kind: Kind, subject: &str, spec: &Value) -> Result<(), Refusal> {
        let name = match kind {
            Kind::Workspace => subject.to_owned(),
            Kind::Class => self.class(subject),
        };
        let path = format!("{}/{name}?fieldValidation=Strict", self.path(kind));
        let patch = json!([{"op": "replace", "path": "/spec", "value": self.meant(spec)}]);
        self.send("PATCH", &path, "application/json-patch+json", &patch).await.map(drop)
    }

    /// Deletes the workspace, and its class.
    pub async fn end(&self, kind: Kind, subject: &str) {
        let mut paths = vec![format!("{}/{subject}", self.path(Kind::Workspace))];
        if kind == Kind::Class {
            paths.push(format!("{}/{}", self.path(kind), self.class(subject)));
        }
        for path in paths {
            // Of what was refused there is nothing.
            let _ = self.send("DELETE", &path, "application/json", &Value::Null).await;
        }
    }

    async fn create(&self, kind: Kind, name: &str, spec: &Value) -> Result<(), Refusal> {
        let (word, labels) = match kind {
            Kind::Workspace => ("Workspace", json!({})),
            Kind::Class => ("WorkspaceClass", json!({OF_CAMPAIGN: self.world.namespace})),
        };
        let object = json!({
            "apiVersion": format!("{}/v1alpha1", names::GROUP),
            "kind": word,
            "metadata": {"name": name, "labels": labels},
            "spec": self.meant(spec),
        });
        let path = format!("{}?fieldValidation=Strict", self.path(kind));
        self.send("POST", &path, "application/json", &object).await.map(drop)
    }

    async fn make(&self, api_version: &str, plural: &str, kind: &str, name: &str, fields: Value) {
        let mut object = fields;
        object["apiVersion"] = json!(api_version);
        object["kind"] = json!(kind);
        object["metadata"] = json!({"name": name});
        let path = format!("/api/{api_version}/namespaces/{}/{plural}", self.world.namespace);
        self.send("POST", &path, "application/json", &object).await.unwrap();
    }

    fn path(&self, kind: Kind) -> String {
        match kind {
            Kind::Workspace => {
                format!("/apis/{}/v1alpha1/namespaces/{}/workspaces", names::GROUP, self.world.namespace)
            }
            Kind::Class => format!("/apis/{}/v1alpha1/workspaceclasses", names::GROUP),
        }
    }

    fn meant(&self, spec: &Value) -> Value {
        serde_json::from_str(&self.named(&spec.to_string())).unwrap()
    }

    async fn send(&self, method: &str, path: &str, kind: &str, body: &Value) -> Result<Value, Refusal> {
        let body = if body.is_null() { Vec::new() } else { serde_json::to_vec(body).unwrap() };
        let request = Request::builder().method(method).uri(path).header("Content-Type", kind);
        match self.client.request::<Value>(request.body(body).unwrap()).await {
            Ok(answer) => Ok(answer),
            Err(kube::Error::Api(status)) if status.code < 500 => Err(status.message.clone()),
            Err(error) => panic!("{method} {path}: {error}"),
        }
    }
}
