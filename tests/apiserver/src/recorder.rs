//! A record of the requests a client made: of the in-memory server, and of a real one too.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use futures::FutureExt;
use http::Response;
use kube::client::Body;
use serde_json::Value;
use tower::{Layer, Service};

use crate::{
    call::{self, Query, Target, Verb},
    kind, object,
};

/// The label of Pods that only find out whether an image can be had.
const PROBE_LABEL: &str = "workspaces.dev/probe-for";

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub verb: Verb,
    /// The kind; the plural for kinds unknown here.
    pub kind: String,
    pub namespace: Option<String>,
    /// For a create the name or generateName in its body.
    pub name: Option<String>,
    pub subresource: Option<String>,
    pub dry_run: bool,
    /// Whether it makes or removes a probe Pod.
    pub is_probe: bool,
    /// The answer's HTTP status code; none while there is no answer.
    pub code: Option<u16>,
}

impl Request {
    /// What a request to an API server asks for; none if its path is no resource's.
    pub fn of<B>(request: &http::Request<B>, body: Option<&Value>) -> Option<Self> {
        let target = Target::parse(request.uri().path())?;
        let query = Query::of(request.uri());
        let verb = call::verb(request.method(), &target, &query, request.headers())?;
        let known = kind::by_path(&target.group, &target.version, &target.plural);
        let body = body.unwrap_or(&Value::Null);
        let in_body = ["/metadata/name", "/metadata/generateName"]
            .map(|pointer| object::text(body, pointer))
            .into_iter()
            .find(|name| !name.is_empty())
            .map(str::to_owned);
        Some(Self {
            verb,
            kind: known.map_or(target.plural, |kind| kind.kind.to_owned()),
            namespace: target.namespace,
            name: target.name.or(in_body),
            subresource: target.subresource,
            dry_run: query.is_dry_run() || body["dryRun"][0] == "All",
            is_probe: body["metadata"]["labels"].get(PROBE_LABEL).is_some(),
            code: None,
        })
    }

    /// Whether it was answered with success.
    pub fn is_success(&self) -> bool {
        self.code.is_some_and(|code| (200..300).contains(&code))
    }
}

type Listener = dyn Fn(u64, &Request) + Send + Sync;

#[derive(Default)]
struct Entries {
    begun: u64,
    requests: Vec<(u64, Request)>,
    listeners: Vec<Arc<Listener>>,
}

impl fmt::Debug for Entries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.requests).finish()
    }
}

/// The requests made through a [`RecordLayer`], in the order they came. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Log(Arc<Mutex<Entries>>);

impl Log {
    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every request.
    pub fn requests(&self) -> Vec<Request> {
        self.entries().requests.iter().map(|(_, request)| request.clone()).collect()
    }

    /// How many there were of those that are wanted.
    pub fn count(&self, is_wanted: impl Fn(&Request) -> bool) -> usize {
        self.entries().requests.iter().filter(|(_, request)| is_wanted(request)).count()
    }

    /// The successful writes of objects: no events, no leases, no tokens, no dry runs.
    pub fn writes(&self) -> Vec<Request> {
        let is_write = |request: &Request| {
            request.verb.is_write()
                && !request.dry_run
                && request.is_success()
                && !matches!(request.kind.as_str(), "Event" | "Lease" | "TokenReview")
                && request.subresource.as_deref() != Some("token")
        };
        self.requests().into_iter().filter(is_write).collect()
    }

    /// [`Log::writes`] without those of probe Pods.
    pub fn writes_without_probes(&self) -> Vec<Request> {
        let all = self.requests();
        let probes: Vec<_> = all
            .iter()
            .filter(|request| request.is_probe)
            .filter_map(|request| {
                Some((request.kind.clone(), request.namespace.clone(), request.name.clone()?))
            })
            .collect();
        let is_of_probe = |request: &Request| {
            request.is_probe
                || probes.iter().any(|(kind, namespace, name)| {
                    request.kind == *kind
                        && request.namespace == *namespace
                        && request.name.as_ref().is_some_and(|own| own.starts_with(name.as_str()))
                })
        };
        self.writes().into_iter().filter(|request| !is_of_probe(request)).collect()
    }

    /// Forgets what was recorded.
    pub fn clear(&self) {
        self.entries().requests.clear();
    }

    /// Tells `listener` of every request by its number: when it is made and, with its code, when it is answered.
    pub fn listen(&self, listener: impl Fn(u64, &Request) + Send + Sync + 'static) {
        self.entries().listeners.push(Arc::new(listener));
    }

    fn begin(&self, request: Request) -> (u64, Request) {
        let mut entries = self.entries();
        entries.begun += 1;
        let id = entries.begun;
        entries.requests.push((id, request.clone()));
        let listeners = entries.listeners.clone();
        drop(entries);
        for listener in &listeners {
            listener(id, &request);
        }
        (id, request)
    }

    fn answer(&self, (id, mut request): (u64, Request), code: u16) {
        request.code = Some(code);
        let mut entries = self.entries();
        if let Some((_, entry)) = entries.requests.iter_mut().rev().find(|(own, _)| *own == id) {
            entry.code = Some(code);
        }
        let listeners = entries.listeners.clone();
        drop(entries);
        for listener in &listeners {
            listener(id, &request);
        }
    }
}

/// Records what passes; for [`kube::client::ClientBuilder::with_layer`], so that writes can be counted against a
/// real API server just the same.
#[derive(Clone, Debug, Default)]
pub struct RecordLayer {
    log: Log,
}

impl RecordLayer {
    /// A layer with an own log.
    pub fn new() -> Self {
        Self::default()
    }

    /// A layer that adds to the log of others.
    pub fn adding_to(log: &Log) -> Self {
        Self { log: log.clone() }
    }

    /// What passed so far.
    pub fn log(&self) -> Log {
        self.log.clone()
    }
}

impl<S> Layer<S> for RecordLayer {
    type Service = Recorded<S>;

    fn layer(&self, inner: S) -> Recorded<S> {
        Recorded { inner, log: self.log.clone() }
    }
}

/// A service whose requests are recorded.
#[derive(Clone, Debug)]
pub struct Recorded<S> {
    inner: S,
    log: Log,
}

impl<S, B> Service<http::Request<Body>> for Recorded<S>
where
    S: Service<http::Request<Body>, Response = Response<B>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let entry = Request::of(&request, peek(&request).as_ref());
        let log = self.log.clone();
        let answer = self.inner.call(request);
        Box::pin(async move {
            // Now it is sent, and not before.
            let entry = entry.map(|entry| log.begin(entry));
            let answer = answer.await;
            if let (Some(entry), Ok(response)) = (entry, &answer) {
                log.answer(entry, response.status().as_u16());
            }
            answer
        })
    }
}

/// The request's body, where it has one. A client's own body lies in memory, so it is there at once.
pub fn peek(request: &http::Request<Body>) -> Option<Value> {
    let bytes = request.body().try_clone()?.collect_bytes().now_or_never()?.ok()?;
    serde_json::from_slice(&bytes).ok()
}
