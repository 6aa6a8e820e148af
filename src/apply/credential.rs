//! Writes to the Secrets of programs that run elsewhere.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client, ResourceExt, api::Patch, core::PartialObjectMeta};
use serde_json::{Value, json};

use crate::{
    api::{Reason, names},
    error::Error,
    failure::whole_seconds,
    refusal::{self, Child},
    registration::Mark,
    view::{PodView, credential},
};

use super::{Made, exactly, patch, pod::Deleted, post};

/// Only the metadata of what is answered is of interest.
fn secrets(client: &Client, namespace: &str) -> Api<PartialObjectMeta<Secret>> {
    Api::namespaced(client.clone(), namespace)
}

/// Makes the Secret. None means that the name is in use, and only a look at the API server tells by whom.
pub async fn create(client: &Client, secret: &Secret) -> Result<Option<Made<PodView>>, Error> {
    let name = secret.name_any();
    let api: Api<Secret> = Api::namespaced(client.clone(), &secret.namespace().unwrap_or_default());
    match api.create(&post(), secret).await {
        Ok(made) => {
            let metadata = PartialObjectMeta { metadata: made.metadata, ..PartialObjectMeta::default() };
            Ok(Some(Made::Made(credential::as_pod(&metadata))))
        }
        Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(None),
        Err(error) => match refused(&name, &error) {
            Some(no) => Ok(Some(no)),
            None => Err(Error::call("create", "Secret", &name)(error)),
        },
    }
}

/// The operator may run without the right to write Secrets: whoever has such a class is told.
fn refused<T>(name: &str, error: &kube::Error) -> Option<Made<T>> {
    if let Some((reason, message)) = refusal::of(Child::Pod, error) {
        return Some(Made::Refused(reason, format!("Secret {name}: {message}")));
    }
    match error {
        kube::Error::Api(status) if status.code == 403 => {
            let message = format!("the operator may not write Secret {name}: {}", status.message);
            Some(Made::Refused(Reason::PodRefused, message))
        }
        _ => None,
    }
}

/// Deletes the Secret with this UID: no token that is bound to it is good any more.
pub async fn delete(client: &Client, namespace: &str, name: &str, uid: &str) -> Result<Deleted, Error> {
    match secrets(client, namespace).delete(name, &exactly(uid)).await {
        Ok(either) => Ok(either
            .left()
            .map_or(Deleted::Gone, |secret| Deleted::Terminating(Box::new(credential::as_pod(&secret))))),
        // Another UID, or none: the one that was meant is gone.
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(Deleted::Gone),
        Err(error) => Err(Error::call("delete", "Secret", name)(error)),
    }
}

/// Changes labels and annotations.
pub async fn patch_metadata(
    client: &Client,
    namespace: &str,
    name: &str,
    body: &Value,
) -> Result<Made<()>, Error> {
    match secrets(client, namespace).patch(name, &patch(), &Patch::Merge(body)).await {
        Ok(_) => Ok(Made::Made(())),
        Err(error) => match refused(name, &error) {
            Some(no) => Ok(no),
            None => Err(Error::call("patch", "Secret", name)(error)),
        },
    }
}

/// Writes down that the process of `mark` registered. False where this Secret is gone: by its UID a late word can't
/// touch another of its name.
pub async fn register(client: &Client, view: &PodView, mark: &Mark, now: Timestamp) -> Result<bool, Error> {
    let (namespace, name) = (view.namespace().unwrap_or_default(), view.name_any());
    let annotations = json!({
        names::REGISTERED: mark.to_string(),
        names::REGISTERED_AT: whole_seconds(now).to_string(),
    });
    let body = json!({ "metadata": { "uid": view.uid(), "annotations": annotations } });
    match secrets(client, &namespace).patch(&name, &patch(), &Patch::Merge(&body)).await {
        Ok(_) => Ok(true),
        // Another UID is no conflict to a patch, but an invalid change.
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409 | 422) => Ok(false),
        Err(error) => Err(Error::call("register", "Secret", &name)(error)),
    }
}
