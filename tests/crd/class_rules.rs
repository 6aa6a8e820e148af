//! The rules on a class itself, beyond those on the defaults it gives.

use serde_json::{Value, json};

use crate::{
    ground::{Ground, Kind},
    rules::Case,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_rule_on_a_class_accepts_and_refuses() {
    let ground = Ground::up().await;
    let kind = Kind::WorkspaceClass;
    for case in cases() {
        for spec in case.accepted {
            ground.try_create(kind, &kind.object("probe", spec.clone())).await.accepted(&spec.to_string());
        }
        for spec in case.refused {
            let answer = ground.try_create(kind, &kind.object("probe", spec.clone())).await;
            answer.is_refused_at(case.field, case.rule).unwrap_or_else(|said| panic!("{spec} {said}"));
        }
    }
}

/// Fields are those of the whole class here.
pub fn cases() -> Vec<Case> {
    let mut cases = fields();
    cases.extend(selectors());
    cases
}

fn fields() -> Vec<Case> {
    let images = |pattern: Value| json!({"bounds": {"images": {"allowed": [pattern]}}});
    let network = json!({"ingressNamespaces": ["ingress"]});
    vec![
        Case {
            rule: "podTemplate, podSecurity, userNamespace and networkPolicy speak of a Pod, and backend External has none",
            field: "spec",
            accepted: vec![
                json!({"backend": "External", "bounds": {"serviceAccounts": ["robot"]}}),
                json!({"backend": "Pod", "podSecurity": "Restricted"}),
            ],
            refused: vec![
                json!({"backend": "External", "podTemplate": {"metadata": {"labels": {"a": "b"}}}}),
                json!({"backend": "External", "podSecurity": "Baseline"}),
                json!({"backend": "External", "userNamespace": false}),
                json!({"backend": "External", "networkPolicy": "Unmanaged"}),
            ],
        },
        Case {
            rule: "defaults.podTemplate.spec: a class's overlay is its podTemplate",
            field: "spec",
            accepted: vec![
                json!({"podTemplate": {"spec": {"hostAliases": []}}}),
                json!({"defaults": {"podTemplate": {"metadata": {"labels": {"team": "a"}}}}}),
            ],
            refused: vec![json!({"defaults": {"podTemplate": {"spec": {}}}})],
        },
        Case {
            rule: "network goes with networkPolicy Managed only",
            field: "spec",
            accepted: vec![
                json!({"networkPolicy": "Managed", "network": network}),
                json!({"networkPolicy": "Managed"}),
                json!({"networkPolicy": "Unmanaged"}),
            ],
            refused: vec![
                json!({"network": network}),
                json!({"networkPolicy": "Unmanaged", "network": network}),
            ],
        },
        Case {
            rule: "exactly one of exact, prefix, registry must be set",
            field: "spec.bounds.images.allowed[0]",
            accepted: vec![
                images(json!({"exact": "busybox:1"})),
                images(json!({"prefix": "registry.test/team"})),
                images(json!({"registry": "registry.test:5000"})),
            ],
            refused: vec![
                images(json!({})),
                images(json!({"exact": "busybox:1", "registry": "registry.test"})),
                images(json!({"exact": "busybox:1", "prefix": "busybox", "registry": "registry.test"})),
            ],
        },
    ]
}

fn selectors() -> Vec<Case> {
    let label = |key: &str| json!({"allowedNamespaces": {"matchLabels": {key: "a"}}});
    let requirement =
        |requirement: Value| json!({"bounds": {"secrets": {"matchExpressions": [requirement]}}});
    let values = |operator: &str, values: Value| {
        requirement(json!({"key": "team", "operator": operator, "values": values}))
    };
    let malformed = ["", "two words", "a/b/c", "-a", "Example.com/a", "/a", "a/"];
    vec![
        Case {
            rule: "each label must have a qualified name",
            field: "spec.allowedNamespaces.matchLabels",
            accepted: ["team", "example.com/team"].map(label).into(),
            refused: malformed.map(label).into(),
        },
        Case {
            rule: "In and NotIn need values, Exists and DoesNotExist take none",
            field: "spec.bounds.secrets.matchExpressions[0]",
            accepted: vec![
                values("In", json!(["a", "b"])),
                values("NotIn", json!(["a"])),
                values("Exists", json!([])),
                requirement(json!({"key": "team", "operator": "DoesNotExist"})),
            ],
            refused: vec![
                values("In", json!([])),
                requirement(json!({"key": "team", "operator": "NotIn"})),
                values("Exists", json!(["a"])),
                values("DoesNotExist", json!(["a"])),
            ],
        },
    ]
}
