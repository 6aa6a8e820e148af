//! The command line. Every flag has an environment name, and its default shows in `--help`.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use clap::{Parser, Subcommand, ValueEnum};

use crate::{
    context::Settings,
    forbidden_env::{self, ForbiddenEnv},
};

/// Runs workspaces on Kubernetes.
#[derive(Parser, Debug)]
#[command(name = "workspace-operator", version)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub run: RunArgs,
}

/// What to do. Without a command: run.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Run the operator (the default).
    Run(Box<RunArgs>),
    /// Print the CustomResourceDefinitions.
    Crd {
        /// Write each to a file of its own in this folder instead.
        #[arg(long)]
        dir: Option<std::path::PathBuf>,
    },
}

/// How to run.
#[derive(clap::Args, Debug, Clone)]
pub struct RunArgs {
    /// Look after this namespace only.
    #[arg(long, env = "WORKSPACE_OPERATOR_NAMESPACE")]
    pub namespace: Option<String>,
    /// How many workspaces are reconciled at a time.
    #[arg(long, env = "WORKSPACE_OPERATOR_CONCURRENCY", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..))]
    pub concurrency: u16,
    /// Seconds that one reconcile may take.
    #[arg(long, env = "WORKSPACE_OPERATOR_RECONCILE_TIMEOUT_SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    pub reconcile_timeout_seconds: u64,
    /// Seconds to wait for an answer about a new image before the restart goes on without one.
    #[arg(long, env = "WORKSPACE_OPERATOR_IMAGE_CHECK_TIMEOUT_SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    pub image_check_timeout_seconds: u64,
    /// Restart a workspace when the data of a Secret or ConfigMap that its environment refers to changes. Needs
    /// the right to get, list and watch both kinds.
    #[arg(long, env = "WORKSPACE_OPERATOR_RESTART_ON_REFERENCE_CHANGE", default_value_t = true, action = clap::ArgAction::Set)]
    pub restart_on_reference_change: bool,
    /// Namespace of the Secret with the key that referenced data is hashed with [default: the operator's own]
    #[arg(long, env = "WORKSPACE_OPERATOR_HASH_KEY_NAMESPACE")]
    pub hash_key_namespace: Option<String>,
    /// Refuse workspaces that have no class: neither one they name nor a default one.
    #[arg(long, env = "WORKSPACE_OPERATOR_REQUIRE_CLASS")]
    pub require_class: bool,
    /// Environment variables that no workspace may have, whatever its class: names between commas, where a `*` at
    /// the end stands for any rest. Replaces the built-in list; an empty value forbids none.
    #[arg(long, env = "WORKSPACE_OPERATOR_FORBIDDEN_ENV", value_delimiter = ',', default_values = forbidden_env::DEFAULT)]
    pub forbidden_env: Vec<String>,
    /// Write the status of classes. Where several operators look after a namespace each, only one may
    /// [default: whether it looks after all namespaces]
    #[arg(long, env = "WORKSPACE_OPERATOR_CLASS_STATUS", action = clap::ArgAction::Set)]
    pub class_status: Option<bool>,
    /// Offer boot registration: workspaces with `registration.policy: Required` are refused without. Needs the right
    /// to create TokenReviews and to patch the status of Pods.
    #[arg(long, env = "WORKSPACE_OPERATOR_REGISTRATION", default_value_t = true, action = clap::ArgAction::Set)]
    pub registration: bool,
    /// Address that programs register at, by TLS.
    #[arg(long, env = "WORKSPACE_OPERATOR_REGISTRATION_LISTEN", default_value = "0.0.0.0:8443")]
    pub registration_listen: SocketAddr,
    /// URL of that address as workspaces reach it
    /// [default: port 8443 of the Service workspace-operator in the operator's own namespace]
    #[arg(long, env = "WORKSPACE_OPERATOR_REGISTRATION_URL")]
    pub registration_url: Option<String>,
    /// Secret in the operator's own namespace with the certificate for it (tls.crt, tls.key, ca.crt), as cert-manager
    /// makes them [default: one that the operator makes and renews itself]
    #[arg(long, env = "WORKSPACE_OPERATOR_REGISTRATION_TLS_SECRET")]
    pub registration_tls_secret: Option<String>,
    /// Address of this replica that the others pass heartbeats on to, while it leads: its Pod's
    #[arg(long, env = "WORKSPACE_OPERATOR_POD_IP")]
    pub pod_ip: Option<IpAddr>,
    /// Write only while holding the Lease `workspace-operator` in the operator's own namespace, so that several
    /// replicas may run [default: whether it runs in a cluster]
    #[arg(long, env = "WORKSPACE_OPERATOR_LEADER_ELECTION", action = clap::ArgAction::Set)]
    pub leader_election: Option<bool>,
    /// Seconds between two heartbeats of a program that registered.
    #[arg(long, env = "WORKSPACE_OPERATOR_HEARTBEAT_SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub heartbeat_seconds: u64,
    /// Address of /livez and /readyz.
    #[arg(long, env = "WORKSPACE_OPERATOR_LISTEN", default_value = "0.0.0.0:8080")]
    pub listen: SocketAddr,
    /// How logs look [default: json in a cluster, text on a terminal]
    #[arg(long, env = "WORKSPACE_OPERATOR_LOG_FORMAT")]
    pub log_format: Option<LogFormat>,
}

