//! Boot registration: only the newest start's program is heard, and Ready means that it was.

use http::{Request, StatusCode};
use http_body_util::Full;
use hyper::body::Bytes;
use jiff::Timestamp;
use serde_json::{Value, json};
use test_world::{
    IMAGE, World, is,
    program::{Program, token},
    starts, told,
};
use workspace_operator::api::{ConditionType, Reason, names};

scenarios!(
    a_workspace_is_ready_only_after_its_program_registered,
    a_registration_costs_one_write_of_ours_and_a_second_none,
    the_token_of_a_former_start_is_good_for_nothing,
    only_the_pod_s_own_token_for_the_operator_is_heard,
    what_can_t_be_read_is_refused_by_name,
    a_program_that_is_being_stopped_is_told_so,
    switching_registration_on_restarts_once,
    a_restart_before_the_first_pod_needs_one_registration,
);

/// A workspace whose program has to register.
pub fn required() -> Value {
    json!({"image": IMAGE, "registration": {"policy": "Required"}})
}

async fn a_workspace_is_ready_only_after_its_program_registered(world: World) {
    world.create("x", required()).await;
    let waiting = world.reason("x", ConditionType::Ready, Reason::AwaitingRegistration).await;
    assert_eq!(told(&waiting, ConditionType::Registered), "False/AwaitingRegistration");
    let program = Program::of(&world, "x", "a").await;
    let (status, answer) = program.register().await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(answer, json!({"workspace": "x", "incarnation": 1, "heartbeatSeconds": 30}));
    let ready = world.ready("x").await;
    assert_eq!(told(&ready, ConditionType::Registered), "True/Registered");
    assert!(ready.status.unwrap().incarnation.unwrap().registration_time.is_some());
    assert_eq!(program.beat(json!({})).await.0, StatusCode::OK);
}

async fn a_registration_costs_one_write_of_ours_and_a_second_none(world: World) {
    world.create("x", required()).await;
    let program = Program::of(&world, "x", "a").await;
    world.reason("x", ConditionType::Ready, Reason::AwaitingRegistration).await;
    world.quiet().await;
    world.forget_writes();
    program.registers(&world).await;
    world.ready("x").await;
    world.quiet().await;
    let writes = world.writes();
    // The condition of the Pod, and the status of the workspace once or, where the kubelet is slow, twice.
    assert!((2..=3).contains(&writes.len()), "{writes:#?}");
    world.forget_writes();
    for _ in 0..5 {
        assert_eq!(program.register().await.0, StatusCode::OK);
        assert_eq!(program.beat(json!({})).await.0, StatusCode::OK);
    }
    world.quiet().await;
    assert_eq!(world.writes(), []);
}

async fn the_token_of_a_former_start_is_good_for_nothing(world: World) {
    world.create("x", required()).await;
    let first = Program::of(&world, "x", "a").await;
    first.registers(&world).await;
    world.ready("x").await;
    world.restart("x").await;
    let second_pod = world
        .eventually("the second Pod", || async {
            world.pod("x").await.filter(|pod| {
                pod.metadata.labels.as_ref().is_some_and(|labels| labels[names::INCARNATION] == "2")
            })
        })
        .await;
    let second = first.restarted("b").with_token(&token(&world, &second_pod, &[names::AUDIENCE]).await);
    for _ in 0..3 {
        assert_eq!(first.register().await.0, StatusCode::UNAUTHORIZED);
        assert_eq!(first.beat(json!({"busy": true})).await.0, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(second.registers(&world).await["incarnation"], 2);
    let ready = world.ready_at("x", 2).await;
    assert_eq!(ready.status.unwrap().activity, None, "what a former start says changes nothing");
}

async fn only_the_pod_s_own_token_for_the_operator_is_heard(world: World) {
    world.create("x", required()).await;
    let program = Program::of(&world, "x", "a").await;
    let pod = world.pod("x").await.unwrap();
    let other_audience = token(&world, &pod, &["https://kubernetes.default.svc"]).await;
    let (head, signature) = program.token.rsplit_once('.').unwrap();
    let forged = format!("{head}.{}", signature.chars().rev().collect::<String>());
    for (what, token) in [
        ("another audience", other_audience),
        ("forged", forged),
        ("nonsense", "nonsense".to_owned()),
        ("none", String::new()),
    ] {
        let (status, answer) = program.with_token(&token).register().await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{what}");
        assert_eq!(answer, json!({"error": "unauthorized"}), "{what}");
    }
    let bare = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "stranger"},
                      "spec": {"containers": [{"name": "main", "image": IMAGE}]}});
    let stranger = world.apply(bare).await;
    let stranger = token(&world, &stranger, &[names::AUDIENCE]).await;
    let (status, answer) = program.with_token(&stranger).register().await;
    assert_eq!((status, answer), (StatusCode::UNAUTHORIZED, json!({"error": "unauthorized"})));
    assert!(!is(&world.get("x").await, ConditionType::Registered, "True"));
    program.registers(&world).await;
}

