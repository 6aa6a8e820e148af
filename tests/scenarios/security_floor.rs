//! The least security of every Pod, by its class or by nobody's.

use serde_json::{Value, json};
use test_apiserver::Verb;
use test_world::{IMAGE, World, shown, starts, told};
use workspace_operator::api::{ConditionType, Reason};

use crate::{
    bounds::refused,
    class::{create_with, delete, own},
    class_use::{label_namespace, serves_on},
};

scenarios!(
    a_restricted_workspace_is_admitted_where_only_such_are,
    an_image_is_looked_for_where_only_restricted_pods_are_admitted,
    without_a_class_nothing_reaches_the_node,
    restricted_refuses_root_and_what_reaches_the_node,
    a_token_is_for_who_asks_for_it_in_a_baseline_class,
    in_a_user_namespace_root_is_nobody,
);

const ENFORCE: &str = "pod-security.kubernetes.io/enforce";

async fn a_restricted_workspace_is_admitted_where_only_such_are(world: World) {
    label_namespace(&world, ENFORCE, Some("restricted")).await;
    let class = own(&world, "class");
    let sidecar = json!({"name": "proxy", "image": IMAGE, "restartPolicy": "Always"});
    let spec = json!({
        "podSecurity": "Restricted",
        "defaults": {"image": IMAGE, "storage": {"size": "1Gi"}},
        "podTemplate": {"spec": {"initContainers": [sidecar]}},
    });
    create_with(&world, &class, spec).await;
    world.create("x", json!({"className": class, "ports": [{"containerPort": 8080}]})).await;
    world.ready("x").await;
    let pod = spec_of(&world).await;
    let own = &pod["securityContext"];
    assert_eq!(
        ["runAsNonRoot", "runAsUser", "runAsGroup", "fsGroup"].map(|field| own[field].clone()),
        [json!(true), json!(1000), json!(1000), json!(1000)],
        "its volume is writable"
    );
    assert_eq!(own["seccompProfile"]["type"], "RuntimeDefault");
    for container in [&pod["containers"][0], &pod["initContainers"][0]] {
        let own = &container["securityContext"];
        assert_eq!(own["allowPrivilegeEscalation"], false);
        assert_eq!(own["capabilities"]["drop"], json!(["ALL"]));
    }
    assert_eq!(pod["automountServiceAccountToken"], false);
    world.restart("x").await;
    world.ready_at("x", 2).await;
    delete(&world, &class).await;
}

async fn an_image_is_looked_for_where_only_restricted_pods_are_admitted(world: World) {
    label_namespace(&world, ENFORCE, Some("restricted")).await;
    let class = own(&world, "class");
    create_with(&world, &class, json!({"podSecurity": "Restricted"})).await;
    world.create("x", json!({"className": class, "image": IMAGE})).await;
    world.ready("x").await;
    world.change("x", json!({"image": "registry.test/other:1"})).await;
    world.ready_at("x", 2).await;
    let calls = world.log.requests();
    let probes: Vec<_> = calls
        .iter()
        .filter(|call| call.is_probe && call.verb == Verb::Create)
        .map(|call| call.code)
        .collect();
    assert_eq!(probes, [Some(201)], "{}", shown(&calls));
    delete(&world, &class).await;
}

async fn without_a_class_nothing_reaches_the_node(world: World) {
    world.create("x", json!({"image": IMAGE})).await;
    world.ready("x").await;
    let ports = |port: u16| json!([{"containerPort": 80, "hostPort": port}]);
    for (change, words) in [
        (
            json!({"securityContext": {"privileged": true}}),
            "containers[main].securityContext.privileged is true; Baseline allows only false",
        ),
        (
            json!({"securityContext": {"privileged": null, "capabilities": {"add": ["SYS_ADMIN"]}}}),
            "containers[main].securityContext.capabilities.add is SYS_ADMIN; Baseline allows only",
        ),
        (
            json!({"securityContext": null, "ports": ports(8080)}),
            "containers[main].ports[80].hostPort is 8080; Baseline allows no port of the node",
        ),
        (
            json!({"ports": null, "podTemplate": {"spec": {"hostNetwork": true}}}),
            "hostNetwork is true; Baseline allows only false",
        ),
        (
            json!({"podTemplate": {"spec": {"hostNetwork": null, "volumes": [{"name": "node", "hostPath": {"path": "/etc"}}]}}}),
            "volumes[node].hostPath is /etc; Baseline allows no path of the node",
        ),
    ] {
        world.change("x", change).await;
        let serving = refused(&world, "x", Reason::OutOfBounds, &[words, "workspaces without a class"]).await;
        serves_on(&serving, Reason::OutOfBounds);
    }
    world.change("x", json!({"podTemplate": null})).await;
    world.ready("x").await;
    assert_eq!(world.pods.started("x"), 1);
}

