//! What lies between an operator and the API server: a layer of its client. Everything passes here and is written down,
//! and at one write one thing goes wrong.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::{Future, pending},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll},
    time::Duration,
};

use http::Response;
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use hyper::body::{Body as HttpBody, Bytes};
use kube::client::Body;
use serde_json::json;
use test_apiserver::{
    Verb,
    recorder::{Request, peek},
};
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;
use tower::{BoxError, Layer, Service};

use super::{
    fault::Fault,
    point::{Point, Write},
    watched,
};

/// An operator that asks for nothing for so long has nothing to do.
const STILL: Duration = Duration::from_secs(1);
/// Nothing stands still for longer: some scenarios have a step only the clock brings.
const LONGEST: Duration = Duration::from_secs(8);
const PACE: Duration = Duration::from_millis(50);

/// The body of every answer.
pub type AnyBody = UnsyncBoxBody<Bytes, BoxError>;

/// What is to go wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Plan {
    pub point: Point,
    pub fault: Fault,
}

/// All that passed. Clones share it.
#[derive(Clone)]
pub struct Wire(Arc<Shared>);

struct Shared {
    namespace: String,
    plan: Option<Plan>,
    state: Mutex<State>,
    /// Whether the watches of the plan's kind stand still.
    stands: watch::Sender<bool>,
}

struct State {
    said: BTreeMap<Write, usize>,
    writes: Vec<(Point, Option<u16>)>,
    kinds: BTreeSet<String>,
    open_calls: usize,
    last_call: Instant,
    has_struck: bool,
    /// What goes wrong is not over.
    is_disturbed: bool,
}

impl Wire {
    /// Nothing passed yet in `namespace`.
    pub fn new(namespace: &str, plan: Option<Plan>) -> Self {
        let state = State {
            said: BTreeMap::new(),
            writes: Vec::new(),
            kinds: BTreeSet::new(),
            open_calls: 0,
            last_call: Instant::now(),
            has_struck: false,
            is_disturbed: false,
        };
        let (namespace, stands) = (namespace.to_owned(), watch::Sender::new(false));
        Self(Arc::new(Shared { namespace, plan, state: Mutex::new(state), stands }))
    }

    /// The layer for the client of an operator that lives until `end`.
    pub fn of(&self, end: &CancellationToken) -> WireLayer {
        WireLayer { wire: self.clone(), end: end.clone() }
    }

    /// The writes that succeeded, in order.
    pub fn writes(&self) -> Vec<Point> {
        let is_success = |code: &Option<u16>| code.is_some_and(|code| (200..300).contains(&code));
        let state = self.state();
        state.writes.iter().filter(|(_, code)| is_success(code)).map(|(point, _)| point.clone()).collect()
    }

