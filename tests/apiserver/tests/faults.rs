//! Faults, logs, admission rules and the delivery of watch events.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are assertions")]

use std::time::Duration;

use futures::{FutureExt, StreamExt};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, ListParams, LogParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams},
    client::ClientBuilder,
    runtime::{WatchStreamExt, reflector, watcher},
};
use serde_json::json;
use test_apiserver::{
    ApiServer, ClientOptions, Fault, Gate, Matcher, Pace, TestClient, Verb, failure, recorder::RecordLayer,
};

fn operator(server: &ApiServer) -> TestClient {
    server.client_with(ClientOptions::named("operator"))
}

fn config_maps(client: Client) -> Api<ConfigMap> {
    Api::namespaced(client, "default")
}

fn config_map(name: &str) -> ConfigMap {
    serde_json::from_value(json!({ "metadata": { "name": name } })).unwrap()
}

fn code<T: std::fmt::Debug>(result: kube::Result<T>) -> u16 {
    match result {
        Err(kube::Error::Api(status)) => status.code,
        other => panic!("refused with a Status, not {other:?}"),
    }
}

async fn create(api: &Api<ConfigMap>, name: &str) -> kube::Result<ConfigMap> {
    api.create(&PostParams::default(), &config_map(name)).await
}

#[tokio::test]
async fn a_fault_strikes_as_often_as_it_should_and_one_client_only() {
    let server = ApiServer::new();
    let operator = operator(&server);
    let api = config_maps(operator.client());
    let twice = Matcher::kind("ConfigMap").verb(Verb::Create).after(1).times(2);
    let rule = operator.faults().on(twice, Fault::Answer(failure::unavailable()));
    let mut codes = Vec::new();
    for name in ["a", "b", "c", "d"] {
        codes.push(create(&api, name).await.map_or_else(|error| code::<()>(Err(error)), |_| 201));
    }
    assert_eq!(codes, [201, 503, 503, 201]);
    assert_eq!(rule.hits(), 2);
    let always = operator.faults().on(Matcher::any().writes(), Fault::Answer(failure::internal("no")));
    assert!(create(&config_maps(server.client()), "e").await.is_ok());
    assert_eq!(code(create(&api, "f").await), 500);
    always.remove();
    assert!(create(&api, "f").await.is_ok());
}

#[tokio::test]
async fn a_write_can_take_effect_and_be_answered_with_an_error() {
    let server = ApiServer::new();
    let operator = operator(&server);
    let api = config_maps(operator.client());
    operator.faults().on(Matcher::kind("ConfigMap").times(1), Fault::DoThenAnswer(failure::timed_out()));
    assert_eq!(code(create(&api, "a").await), 504);
    assert!(server.object("ConfigMap", "default", "a").is_some());
}

#[tokio::test(start_paused = true)]
async fn a_request_can_stay_without_answer() {
    let server = ApiServer::new();
    let operator = operator(&server);
    let api = config_maps(operator.client());
    operator.faults().on(Matcher::any().name("done"), Fault::DoThenSilence);
    operator.faults().on(Matcher::any().name("lost"), Fault::Silence);
    operator.faults().on(Matcher::any().name("cut"), Fault::Disconnect);
    for name in ["done", "lost"] {
        assert!(tokio::time::timeout(Duration::from_mins(1), create(&api, name)).await.is_err());
    }
    assert!(matches!(create(&api, "cut").await, Err(kube::Error::Service(_))));
    assert!(server.object("ConfigMap", "default", "done").is_some());
    assert!(server.object("ConfigMap", "default", "lost").is_none());
    let codes: Vec<_> = operator.log().requests().iter().map(|request| request.code).collect();
    assert_eq!(codes, [None, None, None]);
}

