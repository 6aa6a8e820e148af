//! Many seeds, each in a process of its own: whatever is left behind by one is none of the next one's.

use std::{
    env,
    process::Command,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crate::{coverage::Coverage, orders};

/// Every so many seeds one is played twice, and told twice the same.
const TWICE: u64 = 50;

#[derive(Default)]
struct Result {
    coverage: Coverage,
    failed: Vec<u64>,
}

/// Plays from `first` on; tells whether all is well.
pub fn play(first: u64, count: Option<u64>, limit: Option<Duration>) -> bool {
    let (next, begun, result) = (AtomicU64::new(first), Instant::now(), Mutex::new(Result::default()));
    let workers = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::SeqCst);
                    let is_over = count.is_some_and(|count| seed >= first + count)
                        || limit.is_some_and(|limit| begun.elapsed() > limit);
                    if is_over {
                        return;
                    }
                    let (mut is_well, told) = run(seed, false);
                    let mut wrong: Vec<_> =
                        told.lines().filter(|line| line.starts_with("WRONG")).map(str::to_owned).collect();
                    if seed % TWICE == 0 && run(seed, true) != run(seed, true) {
                        is_well = false;
                        wrong.push("it is not the same twice".to_owned());
                    }
                    let mut result = result.lock().unwrap_or_else(PoisonError::into_inner);
                    result.coverage.add(&told);
                    if !is_well {
                        result.failed.push(seed);
                        println!("seed {seed} failed; make seed SEED={seed}\n{}", wrong.join("\n"));
                    }
                }
            });
        }
    });
    let Result { coverage, failed } = result.into_inner().unwrap_or_else(PoisonError::into_inner);
    let is_covered = coverage.print();
    let seeds = count.unwrap_or_else(|| next.load(Ordering::SeqCst) - first);
    println!("{seeds} seeds in {:.0?}, {} failed: {failed:?}", begun.elapsed(), failed.len());
    failed.is_empty() && is_covered
}

/// Enumerates the orders of every script; tells whether all is well.
pub fn play_orders() -> bool {
    let (next, is_well) = (AtomicU64::new(0), AtomicBool::new(true));
    let workers = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let script = next.fetch_add(1, Ordering::SeqCst);
                    if usize::try_from(script).is_ok_and(|script| script >= orders::SCRIPTS.len()) {
                        return;
                    }
                    let mut command = Command::new(env::current_exe().unwrap());
                    let output = command.env("ORDERS", script.to_string()).output().unwrap();
                    print!("{}", String::from_utf8_lossy(&output.stdout));
                    if !output.status.success() {
                        println!("{}", String::from_utf8_lossy(&output.stderr));
                        is_well.store(false, Ordering::SeqCst);
                    }
                }
            });
        }
    });
    is_well.into_inner()
}

/// Whether all was well with a seed, and what was told of it.
fn run(seed: u64, with_trace: bool) -> (bool, String) {
    let mut command = Command::new(env::current_exe().unwrap());
    command.env("SEED", seed.to_string());
    if with_trace {
        command.env_remove("SIMULATION_WORKER");
    } else {
        command.env("SIMULATION_WORKER", "1");
    }
    let output = command.output().unwrap();
    let mut told = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() && !told.contains("WRONG") {
        told.push_str("WRONG it broke off: ");
        told.push_str(&String::from_utf8_lossy(&output.stderr).replace('\n', " "));
    }
    (output.status.success(), told)
}
