//! The simulated cluster: what the controllers, the scheduler and a kubelet would do about a change.

mod garbage;
mod kubelet;
mod namespaces;
pub(crate) mod pod_status;
mod references;
mod runs;
mod scheduler;
mod volumes;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use jiff::Timestamp;
use serde_json::Value;

pub(crate) use kubelet::Life;

use crate::{
    failure::Failure,
    kind::{self, Kind},
    object::{self, Key},
    state::State,
    write::By,
};

/// What the simulated cluster remembers beside the objects.
#[derive(Debug, Default)]
pub(crate) struct Cluster {
    /// The lives of Pods, by UID.
    pub lives: HashMap<String, Life>,
    /// Claims to bind though binding is held.
    pub bound: HashSet<Key>,
    /// Pods to look at again then.
    pub timers: BTreeMap<Timestamp, BTreeSet<Key>>,
}

/// More rounds than any settling cluster needs.
const ROUNDS: usize = 1000;

impl State {
    /// Does all there is to do now, and tells when there is more.
    pub fn step(&mut self) -> Option<Timestamp> {
        for _ in 0..ROUNDS {
            self.wake_due_pods();
            let touched = std::mem::take(&mut self.store.touched);
            let is_littered = std::mem::take(&mut self.store.is_littered);
            if touched.is_empty() && !is_littered {
                break;
            }
            for (kind, key) in touched {
                self.look_at(kind, &key);
            }
            if is_littered && self.behaviour.collects_garbage {
                self.collect_garbage();
            }
        }
        self.cluster.timers.keys().next().copied()
    }

    fn wake_due_pods(&mut self) {
        let Some(pods) = kind::by_name("Pod") else { return };
        let now = self.time();
        while let Some(entry) = self.cluster.timers.first_entry().filter(|entry| *entry.key() <= now) {
            self.store.touched.extend(entry.remove().into_iter().map(|key| (pods, key)));
        }
    }

    fn look_at(&mut self, kind: &'static Kind, key: &Key) {
        if self.behaviour.empties_namespaces {
            let namespace = if kind.is_core("Namespace") { &key.name } else { &key.namespace };
            self.empty_namespace(namespace);
        }
        if !kind.group.is_empty() {
            return;
        }
        let namespace = Some(key.namespace.as_str());
        match kind.kind {
            "Pod" => {
                self.schedule(key);
                self.run_pod(key);
                if self.store.get(kind, key).is_none()
                    && let Some(claims) = kind::by_name("PersistentVolumeClaim")
                {
                    self.store.touch(claims, namespace);
                }
            }
            "PersistentVolumeClaim" => {
                self.bind(key);
                self.release_claim(key);
                self.touch_waiting_pods(namespace);
            }
            "Secret" | "ConfigMap" => self.touch_waiting_pods(namespace),
            _ => {}
        }
    }

    fn touch_waiting_pods(&mut self, namespace: Option<&str>) {
        let Some(pods) = kind::by_name("Pod") else { return };
        let waiting: Vec<Key> = self
            .store
            .list(pods, namespace)
            .filter(|pod| pod["status"]["phase"] == "Pending")
            .map(|pod| object::key(pod))
            .collect();
        self.store.touched.extend(waiting.into_iter().map(|key| (pods, key)));
    }

    /// Looks at everything again, as after a change of behaviour.
    pub fn touch_all(&mut self) {
        let all: Vec<_> = self.store.all().map(|(kind, key, _)| (kind, key.clone())).collect();
        self.store.touched.extend(all);
        self.store.is_littered = true;
    }

    /// Looks at a Pod again at that time.
    fn wake_at(&mut self, time: Timestamp, key: &Key) {
        self.cluster.timers.entry(time).or_default().insert(key.clone());
    }

    /// Changes an object's status as a controller, past all admission rules.
    pub fn change_status(
        &mut self,
        kind: &'static Kind,
        key: &Key,
        manager: &str,
        change: impl FnOnce(&mut Value),
    ) -> Result<Value, Failure> {
        self.update(kind, key, &By::controller(manager, Some("status")), |object| {
            let mut object = object.clone();
            if object["status"].is_null() {
                object["status"] = Value::Object(serde_json::Map::new());
            }
            change(&mut object["status"]);
            Ok(object)
        })
    }
}
