//! Shows what a Workspace does, with the commands a person would type, and fails if anything is not as said.

mod error;
mod keepsake;
mod kubectl;
mod operator;
mod screen;
mod seen;
mod stage;
mod story;

use std::{error::Error as _, process::ExitCode};

use clap::Parser;
use test_cluster::{NodeKinds, is_own_cluster};
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    error::{Doing, Error},
    operator::Operator,
    stage::{NAMESPACE, Stage},
};

#[derive(Parser)]
#[command(about)]
struct Arguments {
    /// What runs the Pods: real where root on Linux, else fake
    #[arg(long, env = "NODE", value_enum)]
    node: Option<NodeKinds>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments.node.unwrap_or_else(NodeKinds::default_here)).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let causes = std::iter::successors(error.source(), |cause| (*cause).source());
            let text = causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"));
            eprintln!("\ndemo: {text}");
            ExitCode::FAILURE
        }
    }
}

async fn run(nodes: NodeKinds) -> Result<(), Error> {
    let stage = Stage::prepare(nodes).await?;
    let mut operator = start_operator(&stage).await?;
    let outcome = tokio::select! {
        biased;
        error = interrupted() => Err(error),
        error = operator.ended() => Err(error),
        outcome = story::tell(&stage) => outcome,
    };
    if outcome.is_err() {
        eprintln!("\nthe end of the operator's log:\n{}", operator.log_tail());
    }
    operator.stop().await?;
    outcome?;
    go_on(&stage);
    Ok(())
}

async fn start_operator(stage: &Stage) -> Result<Operator, Error> {
    screen::chapter("The operator");
    stage.kubectl.show(&["apply", "--server-side", "--filename", "crds/"]).await?;
    stage.kubectl.wait("condition=Established", &["--filename", "crds/"]).await?;
    screen::command(&format!("cargo run -- --namespace {NAMESPACE} &"));
    let log = stage.demo.join("operator.log");
    screen::line(&format!("its log: {}", stage.kubectl.path(&log)));
    Operator::start(&stage.operator, &stage.kubectl.kubeconfig, NAMESPACE, log)
}

/// Waits for Ctrl-C or the wish of whoever started us.
async fn interrupted() -> Error {
    let terminate = signal(SignalKind::terminate()).doing(|| "listen to signals".into());
    match terminate {
        Ok(mut terminate) => {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
            Error::Interrupted
        }
        Err(error) => error,
    }
}

fn go_on(stage: &Stage) {
    let remove = if is_own_cluster() {
        format!("kubectl delete namespace {NAMESPACE}")
    } else {
        "make cluster-down".into()
    };
    screen::chapter("All as said. To go on by hand");
    screen::line(&format!(
        "export KUBECONFIG={}
cargo run -- --namespace {NAMESPACE} &   # the operator; it was stopped, the workspaces run on without it
kubectl get ws -A
kubectl explain workspace.spec
kubectl describe ws/{name}
{remove}   # ends it all",
        stage.kubectl.kubeconfig.display(),
        name = story::NAME,
    ));
}
