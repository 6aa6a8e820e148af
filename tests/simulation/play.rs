//! One seed.

use std::{process::ExitCode, sync::Arc, time::Duration};

use jiff::Timestamp;
use test_apiserver::{ApiServer, Options};
use test_invariants::{Recorder, What, check};
use tokio::time::{Instant, sleep};
use workspace_operator::context::Clock;

use crate::{
    coverage,
    dice::Dice,
    end, nature,
    operators::{Operator, TICK},
    trace::Trace,
    users::Users,
    weather::Weather,
};

/// How long nobody must write until all has come to rest: longer than any pause.
const REST: Duration = Duration::from_mins(12);
/// How long that may take.
const PATIENCE: Duration = Duration::from_hours(1);
/// How often is looked whether it has.
const LOOK: Duration = Duration::from_secs(30);

/// Plays a seed, prints what is wrong, and the trace too where that is wanted.
pub fn one(seed: u64, is_told: bool) -> ExitCode {
    test_determinism::seed(seed);
    // What spreads the pauses of kube's watches has a seed of its own.
    fastrand::seed(seed);
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let trace = Trace::default();
    let wrong = runtime.block_on(play(seed, &trace));
    if is_told {
        print!("{}", trace.lines());
    } else {
        coverage::tell(&trace);
    }
    for line in &wrong {
        println!("WRONG {line}");
    }
    if wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn play(seed: u64, trace: &Trace) -> Vec<String> {
    let dice = Dice::of(seed, 0);
    let (start, origin) = (Timestamp::from_second(1_800_000_000).unwrap(), Instant::now());
    let clock: Clock = Arc::new(move || start + origin.elapsed());
    let server = ApiServer::with_options(Options::default().seed(seed).tokio_clock(start));
    let recorder = Recorder::of(&server, |client| client.starts_with("operator"));
    trace.observe(&server);
    let _running = server.run();
    server.create_namespace("test");
    let weather = Weather::new(Dice::of(seed, 1), trace.clone());
    let (count, elects) = *dice.one(&[(1, false), (2, false), (2, true)]);
    trace.count(&format!("{count} operators{}", if elects { ", elected" } else { "" }));
    let mut operators: Vec<Operator> =
        (1..=count).map(|number| Operator::new(&server, number, elects)).collect();
    for operator in &mut operators {
        weather.begin(&operator.client);
        operator.start(&clock);
    }
    let mut users = Users::new(server.clone(), Dice::of(seed, 2), trace.clone(), clock.clone());

    let (pods, tending) = (Dice::of(seed, 3), Dice::of(seed, 4));
    let acts = 4 + dice.below(12);
    for _ in 0..acts {
        let pause = *dice.one(&[0, 1, 5, 20, 100, 600]);
        for _ in 0..=pause {
            sleep(TICK).await;
            for operator in &mut operators {
                operator.tend(&clock, &tending, &weather, trace);
            }
        }
        match dice.below(10) {
            0..6 => users.act(),
            6 => nature::strike(&server, &pods, trace),
            7 => weather.gust(&server, &operators[0].client),
            8 => weather.gust(&server, &operators[dice.below(count)].client),
            _ => operators[dice.below(count)].crash_soon(&tending, trace),
        }
    }

    for operator in &mut operators {
        operator.calm(&clock);
    }
    nature::heal(&server);
    users.mend();
    recorder.note(clock(), What::Calm);
    trace.say(clock(), "stage", "calm");
    let mut wrong = Vec::new();
    if rest(&mut operators, &clock).await {
        if server.watches().iter().all(|watch| watch.pending == 0) {
            recorder.note(clock(), What::Settled);
        } else {
            wrong.push("a watch was not told of everything".to_owned());
        }
        for (name, wish) in &users.wishes {
            wrong.extend(end::differs(&server, name, wish));
        }
    } else {
        wrong.push("the operators do not come to rest".to_owned());
    }
    wrong.extend(check(&recorder.history()).into_iter().map(|violation| violation.to_string()));
    for operator in &mut operators {
        operator.kill();
    }
    wrong
}

/// Until nobody has written for long.
async fn rest(operators: &mut [Operator], clock: &Clock) -> bool {
    let count = |operators: &[Operator]| operators.iter().map(Operator::writes).sum::<usize>();
    let begun = Instant::now();
    let (mut last, mut since) = (count(operators), begun);
    while since.elapsed() < REST {
        if begun.elapsed() > PATIENCE {
            return false;
        }
        sleep(LOOK).await;
        // One that waits for an answer from before the calm ends by itself.
        for operator in &mut *operators {
            operator.keep(clock);
        }
        let writes = count(operators);
        if writes != last {
            (last, since) = (writes, Instant::now());
        }
    }
    true
}
