//! Whether a workspace's program registers at the operator.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Whether the program has to register with the operator when it boots. Programs that do, show that they are the
/// newest start, and are told from their predecessors by a credential that ends with their Pod.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Registration {
    /// Required: the workspace is Ready, and reached through its Service, only after its program registered.
    /// Default: Disabled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<RegistrationPolicy>,

    /// What follows when a program that registered is not heard for three intervals. Report: the workspace is not
    /// Ready, with HeartbeatLost, and nothing else. Restart: it is also started anew, with back-off, unless most others
    /// are not heard either: then the fault is elsewhere. Default: Report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_silence: Option<OnSilence>,
}

/// What follows when a program falls silent.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[schemars(description = "")]
pub enum OnSilence {
    /// It is told.
    #[default]
    Report,
    /// It is told, and the program started anew.
    Restart,
}

/// Whether a program has to register.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[schemars(description = "")]
pub enum RegistrationPolicy {
    /// It need not, and gets no credential to do so.
    #[default]
    Disabled,
    /// It has to, at each start of its container.
    Required,
}
