//! Strategic merge: as a JSON merge, but lists with a key are merged item by item.

use serde_json::{Map, Value};

use super::list_keys::{ListKind, list_kind};

/// Merges the patch in.
pub(crate) fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        target.clone_from(patch);
        return;
    };
    if !target.is_object() || patch.get("$patch").and_then(Value::as_str) == Some("replace") {
        *target = Value::Object(Map::new());
    }
    let Value::Object(target) = target else { return };
    for (key, value) in patch {
        if let Some(field) = key.strip_prefix("$deleteFromPrimitiveList/") {
            if let Some(Value::Array(list)) = target.get_mut(field) {
                list.retain(|member| !value.as_array().is_some_and(|gone| gone.contains(member)));
            }
        } else if key.starts_with('$') {
            // Orders and retained keys do not matter to our objects.
        } else if value.is_null() {
            target.remove(key);
        } else if let Value::Array(items) = value {
            merge_list(target.entry(key.clone()).or_insert_with(|| Value::Array(Vec::new())), key, items);
        } else {
            merge(target.entry(key.clone()).or_insert(Value::Null), value);
        }
    }
}

fn merge_list(target: &mut Value, field: &str, patch: &[Value]) {
    let Value::Array(list) = target else {
        *target = Value::Array(patch.to_vec());
        return;
    };
    let directive = |item: &Value| item.get("$patch").and_then(Value::as_str).map(str::to_owned);
    let replaces = patch.iter().any(|item| directive(item).as_deref() == Some("replace"));
    let items: Vec<_> = patch.iter().filter(|item| directive(item).as_deref() != Some("replace")).collect();
    // The merge key is the first one alone, though the list's own key may have more fields.
    let key = match list_kind(field, patch) {
        ListKind::Map(keys) if !replaces => keys.first().map(|(key, _)| *key),
        ListKind::Set if !replaces => None,
        _ => {
            *list = items.into_iter().cloned().collect();
            return;
        }
    };
    for item in items {
        let same = |member: &Value| match key {
            Some(key) => member.get(key) == item.get(key),
            None => member == item,
        };
        let position = list.iter().position(same);
        match (position, directive(item).as_deref()) {
            (Some(position), Some("delete")) => {
                list.remove(position);
            }
            (None, Some("delete")) => {}
            (Some(position), _) => merge(&mut list[position], item),
            (None, _) => {
                let mut added = Value::Null;
                merge(&mut added, item);
                list.push(added);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn items_are_merged_by_name_and_deleted_by_directive() {
        let mut target = json!({"containers": [{"name": "a", "image": "1", "env": [{"name": "x", "value": "1"}]}, {"name": "b"}]});
        merge(
            &mut target,
            &json!({"containers": [{"name": "a", "env": [{"name": "y"}]}, {"name": "b", "$patch": "delete"}, {"name": "c"}]}),
        );
        let expected = json!({"containers": [
            {"name": "a", "image": "1", "env": [{"name": "x", "value": "1"}, {"name": "y"}]}, {"name": "c"}]});
        assert_eq!(target, expected);
    }

    #[test]
    fn members_of_a_set_are_joined_and_taken_out() {
        let mut target = json!({"finalizers": ["a", "b"]});
        merge(&mut target, &json!({"finalizers": ["c"], "$deleteFromPrimitiveList/finalizers": ["a"]}));
        assert_eq!(target, json!({"finalizers": ["b", "c"]}));
    }
}
