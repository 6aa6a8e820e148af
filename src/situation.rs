//! What one pass knows of a workspace: the only input of [`decide`](crate::decide) and of the status.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::{
    api::{ConditionType, IncarnationNumber, Reason, WorkspaceStatus, status::Incarnation},
    backoff::Jitter,
    claim::Claim,
    health::Health,
    heartbeats::Pulse,
    registration::Registration,
    resize::Resize,
    resolve::{Desired, Effective},
    rollout,
    view::PodView,
};

/// What one pass knows.
#[derive(Clone, Debug)]
pub struct Situation {
    pub name: String,
    pub namespace: String,
    pub generation: Option<i64>,
    pub is_deleting: bool,
    pub status: WorkspaceStatus,
    pub desired: Desired,
    pub pod: PodState,
    pub volume: VolumeState,
    /// The start whose Pod this process has seen made, which status need not tell yet.
    pub made: Option<IncarnationNumber>,
    /// Whether `pod` and `status` were read from the API server in this pass.
    pub is_live: bool,
    pub verdict: Option<Verdict>,
    /// What came of asking the program for its activity in this pass.
    pub look: Option<Look>,
    /// What the rollout gate said to a change from outside.
    pub turn: Option<Turn>,
    /// The API server's "no" to the Pod of the newest claim, or to what it needs.
    pub refusal: Option<Refusal>,
    /// The "no" to what is changed beside or in a living Pod: its Service, its labels.
    pub in_place: Option<Refusal>,
    pub jitter: Jitter,
    pub now: Timestamp,
}

/// The Pod of the workspace's name.
#[derive(Clone, Debug)]
pub enum PodState {
    /// The cache has none, which proves nothing.
    Absent,
    /// The API server says there is none.
    Gone,
    /// A former workspace's of the same name, on its way out.
    Former,
    Ours(Box<PodFacts>),
}

/// What there is to know about our Pod.
#[derive(Clone, Debug)]
pub struct PodFacts {
    pub view: Arc<PodView>,
    pub number: IncarnationNumber,
    /// None where somebody took the annotation away.
    pub claim: Option<Claim>,
    pub health: Health,
    pub registration: Registration,
    /// What its program says of itself; none before it registered.
    pub pulse: Option<Pulse>,
    /// What came of asking it before.
    pub looked: Option<Looked>,
    pub resize: Resize,
}

impl PodFacts {
    /// Whether it serves: such a Pod is not stopped before its successor was checked.
    pub fn is_serving(&self) -> bool {
        self.health == Health::Ready && !self.view.is_terminating()
    }
}

/// The volume the Pod mounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VolumeState {
    NotRequired,
    /// To be made.
    Absent,
    /// Not bound yet.
    Pending,
    Bound {
        /// What of the wish is ignored, for people.
        note: Option<String>,
    },
    /// Being deleted, this workspace's or a former one's.
    Terminating,
    /// It was bound, and is gone.
    Lost,
    /// The claim is there and its volume is not: only a person can let the claim go.
    Broken,
}

/// What came of looking at a change before the old Pod is stopped for it.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// The API server takes the new Pod and its image can be had. The note says what could not be found out.
    Accepted {
        note: Option<String>,
    },
    /// The image is being looked for, until then.
    Pending {
        until: Timestamp,
    },
    Declined(Refusal),
}

/// What came of asking a program when it was active last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    Active {
        last: Timestamp,
    },
    /// It gave no answer, or none that could be read. That says nothing of its activity.
    Failed,
}

/// What is remembered of asking it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Looked {
    /// Its last activity, by the newest answer.
    pub last: Option<Timestamp>,
    /// How often in a row it gave no answer.
    pub failures: u32,
    /// When it may be asked again.
    pub next: Timestamp,
}

/// What the gate said to a change that comes from outside the workspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It may go: a place is promised.
    Granted,
    /// It has to wait.
    Waits,
    /// The place it wrote down is one of those there are.
    Confirmed,
}

/// The API server's or the node's "no" to a Pod.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    pub reason: Reason,
    pub message: String,
    pub retry_at: Timestamp,
}

impl Situation {
    /// The newest claim, as status tells.
    pub fn incarnation(&self) -> Option<&Incarnation> {
        self.status.incarnation.as_ref()
    }

    /// The number of the newest claim; zero before the first.
    pub fn number(&self) -> IncarnationNumber {
        self.incarnation().map(|incarnation| incarnation.number).unwrap_or_default()
    }

    /// The condition as it was last published.
    pub fn condition(&self, type_: ConditionType) -> Option<&Condition> {
        self.status.conditions.iter().find(|condition| condition.type_ == type_.as_str())
    }

    /// Since when the workspace has been Ready, as last published.
    pub fn ready_since(&self) -> Option<Timestamp> {
        ready_since(&self.status)
    }

    /// Whether a recorded stop ended, or is ending, the newest incarnation.
    pub fn is_stop_recorded(&self) -> bool {
        self.status.last_stop.as_ref().is_some_and(|stop| stop.incarnation == self.number())
    }

    /// Whether it takes a place of its class's rollout.
    pub fn has_place(&self) -> bool {
        rollout::has_place(&self.status)
    }

    /// Whether the loss of the newest incarnation was counted.
    pub fn is_loss_recorded(&self) -> bool {
        let last = self.status.failures.as_ref().and_then(|failures| failures.last.as_ref());
        last.is_some_and(|last| last.incarnation == self.number())
    }

    /// The newest claim as status tells it, in the words of the Pod's annotation.
    pub fn claimed(&self, effective: &Effective) -> Claim {
        let incarnation = self.incarnation();
        let generation = incarnation.and_then(|incarnation| incarnation.generation);
        let mut claim = Claim::new(self.number(), generation, self.status.last_handled_restart_at, effective);
        claim.cause = incarnation.and_then(|incarnation| incarnation.cause);
        claim
    }

    /// Whether the newest claim's Pod was ever made.
    pub fn had_pod(&self) -> bool {
        self.incarnation().is_some_and(|incarnation| incarnation.pod_uid.is_some())
            || self.made == Some(self.number())
    }
}

/// Since when `status` says Ready.
pub fn ready_since(status: &WorkspaceStatus) -> Option<Timestamp> {
    let ready =
        status.conditions.iter().find(|condition| condition.type_ == ConditionType::Ready.as_str())?;
    (ready.status == "True").then_some(ready.last_transition_time.0)
}
