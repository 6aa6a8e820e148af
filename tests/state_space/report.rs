//! What a run found.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde_json::Value;

use crate::{case::Case, judge::Outcome};

/// Counts, and everything that was not as it has to be.
#[derive(Default)]
pub struct Report {
    pub changes: usize,
    pub outcomes: BTreeMap<Outcome, usize>,
    /// Which properties had which outcomes.
    pub reached: BTreeMap<String, BTreeSet<Outcome>>,
    pub faults: Vec<String>,
}

impl Report {
    pub fn note(&mut self, case: &Case, outcome: Outcome) {
        *self.outcomes.entry(outcome).or_default() += 1;
        self.reached.entry(case.name.clone()).or_default().insert(outcome);
    }

    pub fn fault(&mut self, case: &Case, spec: &Value, why: String) {
        let fault = format!("{:?} {}\n    {spec}\n    {why}", case.kind, case.name);
        // Some hundred courses may still follow.
        eprintln!("{fault}");
        self.faults.push(fault);
    }

    /// Fails with all that was found.
    pub fn assert_clean(&self, how_to_repeat: &str) {
        assert!(
            self.faults.is_empty(),
            "{} faults; again: {how_to_repeat}\n{}\n{self}",
            self.faults.len(),
            self.faults.join("\n")
        );
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |outcome| self.outcomes.get(&outcome).copied().unwrap_or_default();
        write!(
            f,
            "{} properties or sequences, {} changes: {} carried out, {} declined, {} refused where they were written",
            self.reached.len(),
            self.changes,
            count(Outcome::CarriedOut),
            count(Outcome::Declined),
            count(Outcome::Refused),
        )
    }
}
