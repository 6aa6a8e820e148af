//! When a change that needs a new Pod is carried out.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// When a change that needs a new Pod is carried out.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct UpdateStrategy {
    /// Immediate: a changed input restarts at once. OnRestart: it waits for the next start. WhenIdle: it waits until the
    /// program says that it is idle, which takes `registration.policy: Required`. A restart that a person asks for
    /// waits for nobody. Default: Immediate.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub type_: Option<UpdateStrategyType>,

    /// Seconds that WhenIdle waits at most. Default: 3600.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 31_536_000))]
    pub max_delay_seconds: Option<i64>,
}

/// When a change that needs a new Pod is carried out.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[schemars(description = "")]
pub enum UpdateStrategyType {
    /// At once.
    #[default]
    Immediate,
    /// With the next start, whatever causes it.
    OnRestart,
    /// When the program says that it is idle, at most `maxDelaySeconds` later.
    WhenIdle,
}
