//! Systematically: every order in which two operators may write, be told of changes and die, and a user acts, up to a
//! number of choices. Whatever is left then goes on by itself, and is judged as every play is.
//!
//! Two orders are one from where they meet: where the API server holds the same, and each operator was answered and
//! told the same while the API server held the same. Nothing else can make an operator differ.

use std::{
    collections::{HashSet, hash_map::DefaultHasher},
    fmt,
    hash::{Hash, Hasher},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use serde_json::{Value, json};
use test_apiserver::{ApiServer, Fault, FaultRule, Gate, Matcher, Pace};
use test_invariants::Recorder;
use tokio::time::{Instant, sleep};
use workspace_operator::{api::names, context::Clock};

use crate::{
    end,
    operators::Operator,
    programs::Programs,
    scripts::{Act, SCRIPTS, Script},
    trace::Trace,
    users::Wish,
};

/// How many choices are made where nobody says.
pub const DEPTH: usize = 5;
/// What operators are told of when it is chosen; of all else at once.
const TOLD: [&str; 2] = ["Workspace", "Pod"];
/// The parts of the state that the key of a state is made of.
const KINDS: [&str; 3] = ["Workspace", "Pod", "Secret"];
/// How long all get to do what they can without a choice.
const MOMENT: Duration = Duration::from_millis(20);
const NAME: &str = "a";

/// What comes next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Choice {
    /// The oldest write that an operator waits for is done and answered.
    Write(usize),
    /// An operator is told of one change of that kind.
    Tell(usize, &'static str),
    /// It dies where it is, what it waits for is not done, and another takes its place.
    Crash(usize),
    /// The next act.
    Act,
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Write(who) => write!(f, "write {}", who + 1),
            Self::Tell(who, kind) => write!(f, "tell {} of a {kind}", who + 1),
            Self::Crash(who) => write!(f, "crash {}", who + 1),
            Self::Act => write!(f, "act"),
        }
    }
}

/// An operator whose writes wait.
struct Hand {
    operator: Operator,
    gate: Gate,
    held: Option<FaultRule>,
    passed: usize,
    /// All that it was told, and what was so when it was.
    history: u64,
}

impl Hand {
    fn hold(&mut self) {
        self.gate = Gate::new();
        self.passed = 0;
        let writes = Matcher::any().writes().when(|request| request.kind != "Event");
        self.held = Some(self.operator.client.faults().on(writes, Fault::Hold(self.gate.clone())));
    }

    fn is_held(&self) -> bool {
        self.held.as_ref().is_some_and(|held| held.hits() > self.passed)
    }
}

struct Course<'a> {
    server: ApiServer,
    clock: Clock,
    trace: Trace,
    recorder: Recorder,
    hands: Vec<Hand>,
    acts: &'a [Act],
    acted: usize,
    may_crash: bool,
    wish: Wish,
}

impl<'a> Course<'a> {
    fn begin(script: &'a Script) -> Self {
        let (start, origin) = (Timestamp::from_second(1_800_000_000).unwrap_or_default(), Instant::now());
        let clock: Clock = Arc::new(move || start + origin.elapsed());
        let server = ApiServer::with_options(test_apiserver::Options::default().seed(1).tokio_clock(start));
        let recorder = Recorder::of(&server, |client| client.starts_with("operator"));
        let trace = Trace::default();
        trace.observe(&server);
        server.create_namespace("test");
        let hands = (1..=2)
            .map(|number| Operator::new(&server, number, false))
            .map(|operator| Hand { operator, gate: Gate::new(), held: None, passed: 0, history: 0 })
            .collect();
        let (acts, wish) = (script.meanwhile, Wish::default());
        Self { server, clock, trace, recorder, hands, acts, acted: 0, may_crash: true, wish }
    }

    /// The operators are there and at rest, and what is to have been before has been.
    async fn prepare(&mut self, before: &[Act]) {
        for hand in &mut self.hands {
            hand.operator.start(&self.clock);
        }
        sleep(Duration::from_secs(5)).await;
        for act in before {
            self.act(*act);
            sleep(Duration::from_mins(1)).await;
        }
        self.server.set_pace(Pace::Stepwise);
        self.hands.iter_mut().for_each(Hand::hold);
    }

