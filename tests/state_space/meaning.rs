//! Values that the schema can't know: of what exists here, or of what core/v1 says of its fields in words only. Each
//! is the part of a spec that sets the property, with what it needs beside it.

use serde_json::{Value, json};

use crate::kind::Kind;

/// Stands for the namespace in values: classes are the whole cluster's, so their names have it.
pub const NAMESPACE: &str = "NAMESPACE";
/// Classes that exist: one of them gives an image and nothing else, the other a variable, too.
pub const CLASSES: [&str; 2] = ["NAMESPACE-plain", "NAMESPACE-more"];

/// The parts of a spec for the property at `path`; none where the schema says enough.
pub fn of(kind: Kind, path: &str) -> Option<Vec<Value>> {
    match kind {
        Kind::Workspace => fields(path.strip_prefix("spec.")?),
        Kind::Class => match path.strip_prefix("spec.defaults.") {
            Some(path) => {
                let defaults = |fields: Value| json!({"defaults": fields});
                Some(fields(path)?.into_iter().map(defaults).collect())
            }
            None => class(path.strip_prefix("spec.")?),
        },
    }
}

/// Fields of a workspace, which a class has as defaults.
fn fields(path: &str) -> Option<Vec<Value>> {
    if let Some(field) = path.strip_prefix("securityContext.") {
        return security(field);
    }
    if let Some(field) = path.strip_prefix("storage.") {
        return storage(field);
    }
    if let Some(source) = path.strip_prefix("env[].valueFrom.") {
        return variable(source);
    }
    let each =
        |field: &str, values: Vec<Value>| values.into_iter().map(|value| json!({field: value})).collect();
    let port = |fields: Value| json!([fields]);
    Some(match path {
        "image" => each(
            "image",
            vec![
                json!("registry.test/busybox:2"),
                json!(format!("registry.test/other@sha256:{}", "0".repeat(64))),
                json!("registry.test/missing:1"),
            ],
        ),
        "className" => each("className", vec![json!(CLASSES[0]), json!(CLASSES[1]), json!("aa")]),
        "restartedAt" => each(
            "restartedAt",
            vec![
                json!("2024-01-01T00:00:00Z"),
                json!("2024-01-01T02:00:00.5+02:00"),
                json!("2100-01-01T00:00:00Z"),
            ],
        ),
        "resources.requests{}" => compute("requests"),
        "resources.limits{}" => compute("limits"),
        "service" | "service.type" => {
            let with = |type_: &str| json!({"ports": [{"containerPort": 80}], "service": {"type": type_}});
            vec![with("ClusterIP"), with("Headless"), json!({"service": {"type": "ClusterIP"}})]
        }
        "ports[].hostIP" => each(
            "ports",
            ["127.0.0.1", "aa"].map(|ip| port(json!({"containerPort": 80, "hostIP": ip}))).into(),
        ),
        "idle.stopAfterSeconds" => {
            let probe = json!({"httpGet": {"port": 80}});
            let mut idle: Vec<Value> = [3600, 31_536_000]
                .map(|seconds| json!({"idle": {"stopAfterSeconds": seconds, "probe": probe}}))
                .into();
            idle.push(json!({"idle": {"stopAfterSeconds": 3600}}));
            idle
        }
        "idle.probe.lastActivity" => each(
            "idle",
            ["$.a", "$.a[0].b[*]", "aa"]
                .map(|path| json!({"probe": {"httpGet": {"port": 80}, "lastActivity": path}}))
                .into(),
        ),
        "idle.probe.httpGet.port" => {
            let idle = |port: Value| json!({"probe": {"httpGet": {"port": port}}});
            let ports = json!([{"containerPort": 80, "name": "http"}]);
            vec![
                json!({"idle": idle(json!(65535))}),
                json!({"idle": idle(json!("http")), "ports": ports}),
                json!({"idle": idle(json!("http"))}),
            ]
        }
        "podTemplate.spec" => {
            overlays().into_iter().map(|spec| json!({"podTemplate": {"spec": spec}})).collect()
        }
        _ => return None,
    })
}

fn compute(of: &str) -> Vec<Value> {
    [
        json!({"cpu": "100m"}),
        json!({"cpu": "200m", "memory": "64Mi"}),
        json!({"cpu": 1, "memory": "64Mi", "ephemeral-storage": "1Gi"}),
        json!({"no/such/resource": 1}),
    ]
    .map(|amounts| json!({"resources": {of: amounts}}))
    .into()
}

