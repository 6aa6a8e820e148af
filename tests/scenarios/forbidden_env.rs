//! Environment variables that no container may have, wherever they come from. What they are set to is never said.

use k8s_openapi::api::{
    core::v1::{ConfigMap, Container, Pod, Secret},
    events::v1::Event,
};
use kube::{
    ResourceExt,
    api::{ListParams, Patch, PatchParams},
};
use serde_json::{Value, json};
use test_world::{IMAGE, World, starts, told};
use workspace_operator::api::{ConditionType, Reason, Workspace};

use crate::{
    bounds::refused,
    class::{create_with, delete, own, patch},
    class_use::serves_on,
};

scenarios!(
    a_forbidden_name_is_refused_wherever_it_stands_and_its_value_never_said,
    a_forbidden_key_that_env_from_brings_is_refused_and_its_value_never_said,
    a_key_added_later_restarts_once_and_is_spelt_out_in_the_pod,
    a_forbidden_key_added_later_leaves_the_old_pod_serving,
    a_class_forbids_more_names_and_stops_nobody,
    services_bring_no_variables,
    where_references_are_not_read_env_from_is_refused,
);

/// What must be said nowhere.
const VALUE: &str = "hunter2";

async fn a_forbidden_name_is_refused_wherever_it_stands_and_its_value_never_said(world: World) {
    let forbidden = json!([{"name": "GH_TOKEN", "value": VALUE}]);
    let (by_defaults, by_overlay) = (own(&world, "defaults"), own(&world, "overlay"));
    create_with(&world, &by_defaults, json!({"defaults": {"env": forbidden}})).await;
    let proxy = json!({"name": "proxy", "image": IMAGE, "env": forbidden});
    create_with(&world, &by_overlay, json!({"podTemplate": {"spec": {"containers": [proxy]}}})).await;
    let places = [
        ("own", json!({"image": IMAGE, "env": forbidden}), "container main"),
        ("defaults", json!({"image": IMAGE, "className": by_defaults}), "container main"),
        ("overlay", json!({"image": IMAGE, "className": by_overlay}), "container proxy"),
        (
            "init",
            json!({"image": IMAGE, "podTemplate": {"spec": {"initContainers": [{"name": "clone", "image": IMAGE, "env": forbidden}]}}}),
            "container clone",
        ),
    ];
    for (name, spec, _) in &places {
        world.create(name, spec.clone()).await;
    }
    for (name, _, container) in &places {
        let words = [*container, "GH_TOKEN (from a value)", "the operator's list"];
        let refused = refused(&world, name, Reason::ForbiddenEnvironment, &words).await;
        assert_eq!(told(&refused, ConditionType::Ready), "False/ForbiddenEnvironment");
        assert_eq!(told(&refused, ConditionType::Stalled), "True/ForbiddenEnvironment");
        assert_eq!(starts(&refused), 0, "{name}");
    }
    the_value_is_said_nowhere(&world).await;
    world.change("own", json!({"env": [{"name": "GH_TOKEN_PATH", "value": "/run/token"}]})).await;
    assert_eq!(starts(&world.ready("own").await), 1);
    delete(&world, &by_defaults).await;
    delete(&world, &by_overlay).await;
}

async fn a_forbidden_key_that_env_from_brings_is_refused_and_its_value_never_said(world: World) {
    secret(&world, json!({"A": "1", "GH_TOKEN": VALUE})).await;
    let config = json!({"metadata": {"name": "c"}, "data": {"TOKEN": VALUE}});
    let _: ConfigMap = world.apply(config).await;
    world.create("x", from_secret()).await;
    let prefixed = json!({"prefix": "GH_", "configMapRef": {"name": "c"}});
    world.create("y", json!({"image": IMAGE, "envFrom": [prefixed]})).await;
    for (name, source) in [("x", "GH_TOKEN (from Secret s)"), ("y", "GH_TOKEN (from ConfigMap c)")] {
        let refused = refused(&world, name, Reason::ForbiddenEnvironment, &[source]).await;
        assert_eq!(told(&refused, ConditionType::Ready), "False/ForbiddenEnvironment");
        assert_eq!(starts(&refused), 0, "{name}");
    }
    the_value_is_said_nowhere(&world).await;
    secret(&world, json!({"GH_TOKEN": null})).await;
    assert_eq!(starts(&world.ready("x").await), 1);
    assert_eq!(variables(&world).await, ["A"]);
}

async fn a_key_added_later_restarts_once_and_is_spelt_out_in_the_pod(world: World) {
    secret(&world, json!({"A": "1"})).await;
    let proxy = json!({"name": "proxy", "image": IMAGE, "envFrom": [{"secretRef": {"name": "s"}}]});
    let mut spec = from_secret();
    spec["podTemplate"] = json!({"spec": {"containers": [proxy]}});
    world.create("x", spec).await;
    world.ready("x").await;
    assert_eq!(variables(&world).await, ["A"]);
    secret(&world, json!({"B": "2"})).await;
    world.ready_at("x", 2).await;
    assert_eq!(variables(&world).await, ["A", "B"]);
    for container in containers(&world.pod("x").await.unwrap()) {
        assert_eq!(container.env_from, None, "{}", container.name);
        for variable in container.env.unwrap() {
            let key = variable.value_from.unwrap().secret_key_ref.unwrap();
            assert_eq!((key.name.as_str(), &key.key), ("s", &variable.name));
        }
    }
    world.quiet().await;
    assert_eq!(world.pods.started("x"), 2);
}

