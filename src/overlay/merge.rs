//! Merges an overlay into a PodSpec by the rules of a strategic merge patch.

use serde_json::Value;

use super::place::{Keyed, Place, key};

/// Merges `overlay` into `target`, a PodSpec: objects by field, the lists of core/v1 that have a merge key by it,
/// everything else as a whole. Nothing is taken away; a null says nothing.
///
/// Items keep their place and new ones come last: the class's init containers run before the workspace's, and
/// variables follow those they refer to. `kubectl patch` puts the patch's items first instead.
pub fn merge(target: &mut Value, overlay: &Value) {
    object(Place::Pod, target, overlay);
}

fn object(place: Place, target: &mut Value, overlay: &Value) {
    let (Value::Object(fields), Value::Object(overlay)) = (&mut *target, overlay) else {
        *target = overlay.clone();
        return;
    };
    for (name, value) in overlay.iter().filter(|(_, value)| !value.is_null()) {
        match (fields.get_mut(name), place.list(name)) {
            (Some(Value::Array(items)), Some(keyed)) if value.is_array() => {
                list(keyed, items, value.as_array().into_iter().flatten());
            }
            (Some(field), _) => object(Place::Other, field, value),
            (None, _) => {
                fields.insert(name.clone(), value.clone());
            }
        }
    }
}

