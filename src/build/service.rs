//! The Service in front of a workspace's ports.

use k8s_openapi::{
    api::core::v1::{Service, ServicePort, ServiceSpec},
    apimachinery::pkg::util::intstr::IntOrString,
};

use crate::{
    api::{names, workspace::ServiceType},
    resolve::Effective,
};

use super::Owner;

/// The Service; none without ports.
pub fn service(owner: &Owner, effective: &Effective) -> Option<Service> {
    let type_ = effective.service?;
    Some(Service {
        metadata: owner.metadata(),
        spec: Some(ServiceSpec {
            type_: Some("ClusterIP".to_owned()),
            cluster_ip: match type_ {
                ServiceType::Headless => Some("None".to_owned()),
                ServiceType::ClusterIP => None,
            },
            selector: Some([(names::WORKSPACE.to_owned(), owner.name.clone())].into()),
            ports: Some(ports(effective)),
            ..Default::default()
        }),
        status: None,
    })
}

/// A Service wants a name per port as soon as there are two.
fn ports(effective: &Effective) -> Vec<ServicePort> {
    effective
        .spec
        .ports
        .iter()
        .map(|port| {
            let protocol = port.protocol.clone().unwrap_or_else(|| "TCP".to_owned());
            let name = format!("{}-{}", protocol.to_lowercase(), port.container_port);
            ServicePort {
                name: Some(port.name.clone().unwrap_or(name)),
                port: port.container_port,
                protocol: Some(protocol),
                target_port: Some(IntOrString::Int(port.container_port)),
                ..Default::default()
            }
        })
        .collect()
}
