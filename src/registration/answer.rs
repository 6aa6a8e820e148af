//! What the registration port answers: exact, small, and the same to every stranger.

use std::time::Duration;

use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Bytes;
use serde_json::{Value, json};

use crate::api::IncarnationNumber;

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The program is the newest start of this workspace.
    Accepted {
        workspace: String,
        incarnation: IncarnationNumber,
        heartbeat: Duration,
    },
    /// The body can't be read; why.
    Malformed(String),
    /// No token, or one that is unknown, expired, for others, or of a former start. Nobody is told which.
    Unauthorized,
    /// The same to whoever hears it: its token is good, and its start is over.
    Stale,
    NotFound,
    /// Only POST is known here.
    MethodNotAllowed,
    /// This process has not registered since its container started.
    RegisterFirst,
    /// The workspace is being stopped.
    Suspended,
    TooLarge,
    UnsupportedMediaType,
    /// Too much of it; when to try again.
    TooMany {
        retry_after: Duration,
    },
    /// The API server can't be asked, so nobody is let through.
    Unavailable,
}

/// When to try again what can't be answered now.
const PAUSE: Duration = Duration::from_secs(1);

impl Answer {
    /// The status code.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Accepted { .. } => StatusCode::OK,
            Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::Unauthorized | Self::Stale => StatusCode::UNAUTHORIZED,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::RegisterFirst | Self::Suspended => StatusCode::CONFLICT,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooMany { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn body(&self) -> Value {
        let error = |why: &str| json!({ "error": why });
        match self {
            Self::Accepted { workspace, incarnation, heartbeat } => json!({
                "workspace": workspace,
                "incarnation": incarnation,
                "heartbeatSeconds": heartbeat.as_secs(),
            }),
            Self::Malformed(why) => error(why),
            Self::Unauthorized | Self::Stale => error("unauthorized"),
            Self::NotFound => error("not found"),
            Self::MethodNotAllowed => error("POST only"),
            Self::RegisterFirst => error("register first"),
            Self::Suspended => error("suspended"),
            Self::TooLarge => error("too large"),
            Self::UnsupportedMediaType => error("application/json only"),
            Self::TooMany { .. } => error("too many requests"),
            Self::Unavailable => error("try again"),
        }
    }

    /// The whole answer.
    pub fn into_response(self) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::new(Bytes::from(self.body().to_string())));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if matches!(self, Self::Unauthorized | Self::Stale | Self::TooMany { .. } | Self::TooLarge) {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        match self {
            Self::Unauthorized | Self::Stale => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Self::MethodNotAllowed => {
                headers.insert(header::ALLOW, HeaderValue::from_static("POST"));
            }
            Self::TooMany { retry_after } => {
                headers.insert(header::RETRY_AFTER, seconds(retry_after));
            }
            Self::Unavailable => {
                headers.insert(header::RETRY_AFTER, seconds(PAUSE));
            }
            _ => {}
        }
        response
    }
}

fn seconds(time: Duration) -> HeaderValue {
    HeaderValue::from(time.as_secs().max(1))
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    async fn text(answer: Answer) -> String {
        let body = answer.into_response().into_body().collect().await.unwrap().to_bytes();
        String::from_utf8(body.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn the_answer_to_a_registration_has_exactly_three_fields() {
        let answer = Answer::Accepted {
            workspace: "x".into(),
            incarnation: IncarnationNumber(3),
            heartbeat: Duration::from_secs(30),
        };
        assert_eq!(text(answer).await, r#"{"heartbeatSeconds":30,"incarnation":3,"workspace":"x"}"#);
    }

    #[tokio::test]
    async fn who_has_to_wait_is_told_for_how_long() {
        let busy = Answer::TooMany { retry_after: Duration::from_millis(100) }.into_response();
        assert_eq!(busy.headers()[header::RETRY_AFTER], "1");
        assert_eq!(text(Answer::Unauthorized).await, r#"{"error":"unauthorized"}"#);
    }
}
