//! The Pod of the workspace's name, or what stands for it: from the cache, or live where only the API server can tell.

use std::{collections::BTreeSet, sync::Arc};

use jiff::SignedDuration;
use k8s_openapi::api::core::v1::Event;
use kube::{Api, ResourceExt, api::ListParams};

use crate::{
    api::{Reason, class::Backend},
    build::{self, Owner},
    claim::{Claim, number_of_pod},
    context::Context,
    error::Error,
    health::{self, Health},
    heartbeats::{Doing, Pulse, Speaker},
    memory::Memory,
    protection::Protection,
    registration::{Registration, connect},
    resize::{self, Resize},
    situation::{PodFacts, PodState, Situation},
    view::{Ownership, PodView, ownership},
};

use super::incarnation;

/// The Pod as the cache has it. What is missing there may still exist. Whatever is wanted now, one of the other kind is
/// found, too: it has to go first.
pub(super) async fn cached_pod(
    ctx: &Context,
    owner: &Owner,
    situation: &Situation,
    memory: &Memory,
) -> Result<PodState, Error> {
    let mut found = PodState::Absent;
    for backend in Backend::ALL {
        let cached = ctx.stores.incarnation(backend, &owner.namespace, &owner.name);
        // Older than our deletion: only the API server knows whether it is gone by now.
        let is_deleted =
            |pod: &Arc<PodView>| !pod.is_terminating() && memory.deleted.as_deref() == Some(pod.uid());
        if let Some(pod) = cached.filter(|pod| !is_deleted(pod)) {
            found = first_to_go(found, state(ctx, owner, situation, memory, pod).await?);
        }
    }
    Ok(found)
}

/// The Pod as the API server has it: the only one who can say that it is gone.
pub async fn read_pod(
    ctx: &Context,
    owner: &Owner,
    situation: &Situation,
    memory: &Memory,
) -> Result<PodState, Error> {
    let mut found = PodState::Gone;
    for backend in to_read(situation) {
        let name = backend.object_name(&owner.name);
        let there = if Protection::LiveGoneCheck.holds() {
            let live = incarnation::read(&ctx.client, &owner.namespace, backend, &name).await;
            live.map_err(Error::call("get", backend.kind(), &name))?.map(Arc::new)
        } else {
            ctx.stores.incarnation(backend, &owner.namespace, &owner.name)
        };
        if let Some(pod) = there {
            // Somebody else's object of that name: ours is gone, and making it will say so.
            found = first_to_go(found, state(ctx, owner, situation, memory, pod).await?);
        }
    }
    Ok(found)
}

/// Where one may be: as is wanted, as was claimed, or as was seen.
fn to_read(situation: &Situation) -> BTreeSet<Backend> {
    let wanted = situation.desired.effective.as_ref().ok().map(|effective| effective.backend);
    let claimed = situation.incarnation().map(|incarnation| incarnation.backend.unwrap_or_default());
    let seen = match &situation.pod {
        PodState::Ours(pod) => Some(pod.view.backend),
        PodState::Absent | PodState::Gone | PodState::Former => None,
    };
    let all: BTreeSet<Backend> = [wanted, claimed, seen].into_iter().flatten().collect();
    if all.is_empty() { BTreeSet::from([Backend::Pod]) } else { all }
}

/// Between kinds no name excludes a second one. If ever there are two, the older start is overtaken.
fn first_to_go(one: PodState, other: PodState) -> PodState {
    match (one, other) {
        (PodState::Ours(one), PodState::Ours(other)) => {
            PodState::Ours(if other.number < one.number { other } else { one })
        }
        (ours @ PodState::Ours(_), _) | (_, ours @ PodState::Ours(_)) => ours,
        (PodState::Former, _) | (_, PodState::Former) => PodState::Former,
        (one, _) => one,
    }
}

async fn state(
    ctx: &Context,
    owner: &Owner,
    situation: &Situation,
    memory: &Memory,
    pod: Arc<PodView>,
) -> Result<PodState, Error> {
    match ownership(&pod.metadata, &owner.name, &owner.uid) {
        Ownership::Ours => {
            facts(ctx, situation, memory, pod).await.map(|facts| PodState::Ours(Box::new(facts)))
        }
        Ownership::Former => Ok(PodState::Former),
        Ownership::Retained | Ownership::Foreign => Ok(PodState::Absent),
    }
}

