//! A claim: what one incarnation was started for. It stands in status before the Pod exists, and in the Pod's
//! annotation from then on, from which a lost status is rebuilt.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{
    api::{IncarnationNumber, RestartTime, names, status::ClassRef},
    inputs::Inputs,
    view::{PodView, annotation, label},
};

/// What one incarnation was started for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Claim {
    pub number: IncarnationNumber,
    /// Generation of the spec.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<i64>,
    /// The restart it serves, and all older ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart: Option<RestartTime>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<ClassRef>,
    pub inputs: Inputs,
    /// The CPU and memory values that were set, as `requests.cpu`: what is taken away later can't be told from
    /// the Pod, where a `LimitRange` may have filled it in.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub resources: BTreeSet<String>,
    /// Version of the operator that shaped the Pod.
    #[serde(default)]
    pub built_by: String,
}

impl Claim {
    /// Reads the claim off a Pod. None where somebody took the annotation away or spoilt it.
    pub fn of_pod(pod: &PodView) -> Option<Self> {
        serde_json::from_str(annotation(&pod.metadata, names::CLAIM)?).ok()
    }

    /// The annotation's value.
    pub fn to_annotation(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// The number a Pod was started under, from its claim or, failing that, its label.
pub fn number_of_pod(pod: &PodView) -> Option<IncarnationNumber> {
    Claim::of_pod(pod).map(|claim| claim.number).or_else(|| {
        label(&pod.metadata, names::INCARNATION)?.parse().ok().map(IncarnationNumber)
    })
}
