use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::PodSpec;
use serde_json::{Value, json};

use super::*;

/// What is asked for, by a workspace of a class without defaults.
fn finding(bounds: Value, spec: Value, overlay: Value, labels: &[(Referent, Labels)]) -> Option<Finding> {
    let bounds = Bounds::parse(&serde_json::from_value(bounds).unwrap()).unwrap();
    let spec: WorkspaceSpec = serde_json::from_value(spec).unwrap();
    let overlay = overlay_of(overlay);
    let labels: BTreeMap<_, _> = labels.iter().cloned().collect();
    let class_containers = BTreeSet::from(["proxy".to_owned()]);
    let asked = Asked {
        spec: &spec,
        own: &spec,
        overlay: overlay.as_ref(),
        class_containers: &class_containers,
        labels: Some(&labels),
    };
    bounds.check(&asked).err()
}

fn overlay_of(mut overlay: Value) -> Option<PodSpec> {
    if !overlay.is_null() && overlay.get("containers").is_none() {
        overlay["containers"] = json!([]);
    }
    serde_json::from_value(overlay).unwrap()
}

/// The message, or nothing where all is inside.
fn message(bounds: Value, spec: Value, overlay: Value) -> String {
    finding(bounds, spec, overlay, &[]).map(|finding| finding.to_string()).unwrap_or_default()
}

fn field(bounds: Value, spec: Value, overlay: Value) -> String {
    match finding(bounds, spec, overlay, &[]) {
        Some(Finding::Outside(outside)) => outside.field,
        Some(Finding::Missing(missing)) => missing.field,
        None => String::new(),
    }
}

fn referent(kind: ReferentKind, name: &str) -> Referent {
    Referent { kind, name: name.into() }
}

fn present(kind: ReferentKind, name: &str, team: &str) -> (Referent, Labels) {
    let labels = BTreeMap::from([("team".to_owned(), team.to_owned())]);
    (referent(kind, name), Labels::Present(labels))
}

#[test]
fn without_bounds_everything_goes() {
    let spec = json!({"image": "sha256:dead", "storage": {"size": "9Pi", "existingClaim": "c"}, "serviceAccountName": "root"});
    assert_eq!(message(json!({}), spec, Value::Null), "");
}

#[test]
fn a_message_names_field_value_and_bound() {
    for (bounds, spec, expected) in [
        (
            json!({"images": {"allowed": [{"exact": "b:1"}, {"prefix": "r.io/team/"}, {"registry": "q.io"}]}}),
            json!({"image": "a"}),
            r#"spec.image: "a" is outside of bounds.images.allowed (allowed: docker.io/library/b:1, what begins with r.io/team/, registry q.io)"#,
        ),
        (
            json!({"resources": {"max": {"cpu": "4"}}}),
            json!({"resources": {"limits": {"cpu": "5"}}}),
            r#"spec.resources.limits.cpu: "5" is outside of bounds.resources.max.cpu (at most 4)"#,
        ),
        (
            json!({"resources": {"max": {"cpu": "4"}}}),
            json!({}),
            "spec.resources.limits.cpu: no limit is outside of bounds.resources.max.cpu (at most 4)",
        ),
        (
            json!({"resources": {"min": {"memory": "1Gi"}}}),
            json!({}),
            "spec.resources.requests.memory: none is outside of bounds.resources.min.memory (at least 1Gi)",
        ),
        (
            json!({"storage": {"max": "1Gi"}}),
            json!({"storage": {"size": "1025Mi"}}),
            r#"spec.storage.size: "1025Mi" is outside of bounds.storage.max (at most 1Gi)"#,
        ),
        (
            json!({"storageClasses": ["fast"]}),
            json!({"storage": {"size": "1Gi"}}),
            "spec.storage.storageClassName: none is outside of bounds.storageClasses (allowed: fast); one has to be named",
        ),
        (
            json!({"serviceAccounts": ["builder"]}),
            json!({}),
            r#"spec.serviceAccountName: "default" is outside of bounds.serviceAccounts (allowed: builder)"#,
        ),
        (
            json!({"secrets": {"matchLabels": {"team": "a"}}}),
            json!({"imagePullSecrets": [{"name": "s"}]}),
            r#"spec.imagePullSecrets[0]: "s" is outside of bounds.secrets (team=a): the operator may not read it, so its labels can't be checked"#,
        ),
    ] {
        assert_eq!(message(bounds, spec, Value::Null), expected);
    }
}

