//! I9: unchanged inputs and a healthy Pod mean no restart, for ever, and no write.
//! I10: a probe or API error alone never stops a Pod.
//!
//! A Pod that an operator stops needs a reason that can be seen; see [`crate::stops`]. Without one it is I9 where the Pod
//! served, and I10 where it was in trouble and had not ended.
//!
//! Once all has come to rest, nothing is written about a workspace that serves. That is judged until something happens
//! that is no operator's doing, and not where time alone may bring something: a scheduled restart, a workspace that is
//! stopped when nobody uses it, a program that is expected to be heard.

use std::collections::BTreeSet;

use test_apiserver::recorder::Request;
use workspace_operator::api::{ConditionType, names};

use crate::{
    History, Invariant, Violation, What, calls::Calls, object::Workspace, objects::Objects, stops::Stops,
    violation::Violations,
};

pub(crate) fn check(history: &History) -> Vec<Violation> {
    let mut healthy = Violations::of(Invariant::I9);
    let mut troubled = Violations::of(Invariant::I10);
    let mut stops = Stops::of(history);
    history.walk(|objects, event| {
        let Some(stop) = stops.next(objects, event) else { return };
        if !stop.reasons.is_empty() {
            return;
        }
        let what = format!("{} stopped {}, and no reason can be seen", stop.operator, stop.start.shown());
        let violations = if stop.start.is_ready() { &mut healthy } else { &mut troubled };
        violations.push(stop.at, what);
    });
    writes(history, &mut healthy);
    healthy.all().into_iter().chain(troubled.all()).collect()
}

/// What is written though nothing happened.
fn writes(history: &History, violations: &mut Violations) {
    let mut calls = Calls::of(history);
    let mut at_rest: BTreeSet<(&str, &str)> = BTreeSet::new();
    history.walk(|objects, event| {
        calls.note(event);
        match &event.what {
            What::Settled => at_rest = objects.workspaces().filter_map(|one| serving(objects, one)).collect(),
            What::Changed(change) if calls.behind().is_none() => at_rest.clear(),
            What::Asked { .. } => at_rest.clear(),
            What::Done { operator, request, .. } if is_write(request) => {
                if request.name.as_deref() == Some(names::REGISTRATION_SECRET) {
                    // What follows brings the new certificates to the Pods.
                    at_rest.clear();
                    return;
                }
                let namespace = request.namespace.as_deref().unwrap_or_default();
                let name = request.name.as_deref().unwrap_or_default();
                if at_rest.contains(&(namespace, name)) {
                    let what = format!("{operator} wrote {} {namespace}/{name} for nothing", request.kind);
                    violations.push(event.at, what);
                }
            }
            _ => {}
        }
    });
}

fn is_write(request: &Request) -> bool {
    request.verb.is_write()
        && !request.dry_run
        && request.is_success()
        && !matches!(request.kind.as_str(), "Event" | "Lease" | "TokenReview")
        && request.subresource.as_deref() != Some("token")
}

/// A workspace that serves, and to which nothing is due.
fn serving<'a>(objects: &Objects<'a>, workspace: Workspace<'a>) -> Option<(&'a str, &'a str)> {
    let (namespace, name) = (workspace.namespace(), workspace.name());
    let serves = workspace.is(ConditionType::Ready) && workspace.is(ConditionType::UpToDate);
    let is_due = workspace.0.time("/status/scheduledRestartAt").is_some() || is_watched(objects, workspace);
    let pod = objects.get("Pod", namespace, name);
    (serves && !is_due && pod.is_some_and(|pod| pod.condition(names::REGISTERED).is_none()))
        .then_some((namespace, name))
}

