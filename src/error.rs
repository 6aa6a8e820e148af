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

/// The longest delay after a failed pass.
const LONGEST: Duration = Duration::from_mins(5);
/// The same where the API server can't be reached or fails: that is over for all at once, and nobody should be late.
const LONGEST_AWAY: Duration = Duration::from_secs(30);
/// The same where it had too many requests: it says itself after how many seconds to come back, and those are few.
const LONGEST_THROTTLED: Duration = Duration::from_secs(10);

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
            Self::Call { .. } if self.is_throttled() => "Throttled",
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

    /// How long a delay may grow. What ails one object keeps; what ails the API server ends for all objects at a time.
    pub fn longest_delay(&self) -> Duration {
        match self {
            Self::Call { .. } if self.is_throttled() => LONGEST_THROTTLED,
            Self::Call { source, .. } if !is_about_the_object(source) => LONGEST_AWAY,
            Self::Call { .. }
            | Self::Conflict { .. }
            | Self::TimedOut { .. }
            | Self::Unseen { .. }
            | Self::Restless { .. } => LONGEST,
        }
    }

    fn is_throttled(&self) -> bool {
        matches!(self, Self::Call { source, .. } if matches!(&**source, kube::Error::Api(status) if status.code == 429))
    }
}

/// What went wrong, with all its causes, in one line: the same text for the same cause. Of an answer of the API server
/// its own words; kube's include all of the answer's fields.
pub fn with_causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut line = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let boxed = error.downcast_ref::<Box<kube::Error>>().map(AsRef::as_ref);
        let answered = boxed.or_else(|| error.downcast_ref::<kube::Error>());
        if !line.is_empty() {
            line += ": ";
        }
        next = if let Some(kube::Error::Api(status)) = answered {
            line += &status.message;
            None
        } else {
            line += &error.to_string();
            error.source()
        };
    }
    line
}

fn is_about_the_object(error: &kube::Error) -> bool {
    match error {
        kube::Error::Api(status) => status.code < 500,
        kube::Error::HyperError(_) | kube::Error::Service(_) => false,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    fn answered(code: u16) -> Error {
        let status = Status { code, ..Status::failure("no", "No") };
        Error::call("create", "Pod", "x")(kube::Error::Api(Box::new(status)))
    }

    #[test]
    fn a_line_tells_what_was_tried_and_the_api_server_s_own_words() {
        assert_eq!(with_causes(&answered(500)), "create Pod x: no");
        let unreachable = kube::Error::Service("connection refused".into());
        let line = with_causes(&Error::call("get", "Pod", "x")(unreachable));
        assert!(line.starts_with("get Pod x: ") && line.ends_with("connection refused"), "{line}");
    }

    #[test]
    fn what_ails_the_api_server_delays_nobody_for_minutes() {
        assert_eq!(answered(429).longest_delay(), LONGEST_THROTTLED);
        assert_eq!(answered(503).longest_delay(), LONGEST_AWAY);
        let unreachable = kube::Error::Service("connection refused".into());
        assert_eq!(Error::call("get", "Pod", "x")(unreachable).longest_delay(), LONGEST_AWAY);
        assert_eq!(answered(403).longest_delay(), LONGEST);
        assert_eq!((answered(429).reason(), answered(403).reason()), ("Throttled", "CallFailed"));
    }
}
