//! I18: never more than the gate's number of workspaces of a class are down for a change from outside.
//!
//! Down is whoever served and was stopped by an operator for nothing but that, until it serves again or somebody wants
//! something else of it. The gate is as wide as the class ever said, for as many workspaces as it ever had: an operator may
//! know of a change a little later.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use workspace_operator::api::names;

use crate::{
    History, Invariant, Violation, What,
    history::Change,
    object::{Start, Workspace},
    objects::Objects,
    stops::{Reason, Stops},
    violation::Violations,
};

/// A tenth, where the class says nothing.
const DEFAULT_PERCENT: usize = 10;

/// What is known of one gate: a class's, or that of all without one.
#[derive(Default)]
struct Gate<'a> {
    running: BTreeSet<&'a str>,
    most_running: usize,
    down: BTreeSet<&'a str>,
}

pub(crate) fn check(history: &History) -> Vec<Violation> {
    let mut violations = Violations::of(Invariant::I18);
    let mut stops = Stops::of(history);
    let mut widths: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    let mut gates: BTreeMap<&str, Gate<'_>> = BTreeMap::new();
    history.walk(|objects, event| {
        let stop = stops.next(objects, event);
        if let What::Changed(change) = &event.what {
            note(objects, &mut gates, &mut widths, change);
        }
        let Some(stop) =
            stop.filter(|stop| stop.start.is_ready() && stop.reasons == [Reason::Outside].into())
        else {
            return;
        };
        let start = stop.start;
        let workspace =
            objects.workspace(start.object.namespace(), start.workspace_name(), start.workspace_uid());
        let Some(workspace) = workspace else { return };
        let gate = gates.entry(class(workspace)).or_default();
        gate.down.insert(workspace.uid());
        let widths = widths.get(class(workspace)).into_iter().flatten();
        let width = widths.map(|width| count(width, gate.most_running));
        let width = width.max().unwrap_or_else(|| count(&Value::Null, gate.most_running));
        if gate.down.len() > width {
            let what = format!(
                "{} of class {:?} are down for a change from outside, and {width} may be",
                gate.down.len(),
                class(workspace),
            );
            violations.push(stop.at, what);
        }
    });
    violations.all()
}

/// The class it names; empty for none.
fn class(workspace: Workspace<'_>) -> &str {
    workspace.spec()["className"].as_str().unwrap_or_default()
}

fn note<'a>(
    objects: &Objects<'a>,
    gates: &mut BTreeMap<&'a str, Gate<'a>>,
    widths: &mut BTreeMap<&'a str, Vec<&'a Value>>,
    change: &'a Change,
) {
    if let Some(after) = change.after().filter(|_| change.kind == "WorkspaceClass") {
        let width = &after.0["spec"]["rollout"]["maxUnavailable"];
        widths.entry(after.name()).or_default().push(width);
        if after.annotation(names::DEFAULT_CLASS) == Some("true") {
            widths.entry("").or_default().push(width);
        }
    }
    if change.kind == "Workspace"
        && let Some(workspace) = change.object().map(Workspace)
    {
        let gate = gates.entry(class(workspace)).or_default();
        if change.after.is_some() && !objects.is_suspended(workspace) {
            gate.running.insert(workspace.uid());
            gate.most_running = gate.most_running.max(gate.running.len());
        } else {
            gate.running.remove(workspace.uid());
        }
        let wish = |one: Workspace<'_>| (one.generation(), one.0.0["metadata"]["annotations"].clone());
        let is_wanted_anew =
            change.before().map(Workspace).map(wish) != change.after().map(Workspace).map(wish);
        if is_wanted_anew {
            gate.down.remove(workspace.uid());
        }
    }
    if let Some(start) = change.after().and_then(|after| Start::of(&change.kind, after))
        && start.is_ready()
        && !start.object.is_deleting()
    {
        for gate in gates.values_mut() {
            gate.down.remove(start.workspace_uid());
        }
    }
}

/// A number, or a percentage of `all`, rounded down; at least one.
fn count(width: &Value, all: usize) -> usize {
    let percent = |percent: usize| all * percent.min(100) / 100;
    let width = match width {
        Value::String(text) => match text.strip_suffix('%') {
            Some(text) => text.parse().map_or(0, percent),
            None => text.parse().unwrap_or(0),
        },
        Value::Number(number) => number.as_u64().and_then(|number| number.try_into().ok()).unwrap_or(0),
        _ => percent(DEFAULT_PERCENT),
    };
    width.max(1)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::{
        Invariant::I18,
        story::{Story, workspace},
    };

    fn class(image: &str, rollout: Value) -> Value {
        json!({
            "kind": "WorkspaceClass",
            "metadata": {"name": "c", "uid": "c"},
            "spec": {"defaults": {"image": image}, "rollout": rollout},
        })
    }

    fn running(rollout: Value) -> Story {
        let mut story = Story::new().put(class("a", rollout.clone()));
        for name in ["x", "y", "z", "w"] {
            story = story.put(workspace(name, json!({"className": "c"}))).starts(name, 1);
        }
        story.put(class("b", rollout))
    }

    #[test]
    fn one_after_the_other_is_right() {
        let story = running(json!({})).stops("x").starts("x", 2).stops("y").starts("y", 2);
        assert_eq!(story.broken(), []);
    }

    #[test]
    fn more_at_a_time_than_the_gate_is_wide_breaks_it() {
        assert_eq!(running(json!({})).stops("x").stops("y").broken(), [I18]);
        assert_eq!(running(json!({"maxUnavailable": 2})).stops("x").stops("y").broken(), []);
        assert_eq!(running(json!({"maxUnavailable": "50%"})).stops("x").stops("y").broken(), []);
        assert_eq!(
            running(json!({"maxUnavailable": "50%"})).stops("x").stops("y").stops("z").broken(),
            [I18]
        );
    }

    #[test]
    fn what_somebody_wants_of_one_does_not_count() {
        let wish = json!({"metadata": {"generation": 2}, "spec": {"runState": "Stopped"}});
        assert_eq!(running(json!({})).stops("x").change("Workspace", "y", wish).stops("y").broken(), []);
    }

    #[test]
    fn whoever_did_not_serve_takes_no_place() {
        let not_ready = json!({"status": {"conditions": [{"type": "Ready", "status": "False"}]}});
        assert_eq!(running(json!({})).stops("x").change("Pod", "y", not_ready).stops("y").broken(), []);
    }
}