fn is_watched(objects: &Objects<'_>, workspace: Workspace<'_>) -> bool {
    let idles = |spec: &serde_json::Value| !spec["idle"].is_null();
    idles(workspace.spec())
        || objects.of_kind("WorkspaceClass").any(|class| idles(&class.0["spec"]["defaults"]))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use test_apiserver::Verb;

    use crate::{
        Invariant::{I9, I10},
        story::{Story, workspace},
    };

    fn running() -> Story {
        Story::new().put(workspace("x", json!({"image": "a"}))).starts("x", 1)
    }

    fn unwell(story: Story) -> Story {
        story.change("Pod", "x", json!({"status": {"conditions": [{"type": "Ready", "status": "False"}]}}))
    }

    fn restart() -> Value {
        json!({
            "metadata": {"annotations": {"workspaces.dev/restartedAt": "2026-01-01T12:00:01Z"}},
            "status": {"requestedRestartAt": "2026-01-01T12:00:01Z"},
        })
    }

    #[test]
    fn a_healthy_pod_that_is_stopped_for_nothing_breaks_it() {
        assert_eq!(running().stops("x").broken(), [I9]);
    }

    #[test]
    fn a_pod_in_trouble_that_is_stopped_for_nothing_breaks_the_other() {
        assert_eq!(unwell(running()).stops("x").broken(), [I10]);
    }

    #[test]
    fn who_else_stops_it_is_no_operator() {
        assert_eq!(running().remove("Pod", "x").broken(), []);
    }

    #[test]
    fn every_wish_is_a_reason_even_if_it_is_taken_back() {
        let taken_back = [
            (restart(), json!({"metadata": {"annotations": null}})),
            (json!({"spec": {"image": "b"}}), json!({"spec": {"image": "a"}})),
            (json!({"spec": {"runState": "Stopped"}}), json!({"spec": {"runState": null}})),
        ];
        for (wish, back) in taken_back {
            let story = running().change("Workspace", "x", wish).change("Workspace", "x", back);
            assert_eq!(story.stops("x").broken(), []);
        }
    }

    #[test]
    fn what_is_no_input_is_no_reason() {
        for patch in [json!({"progressDeadlineSeconds": 5}), json!({"storage": {"whenDeleted": "Delete"}})] {
            let story = Story::new().put(workspace("x", json!({"image": "a", "storage": {"size": "1Gi"}})));
            let story = story.starts("x", 1).change("Workspace", "x", json!({"spec": patch}));
            assert_eq!(story.stops("x").broken(), [I9]);
        }
    }

    #[test]
    fn a_restart_that_was_served_is_no_reason_any_more() {
        let served = json!({"lastHandledRestartAt": "2026-01-01T12:00:01Z"});
        let story = running().change("Workspace", "x", restart()).stops("x").says("x", served);
        assert_eq!(story.starts("x", 2).stops("x").broken(), [I9]);
    }

    #[test]
    fn a_pod_that_ended_or_was_overtaken_may_go() {
        let failed = json!({"status": {"phase": "Failed"}});
        assert_eq!(running().change("Pod", "x", failed).stops("x").broken(), []);
    }

    #[test]
    fn each_change_of_the_class_accounts_for_two_stops() {
        let class = |image: &str| json!({"kind": "WorkspaceClass", "metadata": {"name": "c", "uid": "c"}, "spec": {"defaults": {"image": image}}});
        let story = || {
            Story::new()
                .put(class("a"))
                .put(workspace("x", json!({"className": "c"})))
                .starts("x", 1)
                .put(class("b"))
                .stops("x")
                .starts("x", 2)
        };
        assert_eq!(story().broken(), []);
        let mut endless = story();
        for number in 3..10 {
            endless = endless.stops("x").starts("x", number);
        }
        assert_eq!(endless.broken(), [I9]);
    }

    #[test]
    fn a_write_at_rest_breaks_it() {
        let write = |story: Story| story.says("x", json!({"address": "x"}));
        assert_eq!(write(running()).broken(), []);
        assert_eq!(write(running().settled()).broken(), [I9]);
        assert_eq!(write(unwell(running().settled())).broken(), [], "something happened");
        let renewed = running().settled().by(
            "operator",
            Verb::Update,
            "Secret",
            "workspace-operator-registration",
            |story| story,
        );
        assert_eq!(write(renewed).broken(), [], "a certificate was renewed");
    }
}
