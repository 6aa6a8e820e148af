use std::fs;

use serde::{Deserialize, Serialize};

use crate::{
    error::Error,
    layout::{self, Layout},
    node_kind::NodeKinds,
    ports::Ports,
};

/// What must be remembered between two calls, besides the pid files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) ports: Ports,
    /// What is being brought up, or is up.
    pub(crate) nodes: NodeKinds,
    /// What has been seen ready.
    pub(crate) ready: Option<NodeKinds>,
    /// The host's setting before the real node switched forwarding on; put back by tear-down.
    pub(crate) ip_forward_before: Option<String>,
}

impl State {
    pub(crate) fn new(nodes: NodeKinds) -> Result<Self, Error> {
        Ok(Self { ports: Ports::choose()?, nodes, ready: None, ip_forward_before: None })
    }

    pub(crate) fn read(layout: &Layout) -> Option<Self> {
        serde_json::from_slice(&fs::read(layout.state()).ok()?).ok()
    }

    pub(crate) fn write(&self, layout: &Layout) -> Result<(), Error> {
        let text = serde_json::to_string_pretty(self)
            .map_err(|e| Error::Parse { what: "the run's state".into(), reason: e.to_string() })?;
        layout::write(&layout.state(), text)
    }
}
