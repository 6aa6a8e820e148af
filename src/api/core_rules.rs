//! What core/v1 says of its fields in words only and checks when a Pod is made, as schema: so a mistake is refused
//! where it is written, not when the workspace is to start. A class may fill in what a workspace leaves out, so
//! nothing is demanded here that a merge could still mend.

use serde_json::{Value, json};

use super::pattern;

/// The schema keywords of the field at `path`, where `[]` stands for an item and `{}` for a value of a map.
pub(super) fn demanded(path: &[&str]) -> Option<Value> {
    let keywords = match path {
        [.., "env", "[]"] => rule(
            "!(has(self.valueFrom) && has(self.value) && self.value != '')",
            "value and valueFrom exclude each other",
        ),
        [.., "valueFrom"] => {
            exactly_one(&["configMapKeyRef", "fieldRef", "fileKeyRef", "resourceFieldRef", "secretKeyRef"])
        }
        [.., "configMapKeyRef" | "secretKeyRef", "key"] => {
            json!({"minLength": 1, "maxLength": 253, "pattern": pattern::DATA_KEY})
        }
        [.., "configMapKeyRef" | "secretKeyRef" | "configMapRef" | "secretRef", "name"]
        | [.., "imagePullSecrets", "[]", "name"] => object_name(),
        [.., "envFrom", "[]"] => exactly_one(&["configMapRef", "secretRef"]),
        [.., "envFrom", "[]", "prefix"] => json!({"pattern": pattern::ENVIRONMENT_PREFIX}),
        [.., "ports"] => rule(
            "self.all(p, !has(p.name) || self.exists_one(q, has(q.name) && q.name == p.name))",
            "each name of a port may be given once",
        ),
        [.., "ports", "[]", field] => port(field)?,
        [.., "resources"] => rule(
            "!has(self.requests) || !has(self.limits) || self.requests.all(r, !(r in self.limits) || !isQuantity(string(self.requests[r])) || !isQuantity(string(self.limits[r])) || quantity(string(self.requests[r])).compareTo(quantity(string(self.limits[r]))) <= 0)",
            "a request may not exceed its limit",
        ),
        [.., "securityContext", "runAsUser" | "runAsGroup"] => json!({"minimum": 0}),
        [.., "dataSourceRef"] => rule(
            "(has(self.apiGroup) && self.apiGroup != '') || self.kind == 'PersistentVolumeClaim'",
            "without apiGroup the kind must be PersistentVolumeClaim",
        ),
        [.., "env", "[]", "name"] | [.., "dataSourceRef", "kind" | "name"] => json!({"minLength": 1}),
        [.., "podTemplate", "metadata", "labels", "{}"] => json!({"maxLength": 63}),
        _ => return probe(path),
    };
    Some(keywords)
}

fn port(field: &str) -> Option<Value> {
    match field {
        "containerPort" => Some(json!({"minimum": 1, "maximum": 65535})),
        "hostPort" => Some(json!({"minimum": 0, "maximum": 65535})),
        "name" => Some(json!({"maxLength": 15, "pattern": pattern::PORT_NAME})),
        "protocol" => Some(json!({"enum": ["TCP", "UDP", "SCTP"]})),
        _ => None,
    }
}

/// Probes are never mixed from a class's and a workspace's, so each must stand by itself.
fn probe(path: &[&str]) -> Option<Value> {
    let keywords = match path {
        [.., "startupProbe" | "livenessProbe" | "readinessProbe"] => {
            exactly_one(&["exec", "grpc", "httpGet", "tcpSocket"])
        }
        [.., "readinessProbe", "terminationGracePeriodSeconds"] => {
            rule("false", "terminationGracePeriodSeconds goes with startup and liveness probes only")
        }
        [.., "startupProbe" | "livenessProbe", "successThreshold"] => json!({"minimum": 0, "maximum": 1}),
        [.., "startupProbe" | "livenessProbe", "terminationGracePeriodSeconds"] => json!({"minimum": 1}),
        [
            ..,
            "startupProbe" | "livenessProbe" | "readinessProbe",
            "initialDelaySeconds"
            | "periodSeconds"
            | "timeoutSeconds"
            | "successThreshold"
            | "failureThreshold",
        ] => json!({"minimum": 0}),
        [.., "httpGet" | "tcpSocket", "port"] => {
            json!({"minimum": 1, "maximum": 65535, "maxLength": 15, "pattern": pattern::PORT_NAME})
        }
        [.., "grpc", "port"] => json!({"minimum": 1, "maximum": 65535}),
        [.., "httpGet", "scheme"] => json!({"enum": ["HTTP", "HTTPS"]}),
        _ => return None,
    };
    Some(keywords)
}

fn object_name() -> Value {
    json!({"minLength": 1, "maxLength": 253, "pattern": pattern::SUBDOMAIN})
}

fn exactly_one(fields: &[&str]) -> Value {
    let set: Vec<String> = fields.iter().map(|field| format!("has(self.{field})")).collect();
    rule(
        &format!("[{}].exists_one(x, x)", set.join(", ")),
        &format!("exactly one of {} must be set", fields.join(", ")),
    )
}

fn rule(rule: &str, message: &str) -> Value {
    json!({"x-kubernetes-validations": [{"rule": rule, "message": message}]})
}
