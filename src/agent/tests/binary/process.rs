//! The agent as a process.

use std::{
    io::{BufRead, BufReader},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::Instant,
};

use rustix::process::{Pid, Signal, kill_process};

use crate::operator::{LIMIT, Operator};

pub const BINARY: &str = env!("CARGO_BIN_EXE_workspace-agent");

/// Runs until it is dropped.
pub struct Agent {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
    stderr: Receiver<String>,
}

impl Agent {
    /// With nothing to register at.
    pub fn alone(arguments: &[&str]) -> Self {
        Self::start(Command::new(BINARY).args(arguments))
    }

    /// With an operator.
    pub fn registering(operator: &Operator, arguments: &[&str]) -> Self {
        Self::start(
            Command::new(BINARY)
                .arg("--url")
                .arg(operator.url())
                .arg("--token-file")
                .arg(operator.token_file())
                .arg("--ca-file")
                .arg(operator.ca_file())
                .env("WORKSPACE_NAME", "x")
                .env("WORKSPACE_NAMESPACE", "team")
                .env("WORKSPACE_INCARNATION", "3")
                // Goes nowhere, so a call through it would never arrive.
                .env("HTTPS_PROXY", "http://127.0.0.1:1")
                .args(arguments),
        )
    }

    fn start(command: &mut Command) -> Self {
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdin = child.stdin.take();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (send, stderr) = mpsc::channel();
        thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| send.send(line)));
        Self { child, stdin, stdout, stderr }
    }

    /// The next line of the command.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Ends what the command reads.
    pub fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// Waits until it says something with this in it.
    pub fn hear(&self, part: &str) {
        let mut said = String::new();
        while !said.contains(part) {
            said += &self.stderr.recv_timeout(LIMIT).unwrap_or_else(|_| panic!("it only said: {said}"));
        }
    }

    /// The code it exits with, and what else it said on stderr.
    pub fn end(mut self) -> (Option<i32>, String) {
        let mut said = String::new();
        loop {
            match self.stderr.recv_timeout(LIMIT) {
                Ok(line) => said += &(line + "\n"),
                Err(RecvTimeoutError::Disconnected) => return (self.child.wait().unwrap().code(), said),
                Err(RecvTimeoutError::Timeout) => panic!("the agent does not end; it said: {said}"),
            }
        }
    }
}

/// Waits for something that nobody tells of.
pub fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < LIMIT, "{what}");
        thread::yield_now();
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
