//! What a Pod's status says about it, as one reason. A probe or API error is unknown, never dead: only the Pod's
//! own end counts as an end.

use std::time::Duration;

use jiff::Timestamp;

use crate::{
    api::{Reason, names},
    registration,
    view::{
        PodView,
        pod::{ContainerStatus, Terminated, Waiting},
    },
};

/// How long a container has to run after its last restart before it counts as out of its crash loop.
const CALM: Duration = Duration::from_secs(10);
/// How long containers may be in the making before the reason is looked for in events.
pub const MOUNT_PATIENCE: Duration = Duration::from_secs(15);
/// How long past its deadline a Pod may go on terminating before its node counts as lost.
pub const OVERDUE: Duration = Duration::from_secs(30);

/// How a Pod is.
#[derive(Clone, Debug, PartialEq)]
pub enum Health {
    Ready,
    NotReady(Cause),
    /// It ended for good, and has to be replaced.
    Finished(Cause),
}

/// What is in a Pod's way.
#[derive(Clone, Debug, PartialEq)]
pub struct Cause {
    pub reason: Reason,
    pub message: String,
    pub exit_code: Option<i32>,
    /// When to look again, though nothing may have changed.
    pub review_at: Option<Timestamp>,
}

impl Cause {
    fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), exit_code: None, review_at: None }
    }
}

/// Judges `pod` at `now`. `previous` is the reason shown so far, to which a loop that pauses keeps;
/// `mount_failure` is what the node says about its volume, where that was asked.
pub fn assess(
    pod: &PodView,
    previous: Option<Reason>,
    mount_failure: Option<&str>,
    now: Timestamp,
) -> Health {
    if let Some("Failed" | "Succeeded") = pod.status.phase.as_deref() {
        return Health::Finished(end(pod));
    }
    if let Some(cause) = lost_node(pod, now) {
        return Health::NotReady(cause);
    }
    if let Some(cause) = crash_loop_pause(pod, previous, now) {
        return Health::NotReady(cause);
    }
    if pod.is_true("Ready") {
        return Health::Ready;
    }
    let cause = unschedulable(pod)
        .or_else(|| pod.status.init_container_statuses.iter().find_map(failed_init))
        .or_else(|| by_container(pod, |container| failed(container, previous)))
        .or_else(|| mount_failure.map(|message| Cause::new(Reason::VolumeAttachFailed, message)))
        .or_else(|| unregistered(pod, previous))
        .unwrap_or_else(|| Cause::new(Reason::AwaitingReadiness, "started, not Ready yet"));
    Health::NotReady(cause)
}

/// Since when `pod` is placed while its containers can't be made yet. After [`MOUNT_PATIENCE`] of that, the node's
/// events are asked for a mount failure.
pub fn creating_since(pod: &PodView) -> Option<Timestamp> {
    let scheduled = pod.condition("PodScheduled").filter(|condition| condition.status == "True")?;
    let waiting = pod.main_status()?.state.waiting.as_ref()?;
    let is_creating = matches!(waiting.reason.as_deref(), Some("ContainerCreating" | "PodInitializing"));
    scheduled.last_transition_time.as_ref().filter(|_| is_creating).map(|time| time.0)
}

fn end(pod: &PodView) -> Cause {
    let terminated = pod.main_status().and_then(|main| main.state.terminated.as_ref());
    let mut cause = match (pod.status.reason.as_deref(), terminated) {
        (Some("Evicted"), _) => {
            Cause::new(Reason::Evicted, text(pod.status.message.as_ref(), "evicted by the node"))
        }
        (_, Some(terminated)) => ended(terminated),
        (reason, None) => {
            let reason = reason.unwrap_or("no reason given");
            Cause::new(Reason::PodFailed, text(pod.status.message.as_ref(), reason))
        }
    };
    if cause.reason == Reason::CrashLoopBackOff {
        cause.reason = Reason::PodFailed;
    }
    cause
}

/// The two traces a lost node leaves on a Pod: the taint manager deleted it and nobody carries that out, or its
/// containers are ready by the kubelet's last word and the node controller marked the Pod not Ready.
fn lost_node(pod: &PodView, now: Timestamp) -> Option<Cause> {
    let node = pod.spec.node_name.as_deref()?;
    let message = format!(
        "node {node} does not answer; the Pod can't be replaced while it may still run there. If the node is down \
         for good, say so: kubectl taint nodes {node} node.kubernetes.io/out-of-service=nodeshutdown:NoExecute"
    );
    if let Some(deadline) = pod.termination_deadline() {
        let by_taint = pod
            .condition("DisruptionTarget")
            .is_some_and(|target| target.reason.as_deref() == Some("DeletionByTaintManager"));
        let overdue = deadline.saturating_add(OVERDUE).unwrap_or(Timestamp::MAX);
        return (by_taint && now >= overdue).then(|| Cause::new(Reason::NodeLost, message));
    }
    let ready = pod.condition("Ready")?;
    let marked = ready.status == "False"
        && ready.reason.is_none()
        && pod.is_true("ContainersReady")
        && pod.main_status().is_some_and(|main| main.ready);
    marked.then(|| Cause::new(Reason::NodeLost, message))
}

