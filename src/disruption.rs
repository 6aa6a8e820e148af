//! Pure: until when a busy program is kept from being evicted.

use jiff::Timestamp;

use crate::{
    backoff::after,
    heartbeats::{Doing, Pulse, Silence},
    situation::{PodState, Situation},
};

/// Until when a disruption budget keeps drains away from the Pod, if nothing changes; none where there is to be no budget.
/// Who does not say what it does, or alone is silent, is not kept: a node must not wait for a program that hangs. Where
/// nobody is heard, the last word stands.
pub fn protected_until(s: &Situation) -> Option<Timestamp> {
    let effective = s.desired.effective.as_ref().ok().filter(|effective| effective.busy_disruption_budget)?;
    let PodState::Ours(pod) = &s.pod else { return None };
    let since = pod.pulse.as_ref().filter(|_| pod.is_serving()).and_then(busy_since)?;
    Some(after(since, effective.max_delay)).filter(|until| *until > s.now)
}

fn busy_since(pulse: &Pulse) -> Option<Timestamp> {
    match pulse.doing {
        Doing::Busy { since } if pulse.silence != Silence::Its => Some(since),
        Doing::Busy { .. } | Doing::Idle { .. } | Doing::Unknown => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        api::{Reason, WorkspaceStatus},
        decide::{Rest, Step},
        fixtures::{self, at},
        health::Health,
        timers,
    };

    /// A class that asks for budgets, a limit of ten minutes, and a program that began `doing` now.
    fn doing(doing: Doing) -> Situation {
        let mut s = fixtures::started(Health::Ready);
        let spec = json!({"image": "a:1", "updateStrategy": {"maxDelaySeconds": 600}});
        s.desired = fixtures::situation(spec, WorkspaceStatus::default()).desired;
        if let Ok(effective) = &mut s.desired.effective {
            effective.busy_disruption_budget = true;
        }
        if let PodState::Ours(pod) = &mut s.pod {
            let heard = Some(at(0));
            pod.pulse = Some(Pulse { heard, since: at(0), doing, message: None, silence: Silence::No });
        }
        s
    }

    fn busy() -> Situation {
        doing(Doing::Busy { since: at(0) })
    }

    #[test]
    fn a_busy_program_is_kept_until_the_limit_and_no_longer() {
        let mut s = busy();
        for (seconds, until) in [(0, Some(at(600))), (599, Some(at(600))), (600, None), (601, None)] {
            s.now = at(seconds);
            assert_eq!(protected_until(&s), until, "after {seconds} s");
        }
    }

    #[test]
    fn the_limit_is_a_time_to_look_again() {
        let step = Step::Rest(Rest::Settled(None));
        assert_eq!(timers::next_visit(&busy(), &step), Some(at(600)));
        let s = Situation { now: at(600), ..busy() };
        assert_eq!(timers::next_visit(&s, &step), None);
    }

    #[test]
    fn only_who_says_that_it_is_busy_is_kept() {
        assert_eq!(protected_until(&doing(Doing::Idle { since: at(0) })), None);
        assert_eq!(protected_until(&doing(Doing::Unknown)), None);
    }

    #[test]
    fn who_falls_silent_is_not_kept_unless_nobody_is_heard() {
        for (silence, until) in
            [(Silence::No, Some(at(600))), (Silence::Its, None), (Silence::Everybodys, Some(at(600)))]
        {
            let mut s = busy();
            if let PodState::Ours(pod) = &mut s.pod
                && let Some(pulse) = &mut pod.pulse
            {
                pulse.silence = silence;
            }
            assert_eq!(protected_until(&s), until, "{silence:?}");
        }
    }

    #[test]
    fn nobody_is_kept_whose_class_does_not_ask_for_it() {
        let mut s = busy();
        s.desired.effective.as_mut().unwrap().busy_disruption_budget = false;
        assert_eq!(protected_until(&s), None);
    }

    #[test]
    fn a_pod_that_goes_or_does_not_serve_is_not_kept() {
        assert_eq!(protected_until(&fixtures::terminating(busy())), None);
        assert_eq!(protected_until(&fixtures::gone(busy())), None);
        let mut s = busy();
        if let PodState::Ours(pod) = &mut s.pod {
            pod.health = Health::NotReady(fixtures::cause(Reason::AwaitingReadiness));
        }
        assert_eq!(protected_until(&s), None);
    }
}
