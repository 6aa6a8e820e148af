//! A real node on this machine: kubelet, containerd, kube-proxy and a name server on a bridge of their own.

pub(crate) mod configuration;
pub(crate) mod containers;
pub(crate) mod firewall;
pub(crate) mod holder;
pub(crate) mod host;
pub(crate) mod packages;
pub(crate) mod remains;

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use serde_json::json;

use crate::{
    FIELD_MANAGER,
    error::{Doing, Error},
    network,
};

const DNS_NAME: &str = "kube-dns";
const SYSTEM_NAMESPACE: &str = "kube-system";

/// Makes the name server, which runs on the host, reachable at the address every Pod is told.
pub(crate) async fn register_dns(client: &Client) -> Result<(), Error> {
    let parameters = PatchParams::apply(FIELD_MANAGER).force();
    let doing = || format!("apply Service {DNS_NAME}");
    let service = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": { "name": DNS_NAME, "labels": { "k8s-app": DNS_NAME } },
        "spec": {
            "clusterIP": network::DNS_SERVICE,
            "ports": [
                { "name": "dns", "port": 53, "protocol": "UDP" },
                { "name": "dns-tcp", "port": 53, "protocol": "TCP" },
            ],
        },
    });
    let services: Api<Service> = Api::namespaced(client.clone(), SYSTEM_NAMESPACE);
    services.patch(DNS_NAME, &parameters, &Patch::Apply(service)).await.doing(doing)?;
    let slice = json!({
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": { "name": DNS_NAME, "labels": { "kubernetes.io/service-name": DNS_NAME } },
        "addressType": "IPv4",
        "endpoints": [{ "addresses": [network::NODE], "conditions": { "ready": true } }],
        "ports": [
            { "name": "dns", "port": 53, "protocol": "UDP" },
            { "name": "dns-tcp", "port": 53, "protocol": "TCP" },
        ],
    });
    let slices: Api<EndpointSlice> = Api::namespaced(client.clone(), SYSTEM_NAMESPACE);
    slices.patch(DNS_NAME, &parameters, &Patch::Apply(slice)).await.doing(doing)?;
    Ok(())
}