/// What is told of one of the containers, of the main one before the sidecars, which are named.
fn by_container(pod: &PodView, told: impl Fn(&ContainerStatus) -> Option<Cause>) -> Option<Cause> {
    let of_main = pod.main_status().and_then(&told);
    let sidecars = pod.status.container_statuses.iter().filter(|one| one.name != names::MAIN_CONTAINER);
    of_main.or_else(|| {
        sidecars.into_iter().find_map(|sidecar| {
            let mut cause = told(sidecar)?;
            cause.message = format!("container {}: {}", sidecar.name, cause.message);
            Some(cause)
        })
    })
}

/// A program that loops is Ready for moments; its reason stays until it has kept calm for a while.
fn crash_loop_pause(pod: &PodView, previous: Option<Reason>, now: Timestamp) -> Option<Cause> {
    let reason = previous.filter(|reason| matches!(reason, Reason::CrashLoopBackOff | Reason::OOMKilled))?;
    by_container(pod, |container| pausing(container, reason, now))
}

fn pausing(container: &ContainerStatus, reason: Reason, now: Timestamp) -> Option<Cause> {
    let container = Some(container).filter(|container| container.restart_count > 0)?;
    let calm_at = container.state.running.as_ref()?.started_at.as_ref()?.0.saturating_add(CALM).ok()?;
    let mut cause = container.last_state.terminated.as_ref().map_or_else(|| Cause::new(reason, ""), ended);
    cause.review_at = Some(calm_at);
    (now < calm_at).then_some(cause)
}

fn unschedulable(pod: &PodView) -> Option<Cause> {
    let scheduled = pod.condition("PodScheduled").filter(|condition| condition.status == "False")?;
    let message = scheduled.message.as_deref().unwrap_or("no node fits");
    // A claim that is not bound yet is the volume's story, and over before the scheduler looks again.
    // So is one that the scheduler has not heard of yet.
    (!message.to_lowercase().contains("persistentvolumeclaim")
        && scheduled.reason.as_deref() == Some("Unschedulable"))
    .then(|| Cause::new(Reason::Unschedulable, message))
}

/// All that is missing is that the program registers. Between its registration and the kubelet's word on it the reason
/// stays: that takes a moment only.
fn unregistered(pod: &PodView, previous: Option<Reason>) -> Option<Cause> {
    let is_awaited = pod.requires_registration() && pod.is_true("ContainersReady");
    let is_only_gate = pod.spec.readiness_gates.len() == 1;
    let is_passing = previous == Some(Reason::AwaitingRegistration) && is_only_gate;
    (is_awaited && (!pod.is_true(names::REGISTERED) || is_passing))
        .then(|| Cause::new(Reason::AwaitingRegistration, registration::AWAITED))
}

fn failed_init(init: &ContainerStatus) -> Option<Cause> {
    if let Some(cause) = init.state.waiting.as_ref().and_then(|waiting| refused_image(waiting, None)) {
        return Some(cause);
    }
    let looping =
        init.state.waiting.as_ref().is_some_and(|w| w.reason.as_deref() == Some("CrashLoopBackOff"));
    let failed = [&init.state, &init.last_state].into_iter().find_map(|state| state.terminated.as_ref());
    let failed = failed.filter(|terminated| terminated.exit_code != 0 && (looping || !init.ready))?;
    let mut cause = ended(failed);
    cause.reason = Reason::InitFailed;
    cause.message = format!("init container {}: {}", init.name, cause.message);
    Some(cause)
}

fn failed(container: &ContainerStatus, previous: Option<Reason>) -> Option<Cause> {
    let last = container.last_state.terminated.as_ref();
    if let Some(waiting) = &container.state.waiting {
        return match waiting.reason.as_deref() {
            Some("CrashLoopBackOff") => Some(last.map_or_else(
                || Cause::new(Reason::CrashLoopBackOff, "the program ends again and again"),
                ended,
            )),
            Some("CreateContainerConfigError" | "CreateContainerError" | "RunContainerError") => Some(
                Cause::new(Reason::CreateContainerConfigError, text(waiting.message.as_ref(), "no message")),
            ),
            _ => refused_image(waiting, previous),
        };
    }
    container.state.terminated.as_ref().map(ended)
}

