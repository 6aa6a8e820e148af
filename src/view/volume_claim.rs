//! A `PersistentVolumeClaim`, as far as the lifecycle reads it.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::{PersistentVolumeClaim, TypedObjectReference},
    apimachinery::pkg::{api::resource::Quantity, apis::meta::v1::ObjectMeta},
};
use kube::Resource;
use serde::{Deserialize, Serialize};

/// A claim: see the fields of core/v1 of the same names.
#[derive(Resource, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[resource(inherit = "PersistentVolumeClaim")]
pub struct VolumeClaimView {
    pub metadata: ObjectMeta,
    #[serde(default)]
    pub spec: Spec,
    #[serde(default)]
    pub status: Status,
}

#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct Spec {
    pub access_modes: Vec<String>,
    pub storage_class_name: Option<String>,
    pub data_source_ref: Option<TypedObjectReference>,
    pub resources: Resources,
}

#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(default)]
pub struct Resources {
    pub requests: BTreeMap<String, Quantity>,
}

#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(default)]
pub struct Status {
    pub phase: Option<String>,
}

impl VolumeClaimView {
    /// Whether the API server was told to delete it.
    pub fn is_terminating(&self) -> bool {
        self.metadata.deletion_timestamp.is_some()
    }

    /// The size it asks for.
    pub fn requested(&self) -> Option<&Quantity> {
        self.spec.resources.requests.get("storage")
    }
}
