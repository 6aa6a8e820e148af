//! The command line of every component, as a function of what was asked for.

use std::{
    fmt::Display,
    fs,
    path::{Path, PathBuf},
};

use crate::{
    binaries::Binaries,
    certificates::{Certificates, Identity, REAL_NODE},
    component::Component,
    digest,
    error::Error,
    fake_node,
    layout::{self, Layout},
    network,
    node_kind::NodeKind,
    real_node,
    state::State,
};

/// Everything that command lines and configuration files are made of.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    pub(crate) layout: Layout,
    pub(crate) binaries: Binaries,
    pub(crate) certificates: Certificates,
    pub(crate) state: State,
}

impl Setup {
    pub(crate) fn new(layout: Layout, state: State) -> Result<Self, Error> {
        let binaries = Binaries::locate(&layout)?;
        let certificates = Certificates::of(&layout);
        Ok(Self { layout, binaries, certificates, state })
    }

    pub(crate) fn server(&self) -> String {
        format!("https://{}:{}", network::LOOPBACK, self.state.ports.api_server)
    }

    /// The address and port on which a component answers plain HTTP about its health.
    pub(crate) fn health(&self, component: Component) -> Option<(u16, &'static str)> {
        let ports = &self.state.ports;
        match component {
            Component::Etcd => Some((ports.etcd, "/readyz")),
            Component::Kubelet => Some((ports.kubelet_health, "/healthz")),
            Component::KubeProxy => Some((ports.proxy_health, "/healthz")),
            Component::CoreDns => Some((ports.dns_health, "/health")),
            _ => None,
        }
    }

    /// The port of a component that answers only over TLS; listening is all that is asked of it.
    pub(crate) fn listens(&self, component: Component) -> Option<u16> {
        match component {
            Component::ControllerManager => Some(self.state.ports.controller_manager),
            Component::Scheduler => Some(self.state.ports.scheduler),
            _ => None,
        }
    }

    pub(crate) fn components(&self) -> impl Iterator<Item = Component> {
        let nodes = self.state.nodes;
        Component::ALL.into_iter().filter(move |component| component.is_needed_for(nodes))
    }

    /// Writes certificates, kubeconfigs and configuration files.
    pub(crate) fn write_files(&self) -> Result<(), Error> {
        self.certificates.ensure()?;
        for identity in [
            Identity::ControllerManager,
            Identity::Scheduler,
            Identity::Kwok,
            Identity::Kubelet,
            Identity::KubeProxy,
            Identity::CoreDns,
        ] {
            let text = self.certificates.kubeconfig(identity, &self.server())?;
            layout::write(&self.kubeconfig_of(identity), text)?;
        }
        layout::write(
            &self.layout.config("scheduler.yaml"),
            scheduler_config(&self.kubeconfig_of(Identity::Scheduler)),
        )?;
        layout::write(&self.layout.config("kwok.yaml"), fake_node::stages::configuration())?;
        if self.state.nodes.includes(NodeKind::Real) {
            real_node::configuration::write(self)?;
        }
        Ok(())
    }

    pub(crate) fn kubeconfig_of(&self, identity: Identity) -> PathBuf {
        self.layout.config(&format!("{}.kubeconfig", identity.name()))
    }

    pub(crate) fn command(&self, component: Component) -> Vec<String> {
        let mut command = Arguments(vec![self.binaries.path(component).display().to_string()]);
        match component {
            Component::Etcd => self.etcd(&mut command),
            Component::ApiServer => self.api_server(&mut command),
            Component::ControllerManager => self.controller_manager(&mut command),
            Component::Scheduler => self.scheduler(&mut command),
            Component::Kwok => self.kwok(&mut command),
            Component::Containerd => {
                command.flag("config", self.layout.config("containerd.toml").display());
            }
            Component::Kubelet => self.kubelet(&mut command),
            Component::KubeProxy => {
                command.flag("config", self.layout.config("kube-proxy.yaml").display());
            }
            Component::CoreDns => {
                command.0.push("-conf".into());
                command.0.push(self.layout.config("Corefile").display().to_string());
            }
        }
        command.0
    }

    /// The file a component is configured by; besides the command line, what makes a restart necessary.
    fn configuration(&self, component: Component) -> Option<PathBuf> {
        let name = match component {
            Component::Scheduler => "scheduler.yaml",
            Component::Kwok => "kwok.yaml",
            Component::Containerd => "containerd.toml",
            Component::Kubelet => "kubelet.yaml",
            Component::KubeProxy => "kube-proxy.yaml",
            Component::CoreDns => "Corefile",
            Component::Etcd | Component::ApiServer | Component::ControllerManager => return None,
        };
        Some(self.layout.config(name))
    }

    /// Differs when a running component must be started anew to be as wanted.
    pub(crate) fn fingerprint(&self, component: Component) -> String {
        let content = self.configuration(component).and_then(|path| fs::read(path).ok()).unwrap_or_default();
        digest::sha256([self.command(component).join("\n").as_bytes(), &content])
    }

    fn etcd(&self, command: &mut Arguments) {
        let url = |port| format!("http://{}:{port}", network::LOOPBACK);
        let (client, peer) = (url(self.state.ports.etcd), url(self.state.ports.etcd_peer));
        command
            .flag("name", "test-cluster")
            .flag("data-dir", self.layout.data("etcd").display())
            .flag("listen-client-urls", &client)
            .flag("advertise-client-urls", &client)
            .flag("listen-peer-urls", &peer)
            .flag("initial-advertise-peer-urls", &peer)
            .flag("initial-cluster", format!("test-cluster={peer}"))
            // The data need not outlive a power cut, and waiting for the disk is most of etcd's time.
            .flag("unsafe-no-fsync", true)
            .flag("quota-backend-bytes", 4_u64 << 30)
            .flag("log-level", "warn");
    }

