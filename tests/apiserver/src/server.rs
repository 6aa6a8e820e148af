//! The server as a test holds it.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use jiff::Timestamp;
use kube::Client;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::{
    admission::Admission,
    behaviour::Behaviour,
    client::{ClientOptions, TestClient},
    failure::Failure,
    state::{Clock, State},
    watch::{OpenWatch, Pace},
};

/// How a server begins.
pub struct Options {
    seed: u64,
    clock: Clock,
    behaviour: Behaviour,
}

impl Default for Options {
    fn default() -> Self {
        Self { seed: 1, clock: Clock(Arc::new(Timestamp::now)), behaviour: Behaviour::default() }
    }
}

impl Options {
    /// UIDs and generated names follow from it.
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// What the simulated cluster does.
    #[must_use]
    pub fn behaviour(self, behaviour: Behaviour) -> Self {
        Self { behaviour, ..self }
    }

    /// Takes the time from there instead of the wall clock.
    #[must_use]
    pub fn clock(self, now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self { clock: Clock(Arc::new(now)), ..self }
    }

    /// Takes the time from tokio's clock, which tests can pause and advance.
    #[must_use]
    pub fn tokio_clock(self, start: Timestamp) -> Self {
        let origin = tokio::time::Instant::now();
        self.clock(move || {
            let passed = jiff::SignedDuration::try_from(origin.elapsed()).unwrap_or_default();
            start.checked_add(passed).unwrap_or(start)
        })
    }
}

struct Shared {
    state: Mutex<State>,
    /// Wakes the simulated controllers.
    changed: Notify,
}

/// An API server in memory. Clones are the same server.
#[derive(Clone)]
pub struct ApiServer(Arc<Shared>);

impl fmt::Debug for ApiServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiServer")
    }
}

impl Default for ApiServer {
    fn default() -> Self {
        Self::new()
    }
}

impl ApiServer {
    /// A server with the namespaces `default` and `kube-system`, a storage class and the node `node-1`.
    pub fn new() -> Self {
        Self::with_options(Options::default())
    }

    /// The same with a seed, a clock and a behaviour.
    pub fn with_options(options: Options) -> Self {
        let state = State::new(options.seed, options.clock, options.behaviour);
        let server = Self(Arc::new(Shared { state: Mutex::new(state), changed: Notify::new() }));
        server.furnish();
        server
    }

    fn furnish(&self) {
        for namespace in ["default", "kube-system"] {
            self.create_namespace(namespace);
        }
        self.install(&json!({
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {
                "name": "standard",
                "annotations": { "storageclass.kubernetes.io/is-default-class": "true" },
            },
            "provisioner": "test",
            "volumeBindingMode": "WaitForFirstConsumer",
        }));
        self.install(&json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": "node-1" } }));
        let ready = json!([{ "type": "Ready", "status": "True", "reason": "KubeletReady" }]);
        let _ = self.change_status("Node", "", "node-1", |status| status["conditions"] = ready);
    }

    // What the server itself puts there is well formed.
    fn install(&self, object: &Value) {
        let _ = self.create(object.clone());
    }

    /// The one way to the state: whatever is changed within wakes the watches and the controllers.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        let before = state.store.revision();
        let result = work(&mut state);
        if state.store.revision() != before {
            state.tell_changes();
            state.watches.wake();
            self.0.changed.notify_one();
        }
        result
    }

    pub(crate) fn wake_controllers(&self) {
        self.0.changed.notify_one();
    }

    pub(crate) async fn changed(&self) {
        self.0.changed.notified().await;
    }

    /// A client without faults.
    pub fn client(&self) -> Client {
        self.client_with(ClientOptions::default()).client()
    }

    /// A client that can be faulted, and whose requests are recorded.
    pub fn client_with(&self, options: ClientOptions) -> TestClient {
        TestClient::new(self.clone(), options)
    }

    /// Adds an admission rule: what it returns is the answer. It is asked for every write, dry runs and deletions
    /// too, but not for those of the simulated cluster's status. It must not call the server: the state is locked
    /// while it thinks, and [`Admission::objects`] tells it what there is.
    pub fn refuse(&self, rule: impl Fn(&Admission<'_>) -> Option<Failure> + Send + Sync + 'static) {
        self.with(|state| state.rules.add(rule));
    }

    /// Takes all admission rules away.
    pub fn refuse_nothing(&self) {
        self.with(|state| state.rules.clear());
    }

    /// Forgets the history: a watch or a continued list from before is answered with 410.
    pub fn forget_history(&self) {
        self.with(|state| state.store.forget_history());
    }

    /// Sends a bookmark to every watch that is up to date and wants them.
    pub fn send_bookmarks(&self) {
        self.with(|state| state.watches.bookmark(&state.store));
    }

    /// Who decides when watch events are delivered.
    pub fn set_pace(&self, pace: Pace) {
        self.with(|state| {
            state.watches.pace = pace;
            state.watches.wake();
        });
    }

    /// The open watches.
    pub fn watches(&self) -> Vec<OpenWatch> {
        self.with(|state| state.watches.list(&state.store))
    }

    /// Delivers that many events to a watch, while the pace is stepwise.
    pub fn deliver(&self, watch: u64, events: usize) {
        self.with(|state| state.watches.grant(watch, events));
    }

    /// The newest resourceVersion.
    pub fn revision(&self) -> u64 {
        self.with(|state| state.store.revision())
    }
}
