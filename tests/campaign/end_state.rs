//! What there is in the end, told so that two runs can be compared: without what the API server, the kubelet and the
//! clock put in, and with everything that the operator did.

use std::{collections::BTreeMap, sync::LazyLock};

use k8s_openapi::api::{
    core::v1::{PersistentVolumeClaim, Pod, Secret, Service},
    networking::v1::NetworkPolicy,
    policy::v1::PodDisruptionBudget,
};
use kube::{
    Api, Client, ResourceExt,
    api::{ApiResource, DynamicObject, ListParams},
};
use regex::Regex;
use serde_json::{Map, Value, json};
use workspace_operator::api::{Workspace, names};

/// Every field with its value, by its path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndState(BTreeMap<String, String>);

/// What somebody else fills in.
const OF_OTHERS: [&str; 11] = [
    "uid",
    "resourceVersion",
    "creationTimestamp",
    "managedFields",
    "clusterIP",
    "clusterIPs",
    "nodeName",
    "nodePort",
    "volumeName",
    "podUID",
    "builtBy",
];

/// What differs between two runs inside of a text, and what stands for it.
static VOLATILE: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    [
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "TIME"),
        (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "UID"),
        (r"https://127\.0\.0\.1:\d+", "https://REGISTRATION"),
        (r"(?s)-----BEGIN.*-----END [A-Z ]+-----\n?", "PEM"),
        (r"kube-api-access-[a-z0-9]{5}", "kube-api-access"),
        (r"scenario-[0-9a-f]{8}", "NAMESPACE"),
        // A hash over the class's name, among others.
        (r#"("class":.*"own":)"[0-9a-f]+""#, "${1}OWN"),
    ]
    .map(|(pattern, stand_in)| (Regex::new(pattern).unwrap(), stand_in))
    .into()
});

impl EndState {
    /// What is in the namespace now.
    pub async fn of(client: &Client, namespace: &str) -> kube::Result<Self> {
        let mut fields = BTreeMap::new();
        let resources = [
            ApiResource::erase::<Workspace>(&()),
            ApiResource::erase::<Pod>(&()),
            ApiResource::erase::<PersistentVolumeClaim>(&()),
            ApiResource::erase::<Service>(&()),
            ApiResource::erase::<Secret>(&()),
            ApiResource::erase::<NetworkPolicy>(&()),
            ApiResource::erase::<PodDisruptionBudget>(&()),
        ];
        for resource in resources {
            let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource);
            for object in api.list(&ListParams::default()).await? {
                let path = format!("{}/{}", resource.kind, object.name_any());
                let object = told(&resource.kind, json!({"metadata": object.metadata, "data": object.data}));
                spread(&path, &object, &mut fields);
            }
        }
        Ok(Self(fields))
    }

    /// How it differs from `expected`, line by line; nothing, if it does not.
    pub fn difference(&self, expected: &Self) -> Vec<String> {
        let mut lines = Vec::new();
        let paths: std::collections::BTreeSet<&String> = self.0.keys().chain(expected.0.keys()).collect();
        for path in paths {
            let (is, should) = (self.0.get(path), expected.0.get(path));
            if is != should {
                let or_none = |value: Option<&String>| value.map_or("nothing", String::as_str).to_owned();
                lines.push(format!("{path}: {} instead of {}", or_none(is), or_none(should)));
            }
        }
        lines
    }
}

/// The parts of an object that the operator or a person had a hand in.
fn told(kind: &str, mut object: Value) -> Value {
    let is_of_operator = |name: &str| [names::HASH_KEY_SECRET, names::REGISTRATION_SECRET].contains(&name);
    let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    match kind {
        // The kubelet's, but for one condition.
        "Pod" => {
            let conditions = object["data"]["status"]["conditions"].as_array().cloned().unwrap_or_default();
            let registered = conditions.into_iter().find(|one| one["type"] == names::REGISTERED);
            let phase = object["data"]["status"]["phase"].clone();
            object["data"]["status"] =
                json!({"phase": phase, "registered": registered.map(|one| one["status"].clone())});
        }
        // The volume controller's.
        "PersistentVolumeClaim" => {
            object["data"]["status"] = Value::Null;
            if let Some(annotations) = object["metadata"]["annotations"].as_object_mut() {
                annotations.retain(|key, _| !key.contains("kubernetes.io/"));
            }
        }
        "Secret" if is_of_operator(&name) => {
            for value in object["data"]["data"].as_object_mut().into_iter().flat_map(Map::values_mut) {
                *value = json!("SECRET");
            }
        }
        _ => {}
    }
    if kind == "Workspace" {
        sort_conditions(&mut object["data"]["status"]["conditions"]);
    }
    object
}

fn sort_conditions(conditions: &mut Value) {
    let Some(list) = conditions.as_array() else { return };
    let named = list.iter().map(|one| (one["type"].as_str().unwrap_or_default().to_owned(), one.clone()));
    *conditions = Value::Object(named.collect());
}

fn spread(path: &str, value: &Value, fields: &mut BTreeMap<String, String>) {
    match value {
        Value::Null => {}
        Value::Object(object) => {
            for (key, value) in object.iter().filter(|(key, _)| !OF_OTHERS.contains(&key.as_str())) {
                spread(&format!("{path}.{key}"), value, fields);
            }
        }
        Value::Array(list) => {
            for (at, value) in list.iter().enumerate() {
                spread(&format!("{path}[{at}]"), value, fields);
            }
        }
        Value::String(text) => {
            fields.insert(path.to_owned(), without_volatile(text));
        }
        other => {
            fields.insert(path.to_owned(), other.to_string());
        }
    }
}

fn without_volatile(text: &str) -> String {
    VOLATILE
        .iter()
        .fold(text.to_owned(), |text, (pattern, stand_in)| pattern.replace_all(&text, *stand_in).into_owned())
}
