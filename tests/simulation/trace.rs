//! What happened, readable, and the same to the byte for the same seed.

use std::{
    collections::BTreeMap,
    fmt::Write,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;
use serde_json::Value;
use test_apiserver::{ApiServer, Happening, Observed};

/// Clones write the same trace.
#[derive(Clone, Default)]
pub struct Trace(Arc<Mutex<Written>>);

#[derive(Default)]
struct Written {
    lines: String,
    counts: BTreeMap<String, usize>,
}

impl Trace {
    fn written(&self) -> MutexGuard<'_, Written> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes down all that `server` does.
    pub fn observe(&self, server: &ApiServer) {
        let trace = self.clone();
        server.observe(move |observed| trace.observed(observed));
    }

    fn observed(&self, observed: &Observed) {
        let Observed { at, client, what } = observed;
        let who = client.as_deref().unwrap_or("cluster");
        match what {
            Happening::Called { .. } => {}
            Happening::Answered { request, .. } if !request.verb.is_write() => {}
            Happening::Answered { call, request } => {
                let name = named(&request.kind, request.name.as_deref().unwrap_or_default());
                let part = request.subresource.as_deref().unwrap_or_default();
                let code = request.code.unwrap_or_default();
                self.say(
                    *at,
                    who,
                    &format!("{:?} {} {name} {part} #{call} -> {code}", request.verb, request.kind),
                );
            }
            Happening::Changed { kind, before, after, revision } => {
                let object = after.as_ref().or(before.as_ref()).map_or(&Value::Null, |object| &**object);
                let name = named(kind, text(object, "/metadata/name"));
                let verb = match (before, after) {
                    (None, _) => "new",
                    (_, None) => "gone",
                    _ => "changed",
                };
                self.say(*at, who, &format!("  {verb} {kind} {name} @{revision}{}", self.told(kind, object)));
            }
        }
    }

    /// What is worth telling of an object.
    fn told(&self, kind: &str, object: &Value) -> String {
        let mut told = String::new();
        if !text(object, "/metadata/deletionTimestamp").is_empty() {
            told += " deleting";
        }
        match kind {
            "Pod" => {
                let _ = write!(told, " {} {}", text(object, "/metadata/uid"), text(object, "/status/phase"));
            }
            "Workspace" => {
                let number = object.pointer("/status/incarnation/number").and_then(Value::as_i64);
                let _ = write!(told, " start {}", number.unwrap_or_default());
                let conditions = object.pointer("/status/conditions").and_then(Value::as_array);
                for condition in conditions.into_iter().flatten() {
                    let (type_, reason) = (text(condition, "/type"), text(condition, "/reason"));
                    self.count(&format!("reason {type_}/{reason}"));
                    let _ = write!(told, " {type_}={}/{reason}", text(condition, "/status"));
                }
            }
            _ => {}
        }
        told
    }

    /// One line.
    pub fn say(&self, at: Timestamp, who: &str, what: &str) {
        let _ = writeln!(self.written().lines, "{at} {who:<10} {what}");
    }

    /// Something happened that is to be counted.
    pub fn count(&self, what: &str) {
        *self.written().counts.entry(what.to_owned()).or_default() += 1;
    }

    /// All lines.
    pub fn lines(&self) -> String {
        self.written().lines.clone()
    }

    /// How often what happened.
    pub fn counts(&self) -> BTreeMap<String, usize> {
        self.written().counts.clone()
    }
}

/// kube names Events by the wall clock.
fn named<'a>(kind: &str, name: &'a str) -> &'a str {
    if kind == "Event" { name.rsplit_once('.').map_or(name, |(about, _)| about) } else { name }
}

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}
