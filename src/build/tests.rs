//! Every child as it is for a few specs, and laws over all.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{
    api::{IncarnationNumber, WorkspaceStatus},
    claim::Claim,
    fixtures,
    resolve::Effective,
};

fn owner() -> Owner {
    Owner { name: "x".into(), namespace: "ns".into(), uid: "owner-uid".into() }
}

fn effective(spec: Value) -> Effective {
    fixtures::situation(spec, WorkspaceStatus::default()).desired.effective.unwrap()
}

fn pod_of(spec: Value) -> k8s_openapi::api::core::v1::Pod {
    let effective = effective(spec);
    pod::pod(&owner(), &effective, &Claim::new(IncarnationNumber(2), Some(5), None, &effective), None)
}

fn minimal() -> Value {
    json!({"image": "registry.example/a:1"})
}

fn full() -> Value {
    json!({
        "image": "registry.example/a:1",
        "imagePullPolicy": "Always",
        "imagePullSecrets": [{"name": "pull"}],
        "command": ["run"], "args": ["--fast"], "workingDir": "/src",
        "env": [{"name": "A", "value": "1"}, {"name": "B", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}],
        "envFrom": [{"configMapRef": {"name": "c"}}],
        "ports": [{"containerPort": 8080, "name": "http"}, {"containerPort": 53, "protocol": "UDP"}],
        "resources": {"requests": {"cpu": 1}, "limits": {"memory": "1Gi"}},
        "securityContext": {"runAsNonRoot": true},
        "readinessProbe": {"httpGet": {"path": "/", "port": 8080}},
        "storage": {"size": "10Gi", "storageClassName": "fast", "mountPath": "/data", "whenDeleted": "Delete"},
        "service": {"type": "ClusterIP"},
        "terminationGracePeriodSeconds": 5,
        "serviceAccountName": "robot",
        "podTemplate": {"metadata": {"labels": {"team": "a"}, "annotations": {"note": "b"}}},
    })
}

#[test]
fn the_pod_of_a_minimal_workspace() {
    insta::assert_yaml_snapshot!(pod_of(minimal()));
}

#[test]
fn the_pod_of_a_full_workspace() {
    insta::assert_yaml_snapshot!(pod_of(full()));
}

#[test]
fn the_pod_with_an_existing_claim() {
    insta::assert_yaml_snapshot!(pod_of(json!({"image": "a:1", "storage": {"existingClaim": "mine"}})));
}

#[test]
fn the_services() {
    let headless = json!({"image": "a:1", "ports": [{"containerPort": 80}]});
    insta::assert_yaml_snapshot!([
        service::service(&owner(), &effective(headless)),
        service::service(&owner(), &effective(full()))
    ]);
    assert_eq!(service::service(&owner(), &effective(minimal())), None);
}

#[test]
fn the_volume_claims() {
    let retained = effective(json!({"image": "a:1", "storage": {"size": "1Gi"}}));
    let deleted = effective(full());
    insta::assert_yaml_snapshot!([
        volume_claim::volume_claim(&owner(), retained.own_volume().unwrap()),
        volume_claim::volume_claim(&owner(), deleted.own_volume().unwrap()),
    ]);
}

#[test]
fn the_disruption_budget() {
    insta::assert_yaml_snapshot!(disruption_budget::disruption_budget(&owner()));
}

#[test]
fn the_probe() {
    let effective = effective(full());
    let mut probe = probe::probe(&owner(), &effective, &effective.images(), "node-7", "q");
    for word in
        probe.spec.iter_mut().flat_map(|spec| &mut spec.containers).filter_map(|it| it.command.as_mut())
    {
        word[0] = word[0].trim_end_matches('-').to_owned();
    }
    insta::assert_yaml_snapshot!(probe);
}

proptest! {
    #[test]
    fn nothing_a_workspace_adds_displaces_what_is_ours(key in "[a-z/.]{1,20}", value in "[a-z]{0,5}") {
        let pod = pod_of(json!({"image": "a:1", "podTemplate": {"metadata": {
            "labels": {key.clone(): value.clone(), "workspaces.dev/workspace": "other"},
            "annotations": {key: value, "workspaces.dev/claim": "{}"}}}}));
        let labels = pod.metadata.labels.unwrap();
        for (key, value) in owner().labels() {
            prop_assert_eq!(labels.get(&key), Some(&value));
        }
        let claim = &pod.metadata.annotations.unwrap()["workspaces.dev/claim"];
        prop_assert_ne!(claim, "{}");
    }

    #[test]
    fn building_twice_gives_the_same(image in "[a-z]{1,9}:[0-9]{1,3}", port in 1..65535_i32) {
        let spec = json!({"image": image, "ports": [{"containerPort": port}]});
        prop_assert_eq!(pod_of(spec.clone()), pod_of(spec));
    }
}

#[test]
fn an_empty_selector_of_a_class_is_written_as_the_api_server_answers_it() {
    let peers = json!([{"matchLabels": {}}, {"matchExpressions": [{"key": "a", "operator": "Exists", "values": []}]}]);
    let network = serde_json::from_value(json!({"peers": peers})).unwrap();
    let policy = json!(network_policy::network_policy(&owner(), &network, None, None, "operator"));
    let from = &policy["spec"]["ingress"][0]["from"];
    assert_eq!(from[0], json!({"podSelector": {}}));
    assert_eq!(from[1], json!({"podSelector": {"matchExpressions": [{"key": "a", "operator": "Exists"}]}}));
}

#[test]
fn the_operator_comes_in_where_it_asks_and_nowhere_else() {
    let network = serde_json::from_value(json!({"peers": [{}]})).unwrap();
    let policy = json!(network_policy::network_policy(&owner(), &network, Some(8888), None, "operators"));
    let rule = &policy["spec"]["ingress"][1];
    assert_eq!(rule["ports"], json!([{"protocol": "TCP", "port": 8888}]));
    let from = &rule["from"][0];
    assert_eq!(from["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"], "operators");
    assert_eq!(from["podSelector"]["matchLabels"]["app.kubernetes.io/name"], "workspace-operator");
}

/// Whoever builds the image chooses what lies in it, and no network policy has the probe.
#[test]
fn no_image_can_bring_the_program_of_the_probe() {
    let effective = effective(full());
    let probe = probe::probe(&owner(), &effective, &effective.images(), "node-7", "q");
    for container in probe.spec.unwrap().containers {
        let command = container.command.unwrap();
        assert!(command[0].starts_with('/') && command[0].len() >= 4096, "a path that a node could follow");
    }
}
