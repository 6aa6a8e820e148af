//! The inputs of an incarnation: what a person chose that needs a new Pod to take effect, one hash each. They are
//! taken from the fields that were set, never from the built Pod, and an absent field hashes to nothing: neither
//! a new version of the operator nor a new default of the API server moves them.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::{
    api::{
        WorkspaceClass, WorkspaceSpec,
        class::{Backend, PodSecurity},
        workspace::Storage,
    },
    protection::Protection,
    references::{ReferencesHash, hex},
};

/// How the hashes were made. An incarnation is compared by the version it was claimed with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Version {
    #[default]
    #[serde(rename = "v1")]
    V1,
    /// Made by a newer operator: can't be compared, and so counts as unchanged.
    #[serde(other, rename = "unknown")]
    Unknown,
}

/// One hash per input that is set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inputs {
    pub version: Version,
    pub fields: BTreeMap<String, String>,
    /// The data that the environment refers to; none where the operator does not look at it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub references: Option<ReferencesHash>,
}

/// How wanted inputs relate to claimed ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Comparison {
    Same,
    /// The same as far as can be told, but the hash of the referenced data is to be made anew.
    Restamp,
    /// These inputs differ.
    Differs(BTreeSet<String>),
}

/// What a class adds to the inputs beyond its defaults, which are merged into the spec.
#[derive(Clone, Copy, Debug, Default)]
pub struct OfClass<'a> {
    pub backend: Backend,
    pub overlay: Option<&'a Value>,
    pub pod_security: PodSecurity,
    pub user_namespace: bool,
}

impl<'a> OfClass<'a> {
    /// Reads them off `class`.
    pub fn of(class: &'a WorkspaceClass) -> Self {
        Self {
            backend: class.spec.backend.unwrap_or_default(),
            overlay: class.spec.pod_template.as_ref().and_then(|template| template.spec.as_ref()),
            pod_security: class.spec.pod_security.unwrap_or_default(),
            user_namespace: class.spec.user_namespace.unwrap_or_default(),
        }
    }

    /// What is as without a class hashes to nothing: naming it moves nobody.
    fn fields(self) -> [(&'static str, Value); 4] {
        let Self { backend, overlay, pod_security, user_namespace } = self;
        let elsewhere = (!backend.is_pod()).then_some(backend);
        let security = (pod_security != PodSecurity::default()).then(|| pod_security.as_str());
        [
            ("class.backend", json!(elsewhere)),
            ("class.podTemplate", json!(overlay)),
            ("class.podSecurity", json!(security)),
            ("class.userNamespace", json!(user_namespace.then_some(true))),
        ]
    }
}

impl Inputs {
    /// The inputs of `spec`, into which the defaults of its class were merged.
    pub fn of(spec: &WorkspaceSpec, class: OfClass<'_>, references: Option<ReferencesHash>) -> Self {
        let fields = fields(spec)
            .into_iter()
            .chain(class.fields())
            .chain((!Protection::HashOverInputs.holds()).then(|| ("everything", json!(spec))))
            .filter(|(_, value)| !is_empty(value))
            .map(|(name, value)| (name.to_owned(), hex(&Sha256::digest(value.to_string()), 8)))
            .collect();
        Self { version: Version::V1, fields, references }
    }

    /// One hash over all, led by its version.
    pub fn hash(&self) -> String {
        let version = match self.version {
            Version::V1 => "v1",
            Version::Unknown => "unknown",
        };
        let all = json!([self.fields, self.references.as_ref().map(|references| &references.hash)]);
        format!("{version}:{}", hex(&Sha256::digest(all.to_string()), 16))
    }

