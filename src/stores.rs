//! The caches, read-only: filled by the watches of [`controller`](crate::controller).

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::{
    Resource,
    core::{DeserializeGuard, PartialObjectMeta},
    runtime::reflector::{ObjectRef, Store},
};

use crate::{
    api::{Workspace, WorkspaceClass, class::Backend, names},
    view::{
        DisruptionBudgetView, NetworkPolicyView, PodView, ServiceView, VolumeClaimView, credential, label,
    },
};

/// The caches.
pub struct Stores {
    pub workspaces: Store<DeserializeGuard<Workspace>>,
    pub pods: Store<PodView>,
    /// The Secrets of programs that run elsewhere.
    pub credentials: Store<PartialObjectMeta<Secret>>,
    pub probes: Store<PodView>,
    pub volume_claims: Store<VolumeClaimView>,
    pub services: Store<ServiceView>,
    pub policies: Store<NetworkPolicyView>,
    pub disruption_budgets: Store<DisruptionBudgetView>,
    pub classes: Store<DeserializeGuard<WorkspaceClass>>,
    pub namespaces: Store<PartialObjectMeta<Namespace>>,
}

impl Stores {
    /// Their names, as far as readiness waits for them. Not the Secrets of programs that run elsewhere: an operator may go
    /// without the right to see Secrets, and what its cache lacks is asked for live.
    pub const KINDS: &[&str] = &[
        "Workspace",
        "Pod",
        "probe Pod",
        "PersistentVolumeClaim",
        "Service",
        "NetworkPolicy",
        "PodDisruptionBudget",
        "WorkspaceClass",
        "Namespace",
    ];

    /// The child of kind `K` that carries the workspace's name.
    pub fn child<K>(store: &Store<K>, namespace: &str, name: &str) -> Option<Arc<K>>
    where
        K: Resource<DynamicType = ()> + Clone + 'static,
    {
        store.get(&ObjectRef::new(name).within(namespace))
    }

    /// The object that is an incarnation of this workspace, if it is of this kind.
    pub fn incarnation(&self, backend: Backend, namespace: &str, workspace: &str) -> Option<Arc<PodView>> {
        self.object(backend, namespace, &backend.object_name(workspace))
    }

    /// The object of this name that may be an incarnation.
    pub fn object(&self, backend: Backend, namespace: &str, name: &str) -> Option<Arc<PodView>> {
        match backend {
            Backend::Pod => Self::child(&self.pods, namespace, name),
            Backend::External => {
                let secret = Self::child(&self.credentials, namespace, name)?;
                Some(Arc::new(credential::as_pod(&secret)))
            }
        }
    }

    /// The Pods that try an image out for this workspace.
    pub fn probes_of(&self, namespace: &str, workspace: &str) -> Vec<Arc<PodView>> {
        self.probes.state_filter(|probe| {
            probe.metadata.namespace.as_deref() == Some(namespace)
                && label(&probe.metadata, names::PROBE_FOR) == Some(workspace)
        })
    }
}
