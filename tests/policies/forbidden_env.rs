//! Environment variables that are refused by their names when a workspace is written.

use serde_json::{Value, json};

use crate::{
    files::FORBIDDEN_ENV,
    ground::{ADMIN, Ground},
};

fn variable(name: &str) -> Value {
    json!({"name": name, "value": "a-secret-value"})
}

fn with(names: &[&str]) -> Value {
    json!({"env": names.iter().map(|name| variable(name)).collect::<Vec<_>>()})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forbidden_name_is_refused_at_apply_with_its_key_and_not_its_value() {
    let ground = Ground::with(&[FORBIDDEN_ENV]).await;
    for name in ["AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN", "RAILWAY_ANYTHING", "INFISICAL_"] {
        let said = ground.refused(ADMIN, &with(&["HARMLESS", name])).await;
        assert!(said.contains(&format!("spec.env[{name}]: forbidden to every workspace")), "{said}");
        assert!(!said.contains("HARMLESS") && !said.contains("a-secret-value"), "{said}");
    }
    let both = ground.refused(ADMIN, &with(&["GH_TOKEN", "GITHUB_TOKEN"])).await;
    assert!(both.contains("spec.env[GH_TOKEN], spec.env[GITHUB_TOKEN]"), "{both}");
    let referred = json!({"env": [{
        "name": "GITHUB_TOKEN",
        "valueFrom": {"secretKeyRef": {"name": "a", "key": "b"}},
    }]});
    ground.refused(ADMIN, &referred).await;
    for name in ["GITHUB_TOKEN_FILE", "MY_GITHUB_TOKEN", "github_token", "RAILWAY", "*"] {
        ground.ask(ADMIN, &with(&[name])).await.unwrap_or_else(|said| panic!("{name}: {said}"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forbidden_name_in_an_overlay_is_refused() {
    let ground = Ground::with(&[FORBIDDEN_ENV]).await;
    let overlay = |spec: Value| json!({"podTemplate": {"spec": spec}});
    for list in ["containers", "initContainers"] {
        let containers = json!([
            {"name": "first", "env": [variable("HARMLESS")]},
            {"name": "side", "env": [variable("HARMLESS"), variable("GITHUB_TOKEN")]},
        ]);
        let said = ground.refused(ADMIN, &overlay(json!({ list: containers }))).await;
        let told =
            format!("spec.podTemplate.spec.{list}[side].env[GITHUB_TOKEN]: forbidden to every workspace");
        assert!(said.contains(&told) && !said.contains("a-secret-value"), "{said}");
    }
    // Neither does a form that no Pod has hide a name, nor is it this policy's to refuse.
    let odd = json!([null, 1, "text", {"env": 1}, {"name": 1, "env": [null, {"name": 1}, {}]}]);
    let hiding = json!([{"name": {}, "env": [[], variable("GITHUB_TOKEN")]}]);
    let said = ground.refused(ADMIN, &overlay(json!({"initContainers": odd, "containers": hiding}))).await;
    assert!(said.contains("spec.podTemplate.spec.containers[].env[GITHUB_TOKEN]"), "{said}");
    for spec in [json!({}), json!({"containers": "text"}), json!({"containers": odd, "initContainers": null})]
    {
        ground.ask(ADMIN, &overlay(spec.clone())).await.unwrap_or_else(|said| panic!("{spec}: {said}"));
    }
    for template in [json!(null), json!({}), json!({"metadata": null})] {
        let spec = json!({"podTemplate": template, "env": [variable("HARMLESS")]});
        ground.ask(ADMIN, &spec).await.unwrap_or_else(|said| panic!("{spec}: {said}"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_class_adds_names_of_its_own() {
    let ground = Ground::with(&[FORBIDDEN_ENV]).await;
    let forbidden = json!({"names": ["LICENSE_KEY"], "prefixes": ["VAULT_"]});
    let lax = ground.class("lax", json!({"bounds": {"forbiddenEnv": null}})).await;
    let strict = ground.class("strict", json!({"bounds": {"forbiddenEnv": forbidden}})).await;
    let of = |class: &str, names: &[&str]| {
        let mut spec = with(names);
        spec["className"] = json!(class);
        spec
    };
    for name in ["LICENSE_KEY", "VAULT_ADDR"] {
        let said = ground.refused(ADMIN, &of(&strict, &[name])).await;
        assert!(said.contains(&format!("spec.env[{name}]: forbidden by WorkspaceClass {strict}")), "{said}");
        assert!(!said.contains("a-secret-value"), "{said}");
        ground.ask(ADMIN, &of(&lax, &[name])).await.expect("another class");
        ground.ask(ADMIN, &with(&[name])).await.expect("no class");
    }
    let mut side = of(&strict, &[]);
    side["podTemplate"] =
        json!({"spec": {"containers": [{"name": "side", "env": [variable("VAULT_ADDR")]}]}});
    let said = ground.refused(ADMIN, &side).await;
    assert!(said.contains("spec.podTemplate.spec.containers[side].env[VAULT_ADDR]"), "{said}");
    ground.ask(ADMIN, &of(&strict, &["LICENSE_KEY_FILE", "MY_VAULT_"])).await.expect("other names");
    ground.refused(ADMIN, &of(&lax, &["GITHUB_TOKEN"])).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_default_class_forbids_to_those_that_name_none() {
    let ground = Ground::with(&[FORBIDDEN_ENV]).await;
    let bounds = json!({"bounds": {"forbiddenEnv": {"names": ["LICENSE_KEY"]}}});
    let other = ground.class("other", json!({})).await;
    let mark = json!({ground.default_class(): "true"});
    let default = ground.annotated_class("default", mark, bounds).await;
    let said = ground.refused(ADMIN, &with(&["LICENSE_KEY"])).await;
    assert!(said.contains(&format!("forbidden by WorkspaceClass {default}")), "{said}");
    let mut named = with(&["LICENSE_KEY"]);
    named["className"] = json!(other);
    ground.ask(ADMIN, &named).await.expect("a class that is named is the one that counts");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_class_gives_is_the_platforms_own_affair() {
    let ground = Ground::with(&[FORBIDDEN_ENV]).await;
    let defaults = json!({"defaults": with(&["GITHUB_TOKEN"])});
    ground.refused(ADMIN, &with(&["GITHUB_TOKEN"])).await;
    let class = ground.class("giving", defaults).await;
    ground.ask(ADMIN, &json!({"className": class})).await.expect("the class's own variable");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_is_forbidden_later_stops_no_restart() {
    let ground = Ground::with(&[FORBIDDEN_ENV]).await;
    let class = ground.class("changing", json!({})).await;
    let mut spec = with(&["LICENSE_KEY"]);
    spec["className"] = json!(class);
    ground.create(ADMIN, "hello", &spec).await;
    ground.change_class(&class, json!({"bounds": {"forbiddenEnv": {"names": ["LICENSE_KEY"]}}})).await;
    ground.refused(ADMIN, &spec).await;
    let annotated =
        json!({"metadata": {"annotations": {"workspaces.dev/restartedAt": "2026-01-01T00:00:00Z"}}});
    ground.change(ADMIN, "hello", annotated).await.expect("a restart");
    let edited = json!({"spec": {"args": ["more"]}});
    ground.change(ADMIN, "hello", edited).await.expect_err("an edit that keeps the name");
    ground.change(ADMIN, "hello", json!({"spec": {"env": []}})).await.expect("an edit without it");
}

/// The API server evaluates an expression up to a cost, and refuses what costs more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_longest_lists_are_not_too_costly() {
    let ground = Ground::with(&[FORBIDDEN_ENV]).await;
    let names = |beginning: &str, count: usize| -> Vec<String> {
        (0..count).map(|number| format!("{beginning}{}{number}", "X".repeat(40))).collect()
    };
    let variables = |beginning: &str, count: usize| -> Vec<Value> {
        names(beginning, count).iter().map(|name| variable(name)).collect()
    };
    let forbidden = json!({"names": names("A", 256), "prefixes": names("B", 64)});
    let class = ground.class("longest", json!({"bounds": {"forbiddenEnv": forbidden}})).await;
    let side = |name: &str| json!({"name": name, "env": variables("D", 64)});
    let mut spec = json!({
        "className": class,
        "env": variables("C", 255),
        "podTemplate": {"spec": {"containers": [side("a"), side("b")], "initContainers": [side("c")]}},
    });
    let last = format!("B{}63", "X".repeat(40));
    spec["env"].as_array_mut().unwrap().push(variable(&last));
    let said = ground.refused(ADMIN, &spec).await;
    assert!(said.contains(&format!("spec.env[{last}]: forbidden by WorkspaceClass {class}")), "{said}");
    spec["env"].as_array_mut().unwrap().pop();
    ground.ask(ADMIN, &spec).await.expect("long lists without a forbidden name");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_api_server_finds_no_fault_with_the_types() {
    let ground = Ground::with(&[FORBIDDEN_ENV]).await;
    for policy in ["forbidden-env", "class-forbidden-env"] {
        let warnings = ground.warnings(&format!("workspaces.dev-{policy}")).await;
        assert_eq!(warnings, Vec::<Value>::new(), "{policy}");
    }
}
