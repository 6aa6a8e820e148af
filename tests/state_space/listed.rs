//! Properties that are not treated like all others, each with the reason.

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

/// Fails where a property was never carried out and is not listed, or is listed and was.
pub fn assert_complete(report: &Report) {
    let carried_out = |path: &String| report.reached[path].contains(&Outcome::CarriedOut);
    let (listed, others): (Vec<_>, Vec<_>) =
        report.reached.keys().partition(|path| NEVER_CARRIED_OUT.iter().any(|(at, _)| fields(path) == *at));
    let missing: Vec<_> = others.into_iter().filter(|path| !carried_out(path)).collect();
    assert!(missing.is_empty(), "never carried out, and not listed: {missing:#?}");
    let stale: Vec<_> = listed.into_iter().filter(|path| carried_out(path)).collect();
    assert!(stale.is_empty(), "listed, and yet carried out: {stale:#?}");
}
