//! I15: no Pod carries a forbidden environment name.
//!
//! By the class as it was when the Pod's claim was made. What the operator itself was told to forbid is not known here, nor
//! are the names within Secrets and ConfigMaps that a Pod still refers to as a whole.

use std::collections::BTreeMap;

use serde_json::Value;
use workspace_operator::api::names;

use crate::{
    History, Invariant, Violation, What,
    object::{Object, Start},
    violation::Violations,
};

pub(crate) fn check(history: &History) -> Vec<Violation> {
    let mut violations = Violations::of(Invariant::I15);
    let mut classes: BTreeMap<(&str, Option<i64>), &Value> = BTreeMap::new();
    history.walk(|_, event| {
        let What::Changed(change) = &event.what else { return };
        if let Some(class) = change.after().filter(|_| change.kind == "WorkspaceClass") {
            let forbidden = &class.0["spec"]["bounds"]["forbiddenEnv"];
            classes.insert((class.name(), class.number("/metadata/generation")), forbidden);
        }
        let Some(start) = change.started() else { return };
        let claim = start.claim().unwrap_or(Value::Null);
        let class = claim["class"]["name"].as_str().unwrap_or_default();
        let Some(forbidden) = classes.get(&(class, claim["class"]["generation"].as_i64())) else { return };
        for name in variables(start).filter(|name| !names::RESERVED_ENV.contains(name)) {
            if is_forbidden(forbidden, name) {
                violations.push(event.at, format!("{} carries {name}", start.shown()));
            }
        }
    });
    violations.all()
}

fn variables(start: Start<'_>) -> impl Iterator<Item = &str> {
    let containers = ["/spec/containers", "/spec/initContainers"];
    let containers = containers.into_iter().flat_map(move |list| start.object.list(list));
    containers.flat_map(|one| Object(one).list("/env")).filter_map(|variable| variable["name"].as_str())
}

fn is_forbidden(forbidden: &Value, name: &str) -> bool {
    let listed = |pointer: &str, fits: &dyn Fn(&str) -> bool| {
        Object(forbidden).list(pointer).iter().filter_map(Value::as_str).any(fits)
    };
    listed("/names", &|own| own == name) || listed("/prefixes", &|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::{
        Invariant,
        Invariant::I15,
        story::{Story, claim, pod, workspace},
    };

    fn with(name: &str, generation: i64) -> Vec<Invariant> {
        let class = |generation: i64, names: &[&str]| {
            json!({
                "kind": "WorkspaceClass",
                "metadata": {"name": "c", "uid": "c", "generation": generation},
                "spec": {"bounds": {"forbiddenEnv": {"names": names, "prefixes": ["AWS_"]}}},
            })
        };
        let mut made = pod("x", "x-uid", 1);
        let claimed = json!({"number": 1, "class": {"name": "c", "generation": generation}}).to_string();
        made["metadata"]["annotations"]["workspaces.dev/claim"] = json!(claimed);
        made["spec"]["initContainers"] = json!([{"name": "first", "env": [{"name": name, "value": "1"}]}]);
        Story::new()
            .put(class(1, &[]))
            .put(class(2, &["TOKEN"]))
            .put(workspace("x", json!({"className": "c"})))
            .says("x", claim(1))
            .put(made)
            .broken()
    }

    #[test]
    fn a_forbidden_name_or_beginning_in_any_container_breaks_it() {
        assert_eq!((with("TOKEN", 2), with("AWS_KEY", 2), with("TOKENS", 2)), (vec![I15], vec![I15], vec![]));
    }

    #[test]
    fn the_class_counts_as_it_was_at_the_claim() {
        assert_eq!(with("TOKEN", 1), []);
    }
}
