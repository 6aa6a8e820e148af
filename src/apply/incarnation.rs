//! Writes to the one object that is an incarnation, whichever kind it is.

use jiff::Timestamp;
use kube::Client;
use serde_json::Value;

use crate::{
    api::class::Backend,
    build::{self, Owner},
    claim::Claim,
    error::Error,
    registration::Mark,
    resolve::Effective,
    view::PodView,
};

use super::{Made, credential, pod, pod::Deleted};

/// Makes what was claimed. None means that the name is in use, and only a look at the API server tells by whom.
pub async fn create(
    client: &Client,
    owner: &Owner,
    effective: &Effective,
    claim: &Claim,
    certificates: Option<&str>,
) -> Result<Option<Made<PodView>>, Error> {
    match effective.backend {
        Backend::Pod => {
            pod::create(client, owner, &build::pod::pod(owner, effective, claim, certificates)).await
        }
        Backend::External => {
            let secret = build::credential::credential(owner, effective, claim, certificates);
            credential::create(client, &secret).await
        }
    }
}

/// Deletes the object with this UID, a Pod by its own grace period.
pub async fn delete(client: &Client, owner: &Owner, backend: Backend, uid: &str) -> Result<Deleted, Error> {
    let name = backend.object_name(&owner.name);
    match backend {
        Backend::Pod => pod::delete(client, &owner.namespace, &name, uid).await,
        Backend::External => credential::delete(client, &owner.namespace, &name, uid).await,
    }
}

/// Changes labels and annotations in place.
pub async fn patch_metadata(
    client: &Client,
    owner: &Owner,
    backend: Backend,
    body: &Value,
) -> Result<Made<()>, Error> {
    match backend {
        Backend::Pod => pod::patch_metadata(client, owner, body).await,
        Backend::External => {
            let name = backend.object_name(&owner.name);
            credential::patch_metadata(client, &owner.namespace, &name, body).await
        }
    }
}

/// Writes down that the process of `mark` registered. False where this very object is gone.
pub async fn register(client: &Client, view: &PodView, mark: &Mark, now: Timestamp) -> Result<bool, Error> {
    match view.backend {
        Backend::Pod => pod::register(client, view, mark, now).await,
        Backend::External => credential::register(client, view, mark, now).await,
    }
}
