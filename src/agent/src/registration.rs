//! Registers and beats, for as long as the process lives: the thread that has the conversation.

use std::{
    sync::mpsc::Sender,
    thread,
    time::{Duration, Instant},
};

use crate::{
    answer::Answer,
    client::Client,
    conversation::{Call, Conversation, Moment, Next, Urgency},
    news::{self, News},
    program::Program,
    random,
    say::{say, told},
    schedule::Jitter,
    supervisor::Event,
};

/// How often the program is looked at for news.
const LOOK: Duration = Duration::from_secs(1);

/// The operator on one side, the program on the other.
pub struct Registration {
    pub client: Client,
    pub program: Program,
    pub nonce: String,
    pub events: Sender<Event>,
}

impl Registration {
    /// Has the conversation. Returns when this incarnation is stale, or nobody listens any more.
    pub fn keep(mut self) {
        let started = Instant::now();
        let mut conversation = Conversation::new();
        let mut last_words = String::new();
        loop {
            let call = conversation.call();
            let news = self.program.look();
            let answer = self.say_to_operator(call, &news);
            let moment = Moment {
                now: started.elapsed(),
                token: self.client.token_number(),
                jitter: Jitter::new(random::bytes().map_or(u32::MAX / 2, u32::from_ne_bytes)),
            };
            // The same trouble is told once, however long it lasts.
            let words = words(call, &answer);
            if words != last_words {
                say(&words);
                last_words = words;
            }
            if let Answer::Accepted(_) = answer
                && self.events.send(Event::Registered).is_err()
            {
                return;
            }
            let (next, outcome) = conversation.hear(&answer, moment);
            conversation = next;
            match outcome {
                Next::Call { after, urgency: Urgency::None } => thread::sleep(after),
                Next::Call { after, urgency: Urgency::News } => self.wait(after, &news),
                Next::End => {
                    // Nobody left to tell: then the command has ended.
                    let _ = self.events.send(Event::Stale);
                    return;
                }
            }
        }
    }

    fn say_to_operator(&mut self, call: Call, news: &News) -> Answer {
        match news::body(call, &self.nonce, news) {
            Ok(body) => self.client.call(call, &body).unwrap_or_else(|error| Answer::failed(told(&error))),
            Err(error) => Answer::failed(told(&error)),
        }
    }

    /// Waits, but not longer than until the program begins or ends to be busy. A look comes after each sleep, so a
    /// program that can't make up its mind is told of once a second.
    fn wait(&self, pause: Duration, told: &News) {
        let until = Instant::now() + pause;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            thread::sleep(if self.program.busy_file.is_some() { left.min(LOOK) } else { left });
            if Instant::now() >= until || self.program.is_busy() != told.busy {
                return;
            }
        }
    }
}

/// What people are told of an answer.
fn words(call: Call, answer: &Answer) -> String {
    let what = match call {
        Call::Register => "register",
        Call::Heartbeat => "send a heartbeat",
    };
    match answer {
        Answer::Accepted(told) => {
            format!("registered as workspace {}, incarnation {}", told.workspace, told.incarnation)
        }
        Answer::RegisterFirst => "the operator asks to register again".to_owned(),
        Answer::Suspended => "this workspace is being stopped".to_owned(),
        Answer::Refused => "the token was refused; trying again with what its file holds".to_owned(),
        Answer::Failed { why, .. } => format!("could not {what}, trying again: {why}"),
    }
}
