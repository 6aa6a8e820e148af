//! A NetworkPolicy, as far as the lifecycle reads it.

use k8s_openapi::{
    api::networking::v1::{NetworkPolicy, NetworkPolicySpec},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::Resource;
use serde::{Deserialize, Serialize};

use crate::api::names;

use super::{Ownership, ownership};

/// A policy: its spec is ours whole, and the API server fills in nothing that we leave out.
#[derive(Resource, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[resource(inherit = "NetworkPolicy")]
pub struct NetworkPolicyView {
    pub metadata: ObjectMeta,
    #[serde(default)]
    pub spec: NetworkPolicySpec,
}

impl NetworkPolicyView {
    /// Whose policy it is. Once the workspace it was made for is gone, its Pod alone owns it until that is gone too:
    /// such a one is taken up by the next workspace of the name, as one that nobody owns yet.
    pub fn ownership(&self, workspace: &str, uid: &str) -> Ownership {
        let owners = self.metadata.owner_references.as_deref().unwrap_or_default();
        let is_pod_s =
            !owners.is_empty() && owners.iter().all(|owner| owner.kind == "Pod" && owner.name == workspace);
        let has = |key: &str, value: &str| super::label(&self.metadata, key) == Some(value);
        let is_made_here =
            has(names::WORKSPACE, workspace) && has(names::MANAGED_BY, names::MANAGED_BY_VALUE);
        match ownership(&self.metadata, workspace, uid) {
            Ownership::Foreign if is_pod_s && is_made_here => Ownership::Retained,
            // Somebody's own, whatever label it carries.
            Ownership::Retained if !is_made_here => Ownership::Foreign,
            other => other,
        }
    }

    /// Whether the API server was told to delete it.
    pub fn is_terminating(&self) -> bool {
        self.metadata.deletion_timestamp.is_some()
    }

    /// Its version, where it has one.
    pub fn version(&self) -> Option<u64> {
        self.metadata.resource_version.as_deref()?.parse().ok()
    }
}
