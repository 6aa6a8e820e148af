//! Whether a Pod, or what stands for one, that shows a good token is the newest start of its workspace, and may go on.

use crate::{
    api::{IncarnationNumber, Workspace, class::Backend, names},
    claim::number_of_pod,
    protection::Protection,
    resolve::{Run, suspension},
    view::{Labels, Ownership, PodView, annotation, ownership},
};

use super::{Answer, Identity, Mark, Process};

/// A Pod that is the newest start of its workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incarnation {
    pub workspace: String,
    pub number: IncarnationNumber,
}

/// Why a Pod is not heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Objection {
    /// It is gone, going, somebody else's, or a former start: it is not to come back.
    Stale,
    /// The workspace is being stopped.
    Suspended,
    /// The claim in status is older than the Pod: soon it will not be.
    Unclaimed,
}

impl From<Objection> for Answer {
    fn from(objection: Objection) -> Self {
        match objection {
            Objection::Stale => Self::Stale,
            Objection::Suspended => Self::Suspended,
            Objection::Unclaimed => Self::Unavailable,
        }
    }
}

/// The incarnation that `identity` speaks for, where `pod` has its name and `workspace` the Pod's. `holds` are the
/// annotations of the namespace.
pub fn incarnation(
    identity: &Identity,
    pod: Option<&PodView>,
    workspace: Option<&Workspace>,
    holds: &Labels,
) -> Result<Incarnation, Objection> {
    let (pod, workspace) = pod.zip(workspace).ok_or(Objection::Stale)?;
    let name = workspace.metadata.name.as_deref().unwrap_or_default();
    let owner = workspace.metadata.uid.as_deref().unwrap_or_default();
    let is_ours = ownership(&pod.metadata, name, owner) == Ownership::Ours;
    let is_it = identity.name == identity.backend.object_name(name) && pod.uid() == identity.uid;
    if !is_ours || !is_it || !is_of_its_account(identity, pod) || pod.is_terminating() {
        return Err(Objection::Stale);
    }
    let number = number_of_pod(pod).ok_or(Objection::Stale)?;
    let claimed = workspace.status.as_ref().and_then(|status| status.incarnation.as_ref());
    // An object of the other kind that somebody made up is no incarnation, whatever it carries.
    if claimed.is_some_and(|claimed| claimed.backend.unwrap_or_default() != identity.backend) {
        return Err(Objection::Stale);
    }
    let claimed = claimed.map(|incarnation| incarnation.number).unwrap_or_default();
    if number < claimed && Protection::StaleReportRejection.holds() {
        return Err(Objection::Stale);
    }
    if number > claimed {
        return Err(Objection::Unclaimed);
    }
    if is_stopping(workspace, number, holds) {
        return Err(Objection::Suspended);
    }
    Ok(Incarnation { workspace: name.to_owned(), number })
}

/// The API server binds a token to a Pod only for the Pod's own account, but to a Secret for any.
fn is_of_its_account(identity: &Identity, pod: &PodView) -> bool {
    match identity.backend {
        Backend::Pod => true,
        Backend::External => {
            annotation(&pod.metadata, names::SERVICE_ACCOUNT) == Some(identity.account.as_str())
        }
    }
}

fn is_stopping(workspace: &Workspace, number: IncarnationNumber, holds: &Labels) -> bool {
    let stop = workspace.status.as_ref().and_then(|status| status.last_stop.as_ref());
    let none = Labels::new();
    let annotations = workspace.metadata.annotations.as_ref().unwrap_or(&none);
    workspace.metadata.deletion_timestamp.is_some()
        || stop.is_some_and(|stop| stop.incarnation == number)
        || suspension::run(&workspace.spec, annotations, holds) != Run::Running
}

/// The mark that `pod` has to carry once `process` registered; none where it carries it.
pub fn mark(pod: &PodView, process: &Process) -> Option<Mark> {
    let wanted = Mark { process: process.clone(), restarts: pod.main_restarts() };
    (Mark::of(pod).as_ref() != Some(&wanted)).then_some(wanted)
}

