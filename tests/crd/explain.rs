//! What `kubectl explain` shows reads as documentation.

use serde_json::Value;
use workspace_operator::api::names::DEFAULT_MOUNT_PATH;

use crate::{
    ground::{Ground, Kind},
    schema,
};

/// What the operator takes where nobody says anything, by field.
const DEFAULTS: &[(&str, &str)] = &[
    ("spec.imagePullPolicy", "Default: Always for the tag `latest` or none, else IfNotPresent."),
    ("spec.workingDir", "Default: the image's."),
    ("spec.storage", "Default: none."),
    ("spec.storage.storageClassName", "Default: the cluster's."),
    ("spec.storage.accessModes", "Default: ReadWriteOnce."),
    ("spec.storage.mountPath", "Default: `/workspace`."),
    ("spec.storage.whenDeleted", "Default: Retain"),
    ("spec.service.type", "Default: Headless."),
    ("spec.runState", "Default: Running."),
    ("spec.updateStrategy.type", "Default: Immediate."),
    ("spec.updateStrategy.maxDelaySeconds", "Default: 3600."),
    ("spec.progressDeadlineSeconds", "Default: 600."),
    ("spec.registration.policy", "Default: Disabled."),
    ("spec.registration.onSilence", "Default: Report."),
    ("spec.idle.stopAfterSeconds", "Default: it is never stopped for that."),
    ("spec.idle.probe.lastActivity", "Default: `$.last_activity`"),
    ("spec.idle.probe.httpGet.path", "Default: `/`."),
    ("spec.terminationGracePeriodSeconds", "Default: 30."),
    ("spec.serviceAccountName", "Default: `default`."),
];

/// The first words of some fields, as the API server serves them.
const SERVED: &[(&str, &str)] = &[
    ("spec", "A Workspace is one long-lived container"),
    ("spec.storage.size", "Size of the own volume claim"),
    ("spec.imagePullPolicy", "When the image is pulled."),
    ("spec.updateStrategy.type", "Immediate: a changed input restarts at once."),
    ("spec.service.type", "Headless (DNS answers with the Pod's address)"),
    ("spec.resources.limits", "Limits describes the maximum amount"),
    ("status.incarnation.podUID", "UID of its Pod"),
    ("status.failures.last.reason", "Why, in a word."),
];

#[test]
fn every_field_is_described() {
    for kind in Kind::ALL {
        let root = kind.schema();
        for (place, schema) in schema::walk(&root) {
            let text = schema["description"].as_str().unwrap_or_default();
            let has_own_words =
                !text.is_empty() && !text.starts_with("Quantity is") && !text.contains("\n\n");
            assert!(place.field().is_empty() || has_own_words, "{kind:?} {place}: {text:?}");
        }
    }
}

#[test]
fn a_field_with_a_default_names_it() {
    assert_eq!(DEFAULT_MOUNT_PATH, "/workspace");
    let root = Kind::Workspace.schema();
    for (path, words) in DEFAULTS {
        let text = description(&root, path);
        assert!(text.replace('\n', " ").contains(words), "{path}: {text}");
    }
    let told: Vec<String> = schema::walk_spec(&root)
        .into_iter()
        .filter(|(_, schema)| schema["description"].as_str().is_some_and(|text| text.contains("Default: ")))
        .map(|(place, _)| place.to_string())
        .filter(|place| DEFAULTS.iter().all(|(path, _)| path != place))
        .collect();
    assert!(told.is_empty(), "defaults that nobody holds against anything: {told:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_api_server_serves_the_descriptions() {
    let ground = Ground::up().await;
    let served = ground.served_schema(Kind::Workspace).await;
    for (path, words) in SERVED {
        let text = description(&served, path);
        assert!(text.starts_with(words), "{path}: {text}");
    }
    let class = ground.served_schema(Kind::WorkspaceClass).await;
    assert!(description(&class, "spec.defaults.storage.size").starts_with("Size of the own volume claim"));
}

fn description(root: &Value, path: &str) -> String {
    let found = schema::walk(root).into_iter().find(|(place, _)| place.to_string() == path);
    let (_, schema) = found.unwrap_or_else(|| panic!("there is no {path}"));
    schema["description"].as_str().unwrap_or_default().to_owned()
}
