//! Several candidates with clocks of their own, and one Lease behind a bad network, in a time that is only counted.

use std::{collections::BTreeMap, time::Duration};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::{api::coordination::v1::Lease, apimachinery::pkg::apis::meta::v1::MicroTime};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::time::Instant;

use super::{
    decision::{Action, Aim, Answer, Call, Candidate, Parameters, Write},
    lease::{self, Holder},
};
use crate::backoff::Jitter;

const SECOND: u64 = 1_000_000;

/// The one clock that nobody in the model can read, in microseconds.
type RealTime = u64;

/// Where a candidate's clocks stand, and how fast they run.
#[derive(Clone, Copy, Debug)]
struct Clock {
    rate: f64,
    origin: Instant,
    wall: Timestamp,
}

impl Clock {
    #[allow(clippy::cast_precision_loss, clippy::cast_sign_loss, clippy::cast_possible_truncation)]
    fn passed(self, real: RealTime) -> u64 {
        (real as f64 * self.rate) as u64
    }

    fn instant(self, real: RealTime) -> Instant {
        self.origin + Duration::from_micros(self.passed(real))
    }

    fn wall(self, real: RealTime) -> Timestamp {
        self.wall + SignedDuration::from_micros(self.passed(real).cast_signed())
    }

    /// The first real time that is not before `instant`.
    fn real(self, instant: Instant) -> RealTime {
        let passed = instant.saturating_duration_since(self.origin).as_secs_f64() / self.rate;
        let real = u64::try_from(Duration::from_secs_f64(passed).as_micros()).unwrap();
        (real..real + 10).find(|real| self.instant(*real) >= instant).unwrap()
    }
}

/// Of a hundred messages.
#[derive(Clone, Copy, Debug)]
struct Weather {
    lost: u32,
    slow: u32,
    /// So many answers to a leader are the last for a while: the worst moment for it.
    last: u32,
}

const CALM: Weather = Weather { lost: 0, slow: 0, last: 0 };
const RAIN: Weather = Weather { lost: 2, slow: 20, last: 10 };
const STORM: Weather = Weather { lost: 20, slow: 50, last: 3 };

/// At most, for one that is not slow, and for one that is: as long as anybody waits for an answer.
const QUICK: RealTime = SECOND * 8 / 100;
const SLOW: RealTime = 5 * SECOND;

/// By what a standby knows that a Lease ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    /// As the operator does it.
    AsSeen,
    /// As it must not be done: by the Lease's own time and the wall clock.
    ByRenewTime,
}

#[derive(Clone, Debug)]
struct Process {
    name: String,
    candidate: Candidate,
    aim: Aim,
    /// The call under way, and when it began.
    call: Option<(u64, Instant)>,
    /// It cannot run before.
    stalled_until: RealTime,
}

#[derive(Clone, Debug)]
enum Event {
    Wake { who: usize, name: String },
    Arrives { who: usize, call: u64, write: Option<(Write, Box<Lease>)> },
    Answers { who: usize, call: u64, answer: Box<Answer> },
    GivesUp { who: usize, call: u64 },
    Suffers { who: usize, fate: Fate },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Killed,
    Stopped,
    Stalled(RealTime),
    CutOff(RealTime),
    Started,
}

struct World {
    random: StdRng,
    now: RealTime,
    made: u64,
    events: BTreeMap<(RealTime, u64), Event>,
    weather: Weather,
    rule: Rule,
    clocks: Vec<Clock>,
    processes: Vec<Option<Process>>,
    /// Until when what each of them sends and is sent gets lost.
    cut_off_until: Vec<RealTime>,
    lease: Option<Lease>,
    /// Whether two led at a time.
    was_split: bool,
    /// How often the Lease got a new holder.
    takes: usize,
}

