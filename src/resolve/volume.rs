//! The volume that a workspace asks for.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use crate::{
    amount::Amount,
    api::{
        names,
        workspace::{AccessMode, Storage, WhenDeleted},
    },
};

use super::Blocked;

/// The volume and where it is mounted.
#[derive(Clone, Debug, PartialEq)]
pub struct Volume {
    pub mount_path: String,
    pub source: VolumeSource,
}

/// Whose claim is mounted.
#[derive(Clone, Debug, PartialEq)]
pub enum VolumeSource {
    Own(Box<OwnVolume>),
    Existing(String),
}

/// The workspace's own claim.
#[derive(Clone, Debug, PartialEq)]
pub struct OwnVolume {
    pub size: Quantity,
    pub storage: Storage,
    pub access_modes: Vec<AccessMode>,
    pub when_deleted: WhenDeleted,
}

/// The volume that `storage` asks for.
pub(super) fn volume(storage: &Storage) -> Result<Option<Volume>, Blocked> {
    let mount_path = storage.mount_path.clone().unwrap_or_else(|| names::DEFAULT_MOUNT_PATH.to_owned());
    let source = match (&storage.existing_claim, &storage.size) {
        (Some(name), _) => VolumeSource::Existing(name.clone()),
        (None, Some(size)) => VolumeSource::Own(Box::new(own_volume(storage, size)?)),
        (None, None) => return Ok(None),
    };
    Ok(Some(Volume { mount_path, source }))
}

fn own_volume(storage: &Storage, size: &Quantity) -> Result<OwnVolume, Blocked> {
    if parse("storage.size", size)?.is_zero() {
        return Err(Blocked::invalid("storage.size", "must be greater than zero"));
    }
    let access_modes = if storage.access_modes.is_empty() {
        vec![AccessMode::ReadWriteOnce]
    } else {
        storage.access_modes.clone()
    };
    Ok(OwnVolume {
        size: size.clone(),
        storage: storage.clone(),
        access_modes,
        when_deleted: storage.when_deleted.unwrap_or_default(),
    })
}

/// A quantity in `field`, read.
pub(super) fn parse(field: &str, quantity: &Quantity) -> Result<Amount, Blocked> {
    Amount::of(quantity)
        .ok_or_else(|| Blocked::invalid(field, &format!("{:?} is not a quantity", quantity.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_of_nothing_is_refused() {
        let nothing = Storage { size: Some(Quantity("0".to_owned())), ..Storage::default() };
        assert_eq!(volume(&nothing).unwrap_err().message, "spec.storage.size: must be greater than zero");
    }
}
