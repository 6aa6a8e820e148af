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

/// Watches the Pods of a namespace.
pub struct Availability {
    seen: Arc<Mutex<Seen>>,
    task: AbortHandle,
}

#[derive(Default)]
struct Seen {
    serving: BTreeMap<String, bool>,
    /// Since when downs are counted, and the most there were at a time.
    is_counting: bool,
    most_down: usize,
}

impl Seen {
    fn down(&self) -> usize {
        self.serving.values().filter(|is_serving| !**is_serving).count()
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
            let events = watcher(api, watcher::Config::default()).default_backoff();
            let mut events = std::pin::pin!(events);
            while let Some(event) = events.next().await {
                let Ok(event) = event else { continue };
                let mut seen = noted.lock().unwrap();
                match event {
                    watcher::Event::Apply(pod) | watcher::Event::InitApply(pod) => {
                        seen.serving.insert(pod.name_any(), is_serving(&pod));
                    }
                    watcher::Event::Delete(pod) => {
                        seen.serving.insert(pod.name_any(), false);
                    }
                    watcher::Event::Init | watcher::Event::InitDone => {}
                }
                if seen.is_counting {
                    seen.most_down = seen.most_down.max(seen.down());
                }
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

    /// The most that were down at a time since counting began.
    pub fn most_down(&self) -> usize {
        self.seen.lock().unwrap().most_down
    }
}

fn is_serving(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let is_ready =
        conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True");
    is_ready && pod.metadata.deletion_timestamp.is_none()
}
