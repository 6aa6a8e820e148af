//! What thousands of programs cost that beat every 30 seconds over connections of their own: CPU time of the operator,
//! and its calls to the API server, which here is one in memory. Fails if a heartbeat costs a write, or all of them
//! together more than a tenth of a core.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "what a scenario may, and a table"
)]

#[path = "../tests/scenarios/pod_history.rs"]
#[allow(dead_code, reason = "scenarios use all of it")]
mod pod_history;
#[path = "../tests/scenarios/program.rs"]
#[allow(dead_code, reason = "scenarios use all of it")]
mod program;
#[path = "../tests/scenarios/world.rs"]
#[allow(dead_code, reason = "scenarios use all of it")]
mod world;

use std::{
    fs,
    net::Ipv4Addr,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use clap::Parser;
use futures::{StreamExt, stream};
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::{
    body::Bytes,
    client::conn::http1::{self, SendRequest},
};
use hyper_util::rt::TokioIo;
use kube::api::ListParams;
use rustix::{
    param::clock_ticks_per_second,
    process::{Resource, Rlimit, getrlimit, setrlimit},
};
use serde_json::{Value, json};
use tokio::net::TcpSocket;
use tokio_rustls::TlsConnector;
use workspace_operator::api::{ConditionType, Workspace};

use crate::{
    program::{Program, trusting},
    world::{IMAGE, World},
};

/// Threads whose time is counted.
const OPERATOR: &str = "operator";

#[derive(Parser)]
struct Arguments {
    /// How many programs there are
    #[arg(long, default_value_t = 10_000)]
    programs: u32,
    /// Seconds between two heartbeats of one
    #[arg(long, default_value_t = 30)]
    interval: u32,
    /// Seconds that are measured
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// What `cargo bench` says to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let Arguments { programs, interval, seconds, bench: _ } = Arguments::parse();
    let wanted = 4 * u64::from(programs) + 1024;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < wanted) {
        let maximum = limit.maximum.map(|maximum| maximum.max(wanted));
        setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum }).unwrap();
    }
    // Two runtimes, so that what programs cost is not taken for what the operator costs.
    let operator = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name(OPERATOR)
        .enable_all()
        .build()
        .unwrap();
    let others = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let measured = others.block_on(measure(operator.handle(), programs, interval, seconds));
    operator.shutdown_background();
    measured
}

