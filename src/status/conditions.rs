//! The nine conditions, all of them from the first visit.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use crate::{
    api::{ConditionStatus, ConditionType, Reason, WorkspaceStatus, status::StopCause},
    decide::{Rest, Step, Waiting, wakes_with_others},
    failure::{clipped, whole_seconds},
    health::Health,
    registration::{self, Registration},
    resolve::Run,
    situation::{PodFacts, Situation, VolumeState},
};

use super::{
    ours,
    progress::{Progress, progress},
    ready::{self, Obstacle},
};

/// One condition, before its times are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    pub type_: ConditionType,
    pub status: ConditionStatus,
    pub reason: Reason,
    pub message: String,
}

/// Takes over what `told` says into `old`: a transition's time moves only with the status, whole seconds.
pub fn merge(old: &[Condition], told: Vec<Told>, generation: Option<i64>, now: Timestamp) -> Vec<Condition> {
    told.into_iter()
        .map(|told| {
            let before = old.iter().find(|condition| condition.type_ == told.type_.as_str());
            let unmoved = before.filter(|condition| condition.status == told.status.as_str());
            Condition {
                type_: told.type_.to_string(),
                status: told.status.to_string(),
                reason: told.reason.to_string(),
                message: clipped(&told.message),
                observed_generation: generation,
                last_transition_time: unmoved.map_or_else(
                    || Time(whole_seconds(now)),
                    |condition| condition.last_transition_time.clone(),
                ),
            }
        })
        .collect()
}

/// While the old Pod serves in place of a change that is tried, Ready does not speak of the new generation yet:
/// `kubectl wait --for=condition=Ready` goes on waiting.
pub(super) fn hold_back_ready(s: &Situation, step: &Step, conditions: &mut [Condition]) {
    let waits = match step {
        Step::Rest(Rest::Settled(Some(waiting))) => {
            !matches!(waiting, Waiting::Strategy { .. } | Waiting::Idle { .. } | Waiting::Turn { .. })
        }
        _ => false,
    };
    let before = s.condition(ConditionType::Ready).and_then(|ready| ready.observed_generation);
    let ready = conditions.iter_mut().find(|condition| condition.type_ == ConditionType::Ready.as_str());
    if let (true, Some(before), Some(ready)) = (waits, before, ready) {
        ready.observed_generation = Some(before);
    }
}

/// All conditions, in the order of their types.
pub(super) fn tell(s: &Situation, step: &Step, next: &WorkspaceStatus) -> Vec<Told> {
    let obstacle = ready::obstacle(s, step);
    let progress = progress(s, step, obstacle.as_ref(), next);
    ConditionType::ALL
        .iter()
        .map(|type_| {
            let (status, reason, message) = match type_ {
                ConditionType::Ready => ready(s, obstacle.as_ref()),
                ConditionType::Reconciling => reconciling(&progress, obstacle.as_ref()),
                ConditionType::Stalled => stalled(&progress),
                ConditionType::Accepted => accepted(s),
                ConditionType::StorageReady => storage(s),
                ConditionType::PodReady => pod_ready(s, step),
                ConditionType::Registered => registered(s, step),
                ConditionType::Suspended => suspended(s, step),
                ConditionType::UpToDate => up_to_date(s, step),
            };
            Told { type_: *type_, status, reason, message }
        })
        .collect()
}

type Said = (ConditionStatus, Reason, String);

fn said(status: ConditionStatus, reason: Reason, message: &str) -> Said {
    (status, reason, message.to_owned())
}

fn ready(s: &Situation, obstacle: Option<&Obstacle>) -> Said {
    let is_elsewhere = ours(s).is_some_and(|pod| !pod.view.backend.is_pod());
    let serves = if is_elsewhere { "its program registered, and is heard" } else { "the Pod is Ready" };
    match obstacle {
        None => said(ConditionStatus::True, Reason::Running, serves),
        Some((reason, message)) => said(ConditionStatus::False, *reason, message),
    }
}

fn reconciling(progress: &Progress, obstacle: Option<&Obstacle>) -> Said {
    match progress {
        Progress::On { .. } => {
            let reason = obstacle.map_or("a change is tried", |(reason, _)| reason.as_str());
            said(ConditionStatus::True, Reason::Progressing, reason)
        }
        Progress::Settled => said(ConditionStatus::False, Reason::Settled, ""),
        Progress::Stalled { reason, .. } => said(ConditionStatus::False, *reason, ""),
    }
}

