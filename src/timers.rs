//! When to look again though nothing may have changed.

use std::time::Duration;

use jiff::Timestamp;

use crate::{
    backoff::after,
    decide::{self, Rest, Step, Waiting},
    disruption,
    health::{self, Health},
    heartbeats::Silence,
    situation::{PodFacts, PodState, Situation, VolumeState},
    status,
};

/// How often is asked again what no watch tells.
const POLL: Duration = Duration::from_secs(30);
/// How often is looked whether a program was heard.
const WORD: Duration = Duration::from_secs(5);

/// The earliest moment at which time alone changes what is to be done or said.
pub fn next_visit(s: &Situation, step: &Step) -> Option<Timestamp> {
    let in_place = s.in_place.as_ref().map(|refusal| refusal.retry_at);
    let mut times = vec![in_place, s.desired.restart.scheduled.map(|time| time.0), status::deadline(s, step)];
    if let Step::Rest(rest) = step {
        times.push(of_rest(s, rest));
    }
    if let PodState::Ours(pod) = &s.pod {
        if let Health::NotReady(cause) = &pod.health {
            times.push(cause.review_at);
        }
        times.push(idle(s, pod));
        times.push(disruption::protected_until(s));
        // Whether it is only its own silence changes with what others say.
        let is_general = pod.pulse.as_ref().is_some_and(|pulse| pulse.silence == Silence::Everybodys);
        times.push(is_general.then(|| after(s.now, POLL)));
        times.push(pod.view.termination_deadline().map(|deadline| after(deadline, health::OVERDUE)));
        times.push(health::creating_since(&pod.view).map(|since| {
            let due = after(since, health::MOUNT_PATIENCE);
            if due > s.now { due } else { after(s.now, POLL) }
        }));
    }
    times.into_iter().flatten().filter(|time| *time > s.now).min()
}

/// When the program will have been idle for too long. Past that its next word is waited for.
fn idle(s: &Situation, pod: &PodFacts) -> Option<Timestamp> {
    let due = decide::idle::due(s, pod)?;
    let again = pod.looked.map_or_else(|| after(s.now, WORD), |looked| looked.next);
    Some(if due > s.now { due } else { again })
}

/// The earlier of two moments, where there are any.
pub fn earliest(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    one.into_iter().chain(other).min()
}

fn of_rest(s: &Situation, rest: &Rest) -> Option<Timestamp> {
    let poll = Some(after(s.now, POLL));
    match rest {
        Rest::BackingOff(time) => Some(*time),
        Rest::Refused(refusal) | Rest::Settled(Some(Waiting::Declined { refusal, .. })) => {
            Some(refusal.retry_at)
        }
        Rest::Settled(Some(Waiting::Image { until, .. } | Waiting::Idle { until, .. })) => Some(*until),
        // An existing claim is nobody's child, and so watched by nobody.
        Rest::Blocked(_) if s.desired.missing.is_some() => poll,
        Rest::Blocked(_) | Rest::Settled(Some(Waiting::Blocked(_))) if s.desired.asks_for_claims => poll,
        Rest::Volume(_) => poll,
        Rest::Settled(_) if existing_claim_is_pending(s) => poll,
        Rest::Blocked(_)
        | Rest::Settled(_)
        | Rest::Deleting
        | Rest::Former
        | Rest::Suspended(_)
        // The gate wakes who waits.
        | Rest::AwaitingTurn
        | Rest::Stopping => None,
    }
}

fn existing_claim_is_pending(s: &Situation) -> bool {
    let existing = s.desired.effective.as_ref().ok().and_then(|effective| effective.existing_claim());
    existing.is_some() && !matches!(s.volume, VolumeState::Bound { .. })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{api::Reason, fixtures, resolve::Blocked};

    #[test]
    fn a_bound_by_a_claim_s_labels_is_asked_about_again() {
        let blocked = Blocked { reason: Reason::OutOfBounds, message: String::new() };
        for rest in [Rest::Blocked(blocked.clone()), Rest::Settled(Some(Waiting::Blocked(blocked)))] {
            let mut s = fixtures::fresh();
            assert_eq!(of_rest(&s, &rest), None);
            s.desired.asks_for_claims = true;
            assert_eq!(of_rest(&s, &rest), Some(after(s.now, POLL)));
        }
    }
}
