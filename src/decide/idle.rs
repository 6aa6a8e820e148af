//! What the activity of the program has a say in: it is stopped when nobody uses it, and left undisturbed while it is
//! busy. Who does not say what it does is neither stopped for it nor disturbed.

use jiff::Timestamp;

use crate::{
    api::{Reason, update_strategy::UpdateStrategyType},
    backoff::after,
    failure::whole_seconds,
    heartbeats::Doing,
    resolve::{
        Suspension,
        activity::{IdleStop, Source},
    },
    situation::{Look, PodFacts, PodState, Situation},
};

use super::Step;

/// Until when the program is left undisturbed; none where it may be stopped now.
pub(super) fn undisturbed_until(s: &Situation, pod: &PodFacts) -> Option<Timestamp> {
    let effective = s.desired.effective.as_ref().ok()?;
    let waits = effective.strategy == UpdateStrategyType::WhenIdle && pod.is_serving();
    if !waits || is_idle(pod) {
        return None;
    }
    let since = s.status.awaiting_idle_since.as_ref().map_or_else(|| whole_seconds(s.now), |time| time.0);
    Some(after(since, effective.max_delay)).filter(|until| *until > s.now)
}

/// By its own word to this process: what status tells may be from before another leader was away.
fn is_idle(pod: &PodFacts) -> bool {
    pod.pulse.as_ref().is_some_and(|pulse| {
        matches!(pulse.doing, Doing::Idle { .. }) && pulse.heard.is_some() && !pulse.is_silent()
    })
}

/// What to do about a Pod that runs as wanted and may not be used.
pub(super) fn step(s: &Situation, pod: &PodFacts) -> Option<Step> {
    let stop = s.desired.effective.as_ref().ok()?.idle.as_ref()?;
    let due = due(s, pod).filter(|due| *due <= s.now)?;
    match (&stop.source, &s.look) {
        // A word that is older than that may be out of date.
        (Source::Heartbeats, _) => {
            let pulse = pod.pulse.as_ref()?;
            pulse.heard.filter(|heard| *heard >= due)?;
            last_activity(s, pod).map(|since| Step::Hold { since })
        }
        (Source::Probe(_), None) => may_look(s, pod).then_some(Step::Look),
        (Source::Probe(_), Some(Look::Active { .. })) => {
            last_activity(s, pod).map(|since| Step::Hold { since })
        }
        (Source::Probe(_), Some(Look::Failed)) => None,
    }
}

/// When the workspace is to be stopped, by what is known of its last activity. None where nobody can tell, and before it
/// was Ready: nobody could use it.
pub(crate) fn due(s: &Situation, pod: &PodFacts) -> Option<Timestamp> {
    let stop = s.desired.effective.as_ref().ok()?.idle.as_ref()?;
    let ready = s.incarnation()?.ready_time.as_ref()?.0;
    let last = last_activity(s, pod).filter(|_| pod.is_serving())?;
    Some(after(last.max(ready), stop.after))
}

/// The last activity that is known of. None while it is busy, and where nobody can tell; with a probe nobody has to
/// before it is asked.
fn last_activity(s: &Situation, pod: &PodFacts) -> Option<Timestamp> {
    let IdleStop { after: _, source } = s.desired.effective.as_ref().ok()?.idle.as_ref()?;
    let heard = pod.pulse.as_ref().filter(|pulse| !pulse.is_silent()).map(|pulse| pulse.doing);
    let by_heartbeats = match heard {
        Some(Doing::Busy { .. }) => return None,
        Some(Doing::Idle { since }) => Some(since),
        Some(Doing::Unknown) | None => None,
    };
    let by_look = match (source, s.look) {
        (Source::Heartbeats, _) => return by_heartbeats,
        (Source::Probe(_), Some(Look::Active { last })) => Some(last),
        (Source::Probe(_), Some(Look::Failed) | None) => pod.looked.and_then(|looked| looked.last),
    };
    by_look.max(by_heartbeats).or(Some(Timestamp::MIN))
}

/// A program that did not answer is asked again a while later.
fn may_look(s: &Situation, pod: &PodFacts) -> bool {
    pod.looked.is_none_or(|looked| looked.next <= s.now)
}

/// Whether a workspace that is held for being idle is to be woken: its program was active after all, before it was
/// stopped; or nobody wants it stopped for that any more.
pub(super) fn is_over(s: &Situation, why: &Suspension, pod: &PodState) -> bool {
    let Some(since) = why.idle_since.filter(|_| why.reason == Reason::Idle) else { return false };
    if s.desired.effective.as_ref().is_ok_and(|effective| effective.idle.is_none()) {
        return true;
    }
    let PodState::Ours(pod) = pod else { return false };
    let pulse = pod.pulse.as_ref().filter(|pulse| !pod.view.is_terminating() && !pulse.is_silent());
    pulse.is_some_and(|pulse| match pulse.doing {
        Doing::Busy { .. } => true,
        Doing::Idle { since: last } => last > since,
        Doing::Unknown => false,
    })
}

#[cfg(test)]
mod tests;
