//! Puts the operator together: key, caches, controller, health server; and takes it down in order.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use jiff::Timestamp;
use kube::{
    Client,
    runtime::events::{Recorder, Reporter},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    api::names,
    classes,
    context::{Context, Settings},
    controller, depth,
    gates::Gates,
    hash_key,
    readiness::Pending,
    server,
};

/// What to run.
#[derive(Clone, Debug)]
pub struct Options {
    pub settings: Settings,
    /// Whether the data of referenced Secrets and `ConfigMaps` is part of the inputs.
    pub restart_on_reference_change: bool,
    /// Where the key for hashing that data is kept.
    pub hash_key_namespace: String,
    /// Where `/livez` and `/readyz` are answered; none in tests.
    pub listen: Option<SocketAddr>,
}

/// The operator could not start, or lost its port.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The hash key could not be had.
    #[error(transparent)]
    HashKey(#[from] hash_key::Error),
    /// The health port could not be had.
    #[error(transparent)]
    Server(#[from] server::Error),
}

/// Runs until `stop` is cancelled.
pub async fn run(client: Client, options: Options, stop: CancellationToken) -> Result<(), Error> {
    let client = depth::limited(client);
    let Options { settings, restart_on_reference_change, hash_key_namespace, listen } = options;
    let key = if restart_on_reference_change {
        Some(hash_key::load(&client, &hash_key_namespace).await?)
    } else {
        None
    };
    let (stores, writers) = controller::caches();
    let reporter = Reporter { controller: names::FIELD_MANAGER.to_owned(), instance: None };
    let recorder = Recorder::new(client.clone(), reporter);
    let (gates, woken) = Gates::new(stores.classes.clone());
    let context = Context::new(client, stores, settings, Arc::new(Timestamp::now), recorder, key, gates);
    let context = Arc::new(context);

    let tasks = TaskTracker::new();
    let pending = context.pending.clone();
    let failed = CancellationToken::new();
    let serving = listen.map(|address| {
        let (stop, failed) = (stop.clone(), failed.clone());
        tasks.spawn(async move {
            let result = server::serve(address, pending, stop.cancelled_owned()).await;
            if result.is_err() {
                failed.cancel();
            }
            result
        })
    });
    tasks.close();
    let classes = classes::run(Arc::clone(&context));
    let overdue = overdue(stop.clone(), context.pending.clone(), context.settings.reconcile_timeout);
    tokio::select! {
        () = controller::run(Arc::clone(&context), writers, woken, stop.clone().cancelled_owned()) => {}
        () = classes, if context.settings.class_status => {}
        () = failed.cancelled() => {}
        () = overdue => {}
    }
    stop.cancel();
    match serving {
        Some(serving) => serving.await.unwrap_or(Ok(())).map_err(Error::Server),
        None => Ok(()),
    }
}

/// The end of the patience with an orderly end. There is none before the caches are filled: kube's Controller then
/// waits for them for ever, as nothing fills them any more.
async fn overdue(stop: CancellationToken, pending: Pending, limit: Duration) {
    stop.cancelled().await;
    if pending.kinds().is_empty() {
        tokio::time::sleep(limit).await;
    }
}
