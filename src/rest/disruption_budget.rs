//! The disruption budget beside a busy Pod, and what becomes of it.

use crate::{
    apply,
    build::Owner,
    context::Context,
    disruption,
    error::Error,
    memory::{Memory, Refused},
    situation::{Refusal, Situation},
    stores::Stores,
    view::{Ownership, ownership},
};

/// Makes the budget while it is wanted, and deletes it as soon as it is not. A "no" leaves the Pod serving; it is said, and
/// asked about again with back-off.
pub(super) async fn adjust(
    ctx: &Context,
    owner: &Owner,
    situation: &Situation,
    memory: &mut Memory,
) -> Result<Option<Refusal>, Error> {
    let live = Stores::child(&ctx.stores.disruption_budgets, &owner.namespace, &owner.name);
    let live = live.filter(|live| ownership(&live.metadata, &owner.name, &owner.uid) == Ownership::Ours);
    if disruption::protected_until(situation).is_none() {
        memory.disruption_budget = None;
        if let Some(live) = live.filter(|live| !live.is_terminating()) {
            tracing::info!("deleting the disruption budget: the Pod may be evicted");
            apply::disruption_budget::delete(&ctx.client, owner, &live).await?;
        }
        return Ok(None);
    }
    // One that somebody's finalizer keeps on its way out still refuses.
    if live.is_some() {
        memory.disruption_budget = None;
        return Ok(None);
    }
    if let Some(refusal) = Refused::standing(memory.disruption_budget.as_ref(), &(), situation.now) {
        return Ok(Some(refusal));
    }
    let no = apply::disruption_budget::make(&ctx.client, owner).await?;
    memory.disruption_budget = no.map(|(reason, message)| {
        let before = memory.disruption_budget.as_ref();
        Refused::note(before, (), reason, message, situation.now, situation.jitter)
    });
    Ok(memory.disruption_budget.as_ref().map(|refused| refused.refusal.clone()))
}
