//! Everything behind the one lock: the store and what works on it.

use std::{collections::HashMap, fmt, sync::Arc};

use jiff::Timestamp;

use crate::{
    admission::Rules,
    behaviour::Behaviour,
    controllers::Cluster,
    identity::Identities,
    object::{self, Key},
    observe::Observers,
    store::Store,
    token::Signer,
    watch::Watches,
};

/// Where the time comes from.
#[derive(Clone)]
pub(crate) struct Clock(pub Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

#[derive(Debug)]
pub(crate) struct State {
    pub store: Store,
    pub watches: Watches,
    pub rules: Rules,
    pub identities: Identities,
    pub signer: Signer,
    pub clock: Clock,
    pub behaviour: Behaviour,
    pub cluster: Cluster,
    /// The log texts of Pods: of the running container and of the one before.
    pub logs: HashMap<(Key, bool), String>,
    pub observers: Observers,
}

impl State {
    pub fn new(seed: u64, clock: Clock, behaviour: Behaviour) -> Self {
        Self {
            store: Store::default(),
            watches: Watches::default(),
            rules: Rules::default(),
            identities: Identities::new(seed),
            signer: Signer::new(seed),
            clock,
            behaviour,
            cluster: Cluster::default(),
            logs: HashMap::new(),
            observers: Observers::default(),
        }
    }

    pub fn time(&self) -> Timestamp {
        (self.clock.0)()
    }

    /// Now, as the API writes it.
    pub fn now(&self) -> String {
        object::seconds(self.time())
    }
}