#[tokio::test]
async fn a_test_can_come_between_a_read_and_a_write() {
    let server = ApiServer::new();
    let operator = operator(&server);
    let api = config_maps(operator.client());
    let mut read = create(&api, "a").await.unwrap();
    let other = server.clone();
    let intrude = Fault::first(move |_| {
        other
            .change("ConfigMap", "default", "a", |object| object["data"] = json!({ "k": "theirs" }))
            .unwrap();
    });
    operator.faults().on(Matcher::any().verb(Verb::Update).times(1), intrude);
    read.data = Some([("k".to_owned(), "ours".to_owned())].into());
    assert_eq!(code(api.replace("a", &PostParams::default(), &read).await), 409);
    assert_eq!(server.object("ConfigMap", "default", "a").unwrap()["data"]["k"], "theirs");
}

#[tokio::test]
async fn a_held_request_goes_on_when_its_gate_lets_it() {
    let server = ApiServer::new();
    let operator = operator(&server);
    let gate = Gate::new();
    operator.faults().on(Matcher::any().verb(Verb::Create), Fault::Hold(gate.clone()));
    let api = config_maps(operator.client());
    let write = tokio::spawn(async move { create(&api, "a").await });
    while operator.log().requests().is_empty() {
        tokio::task::yield_now().await;
    }
    assert!(server.object("ConfigMap", "default", "a").is_none());
    gate.release(1);
    write.await.unwrap().unwrap();
    assert!(server.object("ConfigMap", "default", "a").is_some());
}

#[tokio::test]
async fn too_many_requests_carries_its_retry_after() {
    let server = ApiServer::new();
    let operator = operator(&server);
    operator.faults().on(Matcher::any(), Fault::Answer(failure::too_many_requests("slow down", 7)));
    let request = http::Request::get("/api/v1/pods").body(kube::client::Body::empty()).unwrap();
    let response = operator.client().send(request).await.unwrap();
    assert_eq!(response.status(), 429);
    assert_eq!(response.headers()["retry-after"], "7");
}

#[tokio::test]
async fn the_log_tells_writes_from_reads_dry_runs_and_refusals() {
    let server = ApiServer::new();
    let operator = operator(&server);
    let api = config_maps(operator.client());
    create(&api, "a").await.unwrap();
    create(&api, "a").await.unwrap_err();
    api.create(&PostParams { dry_run: true, ..PostParams::default() }, &config_map("b")).await.unwrap();
    api.get("a").await.unwrap();
    let patch = Patch::Merge(json!({ "data": { "k": "v" } }));
    api.patch("a", &PatchParams::default(), &patch).await.unwrap();
    api.delete("a", &DeleteParams::default()).await.unwrap();
    let log = operator.log();
    let verbs: Vec<_> = log.writes().iter().map(|request| request.verb).collect();
    assert_eq!(verbs, [Verb::Create, Verb::Patch, Verb::Delete]);
    let codes: Vec<_> = log.requests().iter().map(|request| request.code.unwrap()).collect();
    assert_eq!(codes, [201, 409, 201, 200, 200, 200]);
    log.clear();
    assert!(log.requests().is_empty());
}

#[tokio::test]
async fn probe_pods_can_be_left_out_of_the_log() {
    let server = ApiServer::new();
    let operator = operator(&server);
    let pods: Api<Pod> = Api::namespaced(operator.client(), "default");
    let pod = |name: &str, labels: serde_json::Value| {
        let containers = json!([{ "name": "main", "image": "x" }]);
        let pod = json!({ "metadata": { "generateName": name, "labels": labels }, "spec": { "containers": containers } });
        serde_json::from_value::<Pod>(pod).unwrap()
    };
    let probe = pod("probe-", json!({ "workspaces.dev/probe-for": "x" }));
    let probe = pods.create(&PostParams::default(), &probe).await.unwrap();
    pods.delete(&probe.name_any(), &DeleteParams::default()).await.unwrap();
    pods.create(&PostParams::default(), &pod("real-", json!({}))).await.unwrap();
    assert_eq!(operator.log().writes().len(), 3);
    let left = operator.log().writes_without_probes();
    assert_eq!(left.iter().map(|request| request.name.as_deref().unwrap()).collect::<Vec<_>>(), ["real-"]);
}

