//! Whether what a workspace asks for stays within the bounds of its class.

mod images;
mod referents;
mod resources;
mod storage;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use k8s_openapi::api::core::v1::{Container, PodSpec};

use crate::api::{self, WorkspaceSpec};

use self::{images::Images, referents::Selectors, resources::Resources, storage::Volumes};

pub use self::referents::{Labels, Missing, Referent, ReferentKind, referents};

/// A class's bounds, parsed once.
#[derive(Clone, Debug, Default)]
pub struct Bounds {
    images: Images,
    resources: Resources,
    volumes: Volumes,
    accounts: Option<Vec<String>>,
    selectors: Selectors,
}

/// What a workspace asks for.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The workspace's spec with the defaults of its class filled in.
    pub spec: &'a WorkspaceSpec,
    /// The workspace's spec as it was written.
    pub own: &'a WorkspaceSpec,
    /// The workspace's own `podTemplate.spec`. It is a patch: its containers may lack anything but a name. But the
    /// sources of its volumes and variables are whole.
    pub overlay: Option<&'a PodSpec>,
    /// Names of the containers that the class's own overlay brings.
    pub class_containers: &'a BTreeSet<String>,
    /// What is known of the objects that [`Bounds::needs`] names; one that is not there counts as unreadable. None
    /// where nobody looked: then labels bound nothing.
    pub labels: Option<&'a BTreeMap<Referent, Labels>>,
}

/// A field of a class's bounds that can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct Malformed {
    /// As `bounds.resources.max.cpu`.
    pub field: String,
    pub problem: String,
}

impl Malformed {
    fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { field: field.into(), problem: problem.into() }
    }
}

/// Something that is outside of the bounds.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {value} is outside of {bound}")]
pub struct Outside {
    /// As `spec.image`.
    pub field: String,
    /// In quotation marks where it was written by somebody, else a word of ours for what is missing.
    pub value: String,
    /// The field of the bounds and what it allows.
    pub bound: String,
}

impl Outside {
    fn new(field: &str, value: &str, bound: String) -> Self {
        Self { field: shortened(field), value: shortened(value), bound }
    }
}

/// Why a check did not pass.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Finding {
    /// Only another spec or another class mends it.
    #[error(transparent)]
    Outside(#[from] Outside),
    /// It passes or not once the object exists.
    #[error(transparent)]
    Missing(#[from] Missing),
}

impl Bounds {
    /// Reads the bounds of a class.
    pub fn parse(bounds: &api::bounds::Bounds) -> Result<Self, Malformed> {
        // A new bound has to be either checked here or named below.
        let api::bounds::Bounds {
            images,
            resources,
            storage,
            storage_classes,
            service_accounts,
            secrets,
            config_maps,
            existing_claims,
            // Checked over the finished Pod: forbidden_env.rs.
            forbidden_env: _,
            // Checked while the overlays are merged: overlay.rs.
            overlay_fields: _,
        } = bounds;
        Ok(Self {
            images: Images::parse(images.as_ref())?,
            resources: Resources::parse(resources.as_ref())?,
            volumes: Volumes::parse(storage.as_ref(), storage_classes.as_ref())?,
            accounts: service_accounts.clone(),
            selectors: Selectors::parse(secrets.as_ref(), config_maps.as_ref(), existing_claims.as_ref())?,
        })
    }

    /// What of them goes for a workspace without a Pod.
    #[must_use]
    pub fn without_pod(self) -> Self {
        Self { accounts: self.accounts, ..Self::default() }
    }

    /// The objects whose labels have to be known for [`Bounds::check`].
    pub fn needs(&self, own: &WorkspaceSpec, overlay: Option<&PodSpec>) -> BTreeSet<Referent> {
        referents(own, overlay).into_iter().filter(|referent| self.selectors.bound(referent.kind)).collect()
    }

    /// The first thing that is outside; if nothing is, the first object that is missing.
    pub fn check(&self, asked: &Asked<'_>) -> Result<(), Finding> {
        self.images.check(asked)?;
        self.resources.check(asked)?;
        self.volumes.check(asked)?;
        self.check_account(asked)?;
        self.selectors.check(asked)
    }

    fn check_account(&self, asked: &Asked<'_>) -> Result<(), Outside> {
        let Some(allowed) = &self.accounts else { return Ok(()) };
        let spec = asked.spec.service_account_name.as_deref();
        let overlay = asked.overlay.into_iter().flat_map(|overlay| {
            // `serviceAccount` is the former name of the same field, which the API server still reads.
            [
                ("spec.podTemplate.spec.serviceAccountName", overlay.service_account_name.as_deref()),
                ("spec.podTemplate.spec.serviceAccount", overlay.service_account.as_deref()),
            ]
        });
        let named = overlay.filter_map(|(field, name)| Some((field, name?)));
        for (field, name) in
            std::iter::once(("spec.serviceAccountName", spec.unwrap_or("default"))).chain(named)
        {
            if !allowed.iter().any(|allowed| allowed == name) {
                let bound = format!("bounds.serviceAccounts ({})", listed(allowed));
                return Err(Outside::new(field, &quoted(name), bound));
            }
        }
        Ok(())
    }
}

/// Every container of an overlay with its path. Ephemeral ones are left out: no Pod is made with them.
fn containers(overlay: Option<&PodSpec>) -> impl Iterator<Item = (String, &Container)> {
    plain_containers(overlay).chain(init_containers(overlay))
}

fn plain_containers(overlay: Option<&PodSpec>) -> impl Iterator<Item = (String, &Container)> {
    with_paths("containers", overlay.map_or(&[], |overlay| &overlay.containers))
}

fn init_containers(overlay: Option<&PodSpec>) -> impl Iterator<Item = (String, &Container)> {
    with_paths(
        "initContainers",
        overlay.and_then(|overlay| overlay.init_containers.as_deref()).unwrap_or(&[]),
    )
}

fn with_paths<'a>(list: &str, containers: &'a [Container]) -> impl Iterator<Item = (String, &'a Container)> {
    containers
        .iter()
        .map(move |container| (format!("spec.podTemplate.spec.{list}[{}]", container.name), container))
}

/// What somebody wrote, marked as such.
fn quoted(text: &str) -> String {
    format!("{:?}", shortened(text))
}

/// An overlay's names and values may have any length, a condition's message may not.
fn shortened(text: &str) -> String {
    const LONGEST: usize = 300;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// The first few of what is allowed.
fn listed<T: fmt::Display>(allowed: &[T]) -> String {
    const SHOWN: usize = 8;
    if allowed.is_empty() {
        return "none is allowed".to_owned();
    }
    let shown: Vec<String> = allowed.iter().take(SHOWN).map(|one| shortened(&one.to_string())).collect();
    match allowed.len().checked_sub(SHOWN) {
        Some(more @ 1..) => format!("allowed: {} and {more} more", shown.join(", ")),
        _ => format!("allowed: {}", shown.join(", ")),
    }
}
