//! Who may use a class, who must, and what is said of it.

use k8s_openapi::api::{core::v1::Namespace, events::v1::Event};
use kube::{
    Api,
    api::{ListParams, Patch, PatchParams},
};
use serde_json::{Value, json};
use test_world::{IMAGE, World, is, starts, told};
use workspace_operator::api::{ConditionType, Reason, Workspace, names};

use crate::class::{class_of, classes, create_with, delete, message, own, patch, requested};

scenarios!(
    a_class_is_for_the_namespaces_that_its_selector_names,
    a_namespace_that_loses_the_label_stops_nobody,
    status_names_the_class_and_generation_that_the_running_pod_was_made_of,
    where_a_class_is_required_one_without_it_waits_and_one_that_runs_stays,
);

mod two_default_classes {
    use super::*;

    scenarios_in_memory!(the_younger_says_so_in_a_condition_and_one_event);

    async fn the_younger_says_so_in_a_condition_and_one_event(mut world: World) {
        world.stop_operator().await;
        world.settings.namespace = None;
        world.settings.class_status = true;
        world.start_operator();
        // Of the same second, the first by name is taken for the older.
        for name in ["a", "b"] {
            create_with(&world, name, json!({"defaults": {"image": IMAGE}})).await;
            patch(&world, name, json!({"metadata": {"annotations": {names::DEFAULT_CLASS: "true"}}})).await;
        }
        standing_of(&world, "b", "False/OlderDefault").await;
        standing_of(&world, "a", "True/MarkedDefault").await;
        world.eventually("an event", || async { (warnings(&world).await > 0).then_some(()) }).await;
        // Its workspaces move the status of the older one; of the younger there is nothing new to say.
        world.create("x", json!({})).await;
        assert_eq!(class_of(&world.ready("x").await).map(|(name, _)| name).as_deref(), Some("a"));
        world.quiet().await;
        assert_eq!(warnings(&world).await, 1);
        patch(&world, "a", json!({"metadata": {"annotations": {names::DEFAULT_CLASS: null}}})).await;
        standing_of(&world, "b", "True/MarkedDefault").await;
    }

    async fn standing_of(world: &World, class: &str, expected: &str) {
        let what = format!("{class} says Default={expected}");
        world
            .eventually(&what, || async {
                let status = classes(world).get(class).await.unwrap().status?;
                let default = status.conditions.iter().find(|one| one.type_ == "Default")?;
                (format!("{}/{}", default.status, default.reason) == expected).then_some(())
            })
            .await;
    }

    /// How often it was warned of the class "b".
    async fn warnings(world: &World) -> i32 {
        let events: Api<Event> = Api::all(world.client.clone());
        let events = events.list(&ListParams::default()).await.unwrap().items.into_iter().filter(|event| {
            event.regarding.as_ref().is_some_and(|about| about.name.as_deref() == Some("b"))
                && event.reason.as_deref() == Some("OlderDefault")
                && event.type_.as_deref() == Some("Warning")
        });
        events.map(|event| event.series.map_or(1, |series| series.count)).sum()
    }
}

async fn a_class_is_for_the_namespaces_that_its_selector_names(world: World) {
    let class = for_team_a(&world).await;
    world.create("x", json!({"className": class})).await;
    let refused = world.reason("x", ConditionType::Ready, Reason::ClassNotAllowed).await;
    assert_eq!(told(&refused, ConditionType::Accepted), "False/ClassNotAllowed");
    assert_eq!(told(&refused, ConditionType::UpToDate), "Unknown/NoPod");
    assert_eq!(told(&refused, ConditionType::Stalled), "True/ClassNotAllowed");
    let why = message(&refused, ConditionType::Accepted);
    assert!([class.as_str(), "allowedNamespaces", "team=a"].iter().all(|word| why.contains(word)), "{why}");
    assert_eq!((starts(&refused), world.pods.started("x")), (0, 0));
    label_namespace(&world, "team", Some("b")).await;
    world.quiet().await;
    assert_eq!(world.pods.started("x"), 0, "another value is another label");
    label_namespace(&world, "team", Some("a")).await;
    let healed = world.ready("x").await;
    assert_eq!(told(&healed, ConditionType::Accepted), "True/Accepted");
    delete(&world, &class).await;
}

