//! The command: starts it, sends it signals, and reaps it and every orphan.
//!
//! It gets a process group of its own, and the terminal where there is one (`kubectl attach`). So a key such as
//! Ctrl-C reaches it once, from the terminal itself, and not a second time through the agent; and what it leaves
//! behind can be killed together.

use std::{
    ffi::OsString,
    io,
    os::unix::process::CommandExt,
    process::{self, Stdio},
};

use rustix::{
    io::Errno,
    process::{Pid, Signal, WaitOptions, WaitStatus, getpgrp, kill_process, kill_process_group, wait},
    termios::{tcgetpgrp, tcsetpgrp},
};

use crate::exit::End;

/// The command could not be started.
#[derive(Debug, thiserror::Error)]
#[error("start {program:?}")]
pub struct Error {
    program: OsString,
    pub source: io::Error,
}

/// A command that runs. It is also the name of its process group.
#[derive(Clone, Copy, Debug)]
pub struct Command {
    pid: Pid,
    has_terminal: bool,
}

impl Command {
    /// Starts it with what the agent itself got: arguments, environment, files.
    pub fn start(program: &OsString, arguments: &[OsString]) -> Result<Self, Error> {
        let has_terminal = tcgetpgrp(rustix::stdio::stdin()) == Ok(getpgrp());
        let child = process::Command::new(program)
            .args(arguments)
            .stdin(Stdio::inherit())
            .process_group(0)
            .spawn()
            .map_err(|source| Error { program: program.clone(), source })?;
        let command = Self { pid: Pid::from_child(&child), has_terminal };
        if has_terminal {
            // Before this it is stopped if it reads; so it is told to go on.
            let _ = tcsetpgrp(rustix::stdio::stdin(), command.pid);
            command.kill(Signal::CONT);
        }
        Ok(command)
    }

    /// Sends it a signal, and none of its children: as if it were the one that people signal.
    pub fn signal(self, signal: Signal) {
        // It may have ended, and be about to be reaped.
        let _ = kill_process(self.pid, signal);
    }

    /// Sends a signal to its whole group.
    pub fn kill(self, signal: Signal) {
        let _ = kill_process_group(self.pid, signal);
    }

    /// The terminal stopped it, as a shell's job, and here is no shell to let it go on: a key that stops, or it read
    /// before the terminal was its own.
    fn is_stranded(self, status: WaitStatus) -> bool {
        let by_terminal = [Signal::TSTP, Signal::TTIN, Signal::TTOU].map(Signal::as_raw);
        self.has_terminal && status.stopping_signal().is_some_and(|signal| by_terminal.contains(&signal))
    }
}

/// Reaps whoever ended, and tells how the command did, if it is among them. Also without a command there may be
/// orphans: a sidecar may be the first process of a shared namespace.
pub fn reap(command: Option<&Command>) -> Option<End> {
    loop {
        match wait(WaitOptions::NOHANG | WaitOptions::UNTRACED) {
            Ok(Some((pid, status))) => {
                let Some(command) = command.filter(|command| command.pid == pid) else { continue };
                if let Some(code) = status.exit_status() {
                    return Some(End::Exited(code));
                }
                if let Some(signal) = status.terminating_signal() {
                    return Some(End::Signalled(signal));
                }
                if command.is_stranded(status) {
                    command.kill(Signal::CONT);
                }
            }
            Err(Errno::INTR) => {}
            Ok(None) | Err(_) => return None,
        }
    }
}