    fn api_server(&self, command: &mut Arguments) {
        let certificates = &self.certificates;
        let real = self.state.nodes.includes(NodeKind::Real);
        command
            .flag("etcd-servers", format!("http://{}:{}", network::LOOPBACK, self.state.ports.etcd))
            // Pods of the real node reach it by the bridge; nobody else should.
            .flag("bind-address", if real { "0.0.0.0" } else { network::LOOPBACK })
            .flag("advertise-address", network::NODE)
            .flag("secure-port", self.state.ports.api_server)
            .flag("tls-cert-file", certificates.certificate(Identity::ApiServer).display())
            .flag("tls-private-key-file", certificates.key(Identity::ApiServer).display())
            .flag("client-ca-file", certificates.authority().display())
            .flag("service-cluster-ip-range", network::SERVICES)
            .flag("service-account-issuer", "https://kubernetes.default.svc")
            .flag("service-account-signing-key-file", certificates.service_account_key().display())
            .flag("service-account-key-file", certificates.service_account_public_key().display())
            .flag("authorization-mode", "Node,RBAC")
            .flag("enable-admission-plugins", "NodeRestriction,PodNodeSelector")
            .flag("allow-privileged", true)
            .flag("kubelet-preferred-address-types", "InternalIP")
            .flag("kubelet-certificate-authority", certificates.authority().display())
            .flag(
                "kubelet-client-certificate",
                certificates.certificate(Identity::ApiServerToKubelet).display(),
            )
            .flag("kubelet-client-key", certificates.key(Identity::ApiServerToKubelet).display())
            .flag("shutdown-delay-duration", "0s")
            .flag("profiling", false);
    }

    fn controller_manager(&self, command: &mut Arguments) {
        let certificates = &self.certificates;
        command
            .flag("kubeconfig", self.kubeconfig_of(Identity::ControllerManager).display())
            .flag("bind-address", network::LOOPBACK)
            .flag("secure-port", self.state.ports.controller_manager)
            .flag("cert-dir", self.layout.data("controller-manager").display())
            .flag("leader-elect", false)
            .flag("use-service-account-credentials", true)
            .flag("service-account-private-key-file", certificates.service_account_key().display())
            .flag("root-ca-file", certificates.authority().display())
            .flag("cluster-signing-cert-file", certificates.authority().display())
            .flag("cluster-signing-key-file", certificates.authority_key().display())
            .flag("enable-hostpath-provisioner", true)
            .flag("flex-volume-plugin-dir", self.layout.data("volume-plugins").display())
            .flag("profiling", false);
        limits(command);
        for (controller, workers) in [
            ("deployment", 20),
            ("endpoint", 20),
            ("gc", 40),
            ("job", 20),
            ("namespace", 40),
            ("replicaset", 20),
            ("service-endpoint", 20),
            ("serviceaccount-token", 20),
            ("statefulset", 40),
        ] {
            command.flag(&format!("concurrent-{controller}-syncs"), workers);
        }
    }

    fn scheduler(&self, command: &mut Arguments) {
        command
            .flag("config", self.layout.config("scheduler.yaml").display())
            .flag("bind-address", network::LOOPBACK)
            .flag("secure-port", self.state.ports.scheduler)
            .flag("cert-dir", self.layout.data("scheduler").display());
    }

    fn kwok(&self, command: &mut Arguments) {
        command
            .flag("kubeconfig", self.kubeconfig_of(Identity::Kwok).display())
            .flag("config", self.layout.config("kwok.yaml").display())
            .flag("manage-nodes-with-label-selector", fake_node::SELECTOR)
            .flag("cidr", network::FAKE_PODS)
            .flag("node-ip", network::FAKE_NODE);
    }

    fn kubelet(&self, command: &mut Arguments) {
        command
            .flag("config", self.layout.config("kubelet.yaml").display())
            .flag("kubeconfig", self.kubeconfig_of(Identity::Kubelet).display())
            .flag("root-dir", self.layout.data("kubelet").display())
            .flag("cert-dir", self.layout.data("kubelet").join("pki").display())
            .flag("hostname-override", REAL_NODE)
            .flag("node-ip", network::NODE)
            .flag("node-labels", format!("{}={}", crate::NODE_LABEL, NodeKind::Real.label()));
    }
}

/// Far above the defaults, which hold a burst of objects back for minutes and would falsify benchmarks.
const CLIENT_QPS: u32 = 500;
const CLIENT_BURST: u32 = 1000;

fn limits(command: &mut Arguments) {
    command.flag("kube-api-qps", CLIENT_QPS).flag("kube-api-burst", CLIENT_BURST);
}

fn scheduler_config(kubeconfig: &Path) -> String {
    format!(
        "apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
leaderElection:
  leaderElect: false
clientConnection:
  kubeconfig: {}
  qps: {CLIENT_QPS}
  burst: {CLIENT_BURST}
",
        kubeconfig.display()
    )
}

struct Arguments(Vec<String>);

impl Arguments {
    fn flag(&mut self, name: &str, value: impl Display) -> &mut Self {
        self.0.push(format!("--{name}={value}"));
        self
    }
}
