//! Detached processes, known again by pid *and* start time, so that a reused pid is never taken for ours.

use std::{
    fs,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

use crate::{
    error::{Doing, Error},
    wait,
};

/// An API server with open watches would take a minute to end in order; nothing here is worth that.
const TERM_LIMIT: Duration = Duration::from_secs(5);
const KILL_LIMIT: Duration = Duration::from_secs(10);
const LOG_TAIL_LINES: usize = 30;

/// One moment's life of a process: the boot and the tick it began at make the pid unique.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    start_tick: u64,
    boot: String,
}

/// What a pid file says: the process, and a digest of the command line and configuration it was started with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Started {
    pub(crate) process: Process,
    pub(crate) fingerprint: String,
}

impl Process {
    pub(crate) fn of_pid(pid: i32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?.trim().to_owned();
        Some(Self { pid, start_tick: living_since(&stat)?, boot })
    }

    pub(crate) fn is_alive(&self) -> bool {
        Self::of_pid(self.pid).as_ref() == Some(self)
    }

    fn signal(&self, signal: Signal) {
        if self.is_alive()
            && let Some(pid) = Pid::from_raw(self.pid)
        {
            // It may end between the look and the signal: that is what was wanted.
            let _ = kill_process(pid, signal);
        }
    }

    /// Ends it, with TERM first, and waits until it is gone.
    pub(crate) async fn end(&self) -> Result<(), Error> {
        self.signal(Signal::TERM);
        if self.gone_within(TERM_LIMIT).await.is_ok() {
            return Ok(());
        }
        self.kill().await
    }

    pub(crate) async fn kill(&self) -> Result<(), Error> {
        self.signal(Signal::KILL);
        self.gone_within(KILL_LIMIT).await
    }

    async fn gone_within(&self, limit: Duration) -> Result<(), Error> {
        let awaited = format!("process {} to end", self.pid);
        wait::until(&awaited, limit, || async { Ok((!self.is_alive()).then_some(())) }).await
    }
}

/// The start tick out of `/proc/PID/stat`; nothing for a process that has ended and only awaits its parent.
fn living_since(stat: &str) -> Option<u64> {
    // The command name before the last ')' may itself hold spaces and brackets.
    let (_, fields) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    match *fields.first()? {
        "Z" | "X" => None,
        _ => fields.get(19)?.parse().ok(),
    }
}

/// The process that a pid file speaks of, if it still lives.
pub(crate) fn recorded(pid_file: &Path) -> Option<Started> {
    let started: Started = serde_json::from_slice(&fs::read(pid_file).ok()?).ok()?;
    started.process.is_alive().then_some(started)
}

/// Starts a process that outlives us, its output going to `log`.
pub(crate) fn start_detached(command: &[String], log: &Path, home: &Path) -> Result<Process, Error> {
    let program = command.first().map(String::as_str).unwrap_or_default();
    let doing = || format!("start {program}");
    if let Some(folder) = log.parent() {
        fs::create_dir_all(folder).doing(doing)?;
    }
    let output = fs::File::options().create(true).append(true).open(log).doing(doing)?;
    let errors = output.try_clone().doing(doing)?;
    let child = Command::new(program)
        .args(command.iter().skip(1))
        .current_dir(home)
        // Proxy settings and the like of whoever started us are no business of the cluster.
        .env_clear()
        .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        .env("HOME", home)
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors)
        .process_group(0)
        .spawn()
        .doing(doing)?;
    let pid = i32::try_from(child.id()).unwrap_or_default();
    // Gone already: an impossible start tick says so to whoever looks next.
    Ok(Process::of_pid(pid).unwrap_or(Process { pid, start_tick: 0, boot: String::new() }))
}

/// The last lines of a log, for an error message.
pub(crate) fn log_tail(log: &Path) -> String {
    let text = fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LOG_TAIL_LINES)..].join("\n")
}

/// All processes with their executable and command line, as far as we may see them.
pub(crate) fn all() -> Vec<(Process, PathBuf, String)> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| {
            let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
            let executable = fs::read_link(entry.path().join("exe")).ok()?;
            let command = fs::read(entry.path().join("cmdline")).ok()?;
            let command = String::from_utf8_lossy(&command).replace('\0', " ");
            Some((Process::of_pid(pid)?, executable, command))
        })
        .collect()
}

/// The processes below `parent`: children, their children, and so on.
pub(crate) fn descendants(parent: i32) -> Vec<Process> {
    let parent_of = |process: &Process| {
        let stat = fs::read_to_string(format!("/proc/{}/stat", process.pid)).ok()?;
        let (_, fields) = stat.rsplit_once(')')?;
        fields.split_whitespace().nth(1)?.parse::<i32>().ok()
    };
    let parents: Vec<(Process, i32)> =
        all().into_iter().filter_map(|(process, ..)| parent_of(&process).map(|of| (process, of))).collect();
    let mut found: Vec<Process> = Vec::new();
    let mut generation = vec![parent];
    while !generation.is_empty() {
        let children = || parents.iter().filter(|(_, of)| generation.contains(of)).map(|(child, _)| child);
        let next = children().map(|child| child.pid).collect();
        found.extend(children().cloned());
        generation = next;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reused_pid_is_not_taken_for_the_recorded_process() {
        let ours = Process::of_pid(std::process::id().cast_signed()).unwrap();
        let earlier = Process { start_tick: ours.start_tick - 1, ..ours.clone() };
        let earlier_boot = Process { boot: "another".into(), ..ours.clone() };
        assert!(ours.is_alive());
        assert!(!earlier.is_alive());
        assert!(!earlier_boot.is_alive());
    }

    #[tokio::test]
    async fn ending_a_reused_pid_signals_nobody() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let live = Process::of_pid(child.id().cast_signed()).unwrap();
        let stale = Process { start_tick: live.start_tick - 1, ..live.clone() };
        stale.end().await.unwrap();
        assert!(live.is_alive());
        live.end().await.unwrap();
        assert!(!live.is_alive());
        child.wait().unwrap();
    }

    #[test]
    fn a_bracket_in_the_command_name_does_not_shift_the_start_tick() {
        let stat = "7 (a) b) S 1 7 7 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 4242 0 0";
        assert_eq!(living_since(stat), Some(4242));
        assert_eq!(living_since(&stat.replace(" S ", " Z ")), None);
    }

    #[test]
    fn the_tail_of_a_log_is_its_last_thirty_lines() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let lines: Vec<String> = (0..100).map(|n| n.to_string()).collect();
        fs::write(&log, lines.join("\n")).unwrap();
        assert_eq!(log_tail(&log), lines[70..].join("\n"));
        assert_eq!(log_tail(&folder.path().join("none")), "");
    }
}
