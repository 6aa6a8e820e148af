//! Everything that is wanted of one workspace.

use std::time::Duration;

use jiff::Timestamp;

use crate::{
    api::{Reason, Workspace, WorkspaceStatus, names},
    forbidden_env::ForbiddenEnv,
    restart::{self, Requested},
    view::annotation,
};

use super::{
    Blocked,
    draft::Draft,
    effective::{self, Effective},
    suspension::{self, Annotations, Run},
    template::{self, Found},
};

/// What is wanted of one workspace.
#[derive(Clone, Debug, PartialEq)]
pub struct Desired {
    pub run: Run,
    pub restart: Requested,
    pub progress_deadline: Duration,
    /// What a Pod would be made from, or why none can be.
    pub effective: Result<Effective, Blocked>,
    /// What it refers to and is not there.
    pub missing: Option<Blocked>,
    /// Whether labels of claims have a say, which no watch tells.
    pub asks_for_claims: bool,
}

/// What surrounds a workspace and has a say.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    pub namespace_annotations: Annotations,
    pub found: Found,
    /// Whether `storage.existingClaim` exists; asked only where it is named.
    pub existing_claim: ExistingClaim,
}

/// What is known of `storage.existingClaim`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExistingClaim {
    #[default]
    NotAsked,
    Missing,
    Terminating,
    Pending,
    Bound,
}

/// Resolves `workspace`, of which `draft` was made, at `now`.
pub fn resolve(
    workspace: &Workspace,
    draft: Result<Box<Draft>, Blocked>,
    around: &Surroundings,
    forbidden: &ForbiddenEnv,
    now: Timestamp,
) -> Desired {
    let spec = &workspace.spec;
    let no_annotations = Annotations::new();
    let annotations = workspace.metadata.annotations.as_ref().unwrap_or(&no_annotations);
    let default_status = WorkspaceStatus::default();
    let status = workspace.status.as_ref().unwrap_or(&default_status);
    let progress_deadline = effective::progress_deadline(draft.as_ref().map_or(spec, |draft| &draft.spec));
    let missing = draft.as_ref().ok().and_then(|draft| missing(draft, around));
    let asks_for_claims = draft.as_ref().is_ok_and(|draft| draft.asks_for_claims());
    Desired {
        run: suspension::run(spec, annotations, &around.namespace_annotations),
        restart: restart::requested(
            annotation(&workspace.metadata, names::RESTARTED_AT),
            spec.restarted_at.as_deref(),
            status,
            now,
        ),
        progress_deadline,
        effective: draft.and_then(|draft| Effective::of(&draft, &around.found, forbidden)),
        missing,
        asks_for_claims,
    }
}

/// What `draft` refers to and is not there.
fn missing(draft: &Draft, around: &Surroundings) -> Option<Blocked> {
    let missing = |message: String| Some(Blocked { reason: Reason::ReferenceMissing, message });
    let claim = draft.spec.storage.as_ref().and_then(|storage| storage.existing_claim.as_ref());
    if let (Some(name), ExistingClaim::Missing) = (claim, around.existing_claim) {
        return missing(format!("PersistentVolumeClaim {name} does not exist"));
    }
    template::missing(draft, &around.found)
}