/// Whether this is one of the kubelet's words for an image that can't be had.
pub fn is_image_refusal(reason: &str) -> bool {
    const WORDS: &[&str] = &[
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "ImageInspectError",
        "RegistryUnavailable",
        "SignatureValidationFailed",
    ];
    WORDS.contains(&reason)
}

/// The kubelet goes back and forth between two words for an image it can't pull; the later one stays.
fn refused_image(waiting: &Waiting, previous: Option<Reason>) -> Option<Cause> {
    let reason = match waiting.reason.as_deref()? {
        "ImagePullBackOff" => Reason::ImagePullBackOff,
        "ErrImagePull" if previous == Some(Reason::ImagePullBackOff) => Reason::ImagePullBackOff,
        reason if is_image_refusal(reason) => Reason::ErrImagePull,
        _ => return None,
    };
    Some(Cause::new(reason, text(waiting.message.as_ref(), "the image can't be pulled")))
}

fn ended(terminated: &Terminated) -> Cause {
    let oom = terminated.reason.as_deref() == Some("OOMKilled");
    let reason = if oom { Reason::OOMKilled } else { Reason::CrashLoopBackOff };
    let mut message = match terminated.reason.as_deref() {
        Some("OOMKilled") => "the program used more memory than its limit".to_owned(),
        _ => format!("the program ended with exit code {}", terminated.exit_code),
    };
    if let Some(log) = terminated.message.as_deref().map(str::trim).filter(|log| !log.is_empty()) {
        message = format!("{message}: {}", tail(log));
    }
    Cause { reason, message, exit_code: Some(terminated.exit_code), review_at: None }
}

/// The end of a log is where the reason stands.
fn tail(log: &str) -> String {
    let skip = log.chars().count().saturating_sub(512);
    log.chars().skip(skip).collect()
}

