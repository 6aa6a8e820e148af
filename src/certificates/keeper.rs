//! Keeps the certificates of the registration port at hand and up to date, for as long as the operator runs.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use rustls::{ClientConfig, ServerConfig};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{
    Error, Source,
    credentials::Credentials,
    given,
    name::Name,
    own,
    tls::{self, Served},
};
use crate::{
    backoff::{self, Jitter},
    context::Clock,
    lock::lock,
};

/// How often is looked. Another replica, or cert-manager, may have written.
const INTERVAL: Duration = Duration::from_mins(1);

enum Wanted {
    Own { names: BTreeSet<Name> },
    Given { secret: String },
}

/// Where the certificates are read.
struct Origin {
    api: Api<Secret>,
    namespace: String,
    wanted: Wanted,
    clock: Clock,
}

/// The certificates, always the newest.
pub struct Keeper {
    origin: Origin,
    served: Arc<Served>,
    server_config: Arc<ServerConfig>,
    client_config: Mutex<Arc<ClientConfig>>,
    bundle: watch::Sender<Arc<str>>,
}

impl Keeper {
    /// Reads the certificates, or makes them.
    pub async fn load(client: Client, namespace: &str, source: Source, clock: Clock) -> Result<Self, Error> {
        let wanted = match source {
            Source::Own { names } => Wanted::Own { names: own::names(&names)? },
            Source::Given { secret } => Wanted::Given { secret },
        };
        let api = Api::namespaced(client, namespace);
        let origin = Origin { api, namespace: namespace.to_owned(), wanted, clock };
        let Credentials { certified, roots, bundle } = origin.obtain().await?;
        let served = Arc::new(Served::new(certified));
        let failed = |source| Error::Tls { source };
        let server_config = tls::server(Arc::clone(&served), &origin.clock).map_err(failed)?;
        let client_config = tls::client(roots, &origin.clock).map_err(failed)?;
        Ok(Self {
            origin,
            served,
            server_config: Arc::new(server_config),
            client_config: Mutex::new(Arc::new(client_config)),
            bundle: watch::Sender::new(bundle),
        })
    }

    /// Looks every minute until `stop`. What was had last serves on while nothing better can be had.
    pub async fn run(&self, stop: CancellationToken) {
        let mut failures = 0;
        loop {
            let delay = match failures {
                0 => INTERVAL,
                _ => backoff::delay(failures, backoff::BASE, backoff::CAP, jitter()),
            };
            let look = async {
                tokio::time::sleep(delay).await;
                self.look().await
            };
            let looked = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                looked = look => looked,
            };
            match looked {
                Ok(()) => failures = 0,
                Err(error) => {
                    failures = failures.saturating_add(1);
                    let error: &dyn std::error::Error = &error;
                    tracing::warn!(
                        error,
                        failures,
                        "the certificates of the registration port stay as they are"
                    );
                }
            }
        }
    }

    /// For the port. It stays the same; what it serves is always the newest certificate.
    pub fn server_config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.server_config)
    }

    /// For calls to another replica's port, by one of the certificate's names. Ask for it at each new connection: it
    /// is another one after a change of the CAs.
    pub fn client_config(&self) -> Arc<ClientConfig> {
        Arc::clone(&lock(&self.client_config))
    }

    /// What Pods are told to trust, in PEM: the same CAs are always the same text.
    pub fn bundle(&self) -> watch::Receiver<Arc<str>> {
        self.bundle.subscribe()
    }

    /// Looks once.
    async fn look(&self) -> Result<(), Error> {
        let Credentials { certified, roots, bundle } = self.origin.obtain().await?;
        if certified.cert != self.served.current().cert {
            self.served.exchange(certified);
        }
        if bundle != *self.bundle.borrow() {
            let config = tls::client(roots, &self.origin.clock).map_err(|source| Error::Tls { source })?;
            *lock(&self.client_config) = Arc::new(config);
            self.bundle.send_replace(bundle);
        }
        Ok(())
    }
}

impl Origin {
    async fn obtain(&self) -> Result<Credentials, Error> {
        let Self { api, namespace, wanted, clock } = self;
        match wanted {
            Wanted::Own { names } => own::obtain(api, namespace, names, clock).await,
            Wanted::Given { secret } => {
                let (namespace, name) = (namespace.clone(), secret.clone());
                match api.get(secret).await {
                    Ok(secret) => given::read(&secret.data.unwrap_or_default())
                        .map_err(|source| Error::Unusable { namespace, name, source }),
                    Err(source) => {
                        let source = Box::new(source);
                        Err(Error::Call { verb: "get", namespace, name, rights: "get", source })
                    }
                }
            }
        }
    }
}

fn jitter() -> Jitter {
    Jitter::new(rand::random_range(-1.0..=1.0))
}

#[cfg(test)]
mod tests;
