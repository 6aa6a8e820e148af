//! The spec with its class and defaults, checked: what a Pod is built from without a way to fail.

use std::{collections::BTreeMap, time::Duration};

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube_quantity::ParsedQuantity;

use crate::{
    api::{
        WorkspaceClass, WorkspaceSpec, names,
        status::ClassRef,
        workspace::{AccessMode, ImagePullPolicy, ServiceType, Storage, UpdateStrategyType, WhenDeleted},
    },
    inputs::Inputs,
    references::ReferencesHash,
};

use super::{Blocked, class, merge::merge};

/// What is wanted of the Pod and its companions.
#[derive(Clone, Debug, PartialEq)]
pub struct Effective {
    pub class: Option<ClassRef>,
    pub image: String,
    pub pull_policy: ImagePullPolicy,
    pub volume: Option<Volume>,
    /// The kind of Service; none without ports.
    pub service: Option<ServiceType>,
    pub strategy: UpdateStrategyType,
    pub inputs: Inputs,
    /// CPU and memory that were set, as `requests.cpu`.
    pub compute: BTreeMap<String, Quantity>,
    /// The merged spec, for everything that goes into the Pod as it stands.
    pub spec: WorkspaceSpec,
}

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

/// The workspace's spec with the defaults of its class filled in.
pub fn merged(spec: &WorkspaceSpec, class: Option<&WorkspaceClass>) -> Result<WorkspaceSpec, Blocked> {
    let Some(defaults) = class.and_then(|class| class.spec.defaults.as_ref()) else {
        return Ok(spec.clone());
    };
    let json = |spec: &WorkspaceSpec| serde_json::to_value(spec).map_err(|error| unreadable(&error));
    serde_json::from_value(merge(&json(defaults)?, &json(spec)?)).map_err(|error| unreadable(&error))
}

fn unreadable(error: &serde_json::Error) -> Blocked {
    Blocked::invalid("className", &format!("the class's defaults don't fit the spec: {error}"))
}

/// How long each start may take.
pub fn progress_deadline(spec: &WorkspaceSpec) -> Duration {
    Duration::from_secs(
        spec.progress_deadline_seconds.map_or(600, |seconds| u64::try_from(seconds).unwrap_or(600)),
    )
}

impl Effective {
    /// Checks the merged `spec`.
    pub fn check(
        spec: WorkspaceSpec,
        class: Option<&WorkspaceClass>,
        references: Option<ReferencesHash>,
    ) -> Result<Self, Blocked> {
        let image =
            spec.image.clone().filter(|image| !image.trim().is_empty()).ok_or_else(|| {
                Blocked::invalid("image", "neither the workspace nor its class names an image")
            })?;
        let pull_policy = spec.image_pull_policy.unwrap_or_else(|| default_pull_policy(&image));
        let volume = spec.storage.as_ref().map(volume).transpose()?.flatten();
        let service = (!spec.ports.is_empty())
            .then(|| spec.service.as_ref().and_then(|service| service.type_).unwrap_or_default());
        let strategy = spec.update_strategy.as_ref().and_then(|strategy| strategy.type_).unwrap_or_default();
        let compute = compute(&spec)?;
        let inputs = Inputs::of(&spec, references);
        let class = class.map(class::reference);
        Ok(Self { class, image, pull_policy, volume, service, strategy, inputs, compute, spec })
    }

    /// The own volume claim, if that is what is mounted.
    pub fn own_volume(&self) -> Option<&OwnVolume> {
        match &self.volume.as_ref()?.source {
            VolumeSource::Own(own) => Some(own),
            VolumeSource::Existing(_) => None,
        }
    }

    /// The existing claim, if that is what is mounted.
    pub fn existing_claim(&self) -> Option<&str> {
        match &self.volume.as_ref()?.source {
            VolumeSource::Own(_) => None,
            VolumeSource::Existing(name) => Some(name),
        }
    }
}

/// core/v1's own default, which the image check has to know.
fn default_pull_policy(image: &str) -> ImagePullPolicy {
    let name = image.rsplit_once('/').map_or(image, |(_, name)| name);
    let is_moving = !image.contains('@') && name.split_once(':').is_none_or(|(_, tag)| tag == "latest");
    if is_moving { ImagePullPolicy::Always } else { ImagePullPolicy::IfNotPresent }
}

fn volume(storage: &Storage) -> Result<Option<Volume>, Blocked> {
    let mount_path = storage.mount_path.clone().unwrap_or_else(|| names::DEFAULT_MOUNT_PATH.to_owned());
    let source = match (&storage.existing_claim, &storage.size) {
        (Some(name), _) => VolumeSource::Existing(name.clone()),
        (None, Some(size)) => VolumeSource::Own(Box::new(own_volume(storage, size)?)),
        (None, None) => return Ok(None),
    };
    Ok(Some(Volume { mount_path, source }))
}

fn own_volume(storage: &Storage, size: &Quantity) -> Result<OwnVolume, Blocked> {
    let parsed = parse("storage.size", size)?;
    if parsed <= ParsedQuantity::default() {
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

fn compute(spec: &WorkspaceSpec) -> Result<BTreeMap<String, Quantity>, Blocked> {
    let resources = spec.resources.as_ref();
    let mut compute = BTreeMap::new();
    for (list, values) in [
        ("requests", resources.and_then(|resources| resources.requests.as_ref())),
        ("limits", resources.and_then(|resources| resources.limits.as_ref())),
    ] {
        for (name, value) in values.into_iter().flatten() {
            let field = format!("{list}.{name}");
            parse(&format!("resources.{field}"), value)?;
            if name == "cpu" || name == "memory" {
                compute.insert(field, value.clone());
            }
        }
    }
    Ok(compute)
}

fn parse(field: &str, quantity: &Quantity) -> Result<ParsedQuantity, Blocked> {
    ParsedQuantity::try_from(quantity)
        .map_err(|_| Blocked::invalid(field, &format!("{:?} is not a quantity", quantity.0)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(spec: serde_json::Value) -> Result<Effective, Blocked> {
        Effective::check(serde_json::from_value(spec).unwrap(), None, None)
    }

    #[test]
    fn an_image_is_required_from_somebody() {
        assert_eq!(
            check(json!({})).unwrap_err().message,
            "spec.image: neither the workspace nor its class names an image"
        );
    }

    #[test]
    fn the_pull_policy_follows_the_tag() {
        for (image, policy) in [
            ("a", ImagePullPolicy::Always),
            ("a:latest", ImagePullPolicy::Always),
            ("host:5000/a", ImagePullPolicy::Always),
            ("host:5000/a:1", ImagePullPolicy::IfNotPresent),
            ("a@sha256:0", ImagePullPolicy::IfNotPresent),
        ] {
            assert_eq!(check(json!({"image": image})).unwrap().pull_policy, policy, "{image}");
        }
    }

    #[test]
    fn what_is_no_quantity_is_named() {
        let blocked = check(json!({"image": "a", "resources": {"limits": {"cpu": "lots"}}})).unwrap_err();
        assert_eq!(blocked.message, "spec.resources.limits.cpu: \"lots\" is not a quantity");
    }

    #[test]
    fn a_volume_of_nothing_is_refused() {
        assert!(check(json!({"image": "a", "storage": {"size": "0"}})).is_err());
    }

    #[test]
    fn a_number_is_a_quantity() {
        let effective = check(json!({"image": "a", "resources": {"requests": {"cpu": 1}}})).unwrap();
        assert_eq!(effective.compute["requests.cpu"].0, "1");
    }
}
