//! What a workspace that is gone may leave behind where the garbage collector does not know whose it was: a network
//! policy that had no owner yet, because the operator ended between making it and making its Pod the owner.

use kube::{Api, runtime::reflector::ObjectRef};

use crate::{
    api::{Workspace, names},
    apply,
    context::Context,
    error::Error,
    stores::Stores,
    view::{NetworkPolicyView, PodView, label},
};

/// Cleans up after the workspace of this name, which the cache does not have. A failure is tried again with the next
/// event of what was left, or at the next start.
pub async fn clean(ctx: &Context, namespace: &str, name: &str) {
    let Some(policy) = Stores::child(&ctx.stores.policies, namespace, name) else { return };
    if !is_nobodys(&policy, name) {
        return;
    }
    if let Err(error) = delete(ctx, namespace, name, &policy).await {
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            namespace,
            name,
            "cleaning up after a workspace"
        );
    }
}

/// Cleans up after every workspace that is gone, as one does who begins to look after them: what the cache told before
/// is not told again.
pub async fn clean_all(ctx: &Context) {
    for policy in ctx.stores.policies.state() {
        let namespace = policy.metadata.namespace.clone().unwrap_or_default();
        let Some(name) = label(&policy.metadata, names::WORKSPACE) else { continue };
        if ctx.stores.workspaces.get(&ObjectRef::new(name).within(&namespace)).is_none() {
            clean(ctx, &namespace, name).await;
        }
    }
}

fn is_nobodys(policy: &NetworkPolicyView, name: &str) -> bool {
    policy.metadata.owner_references.as_ref().is_none_or(Vec::is_empty)
        && label(&policy.metadata, names::WORKSPACE) == Some(name)
        && label(&policy.metadata, names::MANAGED_BY) == Some(names::MANAGED_BY_VALUE)
}

/// The caches only gave the hint: the API server says whether workspace and Pod are gone.
async fn delete(ctx: &Context, namespace: &str, name: &str, policy: &NetworkPolicyView) -> Result<(), Error> {
    let workspaces: Api<Workspace> = Api::namespaced(ctx.client.clone(), namespace);
    let workspace = workspaces.get_metadata_opt(name).await.map_err(Error::call("get", "Workspace", name))?;
    let pods: Api<PodView> = Api::namespaced(ctx.client.clone(), namespace);
    let pod = pods.get_metadata_opt(name).await.map_err(Error::call("get", "Pod", name))?;
    if workspace.is_some() || pod.is_some() {
        return Ok(());
    }
    tracing::info!(namespace, name, "deleting a network policy that nobody owns");
    apply::network_policy::delete_leftover(&ctx.client, namespace, policy).await
}
