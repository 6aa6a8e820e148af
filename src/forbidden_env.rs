//! Environment variables that no workspace may have: credentials that belong to the platform, not into its
//! containers.

use std::fmt;

use k8s_openapi::api::core::v1::{EnvVar, PodSpec};

use crate::api;

/// What an operator forbids everywhere unless it is told otherwise. A `*` at the end stands for any rest.
pub const DEFAULT: &[&str] = &[
    // Clouds.
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AZURE_CLIENT_SECRET",
    "AZURE_CLIENT_CERTIFICATE_PASSWORD",
    "AZURE_PASSWORD",
    "ARM_CLIENT_SECRET",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "GOOGLE_CREDENTIALS",
    "GCP_SERVICE_ACCOUNT_KEY",
    "ALIBABA_CLOUD_ACCESS_KEY_SECRET",
    "CLOUDFLARE_API_KEY",
    "CLOUDFLARE_API_TOKEN",
    "DIGITALOCEAN_ACCESS_TOKEN",
    "DIGITALOCEAN_TOKEN",
    "HCLOUD_TOKEN",
    "HETZNER_*",
    "LINODE_TOKEN",
    "OS_PASSWORD",
    "OS_APPLICATION_CREDENTIAL_SECRET",
    "SCW_SECRET_KEY",
    // Hosts of source code.
    "GITHUB_TOKEN",
    "GITHUB_PAT",
    "GITHUB_ACCESS_TOKEN",
    "GITHUB_APP_PRIVATE_KEY",
    "GITHUB_ENTERPRISE_TOKEN",
    "GH_TOKEN",
    "GH_PAT",
    "GH_ENTERPRISE_TOKEN",
    "GITLAB_TOKEN",
    "GITLAB_PAT",
    "GITLAB_ACCESS_TOKEN",
    "GITLAB_PRIVATE_TOKEN",
    "GL_TOKEN",
    "CI_JOB_TOKEN",
    "GITEA_TOKEN",
    "GITEA_ACCESS_TOKEN",
    "GITEA_ADMIN_TOKEN",
    "FORGEJO_TOKEN",
    "FORGEJO_ADMIN_TOKEN",
    "BITBUCKET_TOKEN",
    "BITBUCKET_ACCESS_TOKEN",
    "BITBUCKET_APP_PASSWORD",
    "BITBUCKET_PASSWORD",
    // Registries.
    "DOCKER_AUTH_CONFIG",
    "DOCKER_PASSWORD",
    "DOCKERHUB_PASSWORD",
    "DOCKERHUB_TOKEN",
    "REGISTRY_PASSWORD",
    "REGISTRY_TOKEN",
    "CI_REGISTRY_PASSWORD",
    "GHCR_TOKEN",
    "QUAY_PASSWORD",
    "QUAY_TOKEN",
    // Control planes and where they keep their secrets.
    "KUBECONFIG",
    "KUBE_TOKEN",
    "WORKSPACE_OPERATOR_*",
    "INFISICAL_*",
    "RAILWAY_*",
    "VAULT_TOKEN",
    "SOPS_AGE_KEY",
    "TFE_TOKEN",
    "PULUMI_ACCESS_TOKEN",
    "ARGOCD_AUTH_TOKEN",
];

/// The names that are forbidden.
#[derive(Clone, Debug, Default)]
pub struct ForbiddenEnv(Vec<Rule>);

#[derive(Clone, Debug)]
struct Rule {
    text: String,
    is_prefix: bool,
    /// Whose rule it is.
    by: &'static str,
}

/// An entry of the operator's list that can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("forbidden environment: {entry:?} {problem}")]
pub struct Malformed {
    pub entry: String,
    pub problem: &'static str,
}

/// A forbidden variable. What it is set to is nowhere in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("container {container}: the environment variable {name} (from {from}) is forbidden by {by}")]
pub struct Forbidden {
    pub container: String,
    pub name: String,
    pub from: Origin,
    /// The list and its entry.
    pub by: String,
}

/// Where a variable comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    Value,
    Secret(String),
    ConfigMap(String),
    /// The Pod itself, or a file that one of its containers writes.
    Pod,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value => f.write_str("a value"),
            Self::Secret(name) => write!(f, "Secret {name}"),
            Self::ConfigMap(name) => write!(f, "ConfigMap {name}"),
            Self::Pod => f.write_str("a field or file of the Pod"),
        }
    }
}

impl ForbiddenEnv {
    /// What is forbidden unless the operator is told otherwise.
    pub fn built_in() -> Self {
        Self(DEFAULT.iter().filter_map(|entry| Rule::parse(entry).ok()).collect())
    }

    /// Reads the operator's list.
    pub fn parse<T: AsRef<str>>(entries: &[T]) -> Result<Self, Malformed> {
        entries.iter().map(|entry| Rule::parse(entry.as_ref())).collect::<Result<_, _>>().map(Self)
    }

    /// These names and those that a class forbids beyond them.
    #[must_use]
    pub fn with(&self, class: Option<&api::bounds::ForbiddenEnv>) -> Self {
        let mut rules = self.0.clone();
        if let Some(api::bounds::ForbiddenEnv { names, prefixes }) = class {
            let lists = [
                ("bounds.forbiddenEnv.names", false, names),
                ("bounds.forbiddenEnv.prefixes", true, prefixes),
            ];
            for (by, is_prefix, list) in lists {
                rules.extend(list.iter().map(|text| Rule { text: text.clone(), is_prefix, by }));
            }
        }
        Self(rules)
    }

