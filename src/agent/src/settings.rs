//! The command line. Every flag has an environment name.

use std::{ffi::OsString, path::PathBuf};

use clap::Parser;
use ureq::http::{Uri, uri::Scheme};

/// Registers this incarnation of a workspace, beats for it, and runs its command.
///
/// With a command it is an entrypoint: it starts the command once it is registered, passes signals on to it, reaps
/// orphans, and exits with its exit code. Without one it is a sidecar: it registers and beats until it is told to end.
///
/// Exits with 78 when the operator says for good that this incarnation is stale; its command is ended first.
#[derive(Parser, Debug)]
#[command(name = "workspace-agent", version)]
pub struct Settings {
    /// Where to register: `https://host:port`. Not set: registration is not required.
    #[arg(
        long,
        env = "WORKSPACE_REGISTRATION_URL",
        default_value = "",
        hide_default_value = true,
        value_parser = read_target
    )]
    pub url: Target,
    /// The file with the token. It is read again for every call.
    #[arg(
        long,
        env = "WORKSPACE_AGENT_TOKEN_FILE",
        default_value = "/var/run/secrets/workspaces.dev/token",
        value_name = "PATH"
    )]
    pub token_file: PathBuf,
    /// The file with the certificates that the operator's may be signed with; nothing else is trusted. It is read
    /// again for every call.
    #[arg(
        long,
        env = "WORKSPACE_AGENT_CA_FILE",
        default_value = "/var/run/secrets/workspaces.dev/ca.crt",
        value_name = "PATH"
    )]
    pub ca_file: PathBuf,
    /// A file that the program touches when something happens: its time is the last activity.
    #[arg(long, env = "WORKSPACE_AGENT_ACTIVITY_FILE", value_name = "PATH")]
    pub activity_file: Option<PathBuf>,
    /// A file that exists while the program is busy. Its first line, up to 256 bytes, says with what.
    #[arg(long, env = "WORKSPACE_AGENT_BUSY_FILE", value_name = "PATH")]
    pub busy_file: Option<PathBuf>,
    /// Start the command at once instead of after registering.
    #[arg(long, env = "WORKSPACE_AGENT_START_BEFORE_REGISTRATION")]
    pub start_before_registration: bool,
    /// How long the command of a stale incarnation may take to end before it is killed.
    #[arg(long, env = "WORKSPACE_AGENT_GRACE_SECONDS", default_value_t = 10)]
    pub grace_seconds: u32,
    /// Who registers; only for messages. Elsewhere than in a Pod nobody sets it.
    #[arg(long, env = "WORKSPACE_NAME", hide = true)]
    name: Option<String>,
    #[arg(long, env = "WORKSPACE_NAMESPACE", hide = true)]
    namespace: Option<String>,
    #[arg(long, env = "WORKSPACE_INCARNATION", hide = true)]
    incarnation: Option<String>,
    /// The command and its arguments.
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

impl Settings {
    /// What messages call the incarnation.
    pub fn identity(&self) -> String {
        match (&self.namespace, &self.name, &self.incarnation) {
            (Some(namespace), Some(name), Some(incarnation)) => {
                format!("workspace {namespace}/{name}, incarnation {incarnation},")
            }
            _ => "this incarnation".to_owned(),
        }
    }
}

/// Scheme, host and port of the operator, without a slash at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url(String);

impl Url {
    /// The address of one path, which begins with a slash.
    pub fn at(&self, path: &str) -> String {
        format!("{}{path}", self.0)
    }
}

/// Where to register.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Registration is not required.
    Nowhere,
    Operator(Url),
}

/// An empty one counts as none: an environment variable can be emptied more easily than taken away.
fn read_target(text: &str) -> Result<Target, String> {
    if text.is_empty() {
        return Ok(Target::Nowhere);
    }
    let uri: Uri = text.parse().map_err(|error| format!("{error}"))?;
    let is_bare = uri.path_and_query().is_none_or(|path| path == "/");
    if uri.scheme() != Some(&Scheme::HTTPS) || !is_bare {
        return Err("must be https://host:port".to_owned());
    }
    Ok(Target::Operator(Url(text.trim_end_matches('/').to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_goes_nowhere_without_tls() {
        assert!(read_target("http://operator:8443").is_err());
        assert!(read_target("operator:8443").is_err());
    }

    #[test]
    fn an_address_is_bare() {
        let url = |text| match read_target(text) {
            Ok(Target::Operator(url)) => url.at("/v1/register"),
            other => panic!("{other:?}"),
        };
        assert_eq!(url("https://operator:8443"), "https://operator:8443/v1/register");
        assert_eq!(url("https://[::1]:8443/"), "https://[::1]:8443/v1/register");
        assert!(read_target("https://operator:8443/else").is_err());
        assert_eq!(read_target(""), Ok(Target::Nowhere));
    }

    #[test]
    fn who_is_not_told_its_name_has_none() {
        let settings = |more: &[&str]| Settings::parse_from([&["workspace-agent"], more].concat());
        assert_eq!(settings(&[]).identity(), "this incarnation");
        let named = settings(&["--name", "x", "--namespace", "team", "--incarnation", "3"]);
        assert_eq!(named.identity(), "workspace team/x, incarnation 3,");
    }

    #[test]
    fn what_follows_two_dashes_is_the_command() {
        let settings = Settings::parse_from(["workspace-agent", "--", "sh", "--version", "--"]);
        assert_eq!(settings.command, ["sh", "--version", "--"]);
    }
}
