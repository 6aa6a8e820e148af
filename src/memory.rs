//! What this process remembers of one workspace between two passes. All of it may be lost at any moment: that
//! costs a few calls made twice, never a wrong step.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use kube::ResourceExt;

use crate::{
    api::{IncarnationNumber, RestartTime, Workspace, WorkspaceStatus, status::ClassRef},
    backoff::{self, Jitter, after},
    said::Said,
    situation::{Looked, Refusal, Situation},
    view::NetworkPolicyView,
};

/// What is remembered of one workspace.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// The object as our last write left it, newer than the cache for a moment.
    pub written: Option<Arc<Workspace>>,
    /// A write met a newer version than the cache has: the next pass reads the object itself.
    pub is_stale: bool,
    /// Conflicts in a row.
    pub conflicts: u32,
    /// The start whose Pod we have seen made.
    pub made: Option<IncarnationNumber>,
    /// UID of the Pod we deleted, which the cache may still show as if it lived.
    pub deleted: Option<String>,
    /// The "no" to the claimed Pod.
    pub refused: Option<Refused<Candidate>>,
    /// The "no" to a change of a serving Pod.
    pub declined: Option<Refused<Candidate>>,
    /// The "no" to a resize.
    pub resize: Option<ResizeRefused>,
    /// The "no" to a change of the volume claim.
    pub volume: Option<Refused<String>>,
    /// The "no" to the Service beside a living Pod, for these ports and this type.
    pub service: Option<Refused<String>>,
    /// The network policy as our last write of this pass left it, or as the cache will have it in a moment.
    pub policy: Option<Arc<NetworkPolicyView>>,
    /// The "no" to a change of the network policy beside a living Pod.
    pub policy_refused: Option<Refused<String>>,
    /// The "no" to the disruption budget beside a busy Pod; there is one form of it.
    pub disruption_budget: Option<Refused<()>>,
    /// The "no" to labels or annotations of a living Pod.
    pub metadata: Option<Refused<String>>,
    /// The probe Pod we made, which the cache may not have yet.
    pub probe: Option<Asked>,
    /// What came of asking the Pod with this UID for its activity.
    pub looked: Option<(String, Looked)>,
    /// The status we wrote last.
    pub said: Said,
    /// What the failed pass found out.
    pub known: Option<WorkspaceStatus>,
    /// How long a start may take, by the last pass that found out.
    pub deadline: Option<Duration>,
    /// Failed passes.
    pub retry: Option<Retry>,
}

/// A "no" to be asked about again later.
#[derive(Clone, Debug)]
pub struct Refused<K> {
    /// What was refused; something else is asked about at once.
    pub what: K,
    pub refusal: Refusal,
    pub tries: u32,
}

/// A Pod that was asked for. Not its inputs alone: what is no input, such as CPU or labels, can be refused too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    number: IncarnationNumber,
    generation: Option<i64>,
    class: Option<ClassRef>,
    inputs: Option<String>,
    restart: Option<RestartTime>,
}

impl Candidate {
    /// The Pod that is wanted in this situation.
    pub fn of(s: &Situation) -> Self {
        let effective = s.desired.effective.as_ref().ok();
        Self {
            number: s.number(),
            generation: s.generation,
            class: effective.and_then(|effective| effective.class.clone()),
            inputs: effective.map(|effective| effective.inputs.hash()),
            restart: s.desired.restart.pending,
        }
    }
}

/// A question about an image that is under way.
#[derive(Clone, Debug)]
pub struct Asked {
    pub question: String,
    /// When, by our own clock.
    pub at: Timestamp,
    /// Whether the cache had the probe.
    pub was_seen: bool,
}

/// A resize that the API server refused.
#[derive(Clone, Debug)]
pub struct ResizeRefused {
    pub pod_uid: String,
    /// The values asked for, as text.
    pub values: String,
    pub message: String,
}

/// Failed passes in a row. Events do not override the delay; a changed wish does.
#[derive(Clone, Debug)]
pub struct Retry {
    pub tries: u32,
    pub not_before: Timestamp,
    /// The wish at which it failed.
    pub wish: Wish,
}

