//! Where a Pod would hold what the API server takes it for its service account by.

use k8s_openapi::api::core::v1::{PodSpec, VolumeProjection};

use crate::api::names;

use super::{Below, UNSET, parts::volumes};

const BOUND: &str = "no credential of the service account is allowed";

/// Who gets a certificate of this signer is the service account to the API server, as by a token.
const API_SIGNER: &str = "kubernetes.io/kube-apiserver-client-pod";

pub(super) fn check(spec: &PodSpec) -> Result<(), Below> {
    let automount = spec.automount_service_account_token;
    if automount != Some(false) {
        let value = automount.map_or(UNSET.to_owned(), |value| value.to_string());
        return Err(Below::new("automountServiceAccountToken", value, BOUND));
    }
    for (path, volume) in volumes(spec) {
        // The operator's own: a token for its audience opens nothing of the API server's.
        let is_own = volume.name.starts_with(names::OWN_VOLUMES);
        let sources = volume.projected.iter().flat_map(|projected| projected.sources.iter().flatten());
        for (index, source) in sources.enumerate() {
            if let Some((field, value)) = credential(source, is_own) {
                return Err(Below::new(format!("{path}.projected.sources[{index}].{field}"), value, BOUND));
            }
        }
    }
    Ok(())
}

fn credential(source: &VolumeProjection, is_own: bool) -> Option<(&'static str, String)> {
    if let Some(token) = &source.service_account_token {
        let audience = token.audience.as_deref().unwrap_or_default();
        if !(is_own && audience == names::AUDIENCE) {
            return Some(("serviceAccountToken", format!("a token for {}", named(audience))));
        }
    }
    let certificate = source.pod_certificate.as_ref()?;
    (certificate.signer_name == API_SIGNER)
        .then(|| ("podCertificate", format!("a certificate of {API_SIGNER}")))
}

fn named(audience: &str) -> &str {
    if audience.is_empty() { "the API server" } else { audience }
}
