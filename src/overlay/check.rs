//! What an overlay may not say, whoever wrote it. Checked before it is merged.

use std::{collections::BTreeSet, path::Path};

use k8s_openapi::api::core::v1::PodSpec;
use serde_json::Value;

use crate::api::names;

use super::{
    Refused,
    place::{Keyed, Node, key},
};

/// Whose a field is, if not the overlay's.
#[derive(Clone, Copy)]
enum Owner {
    Operator,
    /// A field of the workspace's own spec, by its name.
    Spec(&'static str),
}

/// Fields of the Pod that an overlay can't set.
const POD: &[(&str, Owner)] = &[
    ("activeDeadlineSeconds", Owner::Operator),
    ("enableServiceLinks", Owner::Operator),
    ("ephemeralContainers", Owner::Operator),
    ("nodeName", Owner::Operator),
    ("restartPolicy", Owner::Operator),
    ("schedulingGates", Owner::Operator),
    ("imagePullSecrets", Owner::Spec("imagePullSecrets")),
    ("serviceAccount", Owner::Spec("serviceAccountName")),
    ("serviceAccountName", Owner::Spec("serviceAccountName")),
    ("terminationGracePeriodSeconds", Owner::Spec("terminationGracePeriodSeconds")),
];

/// Fields of the main container that an overlay can't set.
const MAIN: &[(&str, Owner)] = &[
    ("restartPolicy", Owner::Operator),
    ("restartPolicyRules", Owner::Operator),
    ("args", Owner::Spec("args")),
    ("command", Owner::Spec("command")),
    ("env", Owner::Spec("env")),
    ("envFrom", Owner::Spec("envFrom")),
    ("image", Owner::Spec("image")),
    ("imagePullPolicy", Owner::Spec("imagePullPolicy")),
    ("livenessProbe", Owner::Spec("livenessProbe")),
    ("ports", Owner::Spec("ports")),
    ("readinessProbe", Owner::Spec("readinessProbe")),
    ("resources", Owner::Spec("resources")),
    ("securityContext", Owner::Spec("securityContext")),
    ("startupProbe", Owner::Spec("startupProbe")),
    ("workingDir", Owner::Spec("workingDir")),
];

/// Lists in which two items may share the merge key: Kubernetes tells them apart by a second one.
const REPEATABLE: &[&str] = &["containerPort", "topologyKey"];

/// How many values an overlay may have. Merging two takes time by the square of their lists.
const MOST_VALUES: usize = 10_000;

/// Refuses what is no part of a PodSpec, what would take something away, and what belongs to somebody else.
pub fn check(overlay: &Value) -> Result<(), Refused> {
    let root = Node::root(overlay);
    if count(overlay) > MOST_VALUES {
        return Err(Refused::new(root.path, format!("has more than {MOST_VALUES} values")));
    }
    adds(&root)?;
    if !overlay.is_object() {
        return Err(Refused::new(root.path, "must be an object"));
    }
    let kept = typed(&root)?;
    known(&root, &kept)?;
    keys(&root)?;
    owned(&root)
}

fn count(value: &Value) -> usize {
    let below: usize = match value {
        Value::Object(fields) => fields.values().map(count).sum(),
        Value::Array(items) => items.iter().map(count).sum(),
        _ => 0,
    };
    below + 1
}

/// Refuses a mount of the main container where the workspace's own volume is mounted: merged by its path, it would
/// take the volume's place.
pub fn check_mounts(overlay: &Value, mount_path: &str) -> Result<(), Refused> {
    let root = Node::root(overlay);
    let mounts = containers(&root, "containers")
        .filter(|container| name(container) == Some(names::MAIN_CONTAINER))
        .filter_map(|main| main.field("volumeMounts"));
    for mount in mounts.flat_map(|mounts| mounts.items().collect::<Vec<_>>()) {
        let path = mount.value.get("mountPath").and_then(Value::as_str);
        // As paths: a slash more at the end is the same directory to the node, but another key to the merge.
        if path.is_some_and(|path| Path::new(path) == Path::new(mount_path)) {
            return Err(Refused::new(mount.path, "the workspace's volume is mounted there"));
        }
    }
    Ok(())
}

/// An overlay adds and changes. A null or a directive would take away, say the sidecar of the class.
fn adds(node: &Node) -> Result<(), Refused> {
    if node.value.is_null() {
        return Err(Refused::new(&node.path, "null is not allowed: an overlay takes nothing away"));
    }
    for (name, field) in node.fields() {
        if name.starts_with('$') {
            return Err(Refused::new(
                field.path,
                "directives are not allowed: an overlay takes nothing away",
            ));
        }
    }
    node.below().try_for_each(|below| adds(&below))
}

/// What a PodSpec keeps of the overlay.
fn typed(root: &Node) -> Result<Value, Refused> {
    parse(root.value.clone()).map_err(|error| {
        misfit(root, &|value| value).unwrap_or_else(|| Refused::new(&root.path, error.to_string()))
    })
}

fn parse(overlay: Value) -> Result<Value, serde_json::Error> {
    serde_json::from_value::<PodSpec>(overlay).and_then(serde_json::to_value)
}

/// The first value of a wrong type. serde does not tell where it was, so each value is parsed by itself, in `around`.
fn misfit(node: &Node, around: &dyn Fn(Value) -> Value) -> Option<Refused> {
    let alone = match node.value {
        Value::Object(_) => Value::Object(serde_json::Map::new()),
        Value::Array(_) => Value::Array(Vec::new()),
        scalar => scalar.clone(),
    };
    if let Err(error) = parse(around(alone)) {
        return Some(Refused::new(&node.path, error.to_string()));
    }
    let in_field = |(name, field): (&String, Node)| {
        misfit(&field, &|value| around(Value::Object([(name.clone(), value)].into_iter().collect())))
    };
    let in_item = |item: Node| misfit(&item, &|value| around(Value::Array(vec![value])));
    node.fields().find_map(in_field).or_else(|| node.items().find_map(in_item))
}

/// A field that a PodSpec does not keep is misspelt, or is newer than this program.
fn known(node: &Node, kept: &Value) -> Result<(), Refused> {
    for (name, field) in node.fields() {
        let Some(kept) = kept.get(name) else {
            return Err(Refused::new(field.path, "there is no such field in core/v1"));
        };
        known(&field, kept)?;
    }
    let kept = kept.as_array().into_iter().flatten();
    node.items().zip(kept).try_for_each(|(item, kept)| known(&item, kept))
}

/// Every item of a keyed list has its key, and no other item has the same.
fn keys(node: &Node) -> Result<(), Refused> {
    if let Some(keyed) = node.keyed {
        let mut seen = BTreeSet::new();
        for item in node.items() {
            let Some(key) = key(item.value, keyed) else {
                let why = format!("has no {}, by which it is merged", keyed.key);
                return Err(Refused::new(item.path, why));
            };
            if !seen.insert(key) && !may_repeat(keyed) {
                return Err(Refused::new(item.path, "stands there twice"));
            }
        }
    }
    node.below().try_for_each(|below| keys(&below))
}

fn may_repeat(keyed: Keyed) -> bool {
    REPEATABLE.contains(&keyed.key)
}

fn owned(root: &Node) -> Result<(), Refused> {
    none_of(root, POD)?;
    for volume in root.field("volumes").iter().flat_map(Node::items) {
        if name(&volume).is_some_and(|name| name == names::VOLUME || name.starts_with(names::OWN_VOLUMES)) {
            return Err(Refused::new(volume.path, "the operator sees to this volume; choose another name"));
        }
    }
    for container in containers(root, "containers") {
        if name(&container) == Some(names::MAIN_CONTAINER) {
            none_of(&container, MAIN)?;
        }
        no_reserved_env(&container)?;
    }
    for container in containers(root, "initContainers") {
        if name(&container) == Some(names::MAIN_CONTAINER) {
            return Err(Refused::new(container.path, "this name is the main container's, in containers"));
        }
        no_reserved_env(&container)?;
    }
    Ok(())
}

fn none_of(node: &Node, taken: &[(&str, Owner)]) -> Result<(), Refused> {
    let found = node.fields().find_map(|(name, field)| {
        let (_, owner) = taken.iter().find(|(taken, _)| taken == name)?;
        Some((field.path, owner))
    });
    match found {
        None => Ok(()),
        Some((path, Owner::Operator)) => Err(Refused::new(path, "the operator sees to it")),
        Some((path, Owner::Spec(field))) => {
            Err(Refused::new(path, format!("set spec.{field}, in a class spec.defaults.{field}")))
        }
    }
}

fn no_reserved_env(container: &Node) -> Result<(), Refused> {
    for variable in container.field("env").iter().flat_map(Node::items) {
        if name(&variable).is_some_and(|name| names::RESERVED_ENV.contains(&name)) {
            return Err(Refused::new(variable.path, "the operator sets this variable"));
        }
    }
    Ok(())
}

fn containers<'a>(root: &Node<'a>, list: &str) -> impl Iterator<Item = Node<'a>> + use<'a> {
    root.field(list).map(|list| list.items().collect::<Vec<_>>()).into_iter().flatten()
}

