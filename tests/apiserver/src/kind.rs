//! The kinds of objects this server knows, and how the real one treats each.

/// In what a kind differs from a plain namespaced object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trait {
    /// It lies in no namespace.
    ClusterScoped,
    /// There is a `/status`, which alone can change the status.
    Status,
    /// `metadata.generation` is kept.
    Generation,
    /// A PUT without a resourceVersion is refused.
    Conditional,
    /// A deletion answers with the object instead of a Status.
    ReturnsDeleted,
    /// It is answered and not kept: it can only be posted.
    Transient,
}

use Trait::{ClusterScoped, Conditional, Generation, ReturnsDeleted, Status, Transient};

/// One kind of object.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kind {
    pub group: &'static str,
    pub version: &'static str,
    pub kind: &'static str,
    pub plural: &'static str,
    pub traits: &'static [Trait],
}

const fn core(kind: &'static str, plural: &'static str, traits: &'static [Trait]) -> Kind {
    Kind { group: "", version: "v1", kind, plural, traits }
}

const fn of_group(
    group: &'static str,
    version: &'static str,
    kind: &'static str,
    plural: &'static str,
    traits: &'static [Trait],
) -> Kind {
    Kind { group, version, kind, plural, traits }
}

impl Kind {
    /// Whether this holds for it.
    pub fn has(&self, what: Trait) -> bool {
        self.traits.contains(&what)
    }

    /// Whether it lies in namespaces.
    pub fn is_namespaced(&self) -> bool {
        !self.has(ClusterScoped)
    }

    /// `v1` or `group/version`.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_owned()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// The plural with its group, as messages of the API server have it.
    pub fn resource(&self) -> String {
        if self.group.is_empty() { self.plural.to_owned() } else { format!("{}.{}", self.plural, self.group) }
    }

    /// Whether it comes from a `CustomResourceDefinition`.
    pub fn is_custom(&self) -> bool {
        self.group == "workspaces.dev"
    }

    /// Whether it is this one of the core group.
    pub fn is_core(&self, kind: &str) -> bool {
        self.group.is_empty() && self.kind == kind
    }

    /// Whether the sub-resource exists for it.
    pub fn has_subresource(&self, subresource: &str) -> bool {
        match subresource {
            "status" => self.has(Status),
            "resize" | "eviction" | "log" => self.is_core("Pod"),
            "finalize" => self.is_core("Namespace"),
            "token" => self.is_core("ServiceAccount"),
            _ => false,
        }
    }
}

/// Every kind.
pub static KINDS: &[Kind] = &[
    core("Namespace", "namespaces", &[ClusterScoped, Status]),
    core("Pod", "pods", &[Status, Generation, ReturnsDeleted]),
    core("PersistentVolumeClaim", "persistentvolumeclaims", &[Status, ReturnsDeleted]),
    core("PersistentVolume", "persistentvolumes", &[ClusterScoped, Status, ReturnsDeleted]),
    core("Service", "services", &[Status]),
    core("Secret", "secrets", &[]),
    core("ConfigMap", "configmaps", &[]),
    core("Event", "events", &[]),
    core("ResourceQuota", "resourcequotas", &[Status, ReturnsDeleted]),
    core("LimitRange", "limitranges", &[]),
    core("ServiceAccount", "serviceaccounts", &[ReturnsDeleted]),
    core("Node", "nodes", &[ClusterScoped, Status]),
    of_group("authentication.k8s.io", "v1", "TokenReview", "tokenreviews", &[ClusterScoped, Transient]),
    of_group("events.k8s.io", "v1", "Event", "events", &[]),
    of_group("coordination.k8s.io", "v1", "Lease", "leases", &[Conditional]),
    of_group("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies", &[Generation]),
    of_group("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets", &[Status, Generation]),
    of_group("storage.k8s.io", "v1", "StorageClass", "storageclasses", &[ClusterScoped]),
    of_group(
        "apiextensions.k8s.io",
        "v1",
        "CustomResourceDefinition",
        "customresourcedefinitions",
        &[ClusterScoped, Status, Generation, Conditional],
    ),
    of_group("workspaces.dev", "v1alpha1", "Workspace", "workspaces", &[Status, Generation, Conditional]),
    of_group(
        "workspaces.dev",
        "v1alpha1",
        "WorkspaceClass",
        "workspaceclasses",
        &[ClusterScoped, Status, Generation, Conditional],
    ),
];

/// The kind that is served below this path.
pub fn by_path(group: &str, version: &str, plural: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.group == group && kind.version == version && kind.plural == plural)
}

/// The first kind of that name; the core group's before others.
pub fn by_name(name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.kind == name)
}

/// The kind that an object says it is.
pub fn of_object(api_version: &str, name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.kind == name && kind.api_version() == api_version)
}