async fn what_can_t_be_read_is_refused_by_name(world: World) {
    world.create("x", required()).await;
    let program = Program::of(&world, "x", "a").await;
    let request = |method: &str, path: &str, type_: &str, body: &str| {
        Request::builder()
            .method(method)
            .uri(format!("{}{path}", world.registration.url))
            .header("authorization", format!("Bearer {}", program.token))
            .header("content-type", type_)
            .body(Full::new(Bytes::from(body.to_owned())))
            .unwrap()
    };
    let json = "application/json";
    for (method, path, type_, body, status) in [
        ("POST", "/v1/register", json, "{}".to_owned(), 400),
        ("POST", "/v1/heartbeat", json, "nonsense".to_owned(), 400),
        ("GET", "/v1/register", json, String::new(), 405),
        ("POST", "/v2/register", json, "{}".to_owned(), 404),
        ("POST", "/v1/register", "text/plain", "{}".to_owned(), 415),
        ("POST", "/v1/register", json, "x".repeat(5000), 413),
    ] {
        let (answered, answer) = program.send(request(method, path, type_, &body)).await;
        assert_eq!(answered.as_u16(), status, "{method} {path} {type_}: {answer}");
        assert!(answer["error"].is_string(), "{answer}");
    }
}

async fn a_program_that_is_being_stopped_is_told_so(world: World) {
    world
        .create("x", json!({"image": "registry.test/linger:1", "registration": {"policy": "Required"}}))
        .await;
    let program = Program::of(&world, "x", "a").await;
    program.registers(&world).await;
    world.ready("x").await;
    world.change("x", json!({"runState": "Stopped"})).await;
    world
        .eventually("first suspended, then nothing any more", || async {
            let (status, answer) = program.beat(json!({})).await;
            let is_told = status == StatusCode::OK || answer == json!({"error": "suspended"});
            assert!(is_told || status == StatusCode::UNAUTHORIZED, "{status} {answer}");
            (status == StatusCode::UNAUTHORIZED).then_some(())
        })
        .await;
    world.reason("x", ConditionType::Ready, Reason::Stopped).await;
    assert_eq!(program.register().await.0, StatusCode::UNAUTHORIZED);
}

async fn switching_registration_on_restarts_once(world: World) {
    world.create("x", json!({"image": IMAGE})).await;
    let before = world.ready("x").await;
    assert_eq!(told(&before, ConditionType::Registered), "True/NotRequired");
    world.change("x", json!({"registration": {"policy": "Disabled"}})).await;
    let same = world.ready("x").await;
    assert_eq!(starts(&same), 1, "it says what goes without saying");
    world.change("x", json!({"registration": {"policy": "Required"}})).await;
    world.until("x", "started again", |workspace| starts(workspace) == 2).await;
    Program::of(&world, "x", "a").await.registers(&world).await;
    world.ready_at("x", 2).await;
    assert_eq!(world.pods.started("x"), 2);
}

async fn a_restart_before_the_first_pod_needs_one_registration(world: World) {
    let asked = json!({names::RESTARTED_AT: Timestamp::now().to_string()});
    world.create_annotated("x", required(), asked).await;
    Program::of(&world, "x", "a").await.registers(&world).await;
    let ready = world.ready("x").await;
    assert_eq!((starts(&ready), world.pods.started("x")), (1, 1));
}
