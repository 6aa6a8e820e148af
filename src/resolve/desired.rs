//! Everything that is wanted of one workspace.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use kube::core::DeserializeGuard;

use crate::{
    api::{Reason, Workspace, WorkspaceClass, WorkspaceSpec, WorkspaceStatus, names},
    references::{self, Content, HashKey, ReferencesHash, Source},
    restart::{self, Requested},
    view::annotation,
};

use super::{
    Blocked, class,
    effective::{self, Effective},
    suspension::{self, Annotations, Run},
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
}

/// What surrounds a workspace and has a say.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    pub classes: Vec<Arc<DeserializeGuard<WorkspaceClass>>>,
    pub namespace_annotations: Annotations,
    /// What the environment refers to; none where the operator does not look at it.
    pub references: Option<(HashKey, BTreeMap<Source, Content>)>,
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

/// Resolves `workspace` at `now`.
pub fn resolve(workspace: &Workspace, around: &Surroundings, now: Timestamp) -> Desired {
    let spec = &workspace.spec;
    let no_annotations = Annotations::new();
    let annotations = workspace.metadata.annotations.as_ref().unwrap_or(&no_annotations);
    let default_status = WorkspaceStatus::default();
    let status = workspace.status.as_ref().unwrap_or(&default_status);
    let merged = merged_spec(workspace, &around.classes);
    let progress_deadline = effective::progress_deadline(merged.as_ref().map_or(spec, |(merged, _)| merged));
    let (references, missing) = match &merged {
        Ok((merged, _)) => references(merged, around),
        Err(_) => (None, None),
    };
    Desired {
        run: suspension::run(spec, annotations, &around.namespace_annotations),
        restart: restart::requested(
            annotation(&workspace.metadata, names::RESTARTED_AT),
            spec.restarted_at.as_deref(),
            status,
            now,
        ),
        progress_deadline,
        effective: merged.and_then(|(merged, class)| Effective::check(merged, class, references)),
        missing,
    }
}

/// The spec with its class merged in. Also what decides which references to look up.
pub fn merged_spec<'a>(
    workspace: &Workspace,
    classes: &'a [Arc<DeserializeGuard<WorkspaceClass>>],
) -> Result<(WorkspaceSpec, Option<&'a WorkspaceClass>), Blocked> {
    let class = class::choose(&workspace.spec, classes)?;
    Ok((effective::merged(&workspace.spec, class)?, class))
}

/// The hash over what `spec` refers to, or what of it is missing.
fn references(spec: &WorkspaceSpec, around: &Surroundings) -> (Option<ReferencesHash>, Option<Blocked>) {
    let missing = |message: String| Some(Blocked { reason: Reason::ReferenceMissing, message });
    let claim = spec.storage.as_ref().and_then(|storage| storage.existing_claim.as_ref());
    if let (Some(name), ExistingClaim::Missing) = (claim, around.existing_claim) {
        return (None, missing(format!("PersistentVolumeClaim {name} does not exist")));
    }
    let wanted = references::of(spec);
    match &around.references {
        Some((key, contents)) if !wanted.is_empty() => match references::hash(&wanted, contents, key) {
            Ok(hash) => (Some(hash), None),
            Err(absent) => (None, missing(absent.0)),
        },
        _ => (None, None),
    }
}
