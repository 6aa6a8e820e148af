//! Overlays of a Pod, merged one into the other.

use k8s_openapi::api::core::v1::PodSpec;
use serde_json::Value;
use workspace_operator::{
    api::workspace::PodTemplate,
    overlay::{self, FieldPath},
};

/// The longest refusal: two texts of 2,000 characters, and what goes around them.
const LONGEST_REFUSAL: usize = 2 * 2001 + 64;

/// Reads `input` as `[below, above, path...]`: two overlays and paths of fields.
pub fn check(input: &[u8]) {
    let Ok(Value::Array(parts)) = serde_json::from_slice(input) else { return };
    let [below, above, paths @ ..] = parts.as_slice() else { return };
    let paths: Vec<FieldPath> = paths.iter().filter_map(Value::as_str).filter_map(path).collect();
    let template = PodTemplate { spec: Some(above.clone()), ..PodTemplate::default() };
    let _ = overlay::within(&template, &paths);
    let _ = overlay::touched(above, below);

    let is_good = is_accepted(below) & is_accepted(above);
    // The operator refuses all others before it merges them.
    if !is_good {
        return;
    }
    assert_eq!(
        merged(below, &Value::Object(serde_json::Map::new())),
        *below,
        "an empty overlay changes something"
    );
    assert_eq!(merged(above, above), *above, "an overlay changes itself");
    let once = merged(below, above);
    assert_eq!(merged(&once, above), once, "the second time changes something");
    let typed = serde_json::from_value::<PodSpec>(once.clone());
    assert!(typed.is_ok(), "two good overlays make no Pod: {typed:?}");
    if let Some(lost) = lost("spec", below, &once) {
        panic!("{lost} was taken away");
    }
    let touched = overlay::touched(above, &once);
    assert_eq!(merged(&once, &touched), once, "what an overlay touches is not what it made");
}

/// A path that can be read says the same when it was written and read again.
fn path(text: &str) -> Option<FieldPath> {
    let path: FieldPath = text.parse().ok()?;
    assert_eq!(path.to_string().parse().as_ref(), Ok(&path));
    Some(path)
}

fn is_accepted(overlay: &Value) -> bool {
    let refused = overlay::check(overlay).err();
    let told = refused.as_ref().map_or(0, |refused| refused.to_string().chars().count());
    assert!(told <= LONGEST_REFUSAL, "{told} characters are too many for a condition");
    refused.is_none() && !repeats(overlay)
}

/// Ports and spreads may share the key they are merged by; then the last one wins, as in Kubernetes.
fn repeats(value: &Value) -> bool {
    let below = match value {
        Value::Object(fields) => fields.values().collect::<Vec<_>>(),
        Value::Array(items) => items.iter().collect(),
        _ => Vec::new(),
    };
    let shares = |key: &str| {
        let keys: Vec<_> = below.iter().filter_map(|item| item.get(key)).collect();
        value.is_array() && keys.iter().enumerate().any(|(number, key)| keys[..number].contains(key))
    };
    ["containerPort", "topologyKey"].into_iter().any(shares) || below.into_iter().any(repeats)
}

fn merged(below: &Value, above: &Value) -> Value {
    let mut merged = below.clone();
    overlay::merge(&mut merged, above);
    merged
}

/// The first field of an object of `old` that `new` lacks.
fn lost(path: &str, old: &Value, new: &Value) -> Option<String> {
    let (Value::Object(old), Value::Object(new)) = (old, new) else { return None };
    old.iter().find_map(|(name, value)| {
        let path = format!("{path}.{name}");
        match new.get(name) {
            None => Some(path),
            Some(kept) => lost(&path, value, kept),
        }
    })
}
