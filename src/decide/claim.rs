//! The next claim, and why it is made.

use crate::{
    api::status::{Failures, StartCause, StopCause},
    claim::Claim,
    situation::Situation,
};

use super::{Rest, Step, is_suspended, wakes_with_others};

/// The next number, for what is wanted now. It serves the newest restart; new intent counts failures from zero.
pub(super) fn claim(s: &Situation, failures: Option<Failures>) -> Step {
    let effective = match &s.desired.effective {
        Ok(effective) => effective,
        Err(blocked) => return Step::Rest(Rest::Blocked(blocked.clone())),
    };
    let restart = s.desired.restart.pending.or(s.status.last_handled_restart_at);
    let mut claim = Claim::new(s.number().next(), s.generation, restart, effective);
    claim.cause = Some(start_cause(s));
    Step::Claim(Box::new(claim), failures)
}

/// Why the next start is made. What takes a place keeps it until it is Ready, unless somebody asks for a restart.
fn start_cause(s: &Situation) -> StartCause {
    let stop = s.status.last_stop.as_ref().filter(|stop| stop.incarnation == s.number());
    if wakes_with_others(s) {
        return StartCause::Rollout;
    }
    if is_suspended(s) {
        return StartCause::Resumed;
    }
    if s.desired.restart.pending.is_some() {
        return StartCause::Restart;
    }
    if s.has_place() {
        return StartCause::Rollout;
    }
    match stop.map(|stop| stop.cause) {
        Some(StopCause::Restart) => StartCause::Restart,
        Some(StopCause::Suspended) => StartCause::Resumed,
        Some(StopCause::Overtaken) => StartCause::PodLost,
        None if s.incarnation().is_none() => StartCause::Created,
        None if s.had_pod() || s.is_loss_recorded() => StartCause::PodLost,
        Some(StopCause::InputsChanged | StopCause::Rollout) | None => StartCause::InputsChanged,
    }
}
