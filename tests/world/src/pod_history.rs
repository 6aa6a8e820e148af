//! Every Pod of a namespace that a watch ever saw, in order: what was started, and what had to end before it.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use futures::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client, ResourceExt,
    runtime::{WatchStreamExt, watcher},
};
use workspace_operator::api::names;

/// Something that happened to a workspace's Pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happened {
    Appeared { workspace: String, uid: String },
    Vanished { workspace: String, uid: String },
}

/// What happened so far. Probe Pods are left out.
#[derive(Clone, Default)]
pub struct PodHistory {
    happened: Arc<Mutex<Vec<Happened>>>,
}

impl PodHistory {
    /// Watches from now on.
    pub fn begin(client: Client, namespace: &str) -> Self {
        let history = Self::default();
        let happened = Arc::clone(&history.happened);
        let api: Api<Pod> = Api::namespaced(client, namespace);
        tokio::spawn(async move {
            let config = watcher::Config::default().labels(names::WORKSPACE);
            let mut events = watcher(api, config).default_backoff().boxed();
            let mut known = BTreeSet::new();
            while let Some(event) = events.next().await {
                let Ok(event) = event else { continue };
                let mut happened = happened.lock().unwrap();
                match event {
                    watcher::Event::Apply(pod) | watcher::Event::InitApply(pod) => {
                        let uid = pod.uid().unwrap();
                        if known.insert(uid.clone()) {
                            happened.push(Happened::Appeared { workspace: pod.name_any(), uid });
                        }
                    }
                    watcher::Event::Delete(pod) => {
                        let uid = pod.uid().unwrap();
                        happened.push(Happened::Vanished { workspace: pod.name_any(), uid });
                    }
                    watcher::Event::Init | watcher::Event::InitDone => {}
                }
            }
        });
        history
    }

    /// Everything that happened to `workspace`'s Pods.
    pub fn of(&self, workspace: &str) -> Vec<Happened> {
        let is_of = |event: &&Happened| match event {
            Happened::Appeared { workspace: name, .. } | Happened::Vanished { workspace: name, .. } => {
                name == workspace
            }
        };
        self.happened.lock().unwrap().iter().filter(is_of).cloned().collect()
    }

    /// How many Pods `workspace` had.
    pub fn started(&self, workspace: &str) -> usize {
        self.of(workspace).iter().filter(|event| matches!(event, Happened::Appeared { .. })).count()
    }
}
