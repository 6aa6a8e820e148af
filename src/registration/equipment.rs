//! What a Pod gets so that its program can register: a token, the operator's certificates, variables, and the
//! readiness gate.

use k8s_openapi::api::core::v1::{
    Container, DownwardAPIProjection, DownwardAPIVolumeFile, EnvVar, EnvVarSource, ObjectFieldSelector,
    PodReadinessGate, PodSpec, ProjectedVolumeSource, ServiceAccountTokenProjection, Volume, VolumeMount,
    VolumeProjection,
};

use crate::api::names;

/// Seconds that a token is good for. The kubelet renews it after four fifths of them.
const TOKEN_SECONDS: i64 = 3600;

/// Equips the Pod of workspace `name` to register at `url`: its main container, and others that mount
/// [`names::REGISTRATION_VOLUME`], as an agent beside the program does.
pub fn equip(pod: &mut PodSpec, name: &str, url: &str) {
    pod.volumes.get_or_insert_default().push(volume());
    pod.readiness_gates
        .get_or_insert_default()
        .push(PodReadinessGate { condition_type: names::REGISTERED.to_owned() });
    for container in pod.containers.iter_mut().chain(pod.init_containers.iter_mut().flatten()) {
        if !mounts(container) {
            if container.name != names::MAIN_CONTAINER {
                continue;
            }
            container.volume_mounts.get_or_insert_default().push(VolumeMount {
                name: names::REGISTRATION_VOLUME.to_owned(),
                mount_path: names::REGISTRATION_MOUNT.to_owned(),
                read_only: Some(true),
                ..Default::default()
            });
        }
        // First, so that other variables may refer to them.
        let own = container.env.get_or_insert_default();
        own.splice(0..0, variables(name, url));
    }
}

fn mounts(container: &Container) -> bool {
    container.volume_mounts.iter().flatten().any(|mount| mount.name == names::REGISTRATION_VOLUME)
}

/// The token is renewed and the certificates are replaced in place: neither restarts anybody.
fn volume() -> Volume {
    let token = VolumeProjection {
        service_account_token: Some(ServiceAccountTokenProjection {
            audience: Some(names::AUDIENCE.to_owned()),
            expiration_seconds: Some(TOKEN_SECONDS),
            path: "token".to_owned(),
            ..Default::default()
        }),
        ..Default::default()
    };
    let certificates = VolumeProjection {
        downward_api: Some(DownwardAPIProjection {
            items: Some(vec![DownwardAPIVolumeFile {
                path: "ca.crt".to_owned(),
                field_ref: Some(field(&format!("metadata.annotations['{}']", names::REGISTRATION_CA))),
                ..Default::default()
            }]),
        }),
        ..Default::default()
    };
    Volume {
        name: names::REGISTRATION_VOLUME.to_owned(),
        projected: Some(ProjectedVolumeSource {
            sources: Some(vec![token, certificates]),
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn variables(name: &str, url: &str) -> [EnvVar; 4] {
    let incarnation = format!("metadata.labels['{}']", names::INCARNATION);
    [
        literal(names::ENV_NAME, name),
        from_pod(names::ENV_NAMESPACE, "metadata.namespace"),
        from_pod(names::ENV_INCARNATION, &incarnation),
        literal(names::ENV_REGISTRATION_URL, url),
    ]
}

fn literal(name: &str, value: &str) -> EnvVar {
    EnvVar { name: name.to_owned(), value: Some(value.to_owned()), value_from: None }
}

fn from_pod(name: &str, path: &str) -> EnvVar {
    let value_from = Some(EnvVarSource { field_ref: Some(field(path)), ..Default::default() });
    EnvVar { name: name.to_owned(), value: None, value_from }
}

fn field(path: &str) -> ObjectFieldSelector {
    ObjectFieldSelector { api_version: None, field_path: path.to_owned() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn equipped(pod: serde_json::Value) -> PodSpec {
        let mut pod: PodSpec = serde_json::from_value(pod).unwrap();
        equip(&mut pod, "x", "https://operator:8443");
        pod
    }

    fn variables_of(container: &Container) -> Vec<&str> {
        container.env.iter().flatten().map(|variable| variable.name.as_str()).collect()
    }

    #[test]
    fn the_main_container_alone_is_equipped_unless_another_asks_for_it() {
        let mount = json!([{"name": "workspaces-dev-registration", "mountPath": "/r"}]);
        let pod = equipped(json!({
            "containers": [{"name": "main", "env": [{"name": "A", "value": "$(WORKSPACE_NAME)"}]}, {"name": "proxy"}],
            "initContainers": [{"name": "agent", "volumeMounts": mount}],
        }));
        let own = names::RESERVED_ENV.to_vec();
        assert_eq!(variables_of(&pod.containers[0]), [own.clone(), vec!["A"]].concat());
        assert!(variables_of(&pod.containers[1]).is_empty() && pod.containers[1].volume_mounts.is_none());
        let agent = &pod.init_containers.unwrap()[0];
        assert_eq!(variables_of(agent), own);
        assert_eq!(agent.volume_mounts.as_ref().unwrap().len(), 1, "it has its own mount");
    }

    #[test]
    fn what_is_mounted_is_for_the_operator_only() {
        let pod = equipped(json!({"containers": [{"name": "main"}]}));
        let volume = serde_json::to_value(&pod.volumes.unwrap()[0]).unwrap();
        let token = &volume["projected"]["sources"][0]["serviceAccountToken"];
        assert_eq!(token["audience"], "workspaces.dev");
        assert_eq!(pod.readiness_gates.unwrap()[0].condition_type, "workspaces.dev/registered");
    }
}
