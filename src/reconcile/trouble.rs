//! What is told of passes that fail again and again.

use std::{sync::Arc, time::Duration};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::{
    api::{ConditionType, Workspace, WorkspaceStatus},
    context::Context,
    decide::Step,
    error::{self, Error},
    memory::Memory,
    observe,
    resolve::progress_deadline,
    situation::Situation,
    status,
};

use super::Pass;

/// After how many failed passes in a row status says why: a hiccup is not worth a write.
pub const WORTH_TELLING: u32 = 3;
/// How long it may take to tell of trouble: who is in trouble may get no answer to that either.
const TELLING: Duration = Duration::from_secs(5);

/// Says why nothing goes on, after a pass that failed again, beside all that the pass found out.
pub async fn tell_trouble(ctx: &Context, cached: &Arc<Workspace>, memory: &mut Memory, error: &Error) {
    let known = memory.known.take();
    let mut pass = Pass { ctx, owner: observe::owner(cached), workspace: memory.newest(cached), memory };
    let said = pass.workspace.status.clone().unwrap_or_default();
    let known = known.unwrap_or_else(|| said.clone());
    let generation = pass.workspace.metadata.generation;
    // The class's, once one pass found it.
    let deadline = pass.memory.deadline.unwrap_or_else(|| progress_deadline(&pass.workspace.spec));
    let next = status::trouble(&said, &known, generation, deadline, &error::with_causes(error), ctx.now());
    let written = tokio::time::timeout(TELLING, pass.write(next)).await;
    if let Ok(Err(unsaid)) = written {
        tracing::debug!(error = &unsaid as &dyn std::error::Error, "telling of a failed pass");
    }
}

/// Whether the pass under way is told of, if it fails too.
pub(super) fn is_told_next(memory: &Memory) -> bool {
    memory.retry.as_ref().is_some_and(|retry| retry.tries + 1 >= WORTH_TELLING)
}

/// What a pass found out before this step of it failed; none where the last status says as much.
pub(super) fn found_out(situation: &Situation, step: &Step) -> Option<WorkspaceStatus> {
    match step {
        Step::Start | Step::Delete { .. } => Some(status::compute(situation, step)),
        Step::Verify => {
            // Of the change nothing is known but what was.
            let is_of_change = |one: &&Condition| one.type_ == ConditionType::UpToDate.as_str();
            let before = situation.status.conditions.iter().find(is_of_change).cloned();
            let mut found = status::compute(situation, step);
            found.conditions.retain(|one| !is_of_change(&one));
            found.conditions.extend(before);
            Some(found)
        }
        _ => None,
    }
}
