//! Collecting what is wrong.

use jiff::Timestamp;

use crate::{Invariant, Violation};

/// What is wrong with one invariant.
#[derive(Debug)]
pub(crate) struct Violations {
    invariant: Invariant,
    all: Vec<Violation>,
}

impl Violations {
    pub fn of(invariant: Invariant) -> Self {
        Self { invariant, all: Vec::new() }
    }

    pub fn push(&mut self, at: Timestamp, what: String) {
        self.all.push(Violation { invariant: self.invariant, at, what });
    }

    pub fn all(self) -> Vec<Violation> {
        self.all
    }
}
