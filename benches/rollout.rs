//! How long a class's new image takes to thousands of workspaces, and what it costs: on a real API server with
//! simulated nodes. Fails if more than the width are down at a time.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "what a scenario may, and a table"
)]

use std::process::ExitCode;

use clap::Parser;
use test_cluster::NodeKind;
use test_world::{World, rollout_at_scale};

#[derive(Parser)]
struct Arguments {
    /// How many workspaces the class has
    #[arg(long, default_value_t = 5000)]
    workspaces: usize,
    /// What `cargo bench` says to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Arguments { workspaces, bench: _ } = Arguments::parse();
    let world = World::on_a_real_api_server_without_operator(NodeKind::Fake).await;
    world.recorder.stop();
    let report = rollout_at_scale::roll(world, workspaces).await;
    println!("{report}");
    let (most, width) = (report.most_down(), report.width);
    if most > width {
        println!("{most} were down at a time, more than {width}");
        return ExitCode::FAILURE;
    }
    println!("never were more than {most} down at a time, where {width} may be");
    ExitCode::SUCCESS
}
