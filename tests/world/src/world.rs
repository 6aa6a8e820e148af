//! The ground a scenario stands on: an API server, a namespace of its own, an operator, and a user's hands.

use std::{net::TcpListener, num::NonZeroU16, path::Path, sync::Arc};

use jiff::Timestamp;
use kube::{Api, Client, Resource, client::ClientBuilder, core::NamespaceResourceScope};
use test_apiserver::{
    ApiServer, ClientOptions, Running, TestClient,
    recorder::{Log, RecordLayer},
};
use test_cluster::{Cluster, Namespace, NodeKind};
use test_invariants::{Recorder, check};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use workspace_operator::{
    api::names,
    certificates::Source,
    context::Settings,
    election::{self, Election, Parameters},
    run::{self, Entrance, Options, Registration},
};

use crate::pod_history::PodHistory;

/// An image whose Pod is Ready at once.
pub const IMAGE: &str = "registry.test/busybox:1";

#[allow(clippy::large_enum_variant, reason = "one per test")]
pub enum Ground {
    Memory {
        server: ApiServer,
        operator: TestClient,
        _running: Running,
    },
    Cluster {
        /// Takes the first answer, where kube would try again.
        impatient: Client,
        _namespace: Namespace,
    },
}

/// Where a scenario takes place.
pub struct World {
    /// The user's client; its calls are not counted.
    pub client: Client,
    pub namespace: String,
    pub ground: Ground,
    pub settings: Settings,
    pub restart_on_reference_change: bool,
    /// Where programs register: the port outlives the operator.
    pub registration: Registration,
    /// Whether operators stand for election.
    pub elects: bool,
    /// Every Pod of the namespace that was ever seen.
    pub pods: PodHistory,
    /// Every call of the operator.
    pub log: Log,
    /// What happened, for the invariants. They are judged when the world ends.
    pub recorder: Recorder,
    operator_client: Client,
    operator: Option<(CancellationToken, JoinHandle<Result<(), run::Error>>)>,
}

impl World {
    /// An API server in memory, with the operator running.
    pub async fn in_memory() -> Self {
        let mut world = Self::in_memory_without_operator().await;
        world.start_operator();
        world
    }

    /// The same before the operator runs.
    #[allow(clippy::unused_async, reason = "called like its siblings on a real API server")]
    pub async fn in_memory_without_operator() -> Self {
        let server = ApiServer::new();
        let recorder = Recorder::of(&server, |client| client.starts_with("operator"));
        let running = server.run();
        server.create_namespace("test");
        let operator = server.client_with(ClientOptions::named("operator"));
        let (client, operator_client, log) = (server.client(), operator.client(), operator.log());
        Self::new(
            client,
            operator_client,
            log,
            "test".to_owned(),
            Ground::Memory { server, operator, _running: running },
            recorder,
        )
    }

    /// A real API server with simulated nodes, with the operator running.
    pub async fn on_a_real_api_server() -> Self {
        let mut world = Self::on_a_real_api_server_without_operator(NodeKind::Fake).await;
        world.start_operator();
        world
    }

    /// The same on nodes of that kind, before the operator runs.
    pub async fn on_a_real_api_server_without_operator(nodes: NodeKind) -> Self {
        let cluster = Cluster::up(nodes).await.unwrap();
        let crds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../crds");
        cluster.install_crds(&crds).await.unwrap();
        Self::within(&cluster, nodes).await
    }

    /// The same in a cluster that is up and knows our kinds.
    pub async fn within(cluster: &Cluster, nodes: NodeKind) -> Self {
        let namespace = cluster.namespace("scenario", nodes).await.unwrap();
        let recorder = RecordLayer::new();
        let counted = ClientBuilder::try_from(cluster.config()).unwrap().with_layer(&recorder).build();
        let name = namespace.name().to_owned();
        let client = cluster.client().unwrap();
        let mut config = cluster.config();
        config.default_retry = false;
        let impatient = Client::try_from(config).unwrap();
        let ground = Ground::Cluster { impatient, _namespace: namespace };
        let history = Recorder::of_cluster(&client, &name, &recorder.log()).await.unwrap();
        Self::new(client, counted, recorder.log(), name, ground, history)
    }

