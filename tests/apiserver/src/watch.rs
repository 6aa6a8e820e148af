//! Watches. Every event that a client gets to see goes through [`Watches::next`]: that is the one place where a
//! delivery can be held back, so that a simulation can choose the order.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use bytes::Bytes;
use kube::core::Status;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::{
    failure::{Failure, expired},
    kind::Kind,
    object,
    recorder::Request,
    selector::Selector,
    store::{Change, Store},
};

/// Who decides when a watch event is delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pace {
    /// At once.
    #[default]
    Immediate,
    /// The test, by [`ApiServer::deliver`](crate::ApiServer::deliver).
    Stepwise,
}

/// A watch as a test sees it.
#[derive(Clone, Debug)]
pub struct OpenWatch {
    pub id: u64,
    /// The name of the client that opened it.
    pub client: String,
    /// The request that opened it.
    pub request: Request,
    /// How many events it was not given yet.
    pub pending: usize,
}

/// How a watch ends before its time.
#[derive(Clone, Debug)]
pub(crate) enum End {
    /// As at its time-out: the stream is over.
    Closed,
    /// The connection breaks.
    Dropped,
    /// An ERROR event, then the end.
    Failed(Failure),
}

#[derive(Debug)]
pub(crate) struct Watch {
    pub client: String,
    pub request: Request,
    pub kind: &'static Kind,
    pub namespace: Option<String>,
    pub selector: Selector,
    pub only_metadata: bool,
    pub has_bookmarks: bool,
    /// The resourceVersion up to which everything was delivered.
    pub cursor: u64,
    /// Events that go before those of the history: the state at the beginning.
    pub first: VecDeque<Value>,
    pub is_frozen: bool,
    pub end: Option<End>,
    /// How many events may go out while the pace is stepwise.
    pub granted: usize,
    pub wake: Arc<Notify>,
}

/// What a watch's stream does next.
pub(crate) enum Next {
    Event(Bytes),
    Wait(Arc<Notify>),
    Over,
    Broken,
}

#[derive(Debug, Default)]
pub(crate) struct Watches {
    open: BTreeMap<u64, Watch>,
    opened: u64,
    pub pace: Pace,
}

impl Watches {
    pub fn open(&mut self, watch: Watch) -> u64 {
        self.opened += 1;
        self.open.insert(self.opened, watch);
        self.opened
    }

    pub fn close(&mut self, id: u64) {
        self.open.remove(&id);
    }

    pub fn wake(&self) {
        for watch in self.open.values() {
            watch.wake.notify_one();
        }
    }

    /// The watches that fit, to be frozen, thawed or ended.
    pub fn each(&mut self, mut change: impl FnMut(&mut Watch)) {
        for watch in self.open.values_mut() {
            change(watch);
            watch.wake.notify_one();
        }
    }

    pub fn freeze(&mut self, id: u64) {
        if let Some(watch) = self.open.get_mut(&id) {
            watch.is_frozen = true;
        }
    }

    pub fn grant(&mut self, id: u64, events: usize) {
        if let Some(watch) = self.open.get_mut(&id) {
            watch.granted += events;
            watch.wake.notify_one();
        }
    }

    pub fn list(&self, store: &Store) -> Vec<OpenWatch> {
        let view = |(id, watch): (&u64, &Watch)| OpenWatch {
            id: *id,
            client: watch.client.clone(),
            request: watch.request.clone(),
            pending: watch.pending(store),
        };
        self.open.iter().map(view).collect()
    }

