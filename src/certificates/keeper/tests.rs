//! The keeper against an API server in memory, with time that tests set.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicI64, Ordering},
};

use jiff::Timestamp;
use k8s_openapi::ByteString;
use rustls::pki_types::ServerName;
use serde_json::{Value, json};
use test_apiserver::{
    ApiServer, ClientOptions, Fault, Matcher, TestClient, Verb, failure, recorder::Request,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

use super::{super::stored::Stored, *};
use crate::api::names;

const NAMESPACE: &str = "default";
const NAME: &str = names::REGISTRATION_SECRET;
const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

struct Ground {
    server: ApiServer,
    now: Arc<AtomicI64>,
}

impl Ground {
    fn new() -> Self {
        Self { server: ApiServer::new(), now: Arc::new(AtomicI64::new(1_800_000_000)) }
    }

    fn clock(&self) -> Clock {
        let now = Arc::clone(&self.now);
        Arc::new(move || Timestamp::from_second(now.load(Ordering::SeqCst)).unwrap())
    }

    fn pass(&self, seconds: i64) {
        self.now.fetch_add(seconds, Ordering::SeqCst);
    }

    fn replica(&self) -> TestClient {
        self.server.client_with(ClientOptions::named("replica"))
    }

    async fn load(&self, replica: &TestClient, source: Source) -> Result<Keeper, Error> {
        Keeper::load(replica.client(), NAMESPACE, source, self.clock()).await
    }

    async fn own(&self, replica: &TestClient) -> Keeper {
        self.load(replica, own()).await.unwrap()
    }

    fn secret(&self) -> Arc<Value> {
        self.server.object("Secret", NAMESPACE, NAME).unwrap()
    }

    fn entry(&self, name: &str) -> Vec<u8> {
        let entry: ByteString = serde_json::from_value(self.secret()["data"][name].clone()).unwrap();
        entry.0
    }
}

fn own() -> Source {
    Source::Own { names: vec!["operator.test".to_owned(), "127.0.0.1".to_owned()] }
}

/// Fresh entries, as another replica would have made them.
fn fresh(clock: &Clock) -> Stored {
    let mut stored = Stored::default();
    stored.advance(&BTreeSet::from([Name::parse("operator.test").unwrap()]), clock()).unwrap();
    stored
}

fn secret(name: &str, stored: &Stored) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": { "name": name, "namespace": NAMESPACE },
        "data": stored.entries(),
    })
}

fn told(requests: &[Request]) -> Vec<(Verb, Option<u16>)> {
    requests.iter().map(|request| (request.verb, request.code)).collect()
}

fn authorities(keeper: &Keeper) -> usize {
    keeper.bundle().borrow().matches("BEGIN CERTIFICATE").count()
}

#[tokio::test]
async fn the_first_replica_makes_them_and_the_next_one_reads_them() {
    let ground = Ground::new();
    let (first, second) = (ground.replica(), ground.replica());
    let made = ground.own(&first).await;
    let read = ground.own(&second).await;
    assert_eq!(told(&first.log().requests()), [(Verb::Get, Some(404)), (Verb::Create, Some(201))]);
    assert_eq!(told(&second.log().requests()), [(Verb::Get, Some(200))]);
    assert_eq!(made.served.current().cert, read.served.current().cert);
    assert_eq!(*made.bundle().borrow(), *read.bundle().borrow());
    assert_eq!(ground.secret()["metadata"]["labels"][names::MANAGED_BY], names::MANAGED_BY_VALUE);
}

#[tokio::test]
async fn of_two_replicas_that_make_them_at_a_time_the_first_wins() {
    let ground = Ground::new();
    let (replica, server) = (ground.replica(), ground.server.clone());
    let other = fresh(&ground.clock());
    let bundle = other.credentials().unwrap().bundle;
    let theirs = secret(NAME, &other);
    let create = Matcher::kind("Secret").verb(Verb::Create);
    replica.faults().on(create, Fault::first(move |_| drop(server.create(theirs.clone()).unwrap())));
    let source = Source::Own { names: vec!["operator.test".to_owned()] };
    let keeper = ground.load(&replica, source).await.unwrap();
    assert_eq!(*keeper.bundle().borrow(), bundle);
    assert_eq!(
        told(&replica.log().requests()),
        [(Verb::Get, Some(404)), (Verb::Create, Some(409)), (Verb::Get, Some(200))]
    );
}

