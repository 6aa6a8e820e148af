//! How the runs went, as a table.

use std::{collections::BTreeMap, fmt::Write};

use super::{fault::Fault, run::Case, scenarios};

/// How a run ended.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// As without the fault.
    Same,
    /// Its write never came.
    NotReached,
    Failed(Vec<String>),
}

#[derive(Clone, Copy, Debug, Default)]
struct Cell {
    runs: usize,
    not_reached: usize,
    failed: usize,
}

/// Counts by scenario and fault.
#[derive(Debug, Default)]
pub struct Tally(BTreeMap<(&'static str, &'static str), Cell>);

impl Tally {
    pub fn count(&mut self, case: &Case, outcome: &Outcome) {
        let Some(plan) = &case.plan else { return };
        let cell = self.0.entry((case.scenario.name, plan.fault.title())).or_default();
        cell.runs += 1;
        match outcome {
            Outcome::Same => {}
            Outcome::NotReached => cell.not_reached += 1,
            Outcome::Failed(_) => cell.failed += 1,
        }
    }

    fn total(&self, is_of: impl Fn(&'static str, &'static str) -> bool) -> Cell {
        let cells = self.0.iter().filter(|((scenario, fault), _)| is_of(scenario, fault));
        cells.fold(Cell::default(), |sum, (_, cell)| Cell {
            runs: sum.runs + cell.runs,
            not_reached: sum.not_reached + cell.not_reached,
            failed: sum.failed + cell.failed,
        })
    }

    /// Whether none failed, and most met their fault: runs in which nothing went wrong show nothing.
    pub fn is_good(&self) -> bool {
        let Cell { runs, not_reached, failed } = self.total(|_, _| true);
        failed == 0 && not_reached * 4 <= runs
    }

    /// All in one line.
    pub fn summary(&self) -> String {
        let Cell { runs, not_reached, failed } = self.total(|_, _| true);
        format!("{runs} runs, {failed} failed, in {not_reached} the write never came")
    }

    /// Scenarios by faults: runs, and behind a stroke the failures.
    pub fn table(&self) -> String {
        let mut table = format!("| Scenario | {} | all |\n", Fault::TITLES.join(" | "));
        let _ = writeln!(table, "|---|{}", "---:|".repeat(Fault::TITLES.len() + 1));
        for scenario in scenarios::ALL {
            let cells = Fault::TITLES.map(|title| shown(self.total(|s, f| s == scenario.name && f == title)));
            let all = shown(self.total(|s, _| s == scenario.name));
            let _ = writeln!(table, "| {} | {} | {all} |", scenario.name, cells.join(" | "));
        }
        let cells = Fault::TITLES.map(|title| shown(self.total(|_, f| f == title)));
        let _ = writeln!(table, "| all | {} | {} |", cells.join(" | "), shown(self.total(|_, _| true)));
        table
    }
}

fn shown(cell: Cell) -> String {
    match cell {
        Cell { runs: 0, .. } => "–".to_owned(),
        Cell { runs, not_reached: 0, failed } => format!("{runs}/{failed}"),
        Cell { runs, not_reached, failed } => format!("{runs}/{failed} ({not_reached})"),
    }
}