fn security(field: &str) -> Option<Vec<Value>> {
    let contexts = match field {
        "appArmorProfile" | "appArmorProfile.type" | "seccompProfile" | "seccompProfile.type" => {
            let (profile, _) = field.split_once('.').unwrap_or((field, ""));
            let of = |type_: &str| json!({profile: {"type": type_}});
            vec![of("RuntimeDefault"), of("Unconfined"), of("aa")]
        }
        "appArmorProfile.localhostProfile" | "seccompProfile.localhostProfile" => {
            let (profile, _) = field.split_once('.')?;
            let of = |path: &str| json!({profile: {"type": "Localhost", "localhostProfile": path}});
            vec![of("aa"), of("aa/a"), of("")]
        }
        "capabilities.add" | "capabilities.add[]" => ["CHOWN", "NET_BIND_SERVICE", "SYS_ADMIN"]
            .map(|name| json!({"capabilities": {"add": [name]}}))
            .into(),
        "procMount" => ["Default", "Unmasked", "aa"].map(|word| json!({"procMount": word})).into(),
        "seLinuxOptions.type" => {
            ["container_t", "aa"].map(|word| json!({"seLinuxOptions": {"type": word}})).into()
        }
        _ => return None,
    };
    Some(contexts.into_iter().map(|context| json!({"securityContext": context})).collect())
}

fn storage(field: &str) -> Option<Vec<Value>> {
    let own = |fields: Value| {
        let mut storage = json!({"size": "1Gi"});
        for (name, value) in fields.as_object().into_iter().flatten() {
            storage[name] = value.clone();
        }
        storage
    };
    let copy = |fields: Value| {
        let mut source = json!({"kind": "PersistentVolumeClaim", "name": "aa"});
        for (name, value) in fields.as_object().into_iter().flatten() {
            source[name] = value.clone();
        }
        own(json!({"dataSourceRef": source}))
    };
    let storages = match field {
        "size" => vec![own(json!({})), own(json!({"size": "1500Mi"})), own(json!({"size": "2Gi"}))],
        "mountPath" => ["/data", "/data/below", "/..a"].map(|path| own(json!({"mountPath": path}))).into(),
        "whenDeleted" => ["Delete", "Retain"].map(|word| own(json!({"whenDeleted": word}))).into(),
        "accessModes" | "accessModes[]" => ["ReadWriteOnce", "ReadWriteMany", "ReadWriteOncePod"]
            .map(|mode| own(json!({"accessModes": [mode]})))
            .into(),
        "storageClassName" => vec![own(json!({"storageClassName": "standard"}))],
        "existingClaim" => {
            vec![
                json!({"existingClaim": "aa"}),
                json!({"existingClaim": "aaa"}),
                json!({"existingClaim": "none"}),
            ]
        }
        "dataSourceRef" | "dataSourceRef.kind" | "dataSourceRef.name" => vec![copy(json!({}))],
        "dataSourceRef.apiGroup" => {
            vec![copy(json!({"apiGroup": ""})), copy(json!({"apiGroup": "example.com", "kind": "A"}))]
        }
        "dataSourceRef.namespace" => vec![copy(json!({"namespace": "default"}))],
        _ => return None,
    };
    Some(storages.into_iter().map(|storage| json!({"storage": storage})).collect())
}

fn variable(source: &str) -> Option<Vec<Value>> {
    let of = |from: Value| json!({"env": [{"name": "A", "valueFrom": from}]});
    let each =
        |kind: &str, froms: Vec<Value>| froms.into_iter().map(|from| of(json!({kind: from}))).collect();
    let file = |fields: Value| {
        let mut file = json!({"volumeName": "files", "path": "a.env", "key": "A"});
        for (name, value) in fields.as_object().into_iter().flatten() {
            file[name] = value.clone();
        }
        let volumes = json!([{"name": "files", "emptyDir": {}}, {"name": "others", "emptyDir": {}}]);
        json!({
            "env": [{"name": "A", "valueFrom": {"fileKeyRef": file}}],
            "podTemplate": {"spec": {"volumes": volumes}},
        })
    };
    Some(match source {
        "fieldRef" | "fieldRef.fieldPath" => each(
            "fieldRef",
            ["metadata.name", "status.podIP", "aa"].map(|path| json!({"fieldPath": path})).into(),
        ),
        "fieldRef.apiVersion" => {
            let versions =
                ["v1", "aa"].map(|version| json!({"apiVersion": version, "fieldPath": "metadata.uid"}));
            each("fieldRef", versions.into())
        }
        "resourceFieldRef" | "resourceFieldRef.resource" => each(
            "resourceFieldRef",
            ["limits.cpu", "requests.memory", "aa"].map(|what| json!({"resource": what})).into(),
        ),
        "resourceFieldRef.containerName" => {
            let names = ["main", ""].map(|name| json!({"resource": "limits.cpu", "containerName": name}));
            each("resourceFieldRef", names.into())
        }
        "resourceFieldRef.divisor" => {
            let divisors =
                ["1", "1m", "7"].map(|divisor| json!({"resource": "limits.cpu", "divisor": divisor}));
            each("resourceFieldRef", divisors.into())
        }
        "fileKeyRef" => vec![file(json!({}))],
        "fileKeyRef.key" => {
            vec![file(json!({"key": "A"})), file(json!({"key": "B"})), file(json!({"key": "a=b"}))]
        }
        "fileKeyRef.path" => vec![file(json!({"path": "b.env"})), file(json!({"path": "../b"}))],
        "fileKeyRef.volumeName" => {
            vec![file(json!({"volumeName": "others"})), file(json!({"volumeName": "aa"}))]
        }
        "fileKeyRef.optional" => vec![file(json!({"optional": true})), file(json!({"optional": false}))],
        _ => return None,
    })
}

