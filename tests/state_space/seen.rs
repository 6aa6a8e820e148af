//! What can be seen of a workspace, without what differs between any two: names, numbers, times, nodes.

use std::collections::BTreeMap;

use kube::{
    Api,
    api::{ApiResource, DynamicObject, GroupVersionKind, ListParams},
};
use serde_json::{Map, Value, json};
use test_world::World;
use workspace_operator::api::{ConditionType, names};

/// What stands for a workspace's name.
const NAME: &str = "NAME";

/// The children, by API group, version and kind.
const CHILDREN: [(&str, &str, &str); 6] = [
    ("", "v1", "Pod"),
    ("", "v1", "PersistentVolumeClaim"),
    ("", "v1", "Service"),
    ("", "v1", "Secret"),
    ("networking.k8s.io", "v1", "NetworkPolicy"),
    ("policy", "v1", "PodDisruptionBudget"),
];

/// Conditions whose message is not worth a write as long as the workspace is not Ready: it is that of some moment.
const GOES_ALONG: [&str; 4] = ["PodReady", "Ready", "Reconciling", "Stalled"];
/// What is told of a start, once it is Ready and before.
const RUNNING: &[&str] = &["backend", "inputsHash", "image", "imageID", "containerRestarts", "builtBy"];
const STARTING: &[&str] = &["backend", "inputsHash"];

/// One workspace.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    /// Condition by type: status, reason, message.
    pub conditions: BTreeMap<String, (String, String, String)>,
    /// Status and children, comparable with those of any other workspace.
    pub parts: BTreeMap<String, Value>,
    /// What status says of the newest start. Of one that is over it is told on, so it is a part only while it lives;
    /// and the class it was made with is not the one named now, where that changed no input.
    incarnation: Value,
    /// Identity of the incarnation's object.
    pub uid: Option<String>,
    /// The operator speaks of the newest spec.
    pub is_observed: bool,
    pub resource_version: String,
}

impl Seen {
    pub fn status(&self, type_: ConditionType) -> &str {
        self.conditions.get(type_.as_str()).map_or("", |(status, ..)| status)
    }

    pub fn reason(&self, type_: ConditionType) -> &str {
        self.conditions.get(type_.as_str()).map_or("", |(_, reason, _)| reason)
    }

    pub fn message(&self, type_: ConditionType) -> &str {
        self.conditions.get(type_.as_str()).map_or("", |(.., message)| message)
    }

    pub fn is_ready(&self) -> bool {
        self.status(ConditionType::Ready) == "True"
    }

    /// A claim outlives the wish for it, and nobody asks about it then.
    pub fn without_volume(&self) -> Self {
        let mut seen = self.clone();
        seen.parts.remove("PersistentVolumeClaim");
        seen
    }
}

/// Every workspace of the world by its name.
pub async fn all(world: &World) -> BTreeMap<String, Seen> {
    let mut seen = BTreeMap::new();
    for workspace in list(world, names::GROUP, "v1alpha1", "Workspace").await {
        let name = text(&workspace, "/metadata/name");
        seen.insert(name.clone(), of_workspace(&name, &workspace));
    }
    for (group, version, kind) in CHILDREN {
        for child in list(world, group, version, kind).await {
            let owner = text(&child, "/metadata/labels/workspaces.dev~1workspace");
            let Some(seen) = seen.get_mut(&owner) else { continue };
            if kind == "Pod" || kind == "Secret" {
                seen.uid = Some(text(&child, "/metadata/uid"));
                seen.parts.insert("incarnation".to_owned(), seen.incarnation.clone());
            }
            seen.parts.insert(kind.to_owned(), unnamed(&owner, of_child(kind, &child)));
        }
    }
    seen
}

async fn list(world: &World, group: &str, version: &str, kind: &str) -> Vec<Value> {
    let mut resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
    if kind == "NetworkPolicy" {
        "networkpolicies".clone_into(&mut resource.plural);
    }
    let api: Api<DynamicObject> = Api::namespaced_with(world.client.clone(), &world.namespace, &resource);
    let mut params = ListParams::default();
    if kind != "Workspace" {
        params = params.labels(names::WORKSPACE);
    }
    let found = api.list(&params).await.unwrap().items;
    found.into_iter().map(|object| serde_json::to_value(object).unwrap()).collect()
}

