//! What a person writes: the spec of a Workspace. The doc comments are what `kubectl explain` shows.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::{
        ContainerPort, EnvFromSource, EnvVar, LocalObjectReference, Probe, ResourceRequirements,
        SecurityContext, TypedObjectReference,
    },
    apimachinery::pkg::api::resource::Quantity,
};
use kube::{CustomResource, KubeSchema};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    idle::Idle,
    pattern,
    registration::{OnSilence, Registration, RegistrationPolicy},
    status::WorkspaceStatus,
    update_strategy::UpdateStrategy,
};

/// A Workspace is one long-lived container (an agent, a development environment, a notebook) with its volume,
/// its address and its identity. Its Pod, Service and volume claim carry its name, so `kubectl logs`, `exec` and
/// `cp` work by it.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[kube(
    group = "workspaces.dev",
    version = "v1alpha1",
    kind = "Workspace",
    namespaced,
    status = "WorkspaceStatus",
    derive = "PartialEq",
    derive = "Default",
    shortname = "ws",
    category = "all",
    doc = "A Workspace is one long-lived container (an agent, a development environment, a notebook) with its volume, its address and its identity. Its Pod, Service and volume claim carry its name, so `kubectl logs`, `exec` and `cp` work by it. Restart it with `kubectl annotate ws/NAME workspaces.dev/restartedAt=\"$(date -Is)\" --overwrite`.",
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Status", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Starts", type_ = "integer", json_path = ".status.incarnation.number"),
    printcolumn(name = "Class", type_ = "string", json_path = ".status.incarnation.class.name"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Node", type_ = "string", json_path = ".status.incarnation.nodeName", priority = 1),
    printcolumn(name = "Image", type_ = "string", json_path = ".status.incarnation.image", priority = 1),
    printcolumn(
        name = "Up-to-date",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"UpToDate\")].status",
        priority = 1
    ),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].message",
        priority = 1
    ),
    validation = Rule::new("size(self.metadata.name) <= 52")
        .message("metadata.name must have at most 52 characters, so that the Pod, Service and volume can carry it"),
    validation = Rule::new("self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')")
        .message("metadata.name must be a DNS-1035 label: lower-case letters, digits and '-', beginning with a letter"),
    validation = Rule::new("!has(self.spec.storage) || !has(oldSelf.spec.storage) || has(self.spec.storage.existingClaim) || has(oldSelf.spec.storage.existingClaim) || (has(self.spec.storage.storageClassName) ? has(oldSelf.spec.storage.storageClassName) && self.spec.storage.storageClassName == oldSelf.spec.storage.storageClassName : !has(oldSelf.spec.storage.storageClassName))")
        .message("spec.storage.storageClassName can't be changed: a volume claim keeps its class"),
    validation = Rule::new("!has(self.spec.storage) || !has(oldSelf.spec.storage) || has(self.spec.storage.existingClaim) || has(oldSelf.spec.storage.existingClaim) || (has(self.spec.storage.accessModes) ? has(oldSelf.spec.storage.accessModes) && self.spec.storage.accessModes == oldSelf.spec.storage.accessModes : !has(oldSelf.spec.storage.accessModes))")
        .message("spec.storage.accessModes can't be changed: a volume claim keeps its access modes"),
    validation = Rule::new("!has(self.spec.storage) || !has(oldSelf.spec.storage) || has(self.spec.storage.existingClaim) || has(oldSelf.spec.storage.existingClaim) || (has(self.spec.storage.dataSourceRef) ? has(oldSelf.spec.storage.dataSourceRef) && self.spec.storage.dataSourceRef == oldSelf.spec.storage.dataSourceRef : !has(oldSelf.spec.storage.dataSourceRef))")
        .message("spec.storage.dataSourceRef can't be changed: a volume is filled once")
)]
#[serde(rename_all = "camelCase")]
pub struct WorkspaceSpec {
    /// The WorkspaceClass that gives defaults. Without a name the class marked
    /// `workspaces.dev/is-default-class: "true"` is taken, and where none is marked, built-in defaults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = pattern::SUBDOMAIN))]
    pub class_name: Option<String>,

    /// The container image. May be left out where the class names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024), regex(pattern = pattern::IMAGE))]
    pub image: Option<String>,

    /// When the image is pulled. Default: Always for the tag `latest` or none, else IfNotPresent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_pull_policy: Option<ImagePullPolicy>,

    /// Secrets of this namespace with credentials for the image's registry.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub image_pull_secrets: Vec<LocalObjectReference>,