#[test]
fn a_message_stays_short_whatever_was_written() {
    let endless = "a".repeat(100_000);
    let overlay = json!({"containers": [{"name": endless, "image": endless}]});
    let text = message(json!({"images": {"allowed": []}}), json!({}), overlay);
    assert!(text.len() < 2000, "{}", text.len());
}

#[test]
fn every_image_of_the_overlay_is_checked() {
    let bounds = json!({"images": {"allowed": [{"registry": "r.io"}]}});
    let good = json!({"containers": [{"name": "proxy", "image": "r.io/a"}, {"name": "main"}],
        "initContainers": [{"name": "i", "image": "r.io/b"}], "volumes": [{"name": "v", "image": {"reference": "r.io/c"}}]});
    assert_eq!(message(bounds.clone(), json!({"image": "r.io/m"}), good.clone()), "");
    for (place, path) in [
        ("/containers/0/image", "spec.podTemplate.spec.containers[proxy].image"),
        ("/initContainers/0/image", "spec.podTemplate.spec.initContainers[i].image"),
        ("/volumes/0/image/reference", "spec.podTemplate.spec.volumes[v].image.reference"),
    ] {
        let mut bad = good.clone();
        *bad.pointer_mut(place).unwrap() = json!("evil.io/a");
        assert_eq!(field(bounds.clone(), json!({"image": "r.io/m"}), bad), path);
    }
}

#[test]
fn resources_are_added_up_over_what_the_workspace_brings() {
    let bounds = json!({"resources": {"max": {"cpu": "4"}}});
    let spec = json!({"resources": {"limits": {"cpu": "2"}}});
    let limit = |cpu: &str| json!({"limits": {"cpu": cpu}});
    for (overlay, is_inside) in [
        (json!({"containers": [{"name": "s", "resources": limit("2")}]}), true),
        (json!({"containers": [{"name": "s", "resources": limit("2001m")}]}), false),
        (json!({"containers": [{"name": "s"}]}), false),
        (json!({"containers": [{"name": "s", "resources": {"requests": {"cpu": "1"}}}]}), false),
        (
            json!({"initContainers": [{"name": "s", "restartPolicy": "Always", "resources": limit("3")}]}),
            false,
        ),
        (json!({"initContainers": [{"name": "i", "resources": limit("4")}]}), true),
        (json!({"initContainers": [{"name": "i", "resources": limit("5")}]}), false),
        (json!({"initContainers": [{"name": "i"}]}), false),
        (
            json!({"initContainers": [{"name": "s", "restartPolicy": "Always", "resources": limit("2")}, {"name": "i", "resources": limit("3")}]}),
            false,
        ),
        (
            json!({"initContainers": [{"name": "i", "resources": limit("3")}, {"name": "s", "restartPolicy": "Always", "resources": limit("2")}]}),
            true,
        ),
        (json!({"containers": [{"name": "s", "resources": limit("-9")}]}), false),
        (json!({"containers": [{"name": "s", "resources": limit("9999999999999999999999999999Pi")}]}), false),
        (json!({"resources": limit("4")}), true),
        (json!({"resources": limit("5")}), false),
        (json!({"resources": {"requests": {"cpu": "5"}}}), false),
    ] {
        let text = message(bounds.clone(), spec.clone(), overlay.clone());
        assert_eq!(text.is_empty(), is_inside, "{overlay} {text}");
    }
}

#[test]
fn of_a_class_s_container_only_what_the_workspace_sets_counts() {
    let bounds = json!({"resources": {"max": {"cpu": "4"}}});
    let spec = json!({"resources": {"limits": {"cpu": "2"}}});
    for (overlay, is_inside) in [
        (json!({"containers": [{"name": "proxy", "env": []}]}), true),
        (json!({"containers": [{"name": "proxy", "resources": {"limits": {"cpu": "2"}}}]}), true),
        (json!({"containers": [{"name": "proxy", "resources": {"limits": {"cpu": "3"}}}]}), false),
        (json!({"containers": [{"name": "proxy", "resources": {"requests": {"cpu": "3"}}}]}), false),
        (json!({"initContainers": [{"name": "proxy", "resources": {"limits": {"cpu": "3"}}}]}), false),
        (json!({"containers": [{"name": "main", "resources": {"limits": {"cpu": "3"}}}]}), false),
    ] {
        let text = message(bounds.clone(), spec.clone(), overlay.clone());
        assert_eq!(text.is_empty(), is_inside, "{overlay} {text}");
    }
}

