//! Who serves, as the Pods alone tell: the checker of I18, which knows nothing of the operator.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use futures::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client, ResourceExt,
    runtime::{WatchStreamExt, watcher},
};
use tokio::task::AbortHandle;
use workspace_operator::api::names;

/// Watches the Pods of a namespace's workspaces. Those that only find out about an image are left out.
pub struct Availability {
    seen: Arc<Mutex<Seen>>,
    task: AbortHandle,
}

#[derive(Default)]
struct Seen {
    workspaces: BTreeMap<String, State>,
    /// Since when downs are counted, and the most there were at a time.
    is_counting: bool,
    most_down: usize,
}

/// How a workspace is, as its Pods alone tell.
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// Its Pod serves, with this image.
    Serves(String),
    Down,
    /// Its Pod was taken away while it served, without a word before: by force, which is never the operator's way. So
    /// no change has it down. The simulated kubelet does so under load: it deletes by name alone, and late.
    Taken,
}

impl Seen {
    fn down(&self) -> usize {
        self.workspaces.values().filter(|state| **state == State::Down).count()
    }

    fn note(&mut self, event: watcher::Event<Pod>) {
        match event {
            watcher::Event::Apply(pod) | watcher::Event::InitApply(pod) => {
                let name = pod.name_any();
                let is_taken = self.workspaces.get(&name) == Some(&State::Taken);
                let state = match serving_image(&pod) {
                    Some(image) => State::Serves(image),
                    None if is_taken && pod.metadata.deletion_timestamp.is_none() => State::Taken,
                    None => State::Down,
                };
                self.workspaces.insert(name, state);
            }
            watcher::Event::Delete(pod) => {
                let name = pod.name_any();
                let served = matches!(self.workspaces.get(&name), Some(State::Serves(_)));
                self.workspaces.insert(name, if served { State::Taken } else { State::Down });
            }
            watcher::Event::Init | watcher::Event::InitDone => {}
        }
        if self.is_counting {
            self.most_down = self.most_down.max(self.down());
        }
    }
}

impl Drop for Availability {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Availability {
    /// Begins to watch.
    pub fn watch(client: &Client, namespace: &str) -> Self {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let noted = Arc::clone(&seen);
        let api: Api<Pod> = Api::namespaced(client.clone(), namespace);
        let task = tokio::spawn(async move {
            let config = watcher::Config::default().labels(names::WORKSPACE);
            let events = watcher(api, config).default_backoff();
            let mut events = std::pin::pin!(events);
            while let Some(event) = events.next().await {
                let Ok(event) = event else { continue };
                noted.lock().unwrap().note(event);
            }
        });
        Self { seen, task: task.abort_handle() }
    }

    /// Counts from here on.
    pub fn count(&self) {
        let mut seen = self.seen.lock().unwrap();
        seen.is_counting = true;
        seen.most_down = seen.down();
    }

    /// How many serve with this image.
    pub fn serving_with(&self, image: &str) -> usize {
        let seen = self.seen.lock().unwrap();
        let serves = State::Serves(image.to_owned());
        seen.workspaces.values().filter(|state| **state == serves).count()
    }

    /// How many are down.
    pub fn down(&self) -> usize {
        self.seen.lock().unwrap().down()
    }

    /// The most that were down at a time since counting began.
    pub fn most_down(&self) -> usize {
        self.seen.lock().unwrap().most_down
    }
}

/// The image of a Pod that serves.
fn serving_image(pod: &Pod) -> Option<String> {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let is_ready =
        conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True");
    let is_serving = is_ready && pod.metadata.deletion_timestamp.is_none();
    pod.spec.as_ref().filter(|_| is_serving)?.containers.first()?.image.clone()
}

#[test]
fn whoever_is_told_to_end_is_down_and_who_is_taken_away_is_not() {
    use serde_json::json;
    let pod = |name: &str, is_ready: bool, ends: Option<&str>| -> Pod {
        let ready = if is_ready { "True" } else { "False" };
        serde_json::from_value(json!({
            "metadata": {"name": name, "deletionTimestamp": ends},
            "spec": {"containers": [{"name": "main", "image": "a"}]},
            "status": {"conditions": [{"type": "Ready", "status": ready}]},
        }))
        .unwrap()
    };
    let (serves, boots) = (|name| pod(name, true, None), |name| pod(name, false, None));
    let ends = |name| pod(name, true, Some("2026-01-01T00:00:00Z"));
    let mut seen = Seen { is_counting: true, ..Seen::default() };
    seen.note(watcher::Event::Apply(serves("taken")));
    seen.note(watcher::Event::Delete(serves("taken")));
    seen.note(watcher::Event::Apply(boots("taken")));
    assert_eq!(seen.down(), 0);
    for event in [watcher::Event::Apply(serves("stopped")), watcher::Event::Apply(ends("stopped"))] {
        seen.note(event);
    }
    assert_eq!(seen.down(), 1);
    seen.note(watcher::Event::Delete(ends("stopped")));
    seen.note(watcher::Event::Apply(boots("stopped")));
    assert_eq!(seen.down(), 1, "until it serves again");
    seen.note(watcher::Event::Apply(ends("taken")));
    assert_eq!((seen.down(), seen.most_down), (2, 2));
    seen.note(watcher::Event::Apply(serves("stopped")));
    assert_eq!((seen.down(), seen.most_down), (1, 2));
}
