//! Our children as the caches hold them: only the fields something reads. A full Pod costs about 5 KB before its
//! strings; these cost a fraction, and what is not here can't be relied on by accident.

pub mod credential;
pub mod disruption_budget;
pub mod network_policy;
pub mod pod;
pub mod service;
pub mod volume_claim;

pub use disruption_budget::DisruptionBudgetView;
pub use network_policy::NetworkPolicyView;
pub use pod::PodView;
pub use service::ServiceView;
pub use volume_claim::VolumeClaimView;

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

use crate::{api::names, protection::Protection};

/// Whose a child of a workspace's name is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ownership {
    /// This workspace's.
    Ours,
    /// A former workspace's of the same name: on its way out.
    Former,
    /// Nobody's, with this workspace's label: a volume that was retained.
    Retained,
    /// Somebody else's: never touched.
    Foreign,
}

/// Judges by UID; a name or label alone proves nothing.
pub fn ownership(child: &ObjectMeta, workspace: &str, uid: &str) -> Ownership {
    let owners: &[OwnerReference] = child.owner_references.as_deref().unwrap_or_default();
    let workspaces: Vec<_> = owners.iter().filter(|owner| is_workspace(owner)).collect();
    if workspaces.iter().any(|owner| owner.uid == uid) {
        Ownership::Ours
    } else if workspaces.iter().any(|owner| owner.name == workspace) {
        Ownership::Former
    } else if owners.is_empty() && label(child, names::WORKSPACE) == Some(workspace) {
        Ownership::Retained
    } else if Protection::OwnershipCheck.holds() {
        Ownership::Foreign
    } else {
        Ownership::Ours
    }
}

fn is_workspace(owner: &OwnerReference) -> bool {
    owner.kind == "Workspace" && owner.api_version.split('/').next() == Some(names::GROUP)
}

/// Labels as the API has them.
pub type Labels = BTreeMap<String, String>;

/// The value of a label.
pub fn label<'a>(meta: &'a ObjectMeta, key: &str) -> Option<&'a str> {
    meta.labels.as_ref()?.get(key).map(String::as_str)
}

/// The value of an annotation.
pub fn annotation<'a>(meta: &'a ObjectMeta, key: &str) -> Option<&'a str> {
    meta.annotations.as_ref()?.get(key).map(String::as_str)
}
