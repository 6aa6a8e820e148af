//! What the operator answers about a class: its conditions, and how far a change has come.

use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::{condition::ConditionStatus, words::words};

/// What is known about a class.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct WorkspaceClassStatus {
    /// Newest generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// The state in conditions: Ready (the class can be used), Default, Reconciling and Stalled (its rollout).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,

    /// Workspaces of this class, stopped ones included.
    #[serde(default)]
    pub workspaces: i64,

    /// Those that run, by the newest class and references.
    #[serde(default)]
    pub up_to_date: i64,

    /// Those that are down for a change from outside.
    #[serde(default)]
    pub rolling: i64,

    /// Those that fail by it.
    #[serde(default)]
    pub failed: i64,

    /// Those that wait for their turn.
    #[serde(default)]
    pub waiting: i64,
}

words! {
    /// What a condition of a class speaks of.
    ClassConditionType {
        /// The class can be used.
        Ready,
        /// It is the class of workspaces that name none.
        Default,
        /// A change of it is on its way to its workspaces (kstatus).
        Reconciling,
        /// The change goes no further by itself (kstatus).
        Stalled,
    }
}

words! {
    /// Why a condition of a class is as it is.
    ClassReason {
        /// The class is valid.
        Accepted,
        /// The class can't be used as it stands.
        InvalidSpec,
        /// It is marked as default, and no older class is.
        MarkedDefault,
        /// It is not marked as default.
        NotMarked,
        /// An older class is marked too.
        OlderDefault,
        /// Workspaces are being changed.
        RollingOut,
        /// Workspaces wait, and the rollout is paused.
        RolloutPaused,
        /// As many workspaces fail as may.
        TooManyFailed,
        /// Nothing is left to do.
        Settled,
    }
}

impl ClassConditionType {
    /// The (status, reason) pairs this condition can have.
    pub fn rows(self) -> &'static [(ConditionStatus, &'static [ClassReason])] {
        use ClassReason as R;
        use ConditionStatus::{False, True};
        match self {
            Self::Ready => &[(True, &[R::Accepted]), (False, &[R::InvalidSpec])],
            Self::Default => &[(True, &[R::MarkedDefault]), (False, &[R::NotMarked, R::OlderDefault])],
            Self::Reconciling => &[
                (True, &[R::RollingOut]),
                (False, &[R::Settled, R::RolloutPaused, R::TooManyFailed, R::InvalidSpec]),
            ],
            Self::Stalled => &[
                (True, &[R::TooManyFailed, R::InvalidSpec]),
                (False, &[R::Settled, R::RollingOut, R::RolloutPaused]),
            ],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_used_by_some_condition() {
        for reason in ClassReason::ALL {
            let used = ClassConditionType::ALL
                .iter()
                .any(|kind| kind.rows().iter().any(|(_, reasons)| reasons.contains(reason)));
            assert!(used, "no condition has the reason {reason}");
        }
    }
}
