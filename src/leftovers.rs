//! What a workspace that is gone may leave behind where the garbage collector does not know whose it was: a network
//! policy that had no owner yet, because the operator ended between making it and making its Pod the owner.

use std::time::Duration;

use kube::{Api, runtime::reflector::ObjectRef};

use crate::{
    api::{Workspace, names},
    apply,
    context::Context,
    error::Error,
    view::{NetworkPolicyView, PodView, label},
};

/// Between two looks: many events tell of one workspace that goes.
const PACE: Duration = Duration::from_secs(1);
/// After a failure.
const RETRY: Duration = Duration::from_secs(5);

/// Cleans up after every workspace that is gone, from now on and whenever [`Context::littered`] tells, until it is
/// dropped. What was told before it ran is not told again; so it begins with a look.
pub async fn run(ctx: &Context) {
    ctx.pending.wait().await;
    loop {
        if clean(ctx).await {
            ctx.littered.notified().await;
            tokio::time::sleep(PACE).await;
        } else {
            tokio::time::sleep(RETRY).await;
        }
    }
}

/// Cleans up after all of them. Answers whether that was done.
async fn clean(ctx: &Context) -> bool {
    let mut all_done = true;
    for policy in ctx.stores.policies.state() {
        let namespace = policy.metadata.namespace.clone().unwrap_or_default();
        let Some(name) = label(&policy.metadata, names::WORKSPACE) else { continue };
        let is_gone = ctx.stores.workspaces.get(&ObjectRef::new(name).within(&namespace)).is_none();
        if !is_gone || !is_nobodys(&policy, name) {
            continue;
        }
        let limit = ctx.settings.reconcile_timeout;
        let deleted = tokio::time::timeout(limit, delete(ctx, &namespace, name, &policy)).await;
        let failed = deleted.unwrap_or_else(|_| Err(Error::TimedOut { name: name.to_owned(), limit })).err();
        if let Some(error) = failed {
            all_done = false;
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, namespace, name, "cleaning up after a workspace");
        }
    }
    all_done
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
