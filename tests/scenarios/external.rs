//! Programs that run elsewhere: their incarnation is a Secret, and a token bound to it is all they have.

use std::time::Duration;

use http::StatusCode;
use k8s_openapi::api::core::v1::{Pod, Secret, ServiceAccount};
use kube::{ResourceExt, api::DeleteParams};
use serde_json::{Value, json};
use test_world::{
    IMAGE, World, condition, is,
    program::{Program, bound_token},
    shown, starts, told,
};
use workspace_operator::api::{
    ConditionType, Reason, Workspace, class::Backend, names, status::ActivityState,
};

use crate::class::{classes, create_with, own};

scenarios!(
    who_connects_is_ready_and_costs_no_write,
    the_condition_shows_the_command_that_connects,
    a_restart_revokes_and_makes_a_new_one,
    what_stops_a_workspace_revokes,
    a_workspace_that_is_deleted_takes_its_token_along,
    a_secret_that_somebody_deletes_is_replaced,
    from_a_pod_to_elsewhere_and_back_there_is_one_at_a_time,
    a_pod_of_an_older_start_that_turns_up_late_has_to_go,
    a_secret_of_somebody_else_is_left_alone,
    another_account_is_not_heard,
    what_speaks_of_a_pod_is_refused,
);

mod silence {
    use super::*;

    scenarios_in_memory!(who_falls_silent_is_not_ready_until_it_is_heard_again);
}

/// A class whose programs run elsewhere.
async fn elsewhere(world: &World) -> String {
    let class = own(world, "elsewhere");
    create_with(world, &class, json!({"backend": "External"})).await;
    class
}

async fn delete(world: &World, class: &str) {
    classes(world).delete(class, &DeleteParams::default()).await.unwrap();
}

/// The Secret of start `number`.
async fn secret(world: &World, number: i64) -> Secret {
    world
        .eventually(&format!("the Secret of start {number}"), || async {
            let secret: Option<Secret> = world.api().get_opt(&name()).await.unwrap();
            secret.filter(|secret| secret.labels().get(names::INCARNATION) == Some(&number.to_string()))
        })
        .await
}

fn name() -> String {
    Backend::External.object_name("x")
}

/// A token of `account` that is bound to `secret`, as `kubectl create token` asks for it.
async fn token(world: &World, secret: &Secret, account: &str) -> String {
    bound_token(world, account, "Secret", &secret.metadata, &[names::AUDIENCE]).await
}

/// A program that somebody connects to start `number`.
async fn program(world: &World, number: i64, nonce: &str) -> Program {
    let secret = secret(world, number).await;
    let token = token(world, &secret, "default").await;
    let trust = &secret.annotations()[names::REGISTRATION_CA];
    Program::elsewhere(world, &token, nonce, trust)
}

/// Creates the workspace `x` of `class`, whose program connects.
async fn begin(world: &World, class: &str) -> Program {
    world.create("x", json!({"className": class})).await;
    let program = program(world, 1, "a").await;
    program.registers(world).await;
    world.ready("x").await;
    program
}

async fn who_connects_is_ready_and_costs_no_write(world: World) {
    let class = elsewhere(&world).await;
    world.create("x", json!({"className": class})).await;
    world.reason("x", ConditionType::Ready, Reason::AwaitingRegistration).await;
    let program = program(&world, 1, "a").await;
    world.quiet().await;
    let kinds: Vec<_> = world.writes().into_iter().map(|call| call.kind).collect();
    assert_eq!(kinds, ["Workspace", "Secret", "Workspace"], "{}", shown(&world.writes()));
    world.forget_writes();
    let (status, answer) = program.register().await;
    assert_eq!((status, &answer["workspace"]), (StatusCode::OK, &json!("x")), "{answer}");
    let ready = world.ready("x").await;
    assert_eq!(told(&ready, ConditionType::Registered), "True/Registered");
    let incarnation = ready.status.unwrap().incarnation.unwrap();
    assert_eq!((incarnation.backend, incarnation.image), (Some(Backend::External), None));
    assert_eq!(incarnation.pod_uid, secret(&world, 1).await.uid());
    assert!(incarnation.registration_time.is_some() && incarnation.container_restarts.is_none());
    world.quiet().await;
    let kinds: Vec<_> = world.writes().into_iter().map(|call| call.kind).collect();
    assert_eq!(kinds, ["Secret", "Workspace"], "{}", shown(&world.writes()));
    world.forget_writes();
    for _ in 0..5 {
        assert_eq!(program.register().await.0, StatusCode::OK);
        assert_eq!(program.beat(json!({})).await.0, StatusCode::OK);
    }
    world.quiet().await;
    assert_eq!(world.writes(), []);
    assert_eq!(world.pods.started("x"), 0);
    // Another process takes over by registering.
    let other = program.restarted("b");
    assert_eq!(other.beat(json!({})).await.0, StatusCode::CONFLICT);
    other.registers(&world).await;
    world
        .eventually("the former process is heard no more", || async {
            (program.beat(json!({})).await.0 == StatusCode::CONFLICT).then_some(())
        })
        .await;
    delete(&world, &class).await;
}

