//! Objects as the API server tells them, and what checks read off them.

use jiff::Timestamp;
use serde_json::Value;
use workspace_operator::api::{ConditionType, names};

/// Any object.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Object<'a>(pub &'a Value);

impl<'a> Object<'a> {
    /// A text; empty where there is none.
    pub fn text(self, pointer: &str) -> &'a str {
        self.0.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }

    pub fn number(self, pointer: &str) -> Option<i64> {
        self.0.pointer(pointer)?.as_i64()
    }

    pub fn time(self, pointer: &str) -> Option<Timestamp> {
        self.text(pointer).parse().ok()
    }

    pub fn list(self, pointer: &str) -> &'a [Value] {
        self.0.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
    }

    pub fn name(self) -> &'a str {
        self.text("/metadata/name")
    }

    pub fn namespace(self) -> &'a str {
        self.text("/metadata/namespace")
    }

    pub fn uid(self) -> &'a str {
        self.text("/metadata/uid")
    }

    pub fn is_deleting(self) -> bool {
        !self.text("/metadata/deletionTimestamp").is_empty()
    }

    pub fn label(self, key: &str) -> &'a str {
        self.0["metadata"]["labels"][key].as_str().unwrap_or_default()
    }

    pub fn annotation(self, key: &str) -> Option<&'a str> {
        self.0["metadata"]["annotations"][key].as_str()
    }

    pub fn is_held(self) -> bool {
        let annotations = self.0["metadata"]["annotations"].as_object();
        annotations.is_some_and(|all| all.keys().any(|key| key.starts_with(names::HOLD_PREFIX)))
    }

    /// The workspace that owns it.
    pub fn owner(self) -> Option<Object<'a>> {
        let is_workspace = |owner: &&Value| {
            owner["kind"] == "Workspace"
                && owner["apiVersion"].as_str().and_then(|version| version.split('/').next())
                    == Some(names::GROUP)
        };
        self.list("/metadata/ownerReferences").iter().find(is_workspace).map(Object)
    }

    /// The status and reason of a condition.
    pub fn condition(self, type_: &str) -> Option<(&'a str, &'a str)> {
        let conditions = self.list("/status/conditions");
        let found = conditions.iter().find(|condition| condition["type"] == type_).map(Object)?;
        Some((found.text("/status"), found.text("/reason")))
    }

    /// As messages name it.
    pub fn shown(self) -> String {
        format!("{}/{}", self.namespace(), self.name())
    }
}

/// A Workspace.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Workspace<'a>(pub Object<'a>);

impl<'a> Workspace<'a> {
    pub fn name(self) -> &'a str {
        self.0.name()
    }

    pub fn namespace(self) -> &'a str {
        self.0.namespace()
    }

    pub fn uid(self) -> &'a str {
        self.0.uid()
    }

    pub fn shown(self) -> String {
        self.0.shown()
    }

    pub fn is_deleting(self) -> bool {
        self.0.is_deleting()
    }

    pub fn generation(self) -> Option<i64> {
        self.0.number("/metadata/generation")
    }

    pub fn spec(self) -> &'a Value {
        &self.0.0["spec"]
    }

    /// The newest claim's number.
    pub fn number(self) -> Option<i64> {
        self.0.number("/status/incarnation/number")
    }

    /// The newest restart accepted.
    pub fn requested(self) -> Option<Timestamp> {
        self.0.time("/status/requestedRestartAt")
    }

    /// The newest restart served.
    pub fn handled(self) -> Option<Timestamp> {
        self.0.time("/status/lastHandledRestartAt")
    }

    /// The newest restart asked for that does not lie ahead of `now`.
    pub fn asked(self, now: Timestamp) -> Option<Timestamp> {
        let annotation = self.0.annotation(names::RESTARTED_AT).unwrap_or_default();
        let both = [annotation, self.0.text("/spec/restartedAt")];
        both.iter().filter_map(|text| text.trim().parse().ok()).filter(|time| *time <= now).max()
    }

    pub fn condition(self, type_: ConditionType) -> Option<(&'a str, &'a str)> {
        self.0.condition(type_.as_str())
    }

    /// Whether the condition is True.
    pub fn is(self, type_: ConditionType) -> bool {
        self.condition(type_).is_some_and(|(status, _)| status == "True")
    }

    pub fn reason(self, type_: ConditionType) -> &'a str {
        self.condition(type_).map(|(_, reason)| reason).unwrap_or_default()
    }

    /// When the condition got its status.
    pub fn since(self, type_: ConditionType) -> Option<Timestamp> {
        let conditions = self.0.list("/status/conditions");
        let found = conditions.iter().find(|condition| condition["type"] == type_.as_str())?;
        Object(found).time("/lastTransitionTime")
    }

    /// Whether it says itself that it is to have no Pod.
    pub fn is_suspended(self) -> bool {
        self.0.text("/spec/runState") == "Stopped" || self.0.is_held()
    }
}

/// One incarnation: a Pod of a workspace, or the Secret that stands for one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Start<'a> {
    pub kind: &'a str,
    pub object: Object<'a>,
    owner: Object<'a>,
}

impl<'a> Start<'a> {
    /// None for what is no incarnation, such as a Pod that only tries an image out.
    pub fn of(kind: &'a str, object: Object<'a>) -> Option<Self> {
        let owner = object.owner()?;
        let is_one = match kind {
            "Pod" => object.label(names::PROBE_FOR).is_empty(),
            "Secret" => !object.label(names::INCARNATION).is_empty(),
            _ => false,
        };
        is_one.then_some(Self { kind, object, owner })
    }

    pub fn uid(self) -> &'a str {
        self.object.uid()
    }

    pub fn workspace_uid(self) -> &'a str {
        self.owner.text("/uid")
    }

    pub fn workspace_name(self) -> &'a str {
        self.owner.text("/name")
    }

    /// What it was started for, as JSON.
    pub fn claim(self) -> Option<Value> {
        serde_json::from_str(self.object.annotation(names::CLAIM)?).ok()
    }

    /// The number it was started under.
    pub fn number(self) -> Option<i64> {
        let label = self.object.label(names::INCARNATION).parse().ok();
        label.or_else(|| self.claim()?["number"].as_i64())
    }

    /// Whether it serves, as the cluster tells.
    pub fn is_ready(self) -> bool {
        match self.kind {
            "Secret" => self.object.annotation(names::REGISTERED).is_some(),
            _ => self.object.condition("Ready").is_some_and(|(status, _)| status == "True"),
        }
    }

    /// Whether it ended for good.
    pub fn has_ended(self) -> bool {
        matches!(self.object.text("/status/phase"), "Failed" | "Succeeded")
    }

    /// Whether its program is written down as registered.
    pub fn is_registered(self) -> bool {
        match self.kind {
            "Secret" => self.is_ready(),
            _ => self.object.condition(names::REGISTERED).is_some_and(|(status, _)| status == "True"),
        }
    }

    pub fn main_container(self) -> Option<&'a Value> {
        let containers = self.object.list("/spec/containers");
        containers.iter().find(|container| container["name"] == names::MAIN_CONTAINER)
    }

    pub fn shown(self) -> String {
        let number = self.number().map_or_else(|| "?".to_owned(), |number| number.to_string());
        format!("{} {} (start {number}, {})", self.kind, self.object.shown(), self.uid())
    }
}
