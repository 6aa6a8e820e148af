//! Whose cluster has the real node of this machine. There is room for one: its bridge, its packet filter rules and its
//! control groups have names that the whole machine shares.

use std::path::{Path, PathBuf};

use crate::{
    error::Error,
    layout::Layout,
    node_kind::NodeKind,
    real_node::{host, remains},
    state::State,
};

/// What tells whether a cluster has had a real node, for as long as its tear-down has not ended.
#[derive(Debug, Default)]
pub(crate) struct Evidence {
    /// Whom the bridge was made for; nothing where there is none, or it does not say.
    holder: Option<PathBuf>,
    /// What the cluster remembers of itself.
    pub(crate) state: Option<State>,
    /// Whether its folder holds what only a real node leaves.
    remains: bool,
}

impl Evidence {
    /// To be gathered before anything is ended.
    pub(crate) fn gather(layout: &Layout) -> Self {
        let run = layout.run();
        let remains = layout.config("kubelet.yaml").exists()
            || !remains::mounts_below(&run).is_empty()
            || !remains::container_processes(&run).is_empty();
        Self { holder: host::bridge_holder(), state: State::read(layout), remains }
    }

    /// Whether the real node, or what is left of one, is that of the cluster in `run`. A bridge that is there is not
    /// enough: it may be another's.
    pub(crate) fn speaks_for(&self, run: &Path) -> bool {
        let remembers =
            |state: &State| state.nodes.includes(NodeKind::Real) || state.ip_forward_before.is_some();
        match &self.holder {
            Some(holder) => holder == run,
            None => self.remains || self.state.as_ref().is_some_and(remembers),
        }
    }
}

/// An error where another cluster has the real node. One whose folder is gone has none any more.
pub(crate) fn ensure_free(run: &Path) -> Result<(), Error> {
    match host::bridge_holder() {
        Some(holder) if holder != run && holder.exists() => Err(Error::RealNodeTaken { holder }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::{layout, node_kind::NodeKinds};

    const OURS: &str = "/ours/target/cluster/run";
    const ANOTHERS: &str = "/another/target/cluster/run";

    fn remembered(nodes: NodeKinds) -> State {
        State::new(nodes).unwrap()
    }

    fn is_ours(evidence: &Evidence) -> bool {
        evidence.speaks_for(Path::new(OURS))
    }

    #[test]
    fn the_end_of_a_cluster_with_fake_nodes_leaves_anothers_real_node() {
        let fake = || Evidence { state: Some(remembered(NodeKinds::Fake)), ..Evidence::default() };
        assert!(!is_ours(&fake()), "its bridge does not say whose it is");
        assert!(!is_ours(&Evidence { holder: Some(ANOTHERS.into()), ..fake() }));
        assert!(!is_ours(&Evidence { holder: Some(ANOTHERS.into()), ..Evidence::default() }));
    }

    #[test]
    fn a_cluster_that_failed_to_get_the_real_node_does_not_end_anothers() {
        let holder = Some(ANOTHERS.into());
        assert!(!is_ours(&Evidence { holder, state: Some(remembered(NodeKinds::Both)), remains: true }));
    }

    #[test]
    fn a_cluster_ends_its_own_real_node() {
        for nodes in [NodeKinds::Real, NodeKinds::Both] {
            assert!(is_ours(&Evidence { state: Some(remembered(nodes)), ..Evidence::default() }));
        }
        let forwarding = State { ip_forward_before: Some("0".into()), ..remembered(NodeKinds::Fake) };
        assert!(is_ours(&Evidence { state: Some(forwarding), ..Evidence::default() }));
    }

    #[test]
    fn a_cluster_that_forgot_itself_ends_what_it_made() {
        assert!(is_ours(&Evidence { holder: Some(OURS.into()), ..Evidence::default() }));
        assert!(is_ours(&Evidence { remains: true, ..Evidence::default() }));
        let state = Some(remembered(NodeKinds::Fake));
        assert!(is_ours(&Evidence { remains: true, state, ..Evidence::default() }), "it was brought up anew");
        assert!(!is_ours(&Evidence::default()));
    }

    #[test]
    fn the_configuration_of_a_kubelet_is_a_remain() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::of(folder.path().to_owned());
        assert!(!Evidence::gather(&layout).remains);
        layout::write(&layout.config("kubelet.yaml"), "").unwrap();
        assert!(Evidence::gather(&layout).remains);
        fs::write(layout.state(), "half of a").unwrap();
        assert!(Evidence::gather(&layout).state.is_none(), "what can't be read is lost");
    }
}
