//! Spells out `envFrom`: one variable for each key that there is now. A key that is added later has no way into a
//! container that restarts by itself.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    ConfigMapKeySelector, Container, EnvFromSource, EnvVar, EnvVarSource, PodSpec, SecretKeySelector,
};

use crate::references::{MissingReference, SourceKind};

/// Replaces every `envFrom` by variables. `keys` lists those of an object's `data`, and nothing if there is no such
/// object; that is an error where the reference is not optional.
pub fn expand(
    spec: &mut PodSpec,
    keys: impl Fn(SourceKind, &str) -> Option<Vec<String>>,
) -> Result<(), MissingReference> {
    for container in spec.containers.iter_mut().chain(spec.init_containers.iter_mut().flatten()) {
        expand_container(container, &keys)?;
    }
    Ok(())
}

fn expand_container(
    container: &mut Container,
    keys: &impl Fn(SourceKind, &str) -> Option<Vec<String>>,
) -> Result<(), MissingReference> {
    let Some(sources) = container.env_from.take() else { return Ok(()) };
    let mut brought = BTreeMap::new();
    for source in &sources {
        // A later source wins, as it does for the kubelet.
        brought.extend(variables(source, keys)?);
    }
    let own = container.env.take().unwrap_or_default();
    // First, since the values of the others may refer to them.
    let mut env: Vec<EnvVar> =
        brought.into_values().filter(|variable| !is_overridden(&variable.name, &own)).collect();
    env.extend(own);
    container.env = (!env.is_empty()).then_some(env);
    Ok(())
}

fn variables(
    source: &EnvFromSource,
    keys: impl Fn(SourceKind, &str) -> Option<Vec<String>>,
) -> Result<BTreeMap<String, EnvVar>, MissingReference> {
    let EnvFromSource { prefix, secret_ref, config_map_ref } = source;
    let secret = secret_ref.as_ref().map(|secret| (SourceKind::Secret, &secret.name, secret.optional));
    let config = config_map_ref.as_ref().map(|config| (SourceKind::ConfigMap, &config.name, config.optional));
    let Some((kind, name, optional)) = secret.or(config) else { return Ok(BTreeMap::new()) };
    let keys = match keys(kind, name) {
        Some(keys) => keys,
        None if optional == Some(true) => vec![],
        None => return Err(MissingReference(format!("{} {name} does not exist", kind.as_str()))),
    };
    let prefix = prefix.as_deref().unwrap_or_default();
    let variable = |key: String| {
        let variable = format!("{prefix}{key}");
        (variable.clone(), EnvVar { name: variable, value: None, value_from: Some(one_key(kind, name, key)) })
    };
    Ok(keys.into_iter().map(variable).collect())
}

/// Optional, so that a key that is taken away later keeps no container from restarting.
fn one_key(kind: SourceKind, name: &str, key: String) -> EnvVarSource {
    let (name, optional) = (name.to_owned(), Some(true));
    match kind {
        SourceKind::Secret => EnvVarSource {
            secret_key_ref: Some(SecretKeySelector { key, name, optional }),
            ..EnvVarSource::default()
        },
        SourceKind::ConfigMap => EnvVarSource {
            config_map_key_ref: Some(ConfigMapKeySelector { key, name, optional }),
            ..EnvVarSource::default()
        },
    }
}

