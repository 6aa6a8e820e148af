//! What thousands of programs cost that beat every 30 seconds over connections of their own: CPU time of the operator,
//! and its calls to the API server, which here is one in memory. Fails if a heartbeat costs a write, or all of them
//! together more than a tenth of a core.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "what a scenario may, and a table"
)]

mod programs;

use std::{
    fs,
    net::Ipv4Addr,
    pin::pin,
    process::ExitCode,
    time::{Duration, Instant},
};

use clap::Parser;
use futures::{StreamExt, stream};
use kube::api::ListParams;
use rustix::{
    param::clock_ticks_per_second,
    process::{Resource, Rlimit, getrlimit, setrlimit},
};
use serde_json::json;
use test_world::{IMAGE, World, program::Program};
use workspace_operator::api::{ConditionType, Workspace};

use crate::programs::{Given, Programs};

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
    /// Be the programs: a process of their own, because it takes an open file at either end of each connection.
    #[arg(long, hide = true)]
    as_programs: bool,
    /// What `cargo bench` says to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.as_programs {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(programs::run(Duration::from_secs(arguments.interval.into())));
        return ExitCode::SUCCESS;
    }
    if let Err(message) = allow_open_files(u64::from(arguments.programs) + 1024) {
        eprintln!("{message}");
        return ExitCode::FAILURE;
    }
    // Two runtimes, so that what everything else costs is not taken for what the operator costs.
    let operator = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name(OPERATOR)
        .enable_all()
        .build()
        .unwrap();
    let others = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let measured = others.block_on(measure(operator.handle(), &arguments));
    operator.shutdown_background();
    measured
}

/// As many as either process needs: one for each connection.
fn allow_open_files(wanted: u64) -> Result<(), String> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_none_or(|current| current >= wanted) {
        return Ok(());
    }
    let maximum = maximum.map(|maximum| maximum.max(wanted));
    setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum })
        .map_err(|error| format!("{wanted} open files are needed (ulimit -n): {error}"))
}

async fn measure(operator: &tokio::runtime::Handle, arguments: &Arguments) -> ExitCode {
    let Arguments { programs, interval, seconds, .. } = *arguments;
    let mut world = World::in_memory_without_operator().await;
    world.recorder.stop();
    world.settings.heartbeat = Duration::from_secs(interval.into());
    {
        let _on = operator.enter();
        world.start_operator();
    }
    let began = Instant::now();
    let mut heard = Programs::start(interval);
    all_register(&world, programs, &mut heard).await;
    println!(
        "{programs} programs registered, beat and are Ready after {:.1} s",
        began.elapsed().as_secs_f32()
    );
    world.forget_writes();
    world.quiet().await;
    world.forget_writes();

    let before = heard.count().await;
    let (cpu, began) = (operator_seconds(), Instant::now());
    tokio::time::sleep(Duration::from_secs(seconds.into())).await;
    let (elapsed, cpu) = (began.elapsed().as_secs_f64(), operator_seconds() - cpu);
    let after = heard.count().await;
    let (beats, refused) = (after.heard - before.heard, after.refused - before.refused);
    // Each program has said already that it is busy: that is news, and written. From then on there is none.
    let writes = world.writes().len();
    let core = cpu / elapsed;
    println!("{beats} heartbeats in {elapsed:.1} s, {refused} refused");
    println!("{:.1} % of a core, {:.0} µs for each", core * 100.0, cpu / beats as f64 * 1e6);
    println!("{writes} writes");
    let expected = f64::from(programs) * elapsed / f64::from(interval);
    // Fewer would mean that programs wait for answers, and the figure that of a smaller number.
    let are_all_heard = beats as f64 > 0.95 * expected;
    let is_good = are_all_heard && refused == 0 && writes == 0 && core < 0.1;
    if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Creates the workspaces, and lets a program register for each as soon as its Pod is there.
async fn all_register(world: &World, count: u32, programs: &mut Programs) {
    let spec = json!({"image": IMAGE, "registration": {"policy": "Required"}});
    let names: Vec<String> = (0..count).map(|number| format!("w{number}")).collect();
    let started = stream::iter(&names).map(|name| {
        let spec = spec.clone();
        async move {
            world.create(name, spec).await;
            Program::of(world, name, "a").await
        }
    });
    let loopback = u32::from(Ipv4Addr::new(127, 1, 0, 1));
    let mut started = pin!(started.buffer_unordered(16).zip(stream::iter(loopback..)));
    while let Some((program, address)) = started.next().await {
        let Program { url, token, nonce, trust, .. } = program;
        programs.add(Given { url, token, nonce, trust, address: address.into() }).await;
    }
    // A look at thousands takes a while.
    while !all_are_ready(world, names.len()).await {
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
}

async fn all_are_ready(world: &World, count: usize) -> bool {
    let all = world.api::<Workspace>().list(&ListParams::default()).await.unwrap();
    all.items.iter().filter(|one| test_world::is(one, ConditionType::Ready, "True")).count() == count
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
