//! I12: an image that could not be had when checked, or a Pod that the server refuses, leaves a Ready old Pod serving.
//!
//! A Pod that was Ready, as the cluster and status both said, and was stopped for a change, must have a successor that was
//! accepted: by a dry run, where the server then refuses it, and by the Pod that tried its image out, where there was one.

use std::collections::BTreeMap;

use jiff::Timestamp;
use test_apiserver::Verb;
use workspace_operator::api::{ConditionType, names};

use crate::{
    History, Invariant, Violation, What, calls::Calls, history::Change, object::Object, objects::Objects,
    violation::Violations,
};

/// How the successor of a stopped Pod stood when it was stopped.
struct Stopped {
    at: Timestamp,
    shown: String,
    /// The answer to the last dry run for its name, since it was made.
    dry_run: Option<u16>,
    /// Images that were tried out in vain.
    failed: Vec<String>,
}

/// What is known by the name of a workspace.
type ByName<'a, T> = BTreeMap<(String, String), T>;

pub(crate) fn check(history: &History) -> Vec<Violation> {
    let mut violations = Violations::of(Invariant::I12);
    let mut calls = Calls::of(history);
    let mut dry_runs: ByName<'_, u16> = BTreeMap::new();
    let mut images: ByName<'_, BTreeMap<String, bool>> = BTreeMap::new();
    let mut stopped: ByName<'_, Stopped> = BTreeMap::new();
    history.walk(|objects, event| {
        calls.note(event);
        match &event.what {
            What::Done { request, .. } if request.kind == "Pod" && request.verb == Verb::Create => {
                let key = |name: &str| (request.namespace.clone().unwrap_or_default(), name.to_owned());
                let (Some(name), Some(code)) = (&request.name, request.code) else { return };
                let key = key(name);
                if request.dry_run {
                    dry_runs.insert(key, code);
                } else if matches!(code, 400 | 403 | 422)
                    && let Some(old) = stopped.remove(&key)
                    && !old.dry_run.is_some_and(|code| !matches!(code, 400 | 422))
                {
                    violations.push(old.at, format!("{} was stopped for a Pod that is refused", old.shown));
                }
            }
            What::Changed(change) => {
                if let Some((key, image, is_there)) = tried_out(change) {
                    images.entry(key).or_default().insert(image, is_there);
                }
                if let Some(new) = change.started() {
                    let key = (new.object.namespace().to_owned(), new.workspace_name().to_owned());
                    let image = new.main_container().and_then(|main| main["image"].as_str());
                    if let Some(old) = stopped.remove(&key)
                        && let Some(image) =
                            image.filter(|image| old.failed.iter().any(|failed| failed == image))
                    {
                        let what = format!("{} was stopped for {image}, which could not be had", old.shown);
                        violations.push(old.at, what);
                    }
                    dry_runs.remove(&key);
                    images.remove(&key);
                }
                if calls.behind().is_some()
                    && let Some((key, shown)) = served(objects, change)
                {
                    let failed = images.get(&key).into_iter().flatten().filter(|(_, is_there)| !**is_there);
                    let failed = failed.map(|(image, _)| image.clone()).collect();
                    let dry_run = dry_runs.get(&key).copied();
                    stopped.insert(key, Stopped { at: event.at, shown, dry_run, failed });
                }
            }
            _ => {}
        }
    });
    violations.all()
}

/// The Pod that served when its stop was recorded by this change.
fn served(objects: &Objects<'_>, change: &Change) -> Option<((String, String), String)> {
    let (Some(before), after) = change.of_workspace()? else { return None };
    let cause = after.0.text("/status/lastStop/cause");
    let is_new = before.0.0.pointer("/status/lastStop") != after.0.0.pointer("/status/lastStop");
    if !is_new
        || !matches!(cause, "Restart" | "InputsChanged" | "Rollout")
        || !before.is(ConditionType::Ready)
    {
        return None;
    }
    let starts = objects.starts_of(before);
    let old = starts.into_iter().find(|start| start.kind == "Pod" && start.is_ready())?;
    // A Pod that was not Ready for a moment may have been seen so.
    let since = old.object.list("/status/conditions").iter().find(|one| one["type"] == "Ready").map(Object);
    let since = since.and_then(|since| since.time("/lastTransitionTime"));
    let is_steady = since.is_none() || since <= before.since(ConditionType::Ready);
    let key = (after.namespace().to_owned(), after.name().to_owned());
    is_steady.then(|| (key, old.shown()))
}

