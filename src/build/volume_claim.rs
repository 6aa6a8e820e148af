//! The own volume claim of a workspace.

use k8s_openapi::{
    api::core::v1::{PersistentVolumeClaim, PersistentVolumeClaimSpec, VolumeResourceRequirements},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};

use crate::{api::workspace::WhenDeleted, resolve::volume::OwnVolume};

use super::Owner;

/// The claim. Whether it has an owner *is* the retention: a retained one has none from the start, so nothing has
/// to happen at the end for the data to stay.
pub fn volume_claim(owner: &Owner, volume: &OwnVolume) -> PersistentVolumeClaim {
    PersistentVolumeClaim {
        metadata: ObjectMeta {
            owner_references: match volume.when_deleted {
                WhenDeleted::Retain => None,
                WhenDeleted::Delete => Some(vec![owner.reference()]),
            },
            ..owner.metadata()
        },
        spec: Some(PersistentVolumeClaimSpec {
            access_modes: Some(volume.access_modes.iter().map(|mode| mode.as_str().to_owned()).collect()),
            resources: Some(VolumeResourceRequirements {
                requests: Some([("storage".to_owned(), volume.size.clone())].into()),
                limits: None,
            }),
            storage_class_name: volume.storage.storage_class_name.clone(),
            data_source_ref: volume.storage.data_source_ref.clone(),
            ..Default::default()
        }),
        status: None,
    }
}
