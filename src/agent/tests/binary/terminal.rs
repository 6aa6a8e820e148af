//! The command at a terminal, as with `kubectl attach`. `script` of util-linux makes one.

use std::{
    io::{BufRead, BufReader, Write},
    process::{ChildStdin, ChildStdout, Command, Stdio},
};

use crate::process::BINARY;

/// Runs a shell's script by the agent, as the first process of a terminal.
fn at_terminal(script: &str, talk: impl FnOnce(&mut ChildStdin, &mut BufReader<ChildStdout>)) -> Option<i32> {
    let command = format!("exec {BINARY} -- sh -c '{script}'");
    let mut terminal = Command::new("script")
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
fn a_key_that_interrupts_does_so_once() {
    let script = "trap \"echo interrupted\" INT; echo up; read a; read b; echo end; exit 2";
    let code = at_terminal(script, |keys, screen| {
        wait_for(screen, "up");
        keys.write_all(b"\x03").unwrap();
        wait_for(screen, "interrupted");
        keys.write_all(b"a\nb\n").unwrap();
        let mut rest = String::new();
        while !rest.contains("end") {
            assert_ne!(screen.read_line(&mut rest).unwrap(), 0, "{rest}");
        }
        assert!(!rest.contains("interrupted"), "{rest}");
    });
    assert_eq!(code, Some(2));
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
