//! The Secret of a program that runs elsewhere, read as a Pod is. So the lifecycle knows one kind of incarnation only:
//! what a Pod tells by its status, this Secret tells by annotations.

use k8s_openapi::{api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::Time};
use kube::core::PartialObjectMeta;

use crate::{
    api::{class::Backend, names},
    registration::Mark,
};

use super::{
    PodView, annotation,
    pod::{Condition, ContainerState, ContainerStatus, ReadinessGate, RunningState, Spec, Status},
};

/// The Pod that `secret` stands for: its program has to register, is never restarted in place, and is Ready exactly when
/// it has registered.
pub fn as_pod(secret: &PartialObjectMeta<Secret>) -> PodView {
    let metadata = secret.metadata.clone();
    let mark = annotation(&metadata, names::REGISTERED).filter(|text| is_mark(text)).map(str::to_owned);
    let at = annotation(&metadata, names::REGISTERED_AT).and_then(|time| time.parse().ok()).map(Time);
    let is_registered = mark.is_some();
    let condition = |type_: &str, is_true: bool| Condition {
        type_: type_.to_owned(),
        status: if is_true { "True" } else { "False" }.to_owned(),
        last_transition_time: at.clone().filter(|_| is_registered),
        ..Condition::default()
    };
    let conditions = vec![
        Condition { message: mark, ..condition(names::REGISTERED, is_registered) },
        condition("ContainersReady", true),
        condition("Ready", is_registered),
    ];
    let running = ContainerState { running: Some(RunningState::default()), ..ContainerState::default() };
    let main = ContainerStatus {
        name: names::MAIN_CONTAINER.to_owned(),
        ready: true,
        state: running,
        ..ContainerStatus::default()
    };
    PodView {
        backend: Backend::External,
        metadata,
        spec: Spec {
            readiness_gates: vec![ReadinessGate { condition_type: names::REGISTERED.to_owned() }],
            ..Spec::default()
        },
        status: Status { conditions, container_statuses: vec![main], ..Status::default() },
    }
}

fn is_mark(text: &str) -> bool {
    text.parse::<Mark>().is_ok_and(|mark| mark.restarts == 0)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        api::Reason,
        fixtures::now,
        health::{self, Health},
        registration::{Process, Registration},
    };

    fn pod(annotations: Value) -> PodView {
        let secret = json!({"apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": "x-workspace", "namespace": "ns", "uid": "uid-1", "annotations": annotations}});
        as_pod(&serde_json::from_value(secret).unwrap())
    }

    fn mark(restarts: i32) -> String {
        Mark { process: Process::of("a"), restarts }.to_string()
    }

    #[test]
    fn who_registered_is_ready() {
        let pod = pod(
            json!({"workspaces.dev/registered": mark(0), "workspaces.dev/registered-at": "2026-01-01T12:00:00Z"}),
        );
        assert_eq!(health::assess(&pod, None, None, now()), Health::Ready);
        assert_eq!(Registration::of(&pod), Registration::Registered { at: Some(now()) });
        assert_eq!((pod.uid(), pod.backend), ("uid-1", Backend::External));
        assert_eq!(Mark::of(&pod).unwrap().to_string(), mark(0));
    }

    #[test]
    fn who_has_not_is_awaited_whatever_else_stands_there() {
        for annotations in [
            json!({}),
            json!({"workspaces.dev/registered": "yes"}),
            json!({"workspaces.dev/registered": mark(1)}),
            json!({"workspaces.dev/registered-at": "2026-01-01T12:00:00Z"}),
        ] {
            let pod = pod(annotations);
            let Health::NotReady(cause) = health::assess(&pod, None, None, now()) else {
                panic!("it is Ready")
            };
            assert_eq!(cause.reason, Reason::AwaitingRegistration);
            assert_eq!((Registration::of(&pod), Mark::of(&pod)), (Registration::Awaited, None));
        }
    }
}
