//! The programs: a process of its own with thousands of connections, each of which registers and then beats.

use std::{
    env, io,
    net::Ipv4Addr,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::{
    body::Bytes,
    client::conn::http1::{self, SendRequest},
};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use test_world::program::trusting;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    net::TcpSocket,
    process::{Child, ChildStdin, ChildStdout, Command},
    sync::mpsc,
};
use tokio_rustls::TlsConnector;

/// What a program is given.
#[derive(Deserialize, Serialize)]
pub struct Given {
    pub url: String,
    pub token: String,
    pub nonce: String,
    pub trust: String,
    /// Its own, as every Pod has one.
    pub address: Ipv4Addr,
}

/// How many heartbeats were sent so far.
#[derive(Clone, Copy, Deserialize, Serialize)]
pub struct Count {
    pub heard: usize,
    pub refused: usize,
}

/// One line to the process of the programs.
#[derive(Deserialize, Serialize)]
enum Word {
    Add(Given),
    Count,
}

/// The process of the programs. It ends with this.
pub struct Programs {
    _process: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Programs {
    /// Starts it, without a program in it.
    pub fn start(interval: u32) -> Self {
        let mut process = Command::new(env::current_exe().unwrap())
            .args(["--as-programs", "--interval", &interval.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let input = process.stdin.take().unwrap();
        let output = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { _process: process, input, output }
    }

    pub async fn add(&mut self, given: Given) {
        self.say(&Word::Add(given)).await;
    }

    pub async fn count(&mut self) -> Count {
        self.say(&Word::Count).await;
        let line = self.output.next_line().await.unwrap().unwrap();
        serde_json::from_str(&line).unwrap()
    }

    async fn say(&mut self, word: &Word) {
        let line = format!("{}\n", serde_json::to_string(word).unwrap());
        self.input.write_all(line.as_bytes()).await.unwrap();
    }
}

/// Is the programs until its input ends.
pub async fn run(interval: Duration) {
    let (heard, refused) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (sender, mut lines) = mpsc::unbounded_channel();
    thread::spawn(move || io::stdin().lines().try_for_each(|line| sender.send(line.unwrap())));
    while let Some(line) = lines.recv().await {
        match serde_json::from_str(&line).unwrap() {
            Word::Add(given) => {
                let (heard, refused) = (Arc::clone(&heard), Arc::clone(&refused));
                tokio::spawn(async move {
                    let mut connection = Connection::of(&given).await;
                    connection.register().await;
                    let mut beat = tokio::time::interval(interval);
                    loop {
                        beat.tick().await;
                        let count = if connection.beat().await { &heard } else { &refused };
                        count.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
            Word::Count => {
                let count =
                    Count { heard: heard.load(Ordering::Relaxed), refused: refused.load(Ordering::Relaxed) };
                println!("{}", serde_json::to_string(&count).unwrap());
            }
        }
    }
}

/// A program's own connection, which it keeps.
struct Connection {
    token: String,
    nonce: String,
    sender: SendRequest<Full<Bytes>>,
}

impl Connection {
    async fn of(given: &Given) -> Self {
        let host = given.url.strip_prefix("https://").unwrap();
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((given.address, 0).into()).unwrap();
        let stream = socket.connect(host.parse().unwrap()).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let connector = TlsConnector::from(Arc::new(trusting(&given.trust)));
        let stream = connector.connect("127.0.0.1".try_into().unwrap(), stream).await.unwrap();
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Self { token: given.token.clone(), nonce: given.nonce.clone(), sender }
    }

    async fn register(&mut self) {
        while !self.post("/v1/register", json!({"nonce": self.nonce})).await {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Whether the heartbeat was heard.
    async fn beat(&mut self) -> bool {
        self.post("/v1/heartbeat", json!({"nonce": self.nonce, "busy": true})).await
    }

    async fn post(&mut self, path: &str, body: Value) -> bool {
        self.sender.ready().await.unwrap();
        let request = Request::post(path)
            .header(header::HOST, "operator")
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body.to_string())))
            .unwrap();
        let answer = self.sender.send_request(request).await.unwrap();
        let is_heard = answer.status() == StatusCode::OK;
        answer.into_body().collect().await.unwrap();
        is_heard
    }
}
