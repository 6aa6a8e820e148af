//! Pure: the spec of a workspace's Pod as the workspace's own fields make it, before overlays and the security floor.

use k8s_openapi::api::core::v1::{
    Container, PersistentVolumeClaimVolumeSource, PodSpec, Volume as PodVolume, VolumeMount,
};

use crate::{
    api::{WorkspaceSpec, names},
    resolve::volume::{Volume, VolumeSource},
};

/// The spec of the Pod of workspace `name`.
pub fn base(name: &str, spec: &WorkspaceSpec, volume: Option<&Volume>) -> PodSpec {
    PodSpec {
        containers: vec![main(spec, volume)],
        restart_policy: Some("Always".to_owned()),
        service_account_name: spec.service_account_name.clone(),
        // Else every Service of the namespace would add variables, and a new one a difference between starts.
        enable_service_links: Some(false),
        termination_grace_period_seconds: spec.termination_grace_period_seconds,
        image_pull_secrets: some_unless_empty(&spec.image_pull_secrets),
        volumes: volume.map(|volume| vec![pod_volume(name, volume)]),
        ..Default::default()
    }
}

fn main(spec: &WorkspaceSpec, volume: Option<&Volume>) -> Container {
    Container {
        name: names::MAIN_CONTAINER.to_owned(),
        image: spec.image.clone(),
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
        volume_mounts: volume.map(|volume| {
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

fn pod_volume(name: &str, volume: &Volume) -> PodVolume {
    let claim_name = match &volume.source {
        VolumeSource::Own(_) => name.to_owned(),
        VolumeSource::Existing(name) => name.clone(),
    };
    PodVolume {
        name: names::VOLUME.to_owned(),
        persistent_volume_claim: Some(PersistentVolumeClaimVolumeSource { claim_name, ..Default::default() }),
        ..Default::default()
    }
}

fn some_unless_empty<T: Clone>(list: &[T]) -> Option<Vec<T>> {
    (!list.is_empty()).then(|| list.to_vec())
}
