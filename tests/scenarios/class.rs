//! Workspaces and their class. Classes belong to the whole cluster: each scenario has its own, named after its
//! namespace, and default classes exist in memory only.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use test_world::{IMAGE, World, condition, is, shown, starts, told};
use workspace_operator::api::{ConditionType, Reason, Workspace, WorkspaceClass, names};

scenarios!(
    a_missing_class_is_said_at_once_and_heals_by_itself,
    a_class_fills_in_what_the_workspace_leaves_out,
    a_changed_input_of_a_class_restarts_its_workspaces_and_no_others,
    a_class_that_changes_no_input_restarts_nobody,
    deleting_a_class_in_use_stops_nobody,
    a_workspace_that_gets_another_class_is_restarted_once,
);

mod default_class {
    use super::*;

    scenarios_in_memory!(
        a_default_class_is_for_those_that_name_none,
        of_two_default_classes_the_older_wins,
        a_class_that_can_not_be_read_harms_nobody_else,
        a_default_class_that_can_not_be_read_any_more_restarts_nobody,
    );
}

async fn a_missing_class_is_said_at_once_and_heals_by_itself(world: World) {
    let class = own(&world, "late");
    world.create("x", json!({"className": class})).await;
    let blocked = world.reason("x", ConditionType::Ready, Reason::ClassNotFound).await;
    assert_eq!(told(&blocked, ConditionType::Accepted), "False/ClassNotFound");
    assert_eq!(told(&blocked, ConditionType::Reconciling), "True/Progressing");
    assert_eq!(message(&blocked, ConditionType::Ready), format!("there is no WorkspaceClass {class}"));
    world.quiet().await;
    assert_eq!(starts(&world.get("x").await), 0, "nothing is claimed");
    assert_eq!(world.writes().len(), 1, "{}", shown(&world.writes()));
    create(&world, &class, json!({"image": IMAGE})).await;
    let ready = world.ready("x").await;
    assert_eq!(starts(&ready), 1);
    assert_eq!(told(&ready, ConditionType::Accepted), "True/Accepted");
    assert_eq!(world.pods.started("x"), 1);
    delete(&world, &class).await;
}

async fn a_class_fills_in_what_the_workspace_leaves_out(world: World) {
    let class = own(&world, "full");
    let defaults = json!({
        "image": IMAGE,
        "command": ["class"],
        "env": [{"name": "A", "value": "class"}, {"name": "B", "value": "class"}],
        "storage": {"size": "1Gi"},
    });
    create(&world, &class, defaults).await;
    let env = json!([{"name": "B", "value": "own"}, {"name": "C", "value": "own"}]);
    world.create("x", json!({"className": class, "env": env, "storage": {"mountPath": "/data"}})).await;
    let ready = world.ready("x").await;
    assert_eq!(class_of(&ready), Some((class.clone(), Some(1))));
    let pod = world.pod("x").await.unwrap();
    let main = &pod.spec.as_ref().unwrap().containers[0];
    assert_eq!(main.image.as_deref(), Some(IMAGE));
    assert_eq!(main.command, Some(vec!["class".to_owned()]));
    assert_eq!(env_of(&pod), ["A=class", "B=own", "C=own"]);
    assert_eq!(main.volume_mounts.as_ref().unwrap()[0].mount_path, "/data");
    delete(&world, &class).await;
}

async fn a_changed_input_of_a_class_restarts_its_workspaces_and_no_others(world: World) {
    let (class, other) = (own(&world, "one"), own(&world, "other"));
    create(&world, &class, json!({"image": IMAGE})).await;
    create(&world, &other, json!({"image": IMAGE})).await;
    for (name, class) in [("x", &class), ("y", &other)] {
        world.create(name, json!({"className": class})).await;
        world.ready(name).await;
    }
    world.create("z", json!({"image": IMAGE})).await;
    world.ready("z").await;
    change(&world, &class, json!({"env": [{"name": "A", "value": "new"}]})).await;
    let ready = world.ready_at("x", 2).await;
    assert_eq!(class_of(&ready), Some((class.clone(), Some(2))));
    assert_eq!(env_of(&world.pod("x").await.unwrap()), ["A=new"]);
    world.quiet().await;
    for (name, pods) in [("x", 2), ("y", 1), ("z", 1)] {
        assert_eq!(world.pods.started(name), pods, "{name}");
    }
    delete(&world, &class).await;
    delete(&world, &other).await;
}

