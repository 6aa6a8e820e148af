use std::net::{Ipv4Addr, TcpListener};

use serde::{Deserialize, Serialize};

use crate::error::Error;

/// How many ports in a row are tried, each step apart so that no two purposes meet.
const TRIES: u16 = 30;
const STEP: u16 = 20;

/// The ports of one run, chosen once and kept, since kubeconfigs and certificates name them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ports {
    pub(crate) etcd: u16,
    pub(crate) etcd_peer: u16,
    pub(crate) api_server: u16,
    pub(crate) controller_manager: u16,
    pub(crate) scheduler: u16,
    pub(crate) kubelet: u16,
    pub(crate) kubelet_health: u16,
    pub(crate) proxy_health: u16,
    pub(crate) proxy_metrics: u16,
    pub(crate) dns_health: u16,
}

impl Ports {
    pub(crate) fn choose() -> Result<Self, Error> {
        Self::choose_with(|port| TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok())
    }

    fn choose_with(is_free: impl Fn(u16) -> bool) -> Result<Self, Error> {
        let first_free = |purpose, first: u16| {
            (0..TRIES).map(|n| first + n * STEP).find(|&port| is_free(port)).ok_or(Error::NoPort {
                purpose,
                first,
                last: first + TRIES * STEP,
            })
        };
        Ok(Self {
            etcd: first_free("etcd", 18400)?,
            etcd_peer: first_free("etcd's peers", 18401)?,
            api_server: first_free("the API server", 18402)?,
            controller_manager: first_free("the controller manager", 18403)?,
            scheduler: first_free("the scheduler", 18404)?,
            kubelet: first_free("the kubelet", 18405)?,
            kubelet_health: first_free("the kubelet's health", 18406)?,
            proxy_health: first_free("kube-proxy's health", 18407)?,
            proxy_metrics: first_free("kube-proxy's metrics", 18408)?,
            dns_health: first_free("CoreDNS's health", 18409)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_taken_port_is_passed_over_and_no_two_purposes_share_one() {
        let ports = Ports::choose_with(|port| port >= 18450).unwrap();
        let Ports { etcd, etcd_peer, api_server, controller_manager, scheduler, .. } = ports;
        let Ports { kubelet, kubelet_health, proxy_health, proxy_metrics, dns_health, .. } = ports;
        let all = [
            etcd,
            etcd_peer,
            api_server,
            controller_manager,
            scheduler,
            kubelet,
            kubelet_health,
            proxy_health,
            proxy_metrics,
            dns_health,
        ];
        assert!(all.iter().all(|&port| port >= 18450));
        assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len());
    }

    #[test]
    fn when_every_port_is_taken_the_error_names_the_purpose() {
        let error = Ports::choose_with(|_| false).unwrap_err();
        assert!(error.to_string().contains("etcd"), "{error}");
    }
}
