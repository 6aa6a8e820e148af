//! What the real node changes on the host before anything starts: a bridge, and forwarding.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{
    command,
    error::{Doing, Error},
    network,
};

const IP_FORWARD: &str = "/proc/sys/net/ipv4/ip_forward";
const BRIDGE_NETFILTER: &str = "/proc/sys/net/bridge/bridge-nf-call-iptables";

pub(crate) fn ip_forward() -> Result<String, Error> {
    let text = fs::read_to_string(IP_FORWARD).doing(|| format!("read {IP_FORWARD}"))?;
    Ok(text.trim().to_owned())
}

pub(crate) fn set_ip_forward(value: &str) -> Result<(), Error> {
    fs::write(IP_FORWARD, value).doing(|| format!("write {value} to {IP_FORWARD}"))
}

pub(crate) fn has_bridge() -> bool {
    Path::new("/sys/class/net").join(network::BRIDGE).exists()
}

/// The folder of the cluster that the bridge was made for, which the bridge itself tells.
pub(crate) fn bridge_holder() -> Option<PathBuf> {
    let alias = Path::new("/sys/class/net").join(network::BRIDGE).join("ifalias");
    let holder = fs::read_to_string(alias).ok()?;
    (!holder.trim().is_empty()).then(|| PathBuf::from(holder.trim()))
}

/// Makes the bridge that holds the node's address, for the cluster in `run`; the API server and the kubelet bind to
/// it.
pub(crate) async fn make_bridge(run: &Path) -> Result<(), Error> {
    if !Path::new(BRIDGE_NETFILTER).exists() {
        // Absent in some kernels: kube-proxy is then told to masquerade everything.
        let _ = command::run("modprobe", &["br_netfilter"]).await;
    }
    if !has_bridge() {
        command::run("ip", &["link", "add", network::BRIDGE, "type", "bridge"]).await?;
    }
    let holder = run.display().to_string();
    command::run("ip", &["link", "set", "dev", network::BRIDGE, "alias", &holder]).await?;
    command::run("ip", &["link", "set", "dev", network::BRIDGE, "address", network::BRIDGE_HARDWARE]).await?;
    let address = format!("{}/{}", network::NODE, network::NODE_PREFIX);
    command::run("ip", &["address", "replace", &address, "dev", network::BRIDGE]).await?;
    command::run("ip", &["link", "set", network::BRIDGE, "up"]).await?;
    set_ip_forward("1")
}

pub(crate) async fn remove_bridge() -> Result<(), Error> {
    command::run("ip", &["link", "delete", network::BRIDGE]).await.map(drop)
}