/// What there is to know about our Pod.
pub(crate) async fn facts(
    ctx: &Context,
    situation: &Situation,
    memory: &Memory,
    pod: Arc<PodView>,
) -> Result<PodFacts, Error> {
    let claim = Claim::of_pod(&pod);
    // A Pod of ours that lost both claim and label is taken for the newest: no doubt is worth a restart.
    let number = number_of_pod(&pod).unwrap_or_else(|| situation.number());
    let mount_failure = mount_failure(ctx, &pod).await?;
    let shown = super::shown_reason(situation);
    let health = health::assess(&pod, shown, mount_failure.as_deref(), situation.now);
    let health = connectable(ctx, situation, &pod, health);
    let resize = match &situation.desired.effective {
        Ok(effective) if effective.backend.is_pod() && pod.backend.is_pod() => {
            let values = format!("{:?}", effective.compute);
            let refused = memory.resize.as_ref().filter(|no| no.pod_uid == pod.uid() && no.values == values);
            resize::compare(&effective.compute, &pod, claim.as_ref(), refused.map(|no| no.message.as_str()))
        }
        Ok(_) | Err(_) => Resize::None,
    };
    let registration = Registration::of(&pod);
    let pulse = pulse(ctx, situation, &pod, registration);
    let looked = memory.looked.as_ref().filter(|(uid, _)| uid == pod.uid()).map(|(_, looked)| *looked);
    Ok(PodFacts { view: pod, number, claim, health, registration, pulse, looked, resize })
}

/// Says how a program that runs elsewhere is connected, where that is what is missing.
fn connectable(ctx: &Context, situation: &Situation, pod: &PodView, mut health: Health) -> Health {
    if let Health::NotReady(cause) = &mut health
        && cause.reason == Reason::AwaitingRegistration
        && let Some(registrar) = &ctx.registration
        && let Ok(effective) = &situation.desired.effective
        && let Some(message) = connect::awaited(pod, build::credential::account(effective), &registrar.url)
    {
        cause.message = message;
    }
    health
}

/// Hears once more what the program says: it may have spoken while something was being written.
pub(crate) fn listen(ctx: &Context, situation: &mut Situation) {
    let PodState::Ours(pod) = &situation.pod else { return };
    let heard = pulse(ctx, situation, &pod.view, pod.registration);
    if let PodState::Ours(pod) = &mut situation.pod {
        pod.pulse = heard;
    }
}

/// What is known of a program that registered.
fn pulse(ctx: &Context, situation: &Situation, pod: &PodView, registration: Registration) -> Option<Pulse> {
    match registration {
        Registration::Registered { .. } => {
            let speaker = Speaker {
                uid: pod.uid(),
                namespace: &situation.namespace,
                name: &situation.name,
                before: Doing::told(&situation.status, pod.uid()),
            };
            Some(ctx.heartbeats.pulse(speaker, ctx.now()))
        }
        Registration::NotRequired | Registration::Awaited => None,
    }
}

/// A volume that can't be attached shows in events only. They are asked for where containers take long to make.
async fn mount_failure(ctx: &Context, pod: &PodView) -> Result<Option<String>, Error> {
    let patience = SignedDuration::try_from(health::MOUNT_PATIENCE).unwrap_or_default();
    let since = health::creating_since(pod).filter(|since| ctx.now().duration_since(*since) >= patience);
    if since.is_none() {
        return Ok(None);
    }
    let namespace = pod.namespace().unwrap_or_default();
    let api: Api<Event> = Api::namespaced(ctx.client.clone(), &namespace);
    let about = ListParams::default().fields(&format!("involvedObject.uid={}", pod.uid())).limit(50);
    let events = match api.list(&about).await {
        Ok(events) => events,
        // An explanation is not worth a failed pass.
        Err(error) => {
            tracing::debug!(%error, pod = pod.name_any(), "reading a Pod's events");
            return Ok(None);
        }
    };
    let failed = events
        .items
        .into_iter()
        .filter(|event| matches!(event.reason.as_deref(), Some("FailedAttachVolume" | "FailedMount")));
    Ok(failed.filter_map(|event| event.message).next_back())
}
