//! Pure: what of a living child differs from the wish and is changed in place. Only fields of ours are compared,
//! never the whole object: the API server and others fill in what they like.

pub mod network_policy;
pub mod pod;
pub mod service;
pub mod volume_claim;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

/// The merge patch that brings `live` labels or annotations to `wanted`, of which `former` were ours before.
fn strings(
    live: Option<&BTreeMap<String, String>>,
    wanted: &BTreeMap<String, String>,
    former: &BTreeSet<String>,
) -> Map<String, Value> {
    let empty = BTreeMap::new();
    let live = live.unwrap_or(&empty);
    let set = wanted.iter().filter(|(key, value)| live.get(*key) != Some(value));
    let set = set.map(|(key, value)| (key.clone(), json!(value)));
    let gone = former.iter().filter(|key| !wanted.contains_key(*key) && live.contains_key(*key));
    set.chain(gone.map(|key| (key.clone(), Value::Null))).collect()
}