#[test]
fn an_extended_resource_that_is_missing_counts_as_none() {
    let bounds = json!({"resources": {"max": {"nvidia.com/gpu": "1"}}});
    assert_eq!(message(bounds.clone(), json!({}), Value::Null), "");
    let two = json!({"resources": {"limits": {"nvidia.com/gpu": "2"}}});
    assert_eq!(field(bounds, two, Value::Null), "spec.resources.limits.nvidia.com/gpu");
    let required = json!({"resources": {"min": {"nvidia.com/gpu": "1"}}});
    assert_ne!(message(required, json!({}), Value::Null), "");
}

#[test]
fn a_missing_request_counts_as_its_limit() {
    let bounds = json!({"resources": {"min": {"memory": "1Gi"}}});
    for (resources, is_inside) in [
        (json!({"limits": {"memory": "1073741824"}}), true),
        (json!({"limits": {"memory": "2Gi"}, "requests": {"memory": "1023Mi"}}), false),
    ] {
        let text = message(bounds.clone(), json!({"resources": resources}), Value::Null);
        assert_eq!(text.is_empty(), is_inside, "{text}");
    }
}

#[test]
fn volumes_are_as_large_and_of_such_a_class_as_allowed() {
    let bounds = json!({"storage": {"min": "1Gi", "max": "10Gi"}, "storageClasses": ["fast"]});
    let own = |size: &str, class: &str| json!({"storage": {"size": size, "storageClassName": class}});
    let ephemeral = |size: &str, class: &str| {
        json!({"volumes": [{"name": "v", "ephemeral": {"volumeClaimTemplate": {"spec":
            {"storageClassName": class, "resources": {"requests": {"storage": size}}}}}}]})
    };
    for (spec, overlay, is_inside) in [
        (json!({}), Value::Null, true),
        (json!({"storage": {"existingClaim": "c"}}), Value::Null, true),
        (own("1Gi", "fast"), Value::Null, true),
        (own("10Gi", "fast"), Value::Null, true),
        (own("10241Mi", "fast"), Value::Null, false),
        (own("1023Mi", "fast"), Value::Null, false),
        (own("1Gi", "slow"), Value::Null, false),
        (json!({}), ephemeral("10Gi", "fast"), true),
        (json!({}), ephemeral("11Gi", "fast"), false),
        (json!({}), ephemeral("1Gi", ""), false),
        (json!({}), json!({"volumes": [{"name": "v", "emptyDir": {"sizeLimit": "99Gi"}}]}), true),
    ] {
        let text = message(bounds.clone(), spec.clone(), overlay.clone());
        assert_eq!(text.is_empty(), is_inside, "{spec} {overlay} {text}");
    }
}

#[test]
fn an_account_can_t_be_named_behind_the_bound_s_back() {
    let bounds = json!({"serviceAccounts": ["default", "builder"]});
    for (spec, overlay, is_inside) in [
        (json!({}), Value::Null, true),
        (json!({"serviceAccountName": "builder"}), Value::Null, true),
        (json!({"serviceAccountName": "admin"}), Value::Null, false),
        (json!({}), json!({"serviceAccount": "admin"}), false),
        (json!({}), json!({"serviceAccountName": "admin"}), false),
    ] {
        assert_eq!(message(bounds.clone(), spec, overlay.clone()).is_empty(), is_inside, "{overlay}");
    }
}

