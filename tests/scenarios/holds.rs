//! Holds: annotations that keep a workspace, or all of a namespace, stopped.

use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::json;
use test_world::{IMAGE, World, condition, is, shown, starts, told};
use workspace_operator::api::{ConditionType, Reason, Workspace};

scenarios!(
    a_hold_stops_and_its_end_starts_again,
    holds_are_independent,
    a_hold_on_the_namespace_holds_all_its_workspaces,
    stopped_is_said_before_held,
    a_hold_while_starting_takes_the_pod,
    a_workspace_created_held_makes_nothing,
    another_reason_for_a_hold_restarts_nothing,
);

const NIGHT: &str = "hold.workspaces.dev/night";
const QUOTA: &str = "hold.workspaces.dev/quota";
const MAINTENANCE: &str = "hold.workspaces.dev/maintenance";

async fn a_hold_stops_and_its_end_starts_again(world: World) {
    world.create("x", json!({"image": IMAGE})).await;
    world.ready("x").await;
    world.quiet().await;
    world.forget_writes();
    hold(&world, NIGHT).await;
    let held = is_held(&world, "x").await;
    assert_eq!(told(&held, ConditionType::Ready), "False/Held");
    assert_eq!(why(&held), "held by night (until 7)");
    for type_ in [ConditionType::Reconciling, ConditionType::Stalled] {
        assert_eq!(told(&held, type_), "False/Settled", "{type_}");
    }
    world.quiet().await;
    let writes = world.writes();
    assert!(writes.len() <= 3, "{} writes: {}", writes.len(), shown(&writes));
    release(&world, NIGHT).await;
    let ready = world.ready_at("x", 2).await;
    assert_eq!(ready.status.unwrap().failures, None);
    assert_eq!(world.pods.started("x"), 2);
}

async fn holds_are_independent(world: World) {
    world.create("x", json!({"image": IMAGE})).await;
    world.ready("x").await;
    hold(&world, NIGHT).await;
    hold(&world, QUOTA).await;
    hold_namespace(&world, Some("the cluster is upgraded")).await;
    let all = world.until("x", "held by three", |workspace| why(workspace).contains("maintenance")).await;
    for actor in
        ["night (until 7)", "quota (until 7)", "maintenance (the cluster is upgraded) on the namespace"]
    {
        assert!(why(&all).contains(actor), "{}", why(&all));
    }
    is_held(&world, "x").await;

    release(&world, NIGHT).await;
    stays_held(&world, "night").await;
    hold_namespace(&world, None).await;
    stays_held(&world, "maintenance").await;
    assert_eq!(why(&world.get("x").await), "held by quota (until 7)");

    release(&world, QUOTA).await;
    world.ready_at("x", 2).await;
    world.quiet().await;
    assert_eq!(world.pods.started("x"), 2);
}

async fn a_hold_on_the_namespace_holds_all_its_workspaces(world: World) {
    for name in ["a", "b"] {
        world.create(name, json!({"image": IMAGE})).await;
        world.ready(name).await;
    }
    hold_namespace(&world, Some("")).await;
    for name in ["a", "b"] {
        let held = is_held(&world, name).await;
        assert_eq!(why(&held), "held by maintenance on the namespace");
        assert_eq!(told(&held, ConditionType::Suspended), "True/NamespaceHeld");
    }
    world.create("late", json!({"image": IMAGE})).await;
    assert_eq!(starts(&is_held(&world, "late").await), 0);
    hold_namespace(&world, None).await;
    for (name, number) in [("a", 2), ("b", 2), ("late", 1)] {
        assert_eq!(starts(&world.ready_at(name, number).await), number, "{name}");
    }
}

async fn stopped_is_said_before_held(world: World) {
    world.create("x", json!({"image": IMAGE})).await;
    world.ready("x").await;
    hold(&world, NIGHT).await;
    is_held(&world, "x").await;
    world.change("x", json!({"runState": "Stopped"})).await;
    let stopped = world.reason("x", ConditionType::Suspended, Reason::Stopped).await;
    assert_eq!(told(&stopped, ConditionType::Ready), "False/Stopped");
    world.change("x", json!({"runState": "Running"})).await;
    is_held(&world, "x").await;
    world.quiet().await;
    assert_eq!(world.pods.started("x"), 1, "neither undoes the other");
    release(&world, NIGHT).await;
    world.ready_at("x", 2).await;
}

async fn a_hold_while_starting_takes_the_pod(world: World) {
    for name in ["slow", "hang"] {
        world.create(name, json!({"image": format!("registry.test/{name}:1")})).await;
        world.reason(name, ConditionType::Ready, Reason::AwaitingReadiness).await;
        world.annotate(name, NIGHT, Some("until 7")).await;
        let held = is_held(&world, name).await;
        assert_eq!(starts(&held), 1);
        assert_eq!(held.status.unwrap().failures, None);
        world.quiet().await;
        assert!(world.pod(name).await.is_none());
    }
}

async fn a_workspace_created_held_makes_nothing(world: World) {
    let spec = json!({"image": IMAGE, "storage": {"size": "1Gi"}, "ports": [{"containerPort": 80}]});
    world.create_annotated("x", spec, json!({NIGHT: "until 7"})).await;
    let held = is_held(&world, "x").await;
    world.quiet().await;
    assert_eq!(starts(&held), 0);
    let writes = world.writes();
    assert_eq!(writes.len(), 1, "only its status: {}", shown(&writes));
    release(&world, NIGHT).await;
    assert_eq!(starts(&world.ready("x").await), 1);
}

async fn another_reason_for_a_hold_restarts_nothing(world: World) {
    world.create("x", json!({"image": IMAGE})).await;
    world.ready("x").await;
    hold(&world, NIGHT).await;
    is_held(&world, "x").await;
    world.annotate("x", NIGHT, Some("until 8")).await;
    let held = world.until("x", "held until 8", |workspace| why(workspace).contains("until 8")).await;
    assert!(is(&held, ConditionType::Suspended, "True"));
    world.quiet().await;
    assert_eq!(world.pods.started("x"), 1);
}

async fn hold(world: &World, actor: &str) {
    world.annotate("x", actor, Some("until 7")).await;
}

async fn release(world: &World, actor: &str) {
    world.annotate("x", actor, None).await;
}

async fn hold_namespace(world: &World, why: Option<&str>) {
    let api: Api<Namespace> = Api::all(world.client.clone());
    let patch = Patch::Merge(json!({"metadata": {"annotations": {MAINTENANCE: why}}}));
    api.patch(&world.namespace, &PatchParams::default(), &patch).await.unwrap();
}

/// Until it is held and its Pod is gone.
async fn is_held(world: &World, name: &str) -> Workspace {
    let is_held = |workspace: &Workspace| {
        is(workspace, ConditionType::Suspended, "True")
            && told(workspace, ConditionType::Ready) == "False/Held"
    };
    let held = world.until(name, "held", is_held).await;
    assert!(world.pod(name).await.is_none(), "Held is said only once the Pod is gone");
    held
}

/// One actor let go, and the others still hold.
async fn stays_held(world: &World, released: &str) {
    let held = world.until("x", "released by one", |workspace| !why(workspace).contains(released)).await;
    assert_eq!(told(&held, ConditionType::Suspended), "True/Held");
    world.quiet().await;
    assert_eq!(world.pods.started("x"), 1);
    assert!(world.pod("x").await.is_none());
}

fn why(workspace: &Workspace) -> String {
    condition(workspace, ConditionType::Suspended).map(|(.., message)| message).unwrap_or_default()
}
