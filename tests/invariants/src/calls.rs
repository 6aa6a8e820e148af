//! Whose doing a change is.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use test_apiserver::{Verb, recorder::Request};

use crate::{Event, History, What, history::Change, object::Object};

/// The calls that are under way. A recorder may see the end of a call a little late, so each accounts for one change only.
#[derive(Debug)]
pub(crate) struct Calls<'a> {
    codes: HashMap<u64, u16>,
    open: BTreeMap<u64, (&'a str, &'a Request)>,
    pub operators: BTreeSet<&'a str>,
    /// Whose doing the newest event is.
    behind: Option<&'a str>,
}

impl<'a> Calls<'a> {
    /// Before the first of them.
    pub fn of(history: &History) -> Self {
        let code = |event: &Event| match &event.what {
            What::Done { call, request, .. } => Some((*call, request.code?)),
            _ => None,
        };
        let codes = history.events.iter().filter_map(code).collect();
        Self { codes, open: BTreeMap::new(), operators: BTreeSet::new(), behind: None }
    }

    /// Goes on by one event.
    pub fn note(&mut self, event: &'a Event) {
        self.behind = None;
        match &event.what {
            What::Called { operator, call, request } => {
                self.operators.insert(operator);
                let is_change = request.verb.is_write() && !request.dry_run;
                // One without an answer may have been done.
                if is_change && self.codes.get(call).is_none_or(|code| (200..300).contains(code)) {
                    self.open.insert(*call, (operator, request));
                }
            }
            What::Done { call, .. } => drop(self.open.remove(call)),
            What::Changed(change) => {
                let found = self.open.iter().find(|(_, (_, request))| is_answer_to(change, request));
                let call = found.map(|(call, _)| *call);
                self.behind = call.and_then(|call| self.open.remove(&call)).map(|(operator, _)| operator);
            }
            _ => {}
        }
    }

    /// The operator whose successful call led to the change that was noted; none where it is somebody else's doing.
    pub fn behind(&self) -> Option<&'a str> {
        self.behind
    }
}

fn is_answer_to(change: &Change, request: &Request) -> bool {
    let Some(object) = change.object() else { return false };
    let is_marked = change.before().is_some_and(|before| !before.is_deleting())
        && change.after().is_some_and(Object::is_deleting);
    let ends = change.after.is_none() || is_marked;
    let is_deletion = matches!(request.verb, Verb::Delete | Verb::DeleteCollection);
    let is_creation = request.verb == Verb::Create;
    request.kind == change.kind
        && request.namespace.as_deref().unwrap_or_default() == object.namespace()
        && request.name.as_deref().is_none_or(|name| is_name_of(name, object.name()))
        && is_deletion == ends
        && (is_creation == change.before.is_none() || request.verb == Verb::Apply)
}

/// A name, or the beginning of one that the server completed.
fn is_name_of(asked: &str, name: &str) -> bool {
    asked == name || asked.ends_with('-') && name.starts_with(asked)
}
