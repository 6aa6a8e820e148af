//! Watching.

use std::{fmt::Debug, time::Duration};

use futures::{Stream, StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams, WatchEvent, WatchParams},
};
use serde_json::json;

use crate::support::*;

async fn next<K: Clone + Debug>(
    events: &mut (impl Stream<Item = kube::Result<WatchEvent<K>>> + Unpin),
) -> WatchEvent<K> {
    tokio::time::timeout(Duration::from_secs(20), events.next()).await.expect("an event").unwrap().unwrap()
}

fn told<K: ResourceExt + Clone>(event: &WatchEvent<K>) -> (&'static str, String) {
    match event {
        WatchEvent::Added(object) => ("added", object.name_any()),
        WatchEvent::Modified(object) => ("modified", object.name_any()),
        WatchEvent::Deleted(object) => ("deleted", object.name_any()),
        WatchEvent::Bookmark(_) => ("bookmark", String::new()),
        WatchEvent::Error(status) => ("error", status.reason.clone()),
    }
}

fn expected(what: &'static str, name: &str) -> (&'static str, String) {
    (what, name.to_owned())
}

pub async fn a_watch_goes_on_from_a_list(client: Client, ns: &str) {
    let api: Api<ConfigMap> = Api::namespaced(client, ns);
    made(&api, &config_map("before")).await;
    let list = api.list(&ListParams::default().labels("app=a")).await.unwrap();
    let from = list.metadata.resource_version.unwrap();
    made(&api, &config_map("between")).await;
    let mut events = api.watch(&WatchParams::default().labels("app=a"), &from).await.unwrap().boxed();
    assert_eq!(told(&next(&mut events).await), expected("added", "between"));
    let change = Patch::Merge(json!({ "data": { "k": "w" } }));
    api.patch("before", &PatchParams::default(), &change).await.unwrap();
    assert_eq!(told(&next(&mut events).await), expected("modified", "before"));
    api.delete("between", &DeleteParams::default()).await.unwrap();
    let end = next(&mut events).await;
    assert_eq!(told(&end), expected("deleted", "between"));
    let WatchEvent::Deleted(last) = end else { panic!("told so") };
    let newest = api.list(&ListParams::default()).await.unwrap().metadata.resource_version.unwrap();
    assert!(last.resource_version().unwrap().parse::<u64>().unwrap() <= newest.parse().unwrap());
}

pub async fn an_object_that_leaves_the_selector_is_gone_for_the_watch(client: Client, ns: &str) {
    let api: Api<ConfigMap> = Api::namespaced(client, ns);
    let from = made(&api, &config_map("leaver")).await.resource_version().unwrap();
    let mut events = api.watch(&WatchParams::default().labels("app=a"), &from).await.unwrap().boxed();
    let label = |value: &str| Patch::Merge(json!({ "metadata": { "labels": { "app": value } } }));
    api.patch("leaver", &PatchParams::default(), &label("b")).await.unwrap();
    let left = next(&mut events).await;
    assert_eq!(told(&left), expected("deleted", "leaver"));
    let WatchEvent::Deleted(left) = left else { panic!("told so") };
    assert_eq!(left.labels()["app"], "a", "the object is shown as it was while it matched");
    let back = api.patch("leaver", &PatchParams::default(), &label("a")).await.unwrap();
    let event = next(&mut events).await;
    assert_eq!(told(&event), expected("added", "leaver"));
    let WatchEvent::Added(event) = event else { panic!("told so") };
    assert_eq!(event.resource_version(), back.resource_version());
}

pub async fn a_metadata_watch_gets_metadata_only(client: Client, ns: &str) {
    let api: Api<ConfigMap> = Api::namespaced(client, ns);
    let from = made(&api, &config_map("first")).await.resource_version().unwrap();
    let mut events = api.watch_metadata(&WatchParams::default(), &from).await.unwrap().boxed();
    let described = made(&api, &config_map("described")).await;
    let event = next(&mut events).await;
    let WatchEvent::Added(object) = event else { panic!("added, not {event:?}") };
    assert_eq!(object.types.as_ref().unwrap().kind, "PartialObjectMetadata");
    assert_eq!(object.metadata, described.metadata);
}

pub async fn initial_events_end_with_a_bookmark(client: Client, ns: &str) {
    let api: Api<ConfigMap> = Api::namespaced(client, ns);
    made(&api, &config_map("one")).await;
    made(&api, &config_map("two")).await;
    let params = WatchParams::default().labels("app=a").initial_events();
    let mut events = api.watch(&params, "0").await.unwrap().boxed();
    let first: Vec<_> = (&mut events).take(3).try_collect().await.unwrap();
    assert_eq!(told(&first[0]), expected("added", "one"));
    assert_eq!(told(&first[1]), expected("added", "two"));
    let WatchEvent::Bookmark(mark) = &first[2] else { panic!("a bookmark, not {:?}", first[2]) };
    assert_eq!(mark.metadata.annotations["k8s.io/initial-events-end"], "true");
    let list = api.list(&ListParams::default()).await.unwrap();
    assert!(
        mark.metadata.resource_version.parse::<u64>().unwrap()
            <= list.metadata.resource_version.unwrap().parse().unwrap()
    );
}
