//! Writes. Each either carries its precondition (a UID, a resource version) or can only be the first of its name.

pub mod children;
pub mod credential;
pub mod disruption_budget;
pub mod incarnation;
pub mod network_policy;
pub mod pod;
pub mod status;
pub mod workspace;

use crate::{api::names, protection::Protection, situation::Refusal};
use kube::api::{DeleteParams, PatchParams, PostParams, Preconditions};

/// What came of asking for a child.
#[derive(Clone, Debug)]
pub enum Made<T> {
    Made(T),
    /// The API server said no.
    Refused(crate::api::Reason, String),
}

/// A refusal before it is known when to ask again.
pub type No = (crate::api::Reason, String);

fn post() -> PostParams {
    PostParams { field_manager: Some(names::FIELD_MANAGER.to_owned()), ..Default::default() }
}

fn patch() -> PatchParams {
    PatchParams { field_manager: Some(names::FIELD_MANAGER.to_owned()), ..Default::default() }
}

/// Deletes the object with this UID and no other that took its name since.
fn exactly(uid: &str) -> DeleteParams {
    let preconditions = Preconditions { uid: Some(uid.to_owned()), resource_version: None };
    DeleteParams {
        preconditions: Protection::UidPrecondition.holds().then_some(preconditions),
        ..DeleteParams::background()
    }
}

/// An object of our name that is somebody else's.
pub fn name_taken(kind: &str, name: &str) -> No {
    let message = format!("a {kind} {name} exists and belongs to somebody else; it is left alone");
    (crate::api::Reason::NameTaken, message)
}

/// A refusal in the words of status.
pub fn refusal(no: &No, retry_at: jiff::Timestamp) -> Refusal {
    Refusal { reason: no.0, message: no.1.clone(), retry_at }
}
