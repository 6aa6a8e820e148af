//! The Secrets and `ConfigMaps` the environment refers to: which, and what their data hashes to. Mounted ones are
//! refreshed by the kubelet and are no inputs.

use std::collections::BTreeMap;

use hmac::{Hmac, KeyInit, Mac};
use k8s_openapi::api::core::v1::{EnvFromSource, EnvVar, PodSpec};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::view::Labels;

/// Kind of a referenced object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SourceKind {
    Secret,
    ConfigMap,
}

impl SourceKind {
    /// The kind as the API has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Secret => "Secret",
            Self::ConfigMap => "ConfigMap",
        }
    }
}

/// A referenced object, in the workspace's namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Source {
    pub kind: SourceKind,
    pub name: String,
}

/// One reference of the environment.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    pub source: Source,
    /// The key referred to; none means all of them.
    pub key: Option<String>,
    pub optional: bool,
}

/// What a referenced object holds, as keyed hashes: the data itself is not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// There is no such object.
    Missing,
    /// The hash of each key's value.
    Present { data: BTreeMap<String, String>, labels: Labels },
}

/// A hash over all referenced data, with the name of the key it was made with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReferencesHash {
    pub key: String,
    pub hash: String,
}

/// The key that Secret data is hashed with, so that a hash in a status tells nothing about a short secret.
#[derive(Clone)]
pub struct HashKey {
    id: String,
    secret: Vec<u8>,
}

impl std::fmt::Debug for HashKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HashKey").field("id", &self.id).finish_non_exhaustive()
    }
}

impl HashKey {
    /// Takes the key's bytes; its id is derived from them.
    pub fn new(secret: Vec<u8>) -> Self {
        let id = hex(&Sha256::digest(&secret), 4);
        Self { id, secret }
    }