fn stalled(progress: &Progress) -> Said {
    match progress {
        Progress::On { .. } => said(ConditionStatus::False, Reason::Progressing, ""),
        Progress::Settled => said(ConditionStatus::False, Reason::Settled, ""),
        Progress::Stalled { reason, message } => said(ConditionStatus::True, *reason, message),
    }
}

fn accepted(s: &Situation) -> Said {
    match &s.desired.effective {
        Ok(_) => said(ConditionStatus::True, Reason::Accepted, &s.desired.restart.notes.join("; ")),
        Err(blocked) => said(ConditionStatus::False, blocked.reason, &blocked.message),
    }
}

fn storage(s: &Situation) -> Said {
    let blocked = s.desired.effective.as_ref().err();
    match (&s.volume, blocked) {
        // What the volume was does not change because the spec is at fault now.
        (_, Some(blocked)) => s
            .condition(ConditionType::StorageReady)
            .and_then(|condition| {
                let status = ConditionStatus::parse(&condition.status)?;
                Some((status, Reason::parse(&condition.reason)?, condition.message.clone()))
            })
            .unwrap_or_else(|| said(ConditionStatus::Unknown, blocked.reason, "")),
        (VolumeState::NotRequired, None) => said(ConditionStatus::True, Reason::NotRequired, ""),
        (VolumeState::Bound { .. }, None) if existing_claim(s).is_some() => {
            said(ConditionStatus::True, Reason::ExistingClaim, "")
        }
        (VolumeState::Bound { note }, None) => {
            said(ConditionStatus::True, Reason::Bound, note.as_deref().unwrap_or_default())
        }
        (VolumeState::Absent, None) => match &s.desired.missing {
            Some(missing) if existing_claim(s).is_some() => {
                said(ConditionStatus::False, missing.reason, &missing.message)
            }
            _ => said(ConditionStatus::False, Reason::VolumePending, "the volume claim is not bound yet"),
        },
        (VolumeState::Pending, None) => {
            said(ConditionStatus::False, Reason::VolumePending, "the volume claim is not bound yet")
        }
        (VolumeState::Terminating, None) => {
            said(ConditionStatus::False, Reason::VolumeTerminating, "the volume claim is being deleted")
        }
        (VolumeState::Lost | VolumeState::Broken, None) => {
            said(ConditionStatus::False, Reason::VolumeLost, ready::lost_volume(s))
        }
    }
}

fn existing_claim(s: &Situation) -> Option<&str> {
    s.desired.effective.as_ref().ok()?.existing_claim()
}

/// From the claim on it says `AwaitingReadiness`: that the Pod object exists is not worth a write.
fn pod_ready(s: &Situation, step: &Step) -> Said {
    let no = |reason, message: &str| said(ConditionStatus::False, reason, message);
    match step {
        Step::RecordStop(_) | Step::Delete { .. } | Step::Rest(Rest::Stopping) => no(Reason::Stopping, ""),
        Step::Claim(..) | Step::Start => no(Reason::AwaitingReadiness, ""),
        _ => match ours(s).map(|pod| &pod.health) {
            None => no(Reason::NoPod, ""),
            Some(Health::Ready) => said(ConditionStatus::True, Reason::Running, ""),
            Some(Health::NotReady(cause) | Health::Finished(cause)) => no(cause.reason, &cause.message),
        },
    }
}

/// By the Pod there is, whatever is wanted of the next one. Without one, by the wish.
fn registered(s: &Situation, step: &Step) -> Said {
    let is_wanted =
        s.desired.effective.as_ref().is_ok_and(|effective| effective.spec.requires_registration());
    let pod = ours(s).filter(|_| !matches!(step, Step::Claim(..) | Step::Start));
    if let Some(silence) = pod.and_then(ready::silence) {
        return said(ConditionStatus::False, silence.0, &silence.1);
    }
    match pod.map(|pod| pod.registration) {
        Some(Registration::Registered { .. }) => said(ConditionStatus::True, Reason::Registered, ""),
        Some(Registration::Awaited) => {
            let message = pod.and_then(awaited).unwrap_or(registration::AWAITED);
            said(ConditionStatus::False, Reason::AwaitingRegistration, message)
        }
        None if is_wanted && matches!(step, Step::Claim(..) | Step::Start) => {
            said(ConditionStatus::False, Reason::AwaitingRegistration, registration::AWAITED)
        }
        None if is_wanted => said(ConditionStatus::Unknown, Reason::NoPod, ""),
        Some(Registration::NotRequired) | None => said(ConditionStatus::True, Reason::NotRequired, ""),
    }
}

