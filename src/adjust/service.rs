//! The Service of a running workspace.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Service;
use serde_json::{Map, Value, json};

use crate::view::{ServiceView, service::Port};

/// What to do about the Service.
#[derive(Clone, Debug, PartialEq)]
pub enum Adjustment {
    None,
    Create,
    /// A merge patch.
    Patch(Value),
    /// Its address is of the other kind, which can't be changed.
    Recreate,
    Delete,
}

/// Compares our living Service with the wanted one.
pub fn service(live: Option<&ServiceView>, wanted: Option<&Service>) -> Adjustment {
    let (live, wanted) = match (live.filter(|live| live.metadata.deletion_timestamp.is_none()), wanted) {
        (None, None) => return Adjustment::None,
        (None, Some(_)) => return Adjustment::Create,
        (Some(_), None) => return Adjustment::Delete,
        (Some(live), Some(wanted)) => (live, wanted),
    };
    let Some(spec) = &wanted.spec else { return Adjustment::None };
    if live.is_headless() != (spec.cluster_ip.as_deref() == Some("None")) {
        return Adjustment::Recreate;
    }
    let mut patch = Map::new();
    let mut fields = Map::new();
    if spec.selector.as_ref() != Some(&live.spec.selector) {
        fields.insert("selector".to_owned(), json!(spec.selector));
    }
    let wanted_ports: Vec<Port> = spec
        .ports
        .iter()
        .flatten()
        .map(|port| Port {
            name: port.name.clone(),
            port: port.port,
            protocol: port.protocol.clone(),
            target_port: port.target_port.clone(),
        })
        .collect();
    if wanted_ports != live.spec.ports {
        fields.insert("ports".to_owned(), json!(spec.ports));
    }
    if !fields.is_empty() {
        patch.insert("spec".to_owned(), Value::Object(fields));
    }
    let no_labels = std::collections::BTreeMap::new();
    let wanted_labels = wanted.metadata.labels.as_ref().unwrap_or(&no_labels);
    let labels = super::strings(live.metadata.labels.as_ref(), wanted_labels, &BTreeSet::new());
    if !labels.is_empty() {
        patch.insert("metadata".to_owned(), json!({ "labels": labels }));
    }
    if patch.is_empty() {
        return Adjustment::None;
    }
    patch.entry("metadata").or_insert_with(|| json!({}))["uid"] = json!(live.metadata.uid);
    Adjustment::Patch(Value::Object(patch))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(ports: Value) -> Service {
        serde_json::from_value(json!({"metadata": {"labels": {"a": "b"}},
            "spec": {"clusterIP": "None", "selector": {"w": "x"}, "ports": ports}}))
        .unwrap()
    }

    fn live() -> ServiceView {
        serde_json::from_value(json!({"metadata": {"uid": "u", "labels": {"a": "b", "other": "c"}},
            "spec": {"clusterIP": "None", "type": "ClusterIP", "sessionAffinity": "None", "selector": {"w": "x"},
                     "ports": [{"name": "tcp-80", "port": 80, "protocol": "TCP", "targetPort": 80}]}}))
        .unwrap()
    }

    fn port(number: i32) -> Value {
        json!([{"name": format!("tcp-{number}"), "port": number, "protocol": "TCP", "targetPort": number}])
    }

    #[test]
    fn what_others_filled_in_is_no_difference() {
        assert_eq!(service(Some(&live()), Some(&wanted(port(80)))), Adjustment::None);
    }

    #[test]
    fn a_changed_port_is_patched_with_the_uid_as_precondition() {
        let Adjustment::Patch(patch) = service(Some(&live()), Some(&wanted(port(81)))) else {
            panic!("no patch")
        };
        assert_eq!(
            (patch["metadata"]["uid"].as_str(), patch["spec"]["ports"][0]["port"].as_i64()),
            (Some("u"), Some(81))
        );
    }

    #[test]
    fn the_other_kind_of_address_takes_a_new_service() {
        let mut wanted = wanted(port(80));
        wanted.spec.as_mut().unwrap().cluster_ip = None;
        assert_eq!(service(Some(&live()), Some(&wanted)), Adjustment::Recreate);
    }

    #[test]
    fn without_ports_it_goes() {
        assert_eq!(service(Some(&live()), None), Adjustment::Delete);
        assert_eq!(service(None, None), Adjustment::None);
    }
}
