//! The status that a kubelet writes for a Pod.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::{Value, json};

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
    pub started: String,
    pub restarted: String,
    pub restarts: u32,
    pub last: Option<&'a Termination>,
    pub resizing: Resizing,
    /// The containers' resources, as the node granted them.
    pub resources: &'a [Value],
}

impl Report<'_> {
    /// The fields of the status, its conditions aside.
    pub fn fields(&self, pod: &Value) -> Value {
        let mut fields = json!({
            "phase": match self.stage {
                Stage::Waiting { .. } if self.restarts == 0 => "Pending",
                Stage::Waiting { .. } | Stage::Running { .. } => "Running",
                Stage::Failed { .. } => "Failed",
            },
            "observedGeneration": pod["metadata"]["generation"],
            "hostIP": "10.0.0.1",
            "hostIPs": [{ "ip": "10.0.0.1" }],
            "startTime": self.started,
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
        matches!(self.stage, Stage::Waiting { .. }) && self.restarts == 0
    }

    /// Whether all containers are ready.
    pub fn is_ready(&self) -> bool {
        self.stage == Stage::Running { is_ready: true }
    }

    fn containers(&self, pod: &Value) -> Vec<Value> {
        let containers = object::list(pod, "/spec/containers");
        containers
            .iter()
            .enumerate()
            .map(|(position, container)| self.container(pod, container, position))
            .collect()
    }

    fn container(&self, pod: &Value, container: &Value, position: usize) -> Value {
        let name = object::text(container, "/name");
        let id = container_id(pod, name, self.restarts);
        let ended = |end: &Termination, id: &str| {
            let mut terminated = json!({
                "exitCode": end.exit_code,
                "reason": end.reason,
                "startedAt": self.started,
                "finishedAt": self.restarted,
                "containerID": id,
            });
            if !end.message.is_empty() {
                terminated["message"] = json!(end.message);
            }
            json!({ "terminated": terminated })
        };
        let state = match &self.stage {
            Stage::Waiting { reason, message } if message.is_empty() => {
                json!({ "waiting": { "reason": reason } })
            }
            Stage::Waiting { reason, message } => {
                json!({ "waiting": { "reason": reason, "message": message } })
            }
            Stage::Running { .. } => json!({ "running": { "startedAt": self.restarted } }),
            Stage::Failed { end, .. } => ended(end, &id),
        };
        let last = match self.last {
            Some(last) => ended(last, &container_id(pod, name, self.restarts.saturating_sub(1))),
            None => json!({}),
        };
        let has_run = !self.is_pulling();
        let mut status = json!({
            "name": name,
            "image": container["image"],
            "imageID": if has_run { image_id(object::text(container, "/image")) } else { String::new() },
            "ready": self.is_ready(),
            "started": matches!(self.stage, Stage::Running { .. }),
            "restartCount": self.restarts,
            "state": state,
            "lastState": last,
        });
        if has_run {
            status["containerID"] = json!(id);
            let resources = self.resources.get(position).unwrap_or(&container["resources"]);
            status["resources"] = resources.clone();
            if resources["requests"].is_object() {
                status["allocatedResources"] = resources["requests"].clone();
            }
        }
        status
    }

    fn starter(&self, pod: &Value, container: &Value) -> Value {
        let name = object::text(container, "/name");
        let stays = container["restartPolicy"] == "Always";
        let state = match (self.is_pulling(), stays) {
            (true, _) => json!({ "waiting": { "reason": "PodInitializing" } }),
            (false, true) => json!({ "running": { "startedAt": self.started } }),
            (false, false) => json!({ "terminated": {
                "exitCode": 0, "reason": "Completed", "startedAt": self.started, "finishedAt": self.started,
            } }),
        };
        json!({
            "name": name,
            "image": container["image"],
            "imageID": if self.is_pulling() { String::new() } else { image_id(object::text(container, "/image")) },
            "containerID": container_id(pod, name, 0),
            "ready": !self.is_pulling(),
            "started": stays && !self.is_pulling(),
            "restartCount": 0,
            "state": state,
            "lastState": {},
        })
    }

    /// The conditions that the kubelet keeps.
    pub fn conditions(&self, pod: &Value) -> Vec<Value> {
        let names: Vec<&str> = object::list(pod, "/spec/containers")
            .iter()
            .map(|container| object::text(container, "/name"))
            .collect();
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
        let ready = match (self.is_ready(), unmet_gate(pod)) {
            (false, _) => not_ready("Ready"),
            (true, None) => plain("Ready", true),
            (true, Some(gate)) => json!({
                "type": "Ready", "status": "False", "reason": "ReadinessGatesNotReady",
                "message": format!("the status of pod readiness gate \"{gate}\" is not \"True\", but False"),
            }),
        };
        vec![
            plain("PodReadyToStartContainers", !has_failed),
            plain("Initialized", true),
            ready,
            if self.is_ready() { plain("ContainersReady", true) } else { not_ready("ContainersReady") },
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

fn unmet_gate(pod: &Value) -> Option<&str> {
    let conditions = object::list(pod, "/status/conditions");
    object::list(pod, "/spec/readinessGates")
        .iter()
        .map(|gate| object::text(gate, "/conditionType"))
        .find(|gate| !conditions.iter().any(|one| one["type"] == *gate && one["status"] == "True"))
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
