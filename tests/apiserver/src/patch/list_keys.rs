//! Which lists are maps by a key, and which are sets: the part of the schemas that merging needs.

use serde_json::Value;

/// How a list is merged.
pub(crate) enum ListKind {
    /// As one value.
    Atomic,
    /// By member.
    Set,
    /// By these fields of the items, with what is meant where one is missing.
    Map(&'static [(&'static str, Option<&'static str>)]),
}

/// How the list in a field of that name is merged, judged by its items too, as `ports` is of several forms.
pub(crate) fn list_kind(field: &str, items: &[Value]) -> ListKind {
    const NAME: &[(&str, Option<&str>)] = &[("name", None)];
    const CONTAINER_PORT: &[(&str, Option<&str>)] = &[("containerPort", None), ("protocol", Some("TCP"))];
    const PORT: &[(&str, Option<&str>)] = &[("port", None), ("protocol", Some("TCP"))];
    let has = |key: &str| !items.is_empty() && items.iter().all(|item| item.get(key).is_some());
    let keys: &[_] = match field {
        "finalizers" => return ListKind::Set,
        "containers" | "initContainers" | "ephemeralContainers" | "volumes" | "env" | "imagePullSecrets" => {
            NAME
        }
        "ports" if has("containerPort") => CONTAINER_PORT,
        "ports" => PORT,
        "volumeMounts" => &[("mountPath", None)],
        "volumeDevices" => &[("devicePath", None)],
        "hostAliases" | "podIPs" => &[("ip", None)],
        "ownerReferences" => &[("uid", None)],
        "conditions" => &[("type", None)],
        "topologySpreadConstraints" => &[("topologyKey", None), ("whenUnsatisfiable", None)],
        _ => return ListKind::Atomic,
    };
    let is_keyed =
        |item: &Value| keys.iter().all(|(key, default)| item.get(key).is_some() || default.is_some());
    if items.iter().all(is_keyed) { ListKind::Map(keys) } else { ListKind::Atomic }
}

/// The values of an item's key fields.
pub(crate) fn key_of(
    item: &Value,
    keys: &[(&'static str, Option<&'static str>)],
) -> Vec<(&'static str, Value)> {
    let value = |key: &str, default: Option<&str>| match item.get(key) {
        Some(value) => value.clone(),
        None => default.map_or(Value::Null, Value::from),
    };
    keys.iter().map(|(key, default)| (*key, value(key, *default))).collect()
}
