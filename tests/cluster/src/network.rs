//! The addresses of the cluster, in one place since certificates, flags and the real node must agree on them.

/// The first address of the range, which every cluster gives its own API.
pub(crate) const API_SERVICE: &str = "10.96.0.1";
pub(crate) const SERVICES: &str = "10.96.0.0/16";
pub(crate) const DNS_SERVICE: &str = "10.96.0.10";
pub(crate) const DOMAIN: &str = "cluster.local";

pub(crate) const BRIDGE: &str = "wscluster0";
/// A hardware address of its own. A bridge without one takes that of a member, another one as Pods come and go, and
/// each time the others don't find it for up to a minute.
pub(crate) const BRIDGE_HARDWARE: &str = "0a:58:0a:f4:00:01";
/// The address of the real node, held by the bridge: there Pods reach what listens on this machine.
pub const NODE: &str = "10.244.0.1";
pub(crate) const NODE_PREFIX: u8 = 16;
pub(crate) const PODS: &str = "10.244.0.0/16";
/// The name by which CNI's own files are known to be ours.
pub(crate) const CNI_NETWORK: &str = "wscluster";

pub(crate) const FAKE_PODS: &str = "10.245.0.1/16";
pub(crate) const FAKE_NODE: &str = "10.246.0.1";

pub(crate) const LOOPBACK: &str = "127.0.0.1";
