//! The disruption budget of a busy Pod.

use k8s_openapi::{
    api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec},
    apimachinery::pkg::{apis::meta::v1::LabelSelector, util::intstr::IntOrString},
};

use crate::api::names;

use super::Owner;

/// The budget: the one Pod there is has to stay. A Pod that is not Ready may be evicted all the same: it serves nobody, and
/// its node could never be drained.
pub fn disruption_budget(owner: &Owner) -> PodDisruptionBudget {
    PodDisruptionBudget {
        metadata: owner.metadata(),
        spec: Some(PodDisruptionBudgetSpec {
            // Of a Pod whose controller has no scale, Kubernetes takes a number, and no maxUnavailable.
            min_available: Some(IntOrString::Int(1)),
            selector: Some(LabelSelector {
                match_labels: Some([(names::WORKSPACE.to_owned(), owner.name.clone())].into()),
                match_expressions: None,
            }),
            unhealthy_pod_eviction_policy: Some("AlwaysAllow".to_owned()),
            max_unavailable: None,
        }),
        status: None,
    }
}
