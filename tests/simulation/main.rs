//! The deterministic simulation: the real operator against an API server in memory, in a time and with a chance that
//! follow from one seed. See docs/simulation.md.
//!
//! `SEED=7` plays one seed and prints its trace; `SEEDS=100` plays that many; `SIMULATE_FOR=600` plays on for so many
//! seconds; `DEPTH=8` enumerates orders to that many choices. `WITHOUT=UidPrecondition` does without a protection of the
//! operator: then something has to be wrong.
#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used, clippy::print_stdout)]

mod coverage;
mod dice;
mod end;
mod nature;
mod operators;
mod orders;
mod play;
mod programs;
mod scripts;
mod seeds;
mod trace;
mod users;
mod weather;

use std::{env, process::ExitCode, time::Duration};

use workspace_operator::protection::{Protection, Without};

/// How many seeds are played where nobody says.
const SEEDS: u64 = 2000;

fn main() -> ExitCode {
    // Whoever asks a test for its list wants no hours of work.
    if env::args().any(|argument| argument == "--list") {
        return ExitCode::SUCCESS;
    }
    let number = |name: &str| env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let without = env::var("WITHOUT").ok();
    let off = Protection::ALL.into_iter().find(|one| without.as_deref() == Some(&format!("{one:?}")));
    if without.is_some() && off.is_none() {
        println!("there is no protection of that name: {:?}", Protection::ALL);
        return ExitCode::FAILURE;
    }
    let _without = off.map(Without::the);
    if let Some(seed) = number("SEED") {
        return play::one(seed, env::var_os("SIMULATION_WORKER").is_none());
    }
    let size = |name: &str| number(name).and_then(|number| usize::try_from(number).ok());
    if let Some(script) = size("ORDERS") {
        return orders::one(script, size("DEPTH").unwrap_or(orders::DEPTH));
    }
    let first = number("FIRST").unwrap_or(1);
    let result = if let Some(seconds) = number("SIMULATE_FOR") {
        seeds::play(first, None, Some(Duration::from_secs(seconds)))
    } else {
        let are_well = seeds::play_orders();
        seeds::play(first, Some(number("SEEDS").unwrap_or(SEEDS)), None) && are_well
    };
    if result { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
