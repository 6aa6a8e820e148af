//! Pure: what the operator's answer to a call means.

use std::time::Duration;

use serde::Deserialize;

/// The longest that a `Retry-After` is heeded, so that a wrong one can't silence a workspace for good.
const LONGEST_RETRY_AFTER: u64 = 300;
/// Bounds of a usable interval, in seconds.
const INTERVAL: (u64, u64) = (1, 3600);

/// What a call led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// This incarnation is known, and so is this process.
    Accepted(Registration),
    /// The incarnation counts as unregistered, or another process registered last.
    RegisterFirst,
    /// The workspace is being stopped.
    Suspended,
    /// The token is unknown, expired, or of a former incarnation.
    Refused,
    /// Anything else, a call that never arrived included: nothing is known, so it is tried again.
    Failed { why: String, retry_after: Option<Duration> },
}

/// What an accepted call is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    pub workspace: String,
    pub incarnation: i64,
    pub interval: Duration,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Accepted {
    workspace: String,
    incarnation: i64,
    heartbeat_seconds: u64,
}

#[derive(Deserialize)]
struct Conflict {
    error: String,
}

impl Answer {
    /// Reads status, `Retry-After` and body.
    pub fn of(status: u16, retry_after: Option<&str>, body: &[u8]) -> Self {
        let conflict =
            || serde_json::from_slice(body).map_or_else(|_| String::new(), |told: Conflict| told.error);
        match status {
            200 => match serde_json::from_slice(body) {
                Ok(Accepted { workspace, incarnation, heartbeat_seconds }) => {
                    let interval = Duration::from_secs(heartbeat_seconds.clamp(INTERVAL.0, INTERVAL.1));
                    Self::Accepted(Registration { workspace, incarnation, interval })
                }
                Err(_) => Self::failed("answered 200 with something else than a registration"),
            },
            401 => Self::Refused,
            409 if conflict() == "register first" => Self::RegisterFirst,
            409 if conflict() == "suspended" => Self::Suspended,
            _ => Self::Failed {
                why: format!("answered {status}"),
                // The other form, a date, is not among what the operator sends.
                retry_after: retry_after
                    .and_then(|seconds| seconds.trim().parse().ok())
                    .map(|seconds: u64| Duration::from_secs(seconds.min(LONGEST_RETRY_AFTER))),
            },
        }
    }

    /// A call that led to nothing.
    pub fn failed(why: impl Into<String>) -> Self {
        Self::Failed { why: why.into(), retry_after: None }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_accepted_call_tells_the_interval() {
        let body = br#"{"workspace":"x","incarnation":3,"heartbeatSeconds":30,"later":"ignored"}"#;
        let interval = Duration::from_secs(30);
        let told = Registration { workspace: "x".to_owned(), incarnation: 3, interval };
        assert_eq!(Answer::of(200, None, body), Answer::Accepted(told));
    }

    #[test]
    fn an_interval_of_nothing_is_no_busy_loop() {
        let body = br#"{"workspace":"x","incarnation":3,"heartbeatSeconds":0}"#;
        let Answer::Accepted(told) = Answer::of(200, None, body) else { panic!() };
        assert_eq!(told.interval, Duration::from_secs(1));
    }

    #[test]
    fn a_conflict_is_told_by_its_words() {
        assert_eq!(Answer::of(409, None, br#"{"error":"register first"}"#), Answer::RegisterFirst);
        assert_eq!(Answer::of(409, None, br#"{"error":"suspended"}"#), Answer::Suspended);
        assert_eq!(Answer::of(409, None, br#"{"error":"else"}"#), Answer::failed("answered 409"));
        assert_eq!(Answer::of(409, None, b""), Answer::failed("answered 409"));
    }

    #[test]
    fn a_server_that_is_none_of_ours_is_not_believed() {
        assert!(matches!(Answer::of(200, None, b"<html>"), Answer::Failed { .. }));
        assert!(matches!(Answer::of(302, None, b""), Answer::Failed { .. }));
    }

    #[test]
    fn retry_after_counts_in_seconds_and_has_a_limit() {
        let after = |told| match Answer::of(429, Some(told), b"") {
            Answer::Failed { retry_after, .. } => retry_after,
            other => panic!("{other:?}"),
        };
        assert_eq!(after("7"), Some(Duration::from_secs(7)));
        assert_eq!(after("86400"), Some(Duration::from_mins(5)));
        assert_eq!(after("Wed, 21 Oct 2026 07:28:00 GMT"), None);
    }

    proptest! {
        #[test]
        fn only_a_401_refuses(status in 100_u16..600, body in any::<Vec<u8>>()) {
            prop_assert_eq!(Answer::of(status, None, &body) == Answer::Refused, status == 401);
        }
    }
}