/// Everything a workspace can refer to, each object by a name of its own.
fn everything() -> (WorkspaceSpec, PodSpec) {
    let environment = |name: &str| {
        json!([{"name": "A", "valueFrom": {"secretKeyRef": {"name": format!("{name}-key"), "key": "k"}}},
            {"name": "B", "valueFrom": {"configMapKeyRef": {"name": format!("{name}-key"), "key": "k"}}}])
    };
    let bulk = |name: &str| {
        json!([{"secretRef": {"name": format!("{name}-all"), "optional": true}},
            {"configMapRef": {"name": format!("{name}-all")}}])
    };
    let spec = json!({
        "env": environment("own"), "envFrom": bulk("own"), "imagePullSecrets": [{"name": "pull"}],
        "storage": {"size": "1Gi", "existingClaim": "claim", "dataSourceRef": {"kind": "PersistentVolumeClaim", "name": "copied"}}
    });
    let secret = json!({"name": "other"});
    let template = json!({"spec": {"dataSourceRef": {"kind": "PersistentVolumeClaim", "name": "ephemeral"},
        "dataSource": {"kind": "PersistentVolumeClaim", "name": "former"}}});
    let overlay = json!({
        "containers": [{"name": "main", "env": environment("main"), "envFrom": bulk("main")}],
        "initContainers": [{"name": "i", "env": environment("init"), "envFrom": bulk("init")}],
        "imagePullSecrets": [{"name": "overlay-pull"}],
        "volumes": [
            {"name": "a", "secret": {"secretName": "mounted"}},
            {"name": "b", "configMap": {"name": "mounted"}},
            {"name": "c", "projected": {"sources": [{"secret": {"name": "projected"}}, {"configMap": {"name": "projected"}}]}},
            {"name": "d", "persistentVolumeClaim": {"claimName": "mounted"}},
            {"name": "e", "ephemeral": {"volumeClaimTemplate": template}},
            {"name": "f", "csi": {"driver": "d", "nodePublishSecretRef": {"name": "csi"}}},
            {"name": "g", "azureFile": {"secretName": "azure", "shareName": "s"}},
            {"name": "h", "cephfs": {"monitors": [], "secretRef": {"name": "ceph"}}},
            {"name": "i", "iscsi": {"iqn": "i", "lun": 0, "targetPortal": "t", "secretRef": {"name": "iscsi"}}},
            {"name": "j", "rbd": {"image": "i", "monitors": [], "secretRef": {"name": "rbd"}}},
            {"name": "k", "flexVolume": {"driver": "d", "secretRef": {"name": "flex"}}},
            {"name": "l", "scaleIO": {"gateway": "g", "system": "s", "secretRef": {"name": "scale"}}},
            {"name": "m", "storageos": {"secretRef": {"name": "storage"}}},
            {"name": "n", "cinder": {"volumeID": "v", "secretRef": secret}}
        ]
    });
    (serde_json::from_value(spec).unwrap(), serde_json::from_value(overlay).unwrap())
}

#[test]
fn no_way_to_refer_to_an_object_is_forgotten() {
    let (spec, overlay) = everything();
    let all = referents(&spec, Some(&overlay));
    let names = |kind: ReferentKind| -> Vec<&str> {
        all.iter().filter(|one| one.kind == kind).map(|one| one.name.as_str()).collect()
    };
    assert_eq!(
        names(ReferentKind::Secret),
        [
            "azure",
            "ceph",
            "csi",
            "flex",
            "init-all",
            "init-key",
            "iscsi",
            "main-all",
            "main-key",
            "mounted",
            "other",
            "overlay-pull",
            "own-all",
            "own-key",
            "projected",
            "pull",
            "rbd",
            "scale",
            "storage"
        ]
    );
    assert_eq!(
        names(ReferentKind::ConfigMap),
        ["init-all", "init-key", "main-all", "main-key", "mounted", "own-all", "own-key", "projected"]
    );
    assert_eq!(
        names(ReferentKind::PersistentVolumeClaim),
        ["claim", "copied", "ephemeral", "former", "mounted"]
    );
}

#[test]
fn each_reference_is_held_against_its_selector() {
    let (spec, overlay) = everything();
    let bounds = json!({"secrets": {"matchLabels": {"team": "a"}}, "configMaps": {"matchLabels": {"team": "a"}},
        "existingClaims": {"matchLabels": {"team": "a"}}});
    let all = referents(&spec, Some(&overlay));
    let inside: Vec<_> = all.iter().map(|one| present(one.kind, &one.name, "a")).collect();
    let check = |labels: &[(Referent, Labels)]| {
        let spec = serde_json::to_value(&spec).unwrap();
        finding(bounds.clone(), spec, serde_json::to_value(&overlay).unwrap(), labels)
    };
    assert_eq!(check(&inside), None);
    for at in 0..inside.len() {
        let mut other = inside.clone();
        let (kind, name) = (other[at].0.kind, other[at].0.name.clone());
        other[at] = present(kind, &name, "b");
        let Some(Finding::Outside(outside)) = check(&other) else { panic!("{name} slips through") };
        assert_eq!(outside.value, format!("{name:?}"));
    }
}

#[test]
fn only_what_is_bound_has_to_be_looked_up() {
    let (spec, overlay) = everything();
    let bounds = |value: Value| Bounds::parse(&serde_json::from_value(value).unwrap()).unwrap();
    assert!(bounds(json!({})).needs(&spec, Some(&overlay)).is_empty());
    let needs = bounds(json!({"configMaps": {}})).needs(&spec, Some(&overlay));
    assert!(!needs.is_empty() && needs.iter().all(|one| one.kind == ReferentKind::ConfigMap));
}

