//! Volume claim and Service: made before the Pod, kept in shape beside it.

use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Service};
use kube::{Api, Client, ResourceExt, api::Patch};
use serde_json::Value;

use crate::{
    adjust::{self, service::Adjustment},
    build::{self, Owner},
    error::Error,
    refusal::{self, Child},
    resolve::Effective,
    view::{Ownership, ServiceView, VolumeClaimView, ownership},
};

use super::{Made, exactly, name_taken, patch, post};

/// Makes the volume claim, or takes up the one that was retained. Answers with the claim as it is.
pub async fn make_volume_claim(
    client: &Client,
    owner: &Owner,
    effective: &Effective,
) -> Result<Option<Made<VolumeClaimView>>, Error> {
    let Some(own) = effective.own_volume() else { return Ok(None) };
    let wanted = build::volume_claim::volume_claim(owner, own);
    let api: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), &owner.namespace);
    let call = |verb| Error::call(verb, "PersistentVolumeClaim", &owner.name);
    match api.create(&post(), &wanted).await {
        Ok(_) => read_volume_claim(client, owner).await,
        Err(kube::Error::Api(status)) if status.is_already_exists() => read_volume_claim(client, owner).await,
        Err(error) => match refusal::of(Child::VolumeClaim, &error) {
            Some((reason, message)) => {
                Ok(Some(Made::Refused(reason, format!("PersistentVolumeClaim {}: {message}", owner.name))))
            }
            None => Err(call("create")(error)),
        },
    }
}

async fn read_volume_claim(client: &Client, owner: &Owner) -> Result<Option<Made<VolumeClaimView>>, Error> {
    let api: Api<VolumeClaimView> = Api::namespaced(client.clone(), &owner.namespace);
    let claim =
        api.get(&owner.name).await.map_err(Error::call("get", "PersistentVolumeClaim", &owner.name))?;
    Ok(Some(match ownership(&claim.metadata, &owner.name, &owner.uid) {
        Ownership::Ours | Ownership::Retained | Ownership::Former => Made::Made(claim),
        Ownership::Foreign => {
            let (reason, message) = name_taken("PersistentVolumeClaim", &owner.name);
            Made::Refused(reason, message)
        }
    }))
}

/// Lets our volume claim grow, and gives it the retention asked for. A "no" is told, not retried for ever.
pub async fn adjust_volume_claim(
    client: &Client,
    owner: &Owner,
    effective: &Effective,
    live: Option<&VolumeClaimView>,
) -> Result<Option<String>, Error> {
    let (Some(own), Some(live)) = (effective.own_volume(), live) else { return Ok(None) };
    let ours = ownership(&live.metadata, &owner.name, &owner.uid);
    if live.is_terminating() || !matches!(ours, Ownership::Ours | Ownership::Retained) {
        return Ok(None);
    }
    let wanted = build::volume_claim::volume_claim(owner, own);
    let Some(body) = adjust::volume_claim::volume_claim(live, &wanted, &owner.uid) else { return Ok(None) };
    let api: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), &owner.namespace);
    match api.patch(&owner.name, &patch(), &Patch::Merge(&body)).await {
        Ok(_) => Ok(None),
        Err(error) => match refusal::of(Child::VolumeClaim, &error) {
            Some((_, message)) => Ok(Some(message)),
            None => Err(Error::call("patch", "PersistentVolumeClaim", &owner.name)(error)),
        },
    }
}

/// Brings the Service to the wish. None means that all is well.
pub async fn adjust_service(
    client: &Client,
    owner: &Owner,
    wanted: Option<&Service>,
    live: Option<&ServiceView>,
) -> Result<Option<super::No>, Error> {
    let live = live.filter(|live| ownership(&live.metadata, &owner.name, &owner.uid) == Ownership::Ours);
    match (adjust::service::service(live, wanted), live, wanted) {
        (Adjustment::Create, _, Some(wanted)) => make_service(client, owner, wanted).await,
        (Adjustment::Patch(body), ..) => patch_service(client, owner, &body).await,
        (Adjustment::Recreate, Some(live), Some(wanted)) => {
            delete_service(client, owner, live).await?;
            make_service(client, owner, wanted).await
        }
        (Adjustment::Delete, Some(live), _) => delete_service(client, owner, live).await.map(|()| None),
        _ => Ok(None),
    }
}

async fn patch_service(client: &Client, owner: &Owner, body: &Value) -> Result<Option<super::No>, Error> {
    let api: Api<Service> = Api::namespaced(client.clone(), &owner.namespace);
    match api.patch(&owner.name, &patch(), &Patch::Merge(body)).await {
        Ok(_) => Ok(None),
        Err(error) => refused(owner, "patch", error),
    }
}

async fn make_service(client: &Client, owner: &Owner, wanted: &Service) -> Result<Option<super::No>, Error> {
    let api: Api<Service> = Api::namespaced(client.clone(), &owner.namespace);
    match api.create(&post(), wanted).await {
        Ok(_) => Ok(None),
        Err(kube::Error::Api(status)) if status.is_already_exists() => {
            let api: Api<ServiceView> = Api::namespaced(client.clone(), &owner.namespace);
            let live = api.get(&owner.name).await.map_err(Error::call("get", "Service", &owner.name))?;
            match ownership(&live.metadata, &owner.name, &owner.uid) {
                // The cache lacks it, for a moment or because it lost its label.
                Ownership::Ours => match adjust::service::service(Some(&live), Some(wanted)) {
                    Adjustment::Patch(body) => patch_service(client, owner, &body).await,
                    _ => Ok(None),
                },
                Ownership::Former => {
                    let message = "the Service of a former workspace of this name is still being deleted";
                    Ok(Some((crate::api::Reason::Terminating, message.to_owned())))
                }
                Ownership::Retained | Ownership::Foreign => Ok(Some(name_taken("Service", &owner.name))),
            }
        }
        Err(error) => refused(owner, "create", error),
    }
}

fn refused(owner: &Owner, verb: &'static str, error: kube::Error) -> Result<Option<super::No>, Error> {
    match refusal::of(Child::Service, &error) {
        Some((reason, message)) => Ok(Some((reason, format!("Service {}: {message}", owner.name)))),
        None => Err(Error::call(verb, "Service", &owner.name)(error)),
    }
}

async fn delete_service(client: &Client, owner: &Owner, live: &ServiceView) -> Result<(), Error> {
    let api: Api<Service> = Api::namespaced(client.clone(), &owner.namespace);
    match api.delete(&owner.name, &exactly(&live.uid().unwrap_or_default())).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
        Err(error) => Err(Error::call("delete", "Service", &owner.name)(error)),
    }
}

/// While the workspace is being deleted: its own volume claim goes too, if that is the retention in force.
pub async fn delete_owned_volume_claim(
    client: &Client,
    owner: &Owner,
    live: Option<&VolumeClaimView>,
) -> Result<(), Error> {
    let live = live.filter(|live| !live.is_terminating());
    let owned = live.filter(|live| ownership(&live.metadata, &owner.name, &owner.uid) == Ownership::Ours);
    let Some(live) = owned else { return Ok(()) };
    let api: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), &owner.namespace);
    match api.delete(&owner.name, &exactly(&live.uid().unwrap_or_default())).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
        Err(error) => Err(Error::call("delete", "PersistentVolumeClaim", &owner.name)(error)),
    }
}