fn list<'a>(keyed: Keyed, items: &mut Vec<Value>, overlay: impl Iterator<Item = &'a Value>) {
    for item in overlay {
        let wanted = key(item, keyed);
        let found = items.iter_mut().find(|other| wanted.is_some() && key(other, keyed) == wanted);
        match found {
            Some(other) => object(keyed.items, other, item),
            None => items.push(item.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn merged(target: Value, overlay: Value) -> Value {
        let mut target = target;
        merge(&mut target, &overlay);
        target
    }

    #[test]
    fn an_item_is_found_by_the_key_of_its_list() {
        for (list, key) in [
            ("containers", "name"),
            ("initContainers", "name"),
            ("ephemeralContainers", "name"),
            ("volumes", "name"),
            ("imagePullSecrets", "name"),
            ("hostAliases", "ip"),
            ("topologySpreadConstraints", "topologyKey"),
            ("schedulingGates", "name"),
            ("resourceClaims", "name"),
            ("evictionResponders", "name"),
        ] {
            assert_eq!(
                merged(json!({list: [{key: "a", "x": 1}]}), json!({list: [{key: "a", "y": 2}, {key: "b"}]})),
                json!({list: [{key: "a", "x": 1, "y": 2}, {key: "b"}]}),
                "{list}"
            );
        }
    }

    #[test]
    fn a_list_within_a_container_has_its_own_key() {
        for (list, key) in [
            ("env", "name"),
            ("ports", "containerPort"),
            ("volumeMounts", "mountPath"),
            ("volumeDevices", "devicePath"),
        ] {
            let container = |items: Value| json!({"containers": [{"name": "main", list: items}]});
            assert_eq!(
                merged(container(json!([{key: 1, "x": 1}])), container(json!([{key: 1, "y": 2}, {key: 2}]))),
                container(json!([{key: 1, "x": 1, "y": 2}, {key: 2}])),
                "{list}"
            );
        }
    }

    #[test]
    fn any_other_list_is_replaced() {
        for list in ["tolerations", "readinessGates", "env", "ports"] {
            let overlay = json!({list: [{"name": "b"}]});
            assert_eq!(merged(json!({list: [{"name": "a"}]}), overlay.clone()), overlay, "{list}");
        }
        for list in ["command", "args", "envFrom", "resizePolicy", "volumes", "containers"] {
            let overlay = json!({"containers": [{"name": "main", list: [{"name": "b"}]}]});
            assert_eq!(
                merged(json!({"containers": [{"name": "main", list: [{"name": "a"}]}]}), overlay.clone()),
                overlay,
                "{list}"
            );
        }
    }

    #[test]
    fn a_list_of_the_same_name_elsewhere_is_replaced() {
        let volume =
            |items: Value| json!({"volumes": [{"name": "a", "x": {"volumes": items, "env": items}}]});
        assert_eq!(
            merged(volume(json!([{"name": "a"}])), volume(json!([{"name": "b"}]))),
            volume(json!([{"name": "b"}]))
        );
    }

    #[test]
    fn a_matched_item_keeps_its_place_and_a_new_one_comes_last() {
        let target = json!({"containers": [{"name": "main"}, {"name": "proxy"}]});
        let overlay = json!({"containers": [{"name": "new"}, {"name": "proxy", "image": "p"}]});
        assert_eq!(
            merged(target, overlay),
            json!({"containers": [{"name": "main"}, {"name": "proxy", "image": "p"}, {"name": "new"}]})
        );
    }

    #[test]
    fn maps_are_merged_by_entry() {
        assert_eq!(
            merged(
                json!({"nodeSelector": {"a": "1", "b": "1"}}),
                json!({"nodeSelector": {"b": "2", "c": "3"}})
            ),
            json!({"nodeSelector": {"a": "1", "b": "2", "c": "3"}})
        );
    }

    #[test]
    fn a_null_says_nothing() {
        let target = json!({"nodeSelector": {"a": "1"}, "containers": [{"name": "main", "image": "a"}]});
        let overlay = json!({"nodeSelector": null, "containers": [{"name": "main", "image": null}]});
        assert_eq!(merged(target.clone(), overlay), target);
    }

    fn text() -> impl Strategy<Value = String> {
        prop::sample::select(vec!["a", "b", "c", "main"]).prop_map(str::to_owned)
    }

    /// A list with each key once.
    fn keyed(
        key: &'static str,
        item: impl Strategy<Value = Value> + 'static,
    ) -> impl Strategy<Value = Value> + 'static {
        prop::collection::btree_map(text(), item, 0..4).prop_map(move |items| {
            items
                .into_iter()
                .map(|(value, mut item)| {
                    item[key] = json!(value);
                    item
                })
                .collect()
        })
    }

    fn optional(fields: Vec<(&'static str, BoxedStrategy<Value>)>) -> BoxedStrategy<Value> {
        let fields: Vec<_> = fields
            .into_iter()
            .map(|(name, value)| prop::option::of(value).prop_map(move |value| (name, value)))
            .collect();
        fields
            .prop_map(|fields| {
                let set = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
                Value::Object(set.collect())
            })
            .boxed()
    }

    fn container() -> BoxedStrategy<Value> {
        let value = text().prop_map(|value| json!({"value": value})).boxed();
        optional(vec![
            ("image", text().prop_map(Value::from).boxed()),
            ("args", prop::collection::vec(text(), 0..3).prop_map(Value::from).boxed()),
            ("env", keyed("name", value.clone()).boxed()),
            ("volumeMounts", keyed("mountPath", value).boxed()),
        ])
    }

    fn spec() -> BoxedStrategy<Value> {
        optional(vec![
            ("containers", keyed("name", container()).boxed()),
            ("initContainers", keyed("name", container()).boxed()),
            (
                "nodeSelector",
                prop::collection::btree_map(text(), text(), 0..3).prop_map(|map| json!(map)).boxed(),
            ),
            (
                "tolerations",
                prop::collection::vec(text().prop_map(|key| json!({"key": key})), 0..3)
                    .prop_map(Value::from)
                    .boxed(),
            ),
            (
                "volumes",
                keyed("name", text().prop_map(|medium| json!({"emptyDir": {"medium": medium}}))).boxed(),
            ),
        ])
    }

    /// Whether every field of `old` is still there; a list without a key counts as one field.
    fn keeps(place: Place, keyed: Option<Keyed>, old: &Value, new: &Value) -> bool {
        match (old, new) {
            (Value::Object(old), Value::Object(new)) => old.iter().all(|(name, value)| {
                new.get(name).is_some_and(|kept| keeps(Place::Other, place.list(name), value, kept))
            }),
            (Value::Array(old), Value::Array(new)) => keyed.is_none_or(|keyed| {
                old.iter().all(|item| {
                    new.iter().any(|other| {
                        key(other, keyed) == key(item, keyed) && keeps(keyed.items, None, item, other)
                    })
                })
            }),
            (old, new) => old.is_object() == new.is_object() && old.is_array() == new.is_array(),
        }
    }

    proptest! {
        #[test]
        fn an_empty_overlay_changes_nothing(target in spec()) {
            prop_assert_eq!(merged(target.clone(), json!({})), target);
        }

        #[test]
        fn merging_twice_equals_merging_once(target in spec(), overlay in spec()) {
            let once = merged(target, overlay.clone());
            prop_assert_eq!(merged(once.clone(), overlay), once);
        }

        #[test]
        fn merging_removes_no_field(target in spec(), overlay in spec()) {
            let new = merged(target.clone(), overlay.clone());
            prop_assert!(keeps(Place::Pod, None, &target, &new));
            prop_assert!(keeps(Place::Pod, None, &overlay, &new));
        }
    }
}
