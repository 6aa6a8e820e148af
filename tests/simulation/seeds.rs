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

use crate::{coverage::Coverage, scripts::SCRIPTS};

/// Every so many seeds one is played twice, and told twice the same.
const TWICE: u64 = 50;

#[derive(Default)]
struct Result {
    coverage: Coverage,
    failed: Vec<u64>,
}

/// Plays from `first` on; tells whether all is well.
pub fn play(first: u64, count: Option<u64>, limit: Option<Duration>) -> bool {
    let (begun, result) = (Instant::now(), Mutex::new(Result::default()));
    let is_over = |seed: u64| {
        count.is_some_and(|count| seed >= first + count) || limit.is_some_and(|limit| begun.elapsed() > limit)
    };
    let end = in_parallel(first, is_over, |seed| {
        let (mut is_well, told) = run(seed, false);
        let mut wrong: Vec<_> =
            told.lines().filter(|line| line.starts_with("WRONG")).map(str::to_owned).collect();
        if seed.is_multiple_of(TWICE) && run(seed, true) != run(seed, true) {
            is_well = false;
            wrong.push("it is not the same twice".to_owned());
        }
        let mut result = result.lock().unwrap_or_else(PoisonError::into_inner);
        result.coverage.add(&told);
        if !is_well {
            result.failed.push(seed);
            println!("seed {seed} failed; make seed SEED={seed}\n{}", wrong.join("\n"));
        }
    });
    let Result { coverage, failed } = result.into_inner().unwrap_or_else(PoisonError::into_inner);
    let is_covered = coverage.print();
    println!("{} seeds in {:.0?}, {} failed: {failed:?}", end - first, begun.elapsed(), failed.len());
    failed.is_empty() && is_covered
}

/// Enumerates the orders of every script; tells whether all is well.
pub fn play_orders() -> bool {
    let is_well = AtomicBool::new(true);
    let count = u64::try_from(SCRIPTS.len()).unwrap_or_default();
    in_parallel(
        0,
        |script| script >= count,
        |script| {
            let mut command = Command::new(env::current_exe().unwrap());
            let output = command.env("ORDERS", script.to_string()).output().unwrap();
            print!("{}", String::from_utf8_lossy(&output.stdout));
            if !output.status.success() {
                println!("{}", String::from_utf8_lossy(&output.stderr));
                is_well.store(false, Ordering::SeqCst);
            }
        },
    );
    is_well.into_inner()
}

/// Does `work` for the numbers from `first` on, on all cores, until one `is_over`; answers with that one.
fn in_parallel(first: u64, is_over: impl Fn(u64) -> bool + Sync, work: impl Fn(u64) + Sync) -> u64 {
    let (next, end) = (AtomicU64::new(first), AtomicU64::new(u64::MAX));
    let workers = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::SeqCst);
                    if is_over(number) {
                        end.fetch_min(number, Ordering::SeqCst);
                        return;
                    }
                    work(number);
                }
            });
        }
    });
    end.into_inner()
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
