//! Recording a real API server: by watches that are put in order by their resource versions, and by the calls that pass a
//! [`RecordLayer`](test_apiserver::recorder::RecordLayer).
//!
//! What a watch tells comes late, so a call is known to lie somewhere between two changes. It is taken to begin as early,
//! and to end as late, as it may have.

use std::{collections::BTreeMap, sync::Arc};

use futures::TryStreamExt;
use jiff::{SignedDuration, Timestamp};
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, GroupVersionKind, ListParams, WatchEvent, WatchParams},
};
use serde_json::Value;
use test_apiserver::recorder::Log;

use crate::{Change, Event, History, Recorder, What};

/// By how much a watch may be late.
const LAG: SignedDuration = SignedDuration::from_secs(1);
/// Of each kind: its group and version, and whether it lies in a namespace.
const KINDS: [(&str, &str, &str, bool); 9] = [
    ("workspaces.dev", "v1alpha1", "WorkspaceClass", false),
    ("workspaces.dev", "v1alpha1", "Workspace", true),
    ("", "v1", "Pod", true),
    ("", "v1", "PersistentVolumeClaim", true),
    ("", "v1", "Service", true),
    ("", "v1", "Secret", true),
    ("", "v1", "ConfigMap", true),
    ("networking.k8s.io", "v1", "NetworkPolicy", true),
    ("policy", "v1", "PodDisruptionBudget", true),
];

impl Recorder {
    /// Records what happens in `namespace` from now on, and first what is there. All calls of `log` are operators'.
    pub async fn of_cluster(client: &Client, namespace: &str, log: &Log) -> Result<Self, kube::Error> {
        let recorder = Self::late();
        let noted = recorder.clone();
        log.listen(move |call, request| {
            if !request.verb.is_write() {
                return;
            }
            let (operator, request) = ("operator".to_owned(), request.clone());
            let what = match request.code {
                None => What::Called { operator, call, request },
                Some(_) => What::Done { operator, call, request },
            };
            noted.note(Timestamp::now(), what);
        });
        for (group, version, kind, is_namespaced) in KINDS {
            let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
            let api: Api<DynamicObject> = if is_namespaced {
                Api::namespaced_with(client.clone(), namespace, &resource)
            } else {
                Api::all_with(client.clone(), &resource)
            };
            Watched::begin(recorder.clone(), kind, api).await?;
        }
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", "Namespace"));
        let api = Api::all_with(client.clone(), &resource);
        let own = format!("metadata.name={namespace}");
        Watched::begin_some(recorder.clone(), "Namespace", api, &own).await?;
        Ok(recorder)
    }
}

/// The objects of one kind, as a watch told them last.
struct Watched {
    recorder: Recorder,
    kind: &'static str,
    objects: BTreeMap<(String, String), Arc<Value>>,
}

impl Watched {
    async fn begin(
        recorder: Recorder,
        kind: &'static str,
        api: Api<DynamicObject>,
    ) -> Result<(), kube::Error> {
        Self::begin_some(recorder, kind, api, "").await
    }

    /// Watches until the runtime ends.
    async fn begin_some(
        recorder: Recorder,
        kind: &'static str,
        api: Api<DynamicObject>,
        fields: &str,
    ) -> Result<(), kube::Error> {
        let list = api.list(&ListParams::default().fields(fields)).await?;
        let mut version = list.metadata.resource_version.unwrap_or_default();
        let mut watched = Self { recorder, kind, objects: BTreeMap::new() };
        for object in list.items {
            watched.note(object, true);
        }
        let params = WatchParams::default().fields(fields);
        tokio::spawn(async move {
            while watched.follow(&api, &params, &mut version).await.is_ok() {
                if watched.recorder.is_stopped() {
                    return;
                }
            }
            // What was missed can't be known any more.
            watched.recorder.tear();
        });
        Ok(())
    }

