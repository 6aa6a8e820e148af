//! Reads: everything a pass has to know. From the caches where they suffice, one object at a time from the API
//! server where only it can tell.

pub mod incarnation;
mod pod;
mod references;
mod volume;

pub use pod::read_pod;
pub(crate) use pod::{facts, listen};
pub use volume::of_claim;

use std::sync::Arc;

use kube::{ResourceExt, runtime::reflector::ObjectRef};

use crate::{
    api::{ConditionType, Reason, Workspace},
    build::Owner,
    context::Context,
    error::Error,
    memory::{Candidate, Memory},
    resolve::{self, Draft, Run, class::Offer, desired::Surroundings, template::Found},
    situation::{PodState, Situation, VolumeState},
};

/// Who `workspace` is.
pub fn owner(workspace: &Workspace) -> Owner {
    Owner {
        name: workspace.name_any(),
        namespace: workspace.namespace().unwrap_or_default(),
        uid: workspace.uid().unwrap_or_default(),
    }
}

/// Everything known of `workspace` at the beginning of a pass.
pub async fn situation(ctx: &Context, workspace: &Workspace, memory: &Memory) -> Result<Situation, Error> {
    let owner = owner(workspace);
    let draft = Draft::of(workspace, &offer(ctx, &owner));
    let around = surroundings(ctx, workspace, draft.as_deref().ok(), &owner).await?;
    let now = ctx.now();
    let desired = resolve::resolve(workspace, draft, &around, &ctx.settings.forbidden_env, now);
    let status = workspace.status.clone().unwrap_or_default();
    let volume = match &desired.effective {
        Ok(effective) => volume::state(ctx, &owner, effective, around.existing_claim, &status).await?,
        Err(_) => VolumeState::NotRequired,
    };
    let mut situation = Situation {
        name: owner.name.clone(),
        namespace: owner.namespace.clone(),
        generation: workspace.metadata.generation,
        is_deleting: workspace.metadata.deletion_timestamp.is_some(),
        status,
        desired,
        pod: PodState::Absent,
        volume,
        made: memory.made,
        is_live: false,
        verdict: None,
        look: None,
        turn: None,
        refusal: None,
        in_place: None,
        jitter: ctx.jitter(),
        now,
    };
    situation.refusal = memory
        .refused
        .as_ref()
        .filter(|refused| refused.what == Candidate::of(&situation))
        .map(|refused| refused.refusal.clone());
    situation.pod = pod::cached_pod(ctx, &owner, &situation, memory).await?;
    Ok(situation)
}

/// The reason that Ready shows so far.
pub fn shown_reason(situation: &Situation) -> Option<Reason> {
    situation.condition(ConditionType::Ready).and_then(|ready| Reason::parse(&ready.reason))
}

fn offer(ctx: &Context, owner: &Owner) -> Offer {
    let namespace = ctx.stores.namespaces.get(&ObjectRef::new(&owner.namespace));
    Offer {
        classes: ctx.stores.classes.state(),
        namespace_labels: namespace.map(|namespace| namespace.labels().clone()),
        require_class: ctx.settings.require_class,
        registration_url: ctx.registration.as_ref().map(|registration| registration.url.clone()),
        sees_secrets: ctx.hash_key.is_some(),
    }
}

async fn surroundings(
    ctx: &Context,
    workspace: &Workspace,
    draft: Option<&Draft>,
    owner: &Owner,
) -> Result<Surroundings, Error> {
    let namespace = ctx.stores.namespaces.get(&ObjectRef::new(&owner.namespace));
    let mut around = Surroundings {
        namespace_annotations: namespace.map(|namespace| namespace.annotations().clone()).unwrap_or_default(),
        ..Surroundings::default()
    };
    // Who is to be stopped is stopped, whatever can't be read.
    let annotations = workspace.annotations();
    let run = resolve::suspension::run(&workspace.spec, annotations, &around.namespace_annotations);
    if run != Run::Running || workspace.metadata.deletion_timestamp.is_some() {
        return Ok(around);
    }
    let Some(draft) = draft else { return Ok(around) };
    if let Some(name) = draft.spec.storage.as_ref().and_then(|storage| storage.existing_claim.as_ref()) {
        around.existing_claim = volume::existing(ctx, &owner.namespace, name).await?;
    }
    let claims = volume::labels(ctx, &owner.namespace, draft.referents()).await?;
    around.found = match &ctx.hash_key {
        Some(key) => {
            let contents = references::contents(ctx, owner, draft.sources(), key).await?;
            Found::Read { key: key.clone(), contents, claims }
        }
        None => Found::Unread { claims },
    };
    Ok(around)
}

/// Wraps an object read live as the caches would have it.
pub(crate) fn shared<K>(object: K) -> Arc<K> {
    Arc::new(object)
}
