//! The Pod of the workspace's name: from the cache, or live where only the API server can tell.

use std::sync::Arc;

use jiff::SignedDuration;
use k8s_openapi::api::core::v1::Event;
use kube::{Api, ResourceExt, api::ListParams};

use crate::{
    build::Owner,
    claim::{Claim, number_of_pod},
    context::Context,
    error::Error,
    health,
    heartbeats::{Doing, Pulse, Speaker},
    memory::Memory,
    registration::Registration,
    resize::{self, Resize},
    situation::{PodFacts, PodState, Situation},
    stores::Stores,
    view::{Ownership, PodView, ownership},
};

/// The Pod as the cache has it. What is missing there may still exist.
pub(super) async fn cached_pod(
    ctx: &Context,
    owner: &Owner,
    situation: &Situation,
    memory: &Memory,
) -> Result<PodState, Error> {
    match Stores::child(&ctx.stores.pods, &owner.namespace, &owner.name) {
        // Older than our deletion: only the API server knows whether it is gone by now.
        Some(pod) if !pod.is_terminating() && memory.deleted.as_deref() == Some(pod.uid()) => {
            Ok(PodState::Absent)
        }
        Some(pod) => state(ctx, owner, situation, memory, pod).await,
        None => Ok(PodState::Absent),
    }
}

/// The Pod as the API server has it: the only one who can say that it is gone.
pub async fn read_pod(
    ctx: &Context,
    owner: &Owner,
    situation: &Situation,
    memory: &Memory,
) -> Result<PodState, Error> {
    let api: Api<PodView> = Api::namespaced(ctx.client.clone(), &owner.namespace);
    match api.get_opt(&owner.name).await.map_err(Error::call("get", "Pod", &owner.name))? {
        Some(pod) => match state(ctx, owner, situation, memory, Arc::new(pod)).await? {
            // Somebody else's Pod of that name: ours is gone, and making it will say so.
            PodState::Absent => Ok(PodState::Gone),
            state => Ok(state),
        },
        None => Ok(PodState::Gone),
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
    let resize = match &situation.desired.effective {
        Ok(effective) => {
            let values = format!("{:?}", effective.compute);
            let refused = memory.resize.as_ref().filter(|no| no.pod_uid == pod.uid() && no.values == values);
            resize::compare(&effective.compute, &pod, claim.as_ref(), refused.map(|no| no.message.as_str()))
        }
        Err(_) => Resize::None,
    };
    let registration = Registration::of(&pod);
    let pulse = pulse(ctx, situation, &pod, registration);
    let looked = memory.looked.as_ref().filter(|(uid, _)| uid == pod.uid()).map(|(_, looked)| *looked);
    Ok(PodFacts { view: pod, number, claim, health, registration, pulse, looked, resize })
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
