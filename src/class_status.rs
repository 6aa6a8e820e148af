//! Pure: the status of a class, from its spec and from how far its workspaces are.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::core::{DeserializeGuard, Selector};
use std::sync::Arc;

use crate::{
    api::{
        ConditionStatus, Workspace, WorkspaceClass, WorkspaceSpec,
        class_status::{ClassConditionType, ClassReason, WorkspaceClassStatus},
    },
    bounds::Bounds,
    failure::whole_seconds,
    forbidden_env::ForbiddenEnv,
    gates::Progress,
    resolve::{Draft, Effective, class::Offer, template::Found},
    rollout::Closed,
};

/// Whether a class is the one of workspaces that name none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    NotMarked,
    Default,
    /// Marked, as is an older class of this name.
    Younger(String),
}

type Said = (ConditionStatus, ClassReason, String);

/// The status of `class`, whose workspaces are as far as `progress` says.
pub fn compute(
    class: &WorkspaceClass,
    standing: &Standing,
    progress: &Progress,
    now: Timestamp,
) -> WorkspaceClassStatus {
    let validity = validity(class);
    let default_status = WorkspaceClassStatus::default();
    let before = class.status.as_ref().unwrap_or(&default_status);
    let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    let Progress { workspaces, up_to_date, rolling, waiting, failed, failure: _, closed: _ } = progress;
    let conditions = ClassConditionType::ALL.iter().map(|type_| {
        let told = match type_ {
            ClassConditionType::Ready => ready(&validity),
            ClassConditionType::Default => default(standing),
            ClassConditionType::Reconciling => reconciling(&validity, progress),
            ClassConditionType::Stalled => stalled(&validity, progress),
        };
        merged(&before.conditions, *type_, told, class.metadata.generation, now)
    });
    WorkspaceClassStatus {
        observed_generation: class.metadata.generation,
        conditions: conditions.collect(),
        workspaces: count(*workspaces),
        up_to_date: count(*up_to_date),
        rolling: count(*rolling),
        waiting: count(*waiting),
        failed: count(*failed),
    }
}

/// Whether some workspace could be made of `class`; else why none.
pub fn validity(class: &WorkspaceClass) -> Result<(), String> {
    if let Some(selector) = &class.spec.allowed_namespaces {
        Selector::try_from(selector.clone()).map_err(|error| format!("spec.allowedNamespaces: {error}"))?;
    }
    if let Some(bounds) = &class.spec.bounds {
        Bounds::parse(bounds).map_err(|malformed| format!("spec.{malformed}"))?;
    }
    // What bounds a workspace does not bound this trial; and the least that a workspace says is its image.
    let mut class = class.clone();
    class.spec.allowed_namespaces = None;
    class.spec.bounds = None;
    let is_pod = class.spec.backend.unwrap_or_default().is_pod();
    let spec = WorkspaceSpec {
        class_name: class.metadata.name.clone(),
        image: is_pod.then(|| "any".to_owned()),
        ..WorkspaceSpec::default()
    };
    let offer = Offer {
        classes: vec![Arc::new(DeserializeGuard(Ok(class)))],
        // Whether this operator offers it is told by the workspaces.
        registration_url: Some(String::new()),
        sees_secrets: true,
        ..Offer::default()
    };
    let draft = Draft::of(&Workspace::new("any", spec), &offer).map_err(|blocked| blocked.message)?;
    Effective::of(&draft, &Found::NotAsked, &ForbiddenEnv::default()).map_err(|blocked| blocked.message)?;
    Ok(())
}

fn said(status: ConditionStatus, reason: ClassReason, message: &str) -> Said {
    (status, reason, message.to_owned())
}

fn ready(validity: &Result<(), String>) -> Said {
    match validity {
        Ok(()) => said(ConditionStatus::True, ClassReason::Accepted, ""),
        Err(why) => said(ConditionStatus::False, ClassReason::InvalidSpec, why),
    }
}

fn default(standing: &Standing) -> Said {
    match standing {
        Standing::Default => said(ConditionStatus::True, ClassReason::MarkedDefault, ""),
        Standing::NotMarked => said(ConditionStatus::False, ClassReason::NotMarked, ""),
        Standing::Younger(older) => {
            let message = format!("class {older} is marked as default too, and is older");
            said(ConditionStatus::False, ClassReason::OlderDefault, &message)
        }
    }
}

fn reconciling(validity: &Result<(), String>, progress: &Progress) -> Said {
    let no = |reason| said(ConditionStatus::False, reason, "");
    match (validity, progress.closed) {
        (Err(_), _) => no(ClassReason::InvalidSpec),
        (Ok(()), Some(Closed::Paused)) => no(ClassReason::RolloutPaused),
        (Ok(()), Some(Closed::TooManyFailed)) => no(ClassReason::TooManyFailed),
        _ if progress.rolling > 0 || progress.waiting > 0 => {
            said(ConditionStatus::True, ClassReason::RollingOut, "")
        }
        _ => no(ClassReason::Settled),
    }
}

fn stalled(validity: &Result<(), String>, progress: &Progress) -> Said {
    let no = |reason| said(ConditionStatus::False, reason, "");
    match (validity, progress.closed) {
        (Err(why), _) => said(ConditionStatus::True, ClassReason::InvalidSpec, why),
        (Ok(()), Some(Closed::TooManyFailed)) => {
            let message = format!(
                "{} failed, and {} wait; the first: {}",
                progress.failed,
                progress.waiting,
                progress.failure.as_deref().unwrap_or_default()
            );
            said(ConditionStatus::True, ClassReason::TooManyFailed, &message)
        }
        (Ok(()), Some(Closed::Paused)) => no(ClassReason::RolloutPaused),
        _ if progress.rolling > 0 || progress.waiting > 0 => no(ClassReason::RollingOut),
        _ => no(ClassReason::Settled),
    }
}

fn merged(
    old: &[Condition],
    type_: ClassConditionType,
    (status, reason, message): Said,
    generation: Option<i64>,
    now: Timestamp,
) -> Condition {
    let before = old.iter().find(|condition| condition.type_ == type_.as_str());
    let unmoved = before.filter(|condition| condition.status == status.as_str());
    Condition {
        type_: type_.to_string(),
        status: status.to_string(),
        reason: reason.to_string(),
        message,
        observed_generation: generation,
        last_transition_time: unmoved
            .map_or_else(|| Time(whole_seconds(now)), |condition| condition.last_transition_time.clone()),
    }
}