async fn the_condition_shows_the_command_that_connects(world: World) {
    let class = elsewhere(&world).await;
    world.create("x", json!({"className": class, "serviceAccountName": "default"})).await;
    let waiting = world.reason("x", ConditionType::Ready, Reason::AwaitingRegistration).await;
    let secret = secret(&world, 1).await;
    for type_ in [ConditionType::Ready, ConditionType::Registered] {
        let (_, _, message) = condition(&waiting, type_).unwrap();
        for part in [
            format!("kubectl create token default -n {} ", world.namespace),
            format!("--bound-object-name x-workspace --bound-object-uid {} ", secret.uid().unwrap()),
            format!("--url {} ", world.registration.url),
        ] {
            assert!(message.contains(&part), "{part} is not in: {message}");
        }
    }
    assert!(secret.data.unwrap_or_default().is_empty(), "it holds nothing");
    delete(&world, &class).await;
}

async fn a_restart_revokes_and_makes_a_new_one(world: World) {
    let class = elsewhere(&world).await;
    let first = begin(&world, &class).await;
    world.restart("x").await;
    let second = program(&world, 2, "b").await;
    for _ in 0..3 {
        assert_eq!(first.register().await.0, StatusCode::UNAUTHORIZED);
        assert_eq!(first.beat(json!({"busy": true})).await.0, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(second.registers(&world).await["incarnation"], 2);
    let ready = world.ready_at("x", 2).await;
    let status = ready.status.unwrap();
    assert_eq!((status.activity, status.failures), (None, None), "what a former start says changes nothing");
    delete(&world, &class).await;
}

async fn what_stops_a_workspace_revokes(world: World) {
    let class = elsewhere(&world).await;
    let first = begin(&world, &class).await;
    world.annotate("x", "hold.workspaces.dev/night", Some("it is late")).await;
    world.reason("x", ConditionType::Ready, Reason::Held).await;
    assert_eq!(world.api::<Secret>().get_opt(&name()).await.unwrap(), None);
    assert_eq!(first.beat(json!({})).await.0, StatusCode::UNAUTHORIZED);
    world.annotate("x", "hold.workspaces.dev/night", None).await;
    let second = program(&world, 2, "b").await;
    second.registers(&world).await;
    world.ready_at("x", 2).await;
    world.change("x", json!({"runState": "Stopped"})).await;
    world.reason("x", ConditionType::Ready, Reason::Stopped).await;
    assert_eq!(second.register().await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(starts(&world.get("x").await), 2);
    delete(&world, &class).await;
}

async fn a_workspace_that_is_deleted_takes_its_token_along(world: World) {
    let class = elsewhere(&world).await;
    let program = begin(&world, &class).await;
    world.delete("x").await;
    world
        .eventually("workspace and Secret are gone", || async {
            let workspace = world.api::<Workspace>().get_opt("x").await.unwrap();
            let secret = world.api::<Secret>().get_opt(&name()).await.unwrap();
            (workspace.is_none() && secret.is_none()).then_some(())
        })
        .await;
    assert_eq!(program.beat(json!({})).await.0, StatusCode::UNAUTHORIZED);
    delete(&world, &class).await;
}

async fn a_secret_that_somebody_deletes_is_replaced(world: World) {
    let class = elsewhere(&world).await;
    let first = begin(&world, &class).await;
    world.api::<Secret>().delete(&name(), &DeleteParams::default()).await.unwrap();
    let second = program(&world, 2, "b").await;
    assert_eq!(first.beat(json!({})).await.0, StatusCode::UNAUTHORIZED);
    second.registers(&world).await;
    world.ready_at("x", 2).await;
    delete(&world, &class).await;
}

async fn from_a_pod_to_elsewhere_and_back_there_is_one_at_a_time(world: World) {
    let class = elsewhere(&world).await;
    let required = json!({"image": "registry.test/linger:1", "registration": {"policy": "Required"}});
    world.create("x", required.clone()).await;
    let in_pod = Program::of(&world, "x", "a").await;
    in_pod.registers(&world).await;
    world.ready("x").await;
    world.change("x", json!({"className": class, "image": null})).await;
    let outside = program(&world, 2, "b").await;
    assert!(world.pod("x").await.is_none(), "the Secret was made after the Pod had gone");
    assert_eq!(in_pod.register().await.0, StatusCode::UNAUTHORIZED);
    outside.registers(&world).await;
    world.ready_at("x", 2).await;
    let mut back = required;
    back["className"] = Value::Null;
    world.change("x", back).await;
    let in_pod = Program::of(&world, "x", "c").await;
    assert_eq!(world.api::<Secret>().get_opt(&name()).await.unwrap(), None);
    assert_eq!(outside.beat(json!({})).await.0, StatusCode::UNAUTHORIZED);
    in_pod.registers(&world).await;
    let ready = world.ready_at("x", 3).await;
    assert_eq!(ready.status.unwrap().incarnation.unwrap().backend, None);
    assert_eq!(world.pods.started("x"), 2);
    delete(&world, &class).await;
}

async fn a_pod_of_an_older_start_that_turns_up_late_has_to_go(world: World) {
    let class = elsewhere(&world).await;
    begin(&world, &class).await;
    world.restart("x").await;
    let second = program(&world, 2, "b").await;
    second.registers(&world).await;
    let workspace = world.ready_at("x", 2).await;
    // As a write of the first start does that was long on its way.
    let owner = json!({"apiVersion": "workspaces.dev/v1alpha1", "kind": "Workspace", "name": "x",
                       "uid": workspace.metadata.uid});
    let labels = json!({names::WORKSPACE: "x", names::INCARNATION: "1"});
    let late = json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "x", "labels": labels, "ownerReferences": [owner]},
        "spec": {"containers": [{"name": "main", "image": IMAGE}]}});
    let late: Pod = world.apply(late).await;
    let late = test_world::program::token(&world, &late, &[names::AUDIENCE]).await;
    assert_eq!(second.with_token(&late).register().await.0, StatusCode::UNAUTHORIZED);
    world.eventually("it is gone", || async { world.pod("x").await.is_none().then_some(()) }).await;
    assert_eq!(starts(&world.ready("x").await), 2);
    assert_eq!(second.beat(json!({})).await.0, StatusCode::OK, "the newest start is left alone");
    delete(&world, &class).await;
}

