//! Who may name a class, and where.

use serde_json::{Value, json};
use workspace_operator::api::names;

use crate::{
    files::CLASS_USE,
    ground::{ADMIN, Ground},
};

fn of(class: &str) -> Value {
    json!({"className": class, "image": "busybox:1"})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_not_use_a_class_is_refused_at_apply() {
    let ground = Ground::with(&[CLASS_USE]).await;
    let (mine, other) = (ground.class("mine", json!({})).await, ground.class("other", json!({})).await);
    let ada = ground.writer("ada").await;
    let said = ground.refused(&ada, &of(&mine)).await;
    assert!(said.contains(&format!("spec.className: {ada} may not use WorkspaceClass {mine}")), "{said}");

    ground.let_use(&ada, &mine).await;
    ground.accepted(&ada, &of(&mine)).await;
    ground.refused(&ada, &of(&other)).await;
    ground.ask(&ada, &json!({"image": "busybox:1"})).await.expect("no class, no right to it");
    ground.ask(ADMIN, &of(&other)).await.expect("who may do everything may use every class");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_class_is_not_had_by_naming_it_before_it_is_made() {
    let ground = Ground::with(&[CLASS_USE]).await;
    let later = ground.own("later");
    let ada = ground.writer("ada").await;
    ground.refused(&ada, &of(&later)).await;
    // Whether there is such a class is the operator's to tell.
    ground.let_use(&ada, &later).await;
    ground.accepted(&ada, &of(&later)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_class_is_offered_to_its_namespaces_only() {
    let ground = Ground::with(&[CLASS_USE]).await;
    let labels = json!({"example.com/team": "agents"});
    let class = ground.class("agents", json!({"allowedNamespaces": {"matchLabels": labels}})).await;
    let said = ground.refused(ADMIN, &of(&class)).await;
    let told = format!("WorkspaceClass {class} is not offered to namespace {}", ground.namespace());
    assert!(said.contains(&told) && said.contains("example.com/team=agents"), "{said}");

    ground.label("example.com/team", "agents").await;
    ground.accepted(ADMIN, &of(&class)).await;
    ground.label("example.com/team", "agents-not").await;
    ground.refused(ADMIN, &of(&class)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_operator_of_a_selector_counts() {
    let ground = Ground::with(&[CLASS_USE]).await;
    ground.label("stage", "test").await;
    ground.label("zone", "").await;
    let one = |requirement: Value| json!({"matchExpressions": [requirement]});
    let values = |key: &str, operator: &str, values: Value| {
        one(json!({"key": key, "operator": operator, "values": values}))
    };
    let key = |key: &str, operator: &str| one(json!({"key": key, "operator": operator}));
    let both = |stage: &str| {
        json!({
            "matchLabels": {"zone": ""},
            "matchExpressions": [
                {"key": "stage", "operator": "In", "values": [stage]},
                {"key": "missing", "operator": "DoesNotExist"},
            ],
        })
    };
    let cases = [
        (values("stage", "In", json!(["prod", "test"])), true),
        (values("stage", "NotIn", json!(["prod"])), true),
        // As everywhere in Kubernetes: what is not there is in no list.
        (values("missing", "NotIn", json!(["prod"])), true),
        (key("zone", "Exists"), true),
        (key("missing", "DoesNotExist"), true),
        (both("test"), true),
        (json!({}), true),
        (json!(null), true),
        (values("stage", "In", json!(["prod"])), false),
        (values("missing", "In", json!(["prod"])), false),
        (values("stage", "NotIn", json!(["prod", "test"])), false),
        (key("missing", "Exists"), false),
        (key("zone", "DoesNotExist"), false),
        (both("prod"), false),
    ];
    let mut classes = Vec::new();
    for (number, (selector, is_met)) in cases.into_iter().enumerate() {
        let name =
            ground.class(&format!("case-{number}"), json!({"allowedNamespaces": selector.clone()})).await;
        classes.push((name, selector, is_met));
    }
    // The refused ones were made last, so when they are known, all are.
    for (name, selector, _) in classes.iter().rev().filter(|(.., is_met)| !is_met) {
        let said = ground.refused(ADMIN, &of(name)).await;
        assert!(said.contains("allowedNamespaces"), "{selector}: {said}");
    }
    for (name, selector, _) in classes.iter().filter(|(.., is_met)| *is_met) {
        ground.ask(ADMIN, &of(name)).await.unwrap_or_else(|said| panic!("{selector}: {said}"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_by_annotation_needs_no_right_to_the_class() {
    let ground = Ground::with(&[CLASS_USE]).await;
    let class = ground.class("given", json!({})).await;
    let ada = ground.writer("ada").await;
    ground.create(ADMIN, "hello", &of(&class)).await;
    // By now she may not use it, and it is offered to nobody.
    ground.change_class(&class, json!({"allowedNamespaces": {"matchLabels": {"team": "none"}}})).await;
    ground.refused(ADMIN, &of(&class)).await;
    ground.refused(&ada, &of(&class)).await;

    let annotated = json!({"metadata": {"annotations": {names::RESTARTED_AT: "2026-01-01T00:00:00Z"}}});
    ground.change(&ada, "hello", annotated).await.expect("a restart");
    let held = json!({"metadata": {"annotations": {"hold.workspaces.dev/ada": "lunch"}}});
    ground.change(&ada, "hello", held).await.expect("a hold");
    ground.change(ADMIN, "hello", json!({"metadata": {"finalizers": ["test.dev/kept"]}})).await.unwrap();
    let status = json!({"observedGeneration": 1});
    ground.change_status(ADMIN, "hello", status).await.expect("a status");
    ground.delete(&ada, "hello").await.expect("a deletion");
    ground.change(&ada, "hello", json!({"metadata": {"finalizers": null}})).await.expect("its end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn editing_the_spec_needs_the_right() {
    let ground = Ground::with(&[CLASS_USE]).await;
    let class = ground.class("given", json!({})).await;
    let (ada, grace) = (ground.writer("ada").await, ground.writer("grace").await);
    ground.let_use(&grace, &class).await;
    ground.accepted(&grace, &of(&class)).await;
    ground.create(&grace, "hello", &of(&class)).await;
    ground.refused(&ada, &of(&class)).await;

    let edited = json!({"spec": {"args": ["more"]}});
    let said = ground.change(&ada, "hello", edited.clone()).await.expect_err("an edit without the right");
    assert!(said.contains(&format!("{ada} may not use WorkspaceClass {class}")), "{said}");
    let unchanged = json!({"spec": {"className": class}});
    ground.change(&ada, "hello", unchanged).await.expect("a patch that changes nothing");
    ground.change(&grace, "hello", edited).await.expect("an edit by who may");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_default_class_counts_for_those_that_name_none() {
    let ground = Ground::with(&[CLASS_USE]).await;
    let ada = ground.writer("ada").await;
    let other = ground.class("other", json!({})).await;
    ground.let_use(&ada, &other).await;
    ground.accepted(&ada, &of(&other)).await;
    let mark = |value: &str| json!({ground.default_class(): value});
    ground.annotated_class("unmarked", mark("false"), json!({})).await;
    let default = ground.annotated_class("default", mark("true"), json!({})).await;

    for nothing in [json!({}), json!({"className": null})] {
        let said = ground.refused(&ada, &nothing).await;
        let told =
            format!("spec.className: left out, and {ada} may not use the default WorkspaceClass {default}");
        assert!(said.contains(&told), "{said}");
    }
    ground.ask(&ada, &of(&other)).await.expect("who names a class needs no right to the default one");

    ground.let_use(&ada, &default).await;
    ground.accepted(&ada, &json!({})).await;
    let nowhere = json!({"allowedNamespaces": {"matchLabels": {"team": "none"}}});
    ground.change_class(&default, nowhere).await;
    let said = ground.refused(&ada, &json!({})).await;
    assert!(said.contains(&format!("WorkspaceClass {default} is not offered")), "{said}");
    ground.ask(&ada, &of(&other)).await.expect("another class is as it was");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_api_server_finds_no_fault_with_the_types() {
    let ground = Ground::with(&[CLASS_USE]).await;
    for policy in ["class-use", "default-class-use", "class-namespaces"] {
        let warnings = ground.warnings(&format!("workspaces.dev-{policy}")).await;
        assert_eq!(warnings, Vec::<Value>::new(), "{policy}");
    }
}
