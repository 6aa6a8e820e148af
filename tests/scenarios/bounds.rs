//! What a class lets its workspaces ask for. Outside of it nothing is started, and what runs is left running.

use std::fmt::Debug;

use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Secret, ServiceAccount};
use kube::{
    Resource,
    api::{Patch, PatchParams},
    core::NamespaceResourceScope,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use test_world::{IMAGE, World, condition, observed, starts, told};
use workspace_operator::api::{ConditionType, Reason, Workspace};

use crate::{
    class::{create_with, delete, message, own, patch, requested},
    class_use::serves_on,
};

scenarios!(
    an_image_is_one_of_those_allowed,
    an_image_is_given_by_its_digest_where_that_is_asked_for,
    the_images_of_an_overlay_are_bounded_too,
    resources_have_a_least_and_a_most,
    a_volume_has_a_least_and_a_most,
    a_volume_is_of_one_of_the_storage_classes,
    a_workspace_runs_as_one_of_the_service_accounts,
    a_secret_is_referred_to_by_its_labels,
    a_config_map_is_referred_to_by_its_labels,
    an_existing_claim_is_referred_to_by_its_labels,
    the_class_s_own_secret_is_not_bounded,
    another_key_of_the_class_s_own_secret_is_bounded,
    an_overlay_sets_only_the_fields_that_its_class_names,
    a_class_that_gets_stricter_stops_nobody_and_warns,
);

const OTHER: &str = "registry.test/other:1";

async fn an_image_is_one_of_those_allowed(world: World) {
    let class = bounded(&world, json!({"images": {"allowed": [{"prefix": "registry.test/busybox"}]}})).await;
    let words = ["spec.image: \"registry.test/other:1\"", "bounds.images.allowed", "registry.test/busybox"];
    one_after_another(
        &world,
        &class,
        &[(json!({"image": OTHER}), &words), (json!({"image": "registry.test/busybox-evil:1"}), &words[1..])],
        json!({"image": IMAGE}),
    )
    .await;
}

async fn an_image_is_given_by_its_digest_where_that_is_asked_for(world: World) {
    let class = bounded(&world, json!({"images": {"requireDigest": true}})).await;
    let pinned = format!("registry.test/busybox:1@sha256:{}", "a".repeat(64));
    one_after_another(
        &world,
        &class,
        &[(json!({"image": IMAGE}), &["spec.image", IMAGE, "bounds.images.requireDigest"])],
        json!({"image": pinned}),
    )
    .await;
}

async fn the_images_of_an_overlay_are_bounded_too(world: World) {
    let class = bounded(&world, json!({"images": {"allowed": [{"exact": IMAGE}]}})).await;
    let with = |list: &str, image: &str| json!({"image": IMAGE, "podTemplate": {"spec": {list: [{"name": "own", "image": image}]}}});
    let path = |list: &str| format!("spec.podTemplate.spec.{list}[own].image: {OTHER:?}");
    one_after_another(
        &world,
        &class,
        &[
            (with("containers", OTHER), &[&path("containers"), "bounds.images.allowed"]),
            (
                json!({"podTemplate": {"spec": {"containers": null, "initContainers": [{"name": "own", "image": OTHER}]}}}),
                &[&path("initContainers"), "bounds.images.allowed"],
            ),
        ],
        json!({"podTemplate": {"spec": {"initContainers": [{"name": "own", "image": IMAGE}]}}}),
    )
    .await;
}

async fn resources_have_a_least_and_a_most(world: World) {
    let bounds = json!({"resources": {"min": {"cpu": "100m"}, "max": {"cpu": "1", "memory": "1Gi"}}});
    let class = bounded(&world, bounds).await;
    let limits = |cpu: &str, memory: Value| json!({"image": IMAGE, "resources": {"limits": {"cpu": cpu, "memory": memory}}});
    one_after_another(
        &world,
        &class,
        &[
            (
                limits("2", json!("1Gi")),
                &["spec.resources.limits.cpu: \"2\"", "bounds.resources.max.cpu (at most 1)"],
            ),
            (
                limits("1", Value::Null),
                &["spec.resources.limits.memory: no limit", "bounds.resources.max.memory (at most 1Gi)"],
            ),
            (
                limits("50m", json!("1Gi")),
                &["spec.resources.limits.cpu: \"50m\"", "bounds.resources.min.cpu (at least 100m)"],
            ),
        ],
        limits("1", json!("1024Mi")),
    )
    .await;
}

async fn a_volume_has_a_least_and_a_most(world: World) {
    let class = bounded(&world, json!({"storage": {"min": "1Gi", "max": "10Gi"}})).await;
    let volume = |size: &str| json!({"image": IMAGE, "storage": {"size": size}});
    let field = |size: &str| format!("spec.storage.size: {size:?}");
    one_after_another(
        &world,
        &class,
        &[
            (volume("11Gi"), &[&field("11Gi"), "bounds.storage.max (at most 10Gi)"]),
            (volume("1Mi"), &[&field("1Mi"), "bounds.storage.min (at least 1Gi)"]),
        ],
        volume("10Gi"),
    )
    .await;
}

async fn a_volume_is_of_one_of_the_storage_classes(world: World) {
    let class = bounded(&world, json!({"storageClasses": ["standard"]})).await;
    for (name, storage_class, said) in
        [("fast", json!("fast"), "\"fast\""), ("default", Value::Null, "none"), ("x", json!("standard"), "")]
    {
        let storage = json!({"size": "1Gi", "storageClassName": storage_class});
        world.create(name, json!({"className": class, "image": IMAGE, "storage": storage})).await;
        if said.is_empty() {
            world.ready(name).await;
            continue;
        }
        let field = format!("spec.storage.storageClassName: {said}");
        let words = [field.as_str(), "bounds.storageClasses (allowed: standard)"];
        let outside = refused(&world, name, Reason::OutOfBounds, &words).await;
        assert_eq!(starts(&outside), 0, "{name}");
    }
    delete(&world, &class).await;
}

async fn a_workspace_runs_as_one_of_the_service_accounts(world: World) {
    let _: ServiceAccount = world.apply(json!({"metadata": {"name": "builder"}})).await;
    let class = bounded(&world, json!({"serviceAccounts": ["builder"]})).await;
    let bound = "bounds.serviceAccounts (allowed: builder)";
    one_after_another(
        &world,
        &class,
        &[
            (json!({"image": IMAGE}), &["spec.serviceAccountName: \"default\"", bound]),
            (json!({"serviceAccountName": "admin"}), &["spec.serviceAccountName: \"admin\"", bound]),
        ],
        json!({"serviceAccountName": "builder"}),
    )
    .await;
    let account = world.pod("x").await.unwrap().spec.unwrap().service_account_name;
    assert_eq!(account.as_deref(), Some("builder"));
}

async fn a_secret_is_referred_to_by_its_labels(world: World) {
    let key = json!({"secretKeyRef": {"name": "own", "key": "a"}});
    let spec = json!({"image": IMAGE, "env": [{"name": "A", "valueFrom": key}]});
    let object = json!({"stringData": {"a": "1"}});
    by_label::<Secret>(&world, "secrets", spec, object, "spec.env[A]").await;
}

async fn a_config_map_is_referred_to_by_its_labels(world: World) {
    let volume = json!({"name": "own", "configMap": {"name": "own"}});
    let spec = json!({"image": IMAGE, "podTemplate": {"spec": {"volumes": [volume]}}});
    let object = json!({"data": {"a": "1"}});
    by_label::<ConfigMap>(&world, "configMaps", spec, object, "spec.podTemplate.spec.volumes[own]").await;
}

async fn an_existing_claim_is_referred_to_by_its_labels(world: World) {
    let spec = json!({"image": IMAGE, "storage": {"existingClaim": "own"}});
    let request = json!({"requests": {"storage": "1Gi"}});
    let object = json!({"spec": {"accessModes": ["ReadWriteOnce"], "resources": request}});
    let field = "spec.storage.existingClaim";
    by_label::<PersistentVolumeClaim>(&world, "existingClaims", spec, object, field).await;
}

async fn the_class_s_own_secret_is_not_bounded(world: World) {
    let class = own(&world, "class");
    let variable =
        |name: &str| json!({"name": name, "valueFrom": {"secretKeyRef": {"name": "platform", "key": "a"}}});
    let bounds = json!({"secrets": {"matchLabels": {"for": "workspaces"}}});
    let defaults = json!({"image": IMAGE, "env": [variable("A")]});
    create_with(&world, &class, json!({"defaults": defaults, "bounds": bounds})).await;
    let _: Secret = world.apply(json!({"metadata": {"name": "platform"}, "stringData": {"a": "1"}})).await;
    world.create("x", json!({"className": class})).await;
    world.ready("x").await;
    world.create("y", json!({"className": class, "env": [variable("B")]})).await;
    refused(&world, "y", Reason::OutOfBounds, &["spec.env[B]", "\"platform\"", "bounds.secrets"]).await;
    delete(&world, &class).await;
}

async fn another_key_of_the_class_s_own_secret_is_bounded(world: World) {
    let class = own(&world, "class");
    let source = |source: Value| {
        let proxy = json!({"name": "proxy", "env": [{"name": "A", "valueFrom": {"secretKeyRef": source}}]});
        json!({"spec": {"containers": [proxy]}})
    };
    let mut overlay = source(json!({"name": "platform", "key": "public"}));
    overlay["spec"]["containers"][0]["image"] = json!(IMAGE);
    let bounds = json!({"secrets": {"matchLabels": {"for": "workspaces"}}});
    create_with(
        &world,
        &class,
        json!({"defaults": {"image": IMAGE}, "bounds": bounds, "podTemplate": overlay}),
    )
    .await;
    let _: Secret = world
        .apply(json!({"metadata": {"name": "platform"}, "stringData": {"public": "1", "private": "2"}}))
        .await;
    world.create("x", json!({"className": class})).await;
    world.ready("x").await;
    world.create("y", json!({"className": class, "podTemplate": source(json!({"key": "private"}))})).await;
    refused(&world, "y", Reason::OutOfBounds, &["env[A]", "\"platform\"", "bounds.secrets"]).await;
    delete(&world, &class).await;
}

async fn an_overlay_sets_only_the_fields_that_its_class_names(world: World) {
    let class = bounded(&world, json!({"overlayFields": ["spec.tolerations", "metadata.labels"]})).await;
    let aliases = json!([{"ip": "10.0.0.1", "hostnames": ["a"]}]);
    let tolerations = json!([{"key": "gpu", "operator": "Exists"}]);
    let field = "spec.podTemplate.spec.hostAliases";
    let bound = "bounds.overlayFields (allowed: spec.tolerations, metadata.labels)";
    one_after_another(
        &world,
        &class,
        &[(
            json!({"image": IMAGE, "podTemplate": {"spec": {"hostAliases": aliases}}}),
            &[field, bound],
        )],
        json!({"podTemplate": {"metadata": {"labels": {"team": "a"}}, "spec": {"hostAliases": null, "tolerations": tolerations}}}),
    )
    .await;
}

async fn a_class_that_gets_stricter_stops_nobody_and_warns(world: World) {
    let class = bounded(&world, json!({})).await;
    world.create("x", json!({"className": class, "image": IMAGE})).await;
    world.ready("x").await;
    patch(&world, &class, json!({"spec": {"bounds": {"images": {"allowed": [{"exact": OTHER}]}}}})).await;
    let serving = world.reason("x", ConditionType::UpToDate, Reason::OutOfBounds).await;
    serves_on(&serving, Reason::OutOfBounds);
    assert!(message(&serving, ConditionType::UpToDate).contains("spec.image"));
    let asked = world.restart("x").await;
    let noted = world.until("x", "noted", |one| requested(one) == Some(asked)).await;
    assert_eq!(told(&noted, ConditionType::Ready), "True/Running");
    world.quiet().await;
    assert_eq!(world.pods.started("x"), 1, "it could not be started again");
    patch(&world, &class, json!({"spec": {"bounds": null}})).await;
    world.ready_at("x", 2).await;
    world.quiet().await;
    assert_eq!(world.pods.started("x"), 2, "the restart that waited, and no other");
    delete(&world, &class).await;
}

/// Until it is not accepted for this reason, in words that have all of these.
pub async fn refused(world: &World, name: &str, reason: Reason, words: &[&str]) -> Workspace {
    world
        .until(name, &format!("refused by {reason} with {words:?}"), |workspace| {
            condition(workspace, ConditionType::Accepted).is_some_and(|(status, shown, message)| {
                let is_said = words.iter().all(|word| message.contains(word));
                status == "False" && shown == reason.as_str() && is_said
            }) && observed(workspace)
        })
        .await
}

/// Makes "x" with the first spec and changes it to the others, each of which is out of bounds in these words; the last
/// one is within, and starts.
async fn one_after_another(world: &World, class: &str, outside: &[(Value, &[&str])], within: Value) {
    for (number, (spec, words)) in outside.iter().enumerate() {
        let mut spec = spec.clone();
        spec["className"] = json!(class);
        if number == 0 {
            world.create("x", spec).await;
        } else {
            world.change("x", spec).await;
        }
        let outside = refused(world, "x", Reason::OutOfBounds, words).await;
        assert_eq!(told(&outside, ConditionType::Ready), "False/OutOfBounds");
        assert_eq!(told(&outside, ConditionType::Stalled), "True/OutOfBounds");
        assert_eq!(starts(&outside), 0, "nothing is claimed");
    }
    world.change("x", within).await;
    assert_eq!(starts(&world.ready("x").await), 1);
    delete(world, class).await;
}

/// A workspace that refers to the object "own" from `field`: one that is not there, that lacks the label, that has it.
async fn by_label<K>(world: &World, bound: &str, mut spec: Value, mut object: Value, field: &str)
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Serialize
        + DeserializeOwned
        + Clone
        + Debug,
{
    let class = bounded(world, json!({bound: {"matchLabels": {"for": "workspaces"}}})).await;
    spec["className"] = json!(class);
    world.create("x", spec).await;
    let missing = world.reason("x", ConditionType::Ready, Reason::ReferenceMissing).await;
    let why = message(&missing, ConditionType::Ready);
    assert!(why.contains("own does not exist"), "{why}");
    object["metadata"] = json!({"name": "own"});
    world.apply::<K>(object).await;
    // Claims of others are asked about every half minute; a touch of the workspace spares that wait.
    world.annotate("x", "example.com/touched", Some("1")).await;
    let words = [field, "\"own\"", &format!("bounds.{bound} (for=workspaces)")];
    let outside = refused(world, "x", Reason::OutOfBounds, &words).await;
    assert_eq!(starts(&outside), 0);
    let label = Patch::Merge(json!({"metadata": {"labels": {"for": "workspaces"}}}));
    world.api::<K>().patch("own", &PatchParams::default(), &label).await.unwrap();
    world.annotate("x", "example.com/touched", Some("2")).await;
    assert_eq!(starts(&world.ready("x").await), 1);
    delete(world, &class).await;
}

async fn bounded(world: &World, bounds: Value) -> String {
    let class = own(world, "class");
    create_with(world, &class, json!({"bounds": bounds})).await;
    class
}
