//! What the derived schema lacks: bounds on everything that core/v1's types leave unbounded (the API server
//! estimates the cost of rules from them, and an object must stay small), list keys, and short descriptions.

use serde_json::{Map, Value, json};

use super::{core_rules, pattern};

/// Longest string where nothing narrower is said: enough for any value of an environment variable in practice.
const MAX_STRING: u64 = 32_768;
const MAX_ITEMS: u64 = 256;
const MAX_PROPERTIES: u64 = 256;
const MAX_QUANTITY: u64 = 64;

/// Lists of core/v1 that are keyed, by the name of their field.
const LIST_KEYS: &[(&str, &[&str])] = &[
    ("env", &["name"]),
    ("imagePullSecrets", &["name"]),
    ("ports", &["containerPort", "protocol"]),
    ("claims", &["name"]),
];

/// Bounds a whole schema.
pub(super) fn bound(schema: &mut Value) {
    bound_at(&mut Vec::new(), schema);
}

/// Bounds the schema of the field at `path` and everything below it. `[]` stands for an item, `{}` for a value of
/// a map.
fn bound_at<'a>(path: &mut Vec<&'a str>, schema: &'a mut Value) {
    let Some(schema) = schema.as_object_mut() else { return };
    shorten_description(schema);
    if let Some(Value::Object(demanded)) = core_rules::demanded(path) {
        schema.extend(demanded);
    }
    if schema.get("x-kubernetes-int-or-string") == Some(&json!(true)) {
        // A quantity may be written as a number (`cpu: 1`), and a port as a name.
        schema.entry("maxLength").or_insert(json!(MAX_QUANTITY));
        schema.entry("pattern").or_insert(json!(pattern::QUANTITY));
        return;
    }
    match schema.get("type").and_then(Value::as_str) {
        Some("string") if !schema.contains_key("enum") => {
            schema.entry("maxLength").or_insert(json!(MAX_STRING));
        }
        Some("array") => {
            schema.entry("maxItems").or_insert(json!(MAX_ITEMS));
            key_list(path.last().copied().unwrap_or_default(), schema);
        }
        Some("object") if schema.contains_key("additionalProperties") => {
            schema.entry("maxProperties").or_insert(json!(MAX_PROPERTIES));
        }
        _ => {}
    }
    for (keyword, inner) in schema.iter_mut() {
        match (keyword.as_str(), inner) {
            ("properties", Value::Object(properties)) => {
                for (name, property) in properties {
                    path.push(name);
                    bound_at(path, property);
                    path.pop();
                }
            }
            ("items", items) => {
                path.push("[]");
                bound_at(path, items);
                path.pop();
            }
            ("additionalProperties", values) => {
                path.push("{}");
                bound_at(path, values);
                path.pop();
            }
            _ => {}
        }
    }
}

fn key_list(field: &str, schema: &mut Map<String, Value>) {
    let Some((_, keys)) = LIST_KEYS.iter().find(|(name, _)| *name == field) else { return };
    let Some(item) = schema.get_mut("items").and_then(Value::as_object_mut) else { return };
    let has_keys = item
        .get("properties")
        .and_then(Value::as_object)
        .is_some_and(|properties| keys.iter().all(|key| properties.contains_key(*key)));
    if !has_keys {
        return;
    }
    // The API server wants every list key required or defaulted.
    for key in *keys {
        let default = match *key {
            "protocol" => Some(json!("TCP")),
            _ => None,
        };
        if let (Some(default), Some(property)) = (default, item["properties"].get_mut(*key)) {
            property["default"] = default;
        } else {
            require(item, key);
        }
    }
    schema.insert("x-kubernetes-list-type".into(), json!("map"));
    schema.insert("x-kubernetes-list-map-keys".into(), json!(keys));
}

fn require(item: &mut Map<String, Value>, key: &str) {
    let required = item.entry("required").or_insert_with(|| json!([]));
    if let Some(required) = required.as_array_mut().filter(|names| !names.contains(&json!(key))) {
        required.push(json!(key));
    }
    // core/v1 gives `imagePullSecrets[].name` an empty default, which would make it a silent key.
    item["properties"][key].as_object_mut().map(|property| property.remove("default"));
}

/// core/v1's descriptions carry links and history; the first sentences are what a reader of `kubectl explain`
/// needs, and keep the CRD small.
fn shorten_description(schema: &mut Map<String, Value>) {
    let Some(Value::String(text)) = schema.get_mut("description") else { return };
    if text.starts_with("Quantity is ") {
        "A quantity, as `500m`, `2Gi` or 1.".clone_into(text);
        return;
    }
    if let Some((first, _)) = text.split_once(" More info: ") {
        *text = first.to_owned();
    }
    if let Some((first, _)) = text.split_once("\n\n") {
        *text = first.to_owned();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_string_list_and_map_gets_a_bound() {
        let mut schema = json!({"type": "object", "properties": {
            "a": {"type": "string"},
            "b": {"type": "array", "items": {"type": "string", "maxLength": 3}},
            "c": {"type": "object", "additionalProperties": {"type": "string"}},
        }});
        bound(&mut schema);
        assert_eq!(schema["properties"]["a"]["maxLength"], json!(MAX_STRING));
        assert_eq!(schema["properties"]["b"]["maxItems"], json!(MAX_ITEMS));
        assert_eq!(schema["properties"]["b"]["items"]["maxLength"], json!(3));
        assert_eq!(schema["properties"]["c"]["maxProperties"], json!(MAX_PROPERTIES));
        assert_eq!(schema["properties"]["c"]["additionalProperties"]["maxLength"], json!(MAX_STRING));
    }

    #[test]
    fn keyed_lists_require_or_default_their_keys() {
        let mut schema = json!({"type": "object", "properties": {"ports": {"type": "array", "items": {
            "type": "object", "required": ["containerPort"],
            "properties": {"containerPort": {"type": "integer"}, "protocol": {"type": "string"}}}}}});
        bound(&mut schema);
        let ports = &schema["properties"]["ports"];
        assert_eq!(ports["x-kubernetes-list-map-keys"], json!(["containerPort", "protocol"]));
        assert_eq!(ports["items"]["properties"]["protocol"]["default"], json!("TCP"));
    }
}
