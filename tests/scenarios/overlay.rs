//! The overlay of class and workspace in the Pod.

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use serde_json::{Value, json};
use test_world::{IMAGE, World, starts, told};
use workspace_operator::api::{ConditionType, Reason};

use crate::{
    bounds::refused,
    class::{create_with, delete, own, patch},
};

scenarios!(
    the_overlay_of_the_class_then_that_of_the_workspace_are_in_the_pod,
    a_native_sidecar_runs_beside_the_program,
    an_empty_overlay_changes_nothing_and_restarts_nobody,
    a_misspelt_field_is_refused_by_its_name,
    what_the_operator_owns_is_refused_by_its_name,
    a_changed_overlay_of_a_workspace_restarts_it_once,
    a_changed_overlay_of_a_class_passes_its_gate_and_restarts_once,
    labels_of_a_class_s_overlay_reach_the_running_pod,
);

async fn the_overlay_of_the_class_then_that_of_the_workspace_are_in_the_pod(world: World) {
    let class = own(&world, "class");
    let mount = |name: &str, path: &str| json!({"name": name, "mountPath": path});
    let of_class = json!({
        "containers": [
            {"name": "main", "volumeMounts": [mount("cache", "/cache")]},
            {"name": "proxy", "image": IMAGE, "env": [{"name": "A", "value": "class"}, {"name": "B", "value": "class"}]},
        ],
        "volumes": [{"name": "cache", "emptyDir": {}}],
        "tolerations": [{"key": "workspaces", "operator": "Exists"}],
        "nodeSelector": {"kubernetes.io/os": "linux"},
    });
    create_with(&world, &class, json!({"podTemplate": {"spec": of_class}})).await;
    let own = json!({
        "containers": [
            {"name": "main", "volumeMounts": [mount("shared", "/shared")]},
            {"name": "proxy", "env": [{"name": "B", "value": "own"}]},
        ],
        "initContainers": [{"name": "clone", "image": IMAGE, "volumeMounts": [mount("workspace", "/src")]}],
        "volumes": [{"name": "shared", "emptyDir": {"medium": "Memory"}}],
        "hostAliases": [{"ip": "10.0.0.1", "hostnames": ["registry.internal"]}],
    });
    let storage = json!({"size": "1Gi"});
    world
        .create(
            "x",
            json!({"className": class, "image": IMAGE, "storage": storage, "podTemplate": {"spec": own}}),
        )
        .await;
    world.ready("x").await;
    let pod = spec_of(&world).await;
    assert_eq!(names(&pod["containers"]), ["main", "proxy"]);
    assert_eq!(names(&pod["initContainers"]), ["clone"]);
    let mut mounts: Vec<_> = listed(&pod["containers"][0]["volumeMounts"])
        .iter()
        .map(|mount| format!("{} {}", mount["name"].as_str().unwrap(), mount["mountPath"].as_str().unwrap()))
        .filter(|mount| !mount.starts_with("kube-api-access"))
        .collect();
    mounts.sort();
    assert_eq!(mounts, ["cache /cache", "shared /shared", "workspace /workspace"]);
    assert_eq!(pod["initContainers"][0]["volumeMounts"][0]["name"], "workspace");
    let env = json!([{"name": "A", "value": "class"}, {"name": "B", "value": "own"}]);
    let mut variables = listed(&pod["containers"][1]["env"]);
    variables.sort_by_key(|variable| variable["name"].to_string());
    assert_eq!(json!(variables), env);
    assert_eq!(pod["containers"][1]["image"], IMAGE);
    assert!(
        names(&pod["volumes"])
            .iter()
            .filter(|name| ["cache", "shared", "workspace"].contains(&name.as_str()))
            .count()
            == 3
    );
    assert!(listed(&pod["tolerations"]).iter().any(|toleration| toleration["key"] == "workspaces"));
    assert_eq!(pod["hostAliases"][0]["ip"], "10.0.0.1");
    delete(&world, &class).await;
}

