use serde::{Deserialize, Serialize};

/// The label by which a Namespace's Pods are steered to one kind of node.
pub const NODE_LABEL: &str = "workspaces.dev/node";

/// What runs the Pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeKind {
    /// Nothing runs; kwok writes the status a kubelet would. Thousands of Pods in seconds.
    Fake,
    /// A kubelet with containerd on this machine. Needs root on Linux.
    Real,
}

impl NodeKind {
    /// The value of [`NODE_LABEL`].
    pub fn label(self) -> &'static str {
        match self {
            Self::Fake => "fake",
            Self::Real => "real",
        }
    }
}

/// Which kinds of node a cluster has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum NodeKinds {
    Fake,
    Real,
    Both,
}

impl NodeKinds {
    /// Real where a real node can run, else fake.
    pub fn default_here() -> Self {
        if cfg!(target_os = "linux") && rustix::process::geteuid().is_root() {
            Self::Real
        } else {
            Self::Fake
        }
    }

    pub fn includes(self, kind: NodeKind) -> bool {
        matches!((self, kind), (Self::Both, _) | (Self::Fake, NodeKind::Fake) | (Self::Real, NodeKind::Real))
    }

    #[must_use]
    pub fn and(self, other: Self) -> Self {
        if self == other { self } else { Self::Both }
    }

    pub(crate) fn include(self, other: Self) -> bool {
        self.and(other) == self
    }
}

impl From<NodeKind> for NodeKinds {
    fn from(kind: NodeKind) -> Self {
        match kind {
            NodeKind::Fake => Self::Fake,
            NodeKind::Real => Self::Real,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adding_the_other_kind_gives_both_and_adding_the_same_changes_nothing() {
        assert_eq!(NodeKinds::Fake.and(NodeKinds::Real), NodeKinds::Both);
        assert_eq!(NodeKinds::Real.and(NodeKinds::Real), NodeKinds::Real);
        assert!(NodeKinds::Both.include(NodeKinds::Fake));
        assert!(!NodeKinds::Fake.include(NodeKinds::Both));
    }
}
