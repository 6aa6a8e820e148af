//! The fault campaign: every scenario with every fault at every write of its operator, one at a time, on a real API
//! server. Each run has to end as the one without a fault did, with nothing broken on the way. Which writes there are is
//! found by recording.
//!
//! Without arguments it runs a slice, another one each day. A run that failed is run again by its name.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "what a scenario may, and a report"
)]

mod checks;
mod end_state;
mod fault;
mod operators;
mod panics;
mod parallel;
mod point;
mod run;
mod scenarios;
mod tally;
mod watched;
mod wire;

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::atomic::{AtomicUsize, Ordering},
};

use clap::Parser;
use jiff::Timestamp;
use test_cluster::{Cluster, NodeKind};
use workspace_operator::protection::Protection;

use crate::{
    fault::Fault,
    run::{Case, Observed},
    scenarios::Scenario,
    tally::{Outcome, Tally},
    wire::Plan,
};

/// How many slices there are: so many that one takes about two minutes.
const SLICES: usize = 60;
/// After so many runs it says how far it is.
const PROGRESS: usize = 50;
const SECONDS_A_DAY: i64 = 86_400;

#[derive(Parser)]
struct Arguments {
    /// Only runs whose names contain one of these: scenario/write/fault
    names: Vec<String>,
    /// Runs all of them
    #[arg(long)]
    all: bool,
    /// Which slice to run, by number; today's unless said
    #[arg(long, env = "CAMPAIGN_SLICE")]
    slice: Option<usize>,
    /// A protection to do without, to see that the campaign notices
    #[arg(long, value_parser = protection)]
    without: Option<Protection>,
    /// How many run at a time
    #[arg(long, default_value_t = 12, env = "CAMPAIGN_JOBS")]
    jobs: usize,
    /// Only tells the names
    #[arg(long)]
    list: bool,
    /// Where the table is written to
    #[arg(long)]
    report: Option<PathBuf>,
    /// What test harnesses are told, too
    #[arg(long, hide = true)]
    nocapture: bool,
}

fn protection(name: &str) -> Result<Protection, String> {
    let known = Protection::ALL.into_iter().find(|protection| format!("{protection:?}") == name);
    known.ok_or_else(|| format!("one of {:?}", Protection::ALL))
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let begin = Timestamp::now();
    let wanted = wanted_scenarios(&arguments);
    if wanted.is_empty() {
        println!("no scenario of the campaign is called so");
        return ExitCode::SUCCESS;
    }
    panics::keep();
    let cluster = bring_up();
    let Some(references) = record(&cluster, &wanted, arguments.jobs) else { return ExitCode::FAILURE };
    let cases = choose(cases(&references, arguments.without), &arguments);
    if arguments.list {
        for (case, _) in &cases {
            println!("{case}");
        }
        return ExitCode::SUCCESS;
    }
    println!("{} runs", cases.len());
    let done = AtomicUsize::new(0);
    let outcomes = parallel::map(&cases, arguments.jobs, |(case, expected)| {
        let outcome = judge(case, &cluster, expected);
        if let Outcome::Failed(wrong) = &outcome {
            println!(
                "\n{case} FAILED:\n{}\nAgain: cargo test --test campaign -- '{case}'\n",
                wrong.join("\n")
            );
        }
        let done = done.fetch_add(1, Ordering::Relaxed) + 1;
        if done.is_multiple_of(PROGRESS) {
            println!("{done} of {} after {} s", cases.len(), seconds_since(begin));
        }
        outcome
    });
    let mut tally = Tally::default();
    for ((case, _), outcome) in cases.iter().zip(&outcomes) {
        tally.count(case, outcome);
        if matches!(outcome, Outcome::NotReached) {
            println!("not reached: {case}");
        }
    }
    let seconds = seconds_since(begin);
    println!("\n{}\n{} in {seconds} s", tally.table(), tally.summary());
    if let Some(path) = &arguments.report {
        path.parent().map_or(Ok(()), fs::create_dir_all).unwrap();
        fs::write(path, report(&tally, begin, seconds, &command(&arguments))).unwrap();
    }
    if tally.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The scenarios whose runs may be asked for.
fn wanted_scenarios(arguments: &Arguments) -> Vec<&'static Scenario> {
    let may_contain = |scenario: &Scenario| {
        let of_name = |name: &String| match name.split_once('/') {
            Some((first, _)) => scenario.name == first || first.is_empty(),
            None => scenario.name.contains(name.as_str()),
        };
        arguments.names.is_empty() || arguments.names.iter().any(of_name)
    };
    scenarios::ALL.iter().filter(|scenario| may_contain(scenario)).collect()
}

