//! Pure: the gate that changes from outside pass, so many workspaces of a class at a time. How many places are taken
//! is read off the workspaces themselves, so nothing is lost with an operator.

use k8s_openapi::{
    apimachinery::pkg::apis::meta::v1::Condition, apimachinery::pkg::util::intstr::IntOrString,
};

use crate::{
    api::{
        ConditionType, Reason, Workspace, WorkspaceStatus,
        class::Rollout,
        status::{StartCause, StopCause},
    },
    protection::Protection,
};

/// Where the rollout is not told otherwise.
const DEFAULT_PERCENT: usize = 10;

/// Reasons of Ready that say that the program or its image is at fault, so that the next one would fare no better.
const FAILURES: &[Reason] = &[
    Reason::CrashLoopBackOff,
    Reason::OOMKilled,
    Reason::ErrImagePull,
    Reason::ImagePullBackOff,
    Reason::CreateContainerConfigError,
    Reason::InitFailed,
    Reason::PodFailed,
    Reason::PodRefused,
    Reason::BackingOff,
];

/// Reasons of UpToDate that say that the change could not be carried out.
const DECLINES: &[Reason] = &[Reason::RestartDeclined, Reason::PodRefused, Reason::QuotaExceeded];

/// How one workspace counts, as its status tells.
#[allow(clippy::struct_excessive_bools, reason = "five independent questions")]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// It is neither stopped nor being deleted.
    pub is_running: bool,
    /// It runs, by the newest inputs.
    pub is_up_to_date: bool,
    /// It is down for a change from outside.
    pub has_place: bool,
    /// It waits for its turn.
    pub is_waiting: bool,
    pub failure: Option<Failure>,
}

/// That a change from outside made a workspace fail, or could not be carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Only while the class has this generation: whatever came after is another change.
    pub generation: Option<i64>,
    /// What happened, for people.
    pub message: String,
}

impl Standing {
    /// Reads `workspace`'s status.
    pub fn of(workspace: &Workspace) -> Self {
        let default_status = WorkspaceStatus::default();
        let status = workspace.status.as_ref().unwrap_or(&default_status);
        let suspended = condition(status, ConditionType::Suspended);
        let is_waiting_to_run = has_reason(suspended, Reason::AwaitingRollout);
        let is_stopped = suspended.is_some_and(|suspended| suspended.status == "True")
            || has_reason(suspended, Reason::Stopping)
            || is_waiting_to_run;
        let is_running = !is_stopped && workspace.metadata.deletion_timestamp.is_none();
        let up_to_date = condition(status, ConditionType::UpToDate);
        if !is_running {
            let is_waiting = is_waiting_to_run && workspace.metadata.deletion_timestamp.is_none();
            let has_place = is_waiting && up_to_date.is_some_and(is_place);
            return Self { is_waiting: is_waiting && !has_place, has_place, ..Self::default() };
        }
        let is_ready = is_true(status, ConditionType::Ready);
        Self {
            is_running,
            is_up_to_date: is_ready && up_to_date.is_some_and(|up_to_date| up_to_date.status == "True"),
            has_place: has_place(status),
            is_waiting: has_reason(up_to_date, Reason::AwaitingRollout),
            failure: failure(workspace, status),
        }
    }
}

/// Whether an UpToDate condition says that its turn has come.
pub fn is_place(up_to_date: &Condition) -> bool {
    up_to_date.reason == Reason::RollingOut.as_str()
}

/// Whether an UpToDate condition says that the change could not be carried out.
pub fn is_decline(up_to_date: &Condition) -> bool {
    is_one_of(up_to_date, DECLINES)
}

/// Whether `status` takes a place: from where it says so until it is Ready for the first time.
pub fn has_place(status: &WorkspaceStatus) -> bool {
    if condition(status, ConditionType::UpToDate).is_some_and(is_place) {
        return true;
    }
    let Some(incarnation) = &status.incarnation else { return false };
    match status.last_stop.as_ref().filter(|stop| stop.incarnation == incarnation.number) {
        Some(stop) => stop.cause == StopCause::Rollout,
        None => incarnation.cause == Some(StartCause::Rollout) && incarnation.ready_time.is_none(),
    }
}

