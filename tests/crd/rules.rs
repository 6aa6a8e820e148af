//! Each CEL rule accepts what it should and refuses what it should, in its own words at its own field.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::{
    class_rules,
    ground::{Ground, Kind, NO_FIELD},
    schema,
};

/// Fields of a workspace that keep a rule, and others that break it. The rule is named by a part of its message.
pub struct Case {
    pub rule: &'static str,
    /// Where it speaks, below the fields of a workspace.
    pub field: &'static str,
    pub accepted: Vec<Value>,
    pub refused: Vec<Value>,
}

/// A change that keeps a rule on transitions, and others that break it.
struct Change {
    rule: &'static str,
    from: Value,
    accepted: Vec<Value>,
    refused: Vec<Value>,
}

/// Rules on names and on what a class may give, shown in `names` and below.
const ELSEWHERE: &[&str] = &[
    "metadata.name must have at most 52 characters",
    "metadata.name must be a DNS-1035 label",
    "metadata.name must have at most 63 characters",
    "defaults.className: a class can't name a class",
    "defaults.restartedAt and defaults.runState belong to a workspace",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_rule_on_a_workspace_accepts_and_refuses() {
    each_rule_holds(Kind::Workspace).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_rule_on_the_defaults_of_a_class_accepts_and_refuses() {
    each_rule_holds(Kind::WorkspaceClass).await;
}

async fn each_rule_holds(kind: Kind) {
    let ground = Ground::up().await;
    for case in cases() {
        for fields in case.accepted {
            ground.try_create(kind, &kind.with_fields(fields.clone())).await.accepted(&fields.to_string());
        }
        for fields in case.refused {
            let answer = ground.try_create(kind, &kind.with_fields(fields.clone())).await;
            let field = format!("{}.{}", kind.fields_at(), case.field);
            answer.is_refused_at(&field, case.rule).unwrap_or_else(|said| panic!("{fields} {said}"));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_volume_was_made_with_stays() {
    let ground = Ground::up().await;
    let namespace = ground.namespace().await;
    for (number, change) in changes().into_iter().enumerate() {
        let name = format!("change-{number}");
        ground.create(&namespace, &Kind::Workspace.object(&name, json!({"storage": change.from}))).await;
        for storage in change.accepted {
            let patch = json!({"spec": {"storage": storage}});
            ground.try_change(&namespace, &name, &patch).await.accepted(&patch.to_string());
        }
        for storage in change.refused {
            let patch = json!({"spec": {"storage": storage}});
            let answer = ground.try_change(&namespace, &name, &patch).await;
            // The server names no field for a rule on the whole object.
            answer.is_refused_at(NO_FIELD, change.rule).unwrap_or_else(|said| panic!("{patch} {said}"));
        }
    }
    namespace.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_class_names_no_class_and_neither_stops_nor_restarts() {
    let ground = Ground::up().await;
    let kind = Kind::WorkspaceClass;
    ground.try_create(kind, &kind.object("probe", json!({}))).await.accepted("a class without defaults");
    let refused = [
        ("defaults.className: a class can't name a class", json!({"className": "other"})),
        ("defaults.restartedAt and defaults.runState", json!({"restartedAt": "2026-01-01T00:00:00Z"})),
        ("defaults.restartedAt and defaults.runState", json!({"runState": "Stopped"})),
    ];
    for (rule, fields) in refused {
        let answer = ground.try_create(kind, &kind.with_fields(fields.clone())).await;
        answer.is_refused_at("spec", rule).unwrap_or_else(|said| panic!("{fields} {said}"));
    }
}

#[test]
fn every_rule_has_a_case() {
    let shown: Vec<&str> = cases()
        .iter()
        .chain(&class_rules::cases())
        .map(|case| case.rule)
        .chain(changes().iter().map(|change| change.rule))
        .chain(ELSEWHERE.iter().copied())
        .collect();
    let mut used = BTreeSet::new();
    for kind in Kind::ALL {
        let root = kind.schema();
        for (place, schema) in schema::walk(&root) {
            let count = schema[schema::RULES].as_array().map_or(0, Vec::len);
            assert_eq!(schema::messages(schema).count(), count, "{place} has a rule without a message");
            for message in schema::messages(schema) {
                let case = shown.iter().find(|rule| message.contains(**rule));
                used.insert(*case.unwrap_or_else(|| panic!("{place}: no case of the rule {message:?}")));
            }
        }
    }
    let unused: Vec<_> = shown.iter().filter(|rule| !used.contains(**rule)).collect();
    assert!(unused.is_empty(), "cases of rules that don't exist: {unused:?}");
}

fn changes() -> Vec<Change> {
    let snapshot =
        |name: &str| json!({"apiGroup": "snapshot.storage.k8s.io", "kind": "VolumeSnapshot", "name": name});
    vec![
        Change {
            rule: "spec.storage.storageClassName can't be changed",
            from: json!({"size": "1Gi", "storageClassName": "fast"}),
            accepted: vec![
                json!({"storageClassName": "fast", "size": "2Gi"}),
                json!(null),
                json!({"size": null, "storageClassName": null, "existingClaim": "mine"}),
            ],
            refused: vec![json!({"storageClassName": "slow"}), json!({"storageClassName": null})],
        },
        Change {
            rule: "spec.storage.storageClassName can't be changed",
            from: json!({"existingClaim": "mine"}),
            accepted: vec![json!({"existingClaim": null, "size": "1Gi", "storageClassName": "fast"})],
            refused: vec![],
        },
        Change {
            rule: "spec.storage.storageClassName can't be changed",
            from: json!({"size": "1Gi"}),
            accepted: vec![
                json!({"whenDeleted": "Delete"}),
                json!({"mountPath": "/data"}),
                json!({"size": "512Mi"}),
            ],
            refused: vec![json!({"storageClassName": "fast"})],
        },
        Change {
            rule: "spec.storage.accessModes can't be changed",
            from: json!({"size": "1Gi", "accessModes": ["ReadWriteOnce", "ReadWriteMany"]}),
            // A set has no order.
            accepted: vec![json!({"accessModes": ["ReadWriteMany", "ReadWriteOnce"]})],
            refused: vec![json!({"accessModes": ["ReadWriteOnce"]}), json!({"accessModes": null})],
        },
        Change {
            rule: "spec.storage.accessModes can't be changed",
            from: json!({"size": "1Gi"}),
            accepted: vec![],
            refused: vec![json!({"accessModes": ["ReadWriteMany"]})],
        },
        Change {
            rule: "spec.storage.dataSourceRef can't be changed",
            from: json!({"size": "1Gi", "dataSourceRef": snapshot("one")}),
            accepted: vec![json!({"dataSourceRef": snapshot("one"), "size": "2Gi"})],
            refused: vec![json!({"dataSourceRef": {"name": "two"}}), json!({"dataSourceRef": null})],
        },
        Change {
            rule: "spec.storage.dataSourceRef can't be changed",
            from: json!({"size": "1Gi"}),
            accepted: vec![],
            refused: vec![json!({"dataSourceRef": snapshot("one")})],
        },
    ]
}

fn cases() -> Vec<Case> {
    let mut cases = volume();
    cases.extend(environment());
    cases.extend(probes());
    cases.extend(container());
    cases.extend(pod_metadata());
    cases
}

fn volume() -> Vec<Case> {
    let storage = |storage: Value| json!({"storage": storage});
    let existing = |field: &str, value: Value| storage(json!({"existingClaim": "mine", field: value}));
    let source = json!({"kind": "PersistentVolumeClaim", "name": "other"});
    vec![
        Case {
            rule: "size and existingClaim exclude each other",
            field: "storage",
            accepted: vec![
                storage(json!({"size": "1Gi"})),
                storage(json!({"existingClaim": "mine"})),
                storage(json!({})),
            ],
            refused: vec![existing("size", json!("1Gi"))],
        },
        Case {
            rule: "existingClaim goes with mountPath only",
            field: "storage",
            accepted: vec![existing("mountPath", json!("/data"))],
            refused: vec![
                existing("storageClassName", json!("fast")),
                existing("accessModes", json!(["ReadWriteOnce"])),
                existing("dataSourceRef", source.clone()),
                existing("whenDeleted", json!("Retain")),
            ],
        },
        Case {
            rule: "size must be a quantity greater than zero",
            field: "storage",
            accepted: ["1", "1m", "0.5", "10Gi", "1e3"].map(|size| storage(json!({"size": size}))).into(),
            refused: vec![
                storage(json!({"size": "0"})),
                storage(json!({"size": 0})),
                storage(json!({"size": -1})),
                storage(json!({"size": "0Gi"})),
                // It looks like one, and the API server's own parser knows better.
                storage(json!({"size": "1e1.5"})),
            ],
        },
        Case {
            rule: "mountPath must lead below `/`, without `..`",
            field: "storage",
            accepted: ["/data", "/home/me/", "/a..b/..c", "/.config"]
                .map(|path| storage(json!({"mountPath": path})))
                .into(),
            refused: ["/", "//", "/.", "/..", "/../etc", "/data/..", "/data/../etc"]
                .map(|path| storage(json!({"mountPath": path})))
                .into(),
        },
        Case {
            rule: "ReadWriteOncePod stands alone in accessModes",
            field: "storage",
            accepted: vec![
                storage(json!({"accessModes": ["ReadWriteOncePod"]})),
                storage(json!({"accessModes": ["ReadWriteOnce", "ReadWriteMany"]})),
                storage(json!({"accessModes": []})),
            ],
            refused: vec![storage(json!({"accessModes": ["ReadWriteOnce", "ReadWriteOncePod"]}))],
        },
        Case {
            rule: "without apiGroup the kind must be PersistentVolumeClaim",
            field: "storage.dataSourceRef",
            accepted: vec![
                storage(json!({"dataSourceRef": source})),
                storage(json!({"dataSourceRef": {"apiGroup": "a.b", "kind": "C", "name": "d"}})),
            ],
            refused: vec![
                storage(json!({"dataSourceRef": {"kind": "VolumeSnapshot", "name": "d"}})),
                storage(json!({"dataSourceRef": {"apiGroup": "", "kind": "VolumeSnapshot", "name": "d"}})),
            ],
        },
    ]
}

fn environment() -> Vec<Case> {
    let env = |variable: Value| json!({"env": [variable]});
    let env_from = |source: Value| json!({"envFrom": [source]});
    let key = json!({"name": "a", "key": "b"});
    vec![
        Case {
            rule: "value and valueFrom exclude each other",
            field: "env[0]",
            accepted: vec![
                env(json!({"name": "A"})),
                env(json!({"name": "A", "value": "a"})),
                env(json!({"name": "A", "value": "", "valueFrom": {"secretKeyRef": key}})),
            ],
            refused: vec![env(json!({"name": "A", "value": "a", "valueFrom": {"secretKeyRef": key}}))],
        },
        Case {
            rule: "exactly one of configMapKeyRef, fieldRef, fileKeyRef, resourceFieldRef, secretKeyRef",
            field: "env[0].valueFrom",
            accepted: vec![
                env(json!({"name": "A", "valueFrom": {"configMapKeyRef": key}})),
                env(json!({"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}})),
                env(
                    json!({"name": "A", "valueFrom": {"fileKeyRef": {"volumeName": "v", "path": "p", "key": "k"}}}),
                ),
                env(json!({"name": "A", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}})),
                env(json!({"name": "A", "valueFrom": {"secretKeyRef": key}})),
            ],
            refused: vec![
                env(json!({"name": "A", "valueFrom": {}})),
                env(json!({"name": "A", "valueFrom": {"secretKeyRef": key, "configMapKeyRef": key}})),
            ],
        },
        Case {
            rule: "exactly one of configMapRef, secretRef",
            field: "envFrom[0]",
            accepted: vec![
                env_from(json!({"configMapRef": {"name": "a"}})),
                env_from(json!({"secretRef": {"name": "a"}, "prefix": "A_"})),
            ],
            refused: vec![
                env_from(json!({})),
                env_from(json!({"configMapRef": {"name": "a"}, "secretRef": {"name": "a"}})),
            ],
        },
    ]
}

fn probes() -> Vec<Case> {
    let of = |name: &str, probe: Value| json!({name: probe});
    let mut cases: Vec<Case> = ["startupProbe", "readinessProbe", "livenessProbe"]
        .map(|name| Case {
            rule: "exactly one of exec, grpc, httpGet, tcpSocket",
            field: name,
            accepted: vec![
                of(name, json!({"exec": {"command": ["true"]}})),
                of(name, json!({"grpc": {"port": 1}})),
                of(name, json!({"httpGet": {"port": "http"}})),
                of(name, json!({"tcpSocket": {"port": 80}, "periodSeconds": 1})),
            ],
            refused: vec![
                of(name, json!({})),
                of(name, json!({"periodSeconds": 1})),
                of(name, json!({"grpc": {"port": 1}, "tcpSocket": {"port": 1}})),
            ],
        })
        .into();
    cases.push(Case {
        rule: "terminationGracePeriodSeconds goes with startup and liveness probes only",
        field: "readinessProbe.terminationGracePeriodSeconds",
        accepted: vec![of("livenessProbe", json!({"grpc": {"port": 1}, "terminationGracePeriodSeconds": 1}))],
        refused: vec![of("readinessProbe", json!({"grpc": {"port": 1}, "terminationGracePeriodSeconds": 1}))],
    });
    cases
}

fn container() -> Vec<Case> {
    let resources =
        |requests: Value, limits: Value| json!({"resources": {"requests": requests, "limits": limits}});
    vec![
        Case {
            rule: "each name of a port may be given once",
            field: "ports",
            accepted: vec![
                json!({"ports": [{"containerPort": 80, "name": "a"}, {"containerPort": 81, "name": "b"}]}),
                json!({"ports": [{"containerPort": 80}, {"containerPort": 81}]}),
            ],
            refused: vec![
                json!({"ports": [{"containerPort": 80, "name": "a"}, {"containerPort": 81, "name": "a"}]}),
            ],
        },
        Case {
            rule: "a request may not exceed its limit",
            field: "resources",
            accepted: vec![
                resources(json!({"cpu": "500m", "memory": "1Gi"}), json!({"cpu": 1, "memory": "1024Mi"})),
                resources(json!({"cpu": 2}), json!({"memory": "1Gi"})),
                json!({"resources": {"requests": {"cpu": 2}}}),
                json!({"resources": {"limits": {"cpu": 2}}}),
            ],
            refused: vec![
                resources(json!({"cpu": 2}), json!({"cpu": 1})),
                resources(json!({"cpu": "1001m"}), json!({"cpu": 1})),
                resources(json!({"cpu": 1, "memory": "2Gi"}), json!({"cpu": 1, "memory": "2G"})),
            ],
        },
    ]
}

fn pod_metadata() -> Vec<Case> {
    let labels = |key: &str| json!({"podTemplate": {"metadata": {"labels": {key: "a"}}}});
    let annotations = |key: &str| json!({"podTemplate": {"metadata": {"annotations": {key: "any text"}}}});
    let nobodys = ["team", "example.com/team", "notworkspaces.dev/team", "app.kubernetes.io/part-of"];
    let ours = ["workspaces.dev/workspace", "hold.workspaces.dev/me"];
    let malformed = ["", "two words", "a/b/c", "-a", "Example.com/a", "/a", "a/"];
    vec![
        Case {
            rule: "labels of workspaces.dev, app.kubernetes.io/name and app.kubernetes.io/managed-by belong",
            field: "podTemplate.metadata",
            accepted: nobodys.map(labels).into(),
            refused: ours
                .iter()
                .chain(&["app.kubernetes.io/name", "app.kubernetes.io/managed-by"])
                .map(|key| labels(key))
                .collect(),
        },
        Case {
            rule: "annotations of workspaces.dev belong to the operator",
            field: "podTemplate.metadata",
            accepted: nobodys.map(annotations).into(),
            refused: ours.map(annotations).into(),
        },
        Case {
            rule: "each label must have a qualified name",
            field: "podTemplate.metadata",
            accepted: vec![labels(&"a".repeat(63))],
            refused: malformed.iter().copied().chain([&*"a".repeat(64)]).map(labels).collect(),
        },
        Case {
            rule: "each annotation must have a qualified name",
            field: "podTemplate.metadata",
            accepted: vec![annotations(&"a".repeat(63))],
            refused: malformed.map(annotations).into(),
        },
    ]
}