    fn is_possible(&self, act: Act) -> bool {
        let is_there = self.server.object("Workspace", "test", NAME).is_some();
        match act {
            Act::Create => !is_there,
            Act::Restart | Act::Image | Act::Stop | Act::Run | Act::Delete => is_there,
            Act::Vanish | Act::Fail => self.server.object("Pod", "test", NAME).is_some(),
        }
    }

    fn act(&mut self, act: Act) {
        let now = (self.clock)().to_string();
        let change = |change: &dyn Fn(&mut Value)| {
            let _ = self.server.change("Workspace", "test", NAME, |object| change(object));
        };
        match act {
            Act::Create => {
                let _ = self.server.create(json!({
                    "apiVersion": "workspaces.dev/v1alpha1",
                    "kind": "Workspace",
                    "metadata": {"name": NAME, "namespace": "test"},
                    "spec": {"image": "registry.test/good:1"},
                }));
                self.wish = Wish { exists: true, image: "good".to_owned(), ..Wish::default() };
            }
            Act::Restart => {
                change(&|object| object["metadata"]["annotations"][names::RESTARTED_AT] = json!(now));
            }
            Act::Image => change(&|object| object["spec"]["image"] = json!("registry.test/good:2")),
            Act::Stop | Act::Run => {
                self.wish.is_stopped = matches!(act, Act::Stop);
                let state = if self.wish.is_stopped { "Stopped" } else { "Running" };
                change(&|object| object["spec"]["runState"] = json!(state));
            }
            Act::Delete => {
                let _ = self.server.delete("Workspace", "test", NAME);
                self.wish = Wish::default();
            }
            Act::Vanish => drop(self.server.vanish("test", NAME)),
            Act::Fail => {
                let end = test_apiserver::Termination::exit(1);
                let _ = self.server.fail_pod("test", NAME, end, Some("Evicted"));
            }
        }
        self.trace.say((self.clock)(), "user", &format!("{act:?}"));
    }

    /// Everybody does what can be done without a choice.
    async fn settle(&self) {
        loop {
            self.server.step();
            let mut is_told = false;
            for watch in self.server.watches() {
                if watch.pending > 0 && !TOLD.contains(&watch.request.kind.as_str()) {
                    self.server.deliver(watch.id, watch.pending);
                    is_told = true;
                }
            }
            sleep(MOMENT).await;
            if !is_told {
                return;
            }
        }
    }

    fn choices(&self) -> Vec<Choice> {
        let mut choices = Vec::new();
        let watches = self.server.watches();
        for (who, hand) in self.hands.iter().enumerate() {
            if hand.is_held() {
                choices.push(Choice::Write(who));
            }
            for kind in TOLD {
                let is_told_next = watches.iter().any(|watch| {
                    watch.client == hand.operator.name && watch.request.kind == kind && watch.pending > 0
                });
                if is_told_next {
                    choices.push(Choice::Tell(who, kind));
                }
            }
            // Who waits for nothing dies like one that is started later.
            if self.may_crash && hand.is_held() {
                choices.push(Choice::Crash(who));
            }
        }
        if self.acts.get(self.acted).is_some_and(|act| self.is_possible(*act)) {
            choices.push(Choice::Act);
        }
        choices
    }

    async fn choose(&mut self, choice: Choice) {
        let before = self.state();
        self.trace.say((self.clock)(), "choice", &choice.to_string());
        match choice {
            Choice::Write(who) => {
                self.hands[who].passed += 1;
                self.hands[who].gate.release(1);
            }
            Choice::Tell(who, kind) => {
                let watches = self.server.watches();
                let is_meant = |watch: &&test_apiserver::OpenWatch| {
                    watch.client == self.hands[who].operator.name
                        && watch.request.kind == kind
                        && watch.pending > 0
                };
                if let Some(watch) = watches.iter().find(is_meant) {
                    self.server.deliver(watch.id, 1);
                }
            }
            Choice::Crash(who) => {
                self.may_crash = false;
                self.hands[who].operator.kill();
                self.settle().await;
                self.hands[who].operator.client.faults().clear();
                self.hands[who].hold();
                self.hands[who].operator.start(&self.clock);
                self.greet(who).await;
            }
            Choice::Act => {
                self.acted += 1;
                self.act(self.acts[self.acted - 1]);
            }
        }
        self.settle().await;
        let mut hasher = DefaultHasher::new();
        if let Choice::Write(who) | Choice::Tell(who, _) | Choice::Crash(who) = choice {
            (self.hands[who].history, before, choice.to_string()).hash(&mut hasher);
            self.hands[who].history = hasher.finish();
        }
    }

