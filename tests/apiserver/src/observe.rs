//! Whoever wants to know all that happens, in the order in which it does.

use std::{fmt, sync::Arc};

use jiff::Timestamp;
use serde_json::Value;

use crate::{recorder::Request, server::ApiServer, state::State};

/// One thing that happened.
#[derive(Clone, Debug)]
pub struct Observed {
    pub at: Timestamp,
    /// The name of the client whose doing it is; none for the cluster's own parts, and for a test past all clients.
    pub client: Option<String>,
    pub what: Happening,
}

/// What can happen.
#[derive(Clone, Debug)]
pub enum Happening {
    /// A request has come. All that it changes stands between this and its answer, and nothing else does.
    Called { call: u64, request: Request },
    /// It was answered, whether or not the answer reaches its client.
    Answered { call: u64, request: Request },
    /// An object was stored, changed or taken away.
    Changed {
        revision: u64,
        kind: &'static str,
        before: Option<Arc<Value>>,
        /// None for one that is gone.
        after: Option<Arc<Value>>,
    },
}

type Observer = dyn Fn(&Observed) + Send + Sync;

/// Who is told.
#[derive(Clone, Default)]
pub(crate) struct Observers {
    observers: Vec<Arc<Observer>>,
    calls: u64,
    /// The newest revision they know.
    told: u64,
    /// The client that is being served.
    client: Option<String>,
}

impl fmt::Debug for Observers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} observers", self.observers.len())
    }
}

impl State {
    fn tell(&self, what: Happening) {
        let client = self.observers.client.clone();
        let observed = Observed { at: self.time(), client, what };
        for observer in &self.observers.observers {
            observer(&observed);
        }
    }

    /// Tells of all changes that were not told of yet.
    pub(crate) fn tell_changes(&mut self) {
        if self.observers.observers.is_empty() {
            return;
        }
        let since = std::mem::replace(&mut self.observers.told, self.store.revision());
        for revision in since + 1..=self.store.revision() {
            if let Ok(Some(change)) = self.store.change(revision) {
                let (before, after) = (change.before.clone(), change.after.clone());
                self.tell(Happening::Changed { revision, kind: change.kind.kind, before, after });
            }
        }
    }

    /// Does what `client` asked for, and tells of it. `code` is that of the answer.
    pub(crate) fn observed<T>(
        &mut self,
        client: &str,
        request: &Request,
        serve: impl FnOnce(&mut Self) -> T,
        code: impl FnOnce(&T) -> u16,
    ) -> T {
        if self.observers.observers.is_empty() {
            return serve(self);
        }
        self.observers.calls += 1;
        let call = self.observers.calls;
        self.observers.client = Some(client.to_owned());
        self.tell(Happening::Called { call, request: request.clone() });
        let answer = serve(self);
        self.tell_changes();
        let request = Request { code: Some(code(&answer)), ..request.clone() };
        self.tell(Happening::Answered { call, request });
        self.observers.client = None;
        answer
    }
}

impl ApiServer {
    /// Tells `observer` of all that happens from now on, and first of the objects that are there. It must not call the
    /// server: the state is locked while it listens.
    pub fn observe(&self, observer: impl Fn(&Observed) + Send + Sync + 'static) {
        self.with(|state| {
            let at = state.time();
            for (kind, _, object) in state.store.all() {
                let revision = crate::object::text(object, "/metadata/resourceVersion").parse().unwrap_or(0);
                let after = Some(Arc::clone(object));
                let what = Happening::Changed { revision, kind: kind.kind, before: None, after };
                observer(&Observed { at, client: None, what });
            }
            state.observers.told = state.store.revision();
            state.observers.observers.push(Arc::new(observer));
        });
    }
}
