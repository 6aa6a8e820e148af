//! Which class a workspace has.

use std::sync::Arc;

use jiff::Timestamp;

use crate::{
    api::{Reason, WorkspaceClass, WorkspaceSpec, names, status::ClassRef},
    view::annotation,
};

use super::Blocked;

/// The class of a workspace: the one it names, else the default class, else none.
pub fn choose<'a>(
    spec: &WorkspaceSpec,
    classes: &'a [Arc<WorkspaceClass>],
) -> Result<Option<&'a WorkspaceClass>, Blocked> {
    match &spec.class_name {
        Some(name) => classes
            .iter()
            .find(|class| class.metadata.name.as_ref() == Some(name))
            .map(|class| Some(class.as_ref()))
            .ok_or_else(|| Blocked {
                reason: Reason::ClassNotFound,
                message: format!("there is no WorkspaceClass {name}"),
            }),
        None => Ok(classes
            .iter()
            .filter(|class| annotation(&class.metadata, names::DEFAULT_CLASS) == Some("true"))
            .min_by_key(|class| (created(class), class.metadata.name.clone()))
            .map(AsRef::as_ref)),
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
