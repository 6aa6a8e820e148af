//! CPU and memory, which change in the running Pod where the API server and the node agree.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use crate::{amount::Amount, claim::Claim, view::PodView};

/// How wanted CPU and memory relate to the Pod's.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Resize {
    /// They agree.
    #[default]
    None,
    /// To be asked of the API server: these values, as `requests.cpu`.
    Wanted(BTreeMap<String, Quantity>),
    /// It takes a new Pod, for this reason.
    NeedsRestart(String),
}

/// Compares the wanted `compute` with `pod`. Only what was set counts: what a `LimitRange` filled in is left
/// alone. `refused` is what the API server said to these very values before.
pub fn compare(
    compute: &BTreeMap<String, Quantity>,
    pod: &PodView,
    claim: Option<&Claim>,
    refused: Option<&str>,
) -> Resize {
    let removed: Vec<&String> =
        claim.iter().flat_map(|claim| &claim.resources).filter(|name| !compute.contains_key(*name)).collect();
    if let [name, ..] = removed.as_slice() {
        return Resize::NeedsRestart(format!("resources.{name} can't be taken away in place"));
    }
    let mut differing: BTreeMap<String, Quantity> = compute
        .iter()
        .filter(|(name, wanted)| live(pod, name).is_none_or(|live| !equal(live, wanted)))
        .map(|(name, wanted)| (name.clone(), wanted.clone()))
        .collect();
    let implied = implied(compute, &differing);
    differing.extend(implied);
    if !differing.is_empty() {
        return match refused {
            Some(why) => Resize::NeedsRestart(format!("the resize was refused: {why}")),
            None => Resize::Wanted(differing),
        };
    }
    match pod.condition("PodResizePending").filter(|pending| pending.status == "True") {
        Some(pending) => Resize::NeedsRestart(format!(
            "the node does not resize now: {}",
            pending.message.as_deref().or(pending.reason.as_deref()).unwrap_or("no reason given")
        )),
        None => Resize::None,
    }
}

/// The requests that go with changed limits. Where only a limit is said, the API server takes it for the request when a
/// Pod is made, and never again. Without a change of its limit a request is left to whoever changed it.
fn implied(
    compute: &BTreeMap<String, Quantity>,
    differing: &BTreeMap<String, Quantity>,
) -> BTreeMap<String, Quantity> {
    let of = |(name, limit): (&String, &Quantity)| {
        let request = format!("requests.{}", name.strip_prefix("limits.")?);
        (!compute.contains_key(&request)).then(|| (request, limit.clone()))
    };
    differing.iter().filter_map(of).collect()
}

/// The names that were set, for the claim.
pub fn names(compute: &BTreeMap<String, Quantity>) -> BTreeSet<String> {
    compute.keys().cloned().collect()
}

/// The names whose wanted values `pod` has. One that was refused was never set.
pub fn carried_out(compute: &BTreeMap<String, Quantity>, pod: &PodView) -> BTreeSet<String> {
    let has = |(name, wanted): &(&String, &Quantity)| live(pod, name).is_some_and(|live| equal(live, wanted));
    compute.iter().filter(has).map(|(name, _)| name.clone()).collect()
}

fn live<'a>(pod: &'a PodView, name: &str) -> Option<&'a Quantity> {
    let resources = &pod.main()?.resources;
    match name.split_once('.')? {
        ("requests", name) => resources.requests.get(name),
        ("limits", name) => resources.limits.get(name),
        _ => None,
    }
}

/// Whether two quantities are the same amount, however written.
pub fn equal(one: &Quantity, other: &Quantity) -> bool {
    one == other || Amount::of(one).is_some_and(|one| Amount::of(other) == Some(one))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(resources: Value, conditions: Value) -> PodView {
        serde_json::from_value(json!({"metadata": {}, "status": {"conditions": conditions},
            "spec": {"containers": [{"name": "main", "resources": resources}]}}))
        .unwrap()
    }

    fn wanted(pairs: &[(&str, &str)]) -> BTreeMap<String, Quantity> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), Quantity((*value).to_owned()))).collect()
    }

    #[test]
    fn the_same_amount_written_otherwise_is_no_change() {
        let pod = pod(json!({"requests": {"cpu": "1", "memory": "1Gi"}}), json!([]));
        for (cpu, memory) in [("1000m", "1024Mi"), ("1e0", "1073741824"), ("1.0", "1048576Ki")] {
            let wanted = wanted(&[("requests.cpu", cpu), ("requests.memory", memory)]);
            assert_eq!(compare(&wanted, &pod, None, None), Resize::None, "{cpu} {memory}");
        }
    }

    #[test]
    fn what_a_limit_range_filled_in_is_left_alone() {
        let pod = pod(json!({"limits": {"cpu": "1"}}), json!([]));
        assert_eq!(compare(&wanted(&[]), &pod, None, None), Resize::None);
    }

    #[test]
    fn a_changed_limit_takes_the_request_along_that_it_stands_for() {
        let old = pod(json!({"requests": {"cpu": "1"}, "limits": {"cpu": "1"}}), json!([]));
        let limit = wanted(&[("limits.cpu", "2")]);
        let both = wanted(&[("limits.cpu", "2"), ("requests.cpu", "2")]);
        assert_eq!(compare(&limit, &old, None, None), Resize::Wanted(both));
        let other = wanted(&[("limits.cpu", "2"), ("requests.cpu", "1")]);
        assert_eq!(compare(&other, &old, None, None), Resize::Wanted(limit.clone()));
        // Somebody gave it another request, say a VerticalPodAutoscaler.
        let theirs = pod(json!({"requests": {"cpu": "1"}, "limits": {"cpu": "2"}}), json!([]));
        assert_eq!(compare(&limit, &theirs, None, None), Resize::None);
    }

    #[test]
    fn a_value_taken_away_needs_a_restart() {
        let claim = Claim { resources: ["limits.cpu".to_owned()].into(), ..Default::default() };
        let pod = pod(json!({"limits": {"cpu": "1"}}), json!([]));
        assert!(matches!(compare(&wanted(&[]), &pod, Some(&claim), None), Resize::NeedsRestart(_)));
    }

    #[test]
    fn a_refusal_and_a_node_that_waits_need_a_restart() {
        let cpu = wanted(&[("requests.cpu", "2")]);
        let small = pod(json!({"requests": {"cpu": "1"}}), json!([]));
        assert_eq!(compare(&cpu, &small, None, None), Resize::Wanted(cpu.clone()));
        assert!(matches!(compare(&cpu, &small, None, Some("no")), Resize::NeedsRestart(_)));
        let pending = json!([{"type": "PodResizePending", "status": "True", "reason": "Infeasible"}]);
        assert!(matches!(
            compare(&cpu, &pod(json!({"requests": {"cpu": "2"}}), pending), None, None),
            Resize::NeedsRestart(_)
        ));
    }
}
