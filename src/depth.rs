//! Answers of the API server, no deeper than serde_json reads them.
//!
//! A `podTemplate.spec` has no schema, and the API server stores it thousands of levels deep. serde_json stops at 128,
//! and with it the list or watch of all workspaces: whoever may write one would stop the operator for everybody.

use http_body_util::BodyExt as _;
use kube::Client;

/// Deeper than any object of Kubernetes, and well below 128.
const LIMIT: usize = 100;

/// `client`, whose answers have null in place of what is nested too deep. An overlay with that is refused.
pub fn limited(client: Client) -> Client {
    let namespace = client.default_namespace().to_owned();
    let service = tower::service_fn(move |request| {
        let client = client.clone();
        async move {
            let answer = client.send(request).await?;
            Ok::<_, kube::Error>(answer.map(|body| {
                let mut cut = Cut::default();
                body.map_frame(move |frame| frame.map_data(|data| cut.next(data)))
            }))
        }
    });
    Client::new(service, namespace)
}

/// Where in a JSON text we are.
#[derive(Default)]
struct Cut {
    depth: usize,
    in_string: bool,
    is_escaped: bool,
}

impl Cut {
    /// What is left of the next piece of the text.
    fn next<T: AsRef<[u8]> + From<Vec<u8>>>(&mut self, data: T) -> T {
        let bytes = data.as_ref();
        let mut kept: Option<Vec<u8>> = None;
        for (at, byte) in bytes.iter().enumerate() {
            let was_deep = self.depth > LIMIT;
            self.step(*byte);
            let is_deep = self.depth > LIMIT;
            if was_deep || is_deep {
                let kept = kept.get_or_insert_with(|| bytes.iter().take(at).copied().collect());
                if !was_deep {
                    kept.extend_from_slice(b"null");
                }
            } else if let Some(kept) = &mut kept {
                kept.push(*byte);
            }
        }
        kept.map_or(data, T::from)
    }

    fn step(&mut self, byte: u8) {
        if self.in_string {
            let ends = byte == b'"' && !self.is_escaped;
            self.is_escaped = byte == b'\\' && !self.is_escaped;
            self.in_string = !ends;
            return;
        }
        match byte {
            b'"' => self.in_string = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn cut(text: &str, piece: usize) -> String {
        let mut cut = Cut::default();
        let pieces = text.as_bytes().chunks(piece).flat_map(|piece| cut.next(piece.to_vec()));
        String::from_utf8(pieces.collect()).unwrap()
    }

    fn nested(open: &str, inside: &str, close: &str, depth: usize) -> String {
        open.repeat(depth) + inside + &close.repeat(depth)
    }

    #[test]
    fn what_is_too_deep_is_null_and_the_rest_stays() {
        for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
            for piece in [1, 7, 100_000] {
                let deep = nested(open, r#""]}\"""#, close, 5000);
                let text = format!(r#"{{"before":[1],"deep":{deep},"after":"\\","last":[{{}}]}}"#);
                let kept: Value = serde_json::from_str(&cut(&text, piece)).unwrap();
                assert_eq!((&kept["before"], &kept["last"]), (&json!([1]), &json!([{}])));
                assert!(kept.to_string().contains("null"));
            }
        }
    }

    #[test]
    fn one_event_of_a_watch_does_not_count_for_the_next() {
        let line = nested("[", "", "]", 300) + "\n";
        let twice = cut(&line.repeat(2), 11);
        assert_eq!(twice.lines().collect::<Vec<_>>(), [cut(line.trim(), 1), cut(line.trim(), 1)]);
    }

    proptest! {
        #[test]
        fn what_is_not_too_deep_is_left_as_it_is(text in "[\\[\\]{}\"\\\\a,:]{0,100}", piece in 1..9_usize) {
            prop_assert_eq!(cut(&text, piece), text);
        }
    }
}
