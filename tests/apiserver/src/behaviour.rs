//! What the simulated cluster around the API server does by itself.

use std::time::Duration;

/// Whether claims get volumes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Binding {
    /// As soon as they are made.
    #[default]
    AtOnce,
    /// When the test says so, by [`ApiServer::bind_claim`](crate::ApiServer::bind_claim).
    Held,
}

/// Whether Pods get nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Scheduling {
    /// As soon as their claims are bound.
    #[default]
    AtOnce,
    /// Never, for this reason.
    Unschedulable(String),
}

/// What the kubelet says to new resources of a running Pod.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Resizing {
    #[default]
    Done,
    /// The node has no room now.
    Deferred,
    /// The node will never have room.
    Infeasible,
}

/// The simulated cluster. It works while [`ApiServer::run`](crate::ApiServer::run) runs, or in
/// [`ApiServer::step`](crate::ApiServer::step).
#[derive(Clone, Debug)]
pub struct Behaviour {
    /// Whether dependents of deleted owners are deleted.
    pub collects_garbage: bool,
    /// Whether terminating namespaces are emptied and go.
    pub empties_namespaces: bool,
    /// Whether Pods are run once they have a node.
    pub runs_pods: bool,
    pub scheduling: Scheduling,
    pub binding: Binding,
    pub resizing: Resizing,
    /// The time between the first report of a Pod and what its image stands for: `/slow` becomes Ready, `/missing`
    /// backs off, `/fail` fails.
    pub change_after: Duration,
    /// How long a container is down before it is started again.
    pub restart_after: Duration,
    /// How long a `/linger` Pod stays after its deletion.
    pub linger: Duration,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            collects_garbage: true,
            empties_namespaces: true,
            runs_pods: true,
            scheduling: Scheduling::default(),
            binding: Binding::default(),
            resizing: Resizing::default(),
            change_after: Duration::from_millis(100),
            restart_after: Duration::ZERO,
            linger: Duration::from_millis(300),
        }
    }
}
