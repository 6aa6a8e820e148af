//! A history that is being written.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use crate::{Event, History, What, cluster};

/// Writes down what happens. Clones write the same history.
#[derive(Clone, Debug, Default)]
pub struct Recorder(Arc<Mutex<Record>>);

#[derive(Debug, Default)]
struct Record {
    history: History,
    /// Whether it is told of things late, and so not in their order.
    is_late: bool,
    /// Whether nothing more is wanted.
    is_stopped: bool,
    /// Whether something of it was missed, which says nothing of what must never happen.
    is_torn: bool,
}

impl Recorder {
    /// For what is told late.
    pub(crate) fn late() -> Self {
        Self(Arc::new(Mutex::new(Record { is_late: true, ..Record::default() })))
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes something down. What the server can't tell is for its caller to tell.
    pub fn note(&self, at: Timestamp, what: What) {
        let mut record = self.record();
        if !record.is_stopped && !record.is_torn {
            record.history.events.push(Event { at, what });
        }
    }

    /// What happened so far, in its order. Nothing, where something of it was missed: it would say what is not so.
    pub fn history(&self) -> History {
        let record = self.record();
        match &*record {
            Record { is_late: true, history, .. } => cluster::in_order(history),
            Record { history, .. } => history.clone(),
        }
    }

    /// Writes nothing more down, and forgets what there is: a history of thousands takes its memory.
    pub fn stop(&self) {
        *self.record() = Record { is_stopped: true, ..Record::default() };
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.record().is_stopped
    }

    /// Something is missed from here on.
    pub(crate) fn tear(&self) {
        let mut record = self.record();
        record.history.events.clear();
        record.is_torn = true;
    }

    /// Whether something was missed that was wanted: then a history without a fault proves nothing.
    pub fn is_torn(&self) -> bool {
        let record = self.record();
        record.is_torn && !record.is_stopped
    }

    /// Forgets what happened so far.
    pub fn forget(&self) {
        self.record().history.events.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_missed_something_that_was_wanted_says_so() {
        let recorder = Recorder::late();
        recorder.note(Timestamp::UNIX_EPOCH, What::Settled);
        assert!(!recorder.is_torn() && recorder.history().events.len() == 1);
        recorder.tear();
        recorder.note(Timestamp::UNIX_EPOCH, What::Settled);
        assert!(recorder.is_torn() && recorder.history().events.is_empty());
        recorder.stop();
        assert!(!recorder.is_torn(), "nothing was wanted any more");
    }
}
