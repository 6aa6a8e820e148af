//! The operators: they start, crash at a write, are started again, and are one or two.

use std::time::Duration;

use test_apiserver::{ApiServer, ClientOptions, Fault, FaultRule, Matcher, TestClient};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use workspace_operator::{
    certificates::Source,
    context::{Clock, Settings},
    election::{Election, Parameters},
    run::{self, Entrance, Options, Registration},
};

use crate::{dice::Dice, programs::Door, trace::Trace, weather::Weather};

pub struct Operator {
    pub client: TestClient,
    pub name: String,
    elects: bool,
    starts: usize,
    running: Option<JoinHandle<Result<(), run::Error>>>,
    crash: Option<FaultRule>,
    /// Where programs ask it.
    pub door: Door,
}

impl Operator {
    pub fn new(server: &ApiServer, number: usize, elects: bool) -> Self {
        let name = format!("operator-{number}");
        let client = server.client_with(ClientOptions::named(&name));
        Self { client, name, elects, starts: 0, running: None, crash: None, door: Door::new(None) }
    }

    pub fn is_running(&self) -> bool {
        self.running.as_ref().is_some_and(|running| !running.is_finished())
    }

    pub fn start(&mut self, clock: &Clock) {
        self.starts += 1;
        let election = self.elects.then(|| Election {
            namespace: "test".to_owned(),
            name: "workspace-operator".to_owned(),
            identity: format!("{}-{}", self.name, self.starts),
            address: None,
            parameters: Parameters::default(),
        });
        let options = Options {
            settings: Settings {
                namespace: Some("test".to_owned()),
                class_status: false,
                operator_namespace: "test".to_owned(),
                ..Settings::default()
            },
            restart_on_reference_change: true,
            hash_key_namespace: "test".to_owned(),
            registration: Some(Registration {
                entrance: Entrance::Direct(self.door.clone()),
                url: "https://operator.test:8443".to_owned(),
                certificates: Source::Own { names: vec!["operator.test".to_owned()] },
            }),
            election,
            listen: None,
            clock: clock.clone(),
        };
        let running = run::run(self.client.client(), options, CancellationToken::new());
        self.running = Some(tokio::spawn(running));
    }

    /// It is to end at one of its next writes, which takes effect or does not.
    pub fn crash_soon(&mut self, dice: &Dice, trace: &Trace) {
        if self.crash.is_some() || !self.is_running() {
            return;
        }
        let (fault, what) = if dice.percent(50) {
            (Fault::DoThenSilence, "crash after a write")
        } else {
            (Fault::Silence, "crash before a write")
        };
        trace.count(what);
        self.client.faults().clear();
        let matcher = Matcher::any().writes().after(dice.below(4)).times(1);
        self.crash = Some(self.client.faults().on(matcher, fault));
    }

    /// Ends it where it is.
    pub fn kill(&mut self) {
        if let Some(running) = self.running.take() {
            running.abort();
        }
        self.door.send_replace(None);
    }

    /// Ends it if its crash has come, starts it again if it is down: sooner or later.
    pub fn tend(&mut self, clock: &Clock, dice: &Dice, weather: &Weather, trace: &Trace) {
        if self.crash.as_ref().is_some_and(|crash| crash.hits() > 0) {
            trace.say(clock(), &self.name, "crashes");
            self.kill();
            self.crash = None;
            self.client.faults().clear();
            weather.begin(&self.client);
        }
        if !self.is_running() && dice.percent(20) {
            trace.say(clock(), &self.name, "starts");
            trace.count("operator started");
            self.start(clock);
        }
    }

    /// Nothing disturbs it any more.
    pub fn calm(&mut self, clock: &Clock) {
        self.crash = None;
        self.client.faults().clear();
        self.client.thaw_watches();
        self.keep(clock);
    }

    /// Starts it if it ended.
    pub fn keep(&mut self, clock: &Clock) {
        if !self.is_running() {
            self.start(clock);
        }
    }

    /// Its writes so far that are work.
    pub fn writes(&self) -> usize {
        let beside = ["Event", "Lease", "TokenReview"];
        self.client.log().count(|call| call.verb.is_write() && !beside.contains(&call.kind.as_str()))
    }
}

/// How long the time between two looks at the operators is.
pub const TICK: Duration = Duration::from_millis(20);
