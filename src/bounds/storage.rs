//! Sizes and StorageClasses of the volumes that a workspace has made for itself.

use k8s_openapi::{
    api::core::v1::{PersistentVolumeClaimSpec, PodSpec},
    apimachinery::pkg::api::resource::Quantity,
};

use crate::{amount::Amount, api::bounds::StorageBounds};

use super::{Asked, Malformed, Outside, listed, quoted};

/// What volumes may be made.
#[derive(Clone, Debug, Default)]
pub(super) struct Volumes {
    min: Option<(Amount, String)>,
    max: Option<(Amount, String)>,
    classes: Option<Vec<String>>,
}

/// A claim that is to be made.
struct Made<'a> {
    size: (String, Option<&'a Quantity>),
    class: (String, Option<&'a str>),
}

impl Volumes {
    pub(super) fn parse(
        sizes: Option<&StorageBounds>,
        classes: Option<&Vec<String>>,
    ) -> Result<Self, Malformed> {
        let (min, max) = match sizes {
            Some(StorageBounds { min, max }) => (size("min", min.as_ref())?, size("max", max.as_ref())?),
            None => (None, None),
        };
        Ok(Self { min, max, classes: classes.cloned() })
    }

    pub(super) fn check(&self, asked: &Asked<'_>) -> Result<(), Outside> {
        for made in own(asked).into_iter().chain(ephemeral(asked.overlay)) {
            self.check_size(&made)?;
            self.check_class(&made)?;
        }
        Ok(())
    }

    fn check_size(&self, made: &Made<'_>) -> Result<(), Outside> {
        let (field, quantity) = &made.size;
        let text = quantity.map_or("0", |quantity| &quantity.0);
        let outside = |bound: String| Outside::new(field, &quoted(text), bound);
        if self.min.is_none() && self.max.is_none() {
            return Ok(());
        }
        let Some(size) = Amount::parse(text) else {
            return Err(outside("bounds.storage: it is not a quantity of zero or more".to_owned()));
        };
        match (&self.min, &self.max) {
            (Some((min, text)), _) if size < *min => {
                Err(outside(format!("bounds.storage.min (at least {text})")))
            }
            (_, Some((max, text))) if size > *max => {
                Err(outside(format!("bounds.storage.max (at most {text})")))
            }
            _ => Ok(()),
        }
    }

    fn check_class(&self, made: &Made<'_>) -> Result<(), Outside> {
        let Some(allowed) = &self.classes else { return Ok(()) };
        let (field, class) = &made.class;
        let bound = || format!("bounds.storageClasses ({})", listed(allowed));
        match class {
            Some(class) if allowed.iter().any(|allowed| allowed == class) => Ok(()),
            Some(class) => Err(Outside::new(field, &quoted(class), bound())),
            None => Err(Outside::new(field, "none", format!("{}; one has to be named", bound()))),
        }
    }
}

fn size(field: &str, quantity: Option<&Quantity>) -> Result<Option<(Amount, String)>, Malformed> {
    let Some(quantity) = quantity else { return Ok(None) };
    match Amount::of(quantity) {
        Some(amount) => Ok(Some((amount, quantity.0.clone()))),
        None => Err(Malformed::new(
            format!("bounds.storage.{field}"),
            format!("{:?} is not a quantity", quantity.0),
        )),
    }
}

fn own<'a>(asked: &Asked<'a>) -> Option<Made<'a>> {
    let storage = asked.spec.storage.as_ref().filter(|storage| storage.existing_claim.is_none())?;
    Some(Made {
        size: ("spec.storage.size".into(), Some(storage.size.as_ref()?)),
        class: ("spec.storage.storageClassName".into(), storage.storage_class_name.as_deref()),
    })
}

fn ephemeral(overlay: Option<&PodSpec>) -> impl Iterator<Item = Made<'_>> {
    templates(overlay).map(|(path, claim)| {
        let requests = claim.resources.as_ref().and_then(|resources| resources.requests.as_ref());
        Made {
            size: (
                format!("{path}.resources.requests.storage"),
                requests.and_then(|requests| requests.get("storage")),
            ),
            class: (format!("{path}.storageClassName"), claim.storage_class_name.as_deref()),
        }
    })
}

/// The claims that an overlay's volumes are made of, which live as long as the Pod.
pub(super) fn templates(
    overlay: Option<&PodSpec>,
) -> impl Iterator<Item = (String, &PersistentVolumeClaimSpec)> {
    let volumes = overlay.into_iter().flat_map(|overlay| overlay.volumes.iter().flatten());
    volumes.filter_map(|volume| {
        let template = volume.ephemeral.as_ref()?.volume_claim_template.as_ref()?;
        let name = &volume.name;
        let path = format!("spec.podTemplate.spec.volumes[{name}].ephemeral.volumeClaimTemplate.spec");
        Some((path, &template.spec))
    })
}