    async fn follow(
        &mut self,
        api: &Api<DynamicObject>,
        params: &WatchParams,
        version: &mut String,
    ) -> Result<(), kube::Error> {
        let mut events = std::pin::pin!(api.watch(params, version).await?);
        while let Some(event) = events.try_next().await? {
            let newest = match event {
                WatchEvent::Added(object) | WatchEvent::Modified(object) => self.note(object, true),
                WatchEvent::Deleted(object) => self.note(object, false),
                WatchEvent::Bookmark(bookmark) => Some(bookmark.metadata.resource_version),
                WatchEvent::Error(status) => return Err(kube::Error::Api(status)),
            };
            if self.recorder.is_stopped() {
                return Ok(());
            }
            if let Some(newest) = newest {
                *version = newest;
            }
        }
        Ok(())
    }

    fn note(&mut self, mut object: DynamicObject, exists: bool) -> Option<String> {
        object.metadata.managed_fields = None;
        let version = object.metadata.resource_version.clone();
        let key = (
            object.metadata.namespace.clone().unwrap_or_default(),
            object.metadata.name.clone().unwrap_or_default(),
        );
        let after = serde_json::to_value(object).ok().filter(|_| exists).map(Arc::new);
        let before = match &after {
            Some(after) => self.objects.insert(key, Arc::clone(after)),
            None => self.objects.remove(&key),
        };
        let revision = version.as_ref().and_then(|version| version.parse().ok()).unwrap_or(0);
        let change = Change { revision, kind: self.kind.to_owned(), before, after };
        self.recorder.note(Timestamp::now(), What::Changed(change));
        version
    }
}

/// Puts events, which stand in the order in which they were told, into the order in which they happened.
pub(crate) fn in_order(told: &History) -> History {
    let (mut changes, mut others) = (Vec::new(), Vec::new());
    for event in &told.events {
        match &event.what {
            What::Changed(change) => changes.push((change.revision, event.clone())),
            // Its changes may not have been told yet.
            What::Done { .. } => others.push((event.at + LAG, event.clone())),
            _ => others.push((event.at, event.clone())),
        }
    }
    changes.sort_by_key(|(revision, _)| *revision);
    others.sort_by_key(|(place, _)| *place);
    // A change happened at the latest when it, or one that came after it, was told.
    let mut latest = Timestamp::MAX;
    let mut changes: Vec<(Timestamp, Event)> = changes
        .into_iter()
        .rev()
        .map(|(_, event)| {
            latest = latest.min(event.at);
            (latest, event)
        })
        .collect();
    changes.reverse();
    let mut events = Vec::with_capacity(told.events.len());
    let mut others = others.into_iter().peekable();
    for (happened, change) in changes {
        while let Some((_, other)) = others.next_if(|(place, _)| *place <= happened) {
            events.push(other);
        }
        events.push(change);
    }
    events.extend(others.map(|(_, other)| other));
    History { events }
}

#[cfg(test)]
mod tests {
    use test_apiserver::Verb;

    use super::*;
    use crate::story::{request, second};

    fn change(revision: u64) -> What {
        What::Changed(Change { revision, kind: "Pod".to_owned(), before: None, after: None })
    }

    fn shown(history: &History) -> Vec<String> {
        let shown = |event: &Event| match &event.what {
            What::Changed(change) => change.revision.to_string(),
            What::Called { .. } => "called".to_owned(),
            What::Done { .. } => "done".to_owned(),
            _ => "else".to_owned(),
        };
        history.events.iter().map(shown).collect()
    }

    #[test]
    fn changes_stand_by_revision_and_a_call_around_what_it_may_have_led_to() {
        let request = request(Verb::Delete, "Pod", "x");
        let operator = || "operator".to_owned();
        let told = [
            (1, change(1)),
            (2, What::Called { operator: operator(), call: 1, request: request.clone() }),
            (3, What::Done { operator: operator(), call: 1, request }),
            (3, change(3)),
            (4, change(2)),
            (9, change(4)),
        ];
        let events = told.into_iter().map(|(at, what)| Event { at: second(at), what }).collect();
        assert_eq!(shown(&in_order(&History { events })), ["1", "called", "2", "3", "done", "4"]);
    }
}
