//! The next step, as one pure and total function of what is known. This is where the idea of the project stands:
//! no locks, but one reconcile at a time per object, a fixed Pod name, and one claim per incarnation.
//!
//! | wanted | Pod | next step |
//! |---|---|---|
//! | object deleted | ours | delete by UID: somebody's finalizer may keep the object for long |
//! | object deleted | none, or terminating | rest |
//! | any | a former workspace's | rest until it is gone |
//! | any | ours, terminating | rest until it is gone |
//! | stopped | ours | record the stop, then delete by UID |
//! | stopped | not in the cache | ask the API server; none: rest |
//! | running | smaller number than claimed | read both live; still so: record the stop, delete: it was overtaken |
//! | running | larger number than claimed | read both live; still so: take the claim over from the Pod |
//! | running | ended | count the loss, wait its back-off, delete |
//! | running | ours, inputs due by a change from outside | ask the rollout gate; no turn: rest |
//! | running | serving, restart or inputs due | verify (dry run, image); accepted: record the stop, delete |
//! | running | serving, accepted, its turn promised | write the place down, confirm it, record the stop, delete |
//! | running | ours, its stop recorded for a rollout | delete |
//! | running | ours, its stop recorded, but its reason gone | read both live; still so: rest, and withdraw the record |
//! | running | not serving, restart or inputs due | record the stop, delete: the way out of a bad start |
//! | running | ours, inputs due, its program busy | rest until it is idle, if the strategy says so |
//! | running | ours, as wanted, idle for too long | look once more; still so: hold it |
//! | held for being idle | ours, its program active | take the hold away |
//! | running | ours, as wanted | rest |
//! | running | not in the cache | ask the API server |
//! | running | gone, its stop recorded | claim the next number |
//! | running | none since a hold on the namespace | ask the rollout gate; no turn: rest |
//! | running | gone, unrecorded | count the loss, wait its back-off, claim |
//! | running | none yet for a claim that still fits | start: volume, Service, Pod |
//! | running | none yet for a claim that moved on | claim anew |

mod change;
mod claim;
pub(crate) mod idle;
mod step;

pub use step::{Rest, Step, Waiting};

use std::cmp::Ordering;

use crate::{
    api::{
        ConditionType, Reason,
        status::{Stop, StopCause},
        update_strategy::UpdateStrategyType,
    },
    failure::{self, whole_seconds},
    health::{Cause, Health},
    heartbeats::Silence,
    protection::Protection,
    resolve::{Blocked, Run},
    rollout::{self, Asker},
    situation::{PodFacts, PodState, Situation, Turn, Verdict, VolumeState},
};

use self::{
    change::{Change, change},
    claim::claim,
};
/// The next step for this situation.
pub fn decide(s: &Situation) -> Step {
    if s.is_deleting {
        return match &s.pod {
            PodState::Ours(pod) if !pod.view.is_terminating() => {
                Step::Delete { uid: pod.view.uid().to_owned() }
            }
            _ => Step::Rest(Rest::Deleting),
        };
    }
    match (&s.desired.run, &s.pod) {
        (_, PodState::Former) => Step::Rest(Rest::Former),
        (_, PodState::Ours(pod)) if pod.view.is_terminating() => Step::Rest(Rest::Stopping),
        (Run::Suspended(why), pod) if idle::is_over(s, why, pod) => Step::Wake,
        (Run::Suspended(why), PodState::Ours(pod)) => stop(s, pod, StopCause::Suspended, why.message.clone()),
        (Run::Suspended(why), PodState::Gone) => Step::Rest(Rest::Suspended(why.clone())),
        (Run::Suspended(why), PodState::Absent) if s.incarnation().is_none() || is_suspended(s) => {
            Step::Rest(Rest::Suspended(why.clone()))
        }
        (Run::Running, PodState::Ours(pod)) => match running(s, pod) {
            // A change that waits does not keep an unused workspace running: its next start has it.
            rest @ Step::Rest(Rest::Settled(_)) => idle::step(s, pod).unwrap_or(rest),
            step => step,
        },
        (Run::Running, PodState::Gone) => start(s),
        (Run::Running, PodState::Absent) if s.incarnation().is_none() => start(s),
        (_, PodState::Absent) => Step::ReadPod,
    }
}

fn is_suspended(s: &Situation) -> bool {
    s.condition(ConditionType::Suspended).is_some_and(|condition| condition.status == "True")
}

/// First the record, then the deletion: a crash between the two leaves a stop that is known to be one.
fn stop(s: &Situation, pod: &PodFacts, cause: StopCause, message: String) -> Step {
    let recorded = s.status.last_stop.as_ref().is_some_and(|stop| stop.incarnation == pod.number);
    if recorded || !Protection::RecordedStop.holds() {
        return Step::Delete { uid: pod.view.uid().to_owned() };
    }
    Step::RecordStop(Stop { incarnation: pod.number, cause, message })
}