/// What tells one wish from another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    generation: Option<i64>,
    annotations: std::collections::BTreeMap<String, String>,
}

impl Wish {
    /// The wish of `workspace`.
    pub fn of(workspace: &Workspace) -> Self {
        Self { generation: workspace.metadata.generation, annotations: workspace.annotations().clone() }
    }
}

impl<K: PartialEq> Refused<K> {
    /// The "no" to `what` that need not be asked about again yet.
    pub fn standing(before: Option<&Self>, what: &K, now: Timestamp) -> Option<Refusal> {
        let stands = before.filter(|before| before.what == *what && before.refusal.retry_at > now)?;
        Some(stands.refusal.clone())
    }

    /// Notes another "no" to `what`: the delay grows while it is the same thing. The words of the first "no" stay
    /// while its reason does: the next ones differ in a number or an address, and would be written each time.
    pub fn note(
        before: Option<&Self>,
        what: K,
        reason: crate::api::Reason,
        message: String,
        now: Timestamp,
        jitter: Jitter,
    ) -> Self {
        let before = before.filter(|before| before.what == what);
        let tries = before.map_or(1, |before| before.tries.saturating_add(1));
        let said = before.filter(|before| before.refusal.reason == reason);
        let message = said.map_or(message, |before| before.refusal.message.clone());
        let retry_at = after(now, backoff::delay(tries, backoff::BASE, backoff::CAP, jitter));
        Self { what, refusal: Refusal { reason, message, retry_at }, tries }
    }
}

impl Memory {
    /// The newer of the cache's object and the one we wrote: after a write we never act on what was before.
    pub fn newest(&self, cached: &Arc<Workspace>) -> Arc<Workspace> {
        match &self.written {
            Some(written) if written.uid() == cached.uid() && version(written) > version(cached) => {
                Arc::clone(written)
            }
            _ => Arc::clone(cached),
        }
    }
}

impl Memory {
    /// At the beginning of a pass: what the cache has caught up with, or does not have any more, is forgotten.
    pub fn refresh_policy(&mut self, cached: Option<&NetworkPolicyView>) {
        let is_ahead = |written: &Arc<NetworkPolicyView>| {
            cached.is_some_and(|cached| {
                written.metadata.uid == cached.metadata.uid && written.version() > cached.version()
            })
        };
        self.policy = self.policy.take().filter(is_ahead);
    }

    /// The newer of the cache's policy and the one we wrote.
    pub fn newest_policy(&self, cached: Option<Arc<NetworkPolicyView>>) -> Option<Arc<NetworkPolicyView>> {
        let written = self.policy.as_ref();
        match (cached, written) {
            (Some(cached), Some(written))
                if written.metadata.uid == cached.metadata.uid && written.version() > cached.version() =>
            {
                Some(Arc::clone(written))
            }
            (Some(cached), _) => Some(cached),
            (None, written) => written.cloned(),
        }
    }
}

/// Resource versions are ordered since Kubernetes 1.35 (KEP-5504), and have been in practice before.
fn version(workspace: &Workspace) -> Option<u64> {
    workspace.metadata.resource_version.as_deref()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{api::Reason, fixtures::now};

    fn note(before: Option<&Refused<u8>>, what: u8, reason: Reason, message: &str) -> Refused<u8> {
        Refused::note(before, what, reason, message.into(), now(), Jitter::NONE)
    }

    #[test]
    fn the_same_no_in_other_words_is_told_in_the_first_words() {
        let first = note(None, 1, Reason::RestartDeclined, "dial 10.0.0.1:4711");
        let second = note(Some(&first), 1, Reason::RestartDeclined, "dial 10.0.0.1:4712");
        assert_eq!((second.refusal.message.as_str(), second.tries), ("dial 10.0.0.1:4711", 2));
        let other = note(Some(&second), 1, Reason::QuotaExceeded, "full");
        assert_eq!(other.refusal.message, "full");
        let another = note(Some(&second), 2, Reason::RestartDeclined, "new");
        assert_eq!((another.refusal.message.as_str(), another.tries), ("new", 1));
    }
}
