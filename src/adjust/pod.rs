//! Labels, annotations and the claim's stamps of a running Pod.

use serde_json::{Map, Value, json};

use crate::{
    api::names,
    build::{self, Owner},
    claim::Claim,
    inputs::Comparison,
    resize::{self, Resize},
    resolve::Effective,
    view::PodView,
};

/// The merge patch for a Pod's metadata; none where nothing differs. `claim` is the Pod's, or what is known of it
/// where it lost its own. `certificates` are what its program trusts when it registers, as PEM.
pub fn metadata(
    owner: &Owner,
    pod: &PodView,
    claim: &Claim,
    effective: &Effective,
    certificates: Option<&str>,
) -> Option<Value> {
    let (mut labels, mut annotations) = build::pod::template(effective);
    let mut stamped = claim.clone();
    stamped.labels = labels.keys().cloned().collect();
    stamped.annotations = annotations.keys().cloned().collect();
    stamped.resources.extend(resize::carried_out(&effective.compute, pod));
    let compared = effective.inputs.compare(&claim.inputs);
    if compared == Comparison::Restamp {
        stamped.inputs.references.clone_from(&effective.inputs.references);
    }
    // What the workspace says now is carried out; what differs from here on is somebody else's doing.
    let is_carried_out = resize::compare(&effective.compute, pod, Some(claim), None) == Resize::None;
    if claim.own.is_some() && is_carried_out && !matches!(compared, Comparison::Differs(_)) {
        stamped.own = Some(effective.own.clone());
    }
    if Claim::of_pod(pod).as_ref() != Some(&stamped) {
        annotations.insert(names::CLAIM.to_owned(), stamped.to_annotation());
    }

    if let Some(pem) = certificates.filter(|_| pod.requires_registration()) {
        annotations.insert(names::REGISTRATION_CA.to_owned(), pem.to_owned());
    }

    if !pod.backend.is_pod() && !matches!(compared, Comparison::Differs(_)) {
        annotations
            .insert(names::SERVICE_ACCOUNT.to_owned(), build::credential::account(effective).to_owned());
    }

    // Our own labels are put back: without them neither the watch nor the Service has this Pod.
    labels.extend(owner.labels());
    labels.insert(names::INCARNATION.to_owned(), claim.number.to_string());

    let mut patch = Map::new();
    let labels = super::strings(pod.metadata.labels.as_ref(), &labels, &claim.labels);
    let annotations = super::strings(pod.metadata.annotations.as_ref(), &annotations, &claim.annotations);
    for (name, values) in [("labels", labels), ("annotations", annotations)] {
        if !values.is_empty() {
            patch.insert(name.to_owned(), Value::Object(values));
        }
    }
    if patch.is_empty() {
        return None;
    }
    patch.insert("uid".to_owned(), json!(pod.uid()));
    Some(json!({ "metadata": patch }))
}