fn failure(workspace: &Workspace, status: &WorkspaceStatus) -> Option<Failure> {
    let incarnation = status.incarnation.as_ref()?;
    let ready = condition(status, ConditionType::Ready)?;
    let told = |condition: &Condition| format!("{}: {}", condition.reason, condition.message);
    if ready.status == "True" {
        // A spec that its owner changed is the owner's affair, and so is a restart that somebody asked for.
        let is_asked_for = status.requested_restart_at > status.last_handled_restart_at;
        let is_from_outside = incarnation.generation == workspace.metadata.generation && !is_asked_for;
        // A full namespace says nothing about the change.
        let declined = condition(status, ConditionType::UpToDate).filter(|up_to_date| {
            is_decline(up_to_date) && up_to_date.reason != Reason::QuotaExceeded.as_str()
        })?;
        return is_from_outside.then(|| Failure { generation: None, message: told(declined) });
    }
    if incarnation.cause != Some(StartCause::Rollout) {
        return None;
    }
    let stalled = condition(status, ConditionType::Stalled).filter(|stalled| stalled.status == "True");
    let is_failing = stalled.is_some() || is_one_of(ready, FAILURES);
    // One that was Ready and broke later speaks against the change that is under way, not against later ones.
    let generation = if incarnation.ready_time.is_none() { None } else { Some(class_generation(status)?) };
    is_failing.then(|| Failure { generation, message: told(stalled.unwrap_or(ready)) })
}

fn class_generation(status: &WorkspaceStatus) -> Option<i64> {
    status.incarnation.as_ref()?.class.as_ref()?.generation
}

fn condition(status: &WorkspaceStatus, type_: ConditionType) -> Option<&Condition> {
    status.conditions.iter().find(|condition| condition.type_ == type_.as_str())
}

fn is_true(status: &WorkspaceStatus, type_: ConditionType) -> bool {
    condition(status, type_).is_some_and(|condition| condition.status == "True")
}

fn has_reason(condition: Option<&Condition>, reason: Reason) -> bool {
    condition.is_some_and(|condition| condition.reason == reason.as_str())
}

fn is_one_of(condition: &Condition, reasons: &[Reason]) -> bool {
    reasons.iter().any(|reason| condition.reason == reason.as_str())
}

/// How many places a gate has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Width {
    pub max_unavailable: usize,
    pub max_failed: usize,
    pub is_paused: bool,
}

impl Width {
    /// The width for `running` workspaces.
    pub fn of(rollout: Option<&Rollout>, running: usize) -> Self {
        let default_rollout = Rollout::default();
        let Rollout { max_unavailable, max_failed, paused } = rollout.unwrap_or(&default_rollout);
        let max_unavailable = max_unavailable
            .as_ref()
            .map_or(running * DEFAULT_PERCENT / 100, |value| count(value, running))
            .max(1);
        let max_failed = max_failed.as_ref().map_or(max_unavailable, |value| count(value, running).max(1));
        Self { max_unavailable, max_failed, is_paused: paused.unwrap_or(false) }
    }
}

/// A number, or a percentage of `all`, rounded down.
fn count(value: &IntOrString, all: usize) -> usize {
    match value {
        IntOrString::Int(number) => usize::try_from(*number).unwrap_or(0),
        IntOrString::String(text) => match text.strip_suffix('%') {
            Some(percent) => percent.parse::<usize>().map_or(0, |percent| all * percent.min(100) / 100),
            None => text.parse().unwrap_or(0),
        },
    }
}

/// What a gate's workspaces amount to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Census {
    pub running: usize,
    /// Places that are taken, or promised.
    pub places: usize,
    pub failed: usize,
}

/// Why a workspace has to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    Paused,
    TooManyFailed,
    Full,
}

