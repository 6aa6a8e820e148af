//! Asks a program for its last activity, by HTTP at its Pod's own address. No answer is no news: it says nothing of
//! whether the program is used.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use http::{Request, Uri};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::{resolve::activity::Probe, view::PodView};

/// How long an answer may take, and how long it may be.
const PATIENCE: Duration = Duration::from_secs(5);
const MOST_BYTES: usize = 256 * 1024;

/// Why nothing is known.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the Pod has no address")]
    NoAddress,
    #[error("the request can't be made")]
    Request(#[from] http::Error),
    #[error("asking the program")]
    Call(#[from] hyper_util::client::legacy::Error),
    #[error("the answer's status is {0}")]
    Status(http::StatusCode),
    #[error("reading the answer")]
    Read(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("the answer is not JSON")]
    NotJson(#[from] serde_json::Error),
    #[error("there is no time at {0}")]
    NoTime(String),
    #[error("no answer in time")]
    TimedOut,
}

/// When the program of `pod` was active last, by its own word.
pub async fn look(pod: &PodView, probe: &Probe) -> Result<Timestamp, Error> {
    let address: IpAddr =
        pod.status.pod_ip.as_deref().and_then(|ip| ip.parse().ok()).ok_or(Error::NoAddress)?;
    let answer = tokio::time::timeout(PATIENCE, ask(address, probe)).await.map_err(|_| Error::TimedOut)??;
    latest(&answer, probe).ok_or_else(|| Error::NoTime(probe.last_activity.to_string()))
}

async fn ask(address: IpAddr, probe: &Probe) -> Result<Value, Error> {
    let authority = SocketAddr::new(address, probe.port).to_string();
    let uri =
        Uri::builder().scheme("http").authority(authority).path_and_query(probe.path.as_str()).build()?;
    let headers = probe.headers.iter();
    let request =
        headers.fold(Request::get(uri), |request, header| request.header(&header.name, &header.value));
    // It follows no redirects: only the Pod itself is asked.
    let client: Client<HttpConnector, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let answer = client.request(request.body(Empty::new())?).await?;
    if !answer.status().is_success() {
        return Err(Error::Status(answer.status()));
    }
    let body = Limited::new(answer.into_body(), MOST_BYTES).collect().await.map_err(Error::Read)?;
    Ok(serde_json::from_slice(&body.to_bytes())?)
}

/// The latest of the times that `answer` tells.
fn latest(answer: &Value, probe: &Probe) -> Option<Timestamp> {
    probe.last_activity.find(answer).into_iter().filter_map(time).max()
}

fn time(value: &Value) -> Option<Timestamp> {
    match value {
        Value::String(text) => text.parse().ok(),
        Value::Number(seconds) => {
            let since = SignedDuration::try_from_secs_f64(seconds.as_f64()?).ok()?;
            Timestamp::UNIX_EPOCH.checked_add(since).ok()
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(answer: Value, path: &str) -> Option<String> {
        let last_activity = path.parse().unwrap();
        let probe = Probe { port: 1, path: "/".into(), headers: Vec::new(), last_activity };
        latest(&answer, &probe).map(|time| time.to_string())
    }

    #[test]
    fn the_latest_of_the_times_counts() {
        let status = json!({"connections": 0, "kernels": 0, "last_activity": "2026-01-01T12:00:00.5Z", "started": "2026-01-01T00:00:00Z"});
        assert_eq!(told(status, "$.last_activity").as_deref(), Some("2026-01-01T12:00:00.5Z"));
        let kernels =
            json!([{"last_activity": "2026-01-01T12:00:00Z"}, {"last_activity": "2026-01-01T13:00:00Z"}, {}]);
        assert_eq!(told(kernels, "$[*].last_activity").as_deref(), Some("2026-01-01T13:00:00Z"));
        assert_eq!(told(json!({"at": 1_767_268_800}), "$.at").as_deref(), Some("2026-01-01T12:00:00Z"));
        for nothing in [json!({}), json!({"at": "yesterday"}), json!({"at": {}}), json!({"at": 1e300})] {
            assert_eq!(told(nothing.clone(), "$.at"), None, "{nothing}");
        }
    }
}