    /// Tells a new operator what there is.
    async fn greet(&self, who: usize) {
        for _ in 0..5 {
            self.settle().await;
            for watch in self.server.watches() {
                if watch.client == self.hands[who].operator.name && watch.pending > 0 {
                    self.server.deliver(watch.id, watch.pending);
                }
            }
        }
    }

    /// What the API server holds.
    fn state(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        for kind in KINDS {
            for object in self.server.objects(kind) {
                object.to_string().hash(&mut hasher);
            }
        }
        hasher.finish()
    }

    /// What decides how it goes on.
    fn key(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.state(), self.acted, self.may_crash).hash(&mut hasher);
        for hand in &self.hands {
            (hand.history, hand.is_held()).hash(&mut hasher);
        }
        hasher.finish()
    }

    /// Nothing waits any more.
    async fn finish(mut self) -> Vec<String> {
        for act in &self.acts[self.acted..] {
            if self.is_possible(*act) {
                self.act(*act);
            }
        }
        self.server.set_pace(Pace::Immediate);
        let _running = self.server.run();
        let mut operators = Vec::new();
        for hand in self.hands {
            hand.gate.open();
            operators.push(hand.operator);
        }
        for operator in &mut operators {
            operator.calm(&self.clock);
        }
        let mut programs = Programs::none(&self.server, &self.recorder, &self.clock);
        let wishes = [(NAME, &self.wish)];
        let wrong =
            end::judge(&self.server, &self.recorder, &mut operators, &mut programs, &wishes, &self.clock)
                .await;
        for operator in &mut operators {
            operator.kill();
        }
        wrong
    }
}

/// The orders of a script.
#[derive(Default)]
struct Orders {
    depth: usize,
    states: HashSet<(usize, u64)>,
    played: usize,
    ended: usize,
    wrong: Vec<String>,
}

impl Orders {
    /// Plays `prefix`, goes on with the first choice each time, and puts the others on `open`.
    async fn play(&mut self, script: &Script, prefix: &[Choice], open: &mut Vec<Vec<Choice>>) {
        self.played += 1;
        let mut course = Course::begin(script);
        {
            let _running = course.server.run();
            course.prepare(script.before).await;
        }
        course.settle().await;
        let mut order = Vec::new();
        while order.len() < self.depth {
            let choices = course.choices();
            let next = match prefix.get(order.len()) {
                Some(next) if choices.contains(next) => *next,
                Some(next) => {
                    self.wrong.push(format!("{}: {next} can't be chosen again", shown(&order)));
                    return;
                }
                None => {
                    let Some((first, others)) = choices.split_first() else { break };
                    for other in others {
                        open.push([order.as_slice(), &[*other]].concat());
                    }
                    *first
                }
            };
            course.choose(next).await;
            order.push(next);
            if order.len() >= prefix.len() && !self.states.insert((order.len(), course.key())) {
                return;
            }
        }
        self.ended += 1;
        let trace = course.trace.clone();
        let wrong = course.finish().await;
        if !wrong.is_empty() {
            let is_first = self.wrong.is_empty();
            self.wrong.push(format!("{}: {}", shown(&order), wrong.join("; ")));
            if is_first {
                println!("{}", trace.lines());
            }
        }
    }
}

fn shown(order: &[Choice]) -> String {
    order.iter().map(Choice::to_string).collect::<Vec<_>>().join(", ")
}

/// Plays all orders of a script, and says how many there are.
pub fn one(number: usize, depth: usize) -> ExitCode {
    let Some(script) = SCRIPTS.get(number) else { return ExitCode::FAILURE };
    let mut orders = Orders { depth, ..Orders::default() };
    let mut open = vec![Vec::new()];
    while let Some(prefix) = open.pop() {
        test_determinism::seed(1);
        fastrand::seed(1);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        let Ok(runtime) = runtime else { return ExitCode::FAILURE };
        runtime.block_on(orders.play(script, &prefix, &mut open));
    }
    let Orders { states, played, ended, wrong, .. } = orders;
    println!(
        "{}: {} states of at most {depth} choices, {played} orders begun, {ended} ended, {} wrong",
        script.name,
        states.len(),
        wrong.len()
    );
    for line in wrong.iter().take(5) {
        println!("WRONG {line}");
    }
    if wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