/// The image that a Pod tries out, and whether it is there.
fn tried_out(change: &Change) -> Option<((String, String), String, bool)> {
    let probe = change.after().filter(|probe| !probe.label(names::PROBE_FOR).is_empty())?;
    let status = probe.list("/status/containerStatuses").first().map(Object)?;
    let image = probe.list("/spec/containers").first().map(Object)?.text("/image").to_owned();
    let failures = ["ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"];
    let is_there = match status.text("/state/waiting/reason") {
        "" if status.0["state"]["terminated"].is_null() => return None,
        reason if failures.contains(&reason) => false,
        "ContainerCreating" | "PodInitializing" => return None,
        _ => true,
    };
    let workspace = probe.label(names::PROBE_FOR).to_owned();
    Some(((probe.namespace().to_owned(), workspace), image, is_there))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use test_apiserver::{Verb, recorder::Request};

    use crate::{
        Invariant::I12,
        story::{Story, claim, pod, request, workspace},
    };

    fn running() -> Story {
        let story = Story::new().put(workspace("x", json!({"image": "a"}))).starts("x", 1);
        story.change("Workspace", "x", json!({"spec": {"image": "b"}}))
    }

    fn stop(story: Story, cause: &str) -> Story {
        story
            .says("x", json!({"lastStop": {"incarnation": 1, "cause": cause}}))
            .stops("x")
            .says("x", claim(2))
    }

    fn create(story: Story, dry_run: bool, code: u16) -> Story {
        story.call("operator", Request { dry_run, ..request(Verb::Create, "Pod", "x") }, code, |story| story)
    }

    fn probe(reason: &str) -> Value {
        json!({
            "kind": "Pod",
            "metadata": {"name": "x-image-1", "namespace": "ns", "uid": "p", "labels": {"workspaces.dev/probe-for": "x"}},
            "spec": {"containers": [{"name": "main", "image": "b"}]},
            "status": {"containerStatuses": [{"name": "main", "state": {"waiting": {"reason": reason}}}]},
        })
    }

    fn with_b(story: Story) -> Story {
        let mut pod = pod("x", "x-uid", 2);
        pod["spec"]["containers"][0]["image"] = json!("b");
        story.put(pod)
    }

    #[test]
    fn a_successor_that_is_refused_breaks_it_unless_a_dry_run_took_it() {
        assert_eq!(create(stop(running(), "InputsChanged"), false, 422).broken(), [I12]);
        for (code, broken) in [(201, vec![]), (409, vec![]), (422, vec![I12])] {
            let story = create(stop(create(running(), true, code), "InputsChanged"), false, 422);
            assert_eq!(story.broken(), broken, "{code}");
        }
    }

    #[test]
    fn whoever_did_not_serve_may_be_stopped() {
        let not_ready = json!({"status": {"conditions": [{"type": "Ready", "status": "False"}]}});
        let story = running().change("Pod", "x", not_ready);
        assert_eq!(create(stop(story, "InputsChanged"), false, 422).broken(), []);
        let stopped = running().change("Workspace", "x", json!({"spec": {"runState": "Stopped"}}));
        assert_eq!(create(stop(stopped, "Suspended"), false, 422).broken(), []);
    }

    #[test]
    fn an_image_that_was_tried_in_vain_breaks_it() {
        assert_eq!(with_b(stop(running().put(probe("ImagePullBackOff")), "InputsChanged")).broken(), [I12]);
        assert_eq!(with_b(stop(running().put(probe("RunContainerError")), "InputsChanged")).broken(), []);
        let again = running().put(probe("ErrImagePull")).put(probe("RunContainerError"));
        assert_eq!(with_b(stop(again, "InputsChanged")).broken(), []);
    }
}
