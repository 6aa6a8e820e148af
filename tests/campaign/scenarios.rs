//! What people do to workspaces, a few acts each with a wait in between. Nobody here knows of the operator's troubles.

use std::time::Duration;

use futures::future::BoxFuture;
use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use test_world::{IMAGE, World, is, program::Program, told};
use workspace_operator::api::{ConditionType, Reason, Workspace, WorkspaceClass, names};

/// How often a program speaks.
const BEAT: Duration = Duration::from_millis(300);

/// A few acts, and how they are called.
pub struct Scenario {
    pub name: &'static str,
    pub acts: for<'a> fn(&'a World) -> BoxFuture<'a, ()>,
}

macro_rules! scenarios {
    ($($name:ident),* $(,)?) => {
        /// All of them. The first also makes what every operator makes for itself.
        pub const ALL: &[Scenario] = &[
            $(Scenario { name: stringify!($name), acts: |world| Box::pin($name(world)) }),*
        ];
    };
}

scenarios!(
    create,
    restart,
    change_image,
    change_env,
    stop_and_start,
    hold_and_release,
    delete,
    delete_and_recreate,
    evicted_pod,
    deleted_pod,
    changed_secret,
    class_rollout,
    missing_image,
    labels_in_place,
    resize_in_place,
    new_port,
    network_policy,
    elsewhere,
    registration,
    idle,
);

async fn create(world: &World) {
    let spec = json!({
        "image": IMAGE,
        "storage": {"size": "1Gi"},
        "ports": [{"name": "http", "containerPort": 8080}],
    });
    world.create("x", spec).await;
    world.ready("x").await;
}

async fn plain(world: &World) {
    world.create("x", json!({"image": IMAGE})).await;
    world.ready("x").await;
}

async fn restart(world: &World) {
    plain(world).await;
    world.restart("x").await;
    world.ready("x").await;
}

async fn change_image(world: &World) {
    plain(world).await;
    world.change("x", json!({"image": "registry.test/busybox:2"})).await;
    world.ready_at("x", 2).await;
}

async fn change_env(world: &World) {
    plain(world).await;
    world.change("x", json!({"env": [{"name": "A", "value": "1"}]})).await;
    world.ready_at("x", 2).await;
}

async fn stop_and_start(world: &World) {
    create(world).await;
    world.change("x", json!({"runState": "Stopped"})).await;
    has_no_pod(world, ConditionType::Suspended, Reason::Stopped).await;
    world.change("x", json!({"runState": "Running"})).await;
    world.ready_at("x", 2).await;
}

async fn hold_and_release(world: &World) {
    plain(world).await;
    let hold = format!("{}person", names::HOLD_PREFIX);
    world.annotate("x", &hold, Some("looking at the disk")).await;
    has_no_pod(world, ConditionType::Suspended, Reason::Held).await;
    world.annotate("x", &hold, None).await;
    world.ready_at("x", 2).await;
}

async fn has_no_pod(world: &World, type_: ConditionType, reason: Reason) {
    world.reason("x", type_, reason).await;
    world.eventually("the Pod is gone", || async { world.pod("x").await.is_none().then_some(()) }).await;
}

fn kept(when_deleted: &str) -> Value {
    json!({
        "image": IMAGE,
        "storage": {"size": "1Gi", "whenDeleted": when_deleted},
        "ports": [{"name": "http", "containerPort": 8080}],
    })
}

async fn delete(world: &World) {
    world.create("x", kept("Delete")).await;
    world.ready("x").await;
    world.delete("x").await;
    world.gone("x").await;
}

async fn delete_and_recreate(world: &World) {
    world.create("x", kept("Retain")).await;
    world.ready("x").await;
    world.delete("x").await;
    let api: Api<Workspace> = world.api();
    let is_gone = || async { api.get_opt("x").await.unwrap().is_none().then_some(()) };
    world.eventually("the workspace is gone", is_gone).await;
    // Its Pod may still be there.
    world.create("x", kept("Retain")).await;
    world.ready("x").await;
}

async fn evicted_pod(world: &World) {
    plain(world).await;
    let evicted = json!({"status": {"phase": "Failed", "reason": "Evicted", "message": "the node ran dry"}});
    let api: Api<Pod> = world.api();
    api.patch_status("x", &PatchParams::default(), &Patch::Merge(evicted)).await.unwrap();
    world.ready_at("x", 2).await;
}

async fn deleted_pod(world: &World) {
    plain(world).await;
    world.api::<Pod>().delete("x", &DeleteParams::default()).await.unwrap();
    world.ready_at("x", 2).await;
}

async fn changed_secret(world: &World) {
    world.apply::<Secret>(json!({"metadata": {"name": "s"}, "stringData": {"a": "1"}})).await;
    let from = json!({"secretKeyRef": {"name": "s", "key": "a"}});
    world.create("x", json!({"image": IMAGE, "env": [{"name": "A", "valueFrom": from}]})).await;
    world.ready("x").await;
    let changed = Patch::Merge(json!({"stringData": {"a": "2"}}));
    world.api::<Secret>().patch("s", &PatchParams::default(), &changed).await.unwrap();
    world.ready_at("x", 2).await;
}