#[tokio::test]
async fn what_another_one_changed_meanwhile_is_read_again_and_kept() {
    let ground = Ground::new();
    let (replica, server) = (ground.replica(), ground.server.clone());
    let keeper = ground.own(&replica).await;
    ground.pass(61 * DAY);
    replica.log().clear();
    let mark = move |_: &Request| {
        server
            .change("Secret", NAMESPACE, NAME, |secret| secret["metadata"]["annotations"]["a"] = json!("b"))
            .unwrap();
    };
    replica.faults().on(Matcher::kind("Secret").verb(Verb::Update).times(1), Fault::first(mark));
    keeper.look().await.unwrap();
    assert_eq!(
        told(&replica.log().requests()),
        [
            (Verb::Get, Some(200)),
            (Verb::Update, Some(409)),
            (Verb::Get, Some(200)),
            (Verb::Update, Some(200))
        ]
    );
    assert_eq!(ground.secret()["metadata"]["annotations"]["a"], "b");
}

#[tokio::test]
async fn a_write_that_always_comes_too_late_ends_as_an_error() {
    let ground = Ground::new();
    let replica = ground.replica();
    let keeper = ground.own(&replica).await;
    ground.pass(61 * DAY);
    let server = ground.server.clone();
    let count = AtomicI64::new(0);
    let mark = move |_: &Request| {
        let count = count.fetch_add(1, Ordering::SeqCst).to_string();
        server
            .change("Secret", NAMESPACE, NAME, |secret| secret["metadata"]["annotations"]["a"] = json!(count))
            .unwrap();
    };
    let rule = replica.faults().on(Matcher::kind("Secret").verb(Verb::Update), Fault::first(mark));
    assert!(matches!(keeper.look().await, Err(Error::Contended { .. })));
    assert_eq!(rule.hits(), 5);
}

#[tokio::test(start_paused = true)]
async fn an_idle_keeper_reads_once_a_minute_and_writes_nothing() {
    let ground = Ground::new();
    let replica = ground.replica();
    let keeper = ground.own(&replica).await;
    let changes = keeper.bundle();
    replica.log().clear();
    let stop = CancellationToken::new();
    tokio::join!(keeper.run(stop.clone()), async {
        tokio::time::sleep(INTERVAL * 60 + INTERVAL / 2).await;
        stop.cancel();
    });
    assert_eq!(told(&replica.log().requests()), vec![(Verb::Get, Some(200)); 60]);
    assert!(!changes.has_changed().unwrap());
}

#[tokio::test(start_paused = true)]
async fn while_the_api_server_fails_the_last_one_serves_on_and_is_asked_less_and_less() {
    let ground = Ground::new();
    let replica = ground.replica();
    let keeper = ground.own(&replica).await;
    let before = keeper.served.current();
    replica.log().clear();
    let rule = replica.faults().on(Matcher::any(), Fault::Answer(failure::internal("no etcd")));
    let stop = CancellationToken::new();
    tokio::join!(keeper.run(stop.clone()), async {
        // 1 min, then 10 s, 20 s, 40 s, 80 s, 160 s, 300 s, 300 s, each but the first ±10 %: the eighth comes after
        // 879 to 1061 s, the ninth not before 1149 s.
        tokio::time::sleep(Duration::from_secs(1100)).await;
        assert_eq!(rule.hits(), 8);
        assert!(Arc::ptr_eq(&before, &keeper.served.current()));
        rule.remove();
        replica.log().clear();
        tokio::time::sleep(Duration::from_mins(10)).await;
        stop.cancel();
    });
    assert!(replica.log().requests().len() >= 4, "once a minute again");
}

#[tokio::test]
async fn a_deleted_secret_is_made_anew() {
    let ground = Ground::new();
    let replica = ground.replica();
    let keeper = ground.own(&replica).await;
    let mut changes = keeper.bundle();
    ground.server.delete("Secret", NAMESPACE, NAME).unwrap();
    ground.pass(1);
    keeper.look().await.unwrap();
    assert!(changes.has_changed().unwrap());
    assert_eq!(changes.borrow_and_update().as_bytes(), ground.entry("ca.crt"));
}