    fn new(
        client: Client,
        operator_client: Client,
        log: Log,
        namespace: String,
        ground: Ground,
        recorder: Recorder,
    ) -> Self {
        let settings = Settings {
            namespace: Some(namespace.clone()),
            // Classes are shared by all worlds of a cluster.
            class_status: false,
            // Its certificates are in the namespace of the scenario, too.
            operator_namespace: namespace.clone(),
            ..Settings::default()
        };
        let pods = PodHistory::begin(client.clone(), &namespace);
        Self {
            client,
            namespace,
            ground,
            settings,
            restart_on_reference_change: true,
            registration: registration(),
            elects: false,
            pods,
            operator_client,
            log,
            recorder,
            operator: None,
        }
    }

    /// Starts the operator with the world's settings.
    pub fn start_operator(&mut self) {
        let stop = CancellationToken::new();
        let options = self.options(self.registration.clone());
        let running = tokio::spawn(run::run(self.operator_client.clone(), options, stop.clone()));
        self.operator = Some((stop, running));
    }

    /// Stops the operator in order.
    pub async fn stop_operator(&mut self) {
        if let Some((stop, running)) = self.operator.take() {
            stop.cancel();
            running.await.unwrap().unwrap();
        }
    }

    /// Ends the operator in the middle of whatever it does.
    pub async fn kill_operator(&mut self) {
        if let Some((_, running)) = self.operator.take() {
            running.abort();
            let _ = running.await;
        }
    }

    /// Starts a second operator, which nobody stops before the end.
    pub fn start_another_operator(&self) -> JoinHandle<Result<(), run::Error>> {
        self.start_replica(registration())
    }

    /// The same, with the port where programs reach it.
    pub fn start_replica(&self, registration: Registration) -> JoinHandle<Result<(), run::Error>> {
        self.start_replica_of(self.operator_client.clone(), registration)
    }

    /// The same with a client of its own.
    pub fn start_replica_of(
        &self,
        client: Client,
        registration: Registration,
    ) -> JoinHandle<Result<(), run::Error>> {
        tokio::spawn(run::run(client, self.options(registration), CancellationToken::new()))
    }

    /// What an operator of this world is told.
    pub fn options(&self, registration: Registration) -> Options {
        let address = registration.url.trim_start_matches("https://").to_owned();
        let election = self.elects.then(|| Election {
            namespace: self.namespace.clone(),
            name: names::OPERATOR.to_owned(),
            identity: election::identity(Some("operator"), rand::random()),
            address: Some(address),
            parameters: Parameters::of_lease(NonZeroU16::new(3).unwrap()),
        });
        Options {
            settings: self.settings.clone(),
            restart_on_reference_change: self.restart_on_reference_change,
            hash_key_namespace: self.namespace.clone(),
            registration: Some(registration),
            election,
            listen: None,
            clock: Arc::new(Timestamp::now),
        }
    }

    /// Objects of one kind in the world's namespace.
    pub fn api<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// The server in memory, to be told how to behave.
    pub fn server(&self) -> Option<&ApiServer> {
        match &self.ground {
            Ground::Memory { server, .. } => Some(server),
            Ground::Cluster { .. } => None,
        }
    }

    /// The operator's own client in memory, to be faulted.
    pub fn operator(&self) -> Option<&TestClient> {
        match &self.ground {
            Ground::Memory { operator, .. } => Some(operator),
            Ground::Cluster { .. } => None,
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        assert!(!self.recorder.is_torn(), "a watch broke, so nothing is known of what must never happen");
        let broken = check(&self.recorder.history());
        let broken: Vec<String> = broken.into_iter().map(|violation| violation.to_string()).collect();
        assert!(broken.is_empty(), "what must never happen did:\n{}", broken.join("\n"));
    }
}

/// A registration port of its own.
pub fn registration() -> Registration {
    registration_at("127.0.0.1")
}

/// The same at another address of this machine.
pub fn registration_at(address: &str) -> Registration {
    let listener = TcpListener::bind((address, 0)).unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let names = vec![address.to_owned()];
    let entrance = Entrance::Listener(Arc::new(listener));
    Registration { entrance, url, certificates: Source::Own { names } }
}
