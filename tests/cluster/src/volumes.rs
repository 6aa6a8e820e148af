//! Where the host-path provisioner puts volumes. Its path is fixed, so a link leads from there to our folder.

use std::{fs, os::unix::fs::symlink, path::Path};

use k8s_openapi::api::storage::v1::StorageClass;
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use serde_json::json;

use crate::{
    FIELD_MANAGER,
    error::{Doing, Error},
    layout::Layout,
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
