//! What a platform team writes: a WorkspaceClass.

use k8s_openapi::apimachinery::pkg::{apis::meta::v1::LabelSelector, util::intstr::IntOrString};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    bounds::Bounds,
    class_status::WorkspaceClassStatus,
    names, pattern,
    workspace::{PodTemplate, WorkspaceSpec},
};

/// A WorkspaceClass is what a platform team offers: defaults for the workspaces that name it, and bounds on them.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[kube(
    group = "workspaces.dev",
    version = "v1alpha1",
    kind = "WorkspaceClass",
    plural = "workspaceclasses",
    status = "WorkspaceClassStatus",
    derive = "PartialEq",
    derive = "Default",
    shortname = "wsc",
    doc = "A WorkspaceClass is what a platform team offers: defaults for the workspaces that name it, bounds on what they ask for, and how its own changes reach them. The class with the annotation `workspaces.dev/is-default-class: \"true\"` is for workspaces that name none.",
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Status", type_ = "string", json_path = ".status.conditions[?(@.type==\"Reconciling\")].reason"),
    printcolumn(name = "Default", type_ = "string", json_path = ".status.conditions[?(@.type==\"Default\")].status"),
    printcolumn(name = "Workspaces", type_ = "integer", json_path = ".status.workspaces"),
    printcolumn(name = "Up-to-date", type_ = "integer", json_path = ".status.upToDate"),
    printcolumn(name = "Rolling", type_ = "integer", json_path = ".status.rolling"),
    printcolumn(name = "Failed", type_ = "integer", json_path = ".status.failed"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Waiting", type_ = "integer", json_path = ".status.waiting", priority = 1),
    printcolumn(name = "Security", type_ = "string", json_path = ".spec.podSecurity", priority = 1),
    printcolumn(name = "Image", type_ = "string", json_path = ".spec.defaults.image", priority = 1),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Stalled\")].message",
        priority = 1
    ),
    validation = Rule::new("size(self.metadata.name) <= 63").message("metadata.name must have at most 63 characters")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.defaults) || !has(self.defaults.className)")
        .message("defaults.className: a class can't name a class"),
    validation = Rule::new("!has(self.defaults) || (!has(self.defaults.restartedAt) && !has(self.defaults.runState))")
        .message("defaults.restartedAt and defaults.runState belong to a workspace"),
    validation = Rule::new("!has(self.defaults) || !has(self.defaults.podTemplate) || !has(self.defaults.podTemplate.spec)")
        .message("defaults.podTemplate.spec: a class's overlay is its podTemplate"),
    validation = Rule::new("!has(self.network) || (has(self.networkPolicy) && self.networkPolicy == 'Managed')")
        .message("network goes with networkPolicy Managed only"),
    validation = Rule::new("!has(self.backend) || self.backend != 'External' || !(has(self.podTemplate) || has(self.podSecurity) || has(self.userNamespace) || has(self.networkPolicy))")
        .message("podTemplate, podSecurity, userNamespace and networkPolicy speak of a Pod, and backend External has none")
)]
pub struct WorkspaceClassSpec {
    /// Where the programs of this class run. Default: Pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend: Option<Backend>,

    /// Namespaces whose workspaces may name this class, by their labels. Left out: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_namespaces: Option<LabelSelector>,

    /// Values for every field of a workspace's spec that the workspace leaves out. Lists are merged by their
    /// keys (`env` by name, `ports` by port and protocol); what the workspace says wins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub defaults: Option<WorkspaceSpec>,

    /// What workspaces may ask for. Outside of it nothing is started; what runs already is left running.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bounds: Option<Bounds>,

    /// Additions to every Pod of the class, merged below the workspace's own by the rules of a strategic merge
    /// patch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_template: Option<PodTemplate>,

    /// The least security of every Pod of the class. Default: Baseline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_security: Option<PodSecurity>,

    /// Whether Pods run in a user namespace of their own: root inside, nobody outside. Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_namespace: Option<bool>,