fn text(message: Option<&String>, otherwise: &str) -> String {
    message.filter(|message| !message.is_empty()).map_or_else(|| otherwise.to_owned(), Clone::clone)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn now() -> Timestamp {
        "2026-01-01T12:00:00Z".parse().unwrap()
    }

    fn assess_json(status: Value, previous: Option<Reason>) -> Health {
        let pod = json!({"metadata": {}, "spec": {"nodeName": "n"}, "status": status});
        assess(&serde_json::from_value(pod).unwrap(), previous, None, now())
    }

    fn reason(status: Value, previous: Option<Reason>) -> Option<Reason> {
        match assess_json(status, previous) {
            Health::Ready => None,
            Health::NotReady(cause) | Health::Finished(cause) => Some(cause.reason),
        }
    }

    fn main(state: Value) -> Value {
        json!({"containerStatuses": [{"name": "main", "restartCount": 2, "state": state,
            "lastState": {"terminated": {"exitCode": 7, "message": "boom"}}}]})
    }

    #[test]
    fn a_sidecar_that_fails_is_named_after_the_program_itself() {
        let looping = json!({"waiting": {"reason": "CrashLoopBackOff"}});
        let ended = json!({"terminated": {"exitCode": 2, "message": "no route"}});
        let status = |main: Value| {
            json!({"phase": "Running", "containerStatuses": [
                {"name": "proxy", "state": looping, "lastState": ended, "restartCount": 3}, main]})
        };
        let Health::NotReady(cause) =
            assess_json(status(json!({"name": "main", "ready": true, "state": {"running": {}}})), None)
        else {
            panic!("it is Ready")
        };
        let told = (cause.reason, cause.message.as_str());
        assert_eq!(
            told,
            (Reason::CrashLoopBackOff, "container proxy: the program ended with exit code 2: no route")
        );
        let missing =
            json!({"name": "main", "state": {"waiting": {"reason": "ErrImagePull", "message": "none"}}});
        let Health::NotReady(cause) = assess_json(status(missing), None) else { panic!("it is Ready") };
        assert_eq!(cause.reason, Reason::ErrImagePull, "the program comes first");
    }

    #[test]
    fn every_waiting_reason_has_its_word() {
        for (waiting, expected) in [
            ("ErrImagePull", Reason::ErrImagePull),
            ("ImagePullBackOff", Reason::ImagePullBackOff),
            ("InvalidImageName", Reason::ErrImagePull),
            ("CreateContainerConfigError", Reason::CreateContainerConfigError),
            ("CrashLoopBackOff", Reason::CrashLoopBackOff),
            ("ContainerCreating", Reason::AwaitingReadiness),
        ] {
            assert_eq!(reason(main(json!({"waiting": {"reason": waiting}})), None), Some(expected));
        }
    }

    #[test]
    fn an_image_that_backs_off_does_not_flap() {
        let pulling = main(json!({"waiting": {"reason": "ErrImagePull"}}));
        assert_eq!(reason(pulling, Some(Reason::ImagePullBackOff)), Some(Reason::ImagePullBackOff));
    }

    #[test]
    fn a_crash_loop_stays_the_reason_until_ten_seconds_of_calm() {
        let running = |started: &str| {
            let mut status = main(json!({"running": {"startedAt": started}}));
            status["conditions"] = json!([{"type": "Ready", "status": "True"}]);
            status
        };
        let looping = Some(Reason::CrashLoopBackOff);
        assert_eq!(reason(running("2026-01-01T11:59:55Z"), looping), looping);
        assert_eq!(reason(running("2026-01-01T11:59:50Z"), looping), None);
        assert_eq!(reason(running("2026-01-01T11:59:55Z"), None), None);
    }

    #[test]
    fn the_end_of_the_log_is_told() {
        let Health::NotReady(cause) =
            assess_json(main(json!({"waiting": {"reason": "CrashLoopBackOff"}})), None)
        else {
            panic!("not looping")
        };
        assert_eq!(
            (cause.message.as_str(), cause.exit_code),
            ("the program ended with exit code 7: boom", Some(7))
        );
    }

    #[test]
    fn only_the_pod_s_own_end_is_an_end() {
        assert!(matches!(
            assess_json(json!({"phase": "Failed", "reason": "Evicted"}), None),
            Health::Finished(_)
        ));
        assert!(matches!(assess_json(json!({"phase": "Unknown"}), None), Health::NotReady(_)));
    }

    #[test]
    fn a_pod_whose_node_fell_silent_is_explained() {
        let status = json!({"conditions": [{"type": "Ready", "status": "False"}, {"type": "ContainersReady", "status": "True"}],
            "containerStatuses": [{"name": "main", "ready": true, "state": {"running": {}}}]});
        assert_eq!(reason(status, None), Some(Reason::NodeLost));
    }

    #[test]
    fn a_program_that_has_not_registered_is_what_is_missing() {
        let pod = |gates: Value, registered: &str, ready: &str| -> PodView {
            let conditions = json!([{"type": "ContainersReady", "status": "True"}, {"type": "Ready", "status": ready, "reason": "ReadinessGatesNotReady"},
                {"type": "workspaces.dev/registered", "status": registered}]);
            serde_json::from_value(json!({"metadata": {}, "spec": {"nodeName": "n", "readinessGates": gates},
                "status": {"conditions": conditions, "containerStatuses": [{"name": "main", "ready": true, "state": {"running": {}}}]}}))
            .unwrap()
        };
        let told = |pod: &PodView, previous: Option<Reason>| match assess(pod, previous, None, now()) {
            Health::NotReady(cause) => cause.reason,
            other => panic!("{other:?}"),
        };
        let own = json!([{"conditionType": "workspaces.dev/registered"}]);
        let others = json!([{"conditionType": "workspaces.dev/registered"}, {"conditionType": "other"}]);
        let awaited = Reason::AwaitingRegistration;
        assert_eq!(told(&pod(own.clone(), "False", "False"), None), awaited);
        assert_eq!(
            told(&pod(own.clone(), "True", "False"), Some(awaited)),
            awaited,
            "the kubelet is a moment late"
        );
        assert_eq!(told(&pod(own.clone(), "True", "False"), None), Reason::AwaitingReadiness);
        assert_eq!(told(&pod(others, "True", "False"), Some(awaited)), Reason::AwaitingReadiness);
        assert_eq!(assess(&pod(own, "True", "True"), Some(awaited), None, now()), Health::Ready);
    }

    #[test]
    fn an_unbound_claim_is_not_the_scheduler_s_fault() {
        let status = |message: &str| json!({"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}]});
        assert_eq!(reason(status("0/3 nodes are available"), None), Some(Reason::Unschedulable));
        let unbound = status("0/3: pod has unbound immediate PersistentVolumeClaims");
        assert_eq!(reason(unbound, None), Some(Reason::AwaitingReadiness));
        let unheard_of = status("persistentvolumeclaim \"x\" not found");
        assert_eq!(reason(unheard_of, None), Some(Reason::AwaitingReadiness));
    }
}
