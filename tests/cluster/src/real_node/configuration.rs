//! The configuration files of the real node's components.

use std::path::Path;

use serde_json::json;

use crate::{
    certificates::{Identity, REAL_NODE},
    error::Error,
    images, layout, network,
    real_node::packages,
    setup::Setup,
};

/// The kernel's limit for a socket's path, less what containerd appends (`.ttrpc`).
const SOCKET_PATH_LIMIT: usize = 100;

pub(crate) fn socket(setup: &Setup) -> std::path::PathBuf {
    setup.layout.data("containerd").join("containerd.sock")
}

pub(crate) fn write(setup: &Setup) -> Result<(), Error> {
    let socket = socket(setup);
    if socket.as_os_str().len() > SOCKET_PATH_LIMIT {
        return Err(Error::SocketPath { path: socket });
    }
    let file = |name: &str, text: String| layout::write(&setup.layout.config(name), text);
    file("containerd.toml", containerd(setup))?;
    file("cni/10-bridge.conflist", cni(setup))?;
    // No registry answers: an image that was not imported is refused at once, with or without a network.
    file("registries/_default/hosts.toml", "server = \"http://127.0.0.1:1\"\n".into())?;
    file("resolv.conf", "# CoreDNS knows all that Pods may ask for.\n".into())?;
    file("kubelet.yaml", kubelet(setup))?;
    file("kube-proxy.yaml", kube_proxy(setup))?;
    file("Corefile", corefile(setup))
}

fn containerd(setup: &Setup) -> String {
    let data = setup.layout.data("containerd");
    let data = data.display();
    let config = setup.layout.config("cni");
    let cri = r#"plugins."io.containerd.grpc.v1.cri""#;
    format!(
        r#"version = 2
root = "{data}/root"
state = "{data}/state"
[grpc]
  address = "{socket}"
[plugins."io.containerd.internal.v1.opt"]
  path = "{data}/opt"
[{cri}]
  sandbox_image = "{pause}"
  # Without CAP_SYS_RESOURCE, as inside another container, runc may not lower the score.
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
[{cri}.cni]
  bin_dir = "{plugins}"
  conf_dir = "{config}"
[{cri}.registry]
  config_path = "{registries}"
[{cri}.containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
[{cri}.containerd.runtimes.runc.options]
  Root = "{data}/runc"
"#,
        socket = socket(setup).display(),
        pause = images::PAUSE,
        plugins = packages::cni_folder().unwrap_or_default(),
        config = config.display(),
        registries = setup.layout.config("registries").display(),
    )
}

fn cni(setup: &Setup) -> String {
    let configuration = json!({
        "cniVersion": "0.4.0",
        "name": network::CNI_NETWORK,
        "plugins": [
            {
                "type": "bridge",
                "bridge": network::BRIDGE,
                "isGateway": true,
                "ipMasq": true,
                "hairpinMode": true,
                "ipam": {
                    "type": "host-local",
                    "ranges": [[{ "subnet": network::PODS, "gateway": network::NODE }]],
                    "routes": [{ "dst": "0.0.0.0/0" }],
                    "dataDir": setup.layout.data("cni"),
                },
            },
            { "type": "portmap", "capabilities": { "portMappings": true } },
            // A host whose FORWARD chain drops (Docker's doing) would part the Pods from each other.
            { "type": "firewall", "backend": "iptables" },
        ],
    });
    format!("{configuration:#}\n")
}

fn kubelet(setup: &Setup) -> String {
    let certificates = &setup.certificates;
    let configuration = json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": network::NODE,
        "port": setup.state.ports.kubelet,
        "healthzPort": setup.state.ports.kubelet_health,
        "authentication": {
            "anonymous": { "enabled": false },
            "webhook": { "enabled": true },
            "x509": { "clientCAFile": certificates.authority() },
        },
        "authorization": { "mode": "Webhook" },
        "tlsCertFile": certificates.certificate(Identity::KubeletServer),
        "tlsPrivateKeyFile": certificates.key(Identity::KubeletServer),
        "containerRuntimeEndpoint": format!("unix://{}", socket(setup).display()),
        "clusterDNS": [network::DNS_SERVICE],
        "clusterDomain": network::DOMAIN,
        "resolvConf": setup.layout.config("resolv.conf"),
        "podLogsDir": setup.layout.data("pod-logs"),
        "volumePluginDir": setup.layout.data("volume-plugins"),
        "cgroupDriver": "cgroupfs",
        "failCgroupV1": false,
        "failSwapOn": false,
        "serializeImagePulls": false,
        "maxPods": 250,
        // A developer's full disk is no reason to evict, and an image collected could not be pulled again.
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {
            "memory.available": "0%",
            "nodefs.available": "0%",
            "nodefs.inodesFree": "0%",
            "imagefs.available": "0%",
            "imagefs.inodesFree": "0%",
        },
    });
    format!("{configuration:#}\n")
}

fn kube_proxy(setup: &Setup) -> String {
    let local = |port| format!("{}:{port}", network::LOOPBACK);
    // Without bridge-nf the answer of a Pod on the same bridge would bypass the translation back.
    let bridged_unseen = !Path::new("/proc/sys/net/bridge/bridge-nf-call-iptables").exists();
    let configuration = json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "iptables",
        "clientConnection": { "kubeconfig": setup.kubeconfig_of(Identity::KubeProxy) },
        "hostnameOverride": REAL_NODE,
        "clusterCIDR": network::PODS,
        "healthzBindAddress": local(setup.state.ports.proxy_health),
        "metricsBindAddress": local(setup.state.ports.proxy_metrics),
        "iptables": { "masqueradeAll": bridged_unseen, "minSyncPeriod": "100ms" },
        // The host's connection tracking is left as it is.
        "conntrack": {
            "maxPerCore": 0,
            "min": 0,
            "tcpEstablishedTimeout": "0s",
            "tcpCloseWaitTimeout": "0s",
        },
    });
    format!("{configuration:#}\n")
}

fn corefile(setup: &Setup) -> String {
    // Two blocks: within one, `template` would answer before `kubernetes` is asked.
    format!(
        "{domain} in-addr.arpa {{
    bind {node}
    errors
    health {loopback}:{port} {{
        lameduck 0s
    }}
    kubernetes {domain} in-addr.arpa {{
        kubeconfig {kubeconfig}
        ttl 1
    }}
}}
. {{
    bind {node}
    template ANY ANY . {{
        rcode NXDOMAIN
    }}
}}
",
        node = network::NODE,
        loopback = network::LOOPBACK,
        port = setup.state.ports.dns_health,
        domain = network::DOMAIN,
        kubeconfig = setup.kubeconfig_of(Identity::CoreDns).display(),
    )
}