fn bring_up() -> Cluster {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let cluster = Cluster::up(NodeKind::Fake).await.unwrap();
        let crds = Path::new(env!("CARGO_MANIFEST_DIR")).join("crds");
        cluster.install_crds(&crds).await.unwrap();
        cluster
    })
}

/// Each scenario twice without a fault: what it writes, and how it ends. Both have to end alike, or nothing can be told
/// from an end.
fn record(
    cluster: &Cluster,
    wanted: &[&'static Scenario],
    jobs: usize,
) -> Option<Vec<(&'static Scenario, Observed)>> {
    let first = parallel::map(wanted, jobs, |scenario| {
        Case { scenario, plan: None, without: None }.run(cluster, None)
    });
    let second = parallel::map(&wanted.iter().zip(first).collect::<Vec<_>>(), jobs, |(scenario, first)| {
        let first = first.as_ref().map_err(Clone::clone)?;
        let second = Case { scenario, plan: None, without: None }.run(cluster, Some(first))?;
        let mut both = first.clone();
        both.points.extend(second.points);
        both.kinds.extend(second.kinds);
        Ok::<_, Vec<String>>(both)
    });
    let mut is_well = true;
    let mut references = Vec::new();
    for (scenario, result) in wanted.iter().zip(second) {
        match result {
            Ok(observed) => {
                let (points, kinds) = (observed.points.len(), &observed.kinds);
                println!("{}: {points} writes; told of {kinds:?}", scenario.name);
                references.push((*scenario, observed));
            }
            Err(wrong) => {
                is_well = false;
                println!("\n{} FAILED without a fault:\n{}\n", scenario.name, wrong.join("\n"));
            }
        }
    }
    is_well.then_some(references)
}

/// Every fault at every write.
fn cases<'a>(
    references: &'a [(&'static Scenario, Observed)],
    without: Option<Protection>,
) -> Vec<(Case, &'a Observed)> {
    let mut cases = Vec::new();
    for (scenario, observed) in references {
        for point in &observed.points {
            for fault in Fault::at(&point.write, &observed.kinds) {
                let plan = Some(Plan { point: point.clone(), fault });
                cases.push((Case { scenario, plan, without }, observed));
            }
        }
    }
    cases
}

fn choose<'a>(cases: Vec<(Case, &'a Observed)>, arguments: &Arguments) -> Vec<(Case, &'a Observed)> {
    if !arguments.names.is_empty() {
        let is_named = |case: &Case| {
            let own = case.to_string();
            arguments.names.iter().any(|name| own.contains(name.as_str()))
        };
        return cases.into_iter().filter(|(case, _)| is_named(case)).collect();
    }
    if arguments.all {
        return cases;
    }
    let slice = slice(arguments);
    println!("slice {slice} of {SLICES}, of {} runs; again: CAMPAIGN_SLICE={slice}", cases.len());
    cases.into_iter().enumerate().filter(|(at, _)| at % SLICES == slice).map(|(_, case)| case).collect()
}

fn slice(arguments: &Arguments) -> usize {
    let day = usize::try_from(Timestamp::now().as_second() / SECONDS_A_DAY).unwrap_or_default();
    arguments.slice.unwrap_or(day) % SLICES
}

fn judge(case: &Case, cluster: &Cluster, expected: &Observed) -> Outcome {
    match case.run(cluster, Some(expected)) {
        Ok(observed) if observed.has_struck => Outcome::Same,
        Ok(_) => Outcome::NotReached,
        Err(wrong) => Outcome::Failed(wrong),
    }
}

fn seconds_since(begin: Timestamp) -> i64 {
    Timestamp::now().duration_since(begin).as_secs()
}

/// What makes the same runs again.
fn command(arguments: &Arguments) -> String {
    if !arguments.names.is_empty() {
        return format!("cargo test --test campaign -- {}", arguments.names.join(" "));
    }
    if arguments.all {
        return "make campaign".to_owned();
    }
    format!("CAMPAIGN_SLICE={} cargo test --test campaign", slice(arguments))
}

fn report(tally: &Tally, begin: Timestamp, seconds: i64, command: &str) -> String {
    let date = begin.strftime("%Y-%m-%d");
    let version = env!("CARGO_PKG_VERSION");
    format!(
        "# Fault campaign\n\n{date}, `{command}`, {seconds} s, workspace-operator {version}: {}.\n\n\
         Each cell: runs / failures, and in brackets in how many runs the write never came.\n\n{}",
        tally.summary(),
        tally.table()
    )
}
