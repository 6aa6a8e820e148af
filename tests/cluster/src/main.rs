//! Brings the test cluster up and down by hand; tests do the same through the library.

use std::{error::Error as _, io::Write, process::ExitCode};

use clap::{Parser, Subcommand};
use test_cluster::{Cluster, Error, Layout, NodeKinds, down, status};

#[derive(Parser)]
#[command(about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Brings the cluster up, or adds the nodes that it lacks
    Up {
        /// Real where root on Linux, else fake
        #[arg(long, env = "NODE", value_enum)]
        node: Option<NodeKinds>,
    },
    /// Ends it and removes all it made, except the built programs
    Down,
    /// Tells what runs
    Status,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse().command).await {
        Ok(text) => {
            let _ = writeln!(std::io::stdout(), "{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{}", with_causes(&error));
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> Result<String, Error> {
    match command {
        Command::Up { node } => {
            let cluster = Cluster::up(node.unwrap_or_else(NodeKinds::default_here)).await?;
            Ok(format!("up; export KUBECONFIG={}", cluster.kubeconfig_path().display()))
        }
        Command::Down => {
            let removed = down(&Layout::of_repository()).await?;
            Ok(if removed.is_empty() {
                "nothing to remove".into()
            } else {
                format!("removed: {}", removed.join(", "))
            })
        }
        Command::Status => Ok(status(&Layout::of_repository()).to_string()),
    }
}

fn with_causes(error: &Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