/// Whether `env` sets the variable itself before anything in it could read what `envFrom` brought.
fn is_overridden(name: &str, env: &[EnvVar]) -> bool {
    let Some(at) = env.iter().position(|variable| variable.name == name) else { return false };
    let read = format!("$({name})");
    !env[..=at].iter().any(|variable| variable.value.as_ref().is_some_and(|value| value.contains(&read)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn expanded(container: Value) -> Result<Vec<String>, MissingReference> {
        let mut container = container;
        container["name"] = json!("main");
        let mut spec: PodSpec = serde_json::from_value(json!({"containers": [container]})).unwrap();
        expand(&mut spec, |kind, name| {
            let keys: &[&str] = match (kind, name) {
                (SourceKind::Secret, "s") => &["B", "A"],
                (SourceKind::ConfigMap, "c") => &["A", "C"],
                (SourceKind::Secret, "empty") => &[],
                _ => return None,
            };
            Some(keys.iter().map(|key| (*key).to_owned()).collect())
        })?;
        assert!(spec.containers[0].env_from.is_none());
        Ok(spec.containers[0].env.iter().flatten().map(shown).collect())
    }

    fn shown(variable: &EnvVar) -> String {
        let name = &variable.name;
        let from = variable.value_from.as_ref();
        let secret = from.and_then(|from| from.secret_key_ref.as_ref());
        let config = from.and_then(|from| from.config_map_key_ref.as_ref());
        match (secret, config) {
            (Some(secret), _) => format!("{name} from s/{}/{}", secret.name, secret.key),
            (_, Some(config)) => format!("{name} from c/{}/{}", config.name, config.key),
            _ => format!("{name}={}", variable.value.as_deref().unwrap_or_default()),
        }
    }

    #[test]
    fn the_kubelet_s_precedence_is_kept() {
        let (s, c) = (json!({"secretRef": {"name": "s"}}), json!({"configMapRef": {"name": "c"}}));
        for (container, expected) in [
            (json!({"envFrom": [s]}), vec!["A from s/s/A", "B from s/s/B"]),
            (json!({"envFrom": [s, c]}), vec!["A from c/c/A", "B from s/s/B", "C from c/c/C"]),
            (json!({"envFrom": [c, s]}), vec!["A from s/s/A", "B from s/s/B", "C from c/c/C"]),
            (
                json!({"envFrom": [{"prefix": "P_", "secretRef": {"name": "s"}}], "env": [{"name": "A", "value": "1"}]}),
                vec!["P_A from s/s/A", "P_B from s/s/B", "A=1"],
            ),
            (json!({"envFrom": [s], "env": [{"name": "A", "value": "1"}]}), vec!["B from s/s/B", "A=1"]),
            (json!({"env": [{"name": "A", "value": "1"}]}), vec!["A=1"]),
            (json!({"envFrom": [{"secretRef": {"name": "empty"}}]}), vec![]),
        ] {
            assert_eq!(expanded(container.clone()).unwrap(), expected, "{container}");
        }
    }

    #[test]
    fn what_a_value_refers_to_stays_before_it() {
        let env =
            |env: Value| expanded(json!({"envFrom": [{"secretRef": {"name": "s"}}], "env": env})).unwrap();
        let kept = ["A from s/s/A", "B from s/s/B", "A=$(A):x"];
        assert_eq!(env(json!([{"name": "A", "value": "$(A):x"}])), kept);
        let before = env(json!([{"name": "X", "value": "$(A)"}, {"name": "A", "value": "1"}]));
        assert_eq!(before, ["A from s/s/A", "B from s/s/B", "X=$(A)", "A=1"]);
        let after = env(json!([{"name": "A", "value": "1"}, {"name": "X", "value": "$(A)"}]));
        assert_eq!(after, ["B from s/s/B", "A=1", "X=$(A)"]);
    }

    #[test]
    fn a_missing_object_is_an_error_unless_optional() {
        let bulk =
            |optional: bool| json!({"envFrom": [{"secretRef": {"name": "none", "optional": optional}}]});
        assert_eq!(expanded(bulk(true)), Ok(vec![]));
        assert_eq!(expanded(bulk(false)), Err(MissingReference("Secret none does not exist".into())));
    }

    #[test]
    fn a_key_that_goes_keeps_nobody_from_restarting() {
        let mut spec: PodSpec = serde_json::from_value(
            json!({"containers": [], "initContainers": [{"name": "i", "envFrom": [{"secretRef": {"name": "s"}}]}]}),
        )
        .unwrap();
        expand(&mut spec, |_, _| Some(vec!["A".into()])).unwrap();
        let init = &spec.init_containers.unwrap()[0];
        let from = init.env.as_ref().unwrap()[0].value_from.clone().unwrap();
        assert_eq!(from.secret_key_ref.unwrap().optional, Some(true));
    }

    proptest! {
        #[test]
        fn every_key_is_there_once_and_no_bulk_is_left(
            sources in proptest::collection::vec((any::<bool>(), "[a-c]", "[P]?"), 0..5),
            env in proptest::collection::btree_set("[A-F]", 0..4),
        ) {
            let bulk: Vec<Value> = sources.iter().map(|(is_secret, name, prefix)| {
                let field = if *is_secret { "secretRef" } else { "configMapRef" };
                json!({"prefix": prefix, field: {"name": name}})
            }).collect();
            let env_json: Vec<Value> = env.iter().map(|name| json!({"name": name, "value": "1"})).collect();
            let mut spec: PodSpec = serde_json::from_value(json!({"containers": [{"name": "main", "envFrom": bulk, "env": env_json}]})).unwrap();
            let keys = |name: &str| match name { "a" => vec!["A", "B"], "b" => vec!["B", "C", "D"], _ => vec!["E"] };
            expand(&mut spec, |_, name| Some(keys(name).into_iter().map(str::to_owned).collect())).unwrap();
            prop_assert!(spec.containers[0].env_from.is_none());
            let mut found: Vec<String> = spec.containers[0].env.iter().flatten().map(|variable| variable.name.clone()).collect();
            found.sort();
            let mut expected = env;
            for (_, name, prefix) in &sources {
                expected.extend(keys(name).into_iter().map(|key| format!("{prefix}{key}")));
            }
            prop_assert_eq!(found, expected.into_iter().collect::<Vec<_>>());
        }
    }
}
