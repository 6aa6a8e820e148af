//! Whether a workspace is to run. Holds are independent of each other and of `runState`: each actor takes away
//! only its own.

use std::collections::BTreeMap;

use crate::api::{
    Reason, names,
    workspace::{RunState, WorkspaceSpec},
};

/// Whether a workspace is to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Run {
    Running,
    Suspended(Suspension),
}

/// Why it is not to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suspension {
    pub reason: Reason,
    /// Whether holds on the namespace, and nothing of the workspace itself, keep it stopped.
    pub is_namespace_s: bool,
    pub message: String,
}

/// Reads `runState`, then the holds on the workspace, then those on its namespace.
pub fn run(spec: &WorkspaceSpec, workspace: &Annotations, namespace: &Annotations) -> Run {
    if spec.run_state == Some(RunState::Stopped) {
        return Run::Suspended(Suspension {
            reason: Reason::Stopped,
            is_namespace_s: false,
            message: "spec.runState is Stopped".to_owned(),
        });
    }
    let mut holds: Vec<String> = holds(workspace).map(|(actor, why)| described(actor, why)).collect();
    let is_namespace_s = holds.is_empty();
    holds.extend(
        self::holds(namespace).map(|(actor, why)| format!("{} on the namespace", described(actor, why))),
    );
    if holds.is_empty() {
        return Run::Running;
    }
    let message = format!("held by {}", holds.join("; "));
    Run::Suspended(Suspension { reason: Reason::Held, is_namespace_s, message })
}

/// Annotations as the API has them.
pub type Annotations = BTreeMap<String, String>;

/// Every hold among `annotations`: the actor and why.
pub fn holds(annotations: &Annotations) -> impl Iterator<Item = (&str, &str)> {
    annotations.iter().filter_map(|(key, why)| Some((key.strip_prefix(names::HOLD_PREFIX)?, why.as_str())))
}

fn described(actor: &str, why: &str) -> String {
    let why: String = why.chars().take(200).collect();
    if why.is_empty() { actor.to_owned() } else { format!("{actor} ({why})") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn annotations(pairs: &[(&str, &str)]) -> Annotations {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn any_hold_suspends_whoever_set_it() {
        let night = annotations(&[("hold.workspaces.dev/night", "until 7")]);
        for (workspace, namespace) in [(&night, &Annotations::new()), (&Annotations::new(), &night)] {
            let Run::Suspended(why) = run(&WorkspaceSpec::default(), workspace, namespace) else {
                panic!("not held")
            };
            assert_eq!(why.reason, Reason::Held);
            assert!(why.message.contains("night (until 7)"));
        }
    }

    #[test]
    fn stopped_comes_before_held() {
        let spec = WorkspaceSpec { run_state: Some(RunState::Stopped), ..Default::default() };
        let Run::Suspended(why) =
            run(&spec, &annotations(&[("hold.workspaces.dev/a", "")]), &Annotations::new())
        else {
            panic!("not stopped")
        };
        assert_eq!(why.reason, Reason::Stopped);
    }

    #[test]
    fn nobody_holds_means_running() {
        let other = annotations(&[("workspaces.dev/restartedAt", "x")]);
        assert_eq!(run(&WorkspaceSpec::default(), &other, &Annotations::new()), Run::Running);
    }
}
