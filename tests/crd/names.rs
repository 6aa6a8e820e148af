//! Names that Pod, Service and volume can carry, checked before there is any of them.

use serde_json::json;

use crate::ground::{Ground, Kind, NO_FIELD};

const LABEL: &str = "metadata.name must be a DNS-1035 label";
const LENGTH: &str = "metadata.name must have at most 52 characters";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_workspace_is_named_by_a_label_of_at_most_52_characters() {
    let ground = Ground::up().await;
    let kind = Kind::Workspace;
    for name in ["a", "a1", "a-b", "a--b", &"a".repeat(52)] {
        ground.try_create(kind, &kind.object(name, json!({}))).await.accepted(name);
    }
    for (name, rule) in [
        (&*"a".repeat(53), LENGTH),
        // Names that the API server takes by itself, and a Service of old does not.
        ("1a", LABEL),
        ("a.b", LABEL),
        (&format!("{}.b", "a".repeat(10)), LABEL),
    ] {
        let answer = ground.try_create(kind, &kind.object(name, json!({}))).await;
        answer.is_refused_at(NO_FIELD, rule).unwrap_or_else(|said| panic!("{name} {said}"));
    }
    for name in ["A", "-a", "a-", "a_b", "ä"] {
        let answer = ground.try_create(kind, &kind.object(name, json!({}))).await;
        answer.is_refused_at("metadata.name", "RFC 1123").unwrap_or_else(|said| panic!("{name} {said}"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_generated_name_is_measured_whole() {
    let ground = Ground::up().await;
    let generated = |prefix: String| {
        let mut object = Kind::Workspace.object("", json!({}));
        object["metadata"] = json!({"generateName": prefix});
        object
    };
    let fits = ground.try_create(Kind::Workspace, &generated("a".repeat(47))).await.accepted("47 and five");
    assert_eq!(fits["metadata"]["name"].as_str().unwrap().len(), 52);
    let answer = ground.try_create(Kind::Workspace, &generated("a".repeat(48))).await;
    answer.is_refused_at(NO_FIELD, LENGTH).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_name_of_a_class_can_be_named_by_a_workspace() {
    let ground = Ground::up().await;
    let longest = "a".repeat(63);
    for name in ["a", "1", "large.gpu", &longest] {
        let class = Kind::WorkspaceClass.object(name, json!({}));
        ground.try_create(Kind::WorkspaceClass, &class).await.accepted(name);
        let workspace = Kind::Workspace.with_fields(json!({"className": name}));
        ground.try_create(Kind::Workspace, &workspace).await.accepted(name);
    }
    let longer = "a".repeat(64);
    let class =
        ground.try_create(Kind::WorkspaceClass, &Kind::WorkspaceClass.object(&longer, json!({}))).await;
    class.is_refused_at(NO_FIELD, "metadata.name must have at most 63 characters").unwrap();
    let workspace = Kind::Workspace.with_fields(json!({"className": longer}));
    let answer = ground.try_create(Kind::Workspace, &workspace).await;
    answer.is_refused_at("spec.className", "Too long").unwrap();
}