    /// The next thing to deliver to a watch.
    pub fn next(&mut self, id: u64, store: &Store) -> Next {
        let pace = self.pace;
        let Some(watch) = self.open.get_mut(&id) else { return Next::Over };
        match watch.end.take() {
            Some(End::Dropped) => return Next::Broken,
            Some(End::Failed(status)) => {
                watch.end = Some(End::Closed);
                return Next::Event(error_event(&status));
            }
            Some(End::Closed) => return Next::Over,
            None => {}
        }
        if watch.is_frozen || pace == Pace::Stepwise && watch.granted == 0 {
            return Next::Wait(Arc::clone(&watch.wake));
        }
        match watch.advance(store) {
            Ok(Some(event)) => {
                watch.granted = watch.granted.saturating_sub(1);
                Next::Event(line(&event))
            }
            Ok(None) => Next::Wait(Arc::clone(&watch.wake)),
            Err(gone) => {
                watch.end = Some(End::Closed);
                Next::Event(error_event(&gone))
            }
        }
    }

    /// Gives every watch that wants them a bookmark.
    pub fn bookmark(&mut self, store: &Store) {
        self.each(|watch| {
            if watch.has_bookmarks && watch.pending(store) == 0 {
                watch.cursor = store.revision();
                let bookmark = watch.bookmark(false);
                watch.first.push_back(bookmark);
            }
        });
    }
}

impl Watch {
    fn advance(&mut self, store: &Store) -> Result<Option<Value>, Failure> {
        if let Some(event) = self.first.pop_front() {
            return Ok(Some(event));
        }
        while let Some(change) =
            store.change(self.cursor + 1).map_err(|_| expired(self.cursor, store.oldest()))?
        {
            self.cursor += 1;
            if let Some(event) = self.event(change) {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }

    fn pending(&self, store: &Store) -> usize {
        let newer =
            (self.cursor + 1..=store.revision()).filter_map(|revision| store.change(revision).ok()?);
        self.first.len() + newer.filter(|change| self.event(change).is_some()).count()
    }

    /// What this watch is told of a change. An object that begins or ceases to match appears or disappears.
    fn event(&self, change: &Change) -> Option<Value> {
        if change.kind != self.kind {
            return None;
        }
        let before = change.before.as_ref().filter(|object| self.covers(object));
        let after = change.after.as_ref().filter(|object| self.covers(object));
        let (what, object) = match (before, after) {
            (None, Some(after)) => ("ADDED", (**after).clone()),
            (Some(_), Some(after)) => ("MODIFIED", (**after).clone()),
            (Some(before), None) => ("DELETED", departed(before, change)),
            (None, None) => return None,
        };
        Some(self.shaped(what, object))
    }

    pub fn covers(&self, object: &Value) -> bool {
        self.namespace.as_deref().is_none_or(|namespace| object::namespace(object) == namespace)
            && self.selector.matches(object)
    }

    pub fn shaped(&self, what: &str, object: Value) -> Value {
        let object = if self.only_metadata { object::only_metadata(&object) } else { object };
        json!({ "type": what, "object": object })
    }

    pub fn bookmark(&self, ends_initial: bool) -> Value {
        let (kind, version) = if self.only_metadata {
            ("PartialObjectMetadata".to_owned(), "meta.k8s.io/v1".to_owned())
        } else {
            (self.kind.kind.to_owned(), self.kind.api_version())
        };
        let mut metadata = json!({ "resourceVersion": self.cursor.to_string(), "creationTimestamp": null });
        if ends_initial {
            metadata["annotations"] = json!({ "k8s.io/initial-events-end": "true" });
        }
        let object = json!({ "kind": kind, "apiVersion": version, "metadata": metadata });
        json!({ "type": "BOOKMARK", "object": object })
    }
}

// A watch is told the resourceVersion of the change, with the object as the watch knew it.
fn departed(before: &Value, change: &Change) -> Value {
    if let Some(removed) = &change.removed {
        return (**removed).clone();
    }
    let mut last = before.clone();
    let revision = change.after.as_ref().map(|after| after["metadata"]["resourceVersion"].clone());
    object::set_metadata(&mut last, "resourceVersion", revision);
    last
}

fn line(event: &Value) -> Bytes {
    Bytes::from(format!("{event}\n"))
}

fn error_event(status: &Status) -> Bytes {
    line(&json!({ "type": "ERROR", "object": crate::service::status_body(status) }))
}