    /// The program to run in place of the image's entrypoint. Not run in a shell.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128))]
    pub command: Vec<String>,

    /// Arguments of the program.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    pub args: Vec<String>,

    /// The directory the program starts in. Default: the image's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096), regex(pattern = pattern::ABSOLUTE_PATH))]
    pub working_dir: Option<String>,

    /// Environment variables. A change restarts, also one of the Secret or ConfigMap data they refer to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    pub env: Vec<EnvVar>,

    /// Secrets and ConfigMaps whose keys all become environment variables. A change of their data restarts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub env_from: Vec<EnvFromSource>,

    /// Ports the program listens on. With at least one, a Service of the workspace's name exists.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub ports: Vec<ContainerPort>,

    /// Compute resources. CPU and memory are changed in the running Pod where the node allows it; everything
    /// else takes a restart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourceRequirements>,

    /// Security options of the main container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security_context: Option<SecurityContext>,

    /// Tells when the program has started; the other probes wait for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub startup_probe: Option<Probe>,

    /// Tells when the program can serve. The workspace is Ready only while it succeeds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub readiness_probe: Option<Probe>,

    /// Tells when the container must be restarted in place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub liveness_probe: Option<Probe>,

    /// The volume, which survives restarts. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage: Option<Storage>,

    /// The Service in front of the ports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceSpec>,

    /// Whether the workspace runs. Default: Running.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_state: Option<RunState>,

    /// Asks for a restart from Git: a time (RFC 3339). A restart happens once per value that is later than the
    /// last one served. By hand, use the annotation `workspaces.dev/restartedAt`; the later of both counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"), length(max = 64))]
    pub restarted_at: Option<String>,

    /// When a change that needs a new Pod is carried out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update_strategy: Option<UpdateStrategy>,

    /// Seconds within which each start must become Ready, else the workspace counts as Stalled. The Pod stays,
    /// and a late success still heals. Default: 600.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 86400))]
    pub progress_deadline_seconds: Option<i32>,

    /// Seconds the program gets to end by itself when it is stopped. Default: 30.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 86400))]
    pub termination_grace_period_seconds: Option<i64>,

    /// Boot registration of the program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registration: Option<Registration>,

    /// When the workspace is stopped because nobody uses it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle: Option<Idle>,

    /// An existing ServiceAccount of the namespace. Its API token is mounted only where the class lets
    /// `podTemplate.spec.automountServiceAccountToken` ask for it. Default: `default`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = pattern::SUBDOMAIN))]
    pub service_account_name: Option<String>,

    /// Additions to the Pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_template: Option<PodTemplate>,
}

impl WorkspaceSpec {
    /// Whether a program that falls silent is started anew.
    pub fn restarts_on_silence(&self) -> bool {
        let on_silence = self.registration.as_ref().and_then(|registration| registration.on_silence);
        on_silence == Some(OnSilence::Restart)
    }

    /// Whether the program has to register.
    pub fn requires_registration(&self) -> bool {
        let policy = self.registration.as_ref().and_then(|registration| registration.policy);
        policy == Some(RegistrationPolicy::Required)
    }
}

/// When the image is pulled.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[schemars(description = "")]
pub enum ImagePullPolicy {
    /// At every start.
    Always,
    /// Where the node lacks it.
    IfNotPresent,
    /// Never: the node must have it.
    Never,
}

impl ImagePullPolicy {
    /// The word of core/v1.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Always => "Always",
            Self::IfNotPresent => "IfNotPresent",
            Self::Never => "Never",
        }
    }

    /// The policy of that word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Always, Self::IfNotPresent, Self::Never].into_iter().find(|policy| policy.as_str() == word)
    }
}

/// Whether a workspace runs.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[schemars(description = "")]
pub enum RunState {
    /// There is a Pod.
    #[default]
    Running,
    /// There is none; the volume stays.
    Stopped,
}

/// The volume of a workspace: either an own claim (`size`) or one that exists (`existingClaim`).
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!(has(self.size) && has(self.existingClaim))")
        .message("size and existingClaim exclude each other: an existing claim keeps its size"),
    validation = Rule::new("!(has(self.existingClaim) && (has(self.storageClassName) || has(self.accessModes) || has(self.dataSourceRef) || has(self.whenDeleted)))")
        .message("existingClaim goes with mountPath only: an existing claim is never changed or deleted"),
    validation = Rule::new("!has(self.size) || (isQuantity(string(self.size)) && quantity(string(self.size)).isGreaterThan(quantity('0')))")
        .message("size must be a quantity greater than zero"),
    validation = Rule::new("!has(self.mountPath) || (!self.mountPath.matches('(^|/)[.][.](/|$)') && !self.mountPath.matches('^[/.]+$'))")
        .message("mountPath must lead below `/`, without `..`"),
    validation = Rule::new("!has(self.accessModes) || !('ReadWriteOncePod' in self.accessModes) || size(self.accessModes) == 1")
        .message("ReadWriteOncePod stands alone in accessModes")
)]
pub struct Storage {
    /// Size of the own volume claim, which is named after the workspace. It can grow; a smaller size later is
    /// ignored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<Quantity>,

