//! What the head of a request says: what is asked for, in which form, and by whom.

use http::{HeaderMap, Method, header};

use super::Answer;

/// What a path stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    Register,
    Heartbeat,
}

/// What is asked for.
pub fn route(method: &Method, path: &str) -> Result<Route, Answer> {
    let route = match path {
        "/v1/register" => Route::Register,
        "/v1/heartbeat" => Route::Heartbeat,
        _ => return Err(Answer::NotFound),
    };
    if method == Method::POST { Ok(route) } else { Err(Answer::MethodNotAllowed) }
}

/// Whether the body is JSON by its own word.
pub fn is_json(headers: &HeaderMap) -> bool {
    let type_ = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = type_.and_then(|value| value.split(';').next()).map(str::trim);
    essence.is_some_and(|essence| essence.eq_ignore_ascii_case("application/json"))
}

/// The token that is shown.
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
