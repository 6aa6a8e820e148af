//! A request at the registration port, as anybody can send it.

use http::{HeaderMap, HeaderValue, Method, header};
use jiff::Timestamp;
use serde_json::Value;
use workspace_operator::registration::{
    Process,
    head::{self, Route},
    identity,
    request::{self, MOST_BYTES},
};

/// What docs/registration.md says.
const MOST_NONCE: usize = 128;
const MOST_MESSAGE: usize = 256;
const MOST_TOKEN: usize = 8192;

/// Reads `input` as method and path, content type and authorization, a line each, and then the body.
pub fn check(input: &[u8]) {
    let mut parts = input.splitn(4, |byte| *byte == b'\n');
    let mut part = || parts.next().unwrap_or_default();
    let (target, content_type, authorization, body) = (part(), part(), part(), part());
    route(target);
    headers(content_type, authorization);
    // More is not read: it is answered before.
    self::body(&body[..body.len().min(MOST_BYTES)]);
}

fn route(target: &[u8]) {
    let Some((method, path)) = str::from_utf8(target).ok().and_then(|target| target.split_once(' ')) else {
        return;
    };
    let Ok(method) = Method::from_bytes(method.as_bytes()) else { return };
    let expected = match (&method, path) {
        (&Method::POST, "/v1/register") => Some(Route::Register),
        (&Method::POST, "/v1/heartbeat") => Some(Route::Heartbeat),
        _ => None,
    };
    assert_eq!(head::route(&method, path).ok(), expected);
}

fn headers(content_type: &[u8], authorization: &[u8]) {
    let mut headers = HeaderMap::new();
    for (name, value) in [(header::CONTENT_TYPE, content_type), (header::AUTHORIZATION, authorization)] {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.insert(name, value);
        }
    }
    if head::is_json(&headers) {
        let text = String::from_utf8_lossy(content_type).to_ascii_lowercase();
        assert!(text.trim().starts_with("application/json"), "{text:?} is no JSON");
    }
    if let Some(token) = head::bearer(&headers) {
        let text = String::from_utf8_lossy(authorization).to_ascii_lowercase();
        assert!(text.starts_with("bearer "), "{text:?} shows no token");
        let (then, later) = (Timestamp::UNIX_EPOCH, Timestamp::MAX);
        if identity::is_plausible(token, then) {
            assert!(token.len() <= MOST_TOKEN && token.split('.').count() == 3, "{token:?} is no token");
        }
        assert!(!identity::is_plausible(token, later), "{token:?} never expires");
    }
}

fn body(body: &[u8]) {
    let (registered, heard) = (request::register(body), request::heartbeat(body));
    let nonce = nonce(body).map(|nonce| Process::of(&nonce));
    match &registered {
        Ok(process) => assert_eq!(Some(process), nonce.as_ref()),
        Err(malformed) => assert!(nonce.is_none() || may_repeat(body), "refused: {malformed}"),
    }
    let Ok(beat) = heard else { return };
    assert_eq!(Ok(beat.process), registered, "who beats is not who registers");
    if let Some(message) = &beat.message {
        assert!(message.len() <= MOST_MESSAGE, "{} bytes of message", message.len());
        assert!(!message.contains(char::is_control), "{message:?} is for people");
    }
}

/// A field that stands there twice is refused, and a `Value` keeps the last of both.
fn may_repeat(body: &[u8]) -> bool {
    let text = String::from_utf8_lossy(body);
    let repeats = |name: &&str| text.matches(*name).count() > 1;
    text.contains('\\') || ["nonce", "busy", "activity", "message"].iter().any(repeats)
}

/// The nonce of a body that has to be accepted at registration: an object, in which each field the operator knows
/// stands once and is of its type.
fn nonce(body: &[u8]) -> Option<String> {
    let Value::Object(fields) = serde_json::from_slice(body).ok()? else { return None };
    let is = |name: &str, is_of_type: fn(&Value) -> bool| {
        fields.get(name).is_none_or(|value| value.is_null() || is_of_type(value))
    };
    let are_typed =
        is("busy", Value::is_boolean) && is("activity", Value::is_string) && is("message", Value::is_string);
    let nonce = fields.get("nonce")?.as_str()?;
    let is_visible = nonce.bytes().all(|byte| byte.is_ascii_graphic());
    (are_typed && (1..=MOST_NONCE).contains(&nonce.len()) && is_visible).then(|| nonce.to_owned())
}
