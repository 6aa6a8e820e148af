//! Lists, and the state a watch begins with.

use std::{collections::VecDeque, sync::Arc};

use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::{
    call::Query,
    failure::{self, Failure, bad_request},
    kind::Kind,
    object::{self, Key},
    recorder::Request,
    selector::Selector,
    state::State,
    watch::Watch,
};

impl State {
    /// The answer to a list.
    pub fn list(
        &self,
        kind: &'static Kind,
        namespace: Option<&str>,
        query: &Query,
        only_metadata: bool,
    ) -> Result<Value, Failure> {
        let selector = Selector::parse(kind, query.get("labelSelector"), query.get("fieldSelector"))?;
        let (revision, after) = match query.get("continue") {
            Some(token) => {
                let (revision, after) = parse_token(token)?;
                if revision < self.store.oldest() {
                    return Err(failure::expired(revision, self.store.oldest()));
                }
                (revision, Some(after))
            }
            None => (self.store.revision(), None),
        };
        let mut found: Vec<&Arc<Value>> = self
            .store
            .list(kind, namespace)
            .filter(|object| after.as_ref().is_none_or(|after| object::key(object) > *after))
            .filter(|object| selector.matches(object))
            .collect();
        let mut metadata = json!({ "resourceVersion": revision.to_string() });
        let limit =
            query.number("limit").and_then(|limit| usize::try_from(limit).ok()).filter(|limit| *limit > 0);
        if let Some(limit) = limit.filter(|limit| *limit < found.len()) {
            metadata["remainingItemCount"] = json!(found.len() - limit);
            found.truncate(limit);
            if let Some(last) = found.last() {
                let last = object::key(last);
                metadata["continue"] = json!(format!("{revision}:{}/{}", last.namespace, last.name));
            }
        }
        if only_metadata {
            let items: Vec<Value> = found.into_iter().map(|object| object::only_metadata(object)).collect();
            return Ok(json!({
                "kind": "PartialObjectMetadataList",
                "apiVersion": "meta.k8s.io/v1",
                "metadata": metadata,
                "items": items,
            }));
        }
        let items: Vec<Value> = found.into_iter().map(|object| as_item(kind, object)).collect();
        Ok(json!({
            "kind": format!("{}List", kind.kind),
            "apiVersion": kind.api_version(),
            "metadata": metadata,
            "items": items,
        }))
    }

    /// Opens a watch.
    pub fn watch(
        &mut self,
        kind: &'static Kind,
        client: &str,
        request: &Request,
        query: &Query,
        only_metadata: bool,
    ) -> Result<u64, Failure> {
        let selector = Selector::parse(kind, query.get("labelSelector"), query.get("fieldSelector"))?;
        let version = query.get("resourceVersion").unwrap_or("0");
        let start: u64 =
            version.parse().map_err(|_| bad_request(format!("invalid resource version \"{version}\"")))?;
        let sends_initial = query.is_set("sendInitialEvents");
        let from_state = start == 0 || sends_initial;
        let mut watch = Watch {
            client: client.to_owned(),
            request: request.clone(),
            kind,
            namespace: request.namespace.clone(),
            selector,
            only_metadata,
            has_bookmarks: query.is_set("allowWatchBookmarks"),
            cursor: if from_state { self.store.revision() } else { start },
            first: VecDeque::new(),
            is_frozen: false,
            end: None,
            granted: 0,
            wake: Arc::new(Notify::new()),
        };
        if from_state {
            let objects = self.store.list(kind, request.namespace.as_deref());
            let matching = objects.filter(|object| watch.covers(object));
            watch.first = matching.map(|object| watch.shaped("ADDED", (**object).clone())).collect();
        }
        if sends_initial {
            let bookmark = watch.bookmark(true);
            watch.first.push_back(bookmark);
        }
        Ok(self.watches.open(watch))
    }
}

// Typed lists say once what they hold; those of custom resources say it of each item.
fn as_item(kind: &Kind, object: &Value) -> Value {
    let mut item = object.clone();
    if !kind.is_custom() {
        object::remove(&mut item, "", "apiVersion");
        object::remove(&mut item, "", "kind");
    }
    item
}

fn parse_token(token: &str) -> Result<(u64, Key), Failure> {
    let parsed = token.split_once(':').and_then(|(revision, key)| {
        let (namespace, name) = key.split_once('/')?;
        Some((revision.parse().ok()?, Key::new(namespace, name)))
    });
    parsed.ok_or_else(|| bad_request(format!("continue key is not valid: {token}")))
}
