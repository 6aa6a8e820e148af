//! What is done while nothing has to happen: children are kept in shape and small changes made in place.

mod disruption_budget;
pub mod policy;
mod registration;

use crate::{
    adjust,
    api::Reason,
    apply::{self, Made},
    build::{self, Owner},
    context::Context,
    decide::Rest,
    error::Error,
    memory::{Memory, Refused, ResizeRefused},
    resize::Resize,
    resolve::Effective,
    situation::{PodFacts, PodState, Refusal, Situation, VolumeState},
    stores::Stores,
    view::{ServiceView, VolumeClaimView},
};

/// Whether the pass may end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    Settled,
    /// Something was refused that the next pass has to take into account.
    LookAgain,
}

/// Brings the children and the running Pod to the wish, as far as that needs no new Pod.
pub async fn keep_in_shape(
    ctx: &Context,
    owner: &Owner,
    situation: &mut Situation,
    rest: &Rest,
    memory: &mut Memory,
) -> Result<Shape, Error> {
    let shape = adjust_children(ctx, owner, situation, rest, memory).await;
    // Whatever is in the way of the others: a budget that nobody wants any more would go on refusing drains.
    let refused = disruption_budget::adjust(ctx, owner, situation, memory).await?;
    situation.in_place = situation.in_place.take().or(refused);
    shape
}

async fn adjust_children(
    ctx: &Context,
    owner: &Owner,
    situation: &mut Situation,
    rest: &Rest,
    memory: &mut Memory,
) -> Result<Shape, Error> {
    let service = Stores::child(&ctx.stores.services, &owner.namespace, &owner.name);
    let claim = Stores::child(&ctx.stores.volume_claims, &owner.namespace, &owner.name);
    if *rest == Rest::Deleting {
        apply::children::adjust_service(&ctx.client, owner, None, service.as_deref()).await?;
        apply::children::delete_owned_volume_claim(&ctx.client, owner, claim.as_deref()).await?;
        return policy::delete(ctx, owner, situation, memory).await.map(|()| Shape::Settled);
    }
    let Ok(effective) = situation.desired.effective.clone() else { return Ok(Shape::Settled) };
    let effective = &effective;
    adjust_volume(ctx, owner, situation, effective, claim.as_deref(), memory).await?;
    let pod = match situation.pod.clone() {
        PodState::Ours(pod) => Some(pod),
        PodState::Absent | PodState::Gone | PodState::Former => None,
    };
    // Without a Pod a Service may stay, or go; it is made with the next start.
    if pod.is_some() || service.is_some() {
        situation.in_place =
            adjust_service(ctx, owner, situation, effective, service.as_deref(), memory).await?;
    }
    let Some(pod) = pod.filter(|pod| !pod.view.is_terminating()) else { return Ok(Shape::Settled) };
    registration::adjust(ctx, &pod).await?;
    let shape = adjust_resources(ctx, owner, &pod, effective, memory).await?;
    let refused = policy::adjust(ctx, owner, situation, &pod, effective, memory).await?;
    situation.in_place = situation.in_place.take().or(refused);
    let refused = adjust_metadata(ctx, owner, situation, &pod, effective, memory).await?;
    situation.in_place = situation.in_place.take().or(refused);
    Ok(shape)
}

/// A "no" to the Service leaves the Pod serving; it is said, and asked about again with back-off.
async fn adjust_service(
    ctx: &Context,
    owner: &Owner,
    situation: &Situation,
    effective: &Effective,
    live: Option<&ServiceView>,
    memory: &mut Memory,
) -> Result<Option<Refusal>, Error> {
    let wanted = build::service::service(owner, effective);
    let wish = format!("{:?}", wanted.as_ref().map(|service| &service.spec));
    if let Some(refusal) = Refused::standing(memory.service.as_ref(), &wish, situation.now) {
        return Ok(Some(refusal));
    }
    let no = apply::children::adjust_service(&ctx.client, owner, wanted.as_ref(), live).await?;
    memory.service = no.map(|(reason, message)| {
        Refused::note(memory.service.as_ref(), wish, reason, message, situation.now, situation.jitter)
    });
    Ok(memory.service.as_ref().map(|refused| refused.refusal.clone()))
}

