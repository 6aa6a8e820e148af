//! Faults between one client and the server.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::sync::Semaphore;

use crate::{call::Verb, failure::Failure, recorder::Request};

type Predicate = dyn Fn(&Request) -> bool + Send + Sync;

#[derive(Clone, Default)]
enum Part {
    #[default]
    Any,
    Main,
    Subresource(String),
}

impl Part {
    fn is_part_of(&self, request: &Request) -> bool {
        match self {
            Self::Any => true,
            Self::Main => request.subresource.is_none(),
            Self::Subresource(wanted) => request.subresource.as_ref() == Some(wanted),
        }
    }
}

/// Which requests a fault is for.
#[derive(Clone, Default)]
pub struct Matcher {
    verbs: Option<Vec<Verb>>,
    kind: Option<String>,
    namespace: Option<String>,
    name: Option<String>,
    subresource: Part,
    predicates: Vec<Arc<Predicate>>,
    skip: usize,
    times: Option<usize>,
}

impl fmt::Debug for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {:?} {:?}/{:?}", self.verbs, self.kind, self.namespace, self.name)
    }
}

impl Matcher {
    /// Every request.
    pub fn any() -> Self {
        Self::default()
    }

    /// Every request for a kind.
    pub fn kind(kind: &str) -> Self {
        Self { kind: Some(kind.to_owned()), ..Self::default() }
    }

    /// Requests with this verb.
    #[must_use]
    pub fn verb(self, verb: Verb) -> Self {
        Self { verbs: Some(vec![verb]), ..self }
    }

    /// Everything but get, list and watch.
    #[must_use]
    pub fn writes(self) -> Self {
        self.when(|request| request.verb.is_write())
    }

    /// Requests within this namespace.
    #[must_use]
    pub fn namespace(self, namespace: &str) -> Self {
        Self { namespace: Some(namespace.to_owned()), ..self }
    }

    /// Requests for the object of this name.
    #[must_use]
    pub fn name(self, name: &str) -> Self {
        Self { name: Some(name.to_owned()), ..self }
    }

    /// Requests for this sub-resource.
    #[must_use]
    pub fn subresource(self, subresource: &str) -> Self {
        Self { subresource: Part::Subresource(subresource.to_owned()), ..self }
    }

    /// Requests for no sub-resource.
    #[must_use]
    pub fn main_resource(self) -> Self {
        Self { subresource: Part::Main, ..self }
    }

    /// Requests for which the predicate holds too.
    #[must_use]
    pub fn when(mut self, predicate: impl Fn(&Request) -> bool + Send + Sync + 'static) -> Self {
        self.predicates.push(Arc::new(predicate));
        self
    }

    /// Lets that many matching requests pass first.
    #[must_use]
    pub fn after(self, passed: usize) -> Self {
        Self { skip: passed, ..self }
    }

    /// Only that many times.
    #[must_use]
    pub fn times(self, times: usize) -> Self {
        Self { times: Some(times), ..self }
    }

    /// Whether a request is meant, whatever the counts.
    pub fn matches(&self, request: &Request) -> bool {
        self.verbs.as_ref().is_none_or(|verbs| verbs.contains(&request.verb))
            && self.kind.as_ref().is_none_or(|kind| *kind == request.kind)
            && (self.namespace.is_none() || self.namespace == request.namespace)
            && (self.name.is_none() || self.name == request.name)
            && self.subresource.is_part_of(request)
            && self.predicates.iter().all(|predicate| predicate(request))
    }
}

/// Holds requests back until they are released.
#[derive(Clone, Debug)]
pub struct Gate(Arc<Semaphore>);

impl Default for Gate {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }
}

impl Gate {
    /// A closed one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets that many of the held and coming requests pass.
    pub fn release(&self, requests: usize) {
        self.0.add_permits(requests);
    }

    /// Lets all of them pass, for ever.
    pub fn open(&self) {
        self.0.close();
    }

    pub(crate) async fn pass(&self) {
        if let Ok(permit) = self.0.acquire().await {
            permit.forget();
        }
    }
}

type Act = dyn Fn(&Request) + Send + Sync;

/// What happens to a request instead of what should.
#[derive(Clone)]
pub enum Fault {
    /// It is answered so, and nothing is done. For a watch this is how it is forbidden.
    Answer(Failure),
    /// It is done, and then answered so.
    DoThenAnswer(Failure),
    /// It is not done and never answered.
    Silence,
    /// It is done, but never answered.
    DoThenSilence,
    /// The connection breaks before it is done.
    Disconnect,
    /// It is done later.
    Delay(Duration),
    /// It is done when the gate lets it pass.
    Hold(Gate),
    /// Something else happens first: how a test writes between a client's read and write.
    First(Arc<Act>),
}

impl Fault {
    /// [`Fault::First`] of a closure.
    pub fn first(act: impl Fn(&Request) + Send + Sync + 'static) -> Self {
        Self::First(Arc::new(act))
    }
}

/// A fault in force.
#[derive(Clone)]
struct Rule {
    id: u64,
    matcher: Matcher,
    fault: Fault,
    seen: Arc<AtomicUsize>,
    hits: Arc<AtomicUsize>,
}

/// A fault that was set; tells how often it struck.
#[derive(Clone)]
pub struct FaultRule {
    id: u64,
    hits: Arc<AtomicUsize>,
    faults: Faults,
}

impl FaultRule {
    /// How often it struck.
    pub fn hits(&self) -> usize {
        self.hits.load(Ordering::SeqCst)
    }

    /// Ends it.
    pub fn remove(&self) {
        self.faults.lock().rules.retain(|rule| rule.id != self.id);
    }
}

#[derive(Default)]
struct Inner {
    made: u64,
    rules: Vec<Rule>,
    frozen: Vec<Matcher>,
}

/// The faults of one client. Clones share them.
#[derive(Clone, Default)]
pub struct Faults(Arc<Mutex<Inner>>);

impl Faults {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on these requests suffer this. The first rule that fits counts.
    pub fn on(&self, matcher: Matcher, fault: Fault) -> FaultRule {
        let mut inner = self.lock();
        inner.made += 1;
        let id = inner.made;
        let hits = Arc::new(AtomicUsize::new(0));
        inner.rules.push(Rule { id, matcher, fault, seen: Arc::default(), hits: Arc::clone(&hits) });
        FaultRule { id, hits, faults: self.clone() }
    }

    /// Ends all of them; frozen watches stay so.
    pub fn clear(&self) {
        self.lock().rules.clear();
    }

    pub(crate) fn strike(&self, request: &Request) -> Option<Fault> {
        let inner = self.lock();
        inner.rules.iter().find_map(|rule| {
            if !rule.matcher.matches(request) {
                return None;
            }
            let seen = rule.seen.fetch_add(1, Ordering::SeqCst);
            let is_due = seen >= rule.matcher.skip
                && rule.matcher.times.is_none_or(|times| seen - rule.matcher.skip < times);
            is_due.then(|| {
                rule.hits.fetch_add(1, Ordering::SeqCst);
                rule.fault.clone()
            })
        })
    }

    pub(crate) fn freeze(&self, matcher: Matcher) {
        self.lock().frozen.push(matcher);
    }

    pub(crate) fn thaw(&self) {
        self.lock().frozen.clear();
    }

    pub(crate) fn is_frozen(&self, request: &Request) -> bool {
        self.lock().frozen.iter().any(|matcher| matcher.matches(request))
    }
}
