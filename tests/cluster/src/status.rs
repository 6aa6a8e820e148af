use std::fmt;

use crate::{access, component::Component, layout::Layout, node_kind::NodeKinds, process, state::State};

/// What a person is told about the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// The cluster of whoever runs this: not ours to tell about.
    Own,
    Down,
    Up {
        nodes: NodeKinds,
        is_ready: bool,
        components: Vec<(Component, Option<i32>)>,
        kubeconfig: String,
    },
}

pub fn status(layout: &Layout) -> Status {
    if access::is_own_cluster() {
        return Status::Own;
    }
    let Some(state) = State::read(layout) else { return Status::Down };
    let components = Component::ALL
        .into_iter()
        .filter(|component| component.is_needed_for(state.nodes))
        .map(|component| {
            (component, process::recorded(&layout.pid_file(component)).map(|started| started.process.pid))
        })
        .collect::<Vec<_>>();
    let all_run = components.iter().all(|(_, pid)| pid.is_some());
    let is_ready = all_run && state.ready.is_some_and(|ready| ready.include(state.nodes));
    Status::Up {
        nodes: state.nodes,
        is_ready,
        components,
        kubeconfig: layout.kubeconfig().display().to_string(),
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own => write!(f, "own cluster (CLUSTER=own)"),
            Self::Down => write!(f, "down"),
            Self::Up { nodes, is_ready, components, kubeconfig } => {
                let state = if *is_ready { "up" } else { "not complete" };
                writeln!(f, "{state}, nodes: {}", format!("{nodes:?}").to_lowercase())?;
                for (component, pid) in components {
                    match pid {
                        Some(pid) => writeln!(f, "  {:<24} pid {pid}", component.name())?,
                        None => writeln!(f, "  {:<24} not running", component.name())?,
                    }
                }
                write!(f, "kubeconfig: {kubeconfig}")
            }
        }
    }
}