    /// Compares these wanted inputs with those an incarnation was claimed with.
    pub fn compare(&self, claimed: &Self) -> Comparison {
        if claimed.version != self.version {
            return Comparison::Same;
        }
        let mut differing: BTreeSet<String> = self
            .fields
            .iter()
            .filter(|(name, hash)| claimed.fields.get(*name) != Some(hash))
            .map(|(name, _)| name.clone())
            .collect();
        differing.extend(claimed.fields.keys().filter(|name| !self.fields.contains_key(*name)).cloned());
        let restamp = match (&self.references, &claimed.references) {
            (Some(wanted), Some(claimed)) if wanted.key == claimed.key => {
                if wanted.hash != claimed.hash {
                    differing.insert("references".into());
                }
                false
            }
            // The key was lost, or looking at the data was switched on or off: nobody changed anything.
            (Some(_), _) => true,
            (None, _) => false,
        };
        match (differing.is_empty(), restamp) {
            (false, _) => Comparison::Differs(differing),
            (true, true) => Comparison::Restamp,
            (true, false) => Comparison::Same,
        }
    }
}

/// One hash over what a workspace itself says, and which class it names: while it stays, whatever else differs
/// comes from outside.
pub fn own_hash(own: &WorkspaceSpec) -> String {
    let Inputs { version: _, fields, references: _ } = Inputs::of(own, OfClass::default(), None);
    let compute = own.resources.as_ref().map(|resources| json!([resources.requests, resources.limits]));
    hex(&Sha256::digest(json!([own.class_name, fields, compute]).to_string()), 8)
}

/// The inputs by name. The destructuring makes a new field of the spec choose whether it is one.
fn fields(spec: &WorkspaceSpec) -> Vec<(&'static str, Value)> {
    let WorkspaceSpec {
        class_name: _,
        image,
        image_pull_policy,
        image_pull_secrets,
        command,
        args,
        working_dir,
        env,
        env_from,
        ports,
        resources,
        security_context,
        startup_probe,
        readiness_probe,
        liveness_probe,
        storage,
        service: _,
        run_state: _,
        restarted_at: _,
        update_strategy: _,
        progress_deadline_seconds: _,
        registration,
        idle: _,
        termination_grace_period_seconds,
        service_account_name,
        pod_template,
    } = spec;
    let required = registration.as_ref().filter(|_| spec.requires_registration()).and_then(|one| one.policy);
    vec![
        ("image", json!(image)),
        ("imagePullPolicy", json!(image_pull_policy)),
        ("imagePullSecrets", json!(image_pull_secrets)),
        ("command", json!(command)),
        ("args", json!(args)),
        ("workingDir", json!(working_dir)),
        ("env", json!(env)),
        ("envFrom", json!(env_from)),
        ("ports", json!(ports)),
        ("resources", without_resizable(json!(resources))),
        ("securityContext", json!(security_context)),
        ("startupProbe", json!(startup_probe)),
        ("readinessProbe", json!(readiness_probe)),
        ("livenessProbe", json!(liveness_probe)),
        ("storage", storage.as_ref().map_or(Value::Null, mount)),
        // Disabled is what an absent field means.
        ("registration", json!(required)),
        ("terminationGracePeriodSeconds", json!(termination_grace_period_seconds)),
        ("serviceAccountName", json!(service_account_name)),
        ("podTemplate", json!(pod_template.as_ref().and_then(|template| template.spec.as_ref()))),
    ]
}

/// Of the storage, only what the Pod says of it; the claim has its own life.
fn mount(storage: &Storage) -> Value {
    let Storage {
        size,
        mount_path,
        existing_claim,
        storage_class_name: _,
        access_modes: _,
        data_source_ref: _,
        when_deleted: _,
    } = storage;
    if size.is_none() && existing_claim.is_none() {
        return Value::Null;
    }
    json!([mount_path, existing_claim])
}

/// CPU and memory are changed in the running Pod.
fn without_resizable(mut resources: Value) -> Value {
    for list in ["requests", "limits"] {
        if let Some(list) = resources.get_mut(list).and_then(Value::as_object_mut) {
            list.retain(|name, _| name != "cpu" && name != "memory");
        }
    }
    if let Some(lists) = resources.as_object_mut() {
        lists.retain(|_, list| !is_empty(list));
    }
    resources
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(value: Value) -> WorkspaceSpec {
        serde_json::from_value(value).unwrap()
    }

    fn differing(one: Value, other: Value) -> Vec<String> {
        match Inputs::of(&spec(one), OfClass::default(), None).compare(&Inputs::of(
            &spec(other),
            OfClass::default(),
            None,
        )) {
            Comparison::Differs(names) => names.into_iter().collect(),
            Comparison::Same | Comparison::Restamp => vec![],
        }
    }

    #[test]
    fn a_changed_input_is_named() {
        assert_eq!(differing(json!({"image": "a", "args": ["x"]}), json!({"image": "b"})), ["args", "image"]);
    }

    #[test]
    fn what_is_changed_in_place_or_waits_for_nobody_is_no_input() {
        let plain = json!({"image": "a"});
        for other in [
            json!({"image": "a", "resources": {"requests": {"cpu": "1", "memory": "1Gi"}}}),
            json!({"image": "a", "restartedAt": "2026-01-01T00:00:00Z"}),
            json!({"image": "a", "runState": "Stopped"}),
            json!({"image": "a", "storage": {"mountPath": "/x"}}),
            json!({"image": "a", "podTemplate": {"metadata": {"labels": {"a": "b"}}}}),
            json!({"image": "a", "progressDeadlineSeconds": 5, "service": {"type": "ClusterIP"}}),
        ] {
            assert!(differing(plain.clone(), other.clone()).is_empty(), "{other}");
        }
    }

    #[test]
    fn growing_a_volume_is_no_input_but_having_one_is() {
        let small = json!({"image": "a", "storage": {"size": "1Gi"}});
        assert!(differing(small.clone(), json!({"image": "a", "storage": {"size": "2Gi"}})).is_empty());
        assert_eq!(differing(small, json!({"image": "a"})), ["storage"]);
    }

    #[test]
    fn an_absent_field_hashes_to_nothing() {
        let minimal = Inputs::of(&spec(json!({"image": "a"})), OfClass::default(), None);
        assert_eq!(minimal.fields.keys().collect::<Vec<_>>(), ["image"]);
    }

    #[test]
    fn the_hash_of_today_is_the_hash_of_tomorrow() {
        let inputs = Inputs::of(
            &spec(json!({"image": "a", "env": [{"name": "A", "value": "1"}]})),
            OfClass::default(),
            None,
        );
        insta::assert_yaml_snapshot!((inputs.hash(), inputs));
    }

    #[test]
    fn a_version_from_the_future_counts_as_unchanged() {
        let claimed: Inputs = serde_json::from_value(json!({"version": "v9", "fields": {}})).unwrap();
        assert_eq!(
            Inputs::of(&spec(json!({"image": "a"})), OfClass::default(), None).compare(&claimed),
            Comparison::Same
        );
    }

    #[test]
    fn a_lost_key_restamps_and_restarts_nobody() {
        let hash = |key: &str, hash: &str| Some(ReferencesHash { key: key.into(), hash: hash.into() });
        let of = |references| Inputs::of(&spec(json!({"image": "a"})), OfClass::default(), references);
        assert_eq!(of(hash("new", "2")).compare(&of(hash("old", "1"))), Comparison::Restamp);
        assert_eq!(of(hash("old", "1")).compare(&of(hash("old", "1"))), Comparison::Same);
        assert!(matches!(of(hash("old", "2")).compare(&of(hash("old", "1"))), Comparison::Differs(_)));
    }
}
