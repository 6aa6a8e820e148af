//! The network policy: stored before the Pod starts, gone only after it.

use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, Patch, Preconditions},
};

use crate::{
    adjust,
    api::Reason,
    build::Owner,
    error::Error,
    refusal::{self, Child},
    view::{NetworkPolicyView, Ownership},
};

use super::{Made, exactly, name_taken, patch, post};

const KIND: &str = "NetworkPolicy";

fn policies(client: &Client, namespace: &str) -> Api<NetworkPolicyView> {
    Api::namespaced(client.clone(), namespace)
}

/// Makes `wanted`, or brings the one that is there to it. Answers with the policy as it is.
pub async fn put(
    client: &Client,
    owner: &Owner,
    wanted: &NetworkPolicy,
    live: Option<&NetworkPolicyView>,
) -> Result<Made<NetworkPolicyView>, Error> {
    match live.filter(|live| !live.is_terminating()) {
        Some(live) => bring(client, owner, wanted, live).await,
        None => make(client, owner, wanted).await,
    }
}

async fn make(
    client: &Client,
    owner: &Owner,
    wanted: &NetworkPolicy,
) -> Result<Made<NetworkPolicyView>, Error> {
    let api: Api<NetworkPolicy> = Api::namespaced(client.clone(), &owner.namespace);
    match api.create(&post(), wanted).await {
        Ok(NetworkPolicy { metadata, spec }) => {
            Ok(Made::Made(NetworkPolicyView { metadata, spec: spec.unwrap_or_default() }))
        }
        Err(kube::Error::Api(status)) if status.is_already_exists() => {
            let live = policies(client, &owner.namespace).get(&owner.name).await;
            let live = live.map_err(Error::call("get", KIND, &owner.name))?;
            bring(client, owner, wanted, &live).await
        }
        Err(error) => refused(owner, "create", error),
    }
}

async fn bring(
    client: &Client,
    owner: &Owner,
    wanted: &NetworkPolicy,
    live: &NetworkPolicyView,
) -> Result<Made<NetworkPolicyView>, Error> {
    let is_taken_up = match live.ownership(&owner.name, &owner.uid) {
        // Somebody's finalizer keeps it; the Pod would stand without a policy once that goes.
        Ownership::Ours | Ownership::Retained if live.is_terminating() => return Ok(terminating()),
        Ownership::Ours => false,
        Ownership::Retained => true,
        Ownership::Former => return Ok(terminating()),
        Ownership::Foreign => {
            let (reason, message) = name_taken(KIND, &owner.name);
            return Ok(Made::Refused(reason, message));
        }
    };
    let Some(body) = adjust::network_policy::network_policy(live, wanted, is_taken_up) else {
        return Ok(Made::Made(live.clone()));
    };
    match policies(client, &owner.namespace).patch(&owner.name, &patch(), &Patch::Merge(&body)).await {
        Ok(patched) => Ok(Made::Made(patched)),
        Err(error) => refused(owner, "patch", error),
    }
}

fn terminating() -> Made<NetworkPolicyView> {
    let message = "a former NetworkPolicy of this name is still being deleted";
    Made::Refused(Reason::Terminating, message.to_owned())
}

fn refused(owner: &Owner, verb: &'static str, error: kube::Error) -> Result<Made<NetworkPolicyView>, Error> {
    match refusal::of(Child::NetworkPolicy, &error) {
        Some((reason, message)) => Ok(Made::Refused(reason, format!("{KIND} {}: {message}", owner.name))),
        None => Err(Error::call(verb, KIND, &owner.name)(error)),
    }
}

/// Deletes the policy with this UID.
pub async fn delete(client: &Client, owner: &Owner, live: &NetworkPolicyView) -> Result<(), Error> {
    delete_exactly(client, &owner.namespace, live, exactly(&live.uid().unwrap_or_default())).await
}

/// Deletes a policy that nobody owns, if nobody has taken it up since it was looked at.
pub async fn delete_leftover(
    client: &Client,
    namespace: &str,
    live: &NetworkPolicyView,
) -> Result<(), Error> {
    let unchanged = Preconditions { uid: live.uid(), resource_version: live.resource_version() };
    let params = DeleteParams { preconditions: Some(unchanged), ..DeleteParams::default() };
    delete_exactly(client, namespace, live, params).await
}

async fn delete_exactly(
    client: &Client,
    namespace: &str,
    live: &NetworkPolicyView,
    params: DeleteParams,
) -> Result<(), Error> {
    let name = live.name_any();
    match policies(client, namespace).delete(&name, &params).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
        Err(error) => Err(Error::call("delete", KIND, &name)(error)),
    }
}