async fn a_forbidden_key_added_later_leaves_the_old_pod_serving(world: World) {
    secret(&world, json!({"A": "1"})).await;
    world.create("x", from_secret()).await;
    world.ready("x").await;
    let old = world.pod("x").await.unwrap();
    secret(&world, json!({"GH_TOKEN": VALUE})).await;
    let serving = world.reason("x", ConditionType::UpToDate, Reason::ForbiddenEnvironment).await;
    serves_on(&serving, Reason::ForbiddenEnvironment);
    world.quiet().await;
    let pod = world.pod("x").await.unwrap();
    assert_eq!((pod.uid(), pod.spec), (old.uid(), old.spec));
    the_value_is_said_nowhere(&world).await;
    secret(&world, json!({"GH_TOKEN": null})).await;
    world.ready("x").await;
    world.quiet().await;
    assert_eq!(world.pods.started("x"), 1, "what is left is what it runs with");
}

async fn a_class_forbids_more_names_and_stops_nobody(world: World) {
    let class = own(&world, "class");
    create_with(&world, &class, json!({})).await;
    let with =
        |name: &str| json!({"className": class, "image": IMAGE, "env": [{"name": name, "value": "1"}]});
    world.create("x", with("TEAM_KEY")).await;
    world.ready("x").await;
    let forbidden = json!({"names": ["TEAM_KEY"], "prefixes": ["LEGACY_"]});
    patch(&world, &class, json!({"spec": {"bounds": {"forbiddenEnv": forbidden}}})).await;
    let serving = world.reason("x", ConditionType::UpToDate, Reason::ForbiddenEnvironment).await;
    serves_on(&serving, Reason::ForbiddenEnvironment);
    for (name, variable, by) in [
        ("y", "LEGACY_KEY", "bounds.forbiddenEnv.prefixes (LEGACY_*)"),
        ("z", "TEAM_KEY", "bounds.forbiddenEnv.names (TEAM_KEY)"),
        ("operator", "GH_TOKEN", "the operator's list"),
    ] {
        world.create(name, with(variable)).await;
        refused(&world, name, Reason::ForbiddenEnvironment, &[variable, by]).await;
    }
    world.create("other", with("TEAM_KEYS")).await;
    world.ready("other").await;
    assert_eq!(world.pods.started("x"), 1);
    delete(&world, &class).await;
}

async fn services_bring_no_variables(world: World) {
    let class = own(&world, "class");
    create_with(&world, &class, json!({"defaults": {"image": IMAGE, "ports": [{"containerPort": 80}]}}))
        .await;
    world.create("x", json!({"className": class})).await;
    world.ready("x").await;
    assert_eq!(world.pod("x").await.unwrap().spec.unwrap().enable_service_links, Some(false));
    world.create("y", json!({"image": IMAGE, "podTemplate": {"spec": {"enableServiceLinks": true}}})).await;
    refused(&world, "y", Reason::InvalidSpec, &["spec.podTemplate.spec.enableServiceLinks"]).await;
    delete(&world, &class).await;
}

async fn where_references_are_not_read_env_from_is_refused(mut world: World) {
    world.stop_operator().await;
    world.restart_on_reference_change = false;
    world.start_operator();
    secret(&world, json!({"A": "1"})).await;
    world.create("x", from_secret()).await;
    let words = ["envFrom", "--restart-on-reference-change=false"];
    let refused = refused(&world, "x", Reason::ForbiddenEnvironment, &words).await;
    assert_eq!(starts(&refused), 0);
    let key = json!({"secretKeyRef": {"name": "s", "key": "A"}});
    world.change("x", json!({"envFrom": null, "env": [{"name": "A", "valueFrom": key}]})).await;
    world.ready("x").await;
}

fn from_secret() -> Value {
    json!({"image": IMAGE, "envFrom": [{"secretRef": {"name": "s"}}]})
}

/// Makes the Secret "s", or changes keys of it.
async fn secret(world: &World, keys: Value) {
    let api = world.api::<Secret>();
    if api.get_opt("s").await.unwrap().is_none() {
        world.apply::<Secret>(json!({"metadata": {"name": "s"}, "stringData": keys})).await;
        return;
    }
    let (gone, put): (serde_json::Map<_, _>, _) =
        keys.as_object().unwrap().clone().into_iter().partition(|(_, value)| value.is_null());
    let body = json!({"data": gone, "stringData": put});
    api.patch("s", &PatchParams::default(), &Patch::Merge(body)).await.unwrap();
}

fn containers(pod: &Pod) -> Vec<Container> {
    pod.spec.clone().unwrap().containers
}

/// The names of the main container's variables.
async fn variables(world: &World) -> Vec<String> {
    let pod = world.pod("x").await.unwrap();
    containers(&pod)[0].env.iter().flatten().map(|variable| variable.name.clone()).collect()
}

/// Neither status nor event nor Pod has the value; there is something that could.
async fn the_value_is_said_nowhere(world: &World) {
    let told = world
        .eventually("an event tells of it", || async {
            let events = world.api::<Event>().list(&ListParams::default()).await.unwrap().items;
            let is_there = events.iter().any(|event| event.reason.as_deref() == Some("ForbiddenEnvironment"));
            is_there.then_some(events)
        })
        .await;
    let workspaces = world.api::<Workspace>().list(&ListParams::default()).await.unwrap().items;
    let statuses: Vec<_> = workspaces.into_iter().map(|workspace| workspace.status).collect();
    let pods = world.api::<Pod>().list(&ListParams::default()).await.unwrap().items;
    let said = serde_json::to_string(&json!([told, statuses, pods])).unwrap();
    assert!(said.contains("GH_TOKEN") && !said.contains(VALUE), "{said}");
}
