//! The stream of a watch, which may stand still for a while, and may lose what it had to tell.

use futures::{StreamExt, stream};
use http_body_util::{BodyExt, BodyStream, StreamBody};
use hyper::body::{Bytes, Frame};
use test_apiserver::recorder::Request;

use super::wire::{AnyBody, Wire};

/// What the API server says when what was missed is not kept any more; a client lists anew.
const EXPIRED: &str = r#"{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"too old resource version","reason":"Expired","code":410}}
"#;

struct Told {
    frames: BodyStream<AnyBody>,
    wire: Wire,
    call: Request,
    /// Between two events, not in the middle of one.
    is_between: bool,
    is_over: bool,
}

/// `body` as the plan lets it pass.
pub fn watched(body: AnyBody, wire: Wire, call: Request) -> AnyBody {
    let told = Told { frames: BodyStream::new(body), wire, call, is_between: true, is_over: false };
    let frames = stream::unfold(told, |mut told| async move {
        if told.is_over {
            return None;
        }
        let frame = told.frames.next().await?;
        if told.is_between && told.wire.passes(&told.call.kind).await {
            told.is_over = true;
            return Some((Ok(Frame::data(Bytes::from_static(EXPIRED.as_bytes()))), told));
        }
        if let Some(data) = frame.as_ref().ok().and_then(Frame::data_ref) {
            told.wire.note_event(&told.call.kind, data);
            told.is_between = data.ends_with(b"\n");
        }
        Some((frame, told))
    });
    BodyExt::boxed_unsync(StreamBody::new(frames))
}
