//! The Pod of one incarnation.

use k8s_openapi::api::core::v1::{
    Container, PersistentVolumeClaimVolumeSource, Pod, PodSpec, Volume, VolumeMount,
};

use crate::{
    api::{names, workspace::PodMetadata},
    claim::Claim,
    resolve::{Effective, effective::VolumeSource},
};

use super::Owner;

/// The Pod for `claim`. Its name is the workspace's: the API server itself refuses a second one.
pub fn pod(owner: &Owner, effective: &Effective, claim: &Claim) -> Pod {
    let mut metadata = owner.metadata();
    let (labels, annotations) = template(effective);
    let own = metadata.labels.get_or_insert_default();
    own.insert(names::INCARNATION.to_owned(), claim.number.to_string());
    for (key, value) in labels {
        own.entry(key).or_insert(value);
    }
    let mut annotations = annotations;
    annotations.insert(names::CLAIM.to_owned(), claim.to_annotation());
    metadata.annotations = Some(annotations);

    let spec = &effective.spec;
    Pod {
        metadata,
        spec: Some(PodSpec {
            containers: vec![main(effective)],
            restart_policy: Some("Always".to_owned()),
            service_account_name: spec.service_account_name.clone(),
            automount_service_account_token: Some(false),
            // Else every Service of the namespace would add variables, and a new one a difference between starts.
            enable_service_links: Some(false),
            termination_grace_period_seconds: spec.termination_grace_period_seconds,
            image_pull_secrets: some_unless_empty(&spec.image_pull_secrets),
            volumes: volume(owner, effective).map(|volume| vec![volume]),
            ..Default::default()
        }),
        status: None,
    }
}

/// Labels and annotations the workspace adds.
pub fn template(
    effective: &Effective,
) -> (std::collections::BTreeMap<String, String>, std::collections::BTreeMap<String, String>) {
    let metadata = effective.spec.pod_template.as_ref().and_then(|template| template.metadata.clone());
    let PodMetadata { labels, annotations } = metadata.unwrap_or_default();
    (labels, annotations)
}

fn main(effective: &Effective) -> Container {
    let spec = &effective.spec;
    Container {
        name: names::MAIN_CONTAINER.to_owned(),
        image: Some(effective.image.clone()),
        image_pull_policy: spec.image_pull_policy.map(|policy| policy.as_str().to_owned()),
        command: some_unless_empty(&spec.command),
        args: some_unless_empty(&spec.args),
        working_dir: spec.working_dir.clone(),
        env: some_unless_empty(&spec.env),
        env_from: some_unless_empty(&spec.env_from),
        ports: some_unless_empty(&spec.ports),
        resources: spec.resources.clone(),
        security_context: spec.security_context.clone(),
        startup_probe: spec.startup_probe.clone(),
        readiness_probe: spec.readiness_probe.clone(),
        liveness_probe: spec.liveness_probe.clone(),
        volume_mounts: effective.volume.as_ref().map(|volume| {
            vec![VolumeMount {
                name: names::VOLUME.to_owned(),
                mount_path: volume.mount_path.clone(),
                ..Default::default()
            }]
        }),
        // The end of the log is the reason a person wants to read when the program ends.
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        ..Default::default()
    }
}

fn volume(owner: &Owner, effective: &Effective) -> Option<Volume> {
    let claim_name = match &effective.volume.as_ref()?.source {
        VolumeSource::Own(_) => owner.name.clone(),
        VolumeSource::Existing(name) => name.clone(),
    };
    Some(Volume {
        name: names::VOLUME.to_owned(),
        persistent_volume_claim: Some(PersistentVolumeClaimVolumeSource { claim_name, ..Default::default() }),
        ..Default::default()
    })
}

fn some_unless_empty<T: Clone>(list: &[T]) -> Option<Vec<T>> {
    (!list.is_empty()).then(|| list.to_vec())
}
