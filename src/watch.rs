//! Watches, each with its own back-off: one that is forbidden or fails slows no other down. kube's Controller
//! would share a single back-off among all of them.

use std::{fmt::Debug, future::ready};

use futures::{Stream, StreamExt};
use kube::{
    Api, Client, Resource, ResourceExt,
    core::NamespaceResourceScope,
    runtime::{WatchStreamExt, reflector::store::Writer, watcher},
};
use serde::de::DeserializeOwned;

use crate::readiness::Pending;

/// A watch is renewed before load balancers cut idle connections.
const RENEW_SECONDS: u32 = 180;

/// What `kubectl apply` keeps for itself: a copy of the whole object.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Everything of its kind, or what carries `label`.
pub fn config(label: Option<&str>) -> watcher::Config {
    let config = watcher::Config::default().timeout(RENEW_SECONDS).page_size(250);
    match label {
        Some(label) => config.labels(label),
        None => config,
    }
}

/// Kind `K` in the watched namespace, or everywhere.
pub fn scope<K>(client: &Client, namespace: Option<&str>) -> Api<K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}

/// Watches without keeping anything.
pub fn events<K>(
    kind: &'static str,
    api: Api<K>,
    config: watcher::Config,
) -> impl Stream<Item = watcher::Result<watcher::Event<K>>> + Send
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    isolated(kind, watcher(api, config).default_backoff()).modify(|object| {
        object.managed_fields_mut().clear();
        object.annotations_mut().remove(LAST_APPLIED);
    })
}

/// Watches into the cache behind `writer`, and tells `pending` when it is filled.
pub fn cached<K>(
    pending: &Pending,
    kind: &'static str,
    api: Api<K>,
    config: watcher::Config,
    writer: Writer<K>,
) -> impl Stream<Item = watcher::Result<watcher::Event<K>>> + Send + use<K>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
{
    let pending = pending.clone();
    events(kind, api, config).reflect(writer).inspect(move |event| {
        if let Ok(watcher::Event::InitDone) = event {
            pending.done(kind);
        }
    })
}

/// Keeps a watch's errors out of whatever it is merged into.
fn isolated<T: Send + 'static>(
    kind: &'static str,
    events: impl Stream<Item = watcher::Result<T>> + Send,
) -> impl Stream<Item = watcher::Result<T>> + Send {
    events.filter(move |event| {
        if let Err(error) = event {
            tracing::warn!(kind, error = error as &dyn std::error::Error, "watching");
        }
        ready(event.is_ok())
    })
}