fn running(s: &Situation, pod: &PodFacts) -> Step {
    match pod.number.cmp(&s.number()) {
        Ordering::Equal => {}
        // A claim follows the end of the Pod before it, so mostly it is the cache that is old.
        _ if !s.is_live => return Step::ReadBoth,
        Ordering::Less => {
            return stop(s, pod, StopCause::Overtaken, format!("start {} was claimed", s.number()));
        }
        Ordering::Greater => return Step::TakeOver(pod.number),
    }
    let silence = silence(s, pod);
    let ended = match &pod.health {
        Health::Finished(cause) => Some(cause),
        Health::Ready | Health::NotReady(_) => silence.as_ref(),
    };
    match stand_or_stop(s, pod, ended) {
        // Before a record is withdrawn: somebody may have carried it out, and the cache may be old.
        Step::Rest(_) if s.is_stop_recorded() && !s.is_live => Step::ReadBoth,
        step => step,
    }
}

fn stand_or_stop(s: &Situation, pod: &PodFacts, ended: Option<&Cause>) -> Step {
    let is_stopped = is_stopped_for_rollout(s, pod);
    match (change(s, Some(pod)), ended) {
        // What it was stopped for has gone, and another operator may be about to delete it.
        (None, _) if is_stopped && blocked(s).is_none() => Step::Delete { uid: pod.view.uid().to_owned() },
        (None, Some(cause)) => lost(s, cause, || Step::Delete { uid: pod.view.uid().to_owned() }),
        (None, None) => Step::Rest(Rest::Settled(blocked(s).map(Waiting::Blocked))),
        (Some(Change { cause: StopCause::InputsChanged | StopCause::Rollout, what }), None)
            if waits_for_restart(s) && !is_stopped =>
        {
            Step::Rest(Rest::Settled(Some(Waiting::Strategy { what })))
        }
        (Some(Change { cause: StopCause::InputsChanged | StopCause::Rollout, what }), None)
            if !is_stopped && let Some(until) = idle::undisturbed_until(s, pod) =>
        {
            Step::Rest(Rest::Settled(Some(Waiting::Idle { what, until })))
        }
        (Some(change), _) => replace(s, pod, change),
    }
}

/// A silence of its own that counts as an end, where the workspace says so. Whoever is silent with most others is not
/// to blame for it.
fn silence(s: &Situation, pod: &PodFacts) -> Option<Cause> {
    let pulse = pod.pulse.as_ref().filter(|pulse| pulse.silence == Silence::Its)?;
    let restarts = s.desired.effective.as_ref().is_ok_and(|effective| effective.spec.restarts_on_silence());
    restarts.then(|| Cause {
        reason: Reason::HeartbeatLost,
        message: format!("no heartbeat of the program since {}", whole_seconds(pulse.since)),
        exit_code: None,
        review_at: None,
    })
}

/// A serving Pod is stopped only for a successor that can be made; any other at once.
fn replace(s: &Situation, pod: &PodFacts, change: Change) -> Step {
    let waits = |waiting| Step::Rest(Rest::Settled(Some(waiting)));
    let Change { cause, what } = change;
    if let Some(blocked) = blocked(s) {
        return waits(Waiting::Blocked(blocked));
    }
    if let Some(reason) = volume_in_the_way(s) {
        return waits(Waiting::Volume { what, reason });
    }
    let is_rollout = cause == StopCause::Rollout && !is_stopped_for_rollout(s, pod);
    if is_rollout && s.turn == Some(Turn::Waits) {
        return waits(Waiting::Turn { what });
    }
    if is_rollout && s.turn.is_none() {
        return Step::TakeTurn(asker(s, pod));
    }
    if !pod.is_serving() {
        // Down as it is, it takes no place; one that takes a place keeps it.
        let takes_none = is_rollout && !s.has_place();
        return stop(s, pod, if takes_none { StopCause::InputsChanged } else { cause }, what);
    }
    match &s.verdict {
        None => Step::Verify,
        Some(Verdict::Pending { until }) => waits(Waiting::Image { what, until: *until }),
        Some(Verdict::Declined(refusal)) => waits(Waiting::Declined { what, refusal: refusal.clone() }),
        Some(Verdict::Accepted { .. }) if is_rollout && s.turn == Some(Turn::Granted) => take_place(s),
        Some(Verdict::Accepted { note: None }) => stop(s, pod, cause, what),
        Some(Verdict::Accepted { note: Some(note) }) => stop(s, pod, cause, format!("{what} ({note})")),
    }
}

