//! Secrets and `ConfigMaps` that the environment refers to.

use std::fmt::Debug;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{
    Resource, ResourceExt,
    api::{DeleteParams, Patch, PatchParams},
    core::NamespaceResourceScope,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use test_world::{IMAGE, World, condition, is, shown, starts, told};
use workspace_operator::{
    api::{ConditionType, Reason, Workspace, names},
    claim::Claim,
};

scenarios!(
    a_missing_secret_holds_the_start_before_the_claim_and_heals_by_itself,
    a_missing_config_map_holds_the_start_before_the_claim_and_heals_by_itself,
    a_missing_key_is_named,
    what_is_optional_may_be_missing_and_restarts_once_it_appears,
    a_changed_secret_restarts_once,
    a_changed_config_map_restarts_once,
    a_secret_changed_twice_in_a_row_the_last_one_wins,
    what_nobody_refers_to_restarts_nothing,
    a_secret_that_vanishes_stops_nobody,
    without_the_flag_references_are_neither_read_nor_watched,
    a_lost_hash_key_restarts_nobody_and_the_next_real_change_does,
);

async fn a_missing_secret_holds_the_start_before_the_claim_and_heals_by_itself(world: World) {
    world.create("x", from_secret()).await;
    is_held_back(&world, "Secret s does not exist").await;
    put_secret(&world, "s", "one").await;
    assert_eq!(starts(&world.ready("x").await), 1);
    assert_eq!(world.pods.started("x"), 1);
}

async fn a_missing_config_map_holds_the_start_before_the_claim_and_heals_by_itself(world: World) {
    world.create("x", json!({"image": IMAGE, "envFrom": [{"configMapRef": {"name": "c"}}]})).await;
    is_held_back(&world, "ConfigMap c does not exist").await;
    put_config(&world, "one").await;
    assert_eq!(starts(&world.ready("x").await), 1);
    assert_eq!(world.pods.started("x"), 1);
}

async fn a_missing_key_is_named(world: World) {
    put::<Secret>(&world, "s", json!({"stringData": {"other": "1"}})).await;
    world.create("x", from_secret()).await;
    is_held_back(&world, "Secret s has no key a").await;
    put_secret(&world, "s", "one").await;
    assert_eq!(starts(&world.ready("x").await), 1);
}

/// Before its first claim, for that reason and no other.
async fn is_held_back(world: &World, why: &str) {
    let held = world.reason("x", ConditionType::Ready, Reason::ReferenceMissing).await;
    assert_eq!(condition(&held, ConditionType::Ready).unwrap().2, why);
    assert_eq!(told(&held, ConditionType::Reconciling), "True/Progressing");
    assert_eq!(told(&held, ConditionType::Accepted), "True/Accepted");
    world.quiet().await;
    assert_eq!(starts(&world.get("x").await), 0, "nothing is claimed");
    assert!(world.pod("x").await.is_none());
    assert_eq!(world.writes().len(), 1, "{}", shown(&world.writes()));
}

async fn what_is_optional_may_be_missing_and_restarts_once_it_appears(world: World) {
    let spec = json!({
        "image": IMAGE,
        "env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "a", "optional": true}}}],
        "envFrom": [{"configMapRef": {"name": "c", "optional": true}}],
    });
    world.create("x", spec).await;
    assert_eq!(starts(&world.ready("x").await), 1);
    put_secret(&world, "s", "one").await;
    world.ready_at("x", 2).await;
    put_config(&world, "one").await;
    world.ready_at("x", 3).await;
    world.quiet().await;
    assert_eq!(world.pods.started("x"), 3);
}

async fn a_changed_secret_restarts_once(world: World) {
    put_secret(&world, "s", "one").await;
    world.create("x", from_secret()).await;
    let before = world.ready("x").await;
    put_secret(&world, "s", "two").await;
    let after = world.ready_at("x", 2).await;
    assert_ne!(hash(&before), hash(&after));
    world.quiet().await;
    assert_eq!(world.pods.started("x"), 2);
    let spoken = serde_json::to_string(&after.status).unwrap();
    assert!(!spoken.contains("two"), "no secret is ever said");
}

async fn a_changed_config_map_restarts_once(world: World) {
    put_config(&world, "one").await;
    world.create("x", json!({"image": IMAGE, "envFrom": [{"configMapRef": {"name": "c"}}]})).await;
    world.ready("x").await;
    put_config(&world, "two").await;
    world.ready_at("x", 2).await;
    world.quiet().await;
    assert_eq!(world.pods.started("x"), 2);
}

async fn a_secret_changed_twice_in_a_row_the_last_one_wins(world: World) {
    put_secret(&world, "s", "one").await;
    world.create("x", from_secret()).await;
    world.ready("x").await;
    put_secret(&world, "s", "two").await;
    put_secret(&world, "s", "three").await;
    world.ready_at("x", 2).await;
    world.quiet().await;
    let settled = world.ready("x").await;
    assert!(world.pods.started("x") <= 3, "{}", shown(&world.pods.of("x")));
    // Who starts now reads the last one.
    world.create("y", from_secret()).await;
    assert_eq!(hash(&settled), hash(&world.ready("y").await));
}

async fn what_nobody_refers_to_restarts_nothing(world: World) {
    put_secret(&world, "s", "one").await;
    world.create("x", from_secret()).await;
    world.ready("x").await;
    world.quiet().await;
    world.forget_writes();
    put::<Secret>(&world, "s", json!({"stringData": {"unused": "1"}})).await;
    put::<Secret>(&world, "s", json!({"metadata": {"annotations": {"example.com/touched": "1"}}})).await;
    put_secret(&world, "other", "one").await;
    put_secret(&world, "other", "two").await;
    put_config(&world, "one").await;
    world.quiet().await;
    assert!(world.writes().is_empty(), "{}", shown(&world.writes()));
    assert_eq!(world.pods.started("x"), 1);
}

async fn a_secret_that_vanishes_stops_nobody(world: World) {
    put_secret(&world, "s", "one").await;
    world.create("x", from_secret()).await;
    world.ready("x").await;
    world.api::<Secret>().delete("s", &DeleteParams::default()).await.unwrap();
    let without = world.reason("x", ConditionType::UpToDate, Reason::ReferenceMissing).await;
    assert!(is(&without, ConditionType::Ready, "True"));
    world.quiet().await;
    put_secret(&world, "s", "one").await;
    world.ready("x").await;
    assert_eq!(world.pods.started("x"), 1, "the same data is no change");
}

async fn without_the_flag_references_are_neither_read_nor_watched(mut world: World) {
    world.stop_operator().await;
    world.restart_on_reference_change = false;
    world.forget_writes();
    world.start_operator();
    put_secret(&world, "s", "one").await;
    world.create("x", from_secret()).await;
    world.ready("x").await;
    put_secret(&world, "s", "two").await;
    world.quiet().await;
    world.restart("x").await;
    world.ready_at("x", 2).await;
    assert_eq!(world.pods.started("x"), 2, "only the restart that was asked for");
    let calls = world.log.requests();
    let read: Vec<_> =
        calls.iter().filter(|call| matches!(call.kind.as_str(), "Secret" | "ConfigMap")).collect();
    let read: Vec<_> =
        read.into_iter().filter(|call| call.name.as_deref() != Some(names::REGISTRATION_SECRET)).collect();
    assert!(read.is_empty(), "{}", shown(&read));
}

async fn a_lost_hash_key_restarts_nobody_and_the_next_real_change_does(mut world: World) {
    put_secret(&world, "s", "one").await;
    world.create("x", from_secret()).await;
    let before = world.ready("x").await;
    let key = key_of(&world).await;
    world.quiet().await;
    world.stop_operator().await;
    world.api::<Secret>().delete(names::HASH_KEY_SECRET, &DeleteParams::default()).await.unwrap();
    world.start_operator();
    let stamped = world.until("x", "stamped anew", |workspace| hash(workspace) != hash(&before)).await;
    world.quiet().await;
    assert_ne!(key_of(&world).await, key);
    assert_eq!((starts(&stamped), world.pods.started("x")), (1, 1), "nobody changed anything");
    assert!(is(&stamped, ConditionType::Ready, "True") && is(&stamped, ConditionType::UpToDate, "True"));
    world.forget_writes();
    world.stop_operator().await;
    world.start_operator();
    world.quiet().await;
    assert!(world.writes().is_empty(), "it is stamped once: {}", shown(&world.writes()));
    put_secret(&world, "s", "two").await;
    world.ready_at("x", 2).await;
    world.quiet().await;
    assert_eq!(world.pods.started("x"), 2);
}

fn from_secret() -> Value {
    let a = json!({"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "a"}}});
    json!({"image": IMAGE, "env": [a]})
}

/// Makes the Secret, or changes it.
async fn put_secret(world: &World, name: &str, value: &str) {
    put::<Secret>(world, name, json!({"stringData": {"a": value}})).await;
}

/// Makes the `ConfigMap` "c", or changes it.
async fn put_config(world: &World, value: &str) {
    put::<ConfigMap>(world, "c", json!({"data": {"B": value}})).await;
}

async fn put<K>(world: &World, name: &str, mut object: Value)
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Serialize
        + DeserializeOwned
        + Clone
        + Debug,
{
    match world.api::<K>().patch(name, &PatchParams::default(), &Patch::Merge(object.clone())).await {
        Ok(_) => {}
        Err(kube::Error::Api(status)) if status.is_not_found() => {
            object["metadata"] = json!({"name": name});
            world.apply::<K>(object).await;
        }
        Err(error) => panic!("{error}"),
    }
}

fn hash(workspace: &Workspace) -> Option<String> {
    workspace.status.as_ref()?.incarnation.as_ref()?.inputs_hash.clone()
}

/// The id of the key that the running Pod's claim was hashed with.
async fn key_of(world: &World) -> String {
    let pod = world.pod("x").await.unwrap();
    let claim: Claim = serde_json::from_str(&pod.annotations()[names::CLAIM]).unwrap();
    claim.inputs.references.unwrap().key
}