#[tokio::test]
async fn a_given_secret_is_followed_and_never_written() {
    let ground = Ground::new();
    let replica = ground.replica();
    let source = Source::Given { secret: "mine".to_owned() };
    assert!(matches!(ground.load(&replica, source.clone()).await, Err(Error::Call { .. })));
    ground.server.create(secret("mine", &fresh(&ground.clock()))).unwrap();
    let keeper = ground.load(&replica, source).await.unwrap();
    let first = keeper.served.current();
    // Long over: that is for whoever looks after it.
    ground.pass(1000 * DAY);
    keeper.look().await.unwrap();
    assert!(Arc::ptr_eq(&first, &keeper.served.current()));

    let renewed = fresh(&ground.clock());
    ground
        .server
        .change("Secret", NAMESPACE, "mine", |secret| secret["data"] = json!(renewed.entries()))
        .unwrap();
    keeper.look().await.unwrap();
    assert_ne!(first.cert, keeper.served.current().cert);
    assert_eq!(*keeper.bundle().borrow(), renewed.credentials().unwrap().bundle);

    ground.server.change("Secret", NAMESPACE, "mine", |secret| secret["data"] = json!({})).unwrap();
    assert!(matches!(keeper.look().await, Err(Error::Unusable { .. })));
    assert_eq!(*keeper.bundle().borrow(), renewed.credentials().unwrap().bundle, "the last one serves on");
    assert_eq!(replica.log().writes(), []);
}

#[tokio::test]
async fn an_error_names_the_object_and_the_right() {
    let ground = Ground::new();
    let replica = ground.replica();
    replica.faults().on(Matcher::any(), Fault::Answer(failure::access_denied("create", "secrets")));
    let error = ground.load(&replica, own()).await.err().unwrap();
    assert_eq!(
        error.to_string(),
        "get Secret default/workspace-operator-registration: the operator needs the right to get, create and update it"
    );
    let source = Source::Own { names: vec!["https://operator".to_owned()] };
    let error = ground.load(&replica, source).await.err().unwrap();
    assert_eq!(
        error.to_string(),
        "making a certificate for \"https://operator\": it is neither a DNS name nor an IP address"
    );
}

type Connection = (client::TlsStream<DuplexStream>, server::TlsStream<DuplexStream>);

/// A connection in memory, with a real handshake.
async fn connect(
    keeper: &Keeper,
    config: Arc<ClientConfig>,
    name: &'static str,
) -> std::io::Result<Connection> {
    let (near, far) = tokio::io::duplex(1 << 16);
    let name = ServerName::try_from(name).unwrap();
    let accept = TlsAcceptor::from(keeper.server_config()).accept(far);
    let connect = TlsConnector::from(config).connect(name, near);
    let (client, server) = tokio::join!(connect, accept);
    Ok((client?, server?))
}

async fn speak((client, server): &mut Connection) {
    let mut heard = [0; 4];
    client.write_all(b"beat").await.unwrap();
    client.flush().await.unwrap();
    server.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"beat");
}

fn presented((client, _): &Connection) -> Vec<u8> {
    client.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

#[tokio::test]
async fn a_change_of_the_ca_needs_no_listener_and_drops_no_connection() {
    let ground = Ground::new();
    let replica = ground.replica();
    let keeper = ground.own(&replica).await;
    let (server, old_client) = (keeper.server_config(), keeper.client_config());
    let mut old = connect(&keeper, Arc::clone(&old_client), "operator.test").await.unwrap();
    let mut bundles = vec![authorities(&keeper)];
    let mut seen = vec![presented(&old)];
    // The CA is in its last third; then clients have the next one; then the old one is out of use.
    for seconds in [490 * DAY, HOUR, HOUR] {
        ground.pass(seconds);
        keeper.look().await.unwrap();
        bundles.push(authorities(&keeper));
        let mut new = connect(&keeper, keeper.client_config(), "127.0.0.1").await.unwrap();
        speak(&mut new).await;
        speak(&mut old).await;
        seen.push(presented(&new));
    }
    assert_eq!(bundles, [1, 2, 2, 1]);
    seen.dedup();
    assert_eq!(seen.len(), 3, "the renewed one, then the next CA's");
    assert!(Arc::ptr_eq(&server, &keeper.server_config()));
    assert_eq!(protocol(&old), Some(b"http/1.1".to_vec()));
}

#[tokio::test]
async fn a_client_of_another_ca_or_for_another_name_is_not_served() {
    let ground = Ground::new();
    let replica = ground.replica();
    let keeper = ground.own(&replica).await;
    let strange = fresh(&ground.clock()).credentials().unwrap().roots;
    let strange = Arc::new(tls::client(strange, &ground.clock()).unwrap());
    assert!(connect(&keeper, strange, "operator.test").await.is_err());
    assert!(connect(&keeper, keeper.client_config(), "other.test").await.is_err());
}

fn protocol((client, _): &Connection) -> Option<Vec<u8>> {
    client.get_ref().1.alpn_protocol().map(<[u8]>::to_vec)
}
