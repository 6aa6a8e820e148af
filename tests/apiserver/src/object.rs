//! Reading and writing the metadata of an object that is only known as JSON.

use jiff::Timestamp;
use serde_json::{Value, json};

/// Where an object lies within its kind: namespace (empty for cluster-scoped ones) and name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    pub namespace: String,
    pub name: String,
}

impl Key {
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }
}

pub(crate) fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

pub(crate) fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

pub(crate) fn name(object: &Value) -> &str {
    text(object, "/metadata/name")
}

pub(crate) fn namespace(object: &Value) -> &str {
    text(object, "/metadata/namespace")
}

pub(crate) fn uid(object: &Value) -> &str {
    text(object, "/metadata/uid")
}

pub(crate) fn key(object: &Value) -> Key {
    Key::new(namespace(object), name(object))
}

pub(crate) fn is_deleting(object: &Value) -> bool {
    !object["metadata"]["deletionTimestamp"].is_null()
}

pub(crate) fn grace(object: &Value) -> Option<i64> {
    object["metadata"]["deletionGracePeriodSeconds"].as_i64()
}

pub(crate) fn finalizers(object: &Value) -> Vec<String> {
    list(object, "/metadata/finalizers").iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

pub(crate) fn owners(object: &Value) -> &[Value] {
    list(object, "/metadata/ownerReferences")
}

/// Sets a metadata field, or takes it away. The object's metadata must be a map, as checked on entry.
pub(crate) fn set_metadata(object: &mut Value, field: &str, value: Option<Value>) {
    match value.filter(|value| !value.is_null()) {
        Some(value) => object["metadata"][field] = value,
        None => remove(object, "/metadata", field),
    }
}

/// Takes a field away, if it is there.
pub(crate) fn remove(value: &mut Value, pointer: &str, field: &str) {
    if let Some(map) = value.pointer_mut(pointer).and_then(Value::as_object_mut) {
        map.remove(field);
    }
}

/// Whether the parts of an object that are maps are maps.
pub(crate) fn is_well_formed(object: &Value) -> bool {
    let is_map = |field: &str| object[field].is_null() || object[field].is_object();
    object.is_object() && is_map("metadata") && is_map("spec") && is_map("status")
}

pub(crate) fn set_finalizers(object: &mut Value, finalizers: &[String]) {
    set_metadata(object, "finalizers", (!finalizers.is_empty()).then(|| json!(finalizers)));
}

/// A time as the API writes it: whole seconds.
pub(crate) fn seconds(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// What a watch or list for metadata only gets of an object.
pub(crate) fn only_metadata(object: &Value) -> Value {
    json!({
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": object["metadata"],
    })
}
