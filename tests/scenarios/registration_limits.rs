//! What keeps the registration port answering: limits on everybody, so that nobody keeps another from being heard.

use std::{sync::Arc, time::Duration};

use http::StatusCode;
use rand::{Rng, RngExt, SeedableRng, rngs::StdRng};
use serde_json::json;
use test_world::{
    World,
    program::{Program, trusting},
    starts,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use workspace_operator::api::{ConditionType, Reason};

use crate::registration::required;

scenarios_in_memory!(
    a_flood_of_bad_tokens_is_told_to_wait_and_asks_nobody,
    a_program_that_asks_too_much_is_told_to_wait,
    rubbish_is_answered_or_cut_and_harms_nobody,
    who_is_too_slow_is_cut,
    a_head_that_is_too_large_is_refused,
    a_program_that_falls_silent_is_started_anew_where_that_is_asked_for,
);

async fn program(world: &World) -> Program {
    world.create("x", required()).await;
    let program = Program::of(world, "x", "a").await;
    program.registers(world).await;
    world.ready("x").await;
    program
}

async fn a_flood_of_bad_tokens_is_told_to_wait_and_asks_nobody(world: World) {
    let program = program(&world).await;
    let (head, _) = program.token.rsplit_once('.').unwrap();
    world.forget_writes();
    let mut refused = 0;
    for number in 0..60 {
        let (status, _) = program.with_token(&format!("{head}.forged{number}")).register().await;
        assert!([StatusCode::UNAUTHORIZED, StatusCode::TOO_MANY_REQUESTS].contains(&status), "{status}");
        refused += usize::from(status == StatusCode::UNAUTHORIZED);
    }
    let reviews = world.log.requests().into_iter().filter(|call| call.kind == "TokenReview").count();
    assert_eq!(reviews, refused, "who has to wait is not asked about");
    assert!(refused < 40, "{refused} were asked about");
}

async fn a_program_that_asks_too_much_is_told_to_wait(world: World) {
    let program = program(&world).await;
    let mut answers = Vec::new();
    for _ in 0..60 {
        answers.push(program.beat(json!({})).await.0);
    }
    assert!(answers.contains(&StatusCode::OK) && answers.contains(&StatusCode::TOO_MANY_REQUESTS));
    world.quiet().await;
    assert_eq!(starts(&world.ready("x").await), 1);
}

/// A connection to the port, past the handshake.
async fn connect(world: &World, program: &Program) -> TlsStream<TcpStream> {
    let address = world.registration.url.trim_start_matches("https://");
    let stream = TcpStream::connect(address).await.unwrap();
    let connector = TlsConnector::from(Arc::new(trusting(&program.trust)));
    connector.connect("127.0.0.1".try_into().unwrap(), stream).await.unwrap()
}

async fn rubbish_is_answered_or_cut_and_harms_nobody(world: World) {
    let program = program(&world).await;
    let mut random = StdRng::seed_from_u64(7);
    let good = format!(
        "POST /v1/heartbeat HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\ncontent-length: 13\r\n\r\n{{\"nonce\":\"a\"}}",
        program.token
    );
    for round in 0..100 {
        let mut bytes = good.clone().into_bytes();
        if round % 2 == 0 {
            // A request with a few bytes changed, and cut off somewhere.
            for _ in 0..random.random_range(1..20) {
                let at = random.random_range(0..bytes.len());
                bytes[at] = random.random();
            }
            bytes.truncate(random.random_range(1..=bytes.len()));
        } else {
            bytes = vec![0; random.random_range(1..2000)];
            random.fill_bytes(&mut bytes);
        }
        let mut stream = connect(&world, &program).await;
        let _ = stream.write_all(&bytes).await;
        let _ = stream.shutdown().await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 "), "{answer}");
    }
    world
        .eventually("a program is still heard", || async {
            (program.beat(json!({})).await.0 == StatusCode::OK).then_some(())
        })
        .await;
}

async fn who_is_too_slow_is_cut(world: World) {
    let program = program(&world).await;
    let mut slow = connect(&world, &program).await;
    let head = format!(
        "POST /v1/heartbeat HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\ncontent-length: 13\r\n\r\n{{",
        program.token
    );
    slow.write_all(head.as_bytes()).await.unwrap();
    assert_eq!(program.beat(json!({})).await.0, StatusCode::OK, "others don't wait for it");
    let mut answer = Vec::new();
    let end = tokio::time::timeout(Duration::from_mins(2), slow.read_to_end(&mut answer)).await;
    assert!(end.is_ok(), "its connection is still open");
    assert_eq!(String::from_utf8_lossy(&answer), "", "cut, not answered");
}

async fn a_head_that_is_too_large_is_refused(world: World) {
    let program = program(&world).await;
    let mut stream = connect(&world, &program).await;
    let head = format!("POST /v1/heartbeat HTTP/1.1\r\nhost: x\r\nx-long: {}\r\n\r\n", "x".repeat(40_000));
    let _ = stream.write_all(head.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
}

async fn a_program_that_falls_silent_is_started_anew_where_that_is_asked_for(mut world: World) {
    world.stop_operator().await;
    world.settings.heartbeat = Duration::from_secs(1);
    world.start_operator();
    let mut spec = required();
    spec["registration"]["onSilence"] = json!("Restart");
    world.create("x", spec).await;
    Program::of(&world, "x", "a").await.registers(&world).await;
    let lost = world.until("x", "started anew", |workspace| starts(workspace) == 2).await;
    let failure = lost.status.unwrap().failures.unwrap().last.unwrap();
    assert_eq!(failure.reason, "HeartbeatLost");
    world.reason("x", ConditionType::Registered, Reason::AwaitingRegistration).await;
}
