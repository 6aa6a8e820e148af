//! The runs of one container: when it was started, how often, and how the run before ended.

use jiff::Timestamp;

use super::pod_status::Termination;

/// A run that is over.
#[derive(Clone, Debug)]
pub(crate) struct Ended {
    pub end: Termination,
    pub started: Timestamp,
    pub finished: Timestamp,
}

/// A container over its restarts in place.
#[derive(Clone, Debug)]
pub(crate) struct Runs {
    pub restarts: u32,
    pub started: Timestamp,
    /// The run before.
    pub last: Option<Ended>,
    /// The newest run, where it is over and the next has not begun.
    pub ended: Option<Ended>,
}

impl Runs {
    pub fn new(started: Timestamp) -> Self {
        Self { restarts: 0, started, last: None, ended: None }
    }

    /// The container ends. One that is down already is started first, so that each end counts.
    pub fn end(&mut self, end: Termination, now: Timestamp) {
        self.start_again(now);
        self.ended = Some(Ended { end, started: self.started, finished: now });
    }

    /// The container is started again, if it is down.
    pub fn start_again(&mut self, now: Timestamp) {
        if let Some(ended) = self.ended.take() {
            self.restarts += 1;
            self.started = now;
            self.last = Some(ended);
        }
    }
}
