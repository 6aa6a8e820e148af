//! What the server adds to what it is given.

use k8s_openapi::api::{
    core::v1::{PersistentVolumeClaim, Pod, Service},
    networking::v1::NetworkPolicy,
};
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};

use crate::support::*;

pub async fn a_pod_is_completed(client: Client, ns: &str) {
    let api: Api<Pod> = Api::namespaced(client, ns);
    let given = json!({
        "metadata": { "name": "completed" },
        "spec": {
            "automountServiceAccountToken": false,
            "schedulingGates": [{ "name": "test/never" }],
            "volumes": [
                { "name": "s", "secret": { "secretName": "s" } },
                { "name": "t", "projected": { "sources": [{ "serviceAccountToken": { "path": "token", "audience": "x" } }] } },
                { "name": "e", "emptyDir": {} },
            ],
            "containers": [{
                "name": "main", "image": "example.com/ide:1",
                "ports": [{ "name": "http", "containerPort": 80 }],
                "env": [{ "name": "N", "valueFrom": { "fieldRef": { "fieldPath": "metadata.name" } } }],
                "resources": { "limits": { "cpu": "1", "memory": "1Gi" } },
                "readinessProbe": { "httpGet": { "port": "http" } },
                "livenessProbe": { "exec": { "command": ["true"] } },
            }],
        },
    });
    let pod = made(&api, &object(given)).await;
    let status = pod.status.clone().unwrap();
    assert_eq!((status.phase.as_deref(), status.qos_class.as_deref()), (Some("Pending"), Some("Guaranteed")));
    assert_eq!(pod.metadata.generation, Some(1));
    let mut spec = serde_json::to_value(pod.spec.unwrap()).unwrap();
    spec.as_object_mut().unwrap().remove("nodeSelector");
    let unready = |what: &str| {
        let key = format!("node.kubernetes.io/{what}");
        json!({ "key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300 })
    };
    let probe = |kind: &str, action: Value| {
        let mut probe =
            json!({ "timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3 });
        probe[kind] = action;
        probe
    };
    let token =
        json!({ "serviceAccountToken": { "path": "token", "audience": "x", "expirationSeconds": 3600 } });
    let expected = json!({
        "automountServiceAccountToken": false,
        "containers": [{
            "name": "main", "image": "example.com/ide:1", "imagePullPolicy": "IfNotPresent",
            "ports": [{ "name": "http", "containerPort": 80, "protocol": "TCP" }],
            "env": [{ "name": "N", "valueFrom": { "fieldRef": { "apiVersion": "v1", "fieldPath": "metadata.name" } } }],
            "resources": { "limits": { "cpu": "1", "memory": "1Gi" }, "requests": { "cpu": "1", "memory": "1Gi" } },
            "readinessProbe": probe("httpGet", json!({ "path": "/", "port": "http", "scheme": "HTTP" })),
            "livenessProbe": probe("exec", json!({ "command": ["true"] })),
            "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
        }],
        "dnsPolicy": "ClusterFirst", "enableServiceLinks": true, "preemptionPolicy": "PreemptLowerPriority",
        "priority": 0, "restartPolicy": "Always", "schedulerName": "default-scheduler",
        "schedulingGates": [{ "name": "test/never" }], "securityContext": {},
        "serviceAccount": "default", "serviceAccountName": "default", "terminationGracePeriodSeconds": 30,
        "tolerations": [unready("not-ready"), unready("unreachable")],
        "volumes": [
            { "name": "s", "secret": { "secretName": "s", "defaultMode": 420 } },
            { "name": "t", "projected": { "sources": [token], "defaultMode": 420 } },
            { "name": "e", "emptyDir": {} },
        ],
    });
    assert_eq!(spec, expected);
}

pub async fn a_claim_is_completed_and_guarded(client: Client, ns: &str) {
    let api: Api<PersistentVolumeClaim> = Api::namespaced(client, ns);
    let claim = made(&api, &claim("completed")).await;
    assert_eq!(claim.status.unwrap().phase.as_deref(), Some("Pending"));
    let spec = claim.spec.unwrap();
    assert_eq!(spec.volume_mode.as_deref(), Some("Filesystem"));
    assert!(spec.storage_class_name.is_some());
    let modes = Patch::Merge(json!({ "spec": { "accessModes": ["ReadOnlyMany"] } }));
    assert_eq!(refusal(api.patch("completed", &PatchParams::default(), &modes).await), 422);
}

pub async fn a_service_is_completed(client: Client, ns: &str) {
    let api: Api<Service> = Api::namespaced(client, ns);
    let given = json!({
        "metadata": { "name": "completed" },
        "spec": { "clusterIP": "None", "selector": { "a": "b" }, "ports": [{ "name": "http", "port": 80 }] },
    });
    let service = made(&api, &object(given)).await;
    let expected = json!({
        "clusterIP": "None", "clusterIPs": ["None"], "internalTrafficPolicy": "Cluster",
        "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack",
        "ports": [{ "name": "http", "port": 80, "protocol": "TCP", "targetPort": 80 }],
        "selector": { "a": "b" }, "sessionAffinity": "None", "type": "ClusterIP",
    });
    assert_eq!(serde_json::to_value(service.spec.unwrap()).unwrap(), expected);
    let address = Patch::Merge(json!({ "spec": { "clusterIP": "10.96.77.77" } }));
    assert_eq!(refusal(api.patch("completed", &PatchParams::default(), &address).await), 422);
}

pub async fn a_network_policy_is_left_as_it_is(client: Client, ns: &str) {
    let api: Api<NetworkPolicy> = Api::namespaced(client, ns);
    let spec = json!({
        "podSelector": { "matchLabels": { "a": "b" } },
        "policyTypes": ["Ingress"],
        "ingress": [{ "ports": [{ "port": 80, "protocol": "TCP" }] }],
    });
    let policy = made(&api, &object(json!({ "metadata": { "name": "plain" }, "spec": spec }))).await;
    assert_eq!(policy.metadata.generation, Some(1));
    assert_eq!(serde_json::to_value(policy.spec.unwrap()).unwrap(), spec);
}
