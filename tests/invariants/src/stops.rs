//! Why an operator stopped a Pod: every reason that could be seen.
//!
//! Caches are late, and a recorded stop is carried out even if its reason goes meanwhile. So all counts that was so at any
//! time since the start was claimed. What lies outside of the workspace may have been read too old at the claim: each
//! change of it accounts for a few stops of each workspace, whenever it was.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::{Value, json};
use workspace_operator::api::names;

use crate::{
    Event, History, What,
    calls::Calls,
    history::Change,
    object::{Object, Start, Workspace},
    objects::Objects,
};

/// Why a Pod may be stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reason {
    /// Its workspace goes, or is gone.
    Deleted,
    /// It is to be stopped.
    Suspended,
    /// A restart was asked for that its start does not serve.
    Restart,
    /// The workspace says something else than at the claim.
    OwnInputs,
    /// Something outside of the workspace changed.
    Outside,
    /// It ended by itself.
    Ended,
    /// A newer start was claimed.
    Overtaken,
    /// Its program is to be started anew when it falls silent.
    Silence,
    /// Its claim was made before the history began.
    Unknown,
}

/// A Pod that an operator told to end.
#[derive(Clone, Debug)]
pub(crate) struct Stop<'a> {
    pub at: Timestamp,
    pub operator: &'a str,
    pub start: Start<'a>,
    pub reasons: BTreeSet<Reason>,
}

/// What was so since a start was claimed.
#[derive(Debug)]
struct Since {
    inputs: Value,
    handled: Option<Timestamp>,
    reasons: BTreeSet<Reason>,
}

/// Goes along a history and judges its stops.
pub(crate) struct Stops<'a> {
    calls: Calls<'a>,
    /// By workspace and number.
    claims: BTreeMap<(&'a str, i64), Since>,
    /// The highest number of each workspace.
    newest: BTreeMap<&'a str, i64>,
    outside: Vec<(&'a Change, Object<'a>)>,
    /// How many stops of a workspace were put down to something outside of it.
    spent: BTreeMap<&'a str, usize>,
}

impl<'a> Stops<'a> {
    /// Before the first event.
    pub fn of(history: &History) -> Self {
        Self {
            calls: Calls::of(history),
            claims: BTreeMap::new(),
            newest: BTreeMap::new(),
            outside: Vec::new(),
            spent: BTreeMap::new(),
        }
    }

    /// Goes on by one event, with the objects there are before it.
    pub fn next(&mut self, objects: &Objects<'a>, event: &'a Event) -> Option<Stop<'a>> {
        self.calls.note(event);
        let What::Changed(change) = &event.what else { return None };
        let stop = change.ended().and_then(|start| {
            let operator = self.calls.behind()?;
            Some(Stop { at: event.at, operator, start, reasons: self.reasons(objects, start, event.at) })
        });
        self.note(objects, change, event.at);
        stop
    }

    fn note(&mut self, objects: &Objects<'a>, change: &'a Change, now: Timestamp) {
        if let Some((_, after)) = change.of_workspace() {
            if let Some(number) = after.number() {
                let newest = self.newest.entry(after.uid()).or_default();
                *newest = (*newest).max(number);
                self.claims.entry((after.uid(), number)).or_insert_with(|| {
                    let lives = objects
                        .starts()
                        .any(|start| start.workspace_uid() == after.uid() && start.number() == Some(number));
                    let reasons = if lives { [Reason::Unknown].into() } else { BTreeSet::new() };
                    Since { inputs: inputs(after), handled: after.handled(), reasons }
                });
            }
            self.look(objects, after, now);
        }
        // What was there before the first operator looked is no change.
        let is_news = change.before.is_some() || !self.calls.operators.is_empty();
        if is_news
            && is_outside(change)
            && let Some(object) = change.object()
        {
            self.outside.push((change, object));
        }
        if change.kind == "Namespace"
            && let Some(held) = change.after().filter(|after| after.is_held())
        {
            for ((uid, _), since) in &mut self.claims {
                let is_within = objects
                    .workspaces()
                    .any(|workspace| workspace.uid() == *uid && workspace.namespace() == held.name());
                if is_within {
                    since.reasons.insert(Reason::Suspended);
                }
            }
        }
    }

    /// Notes what speaks for a stop of any of its starts.
    fn look(&mut self, objects: &Objects<'a>, workspace: Workspace<'a>, now: Timestamp) {
        let range = (workspace.uid(), i64::MIN)..=(workspace.uid(), i64::MAX);
        let restart = workspace.asked(now).max(workspace.requested());
        for (_, since) in self.claims.range_mut(range) {
            if objects.is_suspended(workspace) {
                since.reasons.insert(Reason::Suspended);
            }
            if workspace.is_deleting() {
                since.reasons.insert(Reason::Deleted);
            }
            if restart > since.handled {
                since.reasons.insert(Reason::Restart);
            }
            if inputs(workspace) != since.inputs {
                since.reasons.insert(Reason::OwnInputs);
            }
        }
    }

    fn reasons(&mut self, objects: &Objects<'a>, start: Start<'a>, now: Timestamp) -> BTreeSet<Reason> {
        let uid = start.workspace_uid();
        let Some(workspace) = objects.workspace(start.object.namespace(), start.workspace_name(), uid) else {
            return [Reason::Deleted].into();
        };
        // Time alone may have made a restart due.
        self.look(objects, workspace, now);
        let number = start.number().unwrap_or_default();
        let mut reasons = match self.claims.get(&(uid, number)) {
            Some(since) => since.reasons.clone(),
            None => [Reason::Unknown].into(),
        };
        if start.has_ended() {
            reasons.insert(Reason::Ended);
        }
        if self.newest.get(uid).is_some_and(|newest| number < *newest) {
            reasons.insert(Reason::Overtaken);
        }
        if restarts_on_silence(objects, workspace) {
            reasons.insert(Reason::Silence);
        }
        if reasons.is_empty() {
            let changes = self
                .outside
                .iter()
                .filter(|(change, object)| is_about(objects, workspace, start, change, *object));
            // Two operators may undo each other once, while one of them reads what is old.
            let most = changes.count() * 2 * self.calls.operators.len().max(1);
            let spent = self.spent.entry(uid).or_default();
            if *spent < most {
                *spent += 1;
                reasons.insert(Reason::Outside);
            }
        }
        reasons
    }
}