impl World {
    fn new(seed: u64, rates: &[f64], weather: Weather, rule: Rule) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let origin = Instant::now();
        let clocks = rates.iter().map(|rate| Clock {
            rate: *rate,
            origin: origin + Duration::from_millis(random.random_range(0..1_000_000)),
            wall: Timestamp::from_second(1_800_000_000 + random.random_range(-60..60)).unwrap(),
        });
        let clocks: Vec<Clock> = clocks.collect();
        let mut world = Self {
            random,
            now: 0,
            made: 0,
            events: BTreeMap::new(),
            weather,
            rule,
            processes: vec![None; clocks.len()],
            cut_off_until: vec![0; clocks.len()],
            clocks,
            lease: None,
            was_split: false,
            takes: 0,
        };
        for who in 0..rates.len() {
            world.suffers_at(0, who, Fate::Started);
        }
        world
    }

    fn at(&mut self, time: RealTime, event: Event) {
        self.made += 1;
        self.events.insert((time, self.made), event);
    }

    fn suffers_at(&mut self, time: RealTime, who: usize, fate: Fate) {
        self.at(time, Event::Suffers { who, fate });
    }

    fn leads(&self, who: usize) -> bool {
        let until = self.processes[who].as_ref().and_then(|process| process.candidate.leads_until());
        until.is_some_and(|until| self.clocks[who].instant(self.now) < until)
    }

    fn leaders(&self) -> Vec<usize> {
        (0..self.processes.len()).filter(|who| self.leads(*who)).collect()
    }

    /// Whoever begins to lead does so in an event, so it is enough to look after each.
    fn run_until(&mut self, end: RealTime) {
        while let Some(entry) = self.events.first_entry().filter(|entry| entry.key().0 <= end) {
            let ((time, _), event) = entry.remove_entry();
            self.now = time;
            self.happen(event);
            self.was_split |= self.leaders().len() > 1;
        }
        self.now = end;
    }

    /// Runs on until somebody else than `before` leads; how long that took, if it did before `limit` was over.
    fn succession(&mut self, before: usize, limit: RealTime) -> Option<RealTime> {
        let begin = self.now;
        while self.now < begin + limit {
            self.run_until(self.now + SECOND / 100);
            if self.leaders().iter().any(|who| *who != before) {
                return Some(self.now - begin);
            }
        }
        None
    }

    fn happen(&mut self, event: Event) {
        let who = match &event {
            Event::Arrives { who, call, write } => {
                let answer = self.serve(write.clone());
                return self.carry(*who, *call, answer);
            }
            Event::Suffers { who, fate } => return self.suffer(*who, *fate),
            Event::Wake { who, .. } | Event::Answers { who, .. } | Event::GivesUp { who, .. } => *who,
        };
        let now = self.now;
        let Some(process) = &mut self.processes[who] else { return };
        if process.stalled_until > now {
            let until = process.stalled_until;
            return self.at(until, event);
        }
        let is_ours = |id: u64| process.call.filter(|(own, _)| *own == id);
        let told = match event {
            Event::Wake { name, .. } if name == process.name && process.call.is_none() => None,
            Event::Answers { call, answer, .. } => is_ours(call).map(|(_, began)| (began, *answer)),
            Event::GivesUp { call, .. } => is_ours(call).map(|(_, began)| (began, Answer::Failed)),
            _ => return,
        };
        match told {
            None if process.call.is_some() => return,
            None => {}
            Some((began, answer)) => {
                let jitter = Jitter::new(self.random.random_range(-1.0..=1.0));
                let ended = self.clocks[who].instant(now);
                let is_written = matches!(answer, Answer::Written(_));
                process.candidate.told(answer, Call { began, ended }, jitter);
                process.call = None;
                if is_written && self.random.random_ratio(self.weather.last, 100) {
                    self.suffer(who, Fate::CutOff(20 * SECOND));
                }
            }
        }
        self.go_on(who);
    }

    fn suffer(&mut self, who: usize, fate: Fate) {
        match (fate, &mut self.processes[who]) {
            (Fate::Killed, process) => *process = None,
            (Fate::Stopped, Some(process)) => {
                process.aim = Aim::Leave;
                process.call = None;
                self.go_on(who);
            }
            (Fate::Stalled(long), Some(process)) => process.stalled_until = self.now + long,
            (Fate::CutOff(long), _) => self.cut_off_until[who] = self.now + long,
            (Fate::Started, process @ None) => {
                let name = super::identity(Some("operator"), self.random.random());
                let now = self.clocks[who].instant(self.now);
                let candidate = Candidate::new(name.clone(), Parameters::default(), now);
                *process = Some(Process { name, candidate, aim: Aim::Lead, call: None, stalled_until: 0 });
                self.go_on(who);
            }
            (Fate::Started, Some(_)) | (Fate::Stopped | Fate::Stalled(_), None) => {}
        }
    }

    /// What the shell does, until it waits.
    fn go_on(&mut self, who: usize) {
        let clock = self.clocks[who];
        let now = clock.instant(self.now);
        while let Some(process) = &mut self.processes[who] {
            let mut action = process.candidate.decide(process.aim, now);
            if self.rule == Rule::ByRenewTime && ran_out(&process.candidate, clock.wall(self.now)) {
                action = Action::Write(Write::Take);
            }
            let write = match action {
                Action::StepDown => {
                    process.candidate.step_down();
                    continue;
                }
                Action::Stop => {
                    self.processes[who] = None;
                    return;
                }
                Action::Wait(until) => {
                    let name = process.name.clone();
                    return self.at(clock.real(until), Event::Wake { who, name });
                }
                Action::Look => None,
                Action::Write(write) => {
                    let (identity, duration) = (process.name.clone(), Parameters::default().lease_duration());
                    let holder = Holder { identity, address: None, duration };
                    let seen = process.candidate.seen().cloned();
                    Some((write, Box::new(holder.written(write, seen, clock.wall(self.now)))))
                }
            };
            self.made += 1;
            let call = self.made;
            process.call = Some((call, now));
            let limit = process.candidate.give_up_at(now);
            process.candidate.ask();
            self.at(clock.real(limit), Event::GivesUp { who, call });
            if let Some(arrival) = self.arrival(who) {
                self.at(arrival, Event::Arrives { who, call, write });
            }
            return;
        }
    }

    fn carry(&mut self, who: usize, call: u64, answer: Answer) {
        if let Some(arrival) = self.arrival(who) {
            self.at(arrival, Event::Answers { who, call, answer: Box::new(answer) });
        }
    }

    /// When a message that is sent now arrives, if it does.
    fn arrival(&mut self, who: usize) -> Option<RealTime> {
        let Weather { lost, slow, last: _ } = self.weather;
        let is_lost = self.random.random_ratio(lost, 100) || self.now < self.cut_off_until[who];
        let delay = if self.random.random_ratio(slow, 100) { SLOW / 2..=SLOW } else { 0..=QUICK };
        (!is_lost).then(|| self.now + self.random.random_range(delay))
    }

    /// The API server.
    fn serve(&mut self, write: Option<(Write, Box<Lease>)>) -> Answer {
        let Some((write, mut lease)) = write else { return Answer::Read(self.lease.clone()) };
        let version = |lease: &Lease| lease.metadata.resource_version.clone();
        let (there, meant) = (self.lease.as_ref().map(version), version(&lease));
        let is_meant = if write == Write::Create { there.is_none() } else { there == Some(meant) };
        if !is_meant {
            return Answer::Overtaken;
        }
        self.made += 1;
        self.takes += usize::from(matches!(write, Write::Create | Write::Take));
        lease.metadata.resource_version = Some(self.made.to_string());
        self.lease = Some(*lease.clone());
        Answer::Written(*lease)
    }
}

