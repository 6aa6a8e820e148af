//! Whether we lead, as everybody in the process may ask, and be woken when it changes.

use jiff::Timestamp;
use tokio::{sync::watch, time::Instant};

/// Who leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leader {
    Us,
    Other {
        identity: String,
        /// `ip:port` where it takes registrations and heartbeats.
        address: Option<String>,
    },
    Nobody,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// Never [`Leader::Us`].
    Follows(Leader),
    Leads {
        /// Tells one time of leading from another.
        term: u64,
        since: Timestamp,
        /// Nobody has to say when this is over: a process that could not run for a while knows it at once.
        until: Instant,
    },
}

/// Whether we lead. Clones are the same.
#[derive(Clone, Debug)]
pub struct Leadership(Source);

#[derive(Clone, Debug)]
enum Source {
    Always { since: Timestamp },
    Elected(watch::Receiver<State>),
}

impl Leadership {
    /// Of an operator that is the only one.
    pub fn always(since: Timestamp) -> Self {
        Self(Source::Always { since })
    }

    /// Of one that stands for election, and who tells of it: [`run`](super::run).
    pub fn elected() -> (Self, Setter) {
        let (sender, receiver) = watch::channel(State::Follows(Leader::Nobody));
        (Self(Source::Elected(receiver)), Setter { sender, terms: 0 })
    }

    /// Waits until we lead: for ever, where nobody stands for election any more.
    pub async fn acquired(&self) {
        let Source::Elected(receiver) = &self.0 else { return };
        let mut receiver = receiver.clone();
        loop {
            if term(&receiver.borrow_and_update(), Instant::now()).is_some() {
                return;
            }
            if receiver.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Completes when we stop leading, if only for a moment; at once if we do not lead when this is called.
    pub fn lost(&self) -> impl Future<Output = ()> + Send + use<> {
        let source = self.0.clone();
        let now = match &source {
            Source::Always { .. } => None,
            Source::Elected(receiver) => term(&receiver.borrow(), Instant::now()),
        };
        async move {
            match (source, now) {
                (Source::Always { .. }, _) => std::future::pending().await,
                (Source::Elected(receiver), Some((term, _))) => end_of(term, receiver).await,
                (Source::Elected(_), None) => {}
            }
        }
    }

    /// Whether we lead at this moment.
    pub fn is_leading(&self) -> bool {
        self.leader() == Leader::Us
    }

    /// When we began to lead; none while we don't.
    pub fn since(&self) -> Option<Timestamp> {
        match &self.0 {
            Source::Always { since } => Some(*since),
            Source::Elected(receiver) => match &*receiver.borrow() {
                State::Leads { since, until, .. } if Instant::now() < *until => Some(*since),
                State::Leads { .. } | State::Follows(_) => None,
            },
        }
    }

    /// Who leads, as far as we know.
    pub fn leader(&self) -> Leader {
        match &self.0 {
            Source::Always { .. } => Leader::Us,
            Source::Elected(receiver) => match &*receiver.borrow() {
                State::Leads { until, .. } if Instant::now() < *until => Leader::Us,
                State::Leads { .. } => Leader::Nobody,
                State::Follows(leader) => leader.clone(),
            },
        }
    }
}

fn term(state: &State, now: Instant) -> Option<(u64, Instant)> {
    match state {
        State::Leads { term, until, .. } if now < *until => Some((*term, *until)),
        State::Leads { .. } | State::Follows(_) => None,
    }
}

async fn end_of(ours: u64, mut receiver: watch::Receiver<State>) {
    loop {
        let until = match term(&receiver.borrow_and_update(), Instant::now()) {
            Some((term, until)) if term == ours => until,
            _ => return,
        };
        // The end is looked at again: a renewal may have come in the same moment.
        tokio::select! {
            biased;
            changed = receiver.changed() => if changed.is_err() { return },
            () = tokio::time::sleep_until(until) => {}
        }
    }
}

/// Tells a [`Leadership`] how it stands. Nobody leads once it is dropped.
#[derive(Debug)]
pub struct Setter {
    sender: watch::Sender<State>,
    terms: u64,
}

impl Setter {
    /// We lead `until` then, if nothing newer is told.
    pub fn lead(&mut self, until: Instant, now: Instant, since: Timestamp) {
        let before = match &*self.sender.borrow() {
            State::Leads { term, since, until } if now < *until => Some((*term, *since)),
            State::Leads { .. } | State::Follows(_) => None,
        };
        let (term, since) = before.unwrap_or_else(|| {
            tracing::info!("this operator leads");
            self.terms += 1;
            (self.terms, since)
        });
        self.tell(State::Leads { term, since, until });
    }

    /// Somebody else leads, or nobody.
    pub fn follow(&mut self, leader: Leader) {
        self.tell(State::Follows(leader));
    }

    fn tell(&self, state: State) {
        self.sender.send_if_modified(|before| {
            let is_new = *before != state;
            if is_new && let State::Follows(leader) = &state {
                tracing::info!(?leader, "this operator does not lead");
            }
            *before = state;
            is_new
        });
    }
}

impl Drop for Setter {
    fn drop(&mut self) {
        self.follow(Leader::Nobody);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::FutureExt;

    use super::*;

    fn lead(setter: &mut Setter, seconds: u64) {
        let now = Instant::now();
        setter.lead(now + Duration::from_secs(seconds), now, Timestamp::now());
    }

    #[tokio::test(start_paused = true)]
    async fn leading_ends_by_itself_where_nobody_renews_it() {
        let (leadership, mut setter) = Leadership::elected();
        lead(&mut setter, 10);
        let lost = leadership.lost();
        assert_eq!((leadership.leader(), leadership.since().is_some()), (Leader::Us, true));
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!((leadership.leader(), leadership.since()), (Leader::Nobody, None));
        lost.await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_renewal_is_no_loss_and_no_new_beginning() {
        let (leadership, mut setter) = Leadership::elected();
        lead(&mut setter, 10);
        let (mut lost, since) = (Box::pin(leadership.lost()), leadership.since());
        for _ in 0..5 {
            tokio::time::advance(Duration::from_secs(9)).await;
            lead(&mut setter, 10);
            assert!(lost.as_mut().now_or_never().is_none());
        }
        assert_eq!(leadership.since(), since);
    }

    #[tokio::test(start_paused = true)]
    async fn a_loss_that_was_made_good_at_once_is_a_loss() {
        let (leadership, mut setter) = Leadership::elected();
        lead(&mut setter, 10);
        let lost = leadership.lost();
        setter.follow(Leader::Nobody);
        lead(&mut setter, 10);
        assert!(lost.now_or_never().is_some());
        let lost = leadership.lost();
        tokio::time::advance(Duration::from_secs(11)).await;
        lead(&mut setter, 10);
        assert!(lost.now_or_never().is_some(), "it had run out");
        assert!(leadership.is_leading() && leadership.lost().now_or_never().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_leads_once_nobody_stands_for_election() {
        let (leadership, mut setter) = Leadership::elected();
        lead(&mut setter, 10);
        let lost = leadership.lost();
        drop(setter);
        lost.await;
        assert_eq!(leadership.leader(), Leader::Nobody);
        assert!(leadership.acquired().now_or_never().is_none());
    }
}
