//! What happened over many seeds: a simulation in which something never happens proves nothing of it.

use std::collections::BTreeMap;

use crate::trace::Trace;

/// What has to have happened after so many seeds as [`ENOUGH`].
const EXPECTED: [&str; 40] = [
    "1 operators",
    "2 operators",
    "2 operators, elected",
    "crash after a write",
    "crash before a write",
    "fault 429",
    "fault 500 after",
    "fault 500 before",
    "fault 504 after",
    "fault disconnected",
    "fault late",
    "fault never after",
    "fault never before",
    "fault very late",
    "history forgotten",
    "watch dropped",
    "watch expired",
    "watch frozen",
    "Pod evicted",
    "Pod deleted by someone",
    "Pod failed",
    "Pod vanished",
    "user creates",
    "user deletes",
    "user restarts",
    "user holds",
    "user strips annotations of",
    "user edits the environment of",
    "user edits the image of",
    "user restarts in the spec",
    "user Running",
    "user Stopped",
    "Pod container restarted",
    "Pod unready",
    "operator started",
    "watches thawed",
    "program /v1/heartbeat 200",
    "program /v1/heartbeat 401",
    "program /v1/register 200",
    "program /v1/register 401",
];
const ENOUGH: u64 = 1000;

/// Tells the process that counts.
pub fn tell(trace: &Trace) {
    for (what, count) in trace.counts() {
        println!("COUNT {count} {what}");
    }
}

/// The sum over many seeds.
#[derive(Default)]
pub struct Coverage {
    seeds: u64,
    counts: BTreeMap<String, u64>,
}

impl Coverage {
    /// Adds what one seed told.
    pub fn add(&mut self, told: &str) {
        self.seeds += 1;
        for line in told.lines().filter_map(|line| line.strip_prefix("COUNT ")) {
            if let Some((count, what)) = line.split_once(' ') {
                *self.counts.entry(what.to_owned()).or_default() += count.parse::<u64>().unwrap_or(0);
            }
        }
    }

    /// Prints the table; false, if something never happened.
    pub fn print(&self) -> bool {
        for (what, count) in &self.counts {
            println!("{count:>9}  {what}");
        }
        let never: Vec<_> = EXPECTED.iter().filter(|what| !self.counts.contains_key(**what)).collect();
        let is_enough = self.seeds < ENOUGH || never.is_empty();
        if !is_enough {
            println!("never happened: {never:?}");
        }
        is_enough
    }
}
