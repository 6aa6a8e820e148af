//! I1: at most one Pod of a workspace exists at a time, and the next start is claimed only when the one before is gone.
//!
//! A Pod and the Secret of a start elsewhere exclude each other by the claim alone, not by a name, so a late one may
//! stand beside the other for a moment: it is overtaken. What is judged of those is the claim.

use std::collections::BTreeSet;

use crate::{History, Invariant, Violation, What, calls::Calls, violation::Violations};

pub(crate) fn check(history: &History) -> Vec<Violation> {
    let mut violations = Violations::of(Invariant::I1);
    let mut calls = Calls::of(history);
    history.walk(|objects, event| {
        calls.note(event);
        let What::Changed(change) = &event.what else { return };
        if let Some(start) = change.started().filter(|start| start.kind == "Pod") {
            let others: BTreeSet<String> = objects
                .starts()
                .filter(|other| other.kind == "Pod" && other.object.namespace() == start.object.namespace())
                .filter(|other| other.workspace_name() == start.workspace_name())
                .map(|other| other.shown())
                .collect();
            for other in others {
                violations.push(event.at, format!("{} appeared while {other} existed", start.shown()));
            }
        }
        // The write is conditional on the status that names the Pod: whoever claimed has read of it.
        if let Some((Some(before), after)) = change.claim()
            && calls.behind().is_some()
            && let Some(number) = after.number().filter(|number| before.number() < Some(*number))
        {
            let known = before.0.text("/status/incarnation/podUID");
            let lives = objects.starts().find(|start| !known.is_empty() && start.uid() == known);
            if let Some(old) = lives.filter(|old| old.number() != Some(number)) {
                violations.push(
                    event.at,
                    format!("{}: start {number} was claimed while {} existed", after.shown(), old.shown()),
                );
            }
        }
    });
    violations.all()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::{
        Invariant::{I1, I7},
        story::{Story, claim, pod, workspace},
    };

    fn running() -> Story {
        Story::new().put(workspace("x", json!({"image": "a"}))).starts("x", 1)
    }

    #[test]
    fn one_after_the_other_is_right() {
        let story =
            running().change("Workspace", "x", json!({"spec": {"image": "b"}})).stops("x").starts("x", 2);
        assert_eq!(story.broken(), []);
    }

    #[test]
    fn a_second_pod_under_another_name_breaks_it() {
        let mut other = pod("x", "x-uid", 1);
        other["metadata"]["name"] = json!("other");
        assert_eq!(running().put(other).broken(), [I1]);
    }

    #[test]
    fn a_claim_while_the_pod_before_lives_breaks_it() {
        assert_eq!(running().says("x", claim(2)).broken(), [I1]);
    }

    #[test]
    fn a_pod_that_ends_still_exists() {
        let ends = json!({"metadata": {"deletionTimestamp": "2026-01-01T12:00:00Z"}});
        assert_eq!(running().change("Pod", "x", ends).says("x", claim(2)).broken(), [I1]);
    }

    #[test]
    fn a_claim_taken_over_from_the_pod_is_none() {
        let story = Story::new().put(workspace("x", json!({}))).put(pod("x", "x-uid", 7)).says("x", claim(7));
        assert_eq!(story.broken(), [I7], "but nobody claimed it before it began");
    }
}
