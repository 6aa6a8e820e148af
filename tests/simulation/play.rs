//! One seed.

use std::{process::ExitCode, sync::Arc};

use jiff::Timestamp;
use test_apiserver::{ApiServer, Options};
use test_invariants::Recorder;
use tokio::time::{Instant, sleep};
use workspace_operator::context::Clock;

use crate::{
    coverage,
    dice::Dice,
    end, nature,
    operators::{Operator, TICK},
    programs::Programs,
    trace::Trace,
    users::Users,
    weather::Weather,
};

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

/// After how many ticks programs say something.
const WORD: usize = 40;

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

    let doors = operators.iter().map(|operator| operator.door.clone()).collect();
    let mut programs = Programs {
        doors,
        is_led_by_one: elects || count == 1,
        dice: Dice::of(seed, 5),
        trace: trace.clone(),
        ..Programs::none(&server, &recorder, &clock)
    };
    let (pods, tending) = (Dice::of(seed, 3), Dice::of(seed, 4));
    let acts = 4 + dice.below(12);
    for _ in 0..acts {
        let pause = *dice.one(&[0, 1, 5, 20, 100, 600]);
        for tick in 0..=pause {
            sleep(TICK).await;
            if tick % WORD == 0 {
                programs.speak().await;
            }
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
    trace.say(clock(), "stage", "calm");
    let wishes: Vec<_> = users.wishes.iter().map(|(name, wish)| (*name, wish)).collect();
    let wrong = end::judge(&server, &recorder, &mut operators, &mut programs, &wishes, &clock).await;
    for operator in &mut operators {
        operator.kill();
    }
    wrong
}