async fn a_native_sidecar_runs_beside_the_program(world: World) {
    let sidecar = json!({"name": "docker", "image": IMAGE, "restartPolicy": "Always"});
    world.create("x", overlaid(json!({"initContainers": [sidecar]}))).await;
    world.ready("x").await;
    let pod = spec_of(&world).await;
    assert_eq!(
        (&pod["initContainers"][0]["restartPolicy"], &pod["restartPolicy"]),
        (&json!("Always"), &json!("Always"))
    );
    world.restart("x").await;
    world.ready_at("x", 2).await;
}

async fn an_empty_overlay_changes_nothing_and_restarts_nobody(world: World) {
    let class = own(&world, "class");
    create_with(&world, &class, json!({"defaults": {"image": IMAGE}})).await;
    world.create("x", json!({"className": class})).await;
    world.create("y", json!({"image": IMAGE})).await;
    for name in ["x", "y"] {
        world.ready(name).await;
    }
    let before = spec_of(&world).await;
    patch(&world, &class, json!({"spec": {"podTemplate": {"spec": {}, "metadata": {}}}})).await;
    for name in ["x", "y"] {
        world.change(name, json!({"podTemplate": {"spec": {}, "metadata": {}}})).await;
        world.ready(name).await;
    }
    world.quiet().await;
    assert_eq!((world.pods.started("x"), world.pods.started("y")), (1, 1));
    world.restart("x").await;
    world.ready_at("x", 2).await;
    assert_eq!(without_what_each_pod_has_anew(spec_of(&world).await), without_what_each_pod_has_anew(before));
    delete(&world, &class).await;
}

async fn a_misspelt_field_is_refused_by_its_name(world: World) {
    world.create("x", json!({"image": IMAGE})).await;
    world.ready("x").await;
    let sidecar = json!({"name": "proxy", "image": IMAGE, "volumeMount": []});
    world.change("x", json!({"podTemplate": {"spec": {"containers": [sidecar]}}})).await;
    let words = ["spec.podTemplate.spec.containers[proxy].volumeMount: there is no such field"];
    let serving = refused(&world, "x", Reason::InvalidSpec, &words).await;
    assert_eq!(told(&serving, ConditionType::Ready), "True/Running");
    assert_eq!(told(&serving, ConditionType::Stalled), "True/InvalidSpec");
    let class = own(&world, "class");
    create_with(&world, &class, json!({"podTemplate": {"spec": {"toleration": []}}})).await;
    world.create("y", json!({"className": class, "image": IMAGE})).await;
    let words = [class.as_str(), "podTemplate.spec.toleration: there is no such field"];
    refused(&world, "y", Reason::InvalidSpec, &words).await;
    patch(
        &world,
        &class,
        json!({"spec": {"podTemplate": {"spec": {"toleration": null, "tolerations": []}}}}),
    )
    .await;
    world.ready("y").await;
    assert_eq!(world.pods.started("x"), 1);
    delete(&world, &class).await;
}

async fn what_the_operator_owns_is_refused_by_its_name(world: World) {
    let main = |field: &str, value: Value| json!({"containers": [{"name": "main", field: value}]});
    world.create("x", json!({"image": IMAGE, "storage": {"size": "1Gi"}})).await;
    world.ready("x").await;
    for (overlay, words) in [
        (json!({"restartPolicy": "Never"}), "spec.restartPolicy: the operator sees to it"),
        (json!({"nodeName": "node"}), "spec.nodeName: the operator sees to it"),
        (json!({"serviceAccountName": "admin"}), "spec.serviceAccountName: set spec.serviceAccountName"),
        (main("image", json!(IMAGE)), "spec.containers[main].image: set spec.image"),
        (main("env", json!([])), "spec.containers[main].env: set spec.env"),
        (
            json!({"volumes": [{"name": "workspace", "emptyDir": {}}]}),
            "spec.volumes[workspace]: the operator sees to",
        ),
        (
            main("volumeMounts", json!([{"name": "other", "mountPath": "/workspace"}])),
            "spec.containers[main].volumeMounts[/workspace]: the workspace's volume",
        ),
        (json!({"containers": [{"name": "main", "$patch": "delete"}]}), "spec.containers[main].$patch"),
    ] {
        replace(&world, "x", overlay).await;
        let words = format!("spec.podTemplate.{words}");
        let serving = refused(&world, "x", Reason::InvalidSpec, &[&words]).await;
        assert_eq!(told(&serving, ConditionType::Ready), "True/Running");
    }
    replace(&world, "x", json!({})).await;
    world.ready("x").await;
    assert_eq!(world.pods.started("x"), 1);
}

