//! Registering: what is tried again, and what ends it.

use std::fs;

use rustix::process::Signal;

use crate::{
    operator::{Operator, Reply},
    process::Agent,
};

#[test]
fn the_command_starts_after_registration_was_accepted() {
    let operator = Operator::start(|number, _| match number {
        0 => Reply::status(503),
        1 => Reply::Cut,
        2 => Reply::Say(429, "retry-after: 1\r\n", String::new()),
        3 => Reply::status(302),
        4 => Reply::Say(200, "", "x".repeat(5000)),
        _ => Reply::accept(),
    });
    let log = operator.folder().join("started");
    let script = format!("echo started > {}", log.display());
    let agent = Agent::registering(&operator, &["--", "sh", "-c", &script]);
    let calls: Vec<_> = (0..6).map(|_| (operator.call(), log.exists())).collect();
    for (call, is_started) in &calls[..5] {
        assert_eq!((call.path.as_str(), call.token.as_str()), ("/v1/register", "first"));
        assert_eq!(call.body, calls[5].0.body, "it is the same process");
        assert!(!is_started);
    }
    assert_eq!(calls[0].0.body["nonce"].as_str().unwrap().len(), 32);
    assert_eq!(agent.end().0, Some(0));
    assert!(log.exists());
}

#[test]
fn a_command_may_start_before_registration() {
    let operator = Operator::start(|_, _| Reply::status(503));
    let agent = Agent::registering(&operator, &["--start-before-registration", "--", "sh", "-c", "exit 5"]);
    assert_eq!(agent.end().0, Some(5));
}

#[test]
fn each_process_has_a_nonce_of_its_own() {
    let operator = Operator::start(|_, _| Reply::accept());
    let nonces = [(), ()].map(|()| {
        let _agent = Agent::registering(&operator, &[]);
        operator.call_where(|call| call.path == "/v1/register").body["nonce"].clone()
    });
    assert_ne!(nonces[0], nonces[1]);
}

#[test]
fn a_refused_token_is_read_again() {
    let operator =
        Operator::start(|_, call| if call.token == "renewed" { Reply::accept() } else { Reply::status(401) });
    let agent = Agent::registering(&operator, &["--", "true"]);
    assert_eq!(operator.call().token, "first");
    fs::write(operator.token_file(), "renewed").unwrap();
    assert_eq!(operator.call_where(|call| call.token == "renewed").path, "/v1/register");
    let (code, said) = agent.end();
    assert_eq!(code, Some(0));
    assert!(!said.contains("renewed") && !said.contains("first"), "{said}");
}

#[test]
fn an_operator_that_another_ca_signed_is_told_nothing() {
    let operator = Operator::start(|_, _| Reply::accept());
    let ca = operator.rotate();
    let agent = Agent::registering(&operator, &["--", "true"]);
    agent.hear("invalid peer certificate");
    assert_eq!(operator.waiting_calls(), 0);
    fs::write(operator.ca_file(), ca).unwrap();
    assert_eq!(operator.call().path, "/v1/register");
    assert_eq!(agent.end().0, Some(0));
}

#[test]
fn files_that_are_not_there_yet_are_waited_for() {
    let operator = Operator::start(|_, _| Reply::accept());
    let ca = fs::read(operator.ca_file()).unwrap();
    fs::remove_file(operator.ca_file()).unwrap();
    fs::remove_file(operator.token_file()).unwrap();
    let agent = Agent::registering(&operator, &["--", "true"]);
    agent.hear("token: No such file");
    fs::write(operator.token_file(), "late").unwrap();
    agent.hear("ca.crt: No such file");
    fs::write(operator.ca_file(), ca).unwrap();
    assert_eq!(operator.call().token, "late");
    assert_eq!(agent.end().0, Some(0));
}

#[test]
fn told_to_end_before_it_is_registered_it_ends() {
    let operator = Operator::start(|_, _| Reply::status(503));
    let agent = Agent::registering(&operator, &["--", "sleep", "60"]);
    operator.call();
    agent.signal(Signal::TERM);
    assert_eq!(agent.end().0, Some(143));
}
