//! Writes to the workspace itself: the operator's own hold, and nothing else.

use std::sync::Arc;

use jiff::Timestamp;
use kube::{Api, Client, ResourceExt, api::Patch};
use serde_json::json;

use crate::{
    api::{Workspace, names},
    error::Error,
    resolve::suspension,
};

use super::patch;

/// Sets the hold of a workspace that nobody used since, or takes it away. Only if nobody wrote since `workspace` was
/// read: a person may have asked for something meanwhile.
pub async fn set_idle_hold(
    client: &Client,
    workspace: &Workspace,
    since: Option<Timestamp>,
) -> Result<Arc<Workspace>, Error> {
    let name = workspace.name_any();
    let namespace = workspace.namespace().unwrap_or_default();
    let api: Api<Workspace> = Api::namespaced(client.clone(), &namespace);
    let body = json!({"metadata": {
        "uid": workspace.uid(),
        "resourceVersion": workspace.resource_version(),
        "annotations": {names::IDLE_HOLD: since.map(suspension::idle_hold)},
    }});
    let patched = api.patch(&name, &patch(), &Patch::Merge(body)).await;
    let mut written = patched.map_err(Error::call("hold", "Workspace", &name))?;
    written.metadata.managed_fields = None;
    Ok(Arc::new(written))
}
