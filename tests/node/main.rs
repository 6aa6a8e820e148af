//! What only real containers can show: files, signals, logs, names in DNS, images that are or are not there. It
//! needs root on Linux; under CI a machine that can't run it fails.

#![allow(clippy::unwrap_used, clippy::panic, reason = "the tests' own functions may end a test too")]

mod container;
mod examples;
mod image;
mod inside;
mod network;
mod registration;
mod restart;
mod security;

use std::{env, future::Future};

use test_cluster::{NODE_ADDRESS, NodeKind, NodeKinds, is_own_cluster};
use test_world::{World, registration_at};

/// Runs a test in a world of its own, on this machine's real node.
async fn on_the_real_node<F, Fut>(test: F)
where
    F: FnOnce(World) -> Fut,
    Fut: Future<Output = ()>,
{
    let in_the_way = if is_own_cluster() {
        Some("a cluster of one's own has none of the images")
    } else if !NodeKinds::default_here().includes(NodeKind::Real) {
        Some("the real node needs root on Linux")
    } else {
        None
    };
    if let Some(why) = in_the_way {
        assert!(env::var_os("CI").is_none(), "{why}");
        eprintln!("skipped: {why}");
        return;
    }
    let mut world = World::on_a_real_api_server_without_operator(NodeKind::Real).await;
    world.registration = registration_at(NODE_ADDRESS);
    world.start_operator();
    Box::pin(test(world)).await;
}
