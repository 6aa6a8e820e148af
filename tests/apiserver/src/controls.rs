//! What a test does to the cluster by hand, past clients, faults and logs.

use std::sync::Arc;

use jiff::SignedDuration;
use serde_json::{Value, json};
use tokio::task::AbortHandle;

use crate::{
    behaviour::Behaviour,
    controllers::{
        Life,
        pod_status::{self, Termination},
    },
    failure::{self, Failure, bad_request},
    kind::{self, Kind},
    object::{self, Key},
    removal::Deletion,
    server::ApiServer,
    state::State,
    write::By,
};

/// The simulated cluster at work; it stops when this is dropped.
#[must_use = "the simulated cluster stops when this is dropped"]
#[derive(Debug)]
pub struct Running(AbortHandle);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn known(kind: &str) -> Result<&'static Kind, Failure> {
    kind::by_name(kind).ok_or_else(failure::no_such_resource)
}

impl ApiServer {
    /// Lets the simulated cluster act on every change, in a task of the current runtime.
    pub fn run(&self) -> Running {
        let server = self.clone();
        let task = tokio::spawn(async move {
            loop {
                let next = server.step();
                let now = server.with(|state| state.time());
                let wait =
                    next.map(|next| SignedDuration::max(next.duration_since(now), SignedDuration::ZERO));
                match wait.and_then(|wait| std::time::Duration::try_from(wait).ok()) {
                    Some(wait) => {
                        tokio::select! {
                            () = server.changed() => {}
                            () = tokio::time::sleep(wait) => {}
                        }
                    }
                    None => server.changed().await,
                }
            }
        });
        Running(task.abort_handle())
    }

    /// Lets the simulated cluster do all it can do now; returns when it has more to do.
    pub fn step(&self) -> Option<jiff::Timestamp> {
        self.with(State::step)
    }

    /// Changes what the simulated cluster does.
    pub fn behave(&self, change: impl FnOnce(&mut Behaviour)) {
        self.with(|state| {
            change(&mut state.behaviour);
            state.touch_all();
        });
        self.wake_controllers();
    }

    /// One pass of the garbage collector, whatever the behaviour says.
    pub fn collect_garbage(&self) {
        self.with(State::collect_garbage);
    }

    /// Makes an object of a known kind, past the admission rules.
    pub fn create(&self, object: Value) -> Result<Value, Failure> {
        let (version, name) = (object::text(&object, "/apiVersion"), object::text(&object, "/kind"));
        let kind = kind::of_object(version, name)
            .ok_or_else(|| bad_request(format!("no kind {name} in version {version}")))?;
        let namespace = kind.is_namespaced().then(|| match object::namespace(&object) {
            "" => "default".to_owned(),
            namespace => namespace.to_owned(),
        });
        self.with(|state| state.create(kind, namespace.as_deref(), object, &By::controller("test", None)))
    }