/// What of a spec takes a new Pod. CPU and memory do where they can't be changed in place.
fn inputs(workspace: Workspace<'_>) -> Value {
    let mut spec = workspace.spec().clone();
    if let Some(spec) = spec.as_object_mut() {
        for field in
            ["runState", "restartedAt", "updateStrategy", "progressDeadlineSeconds", "idle", "service"]
        {
            spec.remove(field);
        }
        spec.retain(|_, value| !is_empty(value));
    }
    if let Some(template) = spec.get_mut("podTemplate").and_then(Value::as_object_mut) {
        template.remove("metadata");
    }
    if let Some(storage) = spec.get_mut("storage").and_then(Value::as_object_mut) {
        let exists = storage.contains_key("size");
        storage.retain(|field, _| matches!(field.as_str(), "mountPath" | "existingClaim"));
        storage.insert("exists".to_owned(), json!(exists));
    }
    spec
}

fn is_empty(value: &Value) -> bool {
    value.is_null()
        || value.as_array().is_some_and(Vec::is_empty)
        || value.as_object().is_some_and(serde_json::Map::is_empty)
}

/// Whether this changes something that workspaces refer to.
fn is_outside(change: &Change) -> bool {
    let parts: &[&str] = match change.kind.as_str() {
        "WorkspaceClass" => &["/spec", "/metadata/annotations"],
        "Secret" | "ConfigMap" => &["/data", "/stringData", "/binaryData", "/metadata/labels"],
        "Namespace" => &["/metadata/labels", "/metadata/annotations"],
        "PersistentVolumeClaim" => &["/metadata/labels"],
        _ => return false,
    };
    let (Some(before), Some(after)) = (&change.before, &change.after) else { return true };
    // A recorder that sees metadata only can't tell what of it changed.
    let is_bare = matches!(change.kind.as_str(), "Secret" | "ConfigMap") && after.get("data").is_none();
    is_bare || parts.iter().any(|part| before.pointer(part) != after.pointer(part))
}

fn is_about(
    objects: &Objects<'_>,
    workspace: Workspace<'_>,
    start: Start<'_>,
    change: &Change,
    object: Object<'_>,
) -> bool {
    let names = |text: &Value| text.to_string().contains(&format!("\"{}\"", object.name()));
    match change.kind.as_str() {
        "WorkspaceClass" => {
            let claimed = start.claim().is_some_and(|claim| claim["class"]["name"] == object.name());
            let named = workspace.spec()["className"].as_str();
            let is_default = |object: Option<Object<'_>>| {
                object.is_some_and(|object| object.annotation(names::DEFAULT_CLASS) == Some("true"))
            };
            claimed
                || named == Some(object.name())
                || named.is_none() && (is_default(change.before()) || is_default(change.after()))
        }
        "Namespace" => object.name() == workspace.namespace(),
        _ => {
            object.namespace() == workspace.namespace()
                && (names(workspace.spec())
                    || objects.of_kind("WorkspaceClass").any(|class| names(&class.0["spec"])))
        }
    }
}

fn restarts_on_silence(objects: &Objects<'_>, workspace: Workspace<'_>) -> bool {
    let says_so = |spec: &Value| spec["registration"]["onSilence"] == "Restart";
    says_so(workspace.spec())
        || objects.of_kind("WorkspaceClass").any(|class| says_so(&class.0["spec"]["defaults"]))
}