    /// The first forbidden variable of any container. `envFrom` has to be spelt out before.
    pub fn find(&self, spec: &PodSpec) -> Option<Forbidden> {
        let containers = spec.init_containers.iter().flatten().chain(&spec.containers);
        let variables = containers
            .flat_map(|container| container.env.iter().flatten().map(move |variable| (container, variable)));
        variables.into_iter().find_map(|(container, variable)| {
            let rule = self.0.iter().find(|rule| rule.forbids(&variable.name))?;
            Some(Forbidden {
                container: container.name.clone(),
                name: variable.name.clone(),
                from: origin(variable),
                by: rule.to_string(),
            })
        })
    }
}

impl Rule {
    fn parse(entry: &str) -> Result<Self, Malformed> {
        let malformed = |problem: &'static str| Malformed { entry: entry.to_owned(), problem };
        let (text, is_prefix) = match entry.strip_suffix('*') {
            Some(text) => (text, true),
            None => (entry, false),
        };
        if text.contains('*') {
            return Err(malformed("may have a * at its end only"));
        }
        if text.is_empty() {
            return Err(malformed("names no variable"));
        }
        if text.contains(|c: char| c == '=' || c == ',' || c.is_whitespace()) {
            return Err(malformed("is no name of a variable"));
        }
        Ok(Self { text: text.to_owned(), is_prefix, by: "the operator's list" })
    }

    fn forbids(&self, name: &str) -> bool {
        if self.is_prefix { name.starts_with(&self.text) } else { name == self.text }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { text, is_prefix, by } = self;
        write!(f, "{by} ({text}{})", if *is_prefix { "*" } else { "" })
    }
}

fn origin(variable: &EnvVar) -> Origin {
    let Some(from) = &variable.value_from else { return Origin::Value };
    match (&from.secret_key_ref, &from.config_map_key_ref) {
        (Some(secret), _) => Origin::Secret(secret.name.clone()),
        (None, Some(config)) => Origin::ConfigMap(config.name.clone()),
        (None, None) => Origin::Pod,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn default() -> ForbiddenEnv {
        ForbiddenEnv::parse(DEFAULT).unwrap()
    }

    fn find(rules: &ForbiddenEnv, env: Value) -> Option<Forbidden> {
        let spec = json!({"containers": [{"name": "main", "env": env}]});
        rules.find(&serde_json::from_value(spec).unwrap())
    }

    #[test]
    fn a_name_is_forbidden_whole_or_by_its_beginning() {
        for (name, is_forbidden) in [
            ("AWS_SECRET_ACCESS_KEY", true),
            ("GITHUB_TOKEN", true),
            ("DOCKER_AUTH_CONFIG", true),
            ("KUBECONFIG", true),
            ("WORKSPACE_OPERATOR_NAMESPACE", true),
            ("INFISICAL_TOKEN", true),
            ("RAILWAY_", true),
            ("HETZNER_DNS_TOKEN", true),
            ("AWS_REGION", false),
            ("GITHUB_TOKEN_PATH", false),
            ("MY_KUBECONFIG", false),
            ("WORKSPACE_NAME", false),
            ("RAILWAY", false),
            ("MY_RAILWAY_TOKEN", false),
        ] {
            let found = find(&default(), json!([{"name": name, "value": "x"}]));
            assert_eq!(found.is_some(), is_forbidden, "{name}");
        }
    }

    #[test]
    fn a_message_names_the_key_and_its_source_but_never_the_value() {
        for (variable, expected) in [
            (json!({"name": "GH_TOKEN", "value": "hunter2"}), "a value"),
            (
                json!({"name": "GH_TOKEN", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}),
                "Secret s",
            ),
            (
                json!({"name": "GH_TOKEN", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}}}),
                "ConfigMap c",
            ),
        ] {
            let message = find(&default(), json!([variable])).unwrap().to_string();
            assert_eq!(
                message,
                format!(
                    "container main: the environment variable GH_TOKEN (from {expected}) is forbidden by the operator's list (GH_TOKEN)"
                )
            );
        }
    }

    #[test]
    fn every_container_is_looked_at() {
        for spec in [
            json!({"containers": [{"name": "main"}, {"name": "x", "env": [{"name": "GH_TOKEN"}]}]}),
            json!({"containers": [{"name": "main"}], "initContainers": [{"name": "x", "env": [{"name": "GH_TOKEN"}]}]}),
        ] {
            let found = default().find(&serde_json::from_value(spec).unwrap()).unwrap();
            assert_eq!((found.container.as_str(), found.name.as_str()), ("x", "GH_TOKEN"));
        }
    }

    #[test]
    fn a_class_forbids_more_and_allows_nothing() {
        let class = serde_json::from_value(json!({"names": ["A"], "prefixes": ["B_"]})).unwrap();
        let rules = default().with(Some(&class));
        for (name, by) in [
            ("A", "bounds.forbiddenEnv.names (A)"),
            ("B_1", "bounds.forbiddenEnv.prefixes (B_*)"),
            ("KUBECONFIG", "the operator's list (KUBECONFIG)"),
        ] {
            assert_eq!(find(&rules, json!([{"name": name, "value": "x"}])).unwrap().by, by);
        }
        assert_eq!(find(&rules, json!([{"name": "AB", "value": "x"}])), None);
    }

    #[test]
    fn an_entry_that_would_forbid_nothing_or_all_is_malformed() {
        for entry in ["", "*", "A*B", "**", "A**", "A=B", "A B", "A,B"] {
            assert_eq!(ForbiddenEnv::parse(&[entry]).unwrap_err().entry, entry);
        }
        assert!(ForbiddenEnv::parse(&["A", "B_*", "with.dots-and-dashes"]).is_ok());
    }
}
