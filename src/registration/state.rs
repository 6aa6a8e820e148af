//! Where a Pod stands with its registration.

use jiff::Timestamp;

use crate::{api::names, view::PodView};

use super::Mark;

/// What is said of a program that has not registered.
pub const AWAITED: &str = "the program has not registered yet";

/// Where a Pod stands with its registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registration {
    /// Its program need not.
    NotRequired,
    /// Its program has not, since its container was started last.
    Awaited,
    /// Its program has.
    Registered { at: Option<Timestamp> },
}

impl Registration {
    /// Reads it off `pod`. That a container runs which the kubelet has not told of yet is not worth a word.
    pub fn of(pod: &PodView) -> Self {
        if !pod.requires_registration() {
            return Self::NotRequired;
        }
        let runs = pod.main_status().is_some_and(|main| main.state.running.is_some());
        match Mark::of(pod).filter(|mark| runs && mark.is_current(pod)) {
            Some(_) => {
                let condition = pod.condition(names::REGISTERED);
                let at = condition.and_then(|condition| condition.last_transition_time.as_ref());
                Self::Registered { at: at.map(|time| time.0) }
            }
            None => Self::Awaited,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::registration::Process;

    fn pod(gates: Value, state: Value, restarts: i32) -> PodView {
        let message = Mark { process: Process::of("a"), restarts: 0 }.to_string();
        serde_json::from_value(json!({"metadata": {}, "spec": {"readinessGates": gates}, "status": {
            "conditions": [{"type": names::REGISTERED, "status": "True", "message": message, "lastTransitionTime": "2026-01-01T12:00:00Z"}],
            "containerStatuses": [{"name": "main", "restartCount": restarts, "state": state}],
        }}))
        .unwrap()
    }

    #[test]
    fn a_registration_counts_for_the_container_that_runs_only() {
        let gate = json!([{"conditionType": names::REGISTERED}]);
        let running = json!({"running": {}});
        let at = Some("2026-01-01T12:00:00Z".parse().unwrap());
        assert_eq!(Registration::of(&pod(gate.clone(), running.clone(), 0)), Registration::Registered { at });
        assert_eq!(Registration::of(&pod(gate.clone(), running.clone(), 1)), Registration::Awaited);
        assert_eq!(Registration::of(&pod(gate, json!({"waiting": {}}), 0)), Registration::Awaited);
        assert_eq!(Registration::of(&pod(json!([]), running, 0)), Registration::NotRequired);
    }
}