/// The rule that must not be.
fn ran_out(candidate: &Candidate, wall: Timestamp) -> bool {
    let Some(lease) = candidate.seen().filter(|_| candidate.leads_until().is_none()) else { return false };
    let renewed = lease.spec.as_ref().and_then(|spec| spec.renew_time.as_ref());
    let is_others = candidate.other() != super::Leader::Nobody;
    is_others && renewed.is_some_and(|MicroTime(renewed)| *renewed + lease::duration(lease) < wall)
}

/// Five minutes in which anything may happen to anybody, then a calm one.
fn chaos(seed: u64, rates: &[f64], weather: Weather, rule: Rule) -> World {
    let mut world = World::new(seed, rates, weather, rule);
    for _ in 0..world.random.random_range(0..40) {
        let time = world.random.random_range(0..300 * SECOND);
        let who = world.random.random_range(0..rates.len());
        let long = world.random.random_range(0..30 * SECOND);
        let fate = match world.random.random_range(0..6) {
            0 => Fate::Killed,
            1 => Fate::Stopped,
            2 => Fate::Stalled(long),
            _ => Fate::CutOff(long),
        };
        world.suffers_at(time, who, fate);
        world.suffers_at(time + long, who, Fate::Started);
    }
    world.run_until(300 * SECOND);
    world.weather = CALM;
    world.run_until(360 * SECOND);
    world
}

