//! What `kubectl get` shows.

use serde_json::{Value, json};

use crate::ground::{Ground, Kind, Response};

const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_workspace_shows_its_state_in_a_line() {
    let ground = Ground::up().await;
    let namespace = ground.namespace().await;
    ground.create(&namespace, &Kind::Workspace.object("hello", json!({}))).await;
    let path = Kind::Workspace.path(namespace.name());
    let condition = |type_: &str, status: &str, reason: &str| {
        json!({"type": type_, "status": status, "reason": reason, "message": format!("about {type_}"),
            "lastTransitionTime": "2026-01-01T00:00:00Z"})
    };
    let status = json!({"status": {
        "conditions": [condition("UpToDate", "False", "AwaitingRestart"), condition("Ready", "True", "Serving")],
        "incarnation": {"number": 3, "class": {"name": "small"}, "nodeName": "node-1", "image": "a:1"},
    }});
    let patched =
        ground.patch(&format!("{path}/hello/status"), "application/merge-patch+json", &status).await;
    assert!(patched.status.is_success(), "{}", patched.body);

    let table = ground.get(&path, TABLE).await;
    assert_eq!(columns(&table, 0), ["Name", "Ready", "Status", "Starts", "Class", "Age"]);
    assert_eq!(columns(&table, 1), ["Node", "Image", "Up-to-date", "Message"]);
    let cells = table.body["rows"][0]["cells"].as_array().unwrap();
    assert_eq!(cells[..5], [json!("hello"), json!("True"), json!("Serving"), json!(3), json!("small")]);
    assert!(cells[5].as_str().is_some_and(|age| age.ends_with('s')), "{}", cells[5]);
    assert_eq!(cells[6..], [json!("node-1"), json!("a:1"), json!("False"), json!("about Ready")]);
    namespace.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_class_shows_how_far_its_changes_are() {
    let ground = Ground::up().await;
    let table = ground.get(&Kind::WorkspaceClass.path(""), TABLE).await;
    let counts = ["Workspaces", "Up-to-date", "Rolling", "Failed"];
    assert_eq!(columns(&table, 0), [&["Name", "Ready", "Status", "Default"], &counts[..], &["Age"]].concat());
    assert_eq!(columns(&table, 1), ["Waiting", "Security", "Image", "Message"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn short_names_and_the_category_are_served() {
    let ground = Ground::up().await;
    let resources = ground.get("/apis/workspaces.dev/v1alpha1", "application/json").await.body;
    let resource = |name: &str| {
        let resources = resources["resources"].as_array().unwrap().iter();
        resources.into_iter().find(|resource| resource["name"] == name).unwrap().clone()
    };
    let (workspace, class) = (resource("workspaces"), resource("workspaceclasses"));
    assert_eq!((&workspace["shortNames"], &workspace["categories"]), (&json!(["ws"]), &json!(["all"])));
    assert_eq!((&class["shortNames"], &class["categories"]), (&json!(["wsc"]), &Value::Null));
    assert_eq!((&workspace["namespaced"], &class["namespaced"]), (&json!(true), &json!(false)));
}

fn columns(table: &Response, priority: u64) -> Vec<&str> {
    let columns = table.body["columnDefinitions"].as_array().unwrap().iter();
    columns
        .filter(|column| column["priority"] == priority)
        .map(|column| column["name"].as_str().unwrap())
        .collect()
}