fn classes(world: &World) -> Api<WorkspaceClass> {
    Api::all(world.client.clone())
}

/// The class of the scenario: the cluster's, so it has the name of the namespace.
async fn class(world: &World, spec: Value) {
    let class = json!({
        "apiVersion": "workspaces.dev/v1alpha1",
        "kind": "WorkspaceClass",
        "metadata": {"name": world.namespace},
        "spec": spec,
    });
    let class = serde_json::from_value(class).unwrap();
    classes(world).create(&PostParams::default(), &class).await.unwrap();
}

/// Deletes the class, where there is one.
pub async fn clean_up(world: &World) {
    let _ = classes(world).delete(&world.namespace, &DeleteParams::default()).await;
}

async fn class_rollout(world: &World) {
    let image = |tag: &str| json!({"defaults": {"image": format!("registry.test/busybox:{tag}")}});
    class(world, image("1")).await;
    for name in ["x", "y"] {
        world.create(name, json!({"className": world.namespace})).await;
        world.ready(name).await;
    }
    let changed = Patch::Merge(json!({ "spec": image("2") }));
    classes(world).patch(&world.namespace, &PatchParams::default(), &changed).await.unwrap();
    for name in ["x", "y"] {
        world.ready_at(name, 2).await;
    }
}

async fn missing_image(world: &World) {
    plain(world).await;
    world.change("x", json!({"image": "registry.test/missing:1"})).await;
    world.reason("x", ConditionType::UpToDate, Reason::RestartDeclined).await;
    assert!(is(&world.get("x").await, ConditionType::Ready, "True"), "the old Pod serves on");
    world.change("x", json!({"image": "registry.test/busybox:2"})).await;
    world.ready_at("x", 2).await;
}

async fn labels_in_place(world: &World) {
    plain(world).await;
    world.change("x", json!({"podTemplate": {"metadata": {"labels": {"team": "a"}}}})).await;
    world
        .eventually("the Pod has the label", || async {
            let labels = world.pod("x").await?.metadata.labels?;
            labels.get("team").map(drop)
        })
        .await;
    world.ready("x").await;
}

async fn resize_in_place(world: &World) {
    let cpu = |amount: &str| json!({"requests": {"cpu": amount}});
    world.create("x", json!({"image": IMAGE, "resources": cpu("100m")})).await;
    world.ready("x").await;
    world.change("x", json!({"resources": cpu("200m")})).await;
    world
        .eventually("the Pod asks for more", || async {
            let pod = world.pod("x").await?;
            let requests = pod.spec?.containers.into_iter().next()?.resources?.requests?;
            (requests.get("cpu")?.0 == "200m").then_some(())
        })
        .await;
    world.ready("x").await;
}

async fn new_port(world: &World) {
    create(world).await;
    world.change("x", json!({"ports": [{"name": "web", "containerPort": 9090}]})).await;
    world.ready_at("x", 2).await;
}

async fn network_policy(world: &World) {
    class(world, json!({"defaults": {"image": IMAGE}, "networkPolicy": "Managed"})).await;
    world.create("x", json!({"className": world.namespace})).await;
    world.ready("x").await;
    world.restart("x").await;
    world.ready("x").await;
}

async fn elsewhere(world: &World) {
    class(world, json!({"backend": "External"})).await;
    world.create("x", json!({"className": world.namespace})).await;
    let awaits = |number: i64| async move {
        world
            .until("x", "waiting for a program", |workspace| {
                told(workspace, ConditionType::Ready) == "False/AwaitingRegistration"
                    && test_world::starts(workspace) == number
            })
            .await;
    };
    awaits(1).await;
    world.restart("x").await;
    awaits(2).await;
}

/// A program that registers, and says the same again and again.
async fn lives(world: &World, nonce: &str, says: Value) {
    let program = Program::of(world, "x", nonce).await;
    program.registers(world).await;
    tokio::spawn(async move {
        // Until its Pod is gone.
        while program.try_beat(says.clone()).await.is_none_or(|(code, _)| code != StatusCode::UNAUTHORIZED) {
            tokio::time::sleep(BEAT).await;
        }
    });
}

async fn registration(world: &World) {
    world.create("x", json!({"image": IMAGE, "registration": {"policy": "Required"}})).await;
    lives(world, "a", json!({"busy": true})).await;
    world.ready("x").await;
    world.restart("x").await;
    world.until("x", "started anew", |workspace| test_world::starts(workspace) == 2).await;
    lives(world, "b", json!({"busy": true})).await;
    world.ready("x").await;
}

async fn idle(world: &World) {
    let spec = json!({
        "image": IMAGE,
        "registration": {"policy": "Required"},
        "idle": {"stopAfterSeconds": 1},
    });
    world.create("x", spec).await;
    let long_ago = Timestamp::now() - SignedDuration::from_hours(1);
    lives(world, "a", json!({"busy": false, "activity": long_ago.to_string()})).await;
    world.until("x", "held", |workspace| is(workspace, ConditionType::Suspended, "True")).await;
    has_no_pod(world, ConditionType::Suspended, Reason::Idle).await;
    world.annotate("x", names::IDLE_HOLD, None).await;
    lives(world, "b", json!({"busy": true})).await;
    world.ready_at("x", 2).await;
}
