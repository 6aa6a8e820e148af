//! The command: its exit code, its signals, its orphans.

use std::fs;

use rustix::process::Signal;

use crate::process::{Agent, wait_until};

fn code(arguments: &[&str]) -> Option<i32> {
    Agent::alone(arguments).end().0
}

#[test]
fn the_exit_code_is_that_of_the_command() {
    assert_eq!(code(&["--", "true"]), Some(0));
    assert_eq!(code(&["--", "sh", "-c", "exit 7"]), Some(7));
    assert_eq!(code(&["--", "sh", "-c", "kill -KILL $$"]), Some(137));
}

#[test]
fn a_command_that_can_not_start_is_told_as_by_a_shell() {
    assert_eq!(code(&["--", "/no/such/program"]), Some(127));
    assert_eq!(code(&["--", "/dev/null"]), Some(126));
}

#[test]
fn without_an_address_the_command_just_runs() {
    let (code, said) = Agent::alone(&["--url", "", "--", "true"]).end();
    assert_eq!(code, Some(0));
    assert_eq!(said, "workspace-agent: no registration URL, so registration is not required\n");
}

#[test]
fn signals_are_passed_on() {
    let signals =
        [Signal::HUP, Signal::INT, Signal::QUIT, Signal::USR1, Signal::USR2, Signal::WINCH, Signal::TERM];
    let script = "for s in HUP INT QUIT USR1 USR2 WINCH; do trap \"echo $s\" $s; done
        trap 'echo TERM; exit 9' TERM; echo up; for i in $(seq 600); do sleep 0.1; done";
    let mut agent = Agent::alone(&["--", "sh", "-c", script]);
    assert_eq!(agent.line(), "up");
    for (signal, name) in signals.into_iter().zip(["HUP", "INT", "QUIT", "USR1", "USR2", "WINCH", "TERM"]) {
        agent.signal(signal);
        assert_eq!(agent.line(), name);
    }
    assert_eq!(agent.end().0, Some(9));
}

#[test]
fn a_sidecar_ends_well_when_told_to() {
    let agent = Agent::alone(&[]);
    agent.hear("not required");
    agent.signal(Signal::TERM);
    assert_eq!(agent.end().0, Some(0));
}

#[test]
fn orphans_are_reaped() {
    let folder = tempfile::tempdir().unwrap();
    let end = folder.path().join("end");
    let orphan =
        format!("echo $$; for i in $(seq 600); do [ -e {} ] && exit; sleep 0.1; done", end.display());
    let script = format!("for i in 1 2 3 4 5; do (sh -c '{orphan}' &); done; read wait; exit 4");
    let mut agent = Agent::alone(&["--", "sh", "-c", &script]);
    let orphans: Vec<String> = (0..5).map(|_| agent.line()).collect();
    let stat = |pid: &String| fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let parent = agent.pid().to_string();
    let is_adopted = |pid: &String| stat(pid).split(' ').nth(3) == Some(parent.as_str());
    wait_until("the agent does not take them", || orphans.iter().all(is_adopted));
    fs::write(end, "").unwrap();
    wait_until("nobody reaps them", || orphans.iter().all(|pid| stat(pid).is_empty()));
    agent.close_stdin();
    assert_eq!(agent.end().0, Some(4), "an orphan's end is not the command's");
}
