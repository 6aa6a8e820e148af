//! Where the host-path provisioner puts volumes: its path is fixed, so a link leads from there to our folder. And
//! volumes that belong to a group, which it can't make.

use std::{fs, os::unix::fs::symlink, path::Path};

use k8s_openapi::api::{core::v1::PersistentVolume, storage::v1::StorageClass};
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use serde_json::json;

use crate::{
    FIELD_MANAGER,
    error::{Doing, Error},
    layout::Layout,
    node_kind::{NODE_LABEL, NodeKind},
};

const PROVISIONED: &str = "/tmp/hostpath_pv";
const CLASS: &str = "standard";

pub(crate) fn link(layout: &Layout) -> Result<(), Error> {
    let folder = layout.data("volumes");
    fs::create_dir_all(&folder).doing(|| format!("create {}", folder.display()))?;
    let place = Path::new(PROVISIONED);
    if fs::symlink_metadata(place).is_ok() && !place.exists() {
        // It leads to a run that is gone.
        fs::remove_file(place).doing(|| format!("remove {PROVISIONED}"))?;
    }
    if fs::symlink_metadata(place).is_err() {
        symlink(&folder, place).doing(|| format!("link {PROVISIONED} to {}", folder.display()))?;
    }
    Ok(())
}

pub(crate) fn unlink(layout: &Layout) -> Result<(), Error> {
    if fs::read_link(PROVISIONED).is_ok_and(|target| target.starts_with(layout.run())) {
        fs::remove_file(PROVISIONED).doing(|| format!("remove {PROVISIONED}"))?;
    }
    Ok(())
}

/// Makes the default class. It lets a claim ask for more; nobody resizes the disk behind it.
pub(crate) async fn register_class(client: &Client) -> Result<(), Error> {
    let class = json!({
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {
            "name": CLASS,
            "annotations": { "storageclass.kubernetes.io/is-default-class": "true" },
        },
        "provisioner": "kubernetes.io/host-path",
        "reclaimPolicy": "Delete",
        "volumeBindingMode": "Immediate",
        "allowVolumeExpansion": true,
    });
    let parameters = PatchParams::apply(FIELD_MANAGER).force();
    let classes: Api<StorageClass> = Api::all(client.clone());
    let applied = classes.patch(CLASS, &parameters, &Patch::Apply(class)).await;
    applied.map(drop).doing(|| format!("apply StorageClass {CLASS}"))
}

/// Makes a volume on the real node's own disk for the claim `name` of `namespace`, of a class named after that. To
/// such a volume the kubelet gives the group that a Pod asks for, as CSI drivers do; those of the host-path
/// provisioner are root's.
pub(crate) async fn make_local(
    client: &Client,
    layout: &Layout,
    namespace: &str,
    name: &str,
) -> Result<String, Error> {
    let class = format!("{namespace}-{name}");
    let folder = layout.data("volumes").join(&class);
    fs::create_dir_all(&folder).doing(|| format!("create {}", folder.display()))?;
    let on_the_real_node = json!({ "key": NODE_LABEL, "operator": "In", "values": [NodeKind::Real.label()] });
    let volume = json!({
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": { "name": class },
        "spec": {
            "storageClassName": class,
            "capacity": { "storage": "1Gi" },
            "accessModes": ["ReadWriteOnce"],
            // Nobody deletes such a volume; the folder goes with the cluster.
            "persistentVolumeReclaimPolicy": "Retain",
            "claimRef": { "namespace": namespace, "name": name },
            "local": { "path": folder },
            "nodeAffinity": {
                "required": { "nodeSelectorTerms": [{ "matchExpressions": [on_the_real_node] }] },
            },
        },
    });
    let parameters = PatchParams::apply(FIELD_MANAGER).force();
    let volumes: Api<PersistentVolume> = Api::all(client.clone());
    let applied = volumes.patch(&class, &parameters, &Patch::Apply(volume)).await;
    applied.doing(|| format!("apply PersistentVolume {class}"))?;
    Ok(class)
}
