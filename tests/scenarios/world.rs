//! The ground a scenario stands on: an API server, a namespace of its own, an operator, and a user's hands.

use std::{fmt::Debug, net::TcpListener, num::NonZeroU16, path::Path, sync::Arc, time::Duration};

use jiff::Timestamp;
use k8s_openapi::api::{core::v1::Pod, events::v1::Event};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
    client::ClientBuilder,
    core::NamespaceResourceScope,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use test_apiserver::{
    ApiServer, ClientOptions, Running, TestClient,
    recorder::{Log, RecordLayer, Request},
};
use test_cluster::{Cluster, Namespace, NodeKind};
use test_invariants::{Recorder, What, check};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use workspace_operator::{
    api::{ConditionType, IncarnationNumber, Reason, Workspace, names},
    certificates::Source,
    context::Settings,
    election::{self, Election, Parameters},
    run::{self, Options, Registration},
};

use crate::pod_history::PodHistory;

/// How long anything may take before a scenario fails. Generous: machines are shared.
const LIMIT: Duration = Duration::from_secs(30);
/// How often is looked.
const PACE: Duration = Duration::from_millis(25);

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
        let crds = Path::new(env!("CARGO_MANIFEST_DIR")).join("crds");
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
        let address = registration.listener.local_addr().unwrap().to_string();
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

    // --- a user's hands ---

    /// Creates any object from JSON.
    pub async fn apply<K>(&self, object: Value) -> K
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Serialize
            + DeserializeOwned
            + Clone
            + Debug,
    {
        let object: K = serde_json::from_value(object).unwrap();
        self.api().create(&PostParams::default(), &object).await.unwrap()
    }

    /// Creates a workspace with this spec.
    pub async fn create(&self, name: &str, spec: Value) -> Workspace {
        self.create_annotated(name, spec, json!({})).await
    }

    /// Creates a workspace with annotations.
    pub async fn create_annotated(&self, name: &str, spec: Value, annotations: Value) -> Workspace {
        self.apply(workspace(name, spec, annotations)).await
    }

    /// Changes the spec by a merge patch.
    pub async fn change(&self, name: &str, spec: Value) -> Workspace {
        let patch = Patch::Merge(json!({ "spec": spec }));
        self.api().patch(name, &PatchParams::default(), &patch).await.unwrap()
    }

    /// Sets an annotation, or takes it away.
    pub async fn annotate(&self, name: &str, key: &str, value: Option<&str>) -> Workspace {
        let patch = Patch::Merge(json!({"metadata": {"annotations": {key: value}}}));
        self.api().patch(name, &PatchParams::default(), &patch).await.unwrap()
    }

    /// Asks for a restart now, and tells the time it asked for.
    pub async fn restart(&self, name: &str) -> Timestamp {
        let now = Timestamp::now();
        self.annotate(name, names::RESTARTED_AT, Some(&now.to_string())).await;
        now
    }

    /// Deletes a workspace.
    pub async fn delete(&self, name: &str) {
        self.api::<Workspace>().delete(name, &DeleteParams::default()).await.unwrap();
    }

    // --- what is seen ---

    /// The workspace as it is.
    pub async fn get(&self, name: &str) -> Workspace {
        self.api().get(name).await.unwrap()
    }

    /// The workspace's Pod, if there is one.
    pub async fn pod(&self, name: &str) -> Option<Pod> {
        self.api().get_opt(name).await.unwrap()
    }

    /// Looks until `is_so`, and fails with what is there instead.
    pub async fn until(&self, name: &str, what: &str, is_so: impl Fn(&Workspace) -> bool) -> Workspace {
        let api: Api<Workspace> = self.api();
        let mut last = None;
        for _ in 0..LIMIT.as_millis() / PACE.as_millis() {
            let found = api.get_opt(name).await.unwrap();
            if let Some(workspace) = &found
                && is_so(workspace)
            {
                return workspace.clone();
            }
            last = found;
            tokio::time::sleep(PACE).await;
        }
        let status = last.and_then(|workspace| workspace.status);
        let calls = self.log.requests();
        let calls = shown(calls.rchunks(25).next().unwrap_or_default());
        panic!("{name} was not {what} in time: {status:#?}\nthe operator's last calls:\n{calls}");
    }

    /// The events about a workspace, in order.
    pub async fn story(&self, name: &str) -> String {
        let about = ListParams::default().fields(&format!("regarding.name={name},regarding.kind=Workspace"));
        let mut events = self.api::<Event>().list(&about).await.unwrap().items;
        events.sort_by_key(|event| event.event_time.as_ref().map(|time| time.0));
        let told = events.iter().map(|event| {
            let time = event.event_time.as_ref().map(|time| time.0.to_string()).unwrap_or_default();
            let count = event.series.as_ref().map_or(1, |series| series.count);
            format!("{time} {count}x {:?} {:?}", event.reason, event.note)
        });
        told.collect::<Vec<_>>().join("\n")
    }

    /// Looks until `found` answers with something.
    pub async fn eventually<T, F>(&self, what: &str, mut found: impl FnMut() -> F) -> T
    where
        F: Future<Output = Option<T>>,
    {
        for _ in 0..LIMIT.as_millis() / PACE.as_millis() {
            if let Some(found) = found().await {
                return found;
            }
            tokio::time::sleep(PACE).await;
        }
        panic!("{what}: not in time");
    }

    /// Until it is Ready by its newest generation and every restart asked for was served.
    pub async fn ready(&self, name: &str) -> Workspace {
        self.until(name, "Ready and up to date", |workspace| {
            is(workspace, ConditionType::Ready, "True")
                && is(workspace, ConditionType::UpToDate, "True")
                && observed(workspace)
                && is_restart_served(workspace)
        })
        .await
    }

    /// Until start `number` or a later one is Ready.
    pub async fn ready_at(&self, name: &str, number: i64) -> Workspace {
        self.until(name, &format!("Ready at start {number}"), |workspace| {
            is(workspace, ConditionType::Ready, "True") && starts(workspace) >= number && observed(workspace)
        })
        .await
    }

    /// Until a condition has this reason, by the newest generation.
    pub async fn reason(&self, name: &str, type_: ConditionType, reason: Reason) -> Workspace {
        self.until(name, &format!("{type_}/{reason}"), |workspace| {
            condition(workspace, type_).is_some_and(|(_, shown, _)| shown == reason.as_str())
                && observed(workspace)
        })
        .await
    }

    /// Until the workspace and its Pod are gone.
    pub async fn gone(&self, name: &str) {
        self.eventually(&format!("{name} and its Pod are gone"), || async {
            let workspace = self.api::<Workspace>().get_opt(name).await.unwrap();
            (workspace.is_none() && self.pod(name).await.is_none()).then_some(())
        })
        .await;
    }

    /// Says that this workspace has trouble of its own, which is to delay no other.
    pub fn is_in_trouble(&self, name: &str) {
        let (namespace, name) = (self.namespace.clone(), name.to_owned());
        self.recorder.note(Timestamp::now(), What::Troubled { namespace, name });
    }

    /// Lets the operator do whatever it still wants to: until it asked for nothing for a while.
    pub async fn quiet(&self) {
        self.quiet_within(LIMIT).await;
    }

    /// The same where there is much to do.
    pub async fn quiet_within(&self, limit: Duration) {
        let mut calls = self.calls();
        let mut since = tokio::time::Instant::now();
        let limit = since + limit;
        while since.elapsed() < Duration::from_millis(750) {
            tokio::time::sleep(PACE).await;
            let now = self.calls();
            if now != calls {
                (calls, since) = (now, tokio::time::Instant::now());
            }
            assert!(tokio::time::Instant::now() < limit, "the operator does not come to rest");
        }
        // Whoever is told of everything has come to rest: what is so eventually has to be so now.
        let is_told = |server: &ApiServer| server.watches().iter().all(|watch| watch.pending == 0);
        if self.server().is_none_or(is_told) {
            self.recorder.note(Timestamp::now(), What::Settled);
        }
    }

    fn calls(&self) -> usize {
        // Watches and Leases are renewed by themselves.
        let is_work = |call: &Request| !call.verb.is_watch_or_list() && call.kind != "Lease";
        self.log.count(is_work)
    }

    /// The operator's writes so far: no events, leases, dry runs or probe Pods.
    pub fn writes(&self) -> Vec<Request> {
        let own = [names::HASH_KEY_SECRET, names::REGISTRATION_SECRET].map(Some);
        let is_own = |call: &Request| own.contains(&call.name.as_deref());
        self.log.writes_without_probes().into_iter().filter(|call| !is_own(call)).collect()
    }

    /// How often the operator was told that it had read too old a version.
    pub fn conflicts(&self) -> usize {
        self.log.count(|call| call.code == Some(409))
    }

    /// Counts from here on.
    pub fn forget_writes(&self) {
        self.log.clear();
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

/// The two verbs that are no sign of work.
trait IsWatch {
    fn is_watch_or_list(&self) -> bool;
}

impl IsWatch for test_apiserver::Verb {
    fn is_watch_or_list(&self) -> bool {
        matches!(self, Self::Watch | Self::List)
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
    Registration { listener: Arc::new(listener), url, certificates: Source::Own { names } }
}

/// A workspace as JSON.
pub fn workspace(name: &str, spec: Value, annotations: Value) -> Value {
    json!({
        "apiVersion": "workspaces.dev/v1alpha1",
        "kind": "Workspace",
        "metadata": {"name": name, "annotations": annotations},
        "spec": spec,
    })
}

/// Status, reason and message of a condition.
pub fn condition(workspace: &Workspace, type_: ConditionType) -> Option<(String, String, String)> {
    let conditions = &workspace.status.as_ref()?.conditions;
    let found = conditions.iter().find(|condition| condition.type_ == type_.as_str())?;
    Some((found.status.clone(), found.reason.clone(), found.message.clone()))
}

/// Status and reason of a condition, as `False/Stopped`.
pub fn told(workspace: &Workspace, type_: ConditionType) -> String {
    condition(workspace, type_).map_or_else(String::new, |(status, reason, _)| format!("{status}/{reason}"))
}

/// Whether a condition has this status.
pub fn is(workspace: &Workspace, type_: ConditionType, status: &str) -> bool {
    condition(workspace, type_).is_some_and(|(is, ..)| is == status)
}

/// How often it was started.
pub fn starts(workspace: &Workspace) -> i64 {
    let incarnation = workspace.status.as_ref().and_then(|status| status.incarnation.as_ref());
    incarnation.map_or(0, |incarnation| {
        let IncarnationNumber(number) = incarnation.number;
        number
    })
}

/// Whether status speaks of the newest spec.
pub fn observed(workspace: &Workspace) -> bool {
    workspace.status.as_ref().and_then(|status| status.observed_generation) == workspace.metadata.generation
}

fn is_restart_served(workspace: &Workspace) -> bool {
    let asked =
        workspace.annotations().get(names::RESTARTED_AT).and_then(|time| time.parse::<Timestamp>().ok());
    let served =
        workspace.status.as_ref().and_then(|status| status.last_handled_restart_at).map(|time| time.0);
    asked.filter(|asked| *asked <= Timestamp::now()) <= served
}

/// What some assertions need in the message of a failure.
pub fn shown<T: Debug>(things: &[T]) -> Arc<str> {
    let lines: Vec<String> = things.iter().map(|thing| format!("{thing:?}")).collect();
    lines.join("\n").replace("subresource: None, dry_run: false, is_probe: false, ", "").into()
}
