//! The one Kubernetes cluster that tests, demo and benchmarks run on: real control plane, and as nodes either
//! fake ones (kwok) or this machine. `make cluster-up` brings it up and [`Cluster::up`] does the same.

mod access;
mod agent;
mod binaries;
mod bring_up;
mod certificates;
mod cluster;
mod command;
mod component;
mod custom_resources;
mod digest;
mod error;
mod etcd_snapshot;
mod fake_node;
mod health;
pub mod images;
mod layout;
mod lock;
mod namespace;
mod network;
mod node_kind;
mod ports;
mod process;
mod progress;
mod real_node;
mod running;
mod service_account_token;
mod setup;
mod state;
mod status;
mod tear_down;
mod volumes;
mod wait;

pub use crate::{
    access::is_own_cluster,
    cluster::Cluster,
    component::Component,
    error::Error,
    etcd_snapshot::EtcdSnapshot,
    images::Image,
    layout::Layout,
    namespace::{NODE_SELECTOR, Namespace},
    network::NODE as NODE_ADDRESS,
    node_kind::{NODE_LABEL, NodeKind, NodeKinds},
    status::{Status, status},
    tear_down::down,
    wait::until,
};

pub(crate) const FIELD_MANAGER: &str = "test-cluster";
