//! The network policy beside a Pod.

use std::collections::BTreeSet;

use k8s_openapi::api::networking::v1::NetworkPolicy;
use serde_json::{Map, Value, json};

use crate::view::NetworkPolicyView;

/// The merge patch that brings our policy to the wish; none where nothing differs. Owners that are not wished yet are
/// left as they are, unless `is_taken_up`: then they are a former workspace's.
pub fn network_policy(live: &NetworkPolicyView, wanted: &NetworkPolicy, is_taken_up: bool) -> Option<Value> {
    let mut metadata = Map::new();
    let no_labels = std::collections::BTreeMap::new();
    let wanted_labels = wanted.metadata.labels.as_ref().unwrap_or(&no_labels);
    let labels = super::strings(live.metadata.labels.as_ref(), wanted_labels, &BTreeSet::new());
    if !labels.is_empty() {
        metadata.insert("labels".to_owned(), Value::Object(labels));
    }
    let (has, wants) = (live.metadata.owner_references.as_ref(), wanted.metadata.owner_references.as_ref());
    let differ = match wants {
        Some(_) => has != wants,
        None => is_taken_up && has.is_some_and(|owners| !owners.is_empty()),
    };
    if differ {
        metadata.insert("ownerReferences".to_owned(), json!(wants));
    }
    let mut patch = Map::new();
    if wanted.spec.as_ref() != Some(&live.spec) {
        // Null first: a merge patch would keep rules that are not wished any more.
        let spec = json!(wanted.spec);
        let mut fields = spec.as_object().cloned().unwrap_or_default();
        fields.entry("ingress").or_insert(Value::Null);
        patch.insert("spec".to_owned(), Value::Object(fields));
    }
    if metadata.is_empty() && patch.is_empty() {
        return None;
    }
    metadata.insert("uid".to_owned(), json!(live.metadata.uid));
    // No two answer each other's question: whoever changed it in between is looked at again.
    metadata.insert("resourceVersion".to_owned(), json!(live.metadata.resource_version));
    patch.insert("metadata".to_owned(), Value::Object(metadata));
    Some(Value::Object(patch))
}
