//! What a Pod's condition says of its registration: which process registered, and in which start of the container.

use std::{fmt, str::FromStr};

use sha2::{Digest as _, Sha256};

use crate::{api::names, references::hex, view::PodView};

/// A process, by a hash of the nonce it made up when it began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process(String);

impl Process {
    /// The process that calls itself `nonce`.
    pub fn of(nonce: &str) -> Self {
        Self(hex(&Sha256::digest(nonce), 16))
    }
}

/// A registration, as the message of the Pod's condition has it. How often the container was restarted tells whether it
/// still speaks of the program that runs: that number comes from the kubelet, and so a moment late.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    pub process: Process,
    /// Restarts of the main container when it registered, as its Pod told.
    pub restarts: i32,
}

impl Mark {
    /// The registration that `pod` carries, of whatever process.
    pub fn of(pod: &PodView) -> Option<Self> {
        let condition = pod.condition(names::REGISTERED).filter(|condition| condition.status == "True")?;
        condition.message.as_deref()?.parse().ok()
    }

    /// Whether it speaks of the container that runs now.
    pub fn is_current(&self, pod: &PodView) -> bool {
        self.restarts == pod.main_restarts()
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {} after {} restarts of the container", self.process.0, self.restarts)
    }
}

/// The message of a condition is not one of ours.
#[derive(Debug, thiserror::Error)]
#[error("no registration")]
pub struct Unreadable;

impl FromStr for Mark {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Self, Unreadable> {
        let (process, rest) =
            text.strip_prefix("process ").and_then(|rest| rest.split_once(' ')).ok_or(Unreadable)?;
        let restarts =
            rest.strip_prefix("after ").and_then(|rest| rest.split(' ').next()).ok_or(Unreadable)?;
        let restarts = restarts.parse().map_err(|_| Unreadable)?;
        Ok(Self { process: Process(process.to_owned()), restarts })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn pod(status: &str, message: &str, restarts: i32) -> PodView {
        serde_json::from_value(json!({"metadata": {}, "status": {
            "conditions": [{"type": names::REGISTERED, "status": status, "message": message}],
            "containerStatuses": [{"name": "main", "restartCount": restarts}],
        }}))
        .unwrap()
    }

    #[test]
    fn a_container_that_restarted_has_to_register_again() {
        let mark = Mark { process: Process::of("a"), restarts: 1 };
        let before = pod("True", &mark.to_string(), 1);
        assert_eq!(Mark::of(&before), Some(mark.clone()));
        assert!(mark.is_current(&before));
        assert!(!mark.is_current(&pod("True", &mark.to_string(), 2)));
        assert_eq!(Mark::of(&pod("False", &mark.to_string(), 1)), None);
    }

    proptest! {
        #[test]
        fn a_mark_reads_back_as_itself(nonce in ".*", restarts in 0..i32::MAX) {
            let mark = Mark { process: Process::of(&nonce), restarts };
            prop_assert_eq!(mark.to_string().parse::<Mark>().ok(), Some(mark));
        }

        #[test]
        fn whatever_a_message_says_it_is_read_without_harm(text in ".*") {
            let _ = text.parse::<Mark>();
        }
    }
}
