//! Writes the status: the one writer of it, and only when it tells something new.

use std::sync::Arc;

use kube::{
    Client, ResourceExt,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::json;

use crate::{
    api::{Workspace, WorkspaceStatus, names},
    error::Error,
    protection::Protection,
    status::is_worth_writing,
};

/// Writes `next` on condition that nobody wrote since `workspace` was read. Answers with the object as it is now;
/// none means that there was nothing to say.
pub async fn publish(
    client: &Client,
    workspace: &Workspace,
    next: &WorkspaceStatus,
) -> Result<Option<Arc<Workspace>>, Error> {
    if workspace.status.as_ref().is_some_and(|old| !is_worth_writing(old, next)) {
        return Ok(None);
    }
    let name = workspace.name_any();
    let call = |verb| Error::call(verb, "Workspace", &name);
    // The server takes only the status of this body; the resource version and UID are its conditions.
    let body = json!({
        "apiVersion": format!("{}/v1alpha1", names::GROUP),
        "kind": "Workspace",
        "metadata": {
            "name": name,
            "namespace": workspace.namespace(),
            "uid": workspace.uid(),
            "resourceVersion": workspace.resource_version(),
        },
        "spec": {},
        "status": next,
    });
    let params = PostParams { field_manager: Some(names::FIELD_MANAGER.to_owned()), ..Default::default() };
    let request = kube::core::Request::new(<Workspace as kube::Resource>::url_path(
        &(),
        workspace.namespace().as_deref(),
    ));
    let request = if Protection::ConditionalClaim.holds() {
        let body = serde_json::to_vec(&body)
            .map_err(|error| call("write status of")(kube::Error::SerdeError(error)))?;
        request.replace_subresource("status", &name, &params, body)
    } else {
        // The server itself takes no PUT without a version.
        let body = json!({ "status": next });
        request.patch_subresource("status", &name, &PatchParams::default(), &Patch::Merge(&body))
    };
    let request = request.map_err(|error| call("write status of")(kube::Error::BuildRequest(error)))?;
    let mut written: Workspace = client.request(request).await.map_err(call("write status of"))?;
    written.metadata.managed_fields = None;
    Ok(Some(Arc::new(written)))
}
