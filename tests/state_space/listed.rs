//! Properties that are not treated like all others, each with the reason.

use std::collections::BTreeSet;

use crate::{judge::Outcome, report::Report};

/// What a volume claim is made with: after one value no other can follow on the same workspace. So each value has a
/// workspace of its own, which goes back to none.
const SETTLED_ONCE: &[(&str, &str)] = &[
    ("storage.storageClassName", "a claim keeps its class"),
    ("storage.accessModes", "a claim keeps its access modes"),
    ("storage.dataSourceRef", "a volume is filled once"),
    ("bounds.storage", "its defaults make a claim, which stays"),
];

/// Whether a workspace can have one value of this property only.
pub fn is_settled_once(path: &str) -> bool {
    reason(SETTLED_ONCE, path).is_some()
}

fn reason(table: &[(&str, &'static str)], path: &str) -> Option<&'static str> {
    let own = fields(path);
    let holds =
        |at: &str| own == at || own.strip_prefix(at).is_some_and(|rest| rest.starts_with(['.', '[', '{']));
    table.iter().find(|(at, _)| holds(at)).map(|(_, why)| *why)
}

/// A path below the fields of a workspace or of a class.
fn fields(path: &str) -> &str {
    let path = path.strip_prefix("spec.").unwrap_or(path);
    path.strip_prefix("defaults.").unwrap_or(path)
}

/// Whether a random sequence may have it at any place: not what a claim keeps, since claims outlive the wish for them.
pub fn can_be_in_a_sequence(path: &str) -> bool {
    !fields(path).starts_with("storage") && !is_settled_once(path)
}

/// Properties of which no value gets into a Pod here, each with the reason.
const NEVER_CARRIED_OUT: &[(&str, &str)] = &[];

/// The properties that were never carried out and are not listed, and those that are listed and were.
pub fn faults(report: &Report) -> Vec<String> {
    let fault = |(path, outcomes): (&String, &BTreeSet<Outcome>)| {
        let is_listed = NEVER_CARRIED_OUT.iter().any(|(at, _)| fields(path) == *at);
        match (outcomes.contains(&Outcome::CarriedOut), is_listed) {
            (false, false) => Some(format!("{path} was never carried out, and is not listed: {outcomes:?}")),
            (true, true) => Some(format!("{path} is listed as never carried out, and was")),
            _ => None,
        }
    };
    report.reached.iter().filter_map(fault).collect()
}