/// Growth and retention. A "no" is said beside the condition, and asked about again only after a while.
async fn adjust_volume(
    ctx: &Context,
    owner: &Owner,
    situation: &mut Situation,
    effective: &Effective,
    live: Option<&VolumeClaimView>,
    memory: &mut Memory,
) -> Result<(), Error> {
    let Some(own) = effective.own_volume() else { return Ok(()) };
    let wish = format!("{:?} {:?}", own.size, own.when_deleted);
    let waits = |refused: &&Refused<String>| refused.what == wish && refused.refusal.retry_at > situation.now;
    let message = if let Some(refused) = memory.volume.as_ref().filter(waits) {
        Some(refused.refusal.message.clone())
    } else {
        let no = apply::children::adjust_volume_claim(&ctx.client, owner, effective, live).await?;
        memory.volume = no.clone().map(|message| {
            let before = memory.volume.as_ref();
            Refused::note(before, wish, Reason::VolumeRefused, message, situation.now, situation.jitter)
        });
        no
    };
    if let (Some(message), VolumeState::Bound { note }) = (message, &mut situation.volume) {
        *note = Some(format!("the volume claim can't be changed: {message}"));
    }
    Ok(())
}

async fn adjust_resources(
    ctx: &Context,
    owner: &Owner,
    pod: &PodFacts,
    effective: &Effective,
    memory: &mut Memory,
) -> Result<Shape, Error> {
    if let Resize::Wanted(values) = &pod.resize {
        match apply::pod::resize(&ctx.client, owner, &pod.view, values).await? {
            Made::Made(()) => tracing::info!("resized the Pod"),
            Made::Refused(_, message) => {
                // The next pass finds that it takes a new Pod; this one is not the place to begin that.
                memory.resize = Some(ResizeRefused {
                    pod_uid: pod.view.uid().to_owned(),
                    values: format!("{:?}", effective.compute),
                    message,
                });
                return Ok(Shape::LookAgain);
            }
        }
    }
    Ok(Shape::Settled)
}

/// Labels, annotations and the claim's stamp. A "no" leaves the Pod serving, as one to the Service does.
async fn adjust_metadata(
    ctx: &Context,
    owner: &Owner,
    situation: &Situation,
    pod: &PodFacts,
    effective: &Effective,
    memory: &mut Memory,
) -> Result<Option<Refusal>, Error> {
    let claim = match &pod.claim {
        Some(claim) => claim.clone(),
        // What it was made from is not what is wanted now; status keeps the hash of it.
        None if claimed_hash(situation) != Some(&effective.inputs.hash()) => return Ok(None),
        None => situation.claimed(effective),
    };
    let Some(body) =
        adjust::pod::metadata(owner, &pod.view, &claim, effective, ctx.certificates().as_deref())
    else {
        memory.metadata = None;
        return Ok(None);
    };
    let wish = body.to_string();
    if let Some(refusal) = Refused::standing(memory.metadata.as_ref(), &wish, situation.now) {
        return Ok(Some(refusal));
    }
    let patched = apply::incarnation::patch_metadata(&ctx.client, owner, pod.view.backend, &body);
    memory.metadata = match patched.await? {
        Made::Made(()) => None,
        Made::Refused(reason, message) => {
            let before = memory.metadata.as_ref();
            Some(Refused::note(before, wish, reason, message, situation.now, situation.jitter))
        }
    };
    Ok(memory.metadata.as_ref().map(|refused| refused.refusal.clone()))
}

fn claimed_hash(situation: &Situation) -> Option<&String> {
    situation.incarnation().and_then(|incarnation| incarnation.inputs_hash.as_ref())
}
