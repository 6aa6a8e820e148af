//! A claim: what one incarnation was started for. It stands in status before the Pod exists, and in the Pod's
//! annotation from then on, from which a lost status is rebuilt.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{
    api::{
        IncarnationNumber, RestartTime,
        class::Backend,
        names,
        status::{ClassRef, StartCause},
    },
    build,
    inputs::Inputs,
    resize,
    resolve::Effective,
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
    /// Why it was started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<StartCause>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<ClassRef>,
    /// Where it runs.
    #[serde(default, skip_serializing_if = "Backend::is_pod")]
    pub backend: Backend,
    pub inputs: Inputs,
    /// Hash over what the workspace itself said, its class left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own: Option<String>,
    /// The CPU and memory values that were set, as `requests.cpu`: what is taken away later can't be told from
    /// the Pod, where a `LimitRange` may have filled it in.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub resources: BTreeSet<String>,
    /// Keys of the labels the workspace added, to know later what to take away.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub labels: BTreeSet<String>,
    /// Keys of the annotations the workspace added.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub annotations: BTreeSet<String>,
    /// Version of the operator that shaped the Pod.
    #[serde(default)]
    pub built_by: String,
}

impl Claim {
    /// The claim of start `number` for what `effective` wants, serving `restart`.
    pub fn new(
        number: IncarnationNumber,
        generation: Option<i64>,
        restart: Option<RestartTime>,
        effective: &Effective,
    ) -> Self {
        let (labels, annotations) = build::pod::template(effective);
        Self {
            number,
            generation,
            restart,
            cause: None,
            class: effective.class.clone(),
            backend: effective.backend,
            inputs: effective.inputs.clone(),
            own: Some(effective.own.clone()),
            resources: resize::names(&effective.compute),
            labels: labels.into_keys().collect(),
            annotations: annotations.into_keys().collect(),
            built_by: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

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
    Claim::of_pod(pod)
        .map(|claim| claim.number)
        .or_else(|| label(&pod.metadata, names::INCARNATION)?.parse().ok().map(IncarnationNumber))
}