    /// StorageClass of the own claim. Default: the cluster's. Can't be changed later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = pattern::SUBDOMAIN))]
    pub storage_class_name: Option<String>,

    /// Access modes of the own claim. Default: ReadWriteOnce. Can't be changed later.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 2))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub access_modes: Vec<AccessMode>,

    /// Where the volume is mounted. Default: `/workspace`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 1024), regex(pattern = pattern::MOUNT_PATH))]
    pub mount_path: Option<String>,

    /// A snapshot or another claim that the own claim is filled from when it is made. Can't be changed later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_source_ref: Option<TypedObjectReference>,

    /// The claim to use in place of an own one. It is never changed or deleted by the operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = pattern::SUBDOMAIN))]
    pub existing_claim: Option<String>,

    /// What becomes of the own claim when the workspace is deleted. Default: Retain; a workspace of the same
    /// name then takes it up again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when_deleted: Option<WhenDeleted>,
}

/// How a volume may be mounted.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[schemars(description = "")]
pub enum AccessMode {
    /// By one node, for writing.
    ReadWriteOnce,
    /// By many nodes, for writing.
    ReadWriteMany,
    /// By one Pod, for writing.
    ReadWriteOncePod,
}

impl AccessMode {
    /// The word of core/v1.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ReadWriteOnce => "ReadWriteOnce",
            Self::ReadWriteMany => "ReadWriteMany",
            Self::ReadWriteOncePod => "ReadWriteOncePod",
        }
    }
}

/// What becomes of a volume when its workspace is deleted.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[schemars(description = "")]
pub enum WhenDeleted {
    /// It stays, with its data.
    #[default]
    Retain,
    /// It is deleted too.
    Delete,
}

/// The Service in front of a workspace's ports.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ServiceSpec {
    /// Headless (DNS answers with the Pod's address) or ClusterIP (a stable address). Default: Headless.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub type_: Option<ServiceType>,
}

/// Kind of address.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[schemars(description = "")]
pub enum ServiceType {
    /// DNS answers with the Pod's own address.
    #[default]
    Headless,
    /// A stable address in the cluster.
    ClusterIP,
}

/// Additions to the Pod.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct PodTemplate {
    /// Labels and annotations of the Pod, changed in the running Pod without a restart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<PodMetadata>,

    /// Anything else of a Pod's spec, as in core/v1: sidecars, init containers, volumes, scheduling. Merged by the
    /// rules of a strategic merge patch; the main container is `main`. What has a field of its own in a workspace,
    /// and what the operator sees to, can't be set here. A change restarts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schemaless")]
    pub spec: Option<Value>,
}

/// An object whose fields are checked when the Pod is made.
fn schemaless(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true })
}

/// Labels and annotations of the Pod.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.labels) || self.labels.all(k, !k.startsWith('workspaces.dev/') && !k.contains('.workspaces.dev/') && k != 'app.kubernetes.io/name' && k != 'app.kubernetes.io/managed-by')")
        .message("labels of workspaces.dev, app.kubernetes.io/name and app.kubernetes.io/managed-by belong to the operator"),
    validation = Rule::new("!has(self.annotations) || self.annotations.all(k, !k.startsWith('workspaces.dev/') && !k.contains('.workspaces.dev/'))")
        .message("annotations of workspaces.dev belong to the operator"),
    validation = Rule::new("!has(self.labels) || self.labels.all(k, !format.qualifiedName().validate(k).hasValue())")
        .message("each label must have a qualified name, as example.com/team or team"),
    validation = Rule::new("!has(self.annotations) || self.annotations.all(k, !format.qualifiedName().validate(k).hasValue())")
        .message("each annotation must have a qualified name, as example.com/team or team")
)]
pub struct PodMetadata {
    /// Labels of the Pod.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 64))]
    pub labels: BTreeMap<String, String>,

    /// Annotations of the Pod.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 64))]
    pub annotations: BTreeMap<String, String>,
}
