//! When a workspace that nobody uses is stopped.

use k8s_openapi::{api::core::v1::HTTPHeader, apimachinery::pkg::util::intstr::IntOrString};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::pattern;

/// When a workspace that nobody uses is stopped. Its volume stays. It is woken by taking the annotation
/// `hold.workspaces.dev/idle` away.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Idle {
    /// Seconds without activity after which the workspace is stopped. The program tells of activity by its heartbeats
    /// (`registration.policy: Required`), or is asked by `probe`. Default: it is never stopped for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 31_536_000))]
    pub stop_after_seconds: Option<i64>,

    /// Asks a program that sends no heartbeats. It is asked when it would be stopped by what is known, and stopped
    /// only if it answers that it was idle for that long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe: Option<IdleProbe>,
}

/// How a program is asked for its last activity.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct IdleProbe {
    /// Where its answer is found, as JSON.
    pub http_get: IdleHttpGet,

    /// Where in the answer the time of the last activity stands, as a JSONPath of names, indexes and `[*]`: a time by
    /// RFC 3339, or seconds since 1970. Of several the latest counts. Default: `$.last_activity`, as `/api/status` of Jupyter has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub last_activity: Option<String>,
}

/// A request to the Pod's own address, by HTTP.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct IdleHttpGet {
    /// The port, by its number or by its name in `ports`.
    pub port: IntOrString,

    /// The path. Default: `/`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024), regex(pattern = pattern::ABSOLUTE_PATH))]
    pub path: Option<String>,

    /// Headers to send.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub http_headers: Vec<HTTPHeader>,
}
