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
    /// The image that serves each workspace; none where nothing does.
    serving: BTreeMap<String, Option<String>>,
    /// Since when downs are counted, and the most there were at a time.
    is_counting: bool,
    most_down: usize,
}

impl Seen {
    fn down(&self) -> usize {
        self.serving.values().filter(|image| image.is_none()).count()
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
                let mut seen = noted.lock().unwrap();
                match event {
                    watcher::Event::Apply(pod) | watcher::Event::InitApply(pod) => {
                        seen.serving.insert(pod.name_any(), serving_image(pod));
                    }
                    watcher::Event::Delete(pod) => {
                        seen.serving.insert(pod.name_any(), None);
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

    /// How many serve with this image.
    pub fn serving_with(&self, image: &str) -> usize {
        let seen = self.seen.lock().unwrap();
        seen.serving.values().filter(|serving| serving.as_deref() == Some(image)).count()
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

fn serving_image(pod: Pod) -> Option<String> {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let is_ready =
        conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True");
    let is_serving = is_ready && pod.metadata.deletion_timestamp.is_none();
    pod.spec.filter(|_| is_serving)?.containers.into_iter().next()?.image
}
