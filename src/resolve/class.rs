//! Which class a workspace has.

use std::sync::Arc;

use jiff::Timestamp;
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
    match &spec.class_name {
        Some(name) => {
            match classes.iter().find(|class| class.meta().name.as_ref() == Some(name)).map(|class| &class.0)
            {
                Some(Ok(class)) => Ok(Some(class)),
                Some(Err(error)) => Err(not_found(format!("WorkspaceClass {name} can't be read: {error}"))),
                None => Err(not_found(format!("there is no WorkspaceClass {name}"))),
            }
        }
        None => Ok(classes
            .iter()
            .filter_map(|class| class.0.as_ref().ok())
            .filter(|class| annotation(&class.metadata, names::DEFAULT_CLASS) == Some("true"))
            .min_by_key(|class| (created(class), class.metadata.name.clone()))),
    }
}

/// The older of two default classes wins: a second one marked by mistake moves nobody.
fn created(class: &WorkspaceClass) -> Timestamp {
    class.metadata.creation_timestamp.as_ref().map_or(Timestamp::MAX, |time| time.0)
}

/// The class as it is noted in a claim.
pub fn reference(class: &WorkspaceClass) -> ClassRef {
    ClassRef { name: class.metadata.name.clone().unwrap_or_default(), generation: class.metadata.generation }
}