#[tokio::test]
async fn the_recorder_fits_any_client_stack() {
    let recorder = RecordLayer::new();
    let answer = tower::service_fn(|_: http::Request<kube::client::Body>| async {
        let body = http_body_util::Full::new(bytes::Bytes::from_static(b"{\"metadata\":{}}"));
        Ok::<_, std::convert::Infallible>(http::Response::new(body))
    });
    let client = ClientBuilder::new(answer, "default").with_layer(&recorder).build();
    let patch = Patch::Apply(json!({ "apiVersion": "v1", "kind": "ConfigMap" }));
    let params = PatchParams { dry_run: true, ..PatchParams::apply("x") };
    config_maps(client).patch_status("a", &params, &patch).await.unwrap();
    let seen = &recorder.log().requests()[0];
    assert_eq!(
        (seen.verb, seen.kind.as_str(), seen.dry_run, seen.code),
        (Verb::Apply, "ConfigMap", true, Some(200))
    );
    assert_eq!((seen.name.as_deref(), seen.subresource.as_deref()), (Some("a"), Some("status")));
}

#[tokio::test]
async fn an_admission_rule_is_asked_before_the_name_and_in_dry_runs() {
    let server = ApiServer::new();
    let api = config_maps(server.client());
    create(&api, "a").await.unwrap();
    server.refuse(|admission| {
        let kind = test_apiserver::KINDS.iter().find(|kind| kind.kind == admission.kind)?;
        let is_over = admission.verb == Verb::Create && !admission.objects("ConfigMap").is_empty();
        is_over.then(|| failure::forbidden(kind, admission.name, "exceeded quota: maps"))
    });
    assert_eq!(code(create(&api, "a").await), 403);
    let dry_run = PostParams { dry_run: true, ..PostParams::default() };
    assert_eq!(code(api.create(&dry_run, &config_map("b")).await), 403);
    server.refuse_nothing();
    assert_eq!(code(create(&api, "a").await), 409);
}

#[tokio::test]
async fn a_log_is_read_as_the_test_wrote_it() {
    let server = ApiServer::new();
    let pod = json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "x" },
        "spec": { "containers": [{ "name": "main", "image": "x" }] } });
    server.create(pod).unwrap();
    server.set_log("default", "x", "one\ntwo\nthree\n");
    let pods: Api<Pod> = Api::namespaced(server.client(), "default");
    let tail = LogParams { tail_lines: Some(2), ..LogParams::default() };
    assert_eq!(pods.logs("x", &tail).await.unwrap(), "two\nthree\n");
    let previous = LogParams { previous: true, ..LogParams::default() };
    assert_eq!(code(pods.logs("x", &previous).await), 400);
}

#[tokio::test]
async fn frozen_watches_catch_up_after_the_thaw() {
    let server = ApiServer::new();
    let operator = operator(&server);
    let api = config_maps(operator.client());
    let mut events =
        api.watch(&WatchParams::default(), &server.revision().to_string()).await.unwrap().boxed();
    operator.freeze_watches(Matcher::kind("ConfigMap"));
    create(&api, "a").await.unwrap();
    let mut late = api.watch(&WatchParams::default(), "0").await.unwrap().boxed();
    for _ in 0..100 {
        tokio::task::yield_now().await;
        assert!(events.next().now_or_never().is_none());
        assert!(late.next().now_or_never().is_none());
    }
    operator.thaw_watches();
    for watch in [&mut events, &mut late] {
        let Some(Ok(WatchEvent::Added(object))) = watch.next().await else { panic!("an event") };
        assert_eq!(object.name_any(), "a");
    }
}