async fn restricted_refuses_root_and_what_reaches_the_node(world: World) {
    let class = own(&world, "class");
    create_with(&world, &class, json!({"podSecurity": "Restricted", "defaults": {"image": IMAGE}})).await;
    let bound = format!("podSecurity of WorkspaceClass {class}");
    let spec = json!({"className": class, "securityContext": {"runAsUser": 0}});
    world.create("x", spec).await;
    let words = ["containers[main].securityContext.runAsUser is 0; Restricted allows any user but 0", &bound];
    let root = refused(&world, "x", Reason::OutOfBounds, &words).await;
    assert_eq!(told(&root, ConditionType::Ready), "False/OutOfBounds");
    assert_eq!(starts(&root), 0);
    for (own, words) in [
        (
            json!({"runAsUser": null, "runAsNonRoot": false}),
            "runAsNonRoot is false; Restricted allows only true",
        ),
        (
            json!({"runAsNonRoot": null, "allowPrivilegeEscalation": true}),
            "allowPrivilegeEscalation is true; Restricted allows only false",
        ),
    ] {
        world.change("x", json!({"securityContext": own})).await;
        refused(&world, "x", Reason::OutOfBounds, &[words, &bound]).await;
    }
    world
        .change("x", json!({"securityContext": {"allowPrivilegeEscalation": null, "runAsUser": 4711}}))
        .await;
    world.ready("x").await;
    assert_eq!(spec_of(&world).await["containers"][0]["securityContext"]["runAsUser"], 4711);
    delete(&world, &class).await;
}

async fn a_token_is_for_who_asks_for_it_in_a_baseline_class(world: World) {
    let (baseline, restricted) = (own(&world, "baseline"), own(&world, "restricted"));
    create_with(&world, &baseline, json!({})).await;
    create_with(&world, &restricted, json!({"podSecurity": "Restricted"})).await;
    let asking = |class: Option<&str>| json!({"className": class, "image": IMAGE, "podTemplate": {"spec": {"automountServiceAccountToken": true}}});
    world.create("x", asking(Some(&baseline))).await;
    world.create("restricted", asking(Some(&restricted))).await;
    world.create("none", asking(None)).await;
    for name in ["restricted", "none"] {
        let refused =
            refused(&world, name, Reason::OutOfBounds, &["automountServiceAccountToken is true"]).await;
        assert_eq!(starts(&refused), 0, "{name}");
    }
    world.ready("x").await;
    assert_eq!(spec_of(&world).await["automountServiceAccountToken"], true);
    world.change("x", json!({"podTemplate": null})).await;
    world.ready_at("x", 2).await;
    assert_eq!(spec_of(&world).await["automountServiceAccountToken"], false, "unless it asks for it");
    delete(&world, &baseline).await;
    delete(&world, &restricted).await;
}

async fn in_a_user_namespace_root_is_nobody(world: World) {
    let class = own(&world, "class");
    create_with(&world, &class, json!({"podSecurity": "Restricted", "userNamespace": true})).await;
    world.create("x", json!({"className": class, "image": IMAGE, "securityContext": {"runAsUser": 0}})).await;
    world.ready("x").await;
    assert_eq!(spec_of(&world).await["hostUsers"], false);
    let outside = json!({"className": class, "image": IMAGE, "podTemplate": {"spec": {"hostUsers": true}}});
    world.create("y", outside).await;
    refused(&world, "y", Reason::OutOfBounds, &["hostUsers is true; userNamespace allows only false"]).await;
    delete(&world, &class).await;
}

async fn spec_of(world: &World) -> Value {
    serde_json::to_value(world.pod("x").await.unwrap().spec.unwrap()).unwrap()
}
