//! Beats: what they say, what they are answered, and what ends them.

use std::{fs, path::Path};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::{
    operator::{Call, Operator, Reply},
    process::{Agent, wait_until},
};

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn is_beat(call: &Call) -> bool {
    call.path == "/v1/heartbeat"
}

#[test]
fn beats_are_made_by_one_process_on_one_connection() {
    let operator = Operator::start(|_, _| Reply::accept());
    let _agent = Agent::registering(&operator, &[]);
    let registered = operator.call();
    assert_eq!(registered.path, "/v1/register");
    for _ in 0..3 {
        let beat = operator.call();
        assert_eq!(beat.path, "/v1/heartbeat");
        assert_eq!(beat.body, registered.body, "what is not known is left out");
        assert_eq!(beat.connection, 1);
    }
}

#[test]
fn told_to_register_first_it_does_with_the_same_nonce_and_beats_on() {
    let operator =
        Operator::start(
            |number, _| if number == 2 { Reply::conflict("register first") } else { Reply::accept() },
        );
    let _agent = Agent::registering(&operator, &[]);
    let calls: Vec<Call> = (0..5).map(|_| operator.call()).collect();
    let paths: Vec<&str> = calls.iter().map(|call| call.path.as_str()).collect();
    assert_eq!(paths, ["/v1/register", "/v1/heartbeat", "/v1/heartbeat", "/v1/register", "/v1/heartbeat"]);
    assert!(calls.iter().all(|call| call.body["nonce"] == calls[0].body["nonce"]));
}

#[test]
fn suspended_it_beats_on() {
    let operator =
        Operator::start(|number, _| if number == 0 { Reply::accept() } else { Reply::conflict("suspended") });
    let _agent = Agent::registering(&operator, &[]);
    operator.call();
    for _ in 0..3 {
        assert_eq!(operator.call().path, "/v1/heartbeat");
    }
}

#[test]
fn a_connection_that_is_cut_is_replaced() {
    let operator = Operator::start(|number, _| match number {
        2 => Reply::Cut,
        3 => Reply::status(503),
        _ => Reply::accept(),
    });
    let _agent = Agent::registering(&operator, &[]);
    let calls: Vec<Call> = (0..6).map(|_| operator.call()).collect();
    assert!(calls[1..].iter().all(is_beat));
    let connections: Vec<usize> = calls.iter().map(|call| call.connection).collect();
    assert_eq!(connections, [1, 1, 1, 2, 2, 2]);
}

#[test]
fn another_ca_is_trusted_as_soon_as_the_file_says_so() {
    let operator = Operator::start(|_, _| Reply::accept());
    let _agent = Agent::registering(&operator, &[]);
    assert_eq!(operator.call_where(is_beat).connection, 1);
    fs::write(operator.ca_file(), operator.rotate()).unwrap();
    let beat = operator.call_where(|call| call.connection > 1);
    assert_eq!(beat.path, "/v1/heartbeat", "nobody has to register for it");
}

#[test]
fn a_renewed_token_is_used_on_the_kept_connection() {
    let operator = Operator::start(|_, _| Reply::accept());
    let _agent = Agent::registering(&operator, &[]);
    operator.call_where(is_beat);
    fs::write(operator.token_file(), "renewed").unwrap();
    let beat = operator.call_where(|call| call.token == "renewed");
    assert_eq!((beat.path.as_str(), beat.connection), ("/v1/heartbeat", 1));
}

#[test]
fn a_program_tells_that_it_is_busy_and_when_something_happened() {
    let slow = r#"{"workspace":"x","incarnation":3,"heartbeatSeconds":3600}"#;
    let operator = Operator::start(move |_, _| Reply::Say(200, "", slow.to_owned()));
    let (busy, active) = (operator.folder().join("busy"), operator.folder().join("active"));
    let _agent =
        Agent::registering(&operator, &["--busy-file", path(&busy), "--activity-file", path(&active)]);
    assert_eq!(operator.call().body.as_object().unwrap().len(), 1, "registering tells the nonce");
    let beat = operator.call();
    assert_eq!((&beat.body["busy"], beat.body.get("activity")), (&json!(false), None));
    fs::write(&active, "").unwrap();
    fs::write(operator.folder().join("new"), "building\nmore").unwrap();
    fs::rename(operator.folder().join("new"), &busy).unwrap();
    let beat = operator.call_where(|call| call.body["busy"] == true);
    assert_eq!(beat.body["message"], "building");
    assert!(beat.body["activity"].as_str().unwrap().ends_with('Z'));
    fs::remove_file(&busy).unwrap();
    let beat = operator.call_where(|call| call.body["busy"] == false);
    assert_eq!(beat.body.get("message"), None::<&Value>);
}

/// Accepts the first call, and refuses all others.
fn stale() -> Operator {
    Operator::start(|number, _| if number == 0 { Reply::accept() } else { Reply::status(401) })
}

#[test]
fn a_stale_incarnation_ends_with_its_program() {
    let operator = stale();
    let script = "trap 'echo told; exit 3' TERM; echo up; for i in $(seq 600); do sleep 0.1; done";
    let mut agent = Agent::registering(&operator, &["--", "sh", "-c", script]);
    assert_eq!(agent.line(), "up");
    assert_eq!(agent.line(), "told");
    let (code, said) = agent.end();
    assert_eq!(code, Some(78));
    assert!(said.contains("workspace team/x, incarnation 3, is stale"), "{said}");
    assert_eq!(said.matches("refused;").count(), 1, "it is told once: {said}");
}

#[test]
fn a_stale_program_that_does_not_end_is_killed_with_all_it_started() {
    let operator = stale();
    let script = "trap '' TERM; sleep 60 & echo $!; wait";
    let mut agent = Agent::registering(&operator, &["--grace-seconds", "1", "--", "sh", "-c", script]);
    let child = format!("/proc/{}/stat", agent.line());
    assert_eq!(agent.end().0, Some(78));
    // Whoever is its parent now may be slow to reap it.
    wait_until("it lives on", || fs::read_to_string(&child).map_or(true, |stat| stat.contains(") Z ")));
}

#[test]
fn a_stale_sidecar_ends() {
    assert_eq!(Agent::registering(&stale(), &[]).end().0, Some(78));
}

#[test]
fn a_refusal_in_between_ends_nothing() {
    let operator =
        Operator::start(|number, _| if number % 3 == 1 { Reply::status(401) } else { Reply::accept() });
    let agent = Agent::registering(&operator, &[]);
    let registered = (0..6).filter(|_| operator.call().path == "/v1/register").count();
    assert_eq!(registered, 3, "at first, and after each refusal");
    agent.signal(Signal::TERM);
    assert_eq!(agent.end().0, Some(0));
}