    /// Whether the operator looks after a NetworkPolicy for each workspace. It takes a network plugin that enforces
    /// policies. Default: Unmanaged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_policy: Option<NetworkPolicyMode>,

    /// What a managed NetworkPolicy lets through beyond DNS, the operator and public addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<Network>,

    /// Whether a PodDisruptionBudget keeps a drain from evicting a Pod while its program says that it is busy, at most
    /// for the workspace's `updateStrategy.maxDelaySeconds`. Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub busy_disruption_budget: Option<bool>,

    /// How changes from outside a workspace (of its class, of shared Secrets and ConfigMaps, the end of a hold on
    /// its namespace) reach the workspaces of this class: so many at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<Rollout>,
}

/// Where a program runs. Either way one object is the incarnation: its name excludes a second one, its UID is what a
/// token is bound to, and deleting it ends both.
#[derive(
    Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash,
)]
#[schemars(description = "")]
pub enum Backend {
    /// In a Pod of the workspace's name.
    #[default]
    Pod,
    /// Elsewhere: somebody starts it there, with a token that is bound to a Secret of the operator's. It has to
    /// register, and is Ready by that and its heartbeats alone.
    External,
}

impl Backend {
    /// All there are.
    pub const ALL: [Self; 2] = [Self::Pod, Self::External];

    /// Whether it is the one that goes without saying.
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
    pub fn is_pod(&self) -> bool {
        *self == Self::Pod
    }

    /// Kind of the object that is an incarnation.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Pod => "Pod",
            Self::External => "Secret",
        }
    }

    /// Name of that object, for the workspace of this name.
    pub fn object_name(self, workspace: &str) -> String {
        match self {
            Self::Pod => workspace.to_owned(),
            Self::External => format!("{workspace}{}", names::CREDENTIAL_SUFFIX),
        }
    }
}

/// The least security of a Pod: Kubernetes' Pod Security Standards.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[schemars(description = "")]
pub enum PodSecurity {
    /// No known way to gain privileges.
    #[default]
    Baseline,
    /// Not root, no privileges, no API token; the user and the group of the volume are 1000 unless said otherwise.
    Restricted,
}

impl PodSecurity {
    /// The word of the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Baseline => "Baseline",
            Self::Restricted => "Restricted",
        }
    }
}

/// Who looks after NetworkPolicies.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[schemars(description = "")]
pub enum NetworkPolicyMode {
    /// Nobody here.
    #[default]
    Unmanaged,
    /// The operator: one for each workspace, under its name.
    Managed,
}

/// What a managed NetworkPolicy lets through.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Network {
    /// Pods of the workspace's namespace that may connect, by their labels. Another workspace is
    /// `workspaces.dev/workspace: NAME`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub peers: Vec<LabelSelector>,

    /// Namespaces whose Pods may connect, by name: those of ingress controllers and gateways.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(min = 1, max = 63), regex(pattern = pattern::LABEL)))]
    pub ingress_namespaces: Vec<String>,

    /// Private address ranges that workspaces may connect to, as `10.20.0.0/16`. The metadata address of a cloud is
    /// reached only where a range names it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(min = 1, max = 64), regex(pattern = pattern::CIDR)))]
    pub private_ranges: Vec<String>,
}

/// How changes from outside reach the workspaces of a class.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Rollout {
    /// How many workspaces may be down for such a change at a time: a number, or a percentage of the class's
    /// running workspaces, rounded down; at least 1. Default: 10%.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("pattern" = pattern::COUNT_OR_PERCENT, "minimum" = 0, "maxLength" = 16))]
    pub max_unavailable: Option<IntOrString>,

    /// How many workspaces may fail by the change before it goes no further: a number, or a percentage.
    /// Default: as `maxUnavailable`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("pattern" = pattern::COUNT_OR_PERCENT, "minimum" = 0, "maxLength" = 16))]
    pub max_failed: Option<IntOrString>,

    /// Whether such changes wait. Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<bool>,
}
