//! What has to be there before anything is decided: every cache. Also what `/readyz` tells.

use std::sync::{Arc, Mutex};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::lock::lock;

/// The caches that are not filled yet. kube's own `wait_until_ready` wakes only the last of several waiters, and
/// its Controller is one of them; so the watches tell it here.
#[derive(Clone)]
pub struct Pending {
    kinds: Arc<Mutex<Vec<&'static str>>>,
    none: CancellationToken,
    relisted: Arc<Notify>,
}

impl Pending {
    /// Waits for these.
    pub fn new(kinds: &[&'static str]) -> Self {
        Self {
            kinds: Arc::new(Mutex::new(kinds.to_vec())),
            none: CancellationToken::new(),
            relisted: Arc::default(),
        }
    }

    /// This one is there.
    pub fn done(&self, kind: &'static str) {
        let mut kinds = lock(&self.kinds);
        if !kinds.contains(&kind) {
            self.relisted.notify_one();
        }
        kinds.retain(|pending| *pending != kind);
        if kinds.is_empty() && !self.none.is_cancelled() {
            tracing::info!("every cache is filled");
            self.none.cancel();
        }
    }

    /// What is still waited for.
    pub fn kinds(&self) -> Vec<&'static str> {
        lock(&self.kinds).clone()
    }

    /// Waits until a cache was listed anew, since this was asked last. What came and went meanwhile was never in the
    /// cache, and no event tells of it.
    pub async fn relisted(&self) {
        self.relisted.notified().await;
    }

    /// Waits until nothing is.
    pub async fn wait(&self) {
        self.none.cancelled().await;
    }
}
