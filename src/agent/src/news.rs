//! Pure: what a call says: who speaks, and what the program lets know of itself.

use serde::Serialize;

use crate::conversation::Call;

/// The longest message, in bytes.
pub const LONGEST_MESSAGE: usize = 256;

/// What the program lets know. What it does not tell is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct News {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub busy: Option<bool>,
    /// Time of the last activity, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub activity: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

#[derive(Serialize)]
struct Body<'a> {
    nonce: &'a str,
    #[serde(flatten)]
    news: Option<&'a News>,
}

/// The body of a call. `nonce` tells this process from the one before it in the same Pod.
pub fn body(call: Call, nonce: &str, news: &News) -> Result<Vec<u8>, serde_json::Error> {
    serde_json::to_vec(&Body { nonce, news: (call == Call::Heartbeat).then_some(news) })
}

/// The message in a busy file: its first line, without what a terminal would act on.
pub fn message(file: &[u8]) -> Option<String> {
    let line = file.split(|byte| *byte == b'\n').next()?;
    let mut message: String =
        String::from_utf8_lossy(line).chars().filter(|char| !char.is_control()).collect();
    message.truncate(message.floor_char_boundary(LONGEST_MESSAGE));
    let message = message.trim();
    (!message.is_empty()).then(|| message.to_owned())
}

/// The nonce of a process.
pub fn nonce(random: u128) -> String {
    format!("{random:032x}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn said(call: Call, news: &News) -> String {
        String::from_utf8(body(call, "n", news).unwrap()).unwrap()
    }

    #[test]
    fn registering_says_the_nonce_and_nothing_else() {
        let news = News { busy: Some(true), ..News::default() };
        assert_eq!(said(Call::Register, &news), r#"{"nonce":"n"}"#);
    }

    #[test]
    fn a_beat_leaves_out_what_is_not_known() {
        assert_eq!(said(Call::Heartbeat, &News::default()), r#"{"nonce":"n"}"#);
        let activity = Some("2026-01-01T00:00:00Z".to_owned());
        let news = News { busy: Some(false), activity, message: Some("m".to_owned()) };
        let whole = r#"{"nonce":"n","busy":false,"activity":"2026-01-01T00:00:00Z","message":"m"}"#;
        assert_eq!(said(Call::Heartbeat, &news), whole);
    }

    #[test]
    fn a_message_is_the_first_line() {
        assert_eq!(message(b"building\r\nmore"), Some("building".to_owned()));
        assert_eq!(message(b"\x1b[31mred"), Some("[31mred".to_owned()));
        assert_eq!(message(b""), None);
        assert_eq!(message(b"\nmore"), None);
    }

    #[test]
    fn a_long_message_ends_at_a_character() {
        let cut = message("ä".repeat(200).as_bytes()).unwrap();
        assert_eq!(cut, "ä".repeat(128));
        assert_eq!(message("€".repeat(200).as_bytes()).unwrap().len(), 255);
    }

    #[test]
    fn nonces_are_32_digits() {
        assert_eq!(nonce(0x1f), "0000000000000000000000000000001f");
    }

    proptest! {
        #[test]
        fn no_file_makes_a_message_too_long(file in any::<Vec<u8>>(), times in 0_usize..100) {
            if let Some(message) = message(&file.repeat(times)) {
                prop_assert!(message.len() <= LONGEST_MESSAGE && !message.contains('\n'));
            }
        }
    }
}
