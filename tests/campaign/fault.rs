//! What can go wrong at a write. Only what a real API server, its network and its machines can do: a read of one object
//! and a list are of the newest state (the operator asks for that), so no read ever lies; a watch may be late, and may
//! lose what happened, but tells everything in order.

use std::{collections::BTreeSet, fmt};

use super::point::Write;

/// One thing that goes wrong, once.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// The operator dies, and the write was never sent.
    KilledBefore,
    /// The operator dies, and the write is done.
    KilledAfter,
    /// The operator dies, and the write is done after its successor came to rest.
    Late,
    /// The write is done, and the answer is 500.
    ErrorAfter,
    /// The write is done, and the connection breaks before the answer.
    AnswerLost,
    /// The write is refused with a conflict.
    Conflict,
    /// From the write on, the watches of a kind tell nothing until the operator does nothing more; then all of it.
    Frozen(String),
    /// The same, but then they say that it is too long ago: what happened meanwhile is never told.
    Hidden(String),
}

impl Fault {
    /// What it is called in a table, whatever the kind.
    pub fn title(&self) -> &'static str {
        match self {
            Self::KilledBefore => "killed-before",
            Self::KilledAfter => "killed-after",
            Self::Late => "late",
            Self::ErrorAfter => "error-after",
            Self::AnswerLost => "answer-lost",
            Self::Conflict => "conflict",
            Self::Frozen(_) => "frozen",
            Self::Hidden(_) => "hidden",
        }
    }

    /// All titles, in the order of the table.
    pub const TITLES: [&'static str; 8] = [
        "killed-before",
        "killed-after",
        "late",
        "error-after",
        "answer-lost",
        "conflict",
        "frozen",
        "hidden",
    ];

    /// Everything that can go wrong at `write`, where these kinds are watched.
    pub fn at(write: &Write, kinds: &BTreeSet<String>) -> Vec<Self> {
        let mut faults =
            vec![Self::KilledBefore, Self::KilledAfter, Self::Late, Self::ErrorAfter, Self::AnswerLost];
        // A deletion by its UID meets no other writer: a conflict means there that the UID is another.
        if !write.is_deletion() {
            faults.push(Self::Conflict);
        }
        // The operator's own Secrets are read, not watched.
        if !write.is_of_operator_itself() {
            faults.extend(kinds.iter().cloned().map(Self::Frozen));
            faults.extend(kinds.iter().cloned().map(Self::Hidden));
        }
        faults
    }

    /// How many Pods more than without it may be started for it.
    pub fn explained_starts(&self, write: &Write) -> usize {
        // A Pod of a start that nobody wants any more: it turns up, and has to go.
        usize::from(*self == Self::Late && write.is_start())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Frozen(kind) | Self::Hidden(kind) => write!(f, "{}-{kind}", self.title()),
            _ => f.write_str(self.title()),
        }
    }
}
