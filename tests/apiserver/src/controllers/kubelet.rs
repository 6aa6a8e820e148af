//! The kubelet of the one node. The image of a Pod's first container names what becomes of it, by the same words as
//! on the fake nodes of the test cluster.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::{
    pod_status::{Report, Stage, Termination, set_condition},
    runs::{Ended, Runs},
    scheduler::NODE,
};
use crate::{
    behaviour::Resizing,
    kind,
    object::{self, Key},
    removal::Deletion,
    state::State,
};

/// What the kubelet knows of one Pod.
#[derive(Clone, Debug, Default)]
pub(crate) struct Life {
    began: Option<Timestamp>,
    deleted: Option<Timestamp>,
    /// The containers' resources, as the node granted them.
    resources: Vec<Value>,
    reported: Option<Value>,
    /// Whether a `/late` Pod may start and a `/linger` Pod may go.
    pub is_released: bool,
    /// What a test decided about its readiness.
    pub is_ready: Option<bool>,
    /// The containers that were started more than once or are down, by name.
    runs: BTreeMap<String, Runs>,
    pub failed: Option<(Termination, Option<String>)>,
}

/// The message of a `/fail` Pod's end.
pub const FAILURE_MESSAGE: &str = "the program gave up";

impl State {
    /// Does what a kubelet would do about a Pod of its node.
    pub(super) fn run_pod(&mut self, key: &Key) {
        let Some(kind) = kind::by_name("Pod") else { return };
        let Some(pod) = self.store.get(kind, key).cloned() else { return };
        if !self.behaviour.runs_pods || object::text(&pod, "/spec/nodeName") != NODE {
            return;
        }
        let now = self.time();
        let mut life = self.cluster.lives.remove(object::uid(&pod)).unwrap_or_default();
        if object::is_deleting(&pod) {
            self.end_pod(key, &pod, &mut life, now);
        } else {
            self.report(key, &pod, &mut life, now);
            // Only now, so that the end of a container is told before its next start.
            if let Some(next) = life.start_again(now, self.behaviour.restart_after) {
                self.wake_at(next, key);
            }
        }
        self.cluster.lives.insert(object::uid(&pod).to_owned(), life);
    }

    fn end_pod(&mut self, key: &Key, pod: &Value, life: &mut Life, now: Timestamp) {
        let Some(kind) = kind::by_name("Pod") else { return };
        let deleted = *life.deleted.get_or_insert(now);
        if image(pod).contains("/linger") && !life.is_released {
            let gone = after(deleted, self.behaviour.linger);
            if now < gone {
                return self.wake_at(gone, key);
            }
        }
        let is_confirmed = object::grace(pod) == Some(0);
        if !is_confirmed || object::finalizers(pod).is_empty() {
            let _ = self.delete(kind, key, &Deletion { grace: Some(0), ..Deletion::by_cluster() });
        }
    }

    fn report(&mut self, key: &Key, pod: &Value, life: &mut Life, now: Timestamp) {
        let Some(kind) = kind::by_name("Pod") else { return };
        if life.began.is_none() || self.behaviour.resizing == Resizing::Done {
            let containers = object::list(pod, "/spec/containers");
            life.resources = containers.iter().map(|container| container["resources"].clone()).collect();
        }
        let began = *life.began.get_or_insert(now);
        let changes = after(began, self.behaviour.change_after);
        let stage = self.stage(pod, life, now >= changes);
        if now < changes && ["/slow", "/missing", "/fail"].iter().any(|word| image(pod).contains(word)) {
            self.wake_at(changes, key);
        }
        if image(pod).contains("/crash") && life.runs.is_empty() {
            life.crash(pod, began);
        }
        let report = Report {
            stage,
            began,
            runs: &life.runs,
            resizing: self.behaviour.resizing,
            resources: &life.resources,
        };
        let fields = report.fields(pod);
        let (conditions, resize) = (report.conditions(pod, &fields), report.pending_resize(pod));
        let reported = serde_json::json!([fields, conditions, resize]);
        // What a test wrote into the status stays until there is something new to say.
        if life.reported.as_ref() == Some(&reported) {
            return;
        }
        life.reported = Some(reported);
        let now = self.now();
        let _ = self.change_status(kind, key, "kubelet", |status| {
            for (field, value) in fields.as_object().into_iter().flatten() {
                status[field] = value.clone();
            }
            for condition in conditions {
                set_condition(status, condition, &now);
            }
            if let Some(own) = status["conditions"].as_array_mut() {
                own.retain(|one| one["type"] != "PodResizePending");
            }
            if let Some(resize) = resize {
                set_condition(status, resize, &now);
            }
        });
    }

