//! Which of several operators writes: the one that holds a Lease of `coordination.k8s.io/v1`.
//!
//! - Every write of the Lease is a replacement of what was read, so of two candidates one is told that it came late.
//! - A candidate takes what it has itself seen unchanged for the whole of the lease's duration. It never compares the
//!   times in the Lease with a clock of its own: clocks differ, and only how fast they run matters here.
//! - A leader stops believing in itself earlier than that: so long after the *beginning* of the last renewal that
//!   succeeded. By the default parameters one clock may run a half faster than the other before two can lead at a time.
//! - Who ends in order gives the Lease back, and the next one takes it at once.
//!
//! What it can't exclude: a write that was sent before the end and arrives long after it. Each write of ours has a
//! precondition of its own for that. And whoever deletes the Lease while a leader lives lets a candidate that starts
//! in that very moment lead beside it, until its next renewal.

use kube::Client;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{backoff::Jitter, context::Clock};

pub mod decision;
pub mod leadership;
pub mod lease;

pub use decision::Parameters;
pub use leadership::{Leader, Leadership, Setter};

use decision::{Action, Aim, Answer, Call, Candidate, Write};
use lease::{Holder, Leases};

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

/// What to stand for.
#[derive(Clone, Debug)]
pub struct Election {
    /// Where the Lease is: the operator's own namespace.
    pub namespace: String,
    /// What it is called: [`names::OPERATOR`](crate::api::names::OPERATOR).
    pub name: String,
    /// Who we are, and nobody else is: see [`identity`].
    pub identity: String,
    /// `ip:port` where we take registrations and heartbeats, for the others to pass them on to.
    pub address: Option<String>,
    pub parameters: Parameters,
}

/// The name of one process: a Pod that restarts under its old name is another candidate.
pub fn identity(hostname: Option<&str>, random: u64) -> String {
    let hostname = hostname.unwrap_or(crate::api::names::OPERATOR);
    format!("{hostname}_{:08x}", random & 0xffff_ffff)
}

/// Stands for election, and again after a loss, until `stop` is cancelled; tells through `setter` how it stands.
///
/// `stop` says that our last write *is done*: the Lease is given back at once, and another leads within a second. So
/// who ends in order first drains its work, still leading, and cancels `stop` after that. This comes back once the
/// Lease is given back, or could not be within half the renew deadline.
pub async fn run(client: Client, election: Election, clock: Clock, setter: Setter, stop: CancellationToken) {
    let Election { namespace, name, identity, address, parameters } = election;
    let holder = Holder { identity: identity.clone(), address, duration: parameters.lease_duration() };
    let leases = Leases::new(client, &namespace, &name, holder);
    let candidate = Candidate::new(identity, parameters, Instant::now());
    let mut elector = Elector { candidate, leases, clock, setter };
    tokio::select! {
        biased;
        () = stop.cancelled() => {}
        () = elector.pursue(Aim::Lead) => {}
    }
    let leaving = elector.pursue(Aim::Leave);
    if tokio::time::timeout(parameters.call_limit(), leaving).await.is_err() {
        tracing::warn!(namespace, name, "the Lease could not be given back; it runs out by itself");
    }
}

struct Elector {
    candidate: Candidate,
    leases: Leases,
    clock: Clock,
    setter: Setter,
}

impl Elector {
    /// Does what is decided until that is nothing more. May be dropped at any time.
    async fn pursue(&mut self, aim: Aim) {
        loop {
            match self.candidate.decide(aim, Instant::now()) {
                Action::Wait(until) => tokio::time::sleep_until(until).await,
                Action::StepDown => self.candidate.step_down(),
                Action::Look => self.call(None).await,
                Action::Write(write) => self.call(Some(write)).await,
                Action::Stop => return,
            }
            self.tell();
        }
    }

    /// Reads the Lease, or writes it.
    async fn call(&mut self, write: Option<Write>) {
        let began = Instant::now();
        let limit = self.candidate.give_up_at(began);
        self.candidate.ask();
        let call = async {
            match write {
                None => self.leases.read().await,
                Some(write) => {
                    let seen = self.candidate.seen().cloned();
                    self.leases.write(write, seen, (self.clock)()).await
                }
            }
        };
        let answer = tokio::time::timeout_at(limit, call).await;
        let answer = answer.unwrap_or_else(|_| Err(self.leases.unanswered(limit - began)));
        let answer = answer.unwrap_or_else(|error| {
            tracing::warn!(error = &error as &dyn std::error::Error, "standing for election");
            Answer::Failed
        });
        let jitter = Jitter::new(rand::random_range(-1.0..=1.0));
        self.candidate.told(answer, Call { began, ended: Instant::now() }, jitter);
    }

    fn tell(&mut self) {
        let now = Instant::now();
        match self.candidate.leads_until().filter(|until| now < *until) {
            Some(until) => self.setter.lead(until, now, (self.clock)()),
            None => self.setter.follow(self.candidate.other()),
        }
    }
}
