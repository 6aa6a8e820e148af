//! The disruption budget beside a busy Pod: made, and deleted; nothing of it changes in between.

use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::{Api, Client, ResourceExt};

use crate::{
    api::Reason,
    build::{self, Owner},
    error::Error,
    refusal::{self, Child},
    view::{DisruptionBudgetView, Ownership, ownership},
};

use super::{No, exactly, name_taken, post};

const KIND: &str = "PodDisruptionBudget";

/// Makes the budget. None means that it is there.
pub async fn make(client: &Client, owner: &Owner) -> Result<Option<No>, Error> {
    let wanted = build::disruption_budget::disruption_budget(owner);
    let api: Api<PodDisruptionBudget> = Api::namespaced(client.clone(), &owner.namespace);
    match api.create(&post(), &wanted).await {
        Ok(_) => Ok(None),
        Err(kube::Error::Api(status)) if status.is_already_exists() => in_the_way(client, owner).await,
        Err(error) => match refusal::of(Child::DisruptionBudget, &error) {
            Some((reason, message)) => Ok(Some((reason, format!("{KIND} {}: {message}", owner.name)))),
            None => Err(Error::call("create", KIND, &owner.name)(error)),
        },
    }
}

/// What the budget of that name says against ours; nothing, if it is ours and only the cache lacks it.
async fn in_the_way(client: &Client, owner: &Owner) -> Result<Option<No>, Error> {
    let api: Api<DisruptionBudgetView> = Api::namespaced(client.clone(), &owner.namespace);
    let live = api.get(&owner.name).await.map_err(Error::call("get", KIND, &owner.name))?;
    Ok(match ownership(&live.metadata, &owner.name, &owner.uid) {
        Ownership::Ours => None,
        Ownership::Former => {
            let message = format!("the {KIND} of a former workspace of this name is still being deleted");
            Some((Reason::Terminating, message))
        }
        Ownership::Retained | Ownership::Foreign => Some(name_taken(KIND, &owner.name)),
    })
}

/// Deletes the budget with this UID.
pub async fn delete(client: &Client, owner: &Owner, live: &DisruptionBudgetView) -> Result<(), Error> {
    let api: Api<PodDisruptionBudget> = Api::namespaced(client.clone(), &owner.namespace);
    match api.delete(&owner.name, &exactly(&live.uid().unwrap_or_default())).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
        Err(error) => Err(Error::call("delete", KIND, &owner.name)(error)),
    }
}
