//! The Pod of one incarnation.

use k8s_openapi::api::core::v1::Pod;

use crate::{
    api::{names, workspace::PodMetadata},
    claim::Claim,
    resolve::Effective,
};

use super::Owner;

/// The Pod for `claim`. Its name is the workspace's: the API server itself refuses a second one. `certificates` are
/// what its program trusts when it registers, as PEM.
pub fn pod(owner: &Owner, effective: &Effective, claim: &Claim, certificates: Option<&str>) -> Pod {
    let mut metadata = owner.metadata();
    let (labels, annotations) = template(effective);
    let own = metadata.labels.get_or_insert_default();
    own.insert(names::INCARNATION.to_owned(), claim.number.to_string());
    for (key, value) in labels {
        own.entry(key).or_insert(value);
    }
    let mut annotations = annotations;
    annotations.insert(names::CLAIM.to_owned(), claim.to_annotation());
    if let Some(pem) = certificates.filter(|_| effective.spec.requires_registration()) {
        annotations.insert(names::REGISTRATION_CA.to_owned(), pem.to_owned());
    }
    metadata.annotations = Some(annotations);

    Pod { metadata, spec: Some((*effective.pod).clone()), status: None }
}

/// Labels and annotations the workspace adds.
pub fn template(
    effective: &Effective,
) -> (std::collections::BTreeMap<String, String>, std::collections::BTreeMap<String, String>) {
    let metadata = effective.spec.pod_template.as_ref().and_then(|template| template.metadata.clone());
    let PodMetadata { labels, annotations } = metadata.unwrap_or_default();
    (labels, annotations)
}
