//! What programs send, read with limits.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::Process;

/// The largest body: a message of 256 bytes may be written in escapes of six.
pub const MOST_BYTES: usize = 4096;
/// The longest nonce.
const MOST_NONCE: usize = 128;
/// The longest message, in bytes.
const MOST_MESSAGE: usize = 256;

/// What a program says of itself now and then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beat {
    pub process: Process,
    /// Whether it is to be left undisturbed; none where it can't tell.
    pub busy: Option<bool>,
    /// When it was last active, by its own clock.
    pub activity: Option<Timestamp>,
    /// What it does, for people.
    pub message: Option<String>,
}

/// A body that can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    #[error("the body is not the JSON object that is expected here")]
    Shape,
    #[error("nonce: 1 to 128 visible ASCII characters are expected")]
    Nonce,
    #[error("message: at most 256 bytes are expected")]
    Message,
    #[error("activity: a time by RFC 3339 is expected")]
    Activity,
}

// Fields that are not known are left out, so that a newer program gets on with an older operator. They are read all the
// same: serde skips what it ignores, and so takes for JSON what is not.
#[derive(Deserialize)]
struct Body {
    nonce: String,
    #[serde(default)]
    busy: Option<bool>,
    #[serde(default)]
    activity: Option<String>,
    #[serde(default)]
    message: Option<String>,
    #[serde(flatten)]
    _unknown: Map<String, Value>,
}

fn parse(body: &[u8]) -> Result<Body, Malformed> {
    // serde takes a list for the object, too: its items for the fields in their order.
    if !body.trim_ascii_start().starts_with(b"{") {
        return Err(Malformed::Shape);
    }
    let body: Body = serde_json::from_slice(body).map_err(|_| Malformed::Shape)?;
    let is_visible = body.nonce.bytes().all(|byte| byte.is_ascii_graphic());
    if body.nonce.is_empty() || body.nonce.len() > MOST_NONCE || !is_visible {
        return Err(Malformed::Nonce);
    }
    Ok(body)
}

/// The process that wants to register.
pub fn register(body: &[u8]) -> Result<Process, Malformed> {
    Ok(Process::of(&parse(body)?.nonce))
}

/// The heartbeat of a process.
pub fn heartbeat(body: &[u8]) -> Result<Beat, Malformed> {
    let Body { nonce, busy, activity, message, _unknown: _ } = parse(body)?;
    if message.as_ref().is_some_and(|message| message.len() > MOST_MESSAGE) {
        return Err(Malformed::Message);
    }
    let activity = activity.map(|time| time.parse().map_err(|_| Malformed::Activity)).transpose()?;
    let message = message.map(|message| message.chars().filter(|one| is_plain(*one)).collect());
    Ok(Beat { process: Process::of(&nonce), busy, activity, message })
}

/// Neither a control character nor one that turns the direction of what is shown beside it.
fn is_plain(one: char) -> bool {
    let turns = matches!(one, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    !one.is_control() && !turns
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_wrong_is_named() {
        let long = format!(r#"{{"nonce": "a", "message": "{}"}}"#, "x".repeat(257));
        let nonce = format!(r#"{{"nonce": "{}"}}"#, "x".repeat(129));
        for (body, malformed) in [
            ("", Malformed::Shape),
            ("[]", Malformed::Shape),
            (r#" ["a", true]"#, Malformed::Shape),
            ("{}", Malformed::Shape),
            (r#"{"nonce": 1}"#, Malformed::Shape),
            (r#"{"nonce": ""}"#, Malformed::Nonce),
            (r#"{"nonce": "a b"}"#, Malformed::Nonce),
            (nonce.as_str(), Malformed::Nonce),
            (long.as_str(), Malformed::Message),
            (r#"{"nonce": "a", "activity": "yesterday"}"#, Malformed::Activity),
            (r#"{"nonce": "a", "busy": "yes"}"#, Malformed::Shape),
        ] {
            assert_eq!(heartbeat(body.as_bytes()), Err(malformed), "{body}");
        }
    }

    #[test]
    fn what_is_no_json_is_refused_in_a_field_that_is_not_known_too() {
        for body in [
            &b"{\"nonce\": \"a\", \"unknown\": \"\x87\"}"[..],
            br#"{"nonce": "a", "unknown": "\ud800"}"#,
            br#"{"nonce": "a", "unknown": 1e999}"#,
        ] {
            assert_eq!(register(body), Err(Malformed::Shape), "{}", body.escape_ascii());
        }
    }

    #[test]
    fn a_beat_may_say_nothing_but_who_it_is() {
        let beat = heartbeat(br#"{"nonce": "a", "unknown": {}}"#).unwrap();
        let nothing = Beat { process: Process::of("a"), busy: None, activity: None, message: None };
        assert_eq!(beat, nothing);
        let beat = heartbeat(
            br#"{"nonce": "a", "busy": true, "message": "x\u0007y", "activity": "2026-01-01T12:00:00Z"}"#,
        )
        .unwrap();
        assert_eq!((beat.busy, beat.message.as_deref()), (Some(true), Some("xy")));
        assert!(beat.activity.is_some());
    }

    proptest! {
        #[test]
        fn no_body_does_harm(body in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = register(&body);
            let _ = heartbeat(&body);
        }

        #[test]
        fn who_registers_by_a_nonce_beats_by_it(nonce in "[!#-\\[\\]-~]{1,128}") {
            let body = format!(r#"{{"nonce": "{nonce}"}}"#);
            prop_assert_eq!(register(body.as_bytes()), heartbeat(body.as_bytes()).map(|beat| beat.process));
        }
    }
}
