//! Watches, each with its own back-off: one that is forbidden or fails slows no other down. kube's Controller
//! would share a single back-off among all of them.

use std::{collections::HashSet, fmt::Debug, future::ready, sync::Arc};

use futures::{Stream, StreamExt, stream};
use kube::{
    Api, Client, Resource, ResourceExt,
    core::NamespaceResourceScope,
    runtime::{
        WatchStreamExt,
        reflector::{ObjectRef, store::Writer},
        watcher,
    },
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
    let store = writer.as_reader();
    listed_whole(events(kind, api, config).reflect(writer), move || store.state()).inspect(move |event| {
        if let Ok(watcher::Event::InitDone) = event {
            pending.done(kind);
        }
    })
}

/// After a new list (the watch was too old to go on), the cache has what was listed only once all of it came, and
/// nobody tells what was deleted meanwhile. So whoever is told of it here is told after the cache has it, and told of
/// what is gone, too. `cached` answers with what the cache has.
fn listed_whole<K>(
    events: impl Stream<Item = watcher::Result<watcher::Event<K>>> + Send,
    cached: impl Fn() -> Vec<Arc<K>> + Send,
) -> impl Stream<Item = watcher::Result<watcher::Event<K>>> + Send
where
    K: Resource<DynamicType = ()> + Clone + Send + Sync + 'static,
{
    let (mut before, mut listed) = (Vec::new(), Vec::new());
    events.flat_map(move |event| {
        let told = match event {
            Ok(watcher::Event::Init) => {
                (before, listed) = (cached(), Vec::new());
                vec![Ok(watcher::Event::Init)]
            }
            Ok(watcher::Event::InitApply(object)) => {
                listed.push(object);
                Vec::new()
            }
            Ok(watcher::Event::InitDone) => {
                let present: HashSet<ObjectRef<K>> = listed.iter().map(ObjectRef::from_obj).collect();
                let gone = std::mem::take(&mut before).into_iter();
                let gone = gone.filter(|object| !present.contains(&ObjectRef::from_obj(object.as_ref())));
                let gone = gone.map(|object| watcher::Event::Delete(object.as_ref().clone()));
                let listed = std::mem::take(&mut listed).into_iter().map(watcher::Event::InitApply);
                gone.chain(listed).chain([watcher::Event::InitDone]).map(Ok).collect()
            }
            other => vec![other],
        };
        stream::iter(told)
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

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::runtime::reflector;

    use super::*;

    fn config(name: &str) -> ConfigMap {
        let mut config = ConfigMap::default();
        config.metadata.name = Some(name.to_owned());
        config.metadata.namespace = Some("ns".to_owned());
        config
    }

    #[tokio::test]
    async fn a_new_list_is_told_once_the_cache_has_it_with_what_is_gone() {
        use watcher::Event::{Apply, Delete, Init, InitApply, InitDone};
        let (store, writer) = reflector::store();
        let events = [Init, InitDone, Apply(config("gone")), Init, InitApply(config("new")), InitDone];
        let reader = store.clone();
        let reflected = stream::iter(events.map(Ok)).reflect(writer);
        let told: Vec<String> = listed_whole(reflected, move || reader.state())
            .map(|event| {
                let cached: Vec<_> = store.state().iter().map(|one| one.name_any()).collect();
                match event.unwrap() {
                    Init => "Init".to_owned(),
                    InitDone => "InitDone".to_owned(),
                    Apply(one) | InitApply(one) => format!("{} of {cached:?}", one.name_any()),
                    Delete(one) => format!("{} not in {cached:?}", one.name_any()),
                }
            })
            .collect()
            .await;
        let after = [r#"gone not in ["new"]"#, r#"new of ["new"]"#, "InitDone"];
        assert_eq!(told[4..], after, "{told:?}");
    }
}