    /// Every write with its answer, for people.
    pub fn told(&self) -> String {
        let state = self.state();
        let lines = state.writes.iter().map(|(point, code)| match code {
            Some(code) => format!("  {point} -> {code}"),
            None => format!("  {point} -> no answer"),
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    /// The kinds of which a watch told something about the scenario.
    pub fn kinds(&self) -> BTreeSet<String> {
        self.state().kinds.clone()
    }

    /// Whether the plan's write came.
    pub fn has_struck(&self) -> bool {
        self.state().has_struck
    }

    /// Until nothing is disturbed any more, and the operator asked for nothing for a while.
    pub async fn rests(&self) {
        while self.state().is_disturbed {
            tokio::time::sleep(PACE).await;
        }
        self.still().await;
    }

    /// Until the operator asked for nothing for a while.
    async fn still(&self) {
        let limit = Instant::now() + LONGEST;
        while Instant::now() < limit {
            {
                let state = self.state();
                if state.open_calls == 0 && state.last_call.elapsed() >= STILL {
                    return;
                }
            }
            tokio::time::sleep(PACE).await;
        }
    }

    /// A watch told something.
    pub(super) fn note_event(&self, kind: &str, event: &[u8]) {
        // What belongs to the whole cluster is named after the scenario's namespace, or somebody else's.
        let own = self.0.namespace.as_bytes();
        let is_own = event.windows(own.len()).any(|part| part == own);
        let mut state = self.state();
        if is_own && !state.kinds.contains(kind) {
            state.kinds.insert(kind.to_owned());
        }
    }

    /// Waits while the watches of `kind` stand still; true where they lost meanwhile what they had to tell.
    pub(super) async fn passes(&self, kind: &str) -> bool {
        let is_lost = match self.0.plan.as_ref().map(|plan| &plan.fault) {
            Some(Fault::Frozen(frozen)) if frozen == kind => false,
            Some(Fault::Hidden(hidden)) if hidden == kind => true,
            _ => return false,
        };
        let mut stands = self.0.stands.subscribe();
        if !*stands.borrow() {
            return false;
        }
        // The sender lives as long as this.
        let _ = stands.wait_for(|stands| !stands).await;
        is_lost
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap()
    }

    /// Notes a write, and says what goes wrong with it.
    fn begin(&self, write: Write) -> (usize, Option<Fault>) {
        let mut state = self.state();
        let nth = state.said.entry(write.clone()).or_default();
        *nth += 1;
        let point = Point { write, nth: *nth };
        let plan = self.0.plan.as_ref().filter(|plan| plan.point == point && !state.has_struck);
        let fault = plan.map(|plan| plan.fault.clone());
        state.has_struck |= fault.is_some();
        state.writes.push((point, None));
        (state.writes.len() - 1, fault)
    }

    fn end(&self, at: usize, code: u16) {
        if let Some((_, answer)) = self.state().writes.get_mut(at) {
            *answer = Some(code);
        }
    }

    /// Once the operator is still, `then`.
    fn once_still(&self, then: impl Future<Output = ()> + Send + 'static) {
        self.state().is_disturbed = true;
        let wire = self.clone();
        tokio::spawn(async move {
            wire.still().await;
            then.await;
            wire.state().is_disturbed = false;
        });
    }
}

/// A call without an answer yet.
struct Open(Wire);

impl Open {
    fn of(wire: &Wire) -> Self {
        let mut state = wire.state();
        state.open_calls += 1;
        state.last_call = Instant::now();
        drop(state);
        Self(wire.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.open_calls -= 1;
        state.last_call = Instant::now();
    }
}

/// [`Wire::of`].
#[derive(Clone)]
pub struct WireLayer {
    wire: Wire,
    end: CancellationToken,
}

impl<S> Layer<S> for WireLayer {
    type Service = Wired<S>;

    fn layer(&self, inner: S) -> Wired<S> {
        Wired { inner, layer: self.clone() }
    }
}

/// A service that passes by the wire.
#[derive(Clone)]
pub struct Wired<S> {
    inner: S,
    layer: WireLayer,
}

impl<S, B> Service<http::Request<Body>> for Wired<S>
where
    S: Service<http::Request<Body>, Response = Response<B>, Error = BoxError>,
    S::Future: Send + 'static,
    B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type Response = Response<AnyBody>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<AnyBody>, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let body = peek(&request);
        let call = Request::of(&request, body.as_ref());
        let write = call.as_ref().and_then(|call| Write::of(call, body.as_ref()));
        // Nothing is sent before it is awaited.
        let answer = self.inner.call(request);
        let answer = async move { Ok(answer.await?.map(|body| body.map_err(Into::into).boxed_unsync())) };
        let layer = self.layer.clone();
        Box::pin(async move { layer.pass(call, write, answer).await })
    }
}

impl WireLayer {
    async fn pass(
        self,
        call: Option<Request>,
        write: Option<Write>,
        answer: impl Future<Output = Result<Response<AnyBody>, BoxError>> + Send + 'static,
    ) -> Result<Response<AnyBody>, BoxError> {
        if self.end.is_cancelled() {
            // A dead process sends nothing.
            return pending().await;
        }
        let Some(call) = call else { return answer.await };
        if call.verb == Verb::Watch {
            let answer = answer.await?;
            return Ok(answer.map(|body| watched::watched(body, self.wire.clone(), call)));
        }
        let _open = Open::of(&self.wire);
        if call.verb == Verb::List {
            self.wire.passes(&call.kind).await;
        }
        let Some(write) = write else { return answer.await };
        let (at, fault) = self.wire.begin(write);
        match fault {
            Some(fault) => self.strike(at, fault, answer).await,
            None => self.done(at, answer).await,
        }
    }

    async fn done(
        &self,
        at: usize,
        answer: impl Future<Output = Result<Response<AnyBody>, BoxError>>,
    ) -> Result<Response<AnyBody>, BoxError> {
        let answer = answer.await?;
        self.wire.end(at, answer.status().as_u16());
        Ok(answer)
    }

    async fn strike(
        self,
        at: usize,
        fault: Fault,
        answer: impl Future<Output = Result<Response<AnyBody>, BoxError>> + Send + 'static,
    ) -> Result<Response<AnyBody>, BoxError> {
        match fault {
            Fault::KilledBefore => self.die().await,
            Fault::KilledAfter => {
                let _ = self.done(at, answer).await;
                self.die().await
            }
            Fault::Late => {
                let late = self.clone();
                self.wire.once_still(async move {
                    let _ = late.done(at, answer).await;
                });
                self.die().await
            }
            Fault::Conflict => Ok(status(409, "Conflict", "the object has been modified")),
            Fault::ErrorAfter => {
                let answer = self.done(at, answer).await?;
                let lie = || status(500, "InternalError", "an error after the write went through");
                Ok(if answer.status().is_success() { lie() } else { answer })
            }
            Fault::AnswerLost => {
                self.done(at, answer).await?;
                Err("the connection broke before the answer".into())
            }
            Fault::Frozen(_) | Fault::Hidden(_) => {
                self.wire.0.stands.send_replace(true);
                let wire = self.wire.clone();
                self.wire.once_still(async move {
                    wire.0.stands.send_replace(false);
                });
                self.done(at, answer).await
            }
        }
    }

    async fn die<T>(&self) -> T {
        self.end.cancel();
        pending().await
    }
}

/// An error answer of the API server.
fn status(code: u16, reason: &str, message: &str) -> Response<AnyBody> {
    let body = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "code": code, "reason": reason, "message": message,
    });
    let body = Full::new(Bytes::from(body.to_string())).map_err(|never| match never {}).boxed_unsync();
    let mut answer = Response::new(body);
    *answer.status_mut() = http::StatusCode::from_u16(code).unwrap();
    answer
}
