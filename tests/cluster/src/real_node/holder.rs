//! Whose cluster has the real node of this machine. There is room for one: its bridge, its packet filter rules and its
//! control groups have names that the whole machine shares.

use std::path::{Path, PathBuf};

use crate::{
    component::Component,
    error::Error,
    layout::Layout,
    lock::Lock,
    node_kind::NodeKind,
    process,
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

/// A cluster whose processes ended without a tear-down, and which has a real node for that reason only.
pub(crate) struct Abandoned {
    pub(crate) layout: Layout,
    _lock: Option<Lock>,
}

/// Whose real node is in the way of the cluster in `run`; an error where that cluster lives.
pub(crate) fn abandoned(run: &Path) -> Result<Option<Abandoned>, Error> {
    match host::bridge_holder().filter(|holder| holder != run) {
        Some(holder) => abandoned_in(holder),
        None => Ok(None),
    }
}

fn abandoned_in(holder: PathBuf) -> Result<Option<Abandoned>, Error> {
    let Some(layout) = Layout::of_run(&holder) else { return Ok(None) };
    // Who holds it may be about to start the first process.
    let Ok(lock) = Lock::of_another(&layout) else { return Err(Error::RealNodeTaken { holder }) };
    let lives = Component::ALL.iter().any(|&one| process::recorded(&layout.pid_file(one)).is_some());
    if lives { Err(Error::RealNodeTaken { holder }) } else { Ok(Some(Abandoned { layout, _lock: lock })) }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::{
        layout,
        node_kind::NodeKinds,
        process::{Process, Started},
    };

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

    #[tokio::test]
    async fn a_cluster_without_a_process_has_abandoned_its_real_node() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::of(folder.path().to_owned());
        let found = || abandoned_in(layout.run()).map(|found| found.map(|abandoned| abandoned.layout.run()));
        assert_eq!(found().unwrap(), Some(layout.run()), "its folder may be gone");
        let alive = Process::of_pid(std::process::id().cast_signed()).unwrap();
        let mut dead = alive.clone();
        dead.pid = i32::MAX;
        let pid_file = layout.pid_file(Component::Kubelet);
        let begin = |process| serde_json::to_vec(&Started { process, fingerprint: String::new() }).unwrap();
        layout::write(&pid_file, begin(dead)).unwrap();
        assert_eq!(found().unwrap(), Some(layout.run()));
        layout::write(&pid_file, begin(alive)).unwrap();
        assert!(matches!(found(), Err(Error::RealNodeTaken { .. })));
        fs::remove_file(&pid_file).unwrap();
        let lock = Lock::take(&layout).await.unwrap();
        assert!(matches!(found(), Err(Error::RealNodeTaken { .. })), "it is being brought up");
        drop(lock);
        assert_eq!(found().unwrap(), Some(layout.run()));
        assert!(abandoned_in("/no/cluster".into()).unwrap().is_none(), "it was not made by this harness");
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