    /// Makes a namespace, if it is not there.
    pub fn create_namespace(&self, name: &str) {
        // That it exists already is as good.
        let _ = self.create(json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } }));
    }

    /// An object as it is now. For the kind name of two groups the core group's is meant.
    pub fn object(&self, kind: &str, namespace: &str, name: &str) -> Option<Arc<Value>> {
        let kind = known(kind).ok()?;
        self.with(|state| state.store.get(kind, &Key::new(namespace, name)).cloned())
    }

    /// All objects of a kind, of whatever group, by namespace and name.
    pub fn objects(&self, kind: &str) -> Vec<Arc<Value>> {
        let kinds = kind::KINDS.iter().filter(|known| known.kind == kind);
        self.with(|state| kinds.flat_map(|kind| state.store.list(kind, None).cloned()).collect())
    }

    /// Changes an object, status aside, past the admission rules.
    pub fn change(
        &self,
        kind: &str,
        namespace: &str,
        name: &str,
        change: impl FnOnce(&mut Value),
    ) -> Result<Value, Failure> {
        let kind = known(kind)?;
        self.with(|state| {
            state.update(kind, &Key::new(namespace, name), &By::controller("test", None), |object| {
                let mut object = object.clone();
                change(&mut object);
                Ok(object)
            })
        })
    }

    /// Changes an object's status.
    pub fn change_status(
        &self,
        kind: &str,
        namespace: &str,
        name: &str,
        change: impl FnOnce(&mut Value),
    ) -> Result<Value, Failure> {
        let kind = known(kind)?;
        self.with(|state| state.change_status(kind, &Key::new(namespace, name), "test", change))
    }

    /// Deletes an object, past the admission rules.
    pub fn delete(&self, kind: &str, namespace: &str, name: &str) -> Result<Value, Failure> {
        let kind = known(kind)?;
        self.with(|state| state.delete(kind, &Key::new(namespace, name), &Deletion::by_cluster()))
    }

    /// Takes a Pod away at once, as a force deletion or the loss of its node does.
    pub fn vanish(&self, namespace: &str, pod: &str) -> Result<Value, Failure> {
        let how = Deletion { grace: Some(0), ..Deletion::by_cluster() };
        let kind = known("Pod")?;
        self.with(|state| state.delete(kind, &Key::new(namespace, pod), &how))
    }

    /// A token for this audience, as the kubelet would project it into the Pod: valid for as long as the Pod's volume asks.
    pub fn token(&self, namespace: &str, pod: &str, audience: &str) -> Result<String, Failure> {
        self.with(|state| state.projected_token(&Key::new(namespace, pod), audience))
    }

    /// Evicts a Pod as a drain does: 429 while a budget forbids it.
    pub fn evict(&self, namespace: &str, pod: &str) -> Result<Value, Failure> {
        self.with(|state| state.evict(&Key::new(namespace, pod), &Deletion::by_cluster()))
    }

    /// Binds a claim though binding is held.
    pub fn bind_claim(&self, namespace: &str, name: &str) -> Result<(), Failure> {
        let (kind, key) = (known("PersistentVolumeClaim")?, Key::new(namespace, name));
        self.with(|state| {
            if state.store.get(kind, &key).is_none() {
                return Err(failure::not_found(kind, name));
            }
            state.store.touched.insert((kind, key.clone()));
            state.cluster.bound.insert(key);
            Ok(())
        })?;
        self.wake_controllers();
        Ok(())
    }

    /// Lets a `/late` Pod start, or a deleted `/linger` Pod go.
    pub fn release(&self, namespace: &str, pod: &str) -> Result<(), Failure> {
        self.live(namespace, pod, |life, _| life.is_released = true)
    }

    /// Decides whether a running Pod's containers are ready.
    pub fn set_pod_ready(&self, namespace: &str, pod: &str, is_ready: bool) -> Result<(), Failure> {
        self.live(namespace, pod, |life, _| life.is_ready = Some(is_ready))
    }

    /// Ends a whole Pod: phase Failed, with a reason such as `Evicted` where the kubelet ended it.
    pub fn fail_pod(
        &self,
        namespace: &str,
        pod: &str,
        end: Termination,
        reason: Option<&str>,
    ) -> Result<(), Failure> {
        self.live(namespace, pod, |life, _| life.failed = Some((end, reason.map(str::to_owned))))
    }

    /// Ends one container of a Pod. It is started again after [`Behaviour::restart_after`], and its end is reported
    /// before that.
    pub fn restart_container(
        &self,
        namespace: &str,
        pod: &str,
        container: &str,
        end: Termination,
    ) -> Result<(), Failure> {
        self.live(namespace, pod, |life, now| life.end_container(container, end, now))
    }

    fn live(
        &self,
        namespace: &str,
        pod: &str,
        change: impl FnOnce(&mut Life, jiff::Timestamp),
    ) -> Result<(), Failure> {
        let (kind, key) = (known("Pod")?, Key::new(namespace, pod));
        self.with(|state| {
            let found = state.store.get(kind, &key).cloned().ok_or_else(|| failure::not_found(kind, pod))?;
            let now = state.time();
            change(state.cluster.lives.entry(object::uid(&found).to_owned()).or_default(), now);
            state.store.touched.insert((kind, key));
            Ok::<(), Failure>(())
        })?;
        self.wake_controllers();
        Ok(())
    }

    /// Sets a condition of a Pod, such as a readiness gate's or `DisruptionTarget`.
    pub fn set_pod_condition(&self, namespace: &str, pod: &str, condition: Value) -> Result<Value, Failure> {
        let now = self.with(|state| state.now());
        self.change_status("Pod", namespace, pod, |status| pod_status::set_condition(status, condition, &now))
    }

    /// What a Pod's log says, from now on.
    pub fn set_log(&self, namespace: &str, pod: &str, text: &str) {
        self.with(|state| state.logs.insert((Key::new(namespace, pod), false), text.to_owned()));
    }

    /// What the log of a Pod's previous container says.
    pub fn set_previous_log(&self, namespace: &str, pod: &str, text: &str) {
        self.with(|state| state.logs.insert((Key::new(namespace, pod), true), text.to_owned()));
    }
}