fn of_workspace(name: &str, workspace: &Value) -> Seen {
    let status = &workspace["status"];
    let conditions = status["conditions"].as_array().into_iter().flatten().map(|condition| {
        let [type_, status, reason, message] =
            ["/type", "/status", "/reason", "/message"].map(|field| text(condition, field));
        (type_, (status, reason, message.replace(name, NAME)))
    });
    let conditions: BTreeMap<_, _> = conditions.collect();
    let is_ready = conditions.get("Ready").is_some_and(|(status, ..)| status == "True");
    let mut told = conditions.clone();
    if !is_ready {
        told.iter_mut()
            .filter(|(type_, _)| GOES_ALONG.contains(&type_.as_str()))
            .for_each(|(_, told)| told.2.clear());
    }
    let status_part = json!({
        "conditions": told,
        "address": status["address"],
        "scheduledRestartAt": status["scheduledRestartAt"],
        "failures": status["failures"]["consecutive"],
    });
    Seen {
        conditions,
        parts: BTreeMap::from([("status".to_owned(), unnamed(name, status_part))]),
        incarnation: kept(&status["incarnation"], if is_ready { RUNNING } else { STARTING }),
        uid: None,
        is_observed: status["observedGeneration"] == workspace["metadata"]["generation"],
        resource_version: text(workspace, "/metadata/resourceVersion"),
    }
}

fn of_child(kind: &str, child: &Value) -> Value {
    let metadata = &child["metadata"];
    let owners: Vec<String> = metadata["ownerReferences"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|owner| text(owner, "/kind"))
        .collect();
    let mut spec = child["spec"].clone();
    let others: &[&str] = match kind {
        "Pod" => &["nodeName"],
        "PersistentVolumeClaim" => &["volumeName"],
        "Service" => &["clusterIP", "clusterIPs"],
        _ => &[],
    };
    if let Some(spec) = spec.as_object_mut() {
        spec.retain(|field, _| !others.contains(&field.as_str()));
    }
    let mut spec = said(&spec);
    if kind == "Service" {
        spec["isHeadless"] = json!(child["spec"]["clusterIP"] == "None");
    }
    json!({
        "name": metadata["name"],
        "owners": owners,
        "labels": without(&metadata["labels"], |key| key == names::INCARNATION),
        // A volume's annotations are those of the ones that bind it.
        "annotations": if kind == "PersistentVolumeClaim" { Value::Null } else { annotations(metadata) },
        "spec": spec,
        "phase": if kind == "PersistentVolumeClaim" { child["status"]["phase"].clone() } else { Value::Null },
    })
}

/// What a spec says: that a part is empty says nothing. The name of the volume with the API server's token is made up
/// for each Pod.
fn said(value: &Value) -> Value {
    const TOKEN_VOLUME: &str = "kube-api-access-";
    let says = |value: &Value| match value {
        Value::Null => false,
        Value::Object(fields) => !fields.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => true,
    };
    match value {
        Value::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| (name.clone(), said(value)));
            Value::Object(fields.filter(|(_, value)| says(value)).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(said).collect()),
        Value::String(text) if text.starts_with(TOKEN_VOLUME) => json!(TOKEN_VOLUME),
        other => other.clone(),
    }
}

fn annotations(metadata: &Value) -> Value {
    let mut annotations = without(&metadata["annotations"], |key| key == names::CLAIM);
    let claim = metadata["annotations"][names::CLAIM]
        .as_str()
        .and_then(|claim| serde_json::from_str::<Value>(claim).ok());
    if let Some(claim) = claim {
        annotations[names::CLAIM] =
            kept(&claim, &["backend", "inputs", "resources", "labels", "annotations", "builtBy"]);
    }
    annotations
}

fn kept(object: &Value, fields: &[&str]) -> Value {
    let kept = fields.iter().map(|field| ((*field).to_owned(), object[*field].clone()));
    Value::Object(kept.collect())
}

fn without(object: &Value, is_left_out: impl Fn(&str) -> bool) -> Value {
    let fields = object.as_object().into_iter().flatten().filter(|(key, _)| !is_left_out(key));
    Value::Object(fields.map(|(key, value)| (key.clone(), value.clone())).collect::<Map<_, _>>())
}

/// The same of a workspace of another name. Its class has the name in its own.
fn unnamed(name: &str, value: Value) -> Value {
    serde_json::from_str(&value.to_string().replace(name, NAME)).unwrap()
}

fn text(object: &Value, pointer: &str) -> String {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}
