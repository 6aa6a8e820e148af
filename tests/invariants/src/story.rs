//! Short histories, written by hand.

use std::{collections::BTreeMap, sync::Arc};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use test_apiserver::{Verb, recorder::Request};

use crate::{Change, Event, History, Invariant, What, check};

/// Builds a history, one second after the other.
#[derive(Default)]
pub(crate) struct Story {
    history: History,
    objects: BTreeMap<(String, String), Arc<Value>>,
    seconds: i64,
    calls: u64,
}

/// The time that many seconds after the beginning.
pub(crate) fn second(seconds: i64) -> Timestamp {
    "2026-01-01T12:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_secs(seconds)
}

impl Story {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn what(mut self, what: What) -> Self {
        self.seconds += 1;
        self.history.events.push(Event { at: second(self.seconds), what });
        self
    }

    /// Lets time pass.
    pub fn pass(mut self, seconds: i64) -> Self {
        self.seconds += seconds;
        self
    }

    /// Stores an object, new or in place of the one of its name.
    pub fn put(mut self, object: Value) -> Self {
        let key = |field: &str| object.pointer(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        let key = (key("/kind"), key("/metadata/name"));
        let kind = key.0.clone();
        let after = Arc::new(object);
        let before = self.objects.insert(key, Arc::clone(&after));
        let revision = self.history.events.len() as u64 + 1;
        self.what(What::Changed(Change { revision, kind, before, after: Some(after) }))
    }

    /// Changes an object as a merge patch does.
    pub fn change(self, kind: &str, name: &str, patch: Value) -> Self {
        let mut object = (*self.objects[&(kind.to_owned(), name.to_owned())]).clone();
        merge(&mut object, &patch);
        self.put(object)
    }

    /// Takes an object away.
    pub fn remove(mut self, kind: &str, name: &str) -> Self {
        let before = self.objects.remove(&(kind.to_owned(), name.to_owned()));
        let revision = self.history.events.len() as u64 + 1;
        self.what(What::Changed(Change { revision, kind: kind.to_owned(), before, after: None }))
    }

    /// An operator's successful call, and what it led to.
    pub fn by(
        self,
        operator: &str,
        verb: Verb,
        kind: &str,
        name: &str,
        led_to: impl FnOnce(Self) -> Self,
    ) -> Self {
        self.call(operator, request(verb, kind, name), 200, led_to)
    }

    /// A call with this answer, and what it led to.
    pub fn call(
        mut self,
        operator: &str,
        request: Request,
        code: u16,
        led_to: impl FnOnce(Self) -> Self,
    ) -> Self {
        self.calls += 1;
        let (call, operator) = (self.calls, operator.to_owned());
        let called = What::Called { operator: operator.clone(), call, request: request.clone() };
        let request = Request { code: Some(code), ..request };
        led_to(self.what(called)).what(What::Done { operator, call, request })
    }

    /// The operator deletes the Pod of this name.
    pub fn stops(self, name: &str) -> Self {
        self.by("operator", Verb::Delete, "Pod", name, |story| story.remove("Pod", name))
    }

    /// The operator writes into a workspace's status.
    pub fn says(self, name: &str, status: Value) -> Self {
        let request =
            Request { subresource: Some("status".into()), ..request(Verb::Update, "Workspace", name) };
        self.call("operator", request, 200, |story| {
            story.change("Workspace", name, json!({"status": status}))
        })
    }

    /// The operator claims a start, and makes its Pod, which becomes Ready.
    pub fn starts(self, name: &str, number: i64) -> Self {
        let workspace = self.objects[&("Workspace".to_owned(), name.to_owned())]["metadata"]["uid"].clone();
        let pod = pod(name, workspace.as_str().unwrap_or_default(), number);
        self.says(name, claim(number))
            .by("operator", Verb::Create, "Pod", name, |story| story.put(pod))
            .ready(name)
    }

    /// The Pod of this name becomes Ready, and the operator says so.
    pub fn ready(self, name: &str) -> Self {
        let uid = self.objects[&("Pod".to_owned(), name.to_owned())]["metadata"]["uid"].clone();
        let generation =
            self.objects[&("Workspace".to_owned(), name.to_owned())]["metadata"]["generation"].clone();
        let ready = json!({"conditions": [{"type": "Ready", "status": "True"}]});
        self.change("Pod", name, json!({"status": ready})).says(
            name,
            json!({
                "observedGeneration": generation,
                "incarnation": {"podUID": uid},
                "conditions": [
                    {"type": "Ready", "status": "True", "reason": "Running"},
                    {"type": "UpToDate", "status": "True", "reason": "UpToDate"},
                ],
            }),
        )
    }

    pub fn settled(self) -> Self {
        self.what(What::Settled)
    }

    /// The invariants that this history breaks, each once.
    pub fn broken(self) -> Vec<Invariant> {
        let mut broken: Vec<_> =
            check(&self.history).into_iter().map(|violation| violation.invariant).collect();
        broken.sort();
        broken.dedup();
        broken
    }
}

/// A request before its answer.
pub(crate) fn request(verb: Verb, kind: &str, name: &str) -> Request {
    Request {
        verb,
        kind: kind.to_owned(),
        namespace: Some("ns".to_owned()),
        name: Some(name.to_owned()),
        subresource: None,
        dry_run: false,
        is_probe: false,
        code: None,
    }
}

/// A workspace whose UID is `NAME-uid`.
pub(crate) fn workspace(name: &str, spec: Value) -> Value {
    json!({
        "apiVersion": "workspaces.dev/v1alpha1",
        "kind": "Workspace",
        "metadata": {"name": name, "namespace": "ns", "uid": format!("{name}-uid"), "generation": 1},
        "spec": spec,
    })
}

/// Who owns what a workspace has.
pub(crate) fn owner(name: &str, uid: &str) -> Value {
    json!([{"apiVersion": "workspaces.dev/v1alpha1", "kind": "Workspace", "name": name, "uid": uid}])
}

/// Any child of the workspace of this name.
pub(crate) fn child(kind: &str, name: &str) -> Value {
    let owner = owner(name, &format!("{name}-uid"));
    json!({
        "kind": kind,
        "metadata": {
            "name": name,
            "namespace": "ns",
            "uid": format!("{kind}-{name}-uid"),
            "ownerReferences": owner,
            "labels": {"workspaces.dev/workspace": name, "app.kubernetes.io/managed-by": "workspace-operator"},
        },
    })
}

/// The Pod of a start, whose UID is `NAME-pod-NUMBER`.
pub(crate) fn pod(name: &str, workspace: &str, number: i64) -> Value {
    json!({
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": "ns",
            "uid": format!("{name}-pod-{number}"),
            "ownerReferences": owner(name, workspace),
            "labels": {"workspaces.dev/workspace": name, "workspaces.dev/incarnation": number.to_string()},
            "annotations": {"workspaces.dev/claim": json!({"number": number}).to_string()},
        },
        "spec": {"containers": [{"name": "main", "image": "a"}]},
    })
}

/// The status that claims a start.
pub(crate) fn claim(number: i64) -> Value {
    json!({
        "incarnation": {"number": number, "podUID": null, "startTime": second(number)},
        "lastStop": null,
        "conditions": [{"type": "Ready", "status": "False", "reason": "AwaitingReadiness"}],
    })
}

fn merge(object: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else {
        *object = patch.clone();
        return;
    };
    if !object.is_object() {
        *object = json!({});
    }
    for (key, value) in fields {
        if value.is_null() {
            if let Some(object) = object.as_object_mut() {
                object.remove(key);
            }
        } else {
            merge(&mut object[key], value);
        }
    }
}
