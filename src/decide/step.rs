//! The words of a decision: what to do, or why nothing is done.

use jiff::Timestamp;

use crate::{
    api::{
        IncarnationNumber, Reason,
        status::{Failures, Stop},
    },
    claim::Claim,
    resolve::{Blocked, Suspension},
    rollout::Asker,
    situation::Refusal,
};

/// What to do next.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Nothing, until something changes or time passes.
    Rest(Rest),
    /// Ask the API server whether the Pod is really gone.
    ReadPod,
    /// Read workspace and Pod live: they contradict each other.
    ReadBoth,
    /// Rebuild the status from the Pod's claim.
    TakeOver(IncarnationNumber),
    /// Ask the rollout gate for a place.
    TakeTurn(Asker),
    /// Write down the place that was promised.
    TakePlace,
    /// Find out whether the place written down is one of those there are.
    ConfirmTurn,
    /// Ask the program itself when it was active last.
    Look,
    /// Keep the workspace stopped from now on: nobody used it since.
    Hold { since: Timestamp },
    /// Take the operator's own hold away: it is used, or is not to be stopped for want of that any more.
    Wake,
    /// Find out whether the successor of a serving Pod could be made.
    Verify,
    /// Write down the stop, and the restart it serves.
    RecordStop(Stop),
    /// Delete the Pod with this UID, and no other.
    Delete { uid: String },
    /// Write down the loss.
    RecordLoss(Failures),
    /// Write down the next start.
    Claim(Box<Claim>, Option<Failures>),
    /// Make what was claimed: volume, Service, then the Pod.
    Start,
}

/// Why nothing is done now.
#[derive(Clone, Debug, PartialEq)]
pub enum Rest {
    /// The workspace is being deleted.
    Deleting,
    /// A former workspace's Pod is in the way.
    Former,
    Suspended(Suspension),
    /// It may run again, and waits for its turn.
    AwaitingTurn,
    /// The Pod is terminating.
    Stopping,
    /// The Pod is as wanted, or what differs waits.
    Settled(Option<Waiting>),
    /// No Pod can be made of the spec.
    Blocked(Blocked),
    /// The volume is in the way of a start.
    Volume(Reason),
    BackingOff(Timestamp),
    /// The API server refused the claimed Pod.
    Refused(Refusal),
}

/// A change that the running Pod does not have, and why not.
#[derive(Clone, Debug, PartialEq)]
pub enum Waiting {
    /// For the next start.
    Strategy { what: String },
    /// For the program to be idle, until then at most.
    Idle { what: String, until: Timestamp },
    /// For its turn in the rollout.
    Turn { what: String },
    /// For the answer about the image.
    Image { what: String, until: Timestamp },
    /// It can't be carried out now.
    Declined { what: String, refusal: Refusal },
    /// The spec can't be carried out.
    Blocked(Blocked),
    /// The volume is being deleted or gone: its data lives as long as this Pod, and a successor could not start.
    Volume { what: String, reason: Reason },
}
