//! What can go wrong in a pass, and what is done about it.

use std::time::Duration;

/// A pass that could not be finished. Nothing is lost: the next one starts from what is there.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A call to the API server failed.
    #[error("{verb} {kind} {name}")]
    Call {
        verb: &'static str,
        kind: &'static str,
        name: String,
        #[source]
        source: Box<kube::Error>,
    },
    /// Somebody else wrote first.
    #[error("{verb} {kind} {name}: it changed meanwhile")]
    Conflict {
        verb: &'static str,
        kind: &'static str,
        name: String,
        #[source]
        source: Box<kube::Error>,
    },
    /// The pass took too long.
    #[error("reconciling {name} took longer than {}s", limit.as_secs())]
    TimedOut { name: String, limit: Duration },
    /// Our own write did not come back through the watch.
    #[error("waiting for the watch to tell what was written to {name}")]
    Unseen { name: String },
    /// One pass did not come to rest.
    #[error("reconciling {name} did not come to rest")]
    Restless { name: String },
}

/// When to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// At once: what was seen was only too old.
    Now,
    /// After a delay that grows.
    BackOff,
}

impl Error {
    /// Wraps the failure of one call.
    pub fn call(verb: &'static str, kind: &'static str, name: &str) -> impl FnOnce(kube::Error) -> Self {
        let name = name.to_owned();
        move |error| match &error {
            kube::Error::Api(status) if status.code == 409 => {
                Self::Conflict { verb, kind, name, source: Box::new(error) }
            }
            _ => Self::Call { verb, kind, name, source: Box::new(error) },
        }
    }

    /// A stable word for logs and metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Call { .. } => "CallFailed",
            Self::Conflict { .. } => "Conflict",
            Self::TimedOut { .. } => "TimedOut",
            Self::Unseen { .. } => "Unseen",
            Self::Restless { .. } => "Restless",
        }
    }

    /// When to try again.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Conflict { .. } => Retry::Now,
            Self::Call { .. } | Self::TimedOut { .. } | Self::Unseen { .. } | Self::Restless { .. } => {
                Retry::BackOff
            }
        }
    }
}
