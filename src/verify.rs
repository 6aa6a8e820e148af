//! Before a serving Pod is stopped for its successor: would the API server take the new one, and can its image be
//! had? A "no" declines the change and leaves the old Pod serving.

use std::collections::BTreeSet;

use crate::{
    api::{Reason, workspace::ImagePullPolicy},
    apply::{self, Made},
    build::{self, Owner},
    claim::Claim,
    context::Context,
    error::Error,
    image_check::{self, Answer},
    memory::{Candidate, Memory, Refused},
    quota,
    resolve::Effective,
    situation::{PodFacts, Situation, Verdict},
};

/// Looks at the change of `pod` to `effective`.
pub async fn verify(
    ctx: &Context,
    owner: &Owner,
    situation: &Situation,
    pod: &PodFacts,
    effective: &Effective,
    memory: &mut Memory,
) -> Result<Verdict, Error> {
    let candidate = Candidate::of(situation);
    if let Some(refusal) = Refused::standing(memory.declined.as_ref(), &candidate, situation.now) {
        return Ok(Verdict::Declined(refusal));
    }
    let no = match accepted_by_server(ctx, owner, situation, pod, effective).await? {
        Some(no) => no,
        None => match image(ctx, owner, pod, effective, memory).await? {
            Answer::Obtainable => return Ok(Verdict::Accepted { note: None }),
            Answer::Unclear(note) => return Ok(Verdict::Accepted { note: Some(note.to_owned()) }),
            Answer::Pending { until } => return Ok(Verdict::Pending { until }),
            Answer::Refused(message) => (Reason::RestartDeclined, message),
        },
    };
    let declined =
        Refused::note(memory.declined.as_ref(), candidate, no.0, no.1, situation.now, situation.jitter);
    let refusal = declined.refusal.clone();
    memory.declined = Some(declined);
    Ok(Verdict::Declined(refusal))
}

/// The API server's objection to the new Pod, if it has one that outlives the old Pod.
async fn accepted_by_server(
    ctx: &Context,
    owner: &Owner,
    situation: &Situation,
    pod: &PodFacts,
    effective: &Effective,
) -> Result<Option<apply::No>, Error> {
    // What holds nothing and asks for nothing has little to be refused for.
    if !effective.backend.is_pod() {
        return Ok(None);
    }
    let claim = Claim::new(
        situation.number().next(),
        situation.generation,
        situation.desired.restart.pending,
        effective,
    );
    let successor = build::pod::pod(owner, effective, &claim, ctx.certificates().as_deref());
    Ok(match apply::pod::dry_run(&ctx.client, owner, &successor).await? {
        Made::Made(()) => None,
        Made::Refused(Reason::QuotaExceeded, message) if quota::fits_without(&message, &pod.view) => None,
        Made::Refused(reason, message) => Some((reason, message)),
    })
}

async fn image(
    ctx: &Context,
    owner: &Owner,
    pod: &PodFacts,
    effective: &Effective,
    memory: &mut Memory,
) -> Result<Answer, Error> {
    let running: BTreeSet<&str> = pod.view.images().collect();
    let mut images = effective.images();
    images.retain(|image| {
        image.pull_policy == ImagePullPolicy::Always || !running.contains(image.name.as_str())
    });
    match &pod.view.spec.node_name {
        Some(node) if !images.is_empty() => {
            image_check::check(ctx, owner, effective, images, node, memory).await
        }
        _ => Ok(Answer::Obtainable),
    }
}