#[test]
fn a_missing_object_is_told_apart_unless_something_else_is_outside() {
    let bounds = json!({"secrets": {"matchLabels": {"team": "a"}}});
    let spec = json!({"envFrom": [{"secretRef": {"name": "later", "optional": true}}, {"secretRef": {"name": "s"}}]});
    let missing = (referent(ReferentKind::Secret, "later"), Labels::Missing);
    let inside = [missing.clone(), present(ReferentKind::Secret, "s", "a")];
    assert_eq!(
        finding(bounds.clone(), spec.clone(), Value::Null, &inside).unwrap().to_string(),
        "spec.envFrom[0].secretRef: Secret later does not exist, so its labels can't be checked against bounds.secrets"
    );
    let outside = [missing, present(ReferentKind::Secret, "s", "b")];
    assert!(matches!(finding(bounds, spec, Value::Null, &outside), Some(Finding::Outside(_))));
}

#[test]
fn what_the_class_refers_to_is_its_own_business() {
    let bounds = serde_json::from_value(json!({"secrets": {"matchLabels": {"team": "a"}}})).unwrap();
    let merged = serde_json::from_value(json!({"imagePullSecrets": [{"name": "of-the-class"}]})).unwrap();
    let (own, containers, labels) = (WorkspaceSpec::default(), BTreeSet::new(), BTreeMap::new());
    let asked = Asked {
        spec: &merged,
        own: &own,
        overlay: None,
        class_containers: &containers,
        labels: Some(&labels),
    };
    assert_eq!(Bounds::parse(&bounds).unwrap().check(&asked), Ok(()));
}

#[test]
fn a_volume_s_content_comes_from_a_known_claim_or_not_at_all() {
    let bounds = json!({"existingClaims": {}});
    let source = |source: Value| json!({"storage": {"size": "1Gi", "dataSourceRef": source}});
    let template = |spec: Value| json!({"volumes": [{"name": "v", "ephemeral": {"volumeClaimTemplate": {"spec": spec}}}]});
    let claim = [present(ReferentKind::PersistentVolumeClaim, "c", "a")];
    for (spec, overlay, is_inside) in [
        (source(json!({"kind": "PersistentVolumeClaim", "name": "c"})), Value::Null, true),
        (source(json!({"kind": "PersistentVolumeClaim", "name": "c", "apiGroup": ""})), Value::Null, true),
        (
            source(json!({"kind": "PersistentVolumeClaim", "name": "c", "namespace": "other"})),
            Value::Null,
            false,
        ),
        (
            source(json!({"kind": "VolumeSnapshot", "name": "c", "apiGroup": "snapshot.storage.k8s.io"})),
            Value::Null,
            false,
        ),
        (
            source(json!({"kind": "PersistentVolumeClaim", "name": "c", "apiGroup": "example.com"})),
            Value::Null,
            false,
        ),
        (json!({}), template(json!({"dataSourceRef": {"kind": "PersistentVolumeClaim", "name": "c"}})), true),
        (
            json!({}),
            template(json!({"dataSource": {"kind": "VolumeSnapshot", "name": "c", "apiGroup": "x"}})),
            false,
        ),
        (json!({}), template(json!({"volumeName": "somebody-s"})), false),
        (json!({}), template(json!({"selector": {}})), false),
    ] {
        let found = finding(bounds.clone(), spec.clone(), overlay.clone(), &claim);
        assert_eq!(found.is_none(), is_inside, "{spec} {overlay} {found:?}");
        assert_eq!(finding(json!({}), spec, overlay, &claim), None);
    }
}

#[test]
fn a_bound_that_can_t_be_read_is_named() {
    for (bounds, field) in [
        (json!({"resources": {"min": {"cpu": "lots"}}}), "bounds.resources.min.cpu"),
        (json!({"resources": {"max": {"memory": "-1"}}}), "bounds.resources.max.memory"),
        (json!({"storage": {"max": "big"}}), "bounds.storage.max"),
        (json!({"secrets": {"matchExpressions": [{"key": "a", "operator": "Like"}]}}), "bounds.secrets"),
        (
            json!({"configMaps": {"matchExpressions": [{"key": "a", "operator": "NotIn", "values": []}]}}),
            "bounds.configMaps",
        ),
        (
            json!({"existingClaims": {"matchExpressions": [{"key": "a", "operator": "In"}]}}),
            "bounds.existingClaims",
        ),
    ] {
        let bounds = serde_json::from_value(bounds).unwrap();
        assert_eq!(Bounds::parse(&bounds).unwrap_err().field, field);
    }
}