    /// The keyed hash of one value of one object. The place is part of it, so equal values show nothing.
    pub fn hash(&self, source: &Source, key: &str, value: &[u8]) -> String {
        // A MAC takes a key of any length, so this cannot fail; an empty hash would only mean a restart.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.secret) else { return String::new() };
        for part in [source.kind.as_str().as_bytes(), source.name.as_bytes(), key.as_bytes(), value] {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        hex(&mac.finalize().into_bytes(), 16)
    }
}

/// The first `bytes` bytes in hexadecimal.
pub fn hex(bytes: &[u8], count: usize) -> String {
    use std::fmt::Write as _;
    bytes.iter().take(count).fold(String::with_capacity(count * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A reference that can't be followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingReference(pub String);

/// Every reference that the environment of any container makes, sorted. To be asked before `envFrom` is spelt out.
pub fn of(spec: &PodSpec) -> Vec<Reference> {
    let containers = || spec.containers.iter().chain(spec.init_containers.iter().flatten());
    let single = containers().flat_map(|container| container.env.iter().flatten()).filter_map(from_variable);
    let bulk = containers().flat_map(|container| container.env_from.iter().flatten()).flat_map(from_bulk);
    sorted(single.chain(bulk))
}

fn sorted(references: impl Iterator<Item = Reference>) -> Vec<Reference> {
    let mut references: Vec<Reference> = references.collect();
    references.sort();
    references.dedup();
    references
}

fn from_variable(variable: &EnvVar) -> Option<Reference> {
    let from = variable.value_from.as_ref()?;
    let secret = from.secret_key_ref.as_ref().map(|r| (SourceKind::Secret, &r.name, &r.key, r.optional));
    let config =
        from.config_map_key_ref.as_ref().map(|r| (SourceKind::ConfigMap, &r.name, &r.key, r.optional));
    let (kind, name, key, optional) = secret.or(config)?;
    Some(Reference {
        source: Source { kind, name: name.clone() },
        key: Some(key.clone()),
        optional: optional.unwrap_or(false),
    })
}

fn from_bulk(bulk: &EnvFromSource) -> impl Iterator<Item = Reference> {
    let secret = bulk.secret_ref.as_ref().map(|r| (SourceKind::Secret, &r.name, r.optional));
    let config = bulk.config_map_ref.as_ref().map(|r| (SourceKind::ConfigMap, &r.name, r.optional));
    secret.into_iter().chain(config).map(|(kind, name, optional)| Reference {
        source: Source { kind, name: name.clone() },
        key: None,
        optional: optional.unwrap_or(false),
    })
}

/// Hashes what `references` find in `contents`. An absent optional reference hashes to nothing.
pub fn hash(
    references: &[Reference],
    contents: &BTreeMap<Source, Content>,
    key: &HashKey,
) -> Result<ReferencesHash, MissingReference> {
    let mut hasher = Sha256::new();
    for reference in references {
        let Reference { source, key, optional } = reference;
        let found = match contents.get(source) {
            Some(Content::Present { data, .. }) => Some(data),
            Some(Content::Missing) | None => None,
        };
        match (found, key) {
            (Some(data), None) => {
                for (key, value) in data {
                    update(&mut hasher, source, key, value);
                }
            }
            (Some(data), Some(key)) => match data.get(key) {
                Some(value) => update(&mut hasher, source, key, value),
                None if *optional => {}
                None => {
                    let (kind, name) = (source.kind.as_str(), &source.name);
                    return Err(MissingReference(format!("{kind} {name} has no key {key}")));
                }
            },
            (None, _) if *optional => {}
            (None, _) => {
                let (kind, name) = (source.kind.as_str(), &source.name);
                return Err(MissingReference(format!("{kind} {name} does not exist")));
            }
        }
    }
    Ok(ReferencesHash { key: key.id.clone(), hash: hex(&hasher.finalize(), 16) })
}

fn update(hasher: &mut Sha256, source: &Source, key: &str, value: &str) {
    for part in [source.kind.as_str(), &source.name, key, value] {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn spec() -> PodSpec {
        serde_json::from_value(json!({"containers": [{
            "name": "main",
            "env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "a"}}}],
            "envFrom": [{"configMapRef": {"name": "c", "optional": true}}]
        }]}))
        .unwrap()
    }

    fn secret(value: &str) -> BTreeMap<Source, Content> {
        let source = Source { kind: SourceKind::Secret, name: "s".into() };
        let hash = HashKey::new(vec![1]).hash(&source, "a", value.as_bytes());
        BTreeMap::from([(
            source,
            Content::Present { data: BTreeMap::from([("a".into(), hash)]), labels: Labels::new() },
        )])
    }

    #[test]
    fn another_value_gives_another_hash() {
        let (references, key) = (of(&spec()), HashKey::new(vec![1]));
        let one = hash(&references, &secret("x"), &key).unwrap();
        let other = hash(&references, &secret("y"), &key).unwrap();
        assert_ne!(one, other);
        assert_eq!(one, hash(&references, &secret("x"), &key).unwrap());
    }

    #[test]
    fn a_key_nobody_refers_to_changes_nothing() {
        let (references, key) = (of(&spec()), HashKey::new(vec![1]));
        let mut more = secret("x");
        for content in more.values_mut() {
            if let Content::Present { data, .. } = content {
                data.insert("unused".into(), "1".into());
            }
        }
        assert_eq!(hash(&references, &secret("x"), &key), hash(&references, &more, &key));
    }

    #[test]
    fn what_is_missing_is_named_unless_optional() {
        let key = HashKey::new(vec![1]);
        let missing = hash(&of(&spec()), &BTreeMap::new(), &key).unwrap_err();
        assert_eq!(missing.0, "Secret s does not exist");
    }

    #[test]
    fn the_references_of_every_container_count_once() {
        let main = serde_json::to_value(&spec().containers[0]).unwrap();
        let container = |name: &str| json!({"name": name, "env": main["env"], "envFrom": main["envFrom"]});
        let other = json!({"name": "i", "env": [{"name": "B", "valueFrom": {"configMapKeyRef": {"name": "d", "key": "b"}}}]});
        let pod: PodSpec = serde_json::from_value(
            json!({"containers": [container("main"), container("side")], "initContainers": [other]}),
        )
        .unwrap();
        let references = of(&pod);
        assert_eq!(references.len(), 3);
        assert!(of(&spec()).iter().all(|one| references.contains(one)));
    }

    #[test]
    fn a_key_is_never_printed() {
        assert!(!format!("{:?}", HashKey::new(b"abc".to_vec())).contains("97"));
    }
}
