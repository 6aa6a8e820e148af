//! `workspace-agent`: runs inside a workspace's container. It tells the operator that this incarnation is up, keeps
//! telling, and runs the workspace's program. See [`settings`] for the two ways to use it.

use std::{io, process::ExitCode, sync::mpsc, thread, time::Duration};

use clap::Parser;
use rustix::process::{getpid, set_child_subreaper};

use crate::{
    client::Client,
    credentials::Credentials,
    program::Program,
    registration::Registration,
    say::{say, told},
    settings::{Settings, Target, Url},
    supervisor::{Event, Plan},
};

mod addresses;
mod answer;
mod client;
mod command;
mod conversation;
mod credentials;
mod exit;
mod news;
mod program;
mod random;
mod refusals;
mod registration;
mod say;
mod schedule;
mod settings;
mod supervisor;

/// Why the agent could not do its work.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("prepare {what}")]
    Prepare { what: &'static str, source: io::Error },
    #[error(transparent)]
    Command(#[from] command::Error),
}

fn main() -> ExitCode {
    let code = run(Settings::parse()).unwrap_or_else(|error| {
        say(&told(&error));
        match error {
            Error::Prepare { .. } => exit::BROKEN,
            Error::Command(error) => exit::code_of_start(error.source.kind()),
        }
    });
    ExitCode::from(code)
}

fn run(settings: Settings) -> Result<u8, Error> {
    let preparing = |what| move |source| Error::Prepare { what, source };
    // The first process of a container gets its orphans anyway.
    set_child_subreaper(Some(getpid())).map_err(|errno| preparing("to reap orphans")(errno.into()))?;
    let (send, events) = mpsc::channel();
    supervisor::listen(send.clone()).map_err(preparing("to take signals"))?;
    let plan = Plan {
        starts_at_once: settings.start_before_registration || settings.url == Target::Nowhere,
        grace: Duration::from_secs(settings.grace_seconds.into()),
        identity: settings.identity(),
        command: settings.command,
    };
    match settings.url {
        Target::Nowhere => say("no registration URL, so registration is not required"),
        Target::Operator(url) => {
            let credentials = Credentials::new(settings.token_file, settings.ca_file);
            let program = Program { activity_file: settings.activity_file, busy_file: settings.busy_file };
            register(url, credentials, program, send).map_err(preparing("to register"))?;
        }
    }
    Ok(supervisor::run(&plan, &events)?)
}

/// Starts the conversation with the operator, in a thread of its own.
fn register(
    url: Url,
    credentials: Credentials,
    program: Program,
    events: mpsc::Sender<Event>,
) -> io::Result<()> {
    let nonce = news::nonce(u128::from_ne_bytes(random::bytes()?));
    let registration = Registration { client: Client::new(url, credentials), program, nonce, events };
    thread::Builder::new().name("registration".to_owned()).spawn(|| registration.keep())?;
    Ok(())
}
