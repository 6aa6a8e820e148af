//! Whether a workspace is to run. Holds are independent of each other and of `runState`: each actor takes away
//! only its own.

use std::collections::BTreeMap;

use jiff::Timestamp;

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
    /// Where it is stopped because nobody used it: the last activity that was known then.
    pub idle_since: Option<Timestamp>,
    pub message: String,
}

/// Reads `runState`, then the holds on the workspace, then those on its namespace.
pub fn run(spec: &WorkspaceSpec, workspace: &Annotations, namespace: &Annotations) -> Run {
    if spec.run_state == Some(RunState::Stopped) {
        return Run::Suspended(Suspension {
            reason: Reason::Stopped,
            is_namespace_s: false,
            idle_since: None,
            message: "spec.runState is Stopped".to_owned(),
        });
    }
    let idle = workspace.get(names::IDLE_HOLD).and_then(|value| idle_since(value));
    let of_actors = holds(workspace).filter(|(actor, _)| idle.is_none() || *actor != IDLE);
    let mut holds: Vec<String> = of_actors.map(|(actor, why)| described(actor, why)).collect();
    let is_namespace_s = holds.is_empty();
    holds.extend(
        self::holds(namespace).map(|(actor, why)| format!("{} on the namespace", described(actor, why))),
    );
    match idle {
        Some(_) if holds.is_empty() => {
            return Run::Suspended(Suspension {
                reason: Reason::Idle,
                is_namespace_s: false,
                idle_since: idle,
                message: asleep(idle),
            });
        }
        None if holds.is_empty() => return Run::Running,
        _ => {}
    }
    let message = format!("held by {}", holds.join("; "));
    Run::Suspended(Suspension { reason: Reason::Held, is_namespace_s, idle_since: None, message })
}

/// Annotations as the API has them.
pub type Annotations = BTreeMap<String, String>;

/// Every hold among `annotations`: the actor and why.
pub fn holds(annotations: &Annotations) -> impl Iterator<Item = (&str, &str)> {
    annotations.iter().filter_map(|(key, why)| Some((key.strip_prefix(names::HOLD_PREFIX)?, why.as_str())))
}

/// The operator's own among the actors.
const IDLE: &str = "idle";
const NO_ACTIVITY: &str = "no activity since ";

/// The value of the operator's own hold.
pub fn idle_hold(since: Timestamp) -> String {
    format!("{NO_ACTIVITY}{since}")
}

/// The last activity by that value. What somebody else wrote there is a hold like any other.
fn idle_since(value: &str) -> Option<Timestamp> {
    value.strip_prefix(NO_ACTIVITY)?.parse().ok()
}

fn asleep(since: Option<Timestamp>) -> String {
    let since = since.map(idle_hold).unwrap_or_default();
    format!("{since}; to wake it, take the annotation {} away", names::IDLE_HOLD)
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
    fn idle_is_said_after_every_other_hold_and_only_where_the_operator_set_it() {
        let since: Timestamp = "2026-01-01T12:00:00Z".parse().unwrap();
        let own = (names::IDLE_HOLD, idle_hold(since));
        let told = |pairs: &[(&str, &str)]| match run(
            &WorkspaceSpec::default(),
            &annotations(pairs),
            &Annotations::new(),
        ) {
            Run::Suspended(why) => (why.reason, why.idle_since, why.message),
            Run::Running => panic!("not held"),
        };
        let idle = told(&[(own.0, &own.1)]);
        assert_eq!((idle.0, idle.1), (Reason::Idle, Some(since)));
        assert!(
            idle.2.contains("no activity since 2026-01-01T12:00:00Z") && idle.2.contains(names::IDLE_HOLD)
        );
        let both = told(&[(own.0, &own.1), ("hold.workspaces.dev/night", "")]);
        assert_eq!((both.0, both.1, both.2.as_str()), (Reason::Held, None, "held by night"));
        let somebody_s = told(&[(own.0, "I am away")]);
        assert_eq!((somebody_s.0, somebody_s.2.as_str()), (Reason::Held, "held by idle (I am away)"));
    }

    #[test]
    fn nobody_holds_means_running() {
        let other = annotations(&[("workspaces.dev/restartedAt", "x")]);
        assert_eq!(run(&WorkspaceSpec::default(), &other, &Annotations::new()), Run::Running);
    }
}
