//! Whether the operator is on its way, has arrived, or is stuck: kstatus's Reconciling and Stalled, of which at
//! most one is True.

use std::time::Duration;

use jiff::Timestamp;

use crate::{
    api::{ConditionType, Reason, WorkspaceStatus},
    decide::{Rest, Step, Waiting},
    situation::{Situation, VolumeState},
};

use super::{conditions::standing_refusal, ready::Obstacle};

/// Where things stand.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Progress {
    Settled,
    /// On the way; stuck if it lasts beyond `until`.
    On {
        until: Timestamp,
    },
    Stalled {
        reason: Reason,
        message: String,
    },
}

/// Where things stand, given the first `obstacle` and what status is about to say of the start.
pub(super) fn progress(
    s: &Situation,
    step: &Step,
    obstacle: Option<&Obstacle>,
    next: &WorkspaceStatus,
) -> Progress {
    if let Some(progress) = stuck_or_settled(s, step) {
        return progress;
    }
    let (since, message) = match obstacle {
        Some((_, message)) => (start_of_wait(s, step, next), message.clone()),
        None => match waiting(step) {
            None => match &s.in_place {
                Some(refusal) => (reconciling_since(s), refusal.message.clone()),
                None => return Progress::Settled,
            },
            Some(Waiting::Strategy { .. } | Waiting::Idle { .. } | Waiting::Turn { .. }) => {
                return Progress::Settled;
            }
            Some(Waiting::Image { .. }) => {
                let message = standing_refusal(s).unwrap_or("the new image is being looked for");
                (reconciling_since(s), message.to_owned())
            }
            Some(Waiting::Declined { what, refusal }) => {
                (reconciling_since(s), format!("{what}: {}", refusal.message))
            }
            Some(Waiting::Blocked(blocked)) => (reconciling_since(s), blocked.message.clone()),
            Some(Waiting::Volume { .. }) => {
                (reconciling_since(s), "the volume claim is being deleted".to_owned())
            }
        },
    };
    let until = since.saturating_add(s.desired.progress_deadline).unwrap_or(Timestamp::MAX);
    if s.now < until && !is_already_late(s, obstacle, step) {
        return Progress::On { until };
    }
    let seconds = Duration::as_secs(&s.desired.progress_deadline);
    Progress::Stalled {
        reason: Reason::DeadlineExceeded,
        message: format!("not done within {seconds} s: {message}"),
    }
}

/// What needs no look at the clock: nothing is wanted, or only a person can mend it.
fn stuck_or_settled(s: &Situation, step: &Step) -> Option<Progress> {
    let stalled = |reason, message: &str| Some(Progress::Stalled { reason, message: message.to_owned() });
    match step {
        Step::Rest(Rest::Suspended(_) | Rest::AwaitingTurn) => return Some(Progress::Settled),
        Step::Rest(Rest::Blocked(blocked) | Rest::Settled(Some(Waiting::Blocked(blocked))))
            if blocked.is_terminal() =>
        {
            return stalled(blocked.reason, &blocked.message);
        }
        Step::Rest(Rest::Refused(refusal) | Rest::Settled(Some(Waiting::Declined { refusal, .. })))
            if is_for_a_person(refusal.reason) =>
        {
            return stalled(refusal.reason, &refusal.message);
        }
        Step::Rest(Rest::Settled(None)) => {
            if let Some(refusal) = s.in_place.as_ref().filter(|no| is_for_a_person(no.reason)) {
                return stalled(refusal.reason, &refusal.message);
            }
        }
        _ => {}
    }
    if matches!(s.volume, VolumeState::Lost | VolumeState::Broken) && matches!(step, Step::Rest(_)) {
        return stalled(Reason::VolumeLost, super::ready::lost_volume(s));
    }
    None
}

/// Refusals that nothing but a changed spec, policy or name mends.
fn is_for_a_person(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::PodRefused
            | Reason::VolumeRefused
            | Reason::ServiceRefused
            | Reason::NetworkPolicyRefused
            | Reason::DisruptionBudgetRefused
    )
}

fn waiting(step: &Step) -> Option<&Waiting> {
    match step {
        Step::Rest(Rest::Settled(waiting)) => waiting.as_ref(),
        _ => None,
    }
}

/// A start counts from its claim; a Pod that served and no longer does, from then.
fn start_of_wait(s: &Situation, step: &Step, next: &WorkspaceStatus) -> Timestamp {
    let claimed = next.incarnation.as_ref().and_then(|incarnation| incarnation.start_time.as_ref());
    match (step, claimed) {
        (Step::Rest(Rest::Blocked(_) | Rest::Former | Rest::Volume(_)), _) | (_, None) => {
            reconciling_since(s)
        }
        (_, Some(claimed)) => match s.condition(ConditionType::Ready) {
            Some(ready) if ready.status == "True" => s.now,
            Some(ready) => claimed.0.max(ready.last_transition_time.0),
            None => claimed.0,
        },
    }
}

fn reconciling_since(s: &Situation) -> Timestamp {
    s.condition(ConditionType::Reconciling)
        .filter(|condition| condition.status == "True")
        .map_or(s.now, |condition| condition.last_transition_time.0)
}

/// What has no claim to count from stays late until somebody wants something new.
fn is_already_late(s: &Situation, obstacle: Option<&Obstacle>, step: &Step) -> bool {
    let by_reconciling =
        obstacle.is_none() || matches!(step, Step::Rest(Rest::Blocked(_) | Rest::Former | Rest::Volume(_)));
    let is_same_wish = s.desired.restart.pending <= s.status.requested_restart_at;
    by_reconciling
        && is_same_wish
        && s.condition(ConditionType::Stalled).is_some_and(|stalled| {
            stalled.status == "True"
                && stalled.reason == Reason::DeadlineExceeded.as_str()
                && stalled.observed_generation == s.generation
        })
}

/// The moment at which status has to be looked at again for the deadline's sake.
pub fn deadline(s: &Situation, step: &Step) -> Option<Timestamp> {
    let obstacle = super::ready::obstacle(s, step);
    match progress(s, step, obstacle.as_ref(), &s.status) {
        Progress::On { until } => Some(until),
        Progress::Settled | Progress::Stalled { .. } => None,
    }
}
