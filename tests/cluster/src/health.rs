//! Whether a component answers.

use kube::Client;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::network::LOOPBACK;

/// Asks over plain HTTP; no answer is as good as a wrong one.
pub(crate) async fn answers_ok(port: u16, path: &str) -> bool {
    let ask = async {
        let mut connection = TcpStream::connect((LOOPBACK, port)).await?;
        connection.write_all(format!("GET {path} HTTP/1.0\r\nHost: {LOOPBACK}\r\n\r\n").as_bytes()).await?;
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    ask.await.is_ok_and(|answer| answer.lines().next().is_some_and(|line| line.contains(" 200 ")))
}

pub(crate) async fn listens(port: u16) -> bool {
    TcpStream::connect((LOOPBACK, port)).await.is_ok()
}

pub(crate) async fn api_is_ready(client: &Client) -> bool {
    let Ok(request) = http::Request::get("/readyz").body(Vec::new()) else { return false };
    client.request_text(request).await.is_ok()
}
