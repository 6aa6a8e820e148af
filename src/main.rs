//! The `workspace-operator` program.

use std::{error::Error, io::Write, path::Path, process::ExitCode};

use clap::Parser;
use kube::{Client, Config};
use tokio_util::sync::CancellationToken;
use workspace_operator::{
    api::crd,
    cli::{Cli, Command, RunArgs},
    run, telemetry,
};

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match cli.command {
        Some(Command::Crd { dir }) => print_crds(dir.as_deref()),
        Some(Command::Run(args)) => operate(args).await,
        None => operate(cli.run).await,
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let mut line = error.to_string();
            let mut cause = error.source();
            while let Some(error) = cause {
                line = format!("{line}: {error}");
                cause = error.source();
            }
            let _ = writeln!(std::io::stderr(), "workspace-operator: {line}");
            ExitCode::FAILURE
        }
    }
}

fn print_crds(dir: Option<&Path>) -> Result<(), Box<dyn Error>> {
    for (name, crd) in crd::all()? {
        let text = crd::yaml(&name, &crd)?;
        match dir {
            Some(dir) => std::fs::write(dir.join(format!("{name}.yaml")), text)?,
            None => write!(std::io::stdout(), "---\n{text}")?,
        }
    }
    Ok(())
}

async fn operate(args: RunArgs) -> Result<(), Box<dyn Error>> {
    telemetry::init(args.log_format);
    let mut config = Config::infer().await?;
    // kube would repeat a call for minutes and hold the workspace's place meanwhile; our retries are per object.
    config.default_retry = false;
    let options = run::Options {
        settings: args.settings(&config.default_namespace)?,
        restart_on_reference_change: args.restart_on_reference_change,
        hash_key_namespace: args.hash_key_namespace.unwrap_or_else(|| config.default_namespace.clone()),
        listen: Some(args.listen),
    };
    let client = Client::try_from(config)?;
    let stop = CancellationToken::new();
    tokio::spawn({
        let stop = stop.clone();
        async move {
            end_of_process().await;
            stop.cancel();
        }
    });
    Ok(run::run(client, options, stop).await?)
}

/// Ctrl-C, or what a kubelet sends.
async fn end_of_process() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}
