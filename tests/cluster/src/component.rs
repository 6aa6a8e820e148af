use crate::node_kind::{NodeKind, NodeKinds};

/// One long-running process of the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Component {
    Etcd,
    ApiServer,
    ControllerManager,
    Scheduler,
    Kwok,
    Containerd,
    Kubelet,
    KubeProxy,
    CoreDns,
}

impl Component {
    /// In the order in which they are started; ended in reverse.
    pub const ALL: [Self; 9] = [
        Self::Etcd,
        Self::Containerd,
        Self::ApiServer,
        Self::ControllerManager,
        Self::Scheduler,
        Self::Kwok,
        Self::Kubelet,
        Self::KubeProxy,
        Self::CoreDns,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::ApiServer => "kube-apiserver",
            Self::ControllerManager => "kube-controller-manager",
            Self::Scheduler => "kube-scheduler",
            Self::Kwok => "kwok",
            Self::Containerd => "containerd",
            Self::Kubelet => "kubelet",
            Self::KubeProxy => "kube-proxy",
            Self::CoreDns => "coredns",
        }
    }

    /// The Go package it is built from; nothing for what the distribution packages.
    pub(crate) fn go_package(self) -> Option<&'static str> {
        Some(match self {
            Self::Etcd => "go.etcd.io/etcd/server/v3",
            Self::ApiServer => "k8s.io/kubernetes/cmd/kube-apiserver",
            Self::ControllerManager => "k8s.io/kubernetes/cmd/kube-controller-manager",
            Self::Scheduler => "k8s.io/kubernetes/cmd/kube-scheduler",
            Self::Kwok => "sigs.k8s.io/kwok/cmd/kwok",
            Self::Containerd => return None,
            Self::Kubelet => "k8s.io/kubernetes/cmd/kubelet",
            Self::KubeProxy => "k8s.io/kubernetes/cmd/kube-proxy",
            Self::CoreDns => "github.com/coredns/coredns",
        })
    }

    /// The name of the file that building gives; etcd's is its module's last folder.
    pub(crate) fn built_file(self) -> &'static str {
        match self {
            Self::Etcd => "server",
            other => other.name(),
        }
    }

    pub(crate) fn is_needed_for(self, nodes: NodeKinds) -> bool {
        match self {
            Self::Etcd | Self::ApiServer | Self::ControllerManager | Self::Scheduler => true,
            Self::Kwok => nodes.includes(NodeKind::Fake),
            Self::Containerd | Self::Kubelet | Self::KubeProxy | Self::CoreDns => {
                nodes.includes(NodeKind::Real)
            }
        }
    }
}