#[tokio::test]
async fn a_reflector_survives_dropped_expired_and_forbidden_watches() {
    let server = ApiServer::new();
    let operator = operator(&server);
    let (store, writer) = reflector::store::<ConfigMap>();
    let watches = watcher(config_maps(operator.client()), watcher::Config::default());
    let task = tokio::spawn(watches.reflect(writer).for_each(|_| std::future::ready(())));
    let shows = async |name: &str| {
        let key = reflector::ObjectRef::new(name).within("default");
        for _ in 0..1000 {
            if store.get(&key).is_some() {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        false
    };
    let api = config_maps(server.client());
    create(&api, "a").await.unwrap();
    assert!(shows("a").await);
    let forbidden = Fault::Answer(failure::access_denied("watch", "configmaps"));
    let rule = operator.faults().on(Matcher::kind("ConfigMap").verb(Verb::Watch).times(2), forbidden);
    operator.drop_watches(&Matcher::any());
    create(&api, "b").await.unwrap();
    assert!(shows("b").await);
    assert_eq!(rule.hits(), 2);
    operator.expire_watches(&Matcher::any());
    create(&api, "c").await.unwrap();
    assert!(shows("c").await);
    let lists = operator.log().requests().iter().filter(|request| request.verb == Verb::List).count();
    assert!(lists >= 2, "an expired watch begins with a list again");
    task.abort();
}

#[tokio::test]
async fn a_watch_from_before_the_forgotten_history_is_expired() {
    let server = ApiServer::new();
    let api = config_maps(server.client());
    let old = server.revision().to_string();
    for name in ["a", "b", "c"] {
        create(&api, name).await.unwrap();
    }
    let page = api.list(&ListParams::default().limit(1)).await.unwrap();
    create(&api, "d").await.unwrap();
    server.forget_history();
    let mut events = api.watch(&WatchParams::default(), &old).await.unwrap().boxed();
    let Some(Ok(WatchEvent::Error(status))) = events.next().await else { panic!("an error") };
    assert_eq!((status.code, status.reason.as_str()), (410, "Expired"));
    assert!(events.next().await.is_none());
    let next = ListParams::default().limit(1).continue_token(&page.metadata.continue_.unwrap());
    assert_eq!(code(api.list(&next).await), 410);
}

#[tokio::test(start_paused = true)]
async fn a_watch_ends_at_its_time_limit() {
    let server = ApiServer::new();
    let api = config_maps(server.client());
    let mut events = api.watch(&WatchParams::default().timeout(30), "0").await.unwrap().boxed();
    assert!(events.next().await.is_none());
    assert!(server.watches().is_empty());
}

#[tokio::test]
async fn a_test_can_deliver_events_one_by_one() {
    let server = ApiServer::new();
    let operator = operator(&server);
    server.set_pace(Pace::Stepwise);
    let api = config_maps(operator.client());
    let mut events =
        api.watch(&WatchParams::default(), &server.revision().to_string()).await.unwrap().boxed();
    create(&api, "a").await.unwrap();
    create(&api, "b").await.unwrap();
    let open = server.watches();
    assert_eq!((open.len(), open[0].client.as_str(), open[0].pending), (1, "operator", 2));
    server.deliver(open[0].id, 1);
    let Some(Ok(WatchEvent::Added(first))) = events.next().await else { panic!("an event") };
    assert_eq!(first.name_any(), "a");
    for _ in 0..100 {
        tokio::task::yield_now().await;
        assert!(events.next().now_or_never().is_none());
    }
    server.set_pace(Pace::Immediate);
    let Some(Ok(WatchEvent::Added(second))) = events.next().await else { panic!("an event") };
    assert_eq!(second.name_any(), "b");
}

#[tokio::test]
async fn bookmarks_bring_a_quiet_watch_up_to_date() {
    let server = ApiServer::new();
    let api = config_maps(server.client());
    let from = server.revision().to_string();
    let mut events = api.watch(&WatchParams::default().labels("a=b"), &from).await.unwrap().boxed();
    create(&api, "unrelated").await.unwrap();
    server.send_bookmarks();
    let Some(Ok(WatchEvent::Bookmark(mark))) = events.next().await else { panic!("a bookmark") };
    assert_eq!(mark.metadata.resource_version, server.revision().to_string());
}