/// Whether `process` is the one that registered, since the container of `pod` was started last.
pub fn is_registered(pod: &PodView, process: &Process) -> bool {
    Mark::of(pod).is_some_and(|mark| mark.process == *process && mark.is_current(pod))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::fixtures;

    fn identity() -> Identity {
        Identity {
            namespace: "ns".into(),
            account: "default".into(),
            backend: Backend::Pod,
            name: "x".into(),
            uid: "uid-3".into(),
            expires: fixtures::at(60),
        }
    }

    fn pod(change: Value) -> PodView {
        let mut pod = json!({
            "metadata": {"name": "x", "namespace": "ns", "uid": "uid-3",
                         "labels": {"workspaces.dev/incarnation": "3", "workspaces.dev/workspace": "x"},
                         "ownerReferences": [{"apiVersion": "workspaces.dev/v1alpha1", "kind": "Workspace", "name": "x", "uid": "owner"}]},
        });
        for (key, value) in change.as_object().unwrap() {
            pod["metadata"][key] = value.clone();
        }
        serde_json::from_value(pod).unwrap()
    }

    fn workspace(spec: Value, status: Value) -> Workspace {
        fixtures::workspace(spec, serde_json::from_value(status).unwrap())
    }

    fn judged(pod: &PodView, workspace: &Workspace) -> Result<i64, Objection> {
        let IncarnationNumber(number) =
            incarnation(&identity(), Some(pod), Some(workspace), &Labels::new())?.number;
        Ok(number)
    }

    #[test]
    fn only_the_living_pod_of_the_newest_claim_is_heard() {
        let claimed = |number: i64| workspace(json!({}), json!({"incarnation": {"number": number}}));
        let sound = pod(json!({}));
        assert_eq!(judged(&sound, &claimed(3)), Ok(3));
        assert_eq!(judged(&sound, &claimed(4)), Err(Objection::Stale));
        assert_eq!(judged(&sound, &claimed(2)), Err(Objection::Unclaimed));
        for change in [
            json!({"uid": "uid-4"}),
            json!({"deletionTimestamp": "2026-01-01T12:00:00Z"}),
            json!({"ownerReferences": []}),
            json!({"labels": {"workspaces.dev/workspace": "x"}}),
        ] {
            assert_eq!(judged(&pod(change.clone()), &claimed(3)), Err(Objection::Stale), "{change}");
        }
        assert_eq!(incarnation(&identity(), None, Some(&claimed(3)), &Labels::new()), Err(Objection::Stale));
        assert_eq!(incarnation(&identity(), Some(&sound), None, &Labels::new()), Err(Objection::Stale));
    }

    #[test]
    fn a_secret_speaks_for_its_own_account_and_name_only() {
        let running = workspace(json!({}), json!({"incarnation": {"number": 3, "backend": "External"}}));
        let secret =
            pod(json!({"name": "x-workspace", "annotations": {"workspaces.dev/service-account": "robot"}}));
        let judged = |account: &str, name: &str| {
            let identity = Identity {
                account: account.into(),
                backend: Backend::External,
                name: name.into(),
                ..identity()
            };
            incarnation(&identity, Some(&secret), Some(&running), &Labels::new()).is_ok()
        };
        assert!(judged("robot", "x-workspace"));
        assert!(!judged("default", "x-workspace"));
        assert!(!judged("robot", "another"));
    }

    #[test]
    fn who_is_being_stopped_is_told_so_until_its_pod_goes() {
        let number = json!({"number": 3});
        let stop = json!({"incarnation": number, "lastStop": {"incarnation": 3, "cause": "Restart"}});
        let sound = pod(json!({}));
        for workspace in [
            workspace(json!({}), stop),
            workspace(json!({"runState": "Stopped"}), json!({ "incarnation": number })),
        ] {
            assert_eq!(judged(&sound, &workspace), Err(Objection::Suspended));
            let going = pod(json!({"deletionTimestamp": "2026-01-01T12:00:00Z"}));
            assert_eq!(judged(&going, &workspace), Err(Objection::Stale));
        }
        let former = json!({"incarnation": number, "lastStop": {"incarnation": 2, "cause": "Restart"}});
        assert_eq!(judged(&sound, &workspace(json!({}), former)), Ok(3));
        let running = workspace(json!({}), json!({ "incarnation": number }));
        let held = Labels::from([("hold.workspaces.dev/night".to_owned(), String::new())]);
        assert_eq!(incarnation(&identity(), Some(&sound), Some(&running), &held), Err(Objection::Suspended));
    }

    #[test]
    fn another_process_or_another_start_of_the_container_has_to_register() {
        let process = Process::of("a");
        let pod = |restarts: i32| {
            let message = Mark { process: Process::of("a"), restarts: 1 }.to_string();
            serde_json::from_value(json!({"metadata": {}, "status": {
                "conditions": [{"type": "workspaces.dev/registered", "status": "True", "message": message}],
                "containerStatuses": [{"name": "main", "restartCount": restarts}]}}))
            .unwrap()
        };
        assert!(is_registered(&pod(1), &process) && mark(&pod(1), &process).is_none());
        assert!(!is_registered(&pod(2), &process) && mark(&pod(2), &process).is_some());
        assert!(!is_registered(&pod(1), &Process::of("b")) && mark(&pod(1), &Process::of("b")).is_some());
    }
}