async fn a_secret_of_somebody_else_is_left_alone(world: World) {
    let class = elsewhere(&world).await;
    let theirs = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name()},
                        "stringData": {"key": "value"}});
    let theirs: Secret = world.apply(theirs).await;
    world.create("x", json!({"className": class})).await;
    let taken = world.reason("x", ConditionType::Ready, Reason::NameTaken).await;
    let (_, _, message) = condition(&taken, ConditionType::Ready).unwrap();
    assert!(message.contains("a Secret x-workspace exists"), "{message}");
    let stranger = Program::elsewhere(&world, &token(&world, &theirs, "default").await, "a", "");
    world.quiet().await;
    let live: Secret = world.api().get(&name()).await.unwrap();
    assert_eq!(live.metadata.resource_version, theirs.metadata.resource_version);
    world.api::<Secret>().delete(&name(), &DeleteParams::default()).await.unwrap();
    // What is wanted anew is tried at once.
    world.restart("x").await;
    let program = program(&world, 2, "a").await;
    let stranger = program.with_token(&stranger.token);
    assert_eq!(stranger.register().await.0, StatusCode::UNAUTHORIZED);
    program.registers(&world).await;
    world.ready("x").await;
    delete(&world, &class).await;
}

async fn another_account_is_not_heard(world: World) {
    let class = elsewhere(&world).await;
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "robot"}});
    let _: ServiceAccount = world.apply(account).await;
    world.create("x", json!({"className": class, "serviceAccountName": "robot"})).await;
    let program = program(&world, 1, "a").await;
    assert_eq!(program.register().await.0, StatusCode::UNAUTHORIZED);
    let secret = secret(&world, 1).await;
    let own = program.with_token(&token(&world, &secret, "robot").await);
    own.registers(&world).await;
    world.ready("x").await;
    delete(&world, &class).await;
}

async fn what_speaks_of_a_pod_is_refused(world: World) {
    let class = elsewhere(&world).await;
    world.create("x", json!({"className": class, "image": IMAGE})).await;
    let refused = world.reason("x", ConditionType::Accepted, Reason::InvalidSpec).await;
    let (_, _, message) = condition(&refused, ConditionType::Accepted).unwrap();
    assert!(message.starts_with("spec.image: there is no Pod"), "{message}");
    assert_eq!(starts(&refused), 0);
    world.change("x", json!({"image": null})).await;
    program(&world, 1, "a").await.registers(&world).await;
    world.ready("x").await;
    delete(&world, &class).await;
}

async fn who_falls_silent_is_not_ready_until_it_is_heard_again(mut world: World) {
    world.stop_operator().await;
    world.settings.heartbeat = Duration::from_secs(1);
    world.start_operator();
    let class = elsewhere(&world).await;
    let program = begin(&world, &class).await;
    let silent = world.reason("x", ConditionType::Ready, Reason::HeartbeatLost).await;
    assert_eq!(told(&silent, ConditionType::Registered), "False/HeartbeatLost");
    assert_eq!(silent.status.unwrap().activity.unwrap().state, ActivityState::Silent);
    assert_eq!(program.beat(json!({})).await.0, StatusCode::OK);
    let ready = world.until("x", "Ready", |workspace| is(workspace, ConditionType::Ready, "True")).await;
    assert_eq!(starts(&ready), 1, "nobody is restarted for silence");
    delete(&world, &class).await;
}
