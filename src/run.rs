//! Puts the operator together: key, certificates, caches, election, controller, ports; and takes it down in order.

use std::{
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};

use futures::channel::mpsc;
use kube::Client;
use tokio::{sync::watch, task::JoinSet, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    certificates::{self, Keeper},
    classes,
    context::{Clock, Context, Registrar, Settings},
    controller, depth,
    election::{self, Election, Leadership},
    hash_key, leftovers,
    readiness::Pending,
    registration::{self, Endpoint, Peers},
    server, silence,
    waker::Target,
};

/// What to run.
#[derive(Clone)]
pub struct Options {
    pub settings: Settings,
    /// Whether the data of referenced Secrets and `ConfigMaps` is part of the inputs.
    pub restart_on_reference_change: bool,
    /// Where the key for hashing that data is kept.
    pub hash_key_namespace: String,
    /// Where programs register; none where they can't.
    pub registration: Option<Registration>,
    /// What to stand for; none means that there is no other operator.
    pub election: Option<Election>,
    /// Where `/livez` and `/readyz` are answered; none in tests.
    pub listen: Option<SocketAddr>,
    /// What tells the time.
    pub clock: Clock,
}

/// Where programs register.
#[derive(Clone)]
pub struct Registration {
    pub entrance: Entrance,
    /// The entrance's address as programs reach it.
    pub url: String,
    pub certificates: certificates::Source,
}

/// How programs come in.
#[derive(Clone)]
pub enum Entrance {
    /// By connections, with TLS.
    Listener(Arc<TcpListener>),
    /// By calls to the endpoint, which is put here once it hears.
    Direct(watch::Sender<Option<Arc<Endpoint>>>),
}

