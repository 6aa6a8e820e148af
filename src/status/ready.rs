//! The summary: what is first in the way of serving, if anything is.

use crate::{
    api::{Reason, status::Failures},
    decide::{Rest, Step},
    failure::whole_seconds,
    health::Health,
    situation::{PodFacts, Situation, VolumeState},
};

use super::ours;

/// Why a workspace is not Ready.
pub(super) type Obstacle = (Reason, String);

/// The first thing in the way; none means the Pod serves.
pub(super) fn obstacle(s: &Situation, step: &Step) -> Option<Obstacle> {
    let some = |reason: Reason, message: &str| Some((reason, message.to_owned()));
    match step {
        Step::Rest(Rest::Deleting) => some(Reason::Terminating, "the workspace is being deleted"),
        Step::Delete { .. } if s.is_deleting => some(Reason::Terminating, "the workspace is being deleted"),
        Step::Rest(Rest::Former) => {
            some(Reason::Terminating, "the Pod of a former workspace of this name is still being deleted")
        }
        Step::Rest(Rest::Suspended(why)) => Some((why.reason, why.message.clone())),
        Step::Rest(Rest::AwaitingTurn) => Some((Reason::AwaitingRollout, awaits_turn(s))),
        Step::RecordStop(stop) => Some((Reason::Stopping, stop.message.clone())),
        Step::Rest(Rest::Stopping) | Step::Delete { .. } => Some(stopping(s)),
        Step::Rest(Rest::Blocked(blocked)) => Some((blocked.reason, blocked.message.clone())),
        Step::Rest(Rest::Volume(Reason::VolumeLost)) => some(Reason::VolumeLost, lost_volume(s)),
        Step::Rest(Rest::Volume(reason)) => some(*reason, "the volume claim is being deleted"),
        Step::Rest(Rest::BackingOff(_)) => s.status.failures.as_ref().map(backing_off),
        Step::RecordLoss(failures) => Some(backing_off(failures)),
        Step::Rest(Rest::Refused(refusal)) => Some((refusal.reason, refusal.message.clone())),
        Step::Claim(..) | Step::Start => Some(starting(s)),
        Step::Rest(Rest::Settled(_))
        | Step::TakeOver(_)
        | Step::TakeTurn(_)
        | Step::Look
        | Step::Hold { .. }
        | Step::Wake
        | Step::TakePlace
        | Step::ConfirmTurn
        | Step::Verify
        | Step::ReadPod
        | Step::ReadBoth => ours(s).map_or_else(|| Some(starting(s)), |pod| of_pod(s, pod)),
    }
}

/// The same words whatever the gate waits for itself: hundreds that wait must not write whenever that changes. The
/// class's status tells it.
pub(super) fn awaits_turn(s: &Situation) -> String {
    match s.desired.effective.as_ref().ok().and_then(|effective| effective.class.as_ref()) {
        Some(class) => format!("waits for its turn in the rollout of class {}", class.name),
        None => "waits for its turn among the workspaces without a class".to_owned(),
    }
}

/// What a person has to do about a volume that is gone.
pub(super) fn lost_volume(s: &Situation) -> &'static str {
    match s.volume {
        VolumeState::Broken => {
            "the claim is there and its volume is gone: delete the claim, then a restart makes a new one"
        }
        _ => "the volume claim is gone with its data; a new restart makes a new one",
    }
}

/// While the Pod goes away: whose doing it is.
fn stopping(s: &Situation) -> Obstacle {
    if let Some(PodFacts { health: Health::NotReady(cause), .. }) = ours(s)
        && cause.reason == Reason::NodeLost
    {
        return (cause.reason, cause.message.clone());
    }
    if let Some(stop) = &s.status.last_stop {
        return (Reason::Stopping, stop.message.clone());
    }
    let failure = s.status.failures.as_ref().filter(|_| s.is_loss_recorded());
    if let Some((reason, message)) = failure.map(backing_off) {
        return (reason, message);
    }
    (Reason::Stopping, "the Pod is being deleted by somebody else".to_owned())
}

fn backing_off(failures: &Failures) -> Obstacle {
    let last = failures.last.as_ref();
    let message = last.map(|last| last.message.clone()).unwrap_or_default();
    match &failures.next_start_time {
        Some(time) => {
            let count = failures.consecutive;
            (Reason::BackingOff, format!("{count} failures in a row, next start at {}: {message}", time.0))
        }
        None => (last.and_then(|last| Reason::parse(&last.reason)).unwrap_or(Reason::PodFailed), message),
    }
}

fn starting(s: &Situation) -> Obstacle {
    if is_volume_pending(s) {
        return (Reason::VolumePending, "the volume claim is not bound yet".to_owned());
    }
    (Reason::AwaitingReadiness, "started, not Ready yet".to_owned())
}

fn of_pod(s: &Situation, pod: &PodFacts) -> Option<Obstacle> {
    match &pod.health {
        Health::Ready => silence(pod),
        Health::NotReady(_) if is_volume_pending(s) => Some(starting(s)),
        Health::NotReady(cause) | Health::Finished(cause) => Some((cause.reason, cause.message.clone())),
    }
}

/// A program that fell silent may still do its work: it is told, and nothing is done about it.
pub(super) fn silence(pod: &PodFacts) -> Option<Obstacle> {
    let pulse = pod.pulse.as_ref().filter(|pulse| pulse.is_silent())?;
    let message = format!("no heartbeat of the program since {}", whole_seconds(pulse.since));
    Some((Reason::HeartbeatLost, message))
}

fn is_volume_pending(s: &Situation) -> bool {
    matches!(s.volume, VolumeState::Absent | VolumeState::Pending)
}
