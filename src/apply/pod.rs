//! Writes to Pods.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::{
    api::core::v1::Pod,
    apimachinery::pkg::{api::resource::Quantity, apis::meta::v1::Time},
};
use kube::{
    Api, Client, ResourceExt,
    api::{Patch, PostParams},
};
use serde_json::{Map, Value, json};

use crate::{
    api::names,
    build::Owner,
    error::Error,
    failure::whole_seconds,
    refusal::{self, Child},
    registration::Mark,
    view::PodView,
};

use super::{Made, exactly, patch, post};

/// What came of a deletion.
#[derive(Clone, Debug)]
pub enum Deleted {
    /// It is on its way out.
    Terminating(Box<PodView>),
    /// There is no such Pod any more, by its name and UID.
    Gone,
}

fn pods(client: &Client, owner: &Owner) -> Api<Pod> {
    Api::namespaced(client.clone(), &owner.namespace)
}

/// A Pod in the form the caches have.
pub fn view(pod: &Pod) -> Result<PodView, Error> {
    serde_json::to_value(pod).and_then(serde_json::from_value).map_err(|error| {
        let name = pod.metadata.name.clone().unwrap_or_default();
        Error::call("read", "Pod", &name)(kube::Error::SerdeError(error))
    })
}

/// Makes the Pod. None means that the name is in use, and only a look at the API server tells by whom.
pub async fn create(client: &Client, owner: &Owner, pod: &Pod) -> Result<Option<Made<PodView>>, Error> {
    match pods(client, owner).create(&post(), pod).await {
        Ok(pod) => view(&pod).map(|pod| Some(Made::Made(pod))),
        Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(None),
        Err(error) => match refusal::of(Child::Pod, &error) {
            Some((reason, message)) => Ok(Some(Made::Refused(reason, message))),
            None => Err(Error::call("create", "Pod", &owner.name)(error)),
        },
    }
}

/// Asks whether the API server would take `pod`, while one of its name exists. That the name is in use is its
/// last objection: whoever hears it has passed validation, policies and quota.
pub async fn dry_run(client: &Client, owner: &Owner, pod: &Pod) -> Result<Made<()>, Error> {
    let params = PostParams { dry_run: true, ..post() };
    match pods(client, owner).create(&params, pod).await {
        Ok(_) => Ok(Made::Made(())),
        Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(Made::Made(())),
        Err(error) => match refusal::of(Child::Pod, &error) {
            Some((reason, message)) => Ok(Made::Refused(reason, message)),
            None => Err(Error::call("dry-run", "Pod", &owner.name)(error)),
        },
    }
}

/// Deletes the Pod with this UID, by its own grace period.
pub async fn delete(client: &Client, namespace: &str, name: &str, uid: &str) -> Result<Deleted, Error> {
    let api: Api<PodView> = Api::namespaced(client.clone(), namespace);
    match api.delete(name, &exactly(uid)).await {
        Ok(either) => Ok(either.left().map_or(Deleted::Gone, |pod| Deleted::Terminating(Box::new(pod)))),
        // Another UID, or none: the one that was meant is gone.
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(Deleted::Gone),
        Err(error) => Err(Error::call("delete", "Pod", name)(error)),
    }
}

/// Changes CPU and memory in place.
pub async fn resize(
    client: &Client,
    owner: &Owner,
    pod: &PodView,
    values: &BTreeMap<String, Quantity>,
) -> Result<Made<()>, Error> {
    let mut resources = Map::new();
    for (name, value) in values {
        if let Some((list, name)) = name.split_once('.') {
            resources.entry(list).or_insert_with(|| json!({}))[name] = json!(value);
        }
    }
    // The sub-resource takes no UID, but it does take a version, which no two objects share.
    let body = json!({"metadata": {"resourceVersion": pod.metadata.resource_version}, "spec": {"containers": [{"name": names::MAIN_CONTAINER, "resources": resources}]}});
    match pods(client, owner)
        .patch_subresource("resize", &owner.name, &patch(), &Patch::Strategic(body))
        .await
    {
        Ok(_) => Ok(Made::Made(())),
        Err(error) => match refusal::of(Child::Pod, &error) {
            Some((reason, message)) => Ok(Made::Refused(reason, message)),
            None => Err(Error::call("resize", "Pod", &owner.name)(error)),
        },
    }
}

/// Changes labels and annotations in place.
pub async fn patch_metadata(client: &Client, owner: &Owner, body: &Value) -> Result<Made<()>, Error> {
    match pods(client, owner).patch(&owner.name, &patch(), &Patch::Merge(body)).await {
        Ok(_) => Ok(Made::Made(())),
        Err(error) => match refusal::of(Child::Pod, &error) {
            Some((reason, message)) => Ok(Made::Refused(reason, message)),
            None => Err(Error::call("patch", "Pod", &owner.name)(error)),
        },
    }
}

/// Writes down that the process of `mark` registered. False where this Pod is gone: by its UID a late word can't touch
/// another of its name.
pub async fn register(client: &Client, pod: &PodView, mark: &Mark, now: Timestamp) -> Result<bool, Error> {
    let uid = json!({ "uid": pod.uid() });
    match patch_condition(client, pod, uid, "True", "Registered", &mark.to_string(), now).await {
        Ok(()) => Ok(true),
        // Another UID is no conflict to a patch, but an invalid change.
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409 | 422) => Ok(false),
        Err(error) => Err(Error::call("register", "Pod", &pod.name_any())(error)),
    }
}

/// Takes the registration of `pod` back, unless anything of it changed meanwhile.
pub async fn unregister(client: &Client, pod: &PodView, now: Timestamp) -> Result<(), Error> {
    let version = json!({ "uid": pod.uid(), "resourceVersion": pod.metadata.resource_version });
    let why = "the container was restarted";
    match patch_condition(client, pod, version, "False", "ContainerRestarted", why, now).await {
        Ok(()) => Ok(()),
        // Its end comes by the watch.
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 422) => Ok(()),
        Err(error) => Err(Error::call("unregister", "Pod", &pod.name_any())(error)),
    }
}

async fn patch_condition(
    client: &Client,
    pod: &PodView,
    metadata: Value,
    status: &str,
    reason: &str,
    message: &str,
    now: Timestamp,
) -> Result<(), kube::Error> {
    let api: Api<Pod> = Api::namespaced(client.clone(), &pod.namespace().unwrap_or_default());
    let condition = json!({
        "type": names::REGISTERED,
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": Time(whole_seconds(now)),
    });
    let body = json!({ "metadata": metadata, "status": { "conditions": [condition] } });
    api.patch_status(&pod.name_any(), &patch(), &Patch::Strategic(body)).await.map(drop)
}

/// Makes a probe Pod; false where the API server refuses it.
pub async fn create_probe(client: &Client, owner: &Owner, probe: &Pod) -> Result<bool, Error> {
    match pods(client, owner).create(&post(), probe).await {
        Ok(_) => Ok(true),
        Err(error) if refusal::of(Child::Pod, &error).is_some() => Ok(false),
        Err(error) => Err(Error::call("create", "Pod", &owner.name)(error)),
    }
}
