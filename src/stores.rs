//! The caches, read-only: filled by the watches of [`controller`](crate::controller).

use std::sync::Arc;

use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Resource,
    core::{DeserializeGuard, PartialObjectMeta},
    runtime::reflector::{ObjectRef, Store, store::WriterDropped},
};

use crate::{
    api::{Workspace, WorkspaceClass, names},
    view::{PodView, ServiceView, VolumeClaimView, label},
};

/// The caches.
pub struct Stores {
    pub workspaces: Store<DeserializeGuard<Workspace>>,
    pub pods: Store<PodView>,
    pub probes: Store<PodView>,
    pub volume_claims: Store<VolumeClaimView>,
    pub services: Store<ServiceView>,
    pub classes: Store<DeserializeGuard<WorkspaceClass>>,
    pub namespaces: Store<PartialObjectMeta<Namespace>>,
}

impl Stores {
    /// Waits until every cache holds what there is.
    pub async fn wait_until_ready(&self) -> Result<(), WriterDropped> {
        let Self { workspaces, pods, probes, volume_claims, services, classes, namespaces } = self;
        workspaces.wait_until_ready().await?;
        pods.wait_until_ready().await?;
        probes.wait_until_ready().await?;
        volume_claims.wait_until_ready().await?;
        services.wait_until_ready().await?;
        classes.wait_until_ready().await?;
        namespaces.wait_until_ready().await
    }

    /// The child of kind `K` that carries the workspace's name.
    pub fn child<K>(store: &Store<K>, namespace: &str, name: &str) -> Option<Arc<K>>
    where
        K: Resource<DynamicType = ()> + Clone + 'static,
    {
        store.get(&ObjectRef::new(name).within(namespace))
    }

    /// The Pods that try an image out for this workspace.
    pub fn probes_of(&self, namespace: &str, workspace: &str) -> Vec<Arc<PodView>> {
        self.probes.state_filter(|probe| {
            probe.metadata.namespace.as_deref() == Some(namespace)
                && label(&probe.metadata, names::PROBE_FOR) == Some(workspace)
        })
    }
}
