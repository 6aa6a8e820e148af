//! What the kubelet needs before it can start a container: what its environment refers to.

use serde_json::Value;

use crate::{
    kind,
    object::{self, Key},
    state::State,
};

impl State {
    /// Why a Pod's containers can't be configured.
    pub(super) fn missing_reference(&self, pod: &Value) -> Option<String> {
        let namespace = object::namespace(pod);
        let containers = ["/spec/initContainers", "/spec/containers"].map(|list| object::list(pod, list));
        containers.into_iter().flatten().find_map(|container| {
            let whole = object::list(container, "/envFrom").iter().flat_map(|source| {
                [("Secret", &source["secretRef"], None), ("ConfigMap", &source["configMapRef"], None)]
            });
            let single = object::list(container, "/env").iter().flat_map(|variable| {
                let from = &variable["valueFrom"];
                [("Secret", "secretKeyRef"), ("ConfigMap", "configMapKeyRef")]
                    .map(|(kind, field)| (kind, &from[field], from[field]["key"].as_str()))
            });
            whole
                .chain(single)
                .filter(|(_, reference, _)| reference.is_object() && reference["optional"] != true)
                .find_map(|(kind, reference, key)| {
                    self.lacks(namespace, kind, object::text(reference, "/name"), key)
                })
        })
    }

    /// Whether a volume of a Pod can't be mounted, for want of what it is made of.
    pub(super) fn lacks_volume(&self, pod: &Value) -> bool {
        let namespace = object::namespace(pod);
        object::list(pod, "/spec/volumes").iter().any(|volume| {
            [("Secret", "secret", "/secretName"), ("ConfigMap", "configMap", "/name")].into_iter().any(
                |(kind, source, name)| {
                    let source = &volume[source];
                    source.is_object()
                        && source["optional"] != true
                        && self.lacks(namespace, kind, object::text(source, name), None).is_some()
                },
            )
        })
    }

    fn lacks(&self, namespace: &str, kind: &str, name: &str, key: Option<&str>) -> Option<String> {
        let word = kind.to_lowercase();
        let Some(found) = self.store.get(kind::by_name(kind)?, &Key::new(namespace, name)) else {
            return Some(format!("{word} \"{name}\" not found"));
        };
        let key = key?;
        let has_key = ["data", "binaryData"].iter().any(|field| found[field].get(key).is_some());
        (!has_key).then(|| format!("couldn't find key {key} in {kind} {namespace}/{name}"))
    }
}
