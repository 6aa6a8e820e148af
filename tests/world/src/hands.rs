//! A user's hands.

use std::fmt::Debug;

use jiff::Timestamp;
use kube::{
    Resource,
    api::{DeleteParams, Patch, PatchParams, PostParams},
    core::NamespaceResourceScope,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use workspace_operator::api::{Workspace, names};

use crate::World;

impl World {
    /// Creates any object from JSON.
    pub async fn apply<K>(&self, object: Value) -> K
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Serialize
            + DeserializeOwned
            + Clone
            + Debug,
    {
        let object: K = serde_json::from_value(object).unwrap();
        self.api().create(&PostParams::default(), &object).await.unwrap()
    }

    /// Creates a workspace with this spec.
    pub async fn create(&self, name: &str, spec: Value) -> Workspace {
        self.create_annotated(name, spec, json!({})).await
    }

    /// Creates a workspace with annotations.
    pub async fn create_annotated(&self, name: &str, spec: Value, annotations: Value) -> Workspace {
        self.apply(workspace(name, spec, annotations)).await
    }

    /// Changes the spec by a merge patch.
    pub async fn change(&self, name: &str, spec: Value) -> Workspace {
        let patch = Patch::Merge(json!({ "spec": spec }));
        self.api().patch(name, &PatchParams::default(), &patch).await.unwrap()
    }

    /// Sets an annotation, or takes it away.
    pub async fn annotate(&self, name: &str, key: &str, value: Option<&str>) -> Workspace {
        let patch = Patch::Merge(json!({"metadata": {"annotations": {key: value}}}));
        self.api().patch(name, &PatchParams::default(), &patch).await.unwrap()
    }

    /// Asks for a restart now, and tells the time it asked for.
    pub async fn restart(&self, name: &str) -> Timestamp {
        let now = Timestamp::now();
        self.annotate(name, names::RESTARTED_AT, Some(&now.to_string())).await;
        now
    }

    /// Deletes a workspace.
    pub async fn delete(&self, name: &str) {
        self.api::<Workspace>().delete(name, &DeleteParams::default()).await.unwrap();
    }
}

/// A workspace as JSON.
pub fn workspace(name: &str, spec: Value, annotations: Value) -> Value {
    json!({
        "apiVersion": "workspaces.dev/v1alpha1",
        "kind": "Workspace",
        "metadata": {"name": name, "annotations": annotations},
        "spec": spec,
    })
}
