//! Runs the command and ends when it does: signals go to it, its exit code comes back.

use std::{
    ffi::OsString,
    io,
    sync::mpsc::{Receiver, RecvTimeoutError, Sender},
    thread,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use signal_hook::{
    consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH},
    iterator::Signals,
};

use crate::{
    command::{self, Command},
    exit::{self, End},
    say::say,
};

/// Signals that are passed on.
const PASSED: &[i32] = &[SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH];
/// Those that end the agent where there is no command to pass them to.
const ENDING: &[i32] = &[SIGTERM, SIGINT, SIGHUP, SIGQUIT];

/// What happens to the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    Signal(i32),
    /// The operator knows this incarnation.
    Registered,
    /// The operator says for good that it is another's turn.
    Stale,
}

/// What is to be run.
#[derive(Debug)]
pub struct Plan {
    /// Empty for a sidecar.
    pub command: Vec<OsString>,
    /// Not only after registering.
    pub starts_at_once: bool,
    /// What a stale command gets before it is killed.
    pub grace: Duration,
    /// Who is told to be stale.
    pub identity: String,
}

/// What stands between starting and exiting.
#[derive(Debug, Default)]
struct State {
    command: Option<Command>,
    is_stale: bool,
    /// When a stale command is killed.
    deadline: Option<Instant>,
}

/// Takes all signals from now on, as events.
pub fn listen(events: Sender<Event>) -> io::Result<()> {
    let mut signals = Signals::new(PASSED.iter().chain(&[SIGCHLD]))?;
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for signal in signals.forever() {
            if events.send(Event::Signal(signal)).is_err() {
                return;
            }
        }
    })?;
    Ok(())
}

/// Runs to the end, and tells the code to exit with.
pub fn run(plan: &Plan, events: &Receiver<Event>) -> Result<u8, command::Error> {
    let mut state = State::default();
    if plan.starts_at_once {
        state.start(plan)?;
    }
    loop {
        let code = match next(events, state.deadline) {
            Ok(Event::Registered) if state.command.is_none() => {
                state.start(plan)?;
                None
            }
            Ok(Event::Registered) => None,
            Ok(Event::Signal(SIGCHLD)) => state.reap(),
            Ok(Event::Signal(signal)) => state.pass(plan, signal),
            Ok(Event::Stale) => state.end(plan),
            Err(RecvTimeoutError::Timeout) => {
                state.kill();
                None
            }
            // Signals are listened to for as long as the process lives.
            Err(RecvTimeoutError::Disconnected) => Some(exit::BROKEN),
        };
        if let Some(code) = code {
            return Ok(code);
        }
    }
}

fn next(events: &Receiver<Event>, deadline: Option<Instant>) -> Result<Event, RecvTimeoutError> {
    match deadline {
        None => events.recv().map_err(|_| RecvTimeoutError::Disconnected),
        Some(deadline) => events.recv_timeout(deadline.saturating_duration_since(Instant::now())),
    }
}

impl State {
    fn start(&mut self, plan: &Plan) -> Result<(), command::Error> {
        if let Some((program, arguments)) = plan.command.split_first() {
            self.command = Some(Command::start(program, arguments)?);
        }
        Ok(())
    }

    fn reap(&mut self) -> Option<u8> {
        let end = command::reap(self.command.as_ref())?;
        if self.is_stale {
            // What it left behind is as stale as it was.
            self.kill();
            return Some(exit::STALE);
        }
        Some(exit::code(end))
    }

    fn pass(&self, plan: &Plan, signal: i32) -> Option<u8> {
        match (self.command, Signal::from_named_raw(signal)) {
            (Some(command), Some(signal)) => command.signal(signal),
            (None, _) if ENDING.contains(&signal) => {
                let is_sidecar = plan.command.is_empty();
                return Some(if is_sidecar { 0 } else { exit::code(End::Signalled(signal)) });
            }
            _ => {}
        }
        None
    }

    fn end(&mut self, plan: &Plan) -> Option<u8> {
        say(&format!("{} is stale: the operator refuses its token for good; ending", plan.identity));
        let Some(command) = self.command else { return Some(exit::STALE) };
        self.is_stale = true;
        self.deadline = Some(Instant::now() + plan.grace);
        command.signal(Signal::TERM);
        None
    }

    fn kill(&mut self) {
        self.deadline = None;
        if let Some(command) = self.command {
            command.kill(Signal::KILL);
        }
    }
}
