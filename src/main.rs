//! The `workspace-operator` program.

use std::{
    collections::BTreeSet,
    env,
    error::Error,
    io::Write,
    net::{SocketAddr, TcpListener},
    path::Path,
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use clap::Parser;
use http::Uri;
use jiff::Timestamp;
use kube::{Client, Config};
use tokio_util::sync::CancellationToken;
use workspace_operator::{
    api::{crd, names},
    certificates::Source,
    cli::{Cli, Command, RunArgs},
    context::Settings,
    election::{self, Election, Parameters},
    error::with_causes,
    run::{self, Entrance, Registration},
    telemetry,
};

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match cli.command {
        Some(Command::Crd { dir }) => print_crds(dir.as_deref()),
        Some(Command::Run(args)) => operate(*args).await,
        None => operate(cli.run).await,
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let line = with_causes(error.as_ref());
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

/// How long an answer may take.
const READ_TIMEOUT: Duration = Duration::from_mins(5);

async fn operate(args: RunArgs) -> Result<(), Box<dyn Error>> {
    telemetry::init(args.log_format);
    let mut config = Config::infer().await?;
    // kube would repeat a call for minutes and hold the workspace's place meanwhile; our retries are per object.
    config.default_retry = false;
    // A connection can be lost without a word, and a list that waits on it would wait for ever. A watch is never silent
    // for so long: the API server ends it before.
    config.read_timeout = Some(READ_TIMEOUT);
    config.reset_reader_on_write = true;
    let settings = args.settings(&config.default_namespace)?;
    let registration = if args.registration { Some(registration(&args, &settings)?) } else { None };
    let options = run::Options {
        registration,
        election: stands_for_election(&args).then(|| election(&args, &settings)),
        settings,
        restart_on_reference_change: args.restart_on_reference_change,
        hash_key_namespace: args.hash_key_namespace.unwrap_or_else(|| config.default_namespace.clone()),
        listen: Some(args.listen),
        clock: Arc::new(Timestamp::now),
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

/// The registration port, taken before anything else is begun.
fn registration(args: &RunArgs, settings: &Settings) -> Result<Registration, Box<dyn Error>> {
    let listener = TcpListener::bind(args.registration_listen)
        .map_err(|error| format!("listening on {} for registrations: {error}", args.registration_listen))?;
    let service = format!("{}.{}.svc", names::OPERATOR, settings.operator_namespace);
    let url = match &args.registration_url {
        Some(url) => url.trim_end_matches('/').to_owned(),
        None => format!("https://{service}:{}", names::REGISTRATION_PORT),
    };
    let parsed: Uri = url.parse()?;
    let host = parsed.host().filter(|_| parsed.scheme_str() == Some("https"));
    let host = host.ok_or_else(|| format!("--registration-url: {url} is not an https URL"))?;
    let host = host.trim_matches(['[', ']']).to_owned();
    let certificates = match &args.registration_tls_secret {
        Some(secret) => Source::Given { secret: secret.clone() },
        None => Source::Own { names: BTreeSet::from([host, service]).into_iter().collect() },
    };
    Ok(Registration { entrance: Entrance::Listener(Arc::new(listener)), url, certificates })
}

fn stands_for_election(args: &RunArgs) -> bool {
    args.leader_election.unwrap_or_else(|| env::var_os("KUBERNETES_SERVICE_HOST").is_some())
}

/// Operators of several namespaces don't stand against each other.
fn election(args: &RunArgs, settings: &Settings) -> Election {
    let name = match &settings.namespace {
        Some(namespace) => format!("{}-{namespace}", names::OPERATOR),
        None => names::OPERATOR.to_owned(),
    };
    let port = args.registration_listen.port();
    Election {
        namespace: settings.operator_namespace.clone(),
        name,
        identity: election::identity(env::var("HOSTNAME").ok().as_deref(), rand::random()),
        address: args.pod_ip.filter(|_| args.registration).map(|ip| SocketAddr::new(ip, port).to_string()),
        parameters: Parameters::default(),
    }
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
