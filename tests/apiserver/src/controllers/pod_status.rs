//! The status that a kubelet writes for a Pod.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::runs::{Ended, Runs};
use crate::{behaviour::Resizing, object};

/// How a container ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Termination {
    pub exit_code: i32,
    pub reason: String,
    pub message: String,
}

impl Termination {
    /// Ended by itself with that code.
    pub fn exit(exit_code: i32) -> Self {
        let reason = if exit_code == 0 { "Completed" } else { "Error" };
        Self { exit_code, reason: reason.to_owned(), message: String::new() }
    }

    /// Killed for want of memory.
    pub fn out_of_memory() -> Self {
        Self { exit_code: 137, reason: "OOMKilled".to_owned(), message: String::new() }
    }

    /// The same with a termination message.
    #[must_use]
    pub fn message(self, message: &str) -> Self {
        Self { message: message.to_owned(), ..self }
    }
}

/// Where the containers of a Pod are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Waiting {
        reason: &'static str,
        message: String,
    },
    Running {
        is_ready: bool,
    },
    /// The whole Pod failed, for this reason where the kubelet itself ended it.
    Failed {
        end: Termination,
        reason: Option<String>,
    },
}

/// What a report is made of, besides the Pod.
#[derive(Clone, Debug)]
pub(crate) struct Report<'a> {
    pub stage: Stage,
    pub began: Timestamp,
    /// The containers that were started more than once or are down, by name.
    pub runs: &'a BTreeMap<String, Runs>,
    pub resizing: Resizing,
    /// The containers' resources, as the node granted them.
    pub resources: &'a [Value],
}

impl Report<'_> {
    /// The fields of the status, its conditions aside.
    pub fn fields(&self, pod: &Value) -> Value {
        let mut fields = json!({
            "phase": match self.stage {
                Stage::Waiting { .. } if self.is_pulling() => "Pending",
                Stage::Waiting { .. } | Stage::Running { .. } => "Running",
                Stage::Failed { .. } => "Failed",
            },
            "observedGeneration": pod["metadata"]["generation"],
            "hostIP": "10.0.0.1",
            "hostIPs": [{ "ip": "10.0.0.1" }],
            "startTime": object::seconds(self.began),
            "containerStatuses": self.containers(pod),
        });
        if !self.is_pulling() {
            let address = format!("10.244.0.{}", hash(object::uid(pod)) % 250 + 1);
            fields["podIPs"] = json!([{ "ip": address }]);
            fields["podIP"] = json!(address);
        }
        if let Stage::Failed { end, reason: Some(reason) } = &self.stage {
            fields["reason"] = json!(reason);
            fields["message"] = json!(end.message);
        }
        let starters: Vec<Value> = object::list(pod, "/spec/initContainers")
            .iter()
            .map(|container| self.starter(pod, container))
            .collect();
        if !starters.is_empty() {
            fields["initContainerStatuses"] = json!(starters);
        }
        fields
    }

    fn is_pulling(&self) -> bool {
        let is_first = self.runs.values().all(|runs| runs.restarts == 0);
        matches!(self.stage, Stage::Waiting { .. }) && is_first
    }

    fn containers(&self, pod: &Value) -> Vec<Value> {
        let containers = object::list(pod, "/spec/containers");
        containers
            .iter()
            .enumerate()
            .map(|(position, container)| {
                let resources = self.resources.get(position).unwrap_or(&container["resources"]);
                self.container(pod, container, &self.stage, resources)
            })
            .collect()
    }

    fn container(&self, pod: &Value, container: &Value, stage: &Stage, resources: &Value) -> Value {
        let name = object::text(container, "/name");
        let runs = self.runs.get(name).cloned().unwrap_or_else(|| Runs::new(self.began));
        let id = container_id(pod, name, runs.restarts);
        let state = match stage {
            Stage::Waiting { reason, message } if message.is_empty() => {
                json!({ "waiting": { "reason": reason } })
            }
            Stage::Waiting { reason, message } => {
                json!({ "waiting": { "reason": reason, "message": message } })
            }
            Stage::Running { .. } => match &runs.ended {
                Some(ended) => terminated(ended, &id),
                None => json!({ "running": { "startedAt": object::seconds(runs.started) } }),
            },
            Stage::Failed { end, .. } => {
                let ended = Ended { end: end.clone(), started: runs.started, finished: runs.started };
                terminated(&ended, &id)
            }
        };
        let last = match &runs.last {
            Some(last) => terminated(last, &container_id(pod, name, runs.restarts.saturating_sub(1))),
            None => json!({}),
        };
        let has_run = !self.is_pulling();
        let mut status = json!({
            "name": name,
            "image": container["image"],
            "imageID": if has_run { image_id(object::text(container, "/image")) } else { String::new() },
            "ready": *stage == Stage::Running { is_ready: true } && runs.ended.is_none(),
            "started": matches!(stage, Stage::Running { .. }) && runs.ended.is_none(),
            "restartCount": runs.restarts,
            "state": state,
            "lastState": last,
        });
        if has_run {
            status["containerID"] = json!(id);
            status["resources"] = resources.clone();
            if resources["requests"].is_object() {
                status["allocatedResources"] = resources["requests"].clone();
            }
        }
        status
    }

    fn starter(&self, pod: &Value, container: &Value) -> Value {
        let waiting = Stage::Waiting { reason: "PodInitializing", message: String::new() };
        let stage = match (self.is_pulling(), stays(container)) {
            (true, _) => waiting,
            (false, true) => Stage::Running { is_ready: true },
            (false, false) => Stage::Failed { end: Termination::exit(0), reason: None },
        };
        let mut status = self.container(pod, container, &stage, &container["resources"]);
        if !stays(container) {
            status["ready"] = json!(!self.is_pulling());
        }
        status
    }

    /// The conditions that the kubelet keeps.
    pub fn conditions(&self, pod: &Value, fields: &Value) -> Vec<Value> {
        let names: Vec<&str> = unready(pod, fields);
        let unready = format!("containers with unready status: [{}]", names.join(" "));
        let has_failed = matches!(self.stage, Stage::Failed { .. });
        let not_ready = |kind: &str| {
            if has_failed {
                json!({ "type": kind, "status": "False", "reason": "PodFailed" })
            } else {
                json!({ "type": kind, "status": "False", "reason": "ContainersNotReady", "message": unready })
            }
        };
        let plain =
            |kind: &str, holds: bool| json!({ "type": kind, "status": if holds { "True" } else { "False" } });
        let are_ready = names.is_empty();
        let gates = unmet_gates(pod);
        let ready = match (are_ready, gates.as_slice()) {
            (false, _) => not_ready("Ready"),
            (true, []) => plain("Ready", true),
            (true, gates) => json!({
                "type": "Ready", "status": "False", "reason": "ReadinessGatesNotReady",
                "message": gates.join(", "),
            }),
        };
        vec![
            plain("PodReadyToStartContainers", !has_failed),
            plain("Initialized", true),
            ready,
            if are_ready { plain("ContainersReady", true) } else { not_ready("ContainersReady") },
        ]
    }

    /// The condition of a resize that the node does not grant.
    pub fn pending_resize(&self, pod: &Value) -> Option<Value> {
        let wanted: Vec<&Value> =
            object::list(pod, "/spec/containers").iter().map(|container| &container["resources"]).collect();
        let reason = match self.resizing {
            Resizing::Done => return None,
            Resizing::Deferred => "Deferred",
            Resizing::Infeasible => "Infeasible",
        };
        (wanted != self.resources.iter().collect::<Vec<_>>()).then(|| {
            json!({
                "type": "PodResizePending", "status": "True", "reason": reason,
                "message": "Node didn't have enough capacity: cpu, requested: 64000, capacity: 8000",
            })
        })
    }
}

