//! The command at a terminal, as with `kubectl attach`. `script` of util-linux makes one.

use std::{
    io::{BufRead, BufReader, Write},
    process::{ChildStdin, ChildStdout, Command, Stdio},
};

use crate::process::BINARY;

/// Runs a shell's script by the agent, as the first process of a terminal.
fn at_terminal(script: &str, talk: impl FnOnce(&mut ChildStdin, &mut BufReader<ChildStdout>)) -> Option<i32> {
    let command = format!("exec {BINARY} -- sh -c '{script}'");
    // A command without its terminal would wait for ever.
    let mut terminal = Command::new("timeout")
        .args(["60", "script"])
        .args(["--quiet", "--return", "--echo", "never", "--command", &command, "/dev/null"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut keys = terminal.stdin.take().unwrap();
    let mut screen = BufReader::new(terminal.stdout.take().unwrap());
    wait_for(&mut screen, "not required");
    talk(&mut keys, &mut screen);
    terminal.wait().unwrap().code()
}

fn wait_for(screen: &mut impl BufRead, part: &str) {
    let mut seen = String::new();
    while !seen.contains(part) {
        seen.clear();
        assert_ne!(screen.read_line(&mut seen).unwrap(), 0, "the terminal ended before it showed {part}");
    }
}

#[test]
fn the_command_reads_what_is_typed() {
    let code = at_terminal("read line; echo got:$line; exit 6", |keys, screen| {
        keys.write_all(b"hello\n").unwrap();
        wait_for(screen, "got:hello");
    });
    assert_eq!(code, Some(6));
}

#[test]
fn the_command_has_the_terminal_to_itself() {
    // Two signals at once may arrive as one, so whom the terminal signals is looked at, and not how often.
    let script = "read pid name state parent group session terminal foreground rest < /proc/$$/stat
        [ $pid = $group ] && [ $pid = $foreground ] && echo alone; exit 2";
    let code = at_terminal(script, |_, screen| wait_for(screen, "alone"));
    assert_eq!(code, Some(2));
}

#[test]
fn a_key_that_interrupts_does() {
    let script = "trap \"echo interrupted; exit 5\" INT; echo up; read line; exit 2";
    let code = at_terminal(script, |keys, screen| {
        wait_for(screen, "up");
        keys.write_all(b"\x03").unwrap();
        wait_for(screen, "interrupted");
    });
    assert_eq!(code, Some(5));
}

#[test]
fn a_key_that_stops_does_not_strand_the_command() {
    let code = at_terminal("echo up; read line; echo got:$line; exit 3", |keys, screen| {
        wait_for(screen, "up");
        keys.write_all(b"\x1ahello\n").unwrap();
        wait_for(screen, "got:hello");
    });
    assert_eq!(code, Some(3));
}
