//! The shell against the API server in memory, in tokio's time.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams},
};
use serde_json::json;
use test_apiserver::{ApiServer, ClientOptions, Fault, Matcher, TestClient, Verb, failure};
use tokio::{task::JoinHandle, time::timeout};

use super::*;
use crate::api::names;

struct Operator {
    client: TestClient,
    leadership: Leadership,
    stop: CancellationToken,
    running: JoinHandle<()>,
}

impl Operator {
    fn start(server: &ApiServer, identity: &str) -> Self {
        let client = server.client_with(ClientOptions::named(identity));
        let (leadership, setter) = Leadership::elected();
        let stop = CancellationToken::new();
        let election = Election {
            namespace: "default".to_owned(),
            name: names::OPERATOR.to_owned(),
            identity: identity.to_owned(),
            address: Some(format!("{identity}:8443")),
            parameters: Parameters::default(),
        };
        let running =
            tokio::spawn(run(client.client(), election, Arc::new(Timestamp::now), setter, stop.clone()));
        Self { client, leadership, stop, running }
    }

    async fn leave(&mut self) {
        self.stop.cancel();
        (&mut self.running).await.unwrap();
    }

    async fn leads_within(&self, seconds: u64) {
        timeout(Duration::from_secs(seconds), self.leadership.acquired()).await.unwrap();
    }

    fn writes(&self) -> Vec<Verb> {
        let requests = self.client.log().requests().into_iter();
        requests.map(|request| request.verb).filter(|verb| verb.is_write()).collect()
    }

    fn follows(&self, identity: &str) -> bool {
        let address = Some(format!("{identity}:8443"));
        self.leadership.leader() == Leader::Other { identity: identity.to_owned(), address }
    }
}

/// A leader called `a`, and `b` that knows it.
async fn two() -> (ApiServer, Operator, Operator) {
    let server = ApiServer::new();
    let a = Operator::start(&server, "a");
    a.leads_within(1).await;
    let b = Operator::start(&server, "b");
    pass(2).await;
    assert!(b.follows("a"));
    (server, a, b)
}

async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

async fn lease(server: &ApiServer) -> Lease {
    Api::namespaced(server.client(), "default").get(names::OPERATOR).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_idle_leader_only_renews_and_a_standby_writes_nothing() {
    let (_server, a, b) = two().await;
    a.client.log().clear();
    pass(60).await;
    let renewals = a.writes();
    assert!(renewals.iter().all(|verb| *verb == Verb::Update) && (27..=34).contains(&renewals.len()));
    assert_eq!(a.client.log().requests().len(), renewals.len(), "a leader has nothing to read");
    assert_eq!(b.writes(), []);
    assert!(a.leadership.is_leading() && !b.leadership.is_leading());
}

#[tokio::test(start_paused = true)]
async fn who_leaves_gives_the_lease_back_and_the_next_one_takes_it() {
    let (server, mut a, b) = two().await;
    let lost = a.leadership.lost();
    let before = a.writes().len();
    a.leave().await;
    lost.await;
    let released = lease(&server).await;
    assert_eq!((lease::holder(&released), lease::address(&released)), (None, None));
    assert_eq!(a.writes().len(), before + 1);
    b.leads_within(2).await;
    let taken = lease(&server).await;
    assert_eq!((lease::holder(&taken), lease::address(&taken)), (Some("b"), Some("b:8443")));
    assert_eq!(taken.spec.unwrap().lease_transitions, Some(1));
}

#[tokio::test(start_paused = true)]
async fn a_standby_that_leaves_writes_nothing() {
    let (server, a, mut b) = two().await;
    b.leave().await;
    assert_eq!(lease::holder(&lease(&server).await), Some("a"));
    assert!(a.leadership.is_leading() && b.writes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_is_killed_is_replaced() {
    let (_server, a, b) = two().await;
    a.running.abort();
    a.leadership.lost().await;
    assert!(!b.leadership.is_leading());
    b.leads_within(17).await;
}

#[tokio::test(start_paused = true)]
async fn who_gets_no_answer_stops_leading_before_another_begins() {
    let (_server, a, b) = two().await;
    a.client.faults().on(Matcher::kind("Lease"), Fault::Silence);
    tokio::select! {
        biased;
        () = b.leadership.acquired() => panic!("two lead"),
        () = a.leadership.lost() => {}
    }
    assert!(!a.leadership.is_leading() && a.leadership.since().is_none());
    b.leads_within(17).await;
    a.client.faults().clear();
    pass(10).await;
    assert!(a.follows("b"));
}

#[tokio::test(start_paused = true)]
async fn a_leader_outlives_what_is_shorter_than_the_deadline() {
    let (_server, a, b) = two().await;
    for fault in [
        Fault::Answer(failure::internal("etcd is slow")),
        Fault::DoThenAnswer(failure::internal("etcd is slow")),
        Fault::Silence,
        Fault::DoThenSilence,
        Fault::Disconnect,
    ] {
        let rule = a.client.faults().on(Matcher::kind("Lease").writes().times(1), fault);
        let lost = timeout(Duration::from_secs(30), a.leadership.lost()).await;
        assert!(lost.is_err() && a.leadership.is_leading());
        assert_eq!((rule.hits(), b.writes().len()), (1, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn who_finds_another_holder_steps_down_at_once() {
    let (server, a, _b) = two().await;
    let api: Api<Lease> = Api::namespaced(server.client(), "default");
    let usurped = Patch::Merge(json!({"spec": {"holderIdentity": "c"}}));
    api.patch(names::OPERATOR, &PatchParams::default(), &usurped).await.unwrap();
    timeout(Duration::from_secs(3), a.leadership.lost()).await.unwrap();
    assert_eq!(lease::holder(&lease(&server).await), Some("c"));
}

#[tokio::test(start_paused = true)]
async fn the_leader_makes_a_deleted_lease_again_before_a_standby_does() {
    let (server, a, b) = two().await;
    let api: Api<Lease> = Api::namespaced(server.client(), "default");
    api.delete(names::OPERATOR, &DeleteParams::default()).await.unwrap();
    pass(20).await;
    assert_eq!(lease::holder(&lease(&server).await), Some("a"));
    assert!(a.leadership.is_leading() && b.writes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn of_many_that_start_at_a_time_one_leads_and_the_rest_know_it() {
    let server = ApiServer::new();
    let names = ["a", "b", "c", "d"];
    let all = names.map(|name| Operator::start(&server, name));
    pass(5).await;
    let leader = all.iter().position(|one| one.leadership.is_leading()).unwrap();
    let following = all.iter().filter(|one| one.follows(names[leader])).count();
    assert_eq!(following, 3);
}

#[tokio::test(start_paused = true)]
async fn who_never_stands_for_election_always_leads() {
    let leadership = Leadership::always(Timestamp::now());
    leadership.acquired().await;
    assert!(leadership.is_leading() && leadership.since().is_some());
    assert!(timeout(Duration::from_secs(1000), leadership.lost()).await.is_err());
}

#[test]
fn a_pod_that_restarts_is_another_candidate() {
    assert_eq!(identity(Some("operator-0"), 0x1234_5678_9abc_def0), "operator-0_9abcdef0");
    assert_eq!(identity(None, 1), "workspace-operator_00000001");
}
