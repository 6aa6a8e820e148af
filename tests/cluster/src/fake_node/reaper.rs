//! The end of a Pod on a fake node, as a kubelet brings it about: the Pod is deleted by its UID. kwok deletes by name
//! alone, and under load late and twice, which takes the successor of that name.

use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, Preconditions},
    runtime::{WatchStreamExt, watcher},
};
use tokio::task::AbortHandle;

use super::{
    NAMES,
    stages::{LINGER, LINGER_MS},
};

const TRY_AGAIN: Duration = Duration::from_millis(200);

/// Ends the Pods of one namespace for as long as it lives, and its runtime.
pub(crate) struct Reaper(AbortHandle);

impl Drop for Reaper {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Reaper {
    pub(crate) fn begin(client: Client, namespace: &str) -> Self {
        let pods: Api<Pod> = Api::namespaced(client, namespace);
        Self(tokio::spawn(reap(pods)).abort_handle())
    }
}

async fn reap(pods: Api<Pod>) {
    let events = watcher(pods.clone(), watcher::Config::default()).default_backoff().applied_objects();
    let mut events = std::pin::pin!(events);
    while let Some(event) = events.next().await {
        let Ok(pod) = event else { continue };
        // Twice does no harm. Whom it ended is not remembered: an etcd that is restored brings them back.
        if let Some(uid) = pod.uid().filter(|_| is_ending_here(&pod)) {
            tokio::spawn(end(pods.clone(), pod, uid));
        }
    }
}

/// Whether it ends, on a node that there is.
fn is_ending_here(pod: &Pod) -> bool {
    let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref());
    pod.metadata.deletion_timestamp.is_some() && node.is_some_and(|node| NAMES.contains(&node))
}

async fn end(pods: Api<Pod>, pod: Pod, uid: String) {
    let image = pod.spec.as_ref().and_then(|spec| spec.containers.first()?.image.as_deref());
    if image.is_some_and(|image| image.contains(LINGER)) {
        tokio::time::sleep(Duration::from_millis(LINGER_MS.into())).await;
    }
    let preconditions = Some(Preconditions { uid: Some(uid), resource_version: None });
    let how = DeleteParams { preconditions, ..DeleteParams::default() }.grace_period(0);
    loop {
        match pods.delete(&pod.name_any(), &how).await {
            Ok(_) => return,
            // Gone, and there may be another of its name.
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => return,
            Err(_) => tokio::time::sleep(TRY_AGAIN).await,
        }
    }
}