/// How logs look.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    Json,
    Text,
}

impl RunArgs {
    /// The part of it that reconciling needs. `own_namespace` is the operator's.
    pub fn settings(&self, own_namespace: &str) -> Result<Settings, forbidden_env::Malformed> {
        let Self {
            namespace,
            concurrency,
            reconcile_timeout_seconds,
            image_check_timeout_seconds,
            restart_on_reference_change: _,
            hash_key_namespace: _,
            require_class,
            forbidden_env,
            class_status,
            registration: _,
            registration_listen: _,
            registration_url: _,
            registration_tls_secret: _,
            pod_ip: _,
            leader_election: _,
            heartbeat_seconds,
            listen: _,
            log_format: _,
        } = self;
        Ok(Settings {
            namespace: namespace.clone(),
            concurrency: *concurrency,
            reconcile_timeout: Duration::from_secs(*reconcile_timeout_seconds),
            image_check_timeout: Duration::from_secs(*image_check_timeout_seconds),
            require_class: *require_class,
            forbidden_env: ForbiddenEnv::parse(&given(forbidden_env))?,
            heartbeat: Duration::from_secs(*heartbeat_seconds),
            operator_namespace: own_namespace.to_owned(),
            class_status: class_status.unwrap_or(namespace.is_none()),
        })
    }
}

/// An empty value is an empty list, not a list of one empty name.
fn given(entries: &[String]) -> Vec<&str> {
    match entries {
        [one] if one.is_empty() => Vec::new(),
        entries => entries.iter().map(String::as_str).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(arguments: &[&str]) -> Result<Settings, forbidden_env::Malformed> {
        let cli = Cli::parse_from(["workspace-operator"].iter().chain(arguments));
        cli.run.settings("operators")
    }

    fn forbids(settings: &Settings, name: &str) -> bool {
        let pod = serde_json::json!({"containers": [{"name": "main", "env": [{"name": name}]}]});
        settings.forbidden_env.find(&serde_json::from_value(pod).unwrap()).is_some()
    }

    #[test]
    fn the_list_of_forbidden_variables_is_replaced_or_emptied() {
        let built_in = settings(&[]).unwrap();
        assert!(forbids(&built_in, "AWS_SECRET_ACCESS_KEY"));
        let own = settings(&["--forbidden-env", "TOKEN,SECRET_*"]).unwrap();
        assert!(
            forbids(&own, "TOKEN") && forbids(&own, "SECRET_A") && !forbids(&own, "AWS_SECRET_ACCESS_KEY")
        );
        assert!(!forbids(&settings(&["--forbidden-env", ""]).unwrap(), "AWS_SECRET_ACCESS_KEY"));
        assert!(settings(&["--forbidden-env", "A,,B"]).is_err());
    }

    #[test]
    fn who_looks_after_one_namespace_leaves_the_status_of_classes_to_others() {
        assert!(settings(&[]).unwrap().class_status);
        assert!(!settings(&["--namespace", "a"]).unwrap().class_status);
        assert!(settings(&["--namespace", "a", "--class-status", "true"]).unwrap().class_status);
    }
}
