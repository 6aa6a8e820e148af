//! What happened, in order.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;
use test_apiserver::recorder::Request;

/// Everything a check may know.
#[derive(Clone, Debug, Default)]
pub struct History {
    pub events: Vec<Event>,
}

/// One thing that happened.
#[derive(Clone, Debug)]
pub struct Event {
    pub at: Timestamp,
    pub what: What,
}

/// What can happen.
#[derive(Clone, Debug)]
pub enum What {
    /// The API server stored something.
    Changed(Change),
    /// An operator, by its name, asked for something. Every change it led to stands between this and its answer.
    Called { operator: String, call: u64, request: Request },
    /// The API server's answer to a call, whether or not it reached the operator. The request tells its code.
    Done { operator: String, call: u64, request: Request },
    /// A program asked the registration port for something, with the token of the Pod with this UID.
    Asked { question: u64, path: String, pod_uid: Option<String> },
    /// Its answer.
    Answered { question: u64, code: u16 },
    /// From here on this workspace is in trouble, by its own fault or its recorder's doing.
    Troubled { namespace: String, name: String },
    /// From here on nobody asks for anything, and nothing is disturbed.
    Calm,
    /// All has come to rest.
    Settled,
}

/// One change of one object, as the API server tells it.
#[derive(Clone, Debug)]
pub struct Change {
    pub revision: u64,
    pub kind: String,
    /// The object before it; none for a new one.
    pub before: Option<Arc<Value>>,
    /// The object after it; none for one that is gone.
    pub after: Option<Arc<Value>>,
}

/// The kinds whose changes tell something about workspaces.
const RECORDED: [&str; 10] = [
    "Workspace",
    "WorkspaceClass",
    "Namespace",
    "Pod",
    "PersistentVolumeClaim",
    "Service",
    "NetworkPolicy",
    "PodDisruptionBudget",
    "Secret",
    "ConfigMap",
];

/// Whether changes of objects of this kind are written down.
pub(crate) fn is_recorded(kind: &str) -> bool {
    RECORDED.contains(&kind)
}
