//! A PodDisruptionBudget, as far as the lifecycle reads it: that it is there, and whose it is.

use k8s_openapi::{api::policy::v1::PodDisruptionBudget, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::Resource;
use serde::{Deserialize, Serialize};

/// A budget.
#[derive(Resource, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[resource(inherit = "PodDisruptionBudget")]
pub struct DisruptionBudgetView {
    pub metadata: ObjectMeta,
}

impl DisruptionBudgetView {
    /// Whether the API server was told to delete it.
    pub fn is_terminating(&self) -> bool {
        self.metadata.deletion_timestamp.is_some()
    }
}