/// Two or three clocks that go wrong by so much at most, and often by just that.
fn rates(slowest: f64, fastest: f64) -> impl Strategy<Value = Vec<f64>> {
    let rate = prop_oneof![Just(slowest), Just(fastest), slowest..fastest];
    proptest::collection::vec(rate, 2..=3)
}

/// Far worse clocks than there are, but not a half faster than each other: with less no mistake would show.
fn bad_rates() -> impl Strategy<Value = Vec<f64>> {
    rates(0.83, 1.22)
}

/// A calm world with a leader.
fn settled(seed: u64, rates: &[f64]) -> (World, usize) {
    let mut world = World::new(seed, rates, CALM, Rule::AsSeen);
    let settled = world.random.random_range(10 * SECOND..40 * SECOND);
    world.run_until(settled);
    let leaders = world.leaders();
    assert_eq!(leaders.len(), 1, "after {settled}");
    (world, leaders[0])
}

proptest! {
    #[test]
    fn never_do_two_lead_at_a_time(seed: u64, rates in bad_rates(), weather in prop_oneof![Just(RAIN), Just(STORM)]) {
        let world = chaos(seed, &rates, weather, Rule::AsSeen);
        prop_assert!(!world.was_split);
        prop_assert!(world.takes > 0);
        prop_assert_eq!(world.leaders().len(), usize::from(world.processes.iter().any(Option::is_some)));
    }

    #[test]
    fn a_leader_that_is_killed_is_replaced_within_seventeen_seconds(seed: u64, rates in rates(0.95, 1.05)) {
        let (mut world, leader) = settled(seed, &rates);
        world.suffers_at(world.now, leader, Fate::Killed);
        let took = world.succession(leader, 60 * SECOND);
        prop_assert!(took.is_some_and(|took| took < 17 * SECOND), "{:?}", took);
        prop_assert!(!world.was_split);
    }

    #[test]
    fn a_leader_that_leaves_is_replaced_within_two_seconds(seed: u64, rates in rates(0.95, 1.05)) {
        let (mut world, leader) = settled(seed, &rates);
        world.suffers_at(world.now, leader, Fate::Stopped);
        let took = world.succession(leader, 60 * SECOND);
        prop_assert!(took.is_some_and(|took| took < 2 * SECOND), "{:?}", took);
        prop_assert!(!world.was_split);
    }

    #[test]
    fn in_calm_weather_the_first_leader_stays_the_only_one(seed: u64, rates in rates(0.95, 1.05)) {
        let (mut world, leader) = settled(seed, &rates);
        world.run_until(world.now + 300 * SECOND);
        prop_assert_eq!(world.leaders(), [leader]);
        prop_assert_eq!(world.takes, 1);
    }
}

#[test]
fn trust_in_the_times_of_the_lease_would_make_two_leaders() {
    let split = (0..20).filter(|seed| chaos(*seed, &[0.99, 1.01], RAIN, Rule::ByRenewTime).was_split);
    assert!(split.count() > 0, "the simulation does not find what it is for");
}
