//! What a thousand workspaces make of a cluster that fails around their operator: each fault in turn, on a real API
//! server with simulated nodes and with operators that are processes. Fails if a workspace does not come to rest, was
//! restarted without need, or if the operator grows.
//!
//! It stops and restores parts of the cluster, so nothing else can use that meanwhile.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "what a test may, and a table"
)]

mod faults;
mod fleet;
mod operators;
mod throttle;

use std::{path::Path, process::ExitCode};

use clap::Parser;
use test_cluster::{Cluster, NodeKind};

use crate::{faults::Fault, fleet::Fleet, operators::Operators};

#[derive(Parser)]
struct Arguments {
    /// How many workspaces there are
    #[arg(long, default_value_t = 1000)]
    workspaces: usize,
    /// One fault only
    #[arg(long, value_enum)]
    only: Option<Fault>,
    /// What `cargo bench` says to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Arguments { workspaces, only, bench: _ } = Arguments::parse();
    let cluster = Cluster::up(NodeKind::Fake).await.unwrap();
    cluster.install_crds(&Path::new(env!("CARGO_MANIFEST_DIR")).join("crds")).await.unwrap();
    let namespace = cluster.namespace("load", NodeKind::Fake).await.unwrap();
    let mut operators = Operators::begin(&cluster, namespace.name());
    let mut fleet = Fleet::create(&cluster, namespace.name(), workspaces).await;
    let at_first = operators.resident_kib();
    println!("{workspaces} workspaces; the operator at first: {} MiB", at_first / 1024);
    println!("{:<22} {:>9} {:>9} {:>12}", "", "restarted", "made anew", "operator MiB");
    let mut is_good = true;
    for fault in faults::ALL.into_iter().filter(|fault| only.is_none_or(|only| only == *fault)) {
        let before = fleet.starts().await;
        let asked = fault.strike(&cluster, &mut fleet, &mut operators).await;
        let after = fleet.at_rest().await;
        let report = faults::Report::of(&before, &after, &asked);
        let resident = operators.resident_kib();
        let name = format!("{fault:?}");
        println!("{name:<22} {:>9} {:>9} {:>12}", asked.restarted.len(), report.anew, resident / 1024);
        for problem in &report.problems {
            println!("  {problem}");
        }
        // What a relist needs for a moment is not given back at once.
        let has_grown = resident > at_first * 2 + 16 * 1024;
        if has_grown {
            println!("  the operator has grown: {at_first} KiB at first, {resident} KiB now");
        }
        is_good &= report.problems.is_empty() && !has_grown;
    }
    operators.end();
    namespace.close().await.unwrap();
    if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