async fn a_namespace_that_loses_the_label_stops_nobody(world: World) {
    let class = for_team_a(&world).await;
    label_namespace(&world, "team", Some("a")).await;
    world.create("x", json!({"className": class})).await;
    world.ready("x").await;
    label_namespace(&world, "team", None).await;
    let serving = world.reason("x", ConditionType::UpToDate, Reason::ClassNotAllowed).await;
    serves_on(&serving, Reason::ClassNotAllowed);
    let asked = world.restart("x").await;
    world.until("x", "noted", |one| requested(one) == Some(asked)).await;
    world.quiet().await;
    assert_eq!(world.pods.started("x"), 1, "there would be no successor");
    label_namespace(&world, "team", Some("a")).await;
    world.ready_at("x", 2).await;
    delete(&world, &class).await;
}

async fn status_names_the_class_and_generation_that_the_running_pod_was_made_of(world: World) {
    let class = own(&world, "class");
    create_with(&world, &class, json!({"defaults": {"image": IMAGE}})).await;
    world.create("x", json!({"className": class})).await;
    assert_eq!(class_of(&world.ready("x").await), Some((class.clone(), Some(1))));
    patch(&world, &class, json!({"spec": {"bounds": {"overlayFields": []}}})).await;
    world.quiet().await;
    assert_eq!(class_of(&world.get("x").await), Some((class.clone(), Some(1))), "its Pod is the same");
    world.restart("x").await;
    assert_eq!(class_of(&world.ready_at("x", 2).await), Some((class.clone(), Some(2))));
    delete(&world, &class).await;
}

async fn where_a_class_is_required_one_without_it_waits_and_one_that_runs_stays(mut world: World) {
    let class = own(&world, "class");
    create_with(&world, &class, json!({"defaults": {"image": IMAGE}})).await;
    world.create("before", json!({"image": IMAGE})).await;
    world.ready("before").await;
    world.stop_operator().await;
    world.settings.require_class = true;
    world.start_operator();
    world.create("x", json!({"image": IMAGE})).await;
    let refused = world.reason("x", ConditionType::Ready, Reason::ClassNotFound).await;
    assert_eq!(told(&refused, ConditionType::Accepted), "False/ClassNotFound");
    let why = message(&refused, ConditionType::Accepted);
    assert!(why.contains("className"), "{why}");
    let serving = world.reason("before", ConditionType::UpToDate, Reason::ClassNotFound).await;
    assert!(is(&serving, ConditionType::Ready, "True"));
    for name in ["x", "before"] {
        world.change(name, json!({"className": class})).await;
        world.ready(name).await;
    }
    world.quiet().await;
    assert_eq!((world.pods.started("x"), world.pods.started("before")), (1, 1));
    delete(&world, &class).await;
}

/// It runs, and it is said that it could not be started again.
pub fn serves_on(workspace: &Workspace, reason: Reason) {
    assert_eq!(told(workspace, ConditionType::Ready), "True/Running");
    assert_eq!(told(workspace, ConditionType::UpToDate), format!("False/{reason}"));
    assert_eq!(told(workspace, ConditionType::Accepted), format!("False/{reason}"));
    assert_eq!(told(workspace, ConditionType::Stalled), format!("True/{reason}"));
    assert_eq!(told(workspace, ConditionType::Reconciling), format!("False/{reason}"));
}

/// Labels the world's namespace, or takes the label away.
pub async fn label_namespace(world: &World, key: &str, value: Option<&str>) {
    let body: Value = json!({"metadata": {"labels": {key: value}}});
    let namespaces: Api<Namespace> = Api::all(world.client.clone());
    namespaces.patch(&world.namespace, &PatchParams::default(), &Patch::Merge(body)).await.unwrap();
}

async fn for_team_a(world: &World) -> String {
    let class = own(world, "team-a");
    let spec = json!({"defaults": {"image": IMAGE}, "allowedNamespaces": {"matchLabels": {"team": "a"}}});
    create_with(world, &class, spec).await;
    class
}
