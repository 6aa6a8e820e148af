//! Tells a "no" to what was asked from a failure to ask. Only the first is told to the user as the state of the
//! workspace; the second is retried.

use kube::core::Status;

use crate::api::Reason;

/// What kind of child was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Child {
    Pod,
    VolumeClaim,
    Service,
    NetworkPolicy,
    DisruptionBudget,
}

/// How the API server speaks of quotas; the last, of one that nobody has counted yet.
const QUOTA: &[&str] = &["exceeded quota", "failed quota", "status unknown for quota"];

/// The reason and message of a refusal; none where `error` is none.
pub fn of(child: Child, error: &kube::Error) -> Option<(Reason, String)> {
    let kube::Error::Api(status) = error else { return None };
    let refused = match child {
        Child::Pod => Reason::PodRefused,
        Child::VolumeClaim => Reason::VolumeRefused,
        Child::Service => Reason::ServiceRefused,
        Child::NetworkPolicy => Reason::NetworkPolicyRefused,
        Child::DisruptionBudget => Reason::DisruptionBudgetRefused,
    };
    let reason = match status.code {
        403 if is_namespace_terminating(status) => Reason::Terminating,
        403 if QUOTA.iter().any(|words| status.message.contains(words)) => Reason::QuotaExceeded,
        // The operator itself lacks a right: not the workspace's fault.
        403 if status.message.contains(" cannot ") && status.message.contains(" resource \"") => return None,
        400 | 403 | 422 => refused,
        _ => return None,
    };
    Some((reason, status.message.clone()))
}

fn is_namespace_terminating(status: &Status) -> bool {
    status
        .details
        .iter()
        .flat_map(|details| &details.causes)
        .any(|cause| cause.reason == "NamespaceTerminating")
        || status.message.contains("because it is being terminated")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(code: u16, message: &str) -> Option<Reason> {
        let status = Status { code, message: message.into(), ..Default::default() };
        of(Child::Pod, &kube::Error::Api(Box::new(status))).map(|(reason, _)| reason)
    }

    #[test]
    fn a_refusal_is_told_from_a_failure() {
        assert_eq!(reason(422, "spec.x: Invalid value"), Some(Reason::PodRefused));
        assert_eq!(reason(403, "pods \"x\" is forbidden: violates PodSecurity"), Some(Reason::PodRefused));
        assert_eq!(reason(403, "pods \"x\" is forbidden: exceeded quota: q"), Some(Reason::QuotaExceeded));
        assert_eq!(
            reason(403, "unable to create new content in namespace n because it is being terminated"),
            Some(Reason::Terminating)
        );
        assert_eq!(reason(403, "User \"u\" cannot create resource \"pods\""), None);
        assert_eq!(reason(403, "User \"u\" cannot patch resource \"pods/resize\" in API group"), None);
        assert_eq!(
            reason(403, "pods \"x\" is forbidden: status unknown for quota: q"),
            Some(Reason::QuotaExceeded)
        );
        assert_eq!(reason(500, "etcd"), None);
        assert_eq!(reason(429, "slow down"), None);
    }
}
