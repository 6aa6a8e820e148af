//! What takes a new incarnation, and whose doing it is.

use crate::{
    api::status::StopCause,
    inputs::Comparison,
    resize::Resize,
    resolve::Effective,
    situation::{PodFacts, Situation},
};

/// Something that takes a new incarnation.
pub(super) struct Change {
    pub cause: StopCause,
    pub what: String,
}

/// What differs from the Pod, or, without one, from the newest claim. A restart comes first: it is what a person
/// asked for.
pub(super) fn change(s: &Situation, pod: Option<&PodFacts>) -> Option<Change> {
    if let Some(time) = s.desired.restart.pending {
        return Some(Change { cause: StopCause::Restart, what: format!("restart asked for at {time}") });
    }
    let effective = s.desired.effective.as_ref().ok()?;
    let mut differing = match pod.map(|pod| &pod.claim) {
        Some(Some(claim)) => match effective.inputs.compare(&claim.inputs) {
            Comparison::Differs(names) => names.into_iter().collect(),
            Comparison::Same | Comparison::Restamp => Vec::new(),
        },
        Some(None) | None => unless_same_hash(s, effective),
    };
    let mut why = String::new();
    if let Some(Resize::NeedsRestart(reason)) = pod.map(|pod| &pod.resize) {
        differing.push("resources".to_owned());
        why = format!(" ({reason})");
    }
    let cause =
        if is_from_outside(s, effective, pod) { StopCause::Rollout } else { StopCause::InputsChanged };
    (!differing.is_empty()).then(|| Change { cause, what: format!("changed: {}{why}", differing.join(", ")) })
}

/// Whether what the workspace itself says is what it said at the start of its Pod.
fn is_from_outside(s: &Situation, effective: &Effective, pod: Option<&PodFacts>) -> bool {
    match pod.and_then(|pod| pod.claim.as_ref()).and_then(|claim| claim.own.as_ref()) {
        Some(own) => *own == effective.own,
        None => s.incarnation().is_some_and(|incarnation| incarnation.generation == s.generation),
    }
}

fn unless_same_hash(s: &Situation, effective: &Effective) -> Vec<String> {
    let claimed = s.incarnation().and_then(|incarnation| incarnation.inputs_hash.as_deref());
    if claimed == Some(effective.inputs.hash().as_str()) { Vec::new() } else { vec!["inputs".to_owned()] }
}
