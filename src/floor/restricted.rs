//! What Restricted demands beyond Baseline.

use k8s_openapi::api::core::v1::{PodSpec, Volume};

use crate::api::class::PodSecurity;

use super::{
    Below, UNSET,
    parts::{container_contexts, containers, contexts, pod_context, volumes},
};

pub(super) fn check(root_is_nobody: bool, spec: &PodSpec) -> Result<(), Below> {
    if !root_is_nobody {
        non_root(spec)?;
        user(spec)?;
    }
    seccomp(spec)?;
    for (path, container) in containers(spec) {
        let own = container.security_context.as_ref();
        let escalation = own.and_then(|own| own.allow_privilege_escalation);
        if escalation != Some(false) {
            let field = format!("{path}.securityContext.allowPrivilegeEscalation");
            return Err(below(field, word(escalation), "only false"));
        }
        let dropped = own.and_then(|own| own.capabilities.as_ref()).and_then(|all| all.drop.as_ref());
        if !dropped.is_some_and(|dropped| dropped.iter().any(|capability| capability == "ALL")) {
            let value = dropped.map_or(UNSET.to_owned(), |dropped| format!("[{}]", dropped.join(", ")));
            return Err(below(
                format!("{path}.securityContext.capabilities.drop"),
                value,
                "only a list with ALL",
            ));
        }
    }
    for (path, volume) in volumes(spec) {
        if let Some(type_) = refused_type(volume) {
            return Err(below(path, type_, VOLUMES));
        }
    }
    Ok(())
}

fn non_root(spec: &PodSpec) -> Result<(), Below> {
    for context in contexts(spec) {
        if context.run_as_non_root == Some(false) {
            return Err(below(format!("{}.runAsNonRoot", context.path), false, "only true"));
        }
    }
    if pod_context(spec).is_some_and(|pod| pod.run_as_non_root.is_some()) {
        return Ok(());
    }
    match container_contexts(spec).find(|context| context.run_as_non_root.is_none()) {
        Some(context) => Err(below(format!("{}.runAsNonRoot", context.path), UNSET, "only true")),
        None => Ok(()),
    }
}

fn user(spec: &PodSpec) -> Result<(), Below> {
    match contexts(spec).find(|context| context.run_as_user == Some(0)) {
        Some(context) => Err(below(format!("{}.runAsUser", context.path), 0, "any user but 0")),
        None => Ok(()),
    }
}

/// That a profile is set at all; Baseline looks at which.
fn seccomp(spec: &PodSpec) -> Result<(), Below> {
    if pod_context(spec).is_some_and(|pod| pod.seccomp.is_some()) {
        return Ok(());
    }
    match container_contexts(spec).find(|context| context.seccomp.is_none()) {
        Some(context) => {
            Err(below(format!("{}.seccompProfile", context.path), UNSET, "only RuntimeDefault, Localhost"))
        }
        None => Ok(()),
    }
}

const VOLUMES: &str =
    "only configMap, csi, downwardAPI, emptyDir, ephemeral, image, persistentVolumeClaim, projected, secret";

/// Taken apart in full, so that a type which a later Kubernetes adds has to be judged here.
fn refused_type(volume: &Volume) -> Option<&'static str> {
    let Volume {
        name: _,
        config_map: _,
        csi: _,
        downward_api: _,
        empty_dir: _,
        ephemeral: _,
        image: _,
        persistent_volume_claim: _,
        projected: _,
        secret: _,
        aws_elastic_block_store,
        azure_disk,
        azure_file,
        cephfs,
        cinder,
        fc,
        flex_volume,
        flocker,
        gce_persistent_disk,
        git_repo,
        glusterfs,
        host_path,
        iscsi,
        nfs,
        photon_persistent_disk,
        portworx_volume,
        quobyte,
        rbd,
        scale_io,
        storageos,
        vsphere_volume,
    } = volume;
    let refused = [
        ("awsElasticBlockStore", aws_elastic_block_store.is_some()),
        ("azureDisk", azure_disk.is_some()),
        ("azureFile", azure_file.is_some()),
        ("cephfs", cephfs.is_some()),
        ("cinder", cinder.is_some()),
        ("fc", fc.is_some()),
        ("flexVolume", flex_volume.is_some()),
        ("flocker", flocker.is_some()),
        ("gcePersistentDisk", gce_persistent_disk.is_some()),
        ("gitRepo", git_repo.is_some()),
        ("glusterfs", glusterfs.is_some()),
        ("hostPath", host_path.is_some()),
        ("iscsi", iscsi.is_some()),
        ("nfs", nfs.is_some()),
        ("photonPersistentDisk", photon_persistent_disk.is_some()),
        ("portworxVolume", portworx_volume.is_some()),
        ("quobyte", quobyte.is_some()),
        ("rbd", rbd.is_some()),
        ("scaleIO", scale_io.is_some()),
        ("storageos", storageos.is_some()),
        ("vsphereVolume", vsphere_volume.is_some()),
    ];
    refused.into_iter().find_map(|(type_, is_set)| is_set.then_some(type_))
}

fn below(field: String, value: impl ToString, allowed: &str) -> Below {
    Below::profile(PodSecurity::Restricted, field, value, allowed)
}

fn word(value: Option<bool>) -> String {
    value.map_or(UNSET.to_owned(), |value| value.to_string())
}
