//! What every reconcile shares: the client, the caches, and what this process remembers.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::channel::mpsc;
use jiff::Timestamp;
use kube::{
    Client,
    runtime::events::{Recorder, Reporter},
};
use tokio::sync::{Notify, Semaphore, watch};

use crate::{
    api::names,
    backoff::Jitter,
    election::Leadership,
    forbidden_env::ForbiddenEnv,
    gates::Gates,
    heartbeats::Heartbeats,
    image_check::Answers,
    lock::lock,
    memory::Memory,
    readiness::Pending,
    reference_cache::ReferenceCache,
    references::HashKey,
    stores::Stores,
    waker::{Target, Waker},
};

/// Tells the time; an argument, so that tests have their own.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// How many programs are asked for their activity at a time.
const LOOKS: usize = 8;

/// What the operator was told at its start.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The one namespace to look after; none means all.
    pub namespace: Option<String>,
    /// How many workspaces are reconciled at a time.
    pub concurrency: u16,
    /// How long one reconcile may take.
    pub reconcile_timeout: Duration,
    /// How long an answer about an image is waited for.
    pub image_check_timeout: Duration,
    /// Whether a workspace without a class is refused.
    pub require_class: bool,
    /// Environment variables that no workspace may have.
    pub forbidden_env: ForbiddenEnv,
    /// Where the operator runs: its Pods there are reached by workspaces, whatever their network policy.
    pub operator_namespace: String,
    /// How often programs that register are to be heard.
    pub heartbeat: Duration,
    /// Whether the status of classes is written, which one operator only should do.
    pub class_status: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            namespace: None,
            concurrency: 64,
            reconcile_timeout: Duration::from_mins(1),
            image_check_timeout: Duration::from_mins(1),
            require_class: false,
            forbidden_env: ForbiddenEnv::built_in(),
            operator_namespace: names::OPERATOR.to_owned(),
            heartbeat: Duration::from_secs(30),
            class_status: true,
        }
    }
}

/// Where programs register, and what they trust there.
#[derive(Clone)]
pub struct Registrar {
    pub url: String,
    /// The certificates, as PEM.
    pub certificates: watch::Receiver<Arc<str>>,
}

/// What every reconcile shares.
pub struct Context {
    pub client: Client,
    pub stores: Stores,
    pub settings: Settings,
    pub clock: Clock,
    pub recorder: Recorder,
    /// The key that referenced data is hashed with; none means that such data is not looked at.
    pub hash_key: Option<HashKey>,
    pub references: ReferenceCache,
    pub image_answers: Answers,
    pub gates: Gates,
    /// What programs said of themselves.
    pub heartbeats: Heartbeats,
    /// So many programs are asked for their activity at a time: those that don't answer must not hold up everybody.
    pub looks: Semaphore,
    pub waker: Waker,
    /// Told when a child of a workspace that is gone was seen.
    pub littered: Notify,
    /// Where and how programs register; none where they can't.
    pub registration: Option<Registrar>,
    pub leadership: Leadership,
    /// No pass begins before every cache is filled.
    pub pending: Pending,
    memories: Mutex<HashMap<String, Memory>>,
}

impl Context {
    /// Puts the parts together, with nothing remembered. What it wants to have visited comes out of the receiver.
    pub fn new(
        client: Client,
        stores: Stores,
        settings: Settings,
        clock: Clock,
        hash_key: Option<HashKey>,
        registration: Option<Registrar>,
        leadership: Leadership,
    ) -> (Self, mpsc::UnboundedReceiver<Target>) {
        let reporter = Reporter { controller: names::FIELD_MANAGER.to_owned(), instance: None };
        let recorder = Recorder::new(client.clone(), reporter);
        let (waker, woken) = Waker::new();
        let gates = Gates::new(stores.classes.clone(), waker.clone());
        let heartbeats = Heartbeats::new(settings.heartbeat);
        let context = Self {
            client,
            stores,
            settings,
            clock,
            recorder,
            hash_key,
            references: ReferenceCache::default(),
            image_answers: Answers::default(),
            gates,
            heartbeats,
            looks: Semaphore::new(LOOKS),
            waker,
            littered: Notify::new(),
            registration,
            leadership,
            pending: Pending::new(Stores::KINDS),
            memories: Mutex::default(),
        };
        (context, woken)
    }

    /// The present.
    pub fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// What programs trust when they register, as PEM.
    pub fn certificates(&self) -> Option<Arc<str>> {
        self.registration.as_ref().map(|registration| registration.certificates.borrow().clone())
    }

    /// A new spread for a delay.
    pub fn jitter(&self) -> Jitter {
        Jitter::new(rand::random_range(-1.0..=1.0))
    }

    /// Takes out what is remembered of the object with this UID. One reconcile at a time per object: nobody else
    /// takes it meanwhile.
    pub fn recall(&self, uid: &str) -> Memory {
        lock(&self.memories).remove(uid).unwrap_or_default()
    }

    /// Remembers for the next pass.
    pub fn remember(&self, uid: &str, memory: Memory) {
        lock(&self.memories).insert(uid.to_owned(), memory);
    }

    /// The object is gone for good.
    pub fn forget(&self, uid: &str) {
        lock(&self.memories).remove(uid);
        self.gates.forget(uid);
    }
}
