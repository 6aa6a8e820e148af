//! Programs in Pods: they register, beat, fall silent, are restarted in place, and speak on after their time.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use http::{Request, header};
use http_body_util::Full;
use hyper::body::Bytes;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use test_apiserver::ApiServer;
use test_invariants::{Recorder, What};
use tokio::sync::watch;
use workspace_operator::{api::names, context::Clock, registration::Endpoint};

use crate::{dice::Dice, trace::Trace};

const PEER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// How old a token gets: as the kubelet has it, most of an hour.
const RENEWED: SignedDuration = SignedDuration::from_mins(45);
const NAMES: [&str; 2] = ["a", "b"];

/// What programs ask; none while the operator is down.
pub type Door = watch::Sender<Option<Arc<Endpoint>>>;

/// What a program of one Pod has.
#[derive(Clone)]
pub struct Program {
    pod_uid: String,
    token: String,
    since: Timestamp,
    /// Another one after each restart of its container.
    nonce: String,
}

/// The programs. Clones ask as the same ones.
#[derive(Clone)]
pub struct Programs {
    pub server: ApiServer,
    pub doors: Vec<Door>,
    pub is_led_by_one: bool,
    pub dice: Dice,
    pub trace: Trace,
    pub recorder: Recorder,
    pub clock: Clock,
    /// The last of each workspace, by Pod UID.
    pub former: BTreeMap<String, Program>,
    pub questions: u64,
}

impl Programs {
    /// Nobody, as long as there are no doors.
    pub fn none(server: &ApiServer, recorder: &Recorder, clock: &Clock) -> Self {
        Self {
            server: server.clone(),
            doors: Vec::new(),
            is_led_by_one: true,
            dice: Dice::of(0, 0),
            trace: Trace::default(),
            recorder: recorder.clone(),
            clock: clock.clone(),
            former: BTreeMap::new(),
            questions: 0,
        }
    }

    /// The program of a Pod that runs and has a credential: a new one from time to time, as from a kubelet.
    fn running(&self, name: &str) -> Option<Program> {
        let pod = self.server.object("Pod", "test", name)?;
        let state = pod.pointer("/status/containerStatuses/0")?;
        state.pointer("/state/running")?;
        let pod_uid = pod.pointer("/metadata/uid")?.as_str()?.to_owned();
        let now = (self.clock)();
        let (token, since) = match self.former.get(&pod_uid) {
            Some(known) if now.duration_since(known.since) < RENEWED => (known.token.clone(), known.since),
            _ => (self.server.token("test", name, names::AUDIENCE).ok()?, now),
        };
        let nonce = format!("nonce-of-restart-{:0>8}", state["restartCount"].as_i64()?);
        Some(Program { pod_uid, token, since, nonce })
    }

    /// Some of them say something.
    pub async fn speak(&mut self) {
        for name in NAMES {
            if let Some(program) = self.running(name)
                && self.dice.percent(60)
            {
                self.introduce(&program).await;
            }
        }
        // Whoever is overtaken may still run somewhere.
        let former: Vec<Program> = self.former.values().cloned().collect();
        if !former.is_empty() && self.dice.percent(20) {
            let program = self.dice.one(&former).clone();
            let path = *self.dice.one(&["/v1/register", "/v1/heartbeat"]);
            self.ask(&program, path).await;
        }
    }

    /// All of them do what they should.
    pub async fn behave(&mut self) {
        for name in NAMES {
            if let Some(program) = self.running(name) {
                self.introduce(&program).await;
            }
        }
    }

    /// Those whose time is over ask once more.
    pub async fn haunt(&mut self) {
        for program in self.former.clone().values() {
            self.ask(program, "/v1/register").await;
            self.ask(program, "/v1/heartbeat").await;
        }
    }

    async fn introduce(&mut self, program: &Program) {
        self.former.insert(program.pod_uid.clone(), program.clone());
        if self.ask(program, "/v1/heartbeat").await != Some(200) {
            self.ask(program, "/v1/register").await;
        }
    }

    /// Asks one operator after the other until one answers. Where several lead, all of them have to hear it.
    async fn ask(&mut self, program: &Program, path: &str) -> Option<u16> {
        let mut code = None;
        let first = self.dice.below(self.doors.len().max(1));
        for number in 0..self.doors.len() {
            let door = (first + number) % self.doors.len();
            match self.ask_one(door, program, path).await {
                Some(503) | None => {}
                answer if self.is_led_by_one => return answer,
                answer => code = answer,
            }
        }
        code
    }

    async fn ask_one(&mut self, door: usize, program: &Program, path: &str) -> Option<u16> {
        let door = self.doors[door].borrow().clone()?;
        self.questions += 1;
        let (question, uid) = (self.questions, program.pod_uid.clone());
        let body: Value = json!({ "nonce": program.nonce });
        let request = Request::post(path)
            .header(header::AUTHORIZATION, format!("Bearer {}", program.token))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body.to_string())))
            .ok()?;
        let asked = What::Asked { question, path: path.to_owned(), pod_uid: Some(uid.clone()) };
        self.recorder.note((self.clock)(), asked);
        let code = door.answer(PEER, request).await.ok()?.status().as_u16();
        self.recorder.note((self.clock)(), What::Answered { question, code });
        self.trace.count(&format!("program {path} {code}"));
        self.trace.say((self.clock)(), "program", &format!("{path} of {uid} -> {code}"));
        Some(code)
    }
}
