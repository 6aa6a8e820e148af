//! The network policy of a workspace: in from those who are named, out to DNS, the operator and public addresses.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::networking::v1::{
        IPBlock, NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyIngressRule, NetworkPolicyPeer,
        NetworkPolicyPort, NetworkPolicySpec,
    },
    apimachinery::pkg::{
        apis::meta::v1::{LabelSelector, LabelSelectorRequirement, ObjectMeta, OwnerReference},
        util::intstr::IntOrString,
    },
};

use crate::api::{class::Network, names};

use super::Owner;

/// Label that Kubernetes puts on every namespace.
const NAMESPACE_NAME: &str = "kubernetes.io/metadata.name";
const DNS_NAMESPACE: &str = "kube-system";
/// Where NodeLocal DNSCache listens on every node.
const NODE_LOCAL_DNS: &str = "169.254.20.10/32";
const DNS_PORT: i32 = 53;

/// A public address by which a virtual machine of Azure is told its settings, secrets among them. It answers the Pods
/// of the machine too.
const WIRE_SERVER: &str = "168.63.129.16/32";

/// What is no public address: private, shared, link-local (and so the metadata address of every cloud), loopback,
/// for documentation, benchmarks, multicast, reserved (RFC 6890).
const NOT_PUBLIC_V4: &[&str] = &[
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    WIRE_SERVER,
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "224.0.0.0/4",
    "240.0.0.0/4",
];
/// The same of IPv6, with the ways back to IPv4 (NAT64, 6to4), behind which a private address could hide. Mapped
/// addresses are never on the wire, and the API server takes none.
const NOT_PUBLIC_V6: &[&str] =
    &["::/96", "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "fc00::/7", "fe80::/10", "ff00::/8"];

/// The policy. Its owners are the workspace and its Pod: the garbage collector takes it away only when both are gone,
/// so it outlives a Pod that takes its time. Until the Pod exists it has none.
///
/// The operator comes in at `probe`, the port where it asks the program for its activity.
pub fn network_policy(
    owner: &Owner,
    network: &Network,
    probe: Option<u16>,
    pod_uid: Option<&str>,
    operator_namespace: &str,
) -> NetworkPolicy {
    NetworkPolicy {
        metadata: ObjectMeta { owner_references: pod_uid.map(|uid| owners(owner, uid)), ..owner.metadata() },
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(labels(names::WORKSPACE, &owner.name)),
            policy_types: Some(vec!["Ingress".to_owned(), "Egress".to_owned()]),
            ingress: Some(
                ingress(network)
                    .into_iter()
                    .chain(probe.map(|port| asked(port, operator_namespace)))
                    .collect(),
            )
            .filter(|rules: &Vec<_>| !rules.is_empty()),
            egress: Some(egress(network, operator_namespace)),
        }),
    }
}

fn owners(owner: &Owner, pod_uid: &str) -> Vec<OwnerReference> {
    let pod = OwnerReference {
        api_version: "v1".to_owned(),
        kind: "Pod".to_owned(),
        name: owner.name.clone(),
        uid: pod_uid.to_owned(),
        ..Default::default()
    };
    vec![owner.reference(), pod]
}

/// None lets nobody in: the policy speaks of Ingress and has no rule.
fn ingress(network: &Network) -> Option<NetworkPolicyIngressRule> {
    let Network { peers, ingress_namespaces, private_ranges: _ } = network;
    let peers = peers
        .iter()
        .map(|peer| NetworkPolicyPeer { pod_selector: Some(without_empty(peer)), ..Default::default() });
    let namespaces = (!ingress_namespaces.is_empty()).then(|| NetworkPolicyPeer {
        namespace_selector: Some(LabelSelector {
            match_expressions: Some(vec![LabelSelectorRequirement {
                key: NAMESPACE_NAME.to_owned(),
                operator: "In".to_owned(),
                values: Some(ingress_namespaces.clone()),
            }]),
            match_labels: None,
        }),
        ..Default::default()
    });
    let from: Vec<_> = peers.chain(namespaces).collect();
    (!from.is_empty()).then_some(NetworkPolicyIngressRule { from: Some(from), ports: None })
}

fn asked(port: u16, operator_namespace: &str) -> NetworkPolicyIngressRule {
    NetworkPolicyIngressRule {
        from: Some(vec![operator(operator_namespace)]),
        ports: Some(vec![self::port("TCP", port.into())]),
    }
}

fn operator(namespace: &str) -> NetworkPolicyPeer {
    NetworkPolicyPeer {
        namespace_selector: Some(labels(NAMESPACE_NAME, namespace)),
        pod_selector: Some(labels(names::APP_NAME, names::OPERATOR)),
        ip_block: None,
    }
}

/// As the API server answers: what it keeps of an empty list is nothing, and would differ for ever.
fn without_empty(selector: &LabelSelector) -> LabelSelector {
    let LabelSelector { match_labels, match_expressions } = selector.clone();
    let with_values = |mut expression: LabelSelectorRequirement| {
        expression.values = expression.values.filter(|values| !values.is_empty());
        expression
    };
    LabelSelector {
        match_labels: match_labels.filter(|labels| !labels.is_empty()),
        match_expressions: match_expressions
            .filter(|expressions| !expressions.is_empty())
            .map(|expressions| expressions.into_iter().map(with_values).collect()),
    }
}

fn egress(network: &Network, operator_namespace: &str) -> Vec<NetworkPolicyEgressRule> {
    let dns = NetworkPolicyEgressRule {
        to: Some(vec![
            NetworkPolicyPeer {
                namespace_selector: Some(labels(NAMESPACE_NAME, DNS_NAMESPACE)),
                ..Default::default()
            },
            block(NODE_LOCAL_DNS, &[]),
        ]),
        ports: Some(vec![port("UDP", DNS_PORT), port("TCP", DNS_PORT)]),
    };
    let operator = NetworkPolicyEgressRule {
        to: Some(vec![operator(operator_namespace)]),
        ports: Some(vec![port("TCP", names::REGISTRATION_PORT)]),
    };
    let addresses = [block("0.0.0.0/0", NOT_PUBLIC_V4), block("::/0", NOT_PUBLIC_V6)]
        .into_iter()
        .chain(network.private_ranges.iter().map(|range| block(range, &[])))
        .collect();
    vec![dns, operator, NetworkPolicyEgressRule { to: Some(addresses), ports: None }]
}

fn block(cidr: &str, except: &[&str]) -> NetworkPolicyPeer {
    let except = (!except.is_empty()).then(|| except.iter().map(|&range| range.to_owned()).collect());
    NetworkPolicyPeer { ip_block: Some(IPBlock { cidr: cidr.to_owned(), except }), ..Default::default() }
}

fn port(protocol: &str, number: i32) -> NetworkPolicyPort {
    NetworkPolicyPort {
        protocol: Some(protocol.to_owned()),
        port: Some(IntOrString::Int(number)),
        end_port: None,
    }
}

fn labels(key: &str, value: &str) -> LabelSelector {
    LabelSelector {
        match_labels: Some(BTreeMap::from([(key.to_owned(), value.to_owned())])),
        match_expressions: None,
    }
}