fn name<'a>(node: &Node<'a>) -> Option<&'a str> {
    node.value.get("name").and_then(Value::as_str)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refusal(overlay: Value) -> String {
        check(&overlay).unwrap_err().to_string()
    }

    fn container(fields: Value) -> Value {
        json!({"containers": [fields]})
    }

    #[test]
    fn an_overlay_is_an_object() {
        for overlay in [json!([]), json!("a"), json!(1), json!(true)] {
            assert_eq!(refusal(overlay), "podTemplate.spec: must be an object");
        }
        assert_eq!(check(&json!({})), Ok(()));
    }

    #[test]
    fn a_long_name_makes_no_long_message() {
        let long = "a".repeat(100_000);
        assert!(refusal(json!({long.clone(): 1})).len() < 5000);
        assert!(refusal(json!({"priority": long})).len() < 5000);
    }

    #[test]
    fn an_overlay_is_not_endless() {
        let aliases = |count: usize| json!({"hostAliases": (0..count).map(|ip| json!({"ip": ip.to_string()})).collect::<Vec<_>>()});
        assert_eq!(refusal(aliases(100_000)), "podTemplate.spec: has more than 10000 values");
        assert_eq!(check(&aliases(4_000)), Ok(()));
    }

    #[test]
    fn nothing_is_taken_away_by_a_null() {
        for (overlay, field) in [
            (json!(null), "spec"),
            (json!({"tolerations": null}), "spec.tolerations"),
            (json!({"tolerations": [null]}), "spec.tolerations[0]"),
            (
                container(json!({"name": "a", "lifecycle": {"preStop": null}})),
                "spec.containers[a].lifecycle.preStop",
            ),
        ] {
            assert_eq!(
                refusal(overlay),
                format!("podTemplate.{field}: null is not allowed: an overlay takes nothing away")
            );
        }
    }

    #[test]
    fn nothing_is_taken_away_by_a_directive() {
        for (overlay, field) in [
            (json!({"$patch": "replace"}), "spec.$patch"),
            (container(json!({"name": "proxy", "$patch": "delete"})), "spec.containers[proxy].$patch"),
            (json!({"volumes": [{"name": "a", "$retainKeys": ["name"]}]}), "spec.volumes[a].$retainKeys"),
            (json!({"$setElementOrder/containers": [{"name": "a"}]}), "spec.$setElementOrder/containers"),
            (json!({"nodeSelector": {"$patch": "replace"}}), "spec.nodeSelector.$patch"),
            (
                json!({"hostAliases": [{"ip": "10.0.0.1", "$deleteFromPrimitiveList/hostnames": ["a"]}]}),
                "spec.hostAliases[10.0.0.1].$deleteFromPrimitiveList/hostnames",
            ),
        ] {
            assert_eq!(
                refusal(overlay),
                format!("podTemplate.{field}: directives are not allowed: an overlay takes nothing away")
            );
        }
    }

    #[test]
    fn a_misspelt_field_is_refused_at_any_depth() {
        for (overlay, field) in [
            (json!({"tolerration": []}), "spec.tolerration"),
            (json!({"tolerations": [{"key": "a"}, {"kee": "b"}]}), "spec.tolerations[1].kee"),
            (container(json!({"name": "a", "volumeMount": []})), "spec.containers[a].volumeMount"),
            (
                json!({"volumes": [{"name": "a", "projected": {"sources": [{"secret": {"name": "s", "itms": []}}]}}]}),
                "spec.volumes[a].projected.sources[0].secret.itms",
            ),
            (
                json!({"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution":
                    {"nodeSelectorTerms": [{"matchExpression": []}]}}}}),
                "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpression",
            ),
        ] {
            assert_eq!(refusal(overlay), format!("podTemplate.{field}: there is no such field in core/v1"));
        }
    }

    #[test]
    fn empty_objects_and_lists_are_no_misspelt_fields() {
        let overlay = json!({
            "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []}}},
            "containers": [{"name": "a", "args": [], "resources": {"limits": {}}, "securityContext": {}, "stdin": false,
                "env": [{"name": "A", "value": ""}], "lifecycle": {"preStop": {"sleep": {"seconds": 0}}}}],
            "initContainers": [],
            "nodeSelector": {},
            "tolerations": [{}],
            "volumes": [{"name": "a", "emptyDir": {}}, {"name": "b", "projected": {"sources": []}}],
        });
        assert_eq!(check(&overlay), Ok(()));
    }

    #[test]
    fn a_quantity_and_a_port_have_more_than_one_form() {
        let overlay = json!({"containers": [{"name": "a",
            "resources": {"limits": {"cpu": 1, "memory": "1Gi", "ephemeral-storage": 0.5}},
            "readinessProbe": {"httpGet": {"port": 80}}, "livenessProbe": {"httpGet": {"port": "http"}}}]});
        assert_eq!(check(&overlay), Ok(()));
    }

    #[test]
    fn a_value_of_the_wrong_type_is_named_with_its_field() {
        for (overlay, told) in [
            (json!({"priority": "high"}), "spec.priority: invalid type: string \"high\", expected i32"),
            (json!({"containers": {"name": "a"}}), "spec.containers: invalid type: map, expected a sequence"),
            (
                json!({"tolerations": [{"key": "a"}, {"tolerationSeconds": "1"}]}),
                "spec.tolerations[1].tolerationSeconds: invalid type: string \"1\", expected i64",
            ),
            (
                container(json!({"name": "a", "ports": [{"containerPort": "80"}]})),
                "spec.containers[a].ports[80].containerPort: invalid type: string \"80\", expected i32",
            ),
            (
                json!({"nodeSelector": {"gpu": true}}),
                "spec.nodeSelector.gpu: invalid type: boolean `true`, expected a string",
            ),
        ] {
            assert_eq!(refusal(overlay), format!("podTemplate.{told}"));
        }
    }

    #[test]
    fn an_item_of_a_keyed_list_needs_its_key() {
        for (overlay, told) in [
            (container(json!({"image": "a"})), "spec.containers[0]: has no name"),
            (container(json!({"name": ""})), "spec.containers[0]: has no name"),
            (json!({"hostAliases": [{"hostnames": ["a"]}]}), "spec.hostAliases[0]: has no ip"),
            (
                container(json!({"name": "a", "volumeMounts": [{"mountPath": "/a"}, {"name": "v"}]})),
                "spec.containers[a].volumeMounts[1]: has no mountPath",
            ),
        ] {
            assert_eq!(refusal(overlay), format!("podTemplate.{told}, by which it is merged"));
        }
    }

    #[test]
    fn an_item_of_a_keyed_list_stands_there_once() {
        assert_eq!(
            refusal(json!({"containers": [{"name": "a"}, {"name": "a"}]})),
            "podTemplate.spec.containers[a]: stands there twice"
        );
        let dns = json!([{"containerPort": 53, "protocol": "UDP"}, {"containerPort": 53, "protocol": "TCP"}]);
        assert_eq!(check(&container(json!({"name": "a", "ports": dns}))), Ok(()));
    }

    #[test]
    fn what_the_operator_owns_is_refused_by_name() {
        for (field, value) in [
            ("activeDeadlineSeconds", json!(1)),
            ("enableServiceLinks", json!(true)),
            ("ephemeralContainers", json!([])),
            ("nodeName", json!("a")),
            ("restartPolicy", json!("Never")),
            ("schedulingGates", json!([])),
        ] {
            let told = refusal(json!({field: value}));
            assert_eq!(told, format!("podTemplate.spec.{field}: the operator sees to it"));
        }
        let told = refusal(container(json!({"name": "main", "restartPolicy": "Never"})));
        assert_eq!(told, "podTemplate.spec.containers[main].restartPolicy: the operator sees to it");
        for name in ["workspace", "workspaces-dev-token"] {
            assert_eq!(
                refusal(json!({"volumes": [{"name": name, "emptyDir": {}}]})),
                format!(
                    "podTemplate.spec.volumes[{name}]: the operator sees to this volume; choose another name"
                )
            );
        }
        assert_eq!(check(&json!({"volumes": [{"name": "workspace-2", "emptyDir": {}}]})), Ok(()));
    }

    #[test]
    fn what_the_program_learns_itself_by_is_set_in_no_container() {
        for list in ["containers", "initContainers"] {
            for variable in names::RESERVED_ENV {
                assert_eq!(
                    refusal(json!({list: [{"name": "a", "env": [{"name": "B"}, {"name": variable}]}]})),
                    format!("podTemplate.spec.{list}[a].env[{variable}]: the operator sets this variable")
                );
            }
        }
    }

    #[test]
    fn what_has_a_field_of_its_own_is_refused_with_it() {
        let told = |overlay| refusal(overlay).split_once(": ").map(|(_, why)| why.to_owned()).unwrap();
        for (field, value, own) in [
            ("imagePullSecrets", json!([{"name": "a"}]), "imagePullSecrets"),
            ("serviceAccount", json!("a"), "serviceAccountName"),
            ("serviceAccountName", json!("a"), "serviceAccountName"),
            ("terminationGracePeriodSeconds", json!(1), "terminationGracePeriodSeconds"),
        ] {
            assert_eq!(
                told(json!({field: value})),
                format!("set spec.{own}, in a class spec.defaults.{own}")
            );
        }
    }

    #[test]
    fn of_the_main_container_only_the_rest_is_free() {
        for (field, value) in [
            ("args", json!([])),
            ("command", json!([])),
            ("env", json!([])),
            ("envFrom", json!([])),
            ("image", json!("a")),
            ("imagePullPolicy", json!("Always")),
            ("livenessProbe", json!({})),
            ("ports", json!([])),
            ("readinessProbe", json!({})),
            ("resources", json!({})),
            ("securityContext", json!({})),
            ("startupProbe", json!({})),
            ("workingDir", json!("/")),
        ] {
            assert_eq!(
                refusal(container(json!({"name": "main", field: value}))),
                format!(
                    "podTemplate.spec.containers[main].{field}: set spec.{field}, in a class spec.defaults.{field}"
                )
            );
            assert_eq!(check(&container(json!({"name": "proxy", field: value}))), Ok(()), "{field}");
        }
        let free = json!({"name": "main", "lifecycle": {}, "stdin": true, "tty": true, "volumeDevices": [],
            "volumeMounts": [{"name": "a", "mountPath": "/a"}], "terminationMessagePolicy": "File"});
        assert_eq!(check(&container(free)), Ok(()));
    }

    #[test]
    fn main_is_no_init_container() {
        assert_eq!(
            refusal(json!({"initContainers": [{"name": "main", "image": "a"}]})),
            "podTemplate.spec.initContainers[main]: this name is the main container's, in containers"
        );
    }

    #[test]
    fn nothing_is_mounted_over_the_workspace_s_volume() {
        let mount = |container: &str, path: &str| {
            check_mounts(
                &json!({"containers": [{"name": container, "volumeMounts": [{"name": "v", "mountPath": path}]}]}),
                "/workspace",
            )
        };
        for path in ["/workspace", "/workspace/", "//workspace/."] {
            assert_eq!(
                mount("main", path).unwrap_err().to_string(),
                format!(
                    "podTemplate.spec.containers[main].volumeMounts[{path}]: the workspace's volume is mounted there"
                )
            );
        }
        assert_eq!(mount("main", "/workspace/cache"), Ok(()));
        assert_eq!(mount("proxy", "/workspace"), Ok(()));
    }
}