async fn a_class_that_changes_no_input_restarts_nobody(world: World) {
    let class = own(&world, "same");
    create(&world, &class, json!({"image": IMAGE})).await;
    world.create("x", json!({"className": class, "env": [{"name": "A", "value": "own"}]})).await;
    world.ready("x").await;
    world.quiet().await;
    world.forget_writes();
    change(&world, &class, json!({"progressDeadlineSeconds": 60})).await;
    // What the workspace says itself is not the class's to change.
    change(&world, &class, json!({"env": [{"name": "A", "value": "class"}]})).await;
    world.quiet().await;
    assert!(world.writes().is_empty(), "{}", shown(&world.writes()));
    assert_eq!(world.pods.started("x"), 1);
    delete(&world, &class).await;
}

async fn deleting_a_class_in_use_stops_nobody(world: World) {
    let class = own(&world, "gone");
    create(&world, &class, json!({"image": IMAGE})).await;
    world.create("x", json!({"className": class})).await;
    world.ready("x").await;
    delete(&world, &class).await;
    let without = world.reason("x", ConditionType::UpToDate, Reason::ClassNotFound).await;
    assert!(is(&without, ConditionType::Ready, "True"));
    assert_eq!(told(&without, ConditionType::Accepted), "False/ClassNotFound");
    let asked = world.restart("x").await;
    let noted = world.until("x", "noted", |workspace| requested(workspace) == Some(asked)).await;
    assert!(is(&noted, ConditionType::Ready, "True"), "without a class there would be no successor");
    world.quiet().await;
    assert_eq!(world.pods.started("x"), 1);

    create(&world, &class, json!({"image": IMAGE})).await;
    let ready = world.ready_at("x", 2).await;
    assert_eq!(told(&ready, ConditionType::UpToDate), "True/UpToDate");
    assert_eq!(world.pods.started("x"), 2, "the restart that waited, and no other");
    delete(&world, &class).await;
}

async fn a_workspace_that_gets_another_class_is_restarted_once(world: World) {
    let (one, other) = (own(&world, "one"), own(&world, "other"));
    create(&world, &one, json!({"image": IMAGE, "env": [{"name": "A", "value": "one"}]})).await;
    create(&world, &other, json!({"image": IMAGE, "env": [{"name": "A", "value": "other"}]})).await;
    world.create("x", json!({"className": one})).await;
    world.ready("x").await;
    world.change("x", json!({"className": other})).await;
    let ready = world.ready_at("x", 2).await;
    assert_eq!(class_of(&ready).map(|(name, _)| name), Some(other.clone()));
    assert_eq!(env_of(&world.pod("x").await.unwrap()), ["A=other"]);
    world.quiet().await;
    assert_eq!(world.pods.started("x"), 2);
    delete(&world, &one).await;
    delete(&world, &other).await;
}

async fn a_default_class_is_for_those_that_name_none(world: World) {
    world.create("x", json!({})).await;
    let blocked = world.reason("x", ConditionType::Ready, Reason::InvalidSpec).await;
    assert!(message(&blocked, ConditionType::Ready).contains("spec.image"));
    create(&world, "plain", json!({"image": "registry.test/plain:1"})).await;
    create_default(&world, "default", json!({"image": IMAGE})).await;
    let ready = world.ready("x").await;
    assert_eq!(class_of(&ready), Some(("default".to_owned(), Some(1))));
    world.create("y", json!({"className": "plain"})).await;
    assert_eq!(class_of(&world.ready("y").await).map(|(name, _)| name), Some("plain".to_owned()));
}

async fn of_two_default_classes_the_older_wins(world: World) {
    // Names are in the other order than ages, which are told in whole seconds.
    for name in ["b", "a"] {
        let env = json!([{"name": "CLASS", "value": name}]);
        create_default(&world, name, json!({"image": IMAGE, "env": env})).await;
        let created = classes(&world).get(name).await.unwrap().metadata.creation_timestamp.unwrap().0;
        let is_older = || async { (Timestamp::now().as_second() > created.as_second()).then_some(()) };
        world.eventually("the next second", is_older).await;
    }
    world.create("x", json!({})).await;
    world.ready("x").await;
    assert_eq!(env_of(&world.pod("x").await.unwrap()), ["CLASS=b"]);
    create_default(&world, "0", json!({"image": "registry.test/other:1"})).await;
    world.quiet().await;
    assert_eq!(world.pods.started("x"), 1, "one more marked by mistake moves nobody");
}

