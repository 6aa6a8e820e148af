//! Which class a workspace has.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Resource, core::DeserializeGuard};

use crate::{
    api::{Reason, WorkspaceClass, WorkspaceSpec, names, status::ClassRef},
    view::annotation,
};

use super::Blocked;

/// The class of a workspace: the one it names, else the default class, else none.
pub fn choose<'a>(
    spec: &WorkspaceSpec,
    classes: &'a [Arc<DeserializeGuard<WorkspaceClass>>],
) -> Result<Option<&'a WorkspaceClass>, Blocked> {
    let not_found = |message: String| Blocked { reason: Reason::ClassNotFound, message };
    let chosen = match &spec.class_name {
        Some(name) => {
            let named = classes.iter().find(|class| class.meta().name.as_ref() == Some(name));
            Some(named.ok_or_else(|| not_found(format!("there is no WorkspaceClass {name}")))?)
        }
        None => classes
            .iter()
            .filter(|class| annotation(class.meta(), names::DEFAULT_CLASS) == Some("true"))
            .min_by_key(|class| (created(class.meta()), class.meta().name.clone())),
    };
    // A class that can't be read is still the one that is meant: going on without it would restart whoever has it.
    chosen.map(|class| class.0.as_ref()).transpose().map_err(|invalid| {
        let name = invalid.metadata.name.as_deref().unwrap_or_default();
        not_found(format!("WorkspaceClass {name} can't be read: {invalid}"))
    })
}

/// The older of two default classes wins: a second one marked by mistake moves nobody.
fn created(class: &ObjectMeta) -> Timestamp {
    class.creation_timestamp.as_ref().map_or(Timestamp::MAX, |time| time.0)
}

/// The class as it is noted in a claim.
pub fn reference(class: &WorkspaceClass) -> ClassRef {
    ClassRef { name: class.metadata.name.clone().unwrap_or_default(), generation: class.metadata.generation }
}