/// Whether an init container runs on beside the others.
fn stays(container: &Value) -> bool {
    container["restartPolicy"] == "Always"
}

fn terminated(ended: &Ended, id: &str) -> Value {
    let mut terminated = json!({
        "exitCode": ended.end.exit_code,
        "reason": ended.end.reason,
        "startedAt": object::seconds(ended.started),
        "finishedAt": object::seconds(ended.finished),
        "containerID": id,
    });
    if !ended.end.message.is_empty() {
        terminated["message"] = json!(ended.end.message);
    }
    json!({ "terminated": terminated })
}

/// The containers that a Pod's readiness waits for.
fn unready<'a>(pod: &'a Value, fields: &Value) -> Vec<&'a str> {
    let starters = object::list(pod, "/spec/initContainers").iter().filter(|container| stays(container));
    let is_ready = |name: &str| {
        ["/initContainerStatuses", "/containerStatuses"]
            .iter()
            .flat_map(|list| object::list(fields, list))
            .any(|status| status["name"] == name && status["ready"] == true)
    };
    starters
        .chain(object::list(pod, "/spec/containers"))
        .map(|container| object::text(container, "/name"))
        .filter(|name| !is_ready(name))
        .collect()
}

/// What is said of each readiness gate that is not met.
fn unmet_gates(pod: &Value) -> Vec<String> {
    let conditions = object::list(pod, "/status/conditions");
    let gates = object::list(pod, "/spec/readinessGates").iter();
    gates
        .filter_map(|gate| {
            let gate = object::text(gate, "/conditionType");
            match conditions.iter().find(|one| one["type"] == gate).map(|one| object::text(one, "/status")) {
                Some("True") => None,
                Some(status) => {
                    Some(format!("the status of pod readiness gate \"{gate}\" is not \"True\", but {status}"))
                }
                None => {
                    Some(format!("corresponding condition of pod readiness gate \"{gate}\" does not exist."))
                }
            }
        })
        .collect()
}

/// Puts a condition in its place; its time moves only with its status.
pub(crate) fn set_condition(status: &mut Value, mut condition: Value, now: &str) {
    if !status["conditions"].is_array() {
        status["conditions"] = json!([]);
    }
    let Some(conditions) = status["conditions"].as_array_mut() else { return };
    condition["lastProbeTime"] = Value::Null;
    condition["lastTransitionTime"] = json!(now);
    if let Some(own) = conditions.iter_mut().find(|own| own["type"] == condition["type"]) {
        if own["status"] == condition["status"] {
            condition["lastTransitionTime"] = own["lastTransitionTime"].clone();
        }
        *own = condition;
    } else {
        conditions.push(condition);
    }
}

fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

fn image_id(image: &str) -> String {
    let digest = format!("{:064x}", hash(image));
    let name = image.split('@').next().unwrap_or(image);
    let is_tag = |position: &usize| !name[*position..].contains('/');
    let name = name.rfind(':').filter(is_tag).map_or(name, |position| &name[..position]);
    format!("{name}@sha256:{digest}")
}

fn container_id(pod: &Value, name: &str, restarts: u32) -> String {
    let id = hash(&format!("{}/{name}", object::uid(pod)));
    format!("containerd://{id:016x}{restarts:048x}")
}
