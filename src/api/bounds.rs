//! What a class allows: the walls around what its workspaces ask for. Absent means unbounded.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::{api::resource::Quantity, apis::meta::v1::LabelSelector};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::pattern;

/// What the workspaces of a class may ask for. A field that is left out bounds nothing.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Bounds {
    /// The images that may run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images: Option<ImageBounds>,

    /// Least and most of each compute resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourceBounds>,

    /// Least and most of the workspace's own volume.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage: Option<StorageBounds>,

    /// StorageClasses that volumes may be made with. The cluster's default has to be named like any other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 253), regex(pattern = pattern::SUBDOMAIN)))]
    pub storage_classes: Option<Vec<String>>,

    /// ServiceAccounts that workspaces may run as. One that names none runs as `default`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 253), regex(pattern = pattern::SUBDOMAIN)))]
    pub service_accounts: Option<Vec<String>>,

    /// Secrets that a workspace may refer to, by their labels. What the class itself refers to is not meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secrets: Option<LabelSelector>,

    /// ConfigMaps that a workspace may refer to, by their labels. What the class itself refers to is not meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_maps: Option<LabelSelector>,

    /// Existing claims that a workspace may mount or copy, by their labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub existing_claims: Option<LabelSelector>,

    /// Environment variables that no workspace may have, beyond those that the operator forbids everywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forbidden_env: Option<ForbiddenEnv>,

    /// Fields that a workspace's own `podTemplate` may set, as paths below the Pod: `spec.tolerations`,
    /// `spec.containers[main].volumeMounts`, `metadata.labels`. A path allows everything below it; `[NAME]` is one
    /// item of a list, `[*]` each. An empty list allows no overlay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 256), regex(pattern = pattern::OVERLAY_PATH)))]
    pub overlay_fields: Option<Vec<String>>,
}

/// The images that may run: those of a workspace, of its overlay and of its image volumes.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ImageBounds {
    /// An image must match one of these. Left out: every image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub allowed: Option<Vec<ImagePattern>>,

    /// Whether an image must be given by its digest, as `name@sha256:…`. Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub require_digest: Option<bool>,
}

/// One way to say which images are meant. Names are compared in full: `busybox` is
/// `docker.io/library/busybox:latest`.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("[has(self.exact), has(self.prefix), has(self.registry)].exists_one(x, x)")
        .message("exactly one of exact, prefix, registry must be set")
)]
pub struct ImagePattern {
    /// This image, with its tag or digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024), regex(pattern = pattern::IMAGE))]
    pub exact: Option<String>,

    /// Every image whose name begins so, up to a `/`, `:` or `@`: `registry.example.com/team` is not
    /// `registry.example.com/teams`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024), regex(pattern = pattern::IMAGE))]
    pub prefix: Option<String>,

    /// Every image of this registry, as `registry.example.com` or `registry.example.com:5000`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = pattern::REGISTRY))]
    pub registry: Option<String>,
}

/// Least and most of each compute resource, over all containers that the workspace brings.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ResourceBounds {
    /// Least request, by the resource's name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32))]
    pub min: BTreeMap<String, Quantity>,

    /// Highest limit, by the resource's name. CPU, memory and ephemeral storage must then have a limit; the class's
    /// defaults can give it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32))]
    pub max: BTreeMap<String, Quantity>,
}

/// Least and most of the workspace's own volume.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct StorageBounds {
    /// Least size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<Quantity>,

    /// Highest size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<Quantity>,
}

/// Environment variables that are not allowed, wherever they come from.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ForbiddenEnv {
    /// Whole names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(min = 1, max = 256)))]
    pub names: Vec<String>,

    /// Beginnings of names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 256)))]
    pub prefixes: Vec<String>,
}
