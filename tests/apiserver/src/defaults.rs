//! The defaults that the API server writes into our kinds of objects.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};

use crate::{kind::Kind, object};

/// Completes the spec of an object.
pub(crate) fn complete(kind: &Kind, object: &mut Value) {
    if !kind.group.is_empty() {
        return;
    }
    match kind.kind {
        "Pod" => pod(object),
        "PersistentVolumeClaim" => default(&mut object["spec"], "volumeMode", json!("Filesystem")),
        "Service" => service(object),
        "Secret" => {
            default(object, "type", json!("Opaque"));
            encode_strings(object);
        }
        _ => {}
    }
}

/// What only a new object gets.
pub(crate) fn begin(kind: &Kind, object: &mut Value, allocated: u64) {
    if !kind.group.is_empty() {
        return;
    }
    match kind.kind {
        "Pod" => {
            let qos = quality_of_service(object);
            object["status"] = json!({ "phase": "Pending", "qosClass": qos });
        }
        "PersistentVolumeClaim" => {
            object["status"] = json!({ "phase": "Pending" });
            default(&mut object["spec"], "storageClassName", json!("standard"));
            let mut finalizers = object::finalizers(object);
            if !finalizers.iter().any(|own| own == CLAIM_PROTECTION) {
                finalizers.push(CLAIM_PROTECTION.to_owned());
            }
            object::set_finalizers(object, &finalizers);
        }
        "Service" => {
            object["status"] = json!({ "loadBalancer": {} });
            let spec = &mut object["spec"];
            if spec["type"] != "ExternalName" && spec["clusterIP"].as_str().unwrap_or_default().is_empty() {
                spec["clusterIP"] = json!(format!("10.96.{}.{}", allocated / 250 % 250, allocated % 250 + 1));
            }
            if let Some(address) = spec.get("clusterIP").cloned() {
                spec["clusterIPs"] = json!([address]);
            }
        }
        "Namespace" => {
            let name = object::name(object).to_owned();
            object["metadata"]["labels"]["kubernetes.io/metadata.name"] = json!(name);
            object["spec"]["finalizers"] = json!(["kubernetes"]);
            object["status"] = json!({ "phase": "Active" });
        }
        _ => {}
    }
}

/// Keeps a claim while a Pod uses it.
pub(crate) const CLAIM_PROTECTION: &str = "kubernetes.io/pvc-protection";

fn default(section: &mut Value, field: &str, value: Value) {
    if section[field].is_null() {
        section[field] = value;
    }
}

fn each(section: &mut Value, field: &str, mut change: impl FnMut(&mut Value)) {
    if let Some(items) = section.get_mut(field).and_then(Value::as_array_mut) {
        items.iter_mut().filter(|item| item.is_object()).for_each(&mut change);
    }
}

fn pod(object: &mut Value) {
    let spec = &mut object["spec"];
    for (field, value) in [
        ("restartPolicy", json!("Always")),
        ("terminationGracePeriodSeconds", json!(30)),
        ("dnsPolicy", json!("ClusterFirst")),
        ("schedulerName", json!("default-scheduler")),
        ("serviceAccountName", json!("default")),
        ("securityContext", json!({})),
        ("enableServiceLinks", json!(true)),
        ("preemptionPolicy", json!("PreemptLowerPriority")),
        ("priority", json!(0)),
        (
            "tolerations",
            json!([
                {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300},
                {"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300},
            ]),
        ),
    ] {
        default(spec, field, value);
    }
    let account = spec["serviceAccountName"].clone();
    default(spec, "serviceAccount", account);
    each(spec, "containers", container);
    each(spec, "initContainers", container);
    each(spec, "volumes", volume);
}

// `stringData` is only for writing.
fn encode_strings(secret: &mut Value) {
    let strings = secret["stringData"].as_object().cloned().unwrap_or_default();
    object::remove(secret, "", "stringData");
    for (key, value) in strings {
        secret["data"][key] = json!(STANDARD.encode(value.as_str().unwrap_or_default()));
    }
}

fn container(container: &mut Value) {
    let image = object::text(container, "/image").to_owned();
    let name = image.rsplit('/').next().unwrap_or_default();
    let is_latest = !image.contains('@') && (!name.contains(':') || name.ends_with(":latest"));
    default(container, "imagePullPolicy", json!(if is_latest { "Always" } else { "IfNotPresent" }));
    default(container, "terminationMessagePath", json!("/dev/termination-log"));
    default(container, "terminationMessagePolicy", json!("File"));
    default(container, "resources", json!({}));
    each(container, "ports", |port| default(port, "protocol", json!("TCP")));
    let limits = container["resources"]["limits"].as_object().cloned().unwrap_or_default();
    for (resource, limit) in limits {
        default(&mut container["resources"]["requests"], &resource, limit);
    }
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(probe) = container.get_mut(probe).filter(|probe| probe.is_object()) {
            for (field, value) in [
                ("timeoutSeconds", 1),
                ("periodSeconds", 10),
                ("successThreshold", 1),
                ("failureThreshold", 3),
            ] {
                default(probe, field, json!(value));
            }
            if let Some(http) = probe.get_mut("httpGet") {
                default(http, "scheme", json!("HTTP"));
                default(http, "path", json!("/"));
            }
        }
    }
    each(container, "env", |variable| {
        if let Some(field) = variable.pointer_mut("/valueFrom/fieldRef") {
            default(field, "apiVersion", json!("v1"));
        }
    });
}

fn volume(volume: &mut Value) {
    for source in ["secret", "configMap", "projected", "downwardAPI"] {
        if let Some(source) = volume.get_mut(source).filter(|source| source.is_object()) {
            default(source, "defaultMode", json!(420));
        }
    }
    let sources = volume.pointer_mut("/projected/sources").and_then(Value::as_array_mut);
    for source in sources.into_iter().flatten() {
        if let Some(token) = source.get_mut("serviceAccountToken") {
            default(token, "expirationSeconds", json!(3600));
        }
    }
}

fn service(object: &mut Value) {
    let spec = &mut object["spec"];
    for (field, value) in [
        ("type", json!("ClusterIP")),
        ("sessionAffinity", json!("None")),
        ("internalTrafficPolicy", json!("Cluster")),
        ("ipFamilies", json!(["IPv4"])),
        ("ipFamilyPolicy", json!("SingleStack")),
    ] {
        default(spec, field, value);
    }
    each(spec, "ports", |port| {
        default(port, "protocol", json!("TCP"));
        let number = port["port"].clone();
        default(port, "targetPort", number);
    });
}

fn quality_of_service(object: &Value) -> &'static str {
    let parts = |field: &'static str| {
        object::list(object, "/spec/containers")
            .iter()
            .map(move |container| container["resources"][field].as_object().cloned().unwrap_or_default())
    };
    let (requests, limits): (Vec<Map<_, _>>, Vec<Map<_, _>>) =
        (parts("requests").collect(), parts("limits").collect());
    if requests.iter().chain(&limits).all(Map::is_empty) {
        return "BestEffort";
    }
    let is_full = |(request, limit): (&Map<_, _>, &Map<_, _>)| {
        ["cpu", "memory"].iter().all(|one| limit.contains_key(*one) && request.get(*one) == limit.get(*one))
    };
    if requests.iter().zip(&limits).all(is_full) { "Guaranteed" } else { "Burstable" }
}