async fn a_changed_overlay_of_a_workspace_restarts_it_once(world: World) {
    world.create("x", json!({"image": IMAGE})).await;
    world.ready("x").await;
    let alias = |ip: &str| json!({"hostAliases": [{"ip": ip, "hostnames": ["a"]}]});
    for (number, ip) in [(2, "10.0.0.1"), (3, "10.0.0.2")] {
        replace(&world, "x", alias(ip)).await;
        world.ready_at("x", number).await;
        assert_eq!(spec_of(&world).await["hostAliases"], alias(ip)["hostAliases"]);
    }
    world.quiet().await;
    assert_eq!(world.pods.started("x"), 3);
}

async fn a_changed_overlay_of_a_class_passes_its_gate_and_restarts_once(world: World) {
    let class = own(&world, "class");
    create_with(&world, &class, json!({"defaults": {"image": IMAGE}, "rollout": {"paused": true}})).await;
    world.create("x", json!({"className": class})).await;
    world.ready("x").await;
    let proxy = json!({"name": "proxy", "image": IMAGE});
    patch(&world, &class, json!({"spec": {"podTemplate": {"spec": {"containers": [proxy]}}}})).await;
    let waiting = world.reason("x", ConditionType::UpToDate, Reason::AwaitingRollout).await;
    assert_eq!(told(&waiting, ConditionType::Ready), "True/Running");
    world.quiet().await;
    assert_eq!(world.pods.started("x"), 1);
    patch(&world, &class, json!({"spec": {"rollout": null}})).await;
    world.ready_at("x", 2).await;
    assert_eq!(names(&spec_of(&world).await["containers"]), ["main", "proxy"]);
    world.quiet().await;
    assert_eq!(world.pods.started("x"), 2);
    delete(&world, &class).await;
}

async fn labels_of_a_class_s_overlay_reach_the_running_pod(world: World) {
    let class = own(&world, "class");
    create_with(&world, &class, json!({"defaults": {"image": IMAGE}})).await;
    let own_label = json!({"metadata": {"labels": {"team": "own"}}});
    world.create("x", json!({"className": class, "podTemplate": own_label})).await;
    world.ready("x").await;
    let labels = json!({"team": "class", "tier": "class"});
    patch(&world, &class, json!({"spec": {"podTemplate": {"metadata": {"labels": labels}}}})).await;
    world
        .eventually("the label is there", || async {
            let pod = world.pod("x").await?;
            (pod.labels().get("tier")? == "class" && pod.labels()["team"] == "own").then_some(())
        })
        .await;
    world.quiet().await;
    assert_eq!((starts(&world.get("x").await), world.pods.started("x")), (1, 1));
    delete(&world, &class).await;
}

fn overlaid(overlay: Value) -> Value {
    json!({"image": IMAGE, "podTemplate": {"spec": overlay}})
}

/// Puts this overlay in the place of the former.
async fn replace(world: &World, name: &str, overlay: Value) {
    let former = world.get(name).await.spec.pod_template.and_then(|template| template.spec);
    let mut merge = overlay;
    for field in former.iter().filter_map(Value::as_object).flat_map(|former| former.keys()) {
        if merge.get(field).is_none() {
            merge[field] = Value::Null;
        }
    }
    world.change(name, json!({"podTemplate": {"spec": merge}})).await;
}

async fn spec_of(world: &World) -> Value {
    let pod: Pod = world.pod("x").await.unwrap();
    serde_json::to_value(pod.spec.unwrap()).unwrap()
}

fn listed(list: &Value) -> Vec<Value> {
    list.as_array().cloned().unwrap_or_default()
}

fn names(list: &Value) -> Vec<String> {
    listed(list).iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect()
}

/// The node is chosen for each Pod.
fn without_what_each_pod_has_anew(mut spec: Value) -> Value {
    spec["nodeName"] = Value::Null;
    spec
}