/// The operator could not start, or can't go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The hash key could not be had.
    #[error(transparent)]
    HashKey(#[from] hash_key::Error),
    /// The certificates of the registration port could not be had.
    #[error(transparent)]
    Certificates(#[from] certificates::Error),
    /// A Secret it starts with was not answered for.
    #[error("the API server did not answer for the hash key and the certificates in {} s", patience.as_secs())]
    Unanswered { patience: Duration },
    /// The registration port could not be had.
    #[error("listening for registrations")]
    Listen(#[source] std::io::Error),
    /// The health port could not be had.
    #[error(transparent)]
    Server(#[from] server::Error),
    /// A part of it broke off.
    #[error("a part of the operator broke off")]
    Broken(#[from] tokio::task::JoinError),
    /// Another operator may lead by now.
    #[error("the Lease was lost: another operator may lead by now")]
    LeaseLost,
}

/// How long the ports and the Lease get to end in order.
const FAREWELL: Duration = Duration::from_secs(10);

/// Runs until `stop` is cancelled.
pub async fn run(client: Client, options: Options, stop: CancellationToken) -> Result<(), Error> {
    let client = depth::limited(client);
    let Options {
        settings,
        restart_on_reference_change,
        hash_key_namespace,
        registration,
        election,
        listen,
        clock,
    } = options;
    // Nothing else looks after these calls yet: one that is never answered would keep the operator from starting.
    let patience = settings.reconcile_timeout;
    let prepared = timeout(patience, async {
        let key = if restart_on_reference_change {
            Some(hash_key::load(&client, &hash_key_namespace).await?)
        } else {
            None
        };
        let port = match registration {
            Some(registration) => Some(Port::open(&client, &settings, registration, clock.clone()).await?),
            None => None,
        };
        Ok::<_, Error>((key, port))
    });
    let (key, port) = prepared.await.map_err(|_| Error::Unanswered { patience })??;
    let (leadership, setter) = match &election {
        Some(_) => {
            let (leadership, setter) = Leadership::elected();
            (leadership, Some(setter))
        }
        None => (Leadership::always(clock()), None),
    };
    let (stores, writers) = controller::caches();
    let registrar = port.as_ref().map(Port::registrar);
    let (context, woken) =
        Context::new(client.clone(), stores, settings, clock.clone(), key, registrar, leadership.clone());
    let context = Arc::new(context);

    // They end with this function, however that ends.
    let mut tasks: JoinSet<Result<(), Error>> = JoinSet::new();
    if let Some(address) = listen {
        let serving = server::serve(address, context.pending.clone(), stop.clone().cancelled_owned());
        tasks.spawn(async move { serving.await.map_err(Error::Server) });
    }
    if let Some(port) = port {
        let serving = port.serve(Arc::clone(&context), stop.clone());
        tasks.spawn(async move {
            serving.await;
            Ok(())
        });
    }
    // The Lease is given back only after the last write.
    let written = CancellationToken::new();
    if let Some((election, setter)) = election.zip(setter) {
        // One that can't fill its caches can do nothing with the Lease, and would keep it from those who can.
        let (pending, written) = (context.pending.clone(), written.clone());
        tasks.spawn(async move {
            tokio::select! {
                biased;
                () = pending.wait() => election::run(client, election, clock, setter, written).await,
                () = written.cancelled() => {}
            }
            Ok(())
        });
    }
    let mut result = tokio::select! {
        biased;
        result = lead(&context, writers, woken, &stop) => result,
        failed = failure(&mut tasks) => failed,
    };
    stop.cancel();
    written.cancel();
    // A client of a port that neither goes on nor goes must not keep the process.
    let farewell = async {
        while let Some(ended) = tasks.join_next().await {
            result =
                std::mem::replace(&mut result, Ok(())).and(ended.unwrap_or_else(|broken| Err(broken.into())));
        }
    };
    let _ = timeout(FAREWELL, farewell).await;
    result
}

/// The first failure of a task. What ends in order is no reason to end.
async fn failure(tasks: &mut JoinSet<Result<(), Error>>) -> Result<(), Error> {
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    std::future::pending().await
}

/// Fills the caches, and writes once it leads. Whatever is being written when that ends is given up.
async fn lead(
    context: &Arc<Context>,
    writers: controller::Writers,
    woken: mpsc::UnboundedReceiver<Target>,
    stop: &CancellationToken,
) -> Result<(), Error> {
    let leadership = &context.leadership;
    let led = async {
        leadership.acquired().await;
        tracing::info!("leading");
        let lost = leadership.lost();
        let beside = async {
            context.pending.wait().await;
            tokio::join!(leftovers::run(context), silence::watch(context), async {
                if context.settings.class_status {
                    classes::run(Arc::clone(context)).await;
                }
            })
        };
        tokio::select! {
            biased;
            () = lost => {}
            _ = beside => {}
        }
    };
    let never_led = async {
        stop.cancelled().await;
        if leadership.is_leading() {
            std::future::pending::<()>().await;
        }
    };
    let overdue = overdue(stop.clone(), context.pending.clone(), context.settings.reconcile_timeout);
    tokio::select! {
        biased;
        () = controller::run(Arc::clone(context), writers, woken, stop.clone().cancelled_owned()) => Ok(()),
        () = led => Err(Error::LeaseLost),
        () = never_led => Ok(()),
        () = overdue => Ok(()),
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

/// An [`Entrance`] that is taken.
enum Door {
    Listener(tokio::net::TcpListener),
    Direct(watch::Sender<Option<Arc<Endpoint>>>),
}

impl Door {
    fn open(entrance: Entrance) -> std::io::Result<Self> {
        match entrance {
            Entrance::Listener(listener) => {
                let listener = listener.try_clone()?;
                listener.set_nonblocking(true)?;
                Ok(Self::Listener(tokio::net::TcpListener::from_std(listener)?))
            }
            Entrance::Direct(sender) => Ok(Self::Direct(sender)),
        }
    }
}

/// The registration port, with its certificates.
struct Port {
    door: Door,
    url: String,
    keeper: Arc<Keeper>,
}

impl Port {
    async fn open(
        client: &Client,
        settings: &Settings,
        registration: Registration,
        clock: Clock,
    ) -> Result<Self, Error> {
        let Registration { entrance, url, certificates } = registration;
        let door = Door::open(entrance).map_err(Error::Listen)?;
        let namespace = &settings.operator_namespace;
        let keeper = Keeper::load(client.clone(), namespace, certificates, clock).await?;
        Ok(Self { door, url, keeper: Arc::new(keeper) })
    }

    fn registrar(&self) -> Registrar {
        Registrar { url: self.url.clone(), certificates: self.keeper.bundle() }
    }

    /// Answers before it leads, too: any replica may register a program. Nobody is heard before the caches are filled.
    async fn serve(self, context: Arc<Context>, stop: CancellationToken) {
        let Self { door, url, keeper } = self;
        tokio::select! {
            biased;
            () = context.pending.wait() => {}
            () = stop.cancelled() => return,
        }
        let peers = Peers::new(context.leadership.clone(), &url, Arc::clone(&keeper));
        let endpoint = Arc::new(Endpoint::new(context, peers));
        let serving = async {
            match door {
                Door::Listener(listener) => {
                    registration::serve(listener, keeper.server_config(), endpoint, stop.clone()).await;
                }
                Door::Direct(sender) => {
                    sender.send_replace(Some(endpoint));
                    stop.cancelled().await;
                    sender.send_replace(None);
                }
            }
        };
        tokio::join!(serving, keeper.run(stop.clone()));
    }
}
