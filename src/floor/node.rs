//! What the Pod may say of its node's users and system.

use k8s_openapi::api::core::v1::PodSpec;

use crate::api::class::PodSecurity;

use super::{Below, Floor, UNSET};

pub(super) fn check(floor: Floor, spec: &PodSpec) -> Result<(), Below> {
    if floor.user_namespace && spec.host_users != Some(false) {
        let value = spec.host_users.map_or(UNSET.to_owned(), |value| value.to_string());
        return Err(Below::new("hostUsers", value, "userNamespace allows only false"));
    }
    // The API server refuses there what the floor fills in, and the standards excuse it for that.
    let linux_only = floor.user_namespace || floor.profile == PodSecurity::Restricted;
    match spec.os.as_ref().map(|os| os.name.as_str()) {
        Some(name) if linux_only && name != "linux" => {
            let by = if floor.user_namespace { "userNamespace" } else { floor.profile.as_str() };
            Err(Below::new("os.name", name, format!("{by} allows only linux")))
        }
        _ => Ok(()),
    }
}