fn asker(s: &Situation, pod: &PodFacts) -> Asker {
    match s.condition(ConditionType::UpToDate) {
        _ if !pod.is_serving() => Asker::Down,
        Some(before) if rollout::is_decline(before) => Asker::Declined,
        _ => Asker::Serving,
    }
}

/// A promised place is written down first, and only then used: so it turns out whether another operator promised it
/// too. A place that is only written down may be given back by anybody; a stop that is recorded may not.
fn take_place(s: &Situation) -> Step {
    let is_written = s.condition(ConditionType::UpToDate).is_some_and(rollout::is_place);
    if is_written { Step::ConfirmTurn } else { Step::TakePlace }
}

/// Whether the stop of `pod` was recorded for a rollout. Such a one is carried out even if the change has gone
/// meanwhile: another operator may be about to. If there is another change by then, that is verified first.
fn is_stopped_for_rollout(s: &Situation, pod: &PodFacts) -> bool {
    s.status
        .last_stop
        .as_ref()
        .is_some_and(|stop| stop.incarnation == pod.number && stop.cause == StopCause::Rollout)
}

/// Many wake at once when a hold on their namespace ends. Not so what somebody did to this one since.
pub(crate) fn wakes_with_others(s: &Situation) -> bool {
    s.desired.restart.pending.is_none()
        && s.condition(ConditionType::Suspended).is_some_and(|suspended| {
            suspended.observed_generation == s.generation
                && (suspended.reason == Reason::NamespaceHeld.as_str()
                    || suspended.reason == Reason::AwaitingRollout.as_str())
        })
}

/// There is no Pod, and nobody doubts it.
fn start(s: &Situation) -> Step {
    if let Some(blocked) = blocked(s) {
        return Step::Rest(Rest::Blocked(blocked));
    }
    if let Some(reason) = volume_in_the_way(s) {
        return Step::Rest(Rest::Volume(reason));
    }
    if wakes_with_others(s) {
        match s.turn {
            None => return Step::TakeTurn(Asker::Serving),
            Some(Turn::Waits) => return Step::Rest(Rest::AwaitingTurn),
            Some(Turn::Granted) => return take_place(s),
            Some(Turn::Confirmed) => {}
        }
    }
    if s.incarnation().is_none() || s.is_stop_recorded() {
        return claim(s, None);
    }
    // It was stopped for as long as somebody wanted; what ended its Pod before that is over.
    if is_suspended(s) && (s.had_pod() || s.is_loss_recorded()) {
        return claim(s, None);
    }
    if s.had_pod() || s.is_loss_recorded() {
        let deleted = Cause {
            reason: Reason::PodDeleted,
            message: "the Pod was deleted by somebody else".to_owned(),
            exit_code: None,
            review_at: None,
        };
        return lost(s, &deleted, || claim(s, s.status.failures.clone()));
    }
    if change(s, None).is_some() {
        return claim(s, None);
    }
    match &s.refusal {
        Some(refusal) if refusal.retry_at > s.now => Step::Rest(Rest::Refused(refusal.clone())),
        _ => Step::Start,
    }
}

/// Only a restart asked for accepts an empty volume in place of a lost one.
fn volume_in_the_way(s: &Situation) -> Option<Reason> {
    match s.volume {
        VolumeState::Terminating => Some(Reason::VolumeTerminating),
        VolumeState::Broken => Some(Reason::VolumeLost),
        VolumeState::Lost if s.desired.restart.pending.is_none() => Some(Reason::VolumeLost),
        _ => None,
    }
}

/// A loss is counted once, then waited for, unless somebody wants something new; `next` goes on from there.
fn lost(s: &Situation, cause: &Cause, next: impl FnOnce() -> Step) -> Step {
    let is_gone = matches!(s.pod, PodState::Gone | PodState::Absent);
    if is_gone && change(s, None).is_some() {
        return claim(s, None);
    }
    if !s.is_loss_recorded() {
        let failures = failure::count(&s.status, s.number(), cause, s.ready_since(), s.jitter, s.now);
        let at_once = failures.next_start_time.is_none() && blocked(s).is_none();
        return if is_gone && at_once { claim(s, Some(failures)) } else { Step::RecordLoss(failures) };
    }
    let next_start = s.status.failures.as_ref().and_then(|failures| failures.next_start_time.as_ref());
    match next_start.map(|time| time.0).filter(|time| *time > s.now) {
        Some(time) => Step::Rest(Rest::BackingOff(time)),
        None => next(),
    }
}

fn waits_for_restart(s: &Situation) -> bool {
    s.desired.effective.as_ref().is_ok_and(|effective| effective.strategy == UpdateStrategyType::OnRestart)
}

fn blocked(s: &Situation) -> Option<Blocked> {
    s.desired.effective.as_ref().err().or(s.desired.missing.as_ref()).cloned()
}

#[cfg(test)]
mod tests;
