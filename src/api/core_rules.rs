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
        // The bounds of a class have a field of the same name, of another form.
        [.., "bounds", "resources"] => return None,
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
        // The number is held to what the string may say.
        [.., "rollout", "maxUnavailable" | "maxFailed"] => json!({"maximum": 999_999, "maxLength": 6}),
        _ => return probe(path).or_else(|| selector(path)),
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

/// A selector that can't be read would select nothing, or everything, so it is refused where it is written. Its
/// descriptions are short, since a class has many selectors.
fn selector(path: &[&str]) -> Option<Value> {
    let keywords = match path {
        [.., "matchLabels"] => json!({
            "description": "Labels that must be there, with these values.",
            "maxProperties": 32,
            "x-kubernetes-validations": [{
                "rule": "self.all(k, !format.qualifiedName().validate(k).hasValue())",
                "message": "each label must have a qualified name, as example.com/team or team",
            }],
        }),
        [.., "matchLabels", "{}"] | [.., "matchExpressions", "[]", "values", "[]"] => {
            json!({"maxLength": 63, "pattern": pattern::LABEL_VALUE})
        }
        [.., "matchExpressions"] => {
            json!({"description": "Requirements on labels. All must hold.", "maxItems": 32})
        }
        [.., "matchExpressions", "[]"] => json!({
            "description": "A requirement on one label.",
            "x-kubernetes-validations": [{
                "rule": "(self.operator in ['In', 'NotIn']) == (has(self.values) && size(self.values) > 0)",
                "message": "In and NotIn need values, Exists and DoesNotExist take none",
            }],
        }),
        [.., "matchExpressions", "[]", "key"] => {
            json!({"description": "The label's name.", "maxLength": 317, "pattern": pattern::QUALIFIED_NAME})
        }
        [.., "matchExpressions", "[]", "operator"] => json!({
            "description": "How the label is compared. NotIn and DoesNotExist hold where it is missing.",
            "enum": ["In", "NotIn", "Exists", "DoesNotExist"],
        }),
        [.., "matchExpressions", "[]", "values"] => {
            json!({"description": "The values that In and NotIn compare with.", "maxItems": 64})
        }
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