/// Overlays of a Pod: what may be added, and what may not.
fn overlays() -> Vec<Value> {
    vec![
        json!({}),
        json!({"tolerations": [{"key": "a", "operator": "Exists"}]}),
        json!({"volumes": [{"name": "scratch", "emptyDir": {}}],
            "containers": [{"name": "main", "volumeMounts": [{"name": "scratch", "mountPath": "/scratch"}]}]}),
        json!({"initContainers": [{"name": "first", "image": "registry.test/first:1", "restartPolicy": "Always"}]}),
        json!({"containers": [{"name": "beside", "image": "registry.test/beside:1", "env": [{"name": "A", "value": "1"}]}]}),
        json!({"nodeSelector": {"kubernetes.io/os": "linux"}, "hostname": "a", "subdomain": "b"}),
        json!({"securityContext": {"fsGroup": 7, "runAsUser": 7}, "automountServiceAccountToken": true}),
        json!({"restartPolicy": "Never"}),
        json!({"hostNetwork": true}),
        json!({"noSuchField": 1}),
        json!({"tolerations": null}),
    ]
}

/// What a class has beyond defaults.
fn class(path: &str) -> Option<Vec<Value>> {
    if let Some(path) = path.strip_prefix("bounds.") {
        return bounds(path);
    }
    Some(match path {
        "podTemplate.spec" => {
            overlays().into_iter().map(|spec| json!({"podTemplate": {"spec": spec}})).collect()
        }
        "defaults" => vec![json!({"defaults": {"workingDir": "/a"}}), json!({"defaults": {"args": ["a"]}})],
        "allowedNamespaces.matchLabels{}" => {
            let of = |name: &str| json!({"allowedNamespaces": {"matchLabels": {"kubernetes.io/metadata.name": name}}});
            vec![of(NAMESPACE), of("aa")]
        }
        "allowedNamespaces.matchExpressions[].values[]" => {
            let of = |operator: &str| {
                json!({"allowedNamespaces": {"matchExpressions": [
                    {"key": "kubernetes.io/metadata.name", "operator": operator, "values": [NAMESPACE]},
                ]}})
            };
            vec![of("In"), of("NotIn")]
        }
        "network.privateRanges[]" => ["10.0.0.0/8", "fd00::/8", "10.0.0.0/33"]
            .map(|range| json!({"networkPolicy": "Managed", "network": {"privateRanges": [range]}}))
            .into(),
        _ => return None,
    })
}

fn bounds(path: &str) -> Option<Vec<Value>> {
    let with = |bounds: Value, defaults: Value| json!({"bounds": bounds, "defaults": defaults});
    let nothing = || json!({});
    Some(match path {
        "images.allowed[].exact" => ["registry.test/busybox:1", "registry.test/busybox:2"]
            .map(|image| with(json!({"images": {"allowed": [{"exact": image}]}}), nothing()))
            .into(),
        "images.allowed[].prefix" => ["registry.test/busybox", "registry.test/busy"]
            .map(|image| with(json!({"images": {"allowed": [{"prefix": image}]}}), nothing()))
            .into(),
        "images.allowed[].registry" => ["registry.test", "registry.example.com"]
            .map(|name| with(json!({"images": {"allowed": [{"registry": name}]}}), nothing()))
            .into(),
        "resources.min{}" => ["100m", "300m"]
            .map(|least| {
                let requests = json!({"resources": {"requests": {"cpu": "200m"}}});
                with(json!({"resources": {"min": {"cpu": least}}}), requests)
            })
            .into(),
        "resources.max{}" => ["300m", "100m"]
            .map(|most| {
                let limits = json!({"resources": {"limits": {"cpu": "200m"}}});
                with(json!({"resources": {"max": {"cpu": most}}}), limits)
            })
            .into(),
        "storage.min" => ["1Gi", "2Gi"]
            .map(|least| with(json!({"storage": {"min": least}}), json!({"storage": {"size": "1Gi"}})))
            .into(),
        "storage.max" => ["1Gi", "512Mi"]
            .map(|most| with(json!({"storage": {"max": most}}), json!({"storage": {"size": "1Gi"}})))
            .into(),
        "serviceAccounts[]" => {
            ["default", "aa"].map(|name| with(json!({"serviceAccounts": [name]}), nothing())).into()
        }
        "forbiddenEnv.names[]" => ["A", "B"]
            .map(|name| {
                with(
                    json!({"forbiddenEnv": {"names": [name]}}),
                    json!({"env": [{"name": "B", "value": "1"}]}),
                )
            })
            .into(),
        "forbiddenEnv.prefixes[]" => ["A", "B"]
            .map(|name| {
                with(
                    json!({"forbiddenEnv": {"prefixes": [name]}}),
                    json!({"env": [{"name": "BA", "value": "1"}]}),
                )
            })
            .into(),
        _ => return None,
    })
}
