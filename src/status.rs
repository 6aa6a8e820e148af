//! Pure: the status that tells a situation and the step taken in it. Everything here is computed from live
//! objects; only what no object remembers (claims, stops, losses, restarts) is carried on.

mod conditions;
mod incarnation;
mod progress;
mod ready;
mod trouble;
mod worth;

pub use conditions::{Told, merge};
pub use progress::deadline;
pub use trouble::trouble;
pub use worth::is_worth_writing;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::{
    api::{
        ConditionType, WorkspaceStatus,
        status::{Activity, ActivityState, Failures, Stop, StopCause},
    },
    decide::{Rest, Step, Waiting},
    failure::{self, whole_seconds},
    heartbeats::Doing,
    situation::{PodState, Situation},
};

/// The status for situation `s` in which `step` is, or is about to be, taken.
pub fn compute(s: &Situation, step: &Step) -> WorkspaceStatus {
    let mut status = WorkspaceStatus {
        observed_generation: s.generation,
        conditions: Vec::new(),
        incarnation: incarnation::compute(s, step),
        last_stop: last_stop(s, step),
        requested_restart_at: s.status.requested_restart_at.max(s.desired.restart.pending),
        last_handled_restart_at: s.status.last_handled_restart_at,
        scheduled_restart_at: s.desired.restart.scheduled,
        address: address(s),
        awaiting_idle_since: awaiting_idle_since(s, step),
        activity: activity(s, step),
        failures: None,
    };
    let claimed = match step {
        Step::Claim(claim, _) => Some(claim.restart),
        Step::TakeOver(_) => ours(s).and_then(|pod| pod.claim.as_ref()).map(|claim| claim.restart),
        _ => None,
    };
    if let Some(restart) = claimed {
        status.last_handled_restart_at = status.last_handled_restart_at.max(restart);
        status.requested_restart_at = status.requested_restart_at.max(restart);
    }
    status.conditions = merge(&s.status.conditions, conditions::tell(s, step, &status), s.generation, s.now);
    conditions::hold_back_ready(s, step, &mut status.conditions);
    status.failures = failures(s, step, &status);
    note_first_ready(&mut status, s.now);
    status
}

/// The first Ready of a start ends its place in a rollout, in the same write.
fn note_first_ready(status: &mut WorkspaceStatus, now: Timestamp) {
    let is_ready = is_ready(status);
    if let Some(incarnation) = status.incarnation.as_mut().filter(|one| is_ready && one.ready_time.is_none())
    {
        incarnation.ready_time = Some(Time(whole_seconds(now)));
    }
}

fn is_ready(status: &WorkspaceStatus) -> bool {
    status
        .conditions
        .iter()
        .any(|condition| condition.type_ == ConditionType::Ready.as_str() && condition.status == "True")
}

fn ours(s: &Situation) -> Option<&crate::situation::PodFacts> {
    match &s.pod {
        PodState::Ours(pod) => Some(pod),
        PodState::Absent | PodState::Gone | PodState::Former => None,
    }
}

/// A record stands until the next claim, or until it turns out that its Pod is not stopped after all.
fn last_stop(s: &Situation, step: &Step) -> Option<Stop> {
    let lives = ours(s).is_some_and(|pod| !pod.view.is_terminating());
    match step {
        Step::RecordStop(stop) => Some(stop.clone()),
        Step::Claim(..) | Step::TakeOver(_) => None,
        // What another operator may be carrying out stays.
        Step::Rest(_) if lives => s.status.last_stop.clone().filter(|stop| stop.cause == StopCause::Rollout),
        _ => s.status.last_stop.clone(),
    }
}

/// Ten Ready minutes forgive what was before; that is noted when Ready ends, at no write of its own.
fn failures(s: &Situation, step: &Step, status: &WorkspaceStatus) -> Option<Failures> {
    let is_ready = is_ready(status);
    match step {
        Step::RecordLoss(failures) => Some(failures.clone()),
        Step::Claim(_, failures) => failures.clone(),
        _ if !is_ready && failure::was_ready_long(s.ready_since(), s.now) => None,
        _ => s.status.failures.clone(),
    }
}

/// How long it waits counts from the first change that does.
fn awaiting_idle_since(s: &Situation, step: &Step) -> Option<Time> {
    match step {
        Step::Rest(Rest::Settled(Some(Waiting::Idle { .. }))) => {
            Some(s.status.awaiting_idle_since.clone().unwrap_or_else(|| Time(whole_seconds(s.now))))
        }
        // What it waits for now comes after that: its time goes on.
        Step::Rest(Rest::Settled(Some(
            Waiting::Turn { .. }
            | Waiting::Image { .. }
            | Waiting::Declined { .. }
            | Waiting::Blocked(_)
            | Waiting::Volume { .. },
        ))) => s.status.awaiting_idle_since.clone(),
        Step::Rest(_) | Step::Claim(..) => None,
        _ => s.status.awaiting_idle_since.clone(),
    }
}

/// What the program of the running Pod does; none where it can't tell.
fn activity(s: &Situation, step: &Step) -> Option<Activity> {
    if matches!(step, Step::Claim(..)) {
        return None;
    }
    let pulse = ours(s)?.pulse.as_ref()?;
    let (state, since) = match pulse.doing {
        _ if pulse.is_silent() => (ActivityState::Silent, pulse.since),
        Doing::Unknown => return None,
        Doing::Busy { since } => (ActivityState::Busy, since),
        Doing::Idle { since } => (ActivityState::Idle, since),
    };
    Some(Activity { state, since: Some(Time(whole_seconds(since))), message: pulse.message.clone() })
}

fn address(s: &Situation) -> Option<String> {
    match &s.desired.effective {
        Ok(effective) => effective.service.map(|_| format!("{}.{}.svc", s.name, s.namespace)),
        Err(_) => s.status.address.clone(),
    }
}

#[cfg(test)]
mod tests;
