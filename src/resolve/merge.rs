//! Merges a class's defaults under a workspace's spec, as JSON: objects by field, keyed lists by key, all else
//! whole; the workspace wins.

use serde_json::{Map, Value};

use crate::api::{WorkspaceClass, WorkspaceSpec, workspace::PodMetadata};

use super::Blocked;

/// Lists merged by these keys.
const KEYED: &[(&str, &[&str])] = &[
    ("env", &["name"]),
    ("ports", &["containerPort", "protocol"]),
    ("imagePullSecrets", &["name"]),
    ("claims", &["name"]),
];

/// Objects that are a choice between forms: a mixture of two would be neither.
const WHOLE: &[&str] = &["startupProbe", "readinessProbe", "livenessProbe", "dataSourceRef", "valueFrom"];

/// The workspace's spec with the defaults of its class filled in.
pub fn merged(spec: &WorkspaceSpec, class: Option<&WorkspaceClass>) -> Result<WorkspaceSpec, Blocked> {
    let Some(class) = class else { return Ok(spec.clone()) };
    let mut merged = match &class.spec.defaults {
        Some(defaults) => with_defaults(spec, defaults)?,
        None => spec.clone(),
    };
    add_metadata(&mut merged, class);
    Ok(merged)
}

fn with_defaults(spec: &WorkspaceSpec, defaults: &WorkspaceSpec) -> Result<WorkspaceSpec, Blocked> {
    let json = |spec: &WorkspaceSpec| serde_json::to_value(spec).map_err(|error| unreadable(&error));
    serde_json::from_value(merge(&json(defaults)?, &json(spec)?)).map_err(|error| unreadable(&error))
}

/// The labels and annotations of a class's overlay, below those of the workspace.
fn add_metadata(spec: &mut WorkspaceSpec, class: &WorkspaceClass) {
    let Some(PodMetadata { labels, annotations }) =
        class.spec.pod_template.as_ref().and_then(|template| template.metadata.clone())
    else {
        return;
    };
    let own = spec.pod_template.get_or_insert_default().metadata.get_or_insert_default();
    for (key, value) in labels {
        own.labels.entry(key).or_insert(value);
    }
    for (key, value) in annotations {
        own.annotations.entry(key).or_insert(value);
    }
}

fn unreadable(error: &serde_json::Error) -> Blocked {
    Blocked::invalid("className", &format!("the class's defaults don't fit the spec: {error}"))
}

/// What `spec` is with `defaults` filled in.
pub fn merge(defaults: &Value, spec: &Value) -> Value {
    let mut merged = field("", defaults, spec);
    one_volume(&mut merged, spec);
    merged
}

fn field(name: &str, defaults: &Value, own: &Value) -> Value {
    match (defaults, own) {
        (default, Value::Null) => default.clone(),
        (Value::Object(defaults), Value::Object(own)) if !WHOLE.contains(&name) => {
            Value::Object(object(defaults, own))
        }
        (Value::Array(defaults), Value::Array(own)) => match KEYED.iter().find(|(list, _)| *list == name) {
            Some((_, keys)) => Value::Array(list(keys, defaults, own)),
            None => Value::Array(own.clone()),
        },
        (_, own) => own.clone(),
    }
}

fn object(defaults: &Map<String, Value>, own: &Map<String, Value>) -> Map<String, Value> {
    let mut merged = defaults.clone();
    for (name, value) in own {
        let value = field(name, defaults.get(name).unwrap_or(&Value::Null), value);
        merged.insert(name.clone(), value);
    }
    merged
}

/// The class's items first, each replaced by the workspace's item of the same key; then the workspace's others.
fn list(keys: &[&str], defaults: &[Value], own: &[Value]) -> Vec<Value> {
    let key = |item: &Value| -> Vec<Value> { keys.iter().map(|key| key_value(item, key)).collect() };
    let mut merged: Vec<Value> = defaults.to_vec();
    for item in own {
        match merged.iter_mut().find(|other| key(other) == key(item)) {
            Some(other) => *other = item.clone(),
            None => merged.push(item.clone()),
        }
    }
    merged
}

fn key_value(item: &Value, key: &str) -> Value {
    match (item.get(key), key) {
        (None, "protocol") => Value::from("TCP"),
        (value, _) => value.cloned().unwrap_or(Value::Null),
    }
}

/// An own claim and an existing one exclude each other: the workspace's choice drops the class's.
fn one_volume(merged: &mut Value, spec: &Value) {
    let Some(storage) = merged.get_mut("storage").and_then(Value::as_object_mut) else { return };
    let chosen = |name: &str| spec.pointer(&format!("/storage/{name}")).is_some_and(|value| !value.is_null());
    if chosen("existingClaim") {
        storage.retain(|name, _| name == "existingClaim" || name == "mountPath");
    } else if chosen("size") {
        storage.remove("existingClaim");
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn keyed_lists_are_merged_by_key_and_the_workspace_wins() {
        let class = json!({"env": [{"name": "A", "value": "class"}, {"name": "B", "value": "class"}]});
        let own = json!({"env": [{"name": "B", "valueFrom": {"secretKeyRef": {}}}, {"name": "C"}]});
        assert_eq!(
            merge(&class, &own)["env"],
            json!([{"name": "A", "value": "class"}, {"name": "B", "valueFrom": {"secretKeyRef": {}}}, {"name": "C"}])
        );
    }

    #[test]
    fn ports_without_protocol_are_tcp() {
        let class = json!({"ports": [{"containerPort": 80, "protocol": "TCP", "name": "a"}]});
        let own = json!({"ports": [{"containerPort": 80, "name": "b"}]});
        assert_eq!(merge(&class, &own)["ports"].as_array().unwrap().len(), 1);
    }

    #[test]
    fn a_probe_is_taken_whole() {
        let class = json!({"livenessProbe": {"httpGet": {"port": 1}}});
        let own = json!({"livenessProbe": {"exec": {"command": ["x"]}}});
        assert_eq!(merge(&class, &own), own);
    }

    #[test]
    fn an_existing_claim_drops_the_class_s_own_volume() {
        let class = json!({"storage": {"size": "1Gi", "storageClassName": "fast", "mountPath": "/data"}});
        let own = json!({"storage": {"existingClaim": "mine"}});
        assert_eq!(merge(&class, &own)["storage"], json!({"existingClaim": "mine", "mountPath": "/data"}));
    }

    proptest! {
        #[test]
        fn a_class_that_says_nothing_changes_nothing(image in "[a-z]{1,8}", count in 0..5_i32) {
            let own = json!({"image": image, "ports": (0..count).map(|port| json!({"containerPort": port})).collect::<Vec<_>>()});
            prop_assert_eq!(merge(&json!({}), &own), own);
        }
    }
}
