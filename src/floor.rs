//! Pure: the least security of a Pod: what is filled in where nothing was said, and what may not be said.
//!
//! The rules are Kubernetes' Pod Security Standards of 1.37, with three of our own: API tokens, who decides on a user
//! namespace, and Linux only. Ephemeral containers are not looked at: the API server makes no Pod with any.

mod baseline;
mod defaults;
mod node;
mod parts;
mod restricted;
mod token;

use std::{collections::BTreeMap, fmt::Display};

use k8s_openapi::api::core::v1::PodSpec;

use crate::api::class::PodSecurity;

/// The least security of a Pod, as its class (or nobody's class) has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Floor {
    pub profile: PodSecurity,
    /// Whether the Pod runs in a user namespace of its own: root inside, nobody outside.
    pub user_namespace: bool,
    /// What Baseline says of API tokens; Restricted refuses them anyway.
    pub token: Token,
}

/// Whether a Pod may hold what the API server takes it for its service account by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token {
    Refused,
    Allowed,
}

/// A field that stands below the floor.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} is {value}; {bound}")]
pub struct Below {
    /// Its path below the Pod's spec, containers and volumes by their names: `containers[main].securityContext`.
    pub field: String,
    pub value: String,
    pub bound: String,
}

/// What a field that nobody set is told to be.
const UNSET: &str = "unset";

impl Below {
    fn new(field: impl Into<String>, value: impl ToString, bound: impl Into<String>) -> Self {
        Self { field: field.into(), value: value.to_string(), bound: bound.into() }
    }

    /// By what a profile allows there.
    fn profile(
        by: PodSecurity,
        field: impl Into<String>,
        value: impl ToString,
        allowed: impl Display,
    ) -> Self {
        Self::new(field, value, format!("{} allows {allowed}", by.as_str()))
    }
}

impl Floor {
    /// Fills in what was left out, so that the Pod stands on the floor. What was set stays, be it below.
    pub fn fill(self, spec: &mut PodSpec) {
        // Left out, the service account would decide.
        spec.automount_service_account_token.get_or_insert(false);
        if self.user_namespace {
            spec.host_users.get_or_insert(false);
        }
        if self.profile == PodSecurity::Restricted {
            defaults::fill(self.root_is_nobody(spec), spec);
        }
    }

    /// The first field below the floor.
    pub fn check(self, spec: &PodSpec) -> Result<(), Below> {
        node::check(self, spec)?;
        baseline::check(self.profile, spec)?;
        if self.profile == PodSecurity::Restricted {
            restricted::check(self.root_is_nobody(spec), spec)?;
        }
        if self.refuses_tokens() { token::check(spec) } else { Ok(()) }
    }

    /// The first annotation below the floor: the API server turns the old AppArmor ones into fields.
    pub fn check_annotations(self, annotations: &BTreeMap<String, String>) -> Result<(), Below> {
        baseline::check_annotations(self.profile, annotations)
    }

    /// Only where the class says so: whoever writes a workspace could otherwise make itself root by `hostUsers`.
    fn root_is_nobody(self, spec: &PodSpec) -> bool {
        self.user_namespace && spec.host_users == Some(false)
    }

    fn refuses_tokens(self) -> bool {
        self.profile == PodSecurity::Restricted || self.token == Token::Refused
    }
}

#[cfg(test)]
mod tests;
