//! The Secret of one incarnation that runs elsewhere. It holds nothing: tokens are bound to it, and end with it.

use k8s_openapi::api::core::v1::Secret;

use crate::{
    api::{class::Backend, names},
    claim::Claim,
    resolve::Effective,
};

use super::Owner;

/// The Secret for `claim`. Its name is fixed, so the API server itself refuses a second one. `certificates` are what its
/// program trusts when it registers, as PEM.
pub fn credential(owner: &Owner, effective: &Effective, claim: &Claim, certificates: Option<&str>) -> Secret {
    let mut metadata = owner.metadata();
    metadata.name = Some(Backend::External.object_name(&owner.name));
    let labels = metadata.labels.get_or_insert_default();
    labels.insert(names::INCARNATION.to_owned(), claim.number.to_string());
    let account = effective.spec.service_account_name.as_deref().unwrap_or("default");
    let said = [
        (names::CLAIM, Some(claim.to_annotation())),
        (names::SERVICE_ACCOUNT, Some(account.to_owned())),
        (names::REGISTRATION_CA, certificates.map(str::to_owned)),
    ];
    let annotations = said.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)));
    metadata.annotations = Some(annotations.collect());
    Secret { metadata, type_: Some("Opaque".to_owned()), ..Secret::default() }
}
