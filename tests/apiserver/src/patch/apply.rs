//! Server-side apply.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{
    list_keys::{ListKind, key_of, list_kind},
    ownership::{Leaves, Manager, Owners, Path},
};

/// The fields on which others disagree, as (manager, field).
pub(crate) fn conflicts(
    owners: &Owners,
    manager: &Manager,
    config: &Leaves,
    live: &Leaves,
) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (path, wanted) in config {
        if live.get(path).is_none_or(|is| is == wanted) {
            continue;
        }
        found.extend(owners.others(manager, path).map(|other| (shown_manager(other), shown(path))));
    }
    found
}

fn shown_manager(manager: &Manager) -> String {
    manager.name.clone()
}

fn shown(path: &Path) -> String {
    path.iter()
        .map(|step| match step.split_once(':') {
            Some(("f", field)) => format!(".{field}"),
            Some((_, rest)) => format!("[{rest}]"),
            None => step.clone(),
        })
        .collect()
}

/// The live object with the configuration merged in, and without what the manager gave up.
pub(crate) fn applied(live: &Value, config: &Value, dropped: &BTreeSet<Path>) -> Value {
    let mut object = live.clone();
    // A list item goes before its fields: without its key it could not be found.
    for path in dropped {
        remove(&mut object, path);
    }
    merge(&mut object, config, "");
    object
}

fn remove(value: &mut Value, path: &[String]) {
    let Some((step, rest)) = path.split_first() else { return };
    match (step.split_once(':'), value) {
        (Some(("f", field)), Value::Object(map)) => {
            if rest.is_empty() {
                map.remove(field);
            } else if let Some(inner) = map.get_mut(field) {
                remove(inner, rest);
                if is_empty(inner) {
                    map.remove(field);
                }
            }
        }
        (Some(("k", key)), Value::Array(items)) => {
            let key: Map<String, Value> = serde_json::from_str(key).unwrap_or_default();
            let Some(position) = items.iter().position(|item| has_key(item, &key)) else { return };
            if rest.is_empty() {
                items.remove(position);
            } else {
                remove(&mut items[position], rest);
            }
        }
        (Some(("v", member)), Value::Array(items)) => {
            let member: Value = serde_json::from_str(member).unwrap_or_default();
            items.retain(|item| *item != member);
        }
        _ => {}
    }
}

fn has_key(item: &Value, key: &Map<String, Value>) -> bool {
    key.iter().all(|(field, value)| match item.get(field) {
        Some(own) => own == value,
        None => field == "protocol" && value == "TCP",
    })
}

fn is_empty(value: &Value) -> bool {
    value.as_object().is_some_and(Map::is_empty) || value.as_array().is_some_and(Vec::is_empty)
}

fn merge(live: &mut Value, config: &Value, field: &str) {
    match (live, config) {
        (Value::Object(live), Value::Object(config)) => {
            for (key, value) in config.iter().filter(|(_, value)| !value.is_null()) {
                merge(live.entry(key.clone()).or_insert(Value::Null), value, key);
            }
        }
        (live @ Value::Null, Value::Object(config)) => {
            *live = Value::Object(Map::new());
            merge(live, &Value::Object(config.clone()), field);
        }
        (Value::Array(live), Value::Array(items)) => merge_list(live, items, field),
        (live, config) => live.clone_from(config),
    }
}

fn merge_list(live: &mut Vec<Value>, items: &[Value], field: &str) {
    match list_kind(field, items) {
        ListKind::Atomic => *live = items.to_vec(),
        ListKind::Set => {
            for item in items {
                if !live.contains(item) {
                    live.push(item.clone());
                }
            }
        }
        ListKind::Map(keys) => {
            for item in items {
                let key = key_of(item, keys);
                match live.iter_mut().find(|own| key_of(own, keys) == key) {
                    Some(own) => merge(own, item, ""),
                    None => live.push(item.clone()),
                }
            }
        }
    }
}