    fn stage(&self, pod: &Value, life: &Life, has_changed: bool) -> Stage {
        let image = image(pod);
        let has = |word: &str| image.contains(word);
        let waiting = |reason, message: &str| Stage::Waiting { reason, message: message.to_owned() };
        if let Some((end, reason)) = &life.failed {
            return Stage::Failed { end: end.clone(), reason: reason.clone() };
        }
        if !life.has_run() && self.lacks_volume(pod) {
            return waiting("ContainerCreating", "");
        }
        if let Some(missing) = self.missing_reference(pod).filter(|_| !life.has_run()) {
            return waiting("CreateContainerConfigError", &missing);
        }
        if has("/missing") && has_changed {
            return waiting("ImagePullBackOff", &format!("Back-off pulling image \"{image}\": not found"));
        }
        if has("/missing") {
            return waiting("ErrImagePull", &format!("failed to pull image \"{image}\": not found"));
        }
        if has("/late") && !life.is_released {
            return waiting("ContainerCreating", "");
        }
        if has("/crash") && life.is_ready.is_none() {
            let message = "back-off 40s restarting failed container";
            return waiting("CrashLoopBackOff", message);
        }
        if has("/fail") && has_changed {
            return Stage::Failed { end: Termination::exit(3).message(FAILURE_MESSAGE), reason: None };
        }
        let by_image = !has("/hang") && !has("/fail") && (!has("/slow") || has_changed);
        Stage::Running { is_ready: life.is_ready.unwrap_or(by_image) }
    }
}

impl Life {
    fn has_run(&self) -> bool {
        let first = self.reported.as_ref().map(|reported| &reported[0]["containerStatuses"][0]["state"]);
        first.is_some_and(|state| state["running"].is_object())
    }

    /// One of its containers ends.
    pub fn end_container(&mut self, name: &str, end: Termination, now: Timestamp) {
        let began = self.began.unwrap_or(now);
        self.runs.entry(name.to_owned()).or_insert_with(|| Runs::new(began)).end(end, now);
    }

    /// All of them crashed a few times.
    fn crash(&mut self, pod: &Value, began: Timestamp) {
        for container in object::list(pod, "/spec/containers") {
            let last = Ended { end: Termination::exit(1), started: began, finished: began };
            let runs = Runs { restarts: 3, last: Some(last), ..Runs::new(began) };
            self.runs.insert(object::text(container, "/name").to_owned(), runs);
        }
    }

    /// Starts the containers whose time down is over; tells when there is something to report or to start again.
    fn start_again(&mut self, now: Timestamp, down: std::time::Duration) -> Option<Timestamp> {
        let due = |runs: &Runs| runs.ended.as_ref().map(|ended| after(ended.finished, down));
        let next = self.runs.values().filter_map(due).min();
        for runs in self.runs.values_mut().filter(|runs| due(runs).is_some_and(|due| due <= now)) {
            runs.start_again(now);
        }
        next
    }
}

fn image(pod: &Value) -> &str {
    object::text(pod, "/spec/containers/0/image")
}

fn after(start: Timestamp, time: std::time::Duration) -> Timestamp {
    let time = SignedDuration::try_from(time).unwrap_or_default();
    start.checked_add(time).unwrap_or(start)
}