/// What is asked of a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asker {
    /// It serves, and would be down.
    Serving,
    /// It serves, and the change could not be carried out before: trying again is how that heals.
    Declined,
    /// It is down as it is, and so takes nothing from anybody.
    Down,
}

/// Whether one more may go.
pub fn judge(census: &Census, width: Width, asker: Asker) -> Result<(), Closed> {
    if !Protection::RolloutGate.holds() {
        return Ok(());
    }
    if width.is_paused {
        return Err(Closed::Paused);
    }
    if asker == Asker::Down {
        return Ok(());
    }
    if asker == Asker::Serving && census.failed >= width.max_failed {
        return Err(Closed::TooManyFailed);
    }
    if census.places >= width.max_unavailable { Err(Closed::Full) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::fixtures;

    fn width(rollout: Value, running: usize) -> (usize, usize) {
        let rollout: Rollout = serde_json::from_value(rollout).unwrap();
        let Width { max_unavailable, max_failed, is_paused: _ } = Width::of(Some(&rollout), running);
        (max_unavailable, max_failed)
    }

    /// The status of a workspace with these conditions, as `Ready=False/CrashLoopBackOff`.
    fn status(conditions: &[&str], incarnation: Value, last_stop: Value) -> WorkspaceStatus {
        let conditions: Vec<Value> = conditions
            .iter()
            .map(|condition| {
                let (type_, told) = condition.split_once('=').unwrap();
                let (status, reason) = told.split_once('/').unwrap();
                json!({"type": type_, "status": status, "reason": reason, "message": "m",
                       "lastTransitionTime": "2026-01-01T00:00:00Z"})
            })
            .collect();
        serde_json::from_value(
            json!({"conditions": conditions, "incarnation": incarnation, "lastStop": last_stop}),
        )
        .unwrap()
    }

    fn standing(conditions: &[&str], incarnation: Value, last_stop: Value) -> Standing {
        Standing::of(&fixtures::workspace(json!({}), status(conditions, incarnation, last_stop)))
    }

    #[test]
    fn a_tenth_and_at_least_one_may_be_down_unless_said_otherwise() {
        assert_eq!(width(json!({}), 5), (1, 1));
        assert_eq!(width(json!({}), 200), (20, 20));
        assert_eq!(width(json!({"maxUnavailable": 3}), 200), (3, 3));
        assert_eq!(width(json!({"maxUnavailable": "25%", "maxFailed": 2}), 10), (2, 2));
        assert_eq!(width(json!({"maxUnavailable": 0, "maxFailed": 0}), 10), (1, 1));
    }

    #[test]
    fn a_place_is_taken_from_the_recorded_stop_to_the_first_ready() {
        let rolled = |ready: Value| json!({"number": 2, "cause": "Rollout", "readyTime": ready});
        let cases = [
            (json!({"number": 1}), json!({"incarnation": 1, "cause": "Rollout"}), true),
            (json!({"number": 1}), json!({"incarnation": 1, "cause": "Restart"}), false),
            (rolled(Value::Null), Value::Null, true),
            (rolled(Value::Null), json!({"incarnation": 2, "cause": "Restart"}), false),
            (rolled(json!("2026-01-01T00:00:00Z")), Value::Null, false),
            (json!({"number": 2, "cause": "InputsChanged"}), Value::Null, false),
        ];
        for (incarnation, stop, is_taken) in cases {
            let told = format!("{incarnation} {stop}");
            assert_eq!(has_place(&status(&[], incarnation, stop)), is_taken, "{told}");
        }
    }

    #[test]
    fn what_is_stopped_counts_for_nothing() {
        let rolled = json!({"number": 2, "cause": "Rollout"});
        for suspended in ["True/Held", "True/NamespaceHeld", "False/Stopping"] {
            let suspended = format!("Suspended={suspended}");
            let standing = standing(&["Ready=False/Held", &suspended], rolled.clone(), Value::Null);
            assert_eq!(standing, Standing::default(), "{suspended}");
        }
        let waits = standing(&["Suspended=False/AwaitingRollout"], rolled, Value::Null);
        assert_eq!(waits, Standing { is_waiting: true, ..Standing::default() });
    }

    #[test]
    fn only_a_change_from_outside_is_a_failure_of_the_rollout() {
        let failing = ["Ready=False/CrashLoopBackOff", "Stalled=False/Progressing"];
        let by = |cause: &str| json!({"number": 2, "cause": cause, "generation": 1});
        assert!(standing(&failing, by("Rollout"), Value::Null).failure.is_some());
        assert!(standing(&failing, by("InputsChanged"), Value::Null).failure.is_none());
        let unlucky = ["Ready=False/Unschedulable", "Stalled=False/Progressing"];
        assert!(standing(&unlucky, by("Rollout"), Value::Null).failure.is_none());
        let late = ["Ready=False/Unschedulable", "Stalled=True/DeadlineExceeded"];
        assert!(standing(&late, by("Rollout"), Value::Null).failure.is_some());
        let declined = ["Ready=True/Running", "UpToDate=False/RestartDeclined"];
        assert!(standing(&declined, by("Created"), Value::Null).failure.is_some());
        let full = ["Ready=True/Running", "UpToDate=False/QuotaExceeded"];
        assert!(standing(&full, by("Created"), Value::Null).failure.is_none(), "its namespace is full");
        let own = json!({"number": 2, "cause": "Created", "generation": 0});
        assert!(standing(&declined, own, Value::Null).failure.is_none(), "its owner changed the spec");
        let mut asked = status(&declined, by("Created"), Value::Null);
        asked.requested_restart_at = Some(crate::api::RestartTime(fixtures::now()));
        let asked = Standing::of(&fixtures::workspace(json!({}), asked));
        assert!(asked.failure.is_none(), "somebody asked for a restart");
    }

    #[test]
    fn one_that_broke_after_it_was_ready_speaks_against_its_own_class_only() {
        let incarnation = json!({"number": 2, "cause": "Rollout", "readyTime": "2026-01-01T00:00:00Z",
                                 "class": {"name": "c", "generation": 7}});
        let failure = standing(&["Ready=False/CrashLoopBackOff"], incarnation, Value::Null).failure.unwrap();
        assert_eq!(failure.generation, Some(7));
    }

    fn census(places: usize, failed: usize) -> Census {
        Census { running: 10, places, failed }
    }

    #[test]
    fn a_gate_closes_when_paused_full_or_failing() {
        let open = Width { max_unavailable: 2, max_failed: 2, is_paused: false };
        let paused = Width { is_paused: true, ..open };
        assert_eq!(judge(&census(1, 1), open, Asker::Serving), Ok(()));
        assert_eq!(judge(&census(2, 0), open, Asker::Serving), Err(Closed::Full));
        assert_eq!(judge(&census(0, 2), open, Asker::Serving), Err(Closed::TooManyFailed));
        for asker in [Asker::Serving, Asker::Declined, Asker::Down] {
            assert_eq!(judge(&census(0, 0), paused, asker), Err(Closed::Paused));
        }
    }

    #[test]
    fn failed_ones_may_try_again_however_many_failed() {
        let open = Width { max_unavailable: 2, max_failed: 1, is_paused: false };
        assert_eq!(judge(&census(9, 9), open, Asker::Down), Ok(()));
        assert_eq!(judge(&census(1, 9), open, Asker::Declined), Ok(()));
        assert_eq!(judge(&census(2, 9), open, Asker::Declined), Err(Closed::Full));
    }

    proptest! {
        #[test]
        fn whoever_passes_leaves_no_more_down_than_the_width(
            places in 0..20_usize, failed in 0..20_usize, running in 0..500_usize, percent in 0..100_u8,
        ) {
            let rollout: Rollout = serde_json::from_value(json!({"maxUnavailable": format!("{percent}%")})).unwrap();
            let width = Width::of(Some(&rollout), running);
            if judge(&Census { running, places, failed }, width, Asker::Serving).is_ok() {
                prop_assert!(places < width.max_unavailable);
            }
            prop_assert!(width.max_unavailable >= 1);
        }
    }
}