async fn measure(operator: &tokio::runtime::Handle, programs: u32, interval: u32, seconds: u32) -> ExitCode {
    let mut world = World::in_memory_without_operator().await;
    world.recorder.stop();
    world.settings.heartbeat = Duration::from_secs(interval.into());
    {
        let _on = operator.enter();
        world.start_operator();
    }
    let began = Instant::now();
    let connections = Arc::new(connected(&world, programs).await);
    println!("{programs} programs registered and connected in {:.1} s", began.elapsed().as_secs_f32());
    world.quiet().await;
    world.forget_writes();

    let (beats, refused) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let pace = Duration::from_secs(interval.into()) / programs;
    let (cpu, began) = (operator_seconds(), Instant::now());
    let rounds = seconds * programs / interval;
    stream::iter(0..rounds)
        .for_each_concurrent(256, |round| {
            let (connections, beats, refused) = (&connections, &beats, &refused);
            async move {
                tokio::time::sleep_until((began + pace * round).into()).await;
                let connection = &connections[round as usize % connections.len()];
                let is_heard = connection.lock().await.beat(json!({"busy": true})).await;
                beats.fetch_add(1, Ordering::Relaxed);
                refused.fetch_add(usize::from(!is_heard), Ordering::Relaxed);
            }
        })
        .await;
    let (elapsed, cpu) = (began.elapsed().as_secs_f64(), operator_seconds() - cpu);
    let (beats, refused) = (beats.load(Ordering::Relaxed), refused.load(Ordering::Relaxed));
    // Each program says once that it is busy; that is news, and written.
    let writes = world.writes().len();
    let core = cpu / elapsed;
    println!("{beats} heartbeats in {elapsed:.1} s, {refused} refused");
    println!("{:.1} % of a core, {:.0} µs for each", core * 100.0, cpu / beats as f64 * 1e6);
    println!("{writes} writes");
    if refused == 0 && writes == 0 && core < 0.1 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Workspaces, each with a program that registered, said that it is busy, and keeps its connection.
async fn connected(world: &World, programs: u32) -> Vec<tokio::sync::Mutex<Connection>> {
    let spec = json!({"image": IMAGE, "registration": {"policy": "Required"}});
    let names: Vec<String> = (0..programs).map(|number| format!("w{number}")).collect();
    stream::iter(&names)
        .for_each_concurrent(16, |name| {
            let spec = spec.clone();
            async move {
                world.create(name, spec).await;
            }
        })
        .await;
    let loopback = u32::from(Ipv4Addr::new(127, 1, 0, 1));
    let addresses = (loopback..).map(Ipv4Addr::from);
    let connections = stream::iter(names.iter().zip(addresses)).map(|(name, address)| async move {
        let program = Program::of(world, name, "a").await;
        let mut connection = Connection::of(&program, address).await;
        connection.register().await;
        connection
    });
    let connections: Vec<_> = connections.buffer_unordered(16).collect().await;
    // A look at thousands takes a while.
    while !all_are_ready(world, names.len()).await {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let mut heard = Vec::new();
    for mut connection in connections {
        assert!(connection.beat(json!({"busy": true})).await);
        heard.push(tokio::sync::Mutex::new(connection));
    }
    heard
}

async fn all_are_ready(world: &World, count: usize) -> bool {
    let all = world.api::<Workspace>().list(&ListParams::default()).await.unwrap();
    all.items.iter().filter(|one| world::is(one, ConditionType::Ready, "True")).count() == count
}

/// A program's own connection, which it keeps.
struct Connection {
    program: Program,
    sender: SendRequest<Full<Bytes>>,
}

impl Connection {
    /// From an address of its own, as every Pod has one.
    async fn of(program: &Program, address: Ipv4Addr) -> Self {
        let host = program.url.strip_prefix("https://").unwrap();
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((address, 0).into()).unwrap();
        let stream = socket.connect(host.parse().unwrap()).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let connector = TlsConnector::from(Arc::new(trusting(&program.trust)));
        let stream = connector.connect("127.0.0.1".try_into().unwrap(), stream).await.unwrap();
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Self { program: program.clone(), sender }
    }

    async fn register(&mut self) {
        let nonce = self.program.nonce.clone();
        while !self.post("/v1/register", json!({ "nonce": nonce })).await {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Whether the heartbeat was heard.
    async fn beat(&mut self, says: Value) -> bool {
        let mut body = says;
        body["nonce"] = json!(self.program.nonce);
        self.post("/v1/heartbeat", body).await
    }

    async fn post(&mut self, path: &str, body: Value) -> bool {
        self.sender.ready().await.unwrap();
        let request = Request::post(path)
            .header(header::HOST, "operator")
            .header(header::AUTHORIZATION, format!("Bearer {}", self.program.token))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body.to_string())))
            .unwrap();
        let answer = self.sender.send_request(request).await.unwrap();
        let is_heard = answer.status() == StatusCode::OK;
        answer.into_body().collect().await.unwrap();
        is_heard
    }
}

/// CPU time of the operator's threads so far.
fn operator_seconds() -> f64 {
    let threads = fs::read_dir("/proc/self/task").unwrap();
    let ticks: u64 = threads
        .filter_map(|thread| fs::read_to_string(thread.ok()?.path().join("stat")).ok())
        .filter_map(|stat| {
            let (name, rest) = stat.split_once('(')?.1.rsplit_once(") ")?;
            let fields: Vec<&str> = rest.split(' ').collect();
            (name == OPERATOR)
                .then(|| fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap())
        })
        .sum();
    ticks as f64 / clock_ticks_per_second() as f64
}