/// What its health says of that it has not registered.
fn awaited(pod: &PodFacts) -> Option<&str> {
    match &pod.health {
        Health::NotReady(cause) if cause.reason == Reason::AwaitingRegistration => Some(&cause.message),
        _ => None,
    }
}

const HOLD_ENDED: &str = "the hold on the namespace has ended";

fn suspended(s: &Situation, step: &Step) -> Said {
    match (&s.desired.run, step) {
        (_, Step::Rest(Rest::Suspended(why))) => {
            let reason = if why.is_namespace_s { Reason::NamespaceHeld } else { why.reason };
            said(ConditionStatus::True, reason, &why.message)
        }
        (Run::Running, Step::Rest(Rest::AwaitingTurn) | Step::TakePlace) if ours(s).is_none() => {
            said(ConditionStatus::False, Reason::AwaitingRollout, HOLD_ENDED)
        }
        // What is in its way now does not make it one that may go out of turn later.
        (Run::Running, Step::Rest(Rest::Blocked(_) | Rest::Volume(_))) if wakes_with_others(s) => {
            said(ConditionStatus::False, Reason::AwaitingRollout, HOLD_ENDED)
        }
        (Run::Suspended(why), _) => said(ConditionStatus::False, Reason::Stopping, &why.message),
        (Run::Running, _) => said(ConditionStatus::False, Reason::NotSuspended, ""),
    }
}

fn up_to_date(s: &Situation, step: &Step) -> Said {
    let no = |reason, message: &str| said(ConditionStatus::False, reason, message);
    let no_pod = || said(ConditionStatus::Unknown, Reason::NoPod, "");
    match step {
        Step::Rest(Rest::Settled(Some(waiting))) => match waiting {
            Waiting::Strategy { what } => {
                no(Reason::AwaitingRestart, &format!("{what}; waits for the next start"))
            }
            Waiting::Idle { what, until } => {
                let message = format!("{what}; waits until the program is idle, at most until {until}");
                no(Reason::AwaitingIdle, &message)
            }
            Waiting::Turn { what } => {
                no(Reason::AwaitingRollout, &format!("{what}; {}", ready::awaits_turn(s)))
            }
            // While it is asked again, the last answer stands.
            Waiting::Image { what, .. } => match standing_refusal(s) {
                Some(message) => no(Reason::RestartDeclined, message),
                None => no(Reason::CheckingImage, what),
            },
            Waiting::Declined { what, refusal } => {
                no(declined(refusal.reason), &format!("{what}: {}", refusal.message))
            }
            Waiting::Blocked(blocked) => no(blocked.reason, &blocked.message),
            Waiting::Volume { what, reason: Reason::VolumeLost } => {
                no(Reason::VolumeLost, &format!("{what}: the volume claim is gone"))
            }
            Waiting::Volume { what, reason } => {
                no(*reason, &format!("{what}: the volume claim is being deleted"))
            }
        },
        Step::TakePlace => no(Reason::RollingOut, "its turn in the rollout has come"),
        Step::RecordStop(stop) => replacing(stop.cause, &stop.message),
        Step::Delete { .. } | Step::Rest(Rest::Stopping) => match &s.status.last_stop {
            Some(stop) if !s.is_deleting => replacing(stop.cause, &stop.message),
            _ => no_pod(),
        },
        Step::Rest(Rest::Settled(None)) => match &s.in_place {
            Some(refusal) => no(refusal.reason, &refusal.message),
            None => said(ConditionStatus::True, Reason::UpToDate, ""),
        },
        Step::Claim(..) | Step::Start | Step::TakeOver(_) => {
            said(ConditionStatus::True, Reason::UpToDate, "")
        }
        _ => no_pod(),
    }
}

/// What was last said of this very spec, where that was a no.
pub(super) fn standing_refusal(s: &Situation) -> Option<&str> {
    let said = s.condition(ConditionType::UpToDate)?;
    let stands = said.reason == Reason::RestartDeclined.as_str() && said.observed_generation == s.generation;
    stands.then_some(said.message.as_str())
}

fn replacing(cause: StopCause, message: &str) -> Said {
    match cause {
        StopCause::Restart | StopCause::InputsChanged | StopCause::Rollout | StopCause::Overtaken => {
            said(ConditionStatus::False, Reason::Progressing, message)
        }
        StopCause::Suspended => said(ConditionStatus::Unknown, Reason::NoPod, ""),
    }
}

/// Whatever the image check says, it is the restart that was declined.
fn declined(reason: Reason) -> Reason {
    match reason {
        Reason::PodRefused | Reason::QuotaExceeded => reason,
        _ => Reason::RestartDeclined,
    }
}
