//! What an overlay refers to, where it only changes what was there: it may leave out the name of a Secret that the
//! class gave, and ask for another key of it.

use serde_json::Value;

/// `overlay` with all of each source that it touches, as it is in `merged`: of a volume, and of a variable.
pub fn touched(overlay: &Value, merged: &Value) -> Value {
    let mut touched = overlay.clone();
    each(&mut touched, merged, "volumes", |volume, merged| {
        for (field, source) in volume.as_object_mut().into_iter().flatten() {
            if let Some(merged) = merged.get(field) {
                source.clone_from(merged);
            }
        }
    });
    for list in ["containers", "initContainers"] {
        each(&mut touched, merged, list, |container, merged| {
            each(container, merged, "env", |variable, merged| {
                if let (Some(source), Some(merged)) = (variable.get_mut("valueFrom"), merged.get("valueFrom"))
                {
                    source.clone_from(merged);
                }
            });
        });
    }
    touched
}

/// Each item of a list with the one of its name.
fn each(of: &mut Value, merged: &Value, list: &str, mut with: impl FnMut(&mut Value, &Value)) {
    let Some(items) = of.get_mut(list).and_then(Value::as_array_mut) else { return };
    let merged = merged.get(list).and_then(Value::as_array);
    for item in items {
        let name = item.get("name").cloned();
        let found = merged.into_iter().flatten().find(|other| other.get("name") == name.as_ref());
        if let Some(found) = found {
            with(item, found);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::merge;
    use super::*;

    fn of(class: Value, overlay: &Value) -> Value {
        let mut merged = class;
        merge(&mut merged, overlay);
        touched(overlay, &merged)
    }

    #[test]
    fn another_key_of_a_secret_of_the_class_s_is_a_reference_to_it() {
        let variable = |from: Value| json!({"containers": [{"name": "proxy", "env": [{"name": "A", "valueFrom": from}]}]});
        let found = of(
            variable(json!({"secretKeyRef": {"name": "platform", "key": "public"}})),
            &variable(json!({"secretKeyRef": {"key": "private"}})),
        );
        assert_eq!(found, variable(json!({"secretKeyRef": {"name": "platform", "key": "private"}})));
    }

    #[test]
    fn other_items_of_a_volume_of_the_class_s_are_a_reference_to_it() {
        let volume = |source: Value| json!({"volumes": [{"name": "a", "secret": source}]});
        let found = of(
            volume(json!({"secretName": "platform", "items": [{"key": "public", "path": "x"}]})),
            &volume(json!({"items": [{"key": "private", "path": "x"}]})),
        );
        let expected = json!({"secretName": "platform", "items": [{"key": "private", "path": "x"}]});
        assert_eq!(found, volume(expected));
    }

    #[test]
    fn what_the_class_alone_brings_is_no_part_of_it() {
        let class = json!({"volumes": [{"name": "a", "secret": {"secretName": "s"}}, {"name": "b", "emptyDir": {}}],
            "containers": [{"name": "proxy", "env": [{"name": "A", "valueFrom": {}}]}]});
        let overlay = json!({"volumes": [{"name": "b", "emptyDir": {"medium": "Memory"}}],
            "containers": [{"name": "proxy", "env": [{"name": "B", "value": "1"}]}, {"name": "own"}]});
        assert_eq!(of(class, &overlay), overlay);
    }
}
