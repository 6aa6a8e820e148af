//! The state of the volume.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::Api;

use crate::{
    adjust,
    api::{ConditionStatus, ConditionType, Reason, WorkspaceStatus},
    bounds::{Labels, Referent, ReferentKind},
    build::{self, Owner},
    context::Context,
    error::Error,
    resolve::{Effective, desired::ExistingClaim, volume::VolumeSource},
    situation::VolumeState,
    stores::Stores,
    view::{Ownership, VolumeClaimView, ownership},
};

/// The state of the volume that `effective` wants.
pub(super) async fn state(
    ctx: &Context,
    owner: &Owner,
    effective: &Effective,
    existing: ExistingClaim,
    status: &WorkspaceStatus,
) -> Result<VolumeState, Error> {
    let own = match effective.volume.as_ref().map(|volume| &volume.source) {
        None => return Ok(VolumeState::NotRequired),
        Some(VolumeSource::Existing(_)) => return Ok(of_existing(existing)),
        Some(VolumeSource::Own(own)) => own,
    };
    let mut claim = Stores::child(&ctx.stores.volume_claims, &owner.namespace, &owner.name);
    let was_there = was_bound(status);
    if claim.is_none() && was_there {
        // The cache alone never says gone.
        let api: Api<VolumeClaimView> = Api::namespaced(ctx.client.clone(), &owner.namespace);
        let live = api.get_opt(&owner.name).await;
        claim = live.map_err(Error::call("get", "PersistentVolumeClaim", &owner.name))?.map(super::shared);
    }
    let wanted = build::volume_claim::volume_claim(owner, own);
    Ok(match claim {
        None if was_there => VolumeState::Lost,
        None => VolumeState::Absent,
        Some(claim) => of_claim(owner, &claim, &wanted),
    })
}

/// The state of a claim that carries the workspace's name.
pub fn of_claim(owner: &Owner, claim: &VolumeClaimView, wanted: &PersistentVolumeClaim) -> VolumeState {
    let ours = ownership(&claim.metadata, &owner.name, &owner.uid);
    match (ours, claim.status.phase.as_deref()) {
        (Ownership::Former, _) => VolumeState::Terminating,
        // Found out, and said, when it is to be made.
        (Ownership::Foreign, _) => VolumeState::Absent,
        (Ownership::Ours | Ownership::Retained, _) if claim.is_terminating() => VolumeState::Terminating,
        (Ownership::Ours | Ownership::Retained, Some("Bound")) => {
            VolumeState::Bound { note: adjust::volume_claim::ignored(claim, wanted) }
        }
        (Ownership::Ours | Ownership::Retained, Some("Lost")) => VolumeState::Broken,
        (Ownership::Ours | Ownership::Retained, _) => VolumeState::Pending,
    }
}

fn of_existing(existing: ExistingClaim) -> VolumeState {
    match existing {
        ExistingClaim::NotAsked | ExistingClaim::Missing => VolumeState::Absent,
        ExistingClaim::Terminating => VolumeState::Terminating,
        ExistingClaim::Pending => VolumeState::Pending,
        ExistingClaim::Bound => VolumeState::Bound { note: None },
    }
}

/// Whether the own claim was bound when status was last written, or known to be lost since.
fn was_bound(status: &WorkspaceStatus) -> bool {
    status.conditions.iter().filter(|condition| condition.type_ == ConditionType::StorageReady.as_str()).any(
        |condition| {
            (condition.status == ConditionStatus::True.as_str() && condition.reason == Reason::Bound.as_str())
                || condition.reason == Reason::VolumeLost.as_str()
                // Before the first start it was a former workspace's.
                || (condition.reason == Reason::VolumeTerminating.as_str() && status.incarnation.is_some())
        },
    )
}

/// Looks at `storage.existingClaim`. It is nobody's child, so no watch of ours has it.
pub(super) async fn existing(ctx: &Context, namespace: &str, name: &str) -> Result<ExistingClaim, Error> {
    let api: Api<VolumeClaimView> = Api::namespaced(ctx.client.clone(), namespace);
    let claim = api.get_opt(name).await.map_err(Error::call("get", "PersistentVolumeClaim", name))?;
    Ok(match claim {
        None => ExistingClaim::Missing,
        Some(claim) if claim.is_terminating() => ExistingClaim::Terminating,
        Some(claim) if claim.status.phase.as_deref() == Some("Bound") => ExistingClaim::Bound,
        Some(_) => ExistingClaim::Pending,
    })
}

/// The labels of the claims among `referents`, as far as there are any.
pub(super) async fn labels(
    ctx: &Context,
    namespace: &str,
    referents: BTreeSet<Referent>,
) -> Result<BTreeMap<Referent, Labels>, Error> {
    let api: Api<VolumeClaimView> = Api::namespaced(ctx.client.clone(), namespace);
    let mut labels = BTreeMap::new();
    for referent in referents {
        if referent.kind != ReferentKind::PersistentVolumeClaim {
            continue;
        }
        let name = &referent.name;
        let claim = api.get_opt(name).await.map_err(Error::call("get", "PersistentVolumeClaim", name))?;
        let of =
            claim.map_or(Labels::Missing, |claim| Labels::Present(claim.metadata.labels.unwrap_or_default()));
        labels.insert(referent, of);
    }
    Ok(labels)
}
