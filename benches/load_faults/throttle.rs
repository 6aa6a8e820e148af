//! An API server that answers so many requests a second, and 429 to the others.

use std::{
    convert::Infallible,
    net::Ipv4Addr,
    sync::{Arc, Mutex},
    time::Instant,
};

use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use hyper::{
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use kube::{Client, client::Body};
use serde_json::json;
use tokio::{net::TcpListener, task::JoinHandle};

/// Stands between an operator and the API server until this is dropped.
pub struct Throttle {
    pub url: String,
    task: JoinHandle<()>,
}

impl Drop for Throttle {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// How many requests may come now.
struct Bucket {
    tokens: f64,
    filled: Instant,
}

type Answer = Response<UnsyncBoxBody<Bytes, kube::Error>>;

impl Throttle {
    pub async fn begin(client: Client, a_second: f64) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let task = tokio::spawn(async move {
            let bucket = Mutex::new(Bucket { tokens: a_second, filled: Instant::now() });
            let bucket = Arc::new(bucket);
            while let Ok((stream, _)) = listener.accept().await {
                let (client, bucket) = (client.clone(), bucket.clone());
                let service = service_fn(move |request| {
                    let passes = take(&bucket, a_second);
                    let client = client.clone();
                    async move {
                        Ok::<_, Infallible>(if passes {
                            forward(client, request).await
                        } else {
                            refusal(StatusCode::TOO_MANY_REQUESTS)
                        })
                    }
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Self { url, task }
    }
}

fn take(bucket: &Mutex<Bucket>, a_second: f64) -> bool {
    let mut bucket = bucket.lock().unwrap();
    bucket.tokens = (bucket.tokens + bucket.filled.elapsed().as_secs_f64() * a_second).min(a_second);
    bucket.filled = Instant::now();
    let passes = bucket.tokens >= 1.0;
    if passes {
        bucket.tokens -= 1.0;
    }
    passes
}

fn refusal(code: StatusCode) -> Answer {
    let body = json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": "throttled by the test",
        "details": {"retryAfterSeconds": 1},
        "code": code.as_u16(),
    });
    let body = Full::from(body.to_string()).map_err(|never| match never {}).boxed_unsync();
    let mut answer = Response::new(body);
    *answer.status_mut() = code;
    answer.headers_mut().insert(header::RETRY_AFTER, 1.into());
    answer.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    answer
}

async fn forward(client: Client, request: Request<Incoming>) -> Answer {
    let (mut head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    head.headers.remove(header::HOST);
    let request = Request::from_parts(head, Body::from(body.to_vec()));
    let answer = client.send(request).await;
    answer.map_or_else(|_| refusal(StatusCode::BAD_GATEWAY), |answer| answer.map(BodyExt::boxed_unsync))
}
