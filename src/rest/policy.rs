//! The network policy beside a Pod, and what becomes of it.

use std::sync::Arc;

use crate::{
    api::status::ClassRef,
    apply::{self, Made},
    build::{self, Owner},
    context::Context,
    error::Error,
    inputs::Comparison,
    memory::{Memory, Refused},
    observe,
    resolve::Effective,
    situation::{PodFacts, PodState, Refusal, Situation},
    stores::Stores,
    view::{NetworkPolicyView, Ownership},
};

/// The workspace's network policy as far as this process knows.
pub fn current(ctx: &Context, owner: &Owner, memory: &Memory) -> Option<Arc<NetworkPolicyView>> {
    memory.newest_policy(Stores::child(&ctx.stores.policies, &owner.namespace, &owner.name))
}

/// Brings the policy to the wish, and makes the Pod its owner beside the workspace. Where none is wished any more, it
/// goes.
pub(super) async fn adjust(
    ctx: &Context,
    owner: &Owner,
    situation: &Situation,
    pod: &PodFacts,
    effective: &Effective,
    memory: &mut Memory,
) -> Result<Option<Refusal>, Error> {
    // It has no Pod whose network there is anything to say of, and waits to become one that has.
    if !pod.view.backend.is_pod() && effective.backend.is_pod() {
        return Ok(None);
    }
    let live = current(ctx, owner, memory);
    let kept = live.as_ref().filter(|live| {
        pod.view.backend.is_pod() && is_ours_to_delete(live, owner) && is_of_another_class(pod, effective)
    });
    let kept = kept.map(|live| live.spec.clone());
    if effective.network.is_none() && kept.is_none() {
        memory.policy_refused = None;
        if let Some(live) = live.filter(|live| is_ours_to_delete(live, owner)) {
            apply::network_policy::delete(&ctx.client, owner, &live).await?;
            memory.policy = None;
        }
        return Ok(None);
    }
    let network = effective.network.clone().unwrap_or_default();
    let namespace = &ctx.settings.operator_namespace;
    let probe = effective.probe_port();
    let mut wanted =
        build::network_policy::network_policy(owner, &network, probe, Some(pod.view.uid()), namespace);
    if kept.is_some() {
        wanted.spec = kept;
    }
    let wish = format!("{:?}", wanted.spec);
    if let Some(refusal) = Refused::standing(memory.policy_refused.as_ref(), &wish, situation.now) {
        return Ok(Some(refusal));
    }
    memory.policy_refused =
        match apply::network_policy::put(&ctx.client, owner, &wanted, live.as_deref()).await? {
            Made::Made(policy) => {
                memory.policy = Some(Arc::new(policy));
                None
            }
            Made::Refused(reason, message) => {
                let before = memory.policy_refused.as_ref();
                Some(Refused::note(before, wish, reason, message, situation.now, situation.jitter))
            }
        };
    Ok(memory.policy_refused.as_ref().map(|refused| refused.refusal.clone()))
}

/// While the workspace is being deleted: its policy goes once its Pod is gone, as the API server tells.
pub(super) async fn delete(
    ctx: &Context,
    owner: &Owner,
    situation: &Situation,
    memory: &mut Memory,
) -> Result<(), Error> {
    let live = current(ctx, owner, memory);
    let Some(live) = live.filter(|live| is_ours_to_delete(live, owner)) else { return Ok(()) };
    if matches!(observe::read_pod(ctx, owner, situation, memory).await?, PodState::Gone) {
        apply::network_policy::delete(&ctx.client, owner, &live).await?;
        memory.policy = None;
    }
    Ok(())
}

/// Whether the Pod was made with another class, and waits for its successor. Until then it keeps the policy it has: who
/// names another class would else have what the one gives, in the network of the other.
fn is_of_another_class(pod: &PodFacts, effective: &Effective) -> bool {
    let Some(claim) = &pod.claim else { return false };
    let name = |class: Option<&ClassRef>| class.map(|class| class.name.clone());
    name(claim.class.as_ref()) != name(effective.class.as_ref())
        && matches!(effective.inputs.compare(&claim.inputs), Comparison::Differs(_))
}

fn is_ours_to_delete(live: &NetworkPolicyView, owner: &Owner) -> bool {
    let ours = live.ownership(&owner.name, &owner.uid);
    matches!(ours, Ownership::Ours | Ownership::Retained) && !live.is_terminating()
}
