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

/// Properties of which no value gets into a Pod here, each with the reason. Where it is so for a class alone, they begin
/// with `defaults`.
const NEVER_CARRIED_OUT: &[(&str, &str)] = &[
    ("allowedNamespaces.matchExpressions[]", NO_NAMESPACE),
    ("allowedNamespaces.matchExpressions[].key", NO_NAMESPACE),
    ("allowedNamespaces.matchExpressions[].values", NO_NAMESPACE),
    ("bounds.images.allowed", "no generated pattern fits the image"),
    ("bounds.images.allowed[]", "no generated pattern fits the image"),
    ("bounds.serviceAccounts", "no generated name is the Pod's account"),
    ("defaults.className", NO_DEFAULT),
    ("defaults.podTemplate.spec", NO_DEFAULT),
    ("defaults.restartedAt", NO_DEFAULT),
    ("defaults.runState", NO_DEFAULT),
    ("defaults.env[].valueFrom.fileKeyRef", NO_FILES),
    ("defaults.env[].valueFrom.fileKeyRef.key", NO_FILES),
    ("defaults.env[].valueFrom.fileKeyRef.optional", NO_FILES),
    ("defaults.env[].valueFrom.fileKeyRef.path", NO_FILES),
    ("defaults.env[].valueFrom.fileKeyRef.volumeName", NO_FILES),
    ("envFrom[]", "it names no source, and what names one is a case of its own"),
    ("envFrom[].prefix", "it names no source, and what names one is a case of its own"),
    ("livenessProbe.exec", NO_COMMAND),
    ("readinessProbe.exec", NO_COMMAND),
    ("startupProbe.exec", NO_COMMAND),
    ("readinessProbe.terminationGracePeriodSeconds", "the API server takes it for no readiness probe"),
    ("resources.claims[]", NO_CLAIM),
    ("resources.claims[].name", NO_CLAIM),
    ("resources.claims[].request", NO_CLAIM),
];
const NO_NAMESPACE: &str = "no generated expression selects the namespace";
const NO_DEFAULT: &str = "it is refused where a class would set it (decision 14)";
const NO_FILES: &str = "it names a volume of the Pod, and a class's defaults have none";
const NO_COMMAND: &str = "it has no command, and what has one is a case of its own";
const NO_CLAIM: &str = "it names a resource claim of the Pod, and there is none";

/// The properties that were never carried out and are not listed, and those that are listed and were.
pub fn faults(report: &Report) -> Vec<String> {
    let fault = |(path, outcomes): (&String, &BTreeSet<Outcome>)| {
        let whole = path.strip_prefix("spec.").unwrap_or(path);
        let is_listed = NEVER_CARRIED_OUT.iter().any(|(at, _)| fields(path) == *at || whole == *at);
        match (outcomes.contains(&Outcome::CarriedOut), is_listed) {
            (false, false) => Some(format!("{path} was never carried out, and is not listed: {outcomes:?}")),
            (true, true) => Some(format!("{path} is listed as never carried out, and was")),
            _ => None,
        }
    };
    report.reached.iter().filter_map(fault).collect()
}