async fn a_class_that_can_not_be_read_harms_nobody_else(world: World) {
    create(&world, "good", json!({"image": IMAGE})).await;
    unreadable(&world, "bad");
    world.create("x", json!({"className": "bad"})).await;
    world.create("y", json!({"className": "good"})).await;
    world.create("z", json!({"image": IMAGE})).await;
    assert_eq!(starts(&world.ready("y").await), 1);
    assert_eq!(starts(&world.ready("z").await), 1);
    let blocked = world.reason("x", ConditionType::Ready, Reason::ClassNotFound).await;
    assert!(message(&blocked, ConditionType::Ready).contains("WorkspaceClass bad can't be read"));
    change(&world, "bad", json!({"image": IMAGE})).await;
    assert_eq!(starts(&world.ready("x").await), 1, "it heals by itself");
}

async fn a_default_class_that_can_not_be_read_any_more_restarts_nobody(world: World) {
    create_default(&world, "default", json!({"env": [{"name": "A", "value": "class"}]})).await;
    world.create("x", json!({"image": IMAGE})).await;
    world.ready("x").await;
    let spoil = |object: &mut Value| object["spec"]["defaults"]["image"] = json!(7);
    world.server().unwrap().change("WorkspaceClass", "", "default", spoil).unwrap();
    let blocked = world.reason("x", ConditionType::UpToDate, Reason::ClassNotFound).await;
    assert!(is(&blocked, ConditionType::Ready, "True"));
    world.quiet().await;
    assert_eq!(world.pods.started("x"), 1);
    change(&world, "default", json!({"image": IMAGE})).await;
    world.ready("x").await;
    assert_eq!(world.pods.started("x"), 1);
}

/// The name of a class of this world.
pub fn own(world: &World, name: &str) -> String {
    format!("{}-{name}", world.namespace)
}

pub fn classes(world: &World) -> Api<WorkspaceClass> {
    Api::all(world.client.clone())
}

/// Creates a class with this spec.
pub async fn create_with(world: &World, name: &str, spec: Value) {
    let class = json!({
        "apiVersion": "workspaces.dev/v1alpha1",
        "kind": "WorkspaceClass",
        "metadata": {"name": name},
        "spec": spec,
    });
    let class = serde_json::from_value(class).unwrap();
    classes(world).create(&PostParams::default(), &class).await.unwrap();
}

/// Changes a class by a merge patch.
pub async fn patch(world: &World, name: &str, body: Value) {
    classes(world).patch(name, &PatchParams::default(), &Patch::Merge(body)).await.unwrap();
}

async fn create(world: &World, name: &str, defaults: Value) {
    create_annotated(world, name, defaults, json!({})).await;
}

async fn create_default(world: &World, name: &str, defaults: Value) {
    create_annotated(world, name, defaults, json!({names::DEFAULT_CLASS: "true"})).await;
}

async fn create_annotated(world: &World, name: &str, defaults: Value, annotations: Value) {
    let class = json!({
        "apiVersion": "workspaces.dev/v1alpha1",
        "kind": "WorkspaceClass",
        "metadata": {"name": name, "annotations": annotations},
        "spec": {"defaults": defaults},
    });
    let class = serde_json::from_value(class).unwrap();
    classes(world).create(&PostParams::default(), &class).await.unwrap();
}

/// A class that an older or newer definition let through.
fn unreadable(world: &World, name: &str) {
    let class = json!({
        "apiVersion": "workspaces.dev/v1alpha1",
        "kind": "WorkspaceClass",
        "metadata": {"name": name},
        "spec": {"defaults": {"image": 7}},
    });
    world.server().unwrap().create(class).unwrap();
}

async fn change(world: &World, name: &str, defaults: Value) {
    let patch = Patch::Merge(json!({"spec": {"defaults": defaults}}));
    classes(world).patch(name, &PatchParams::default(), &patch).await.unwrap();
}

pub async fn delete(world: &World, name: &str) {
    classes(world).delete(name, &DeleteParams::default()).await.unwrap();
}

/// The class that the newest start was made of, and its generation.
pub fn class_of(workspace: &Workspace) -> Option<(String, Option<i64>)> {
    let class = workspace.status.as_ref()?.incarnation.as_ref()?.class.clone()?;
    Some((class.name, class.generation))
}

/// The newest restart that was accepted.
pub fn requested(workspace: &Workspace) -> Option<Timestamp> {
    workspace.status.as_ref()?.requested_restart_at.map(|time| time.0)
}

/// What a condition says in words.
pub fn message(workspace: &Workspace, type_: ConditionType) -> String {
    condition(workspace, type_).map(|(.., message)| message).unwrap_or_default()
}

/// The environment as `NAME=value`.
pub fn env_of(pod: &Pod) -> Vec<String> {
    let variables = pod.spec.as_ref().unwrap().containers[0].env.iter().flatten();
    variables.map(|one| format!("{}={}", one.name, one.value.as_deref().unwrap_or_default())).collect()
}
