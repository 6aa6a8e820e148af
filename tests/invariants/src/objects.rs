//! The objects that exist at one moment of a history.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{
    Event, History, What,
    history::Change,
    object::{Object, Start, Workspace},
};

type Key<'a> = (&'a str, &'a str, &'a str);

/// What exists, by kind, namespace and name.
#[derive(Debug, Default)]
pub(crate) struct Objects<'a>(BTreeMap<Key<'a>, &'a Value>);

impl<'a> Objects<'a> {
    pub fn apply(&mut self, change: &'a Change) {
        let Some(object) = change.object() else { return };
        let key = (change.kind.as_str(), object.namespace(), object.name());
        match &change.after {
            Some(after) => self.0.insert(key, after),
            None => self.0.remove(&key),
        };
    }

    pub fn get(&self, kind: &str, namespace: &str, name: &str) -> Option<Object<'a>> {
        self.0.get(&(kind, namespace, name)).map(|object| Object(object))
    }

    pub fn of_kind(&self, kind: &'a str) -> impl Iterator<Item = Object<'a>> + use<'a, '_> {
        let of_kind = self.0.range((kind, "", "")..).take_while(move |((own, ..), _)| *own == kind);
        of_kind.map(|(_, object)| Object(object))
    }

    pub fn workspaces(&self) -> impl Iterator<Item = Workspace<'a>> + use<'a, '_> {
        self.of_kind("Workspace").map(Workspace)
    }

    /// The workspace of that name, if it is this very one.
    pub fn workspace(&self, namespace: &str, name: &str, uid: &str) -> Option<Workspace<'a>> {
        self.get("Workspace", namespace, name).filter(|found| found.uid() == uid).map(Workspace)
    }

    /// Every incarnation there is.
    pub fn starts(&self) -> impl Iterator<Item = Start<'a>> + use<'a, '_> {
        ["Pod", "Secret"]
            .into_iter()
            .flat_map(move |kind| self.of_kind(kind).filter_map(move |object| Start::of(kind, object)))
    }

    /// The incarnations of this workspace that exist.
    pub fn starts_of(&self, workspace: Workspace<'a>) -> Vec<Start<'a>> {
        self.starts().filter(|start| start.workspace_uid() == workspace.uid()).collect()
    }

    /// Whether somebody wants this workspace to have no Pod.
    pub fn is_suspended(&self, workspace: Workspace<'a>) -> bool {
        let namespace = self.get("Namespace", "", workspace.namespace());
        workspace.is_suspended() || namespace.is_some_and(Object::is_held)
    }
}

impl History {
    /// Shows each event, with the objects there are before it.
    pub(crate) fn walk<'a>(&'a self, mut look: impl FnMut(&Objects<'a>, &'a Event)) {
        let mut objects = Objects::default();
        for event in &self.events {
            look(&objects, event);
            if let What::Changed(change) = &event.what {
                objects.apply(change);
            }
        }
    }

    /// Shows what there is whenever all has come to rest.
    pub(crate) fn at_rest<'a>(&'a self, mut look: impl FnMut(&Objects<'a>, &'a Event)) {
        self.walk(|objects, event| {
            if matches!(event.what, What::Settled) {
                look(objects, event);
            }
        });
    }
}

impl Change {
    /// The object that changed, as it is or was.
    pub(crate) fn object(&self) -> Option<Object<'_>> {
        self.after.as_deref().or(self.before.as_deref()).map(Object)
    }

    pub(crate) fn before(&self) -> Option<Object<'_>> {
        self.before.as_deref().map(Object)
    }

    pub(crate) fn after(&self) -> Option<Object<'_>> {
        self.after.as_deref().map(Object)
    }

    /// A workspace's status: how it was, where it was, and how it is.
    pub(crate) fn of_workspace(&self) -> Option<(Option<Workspace<'_>>, Workspace<'_>)> {
        let after = self.after().filter(|_| self.kind == "Workspace")?;
        Some((self.before().map(Workspace), Workspace(after)))
    }

    /// The claim that this change is: another number, or the same one written anew.
    pub(crate) fn claim(&self) -> Option<(Option<Workspace<'_>>, Workspace<'_>)> {
        let (before, after) = self.of_workspace()?;
        let number = after.number()?;
        let start_time =
            |workspace: Workspace<'_>| workspace.0.text("/status/incarnation/startTime").to_owned();
        let is_same = before
            .is_some_and(|before| before.number() == Some(number) && start_time(before) == start_time(after));
        (!is_same).then_some((before, after))
    }

    /// The incarnation that is made by this change.
    pub(crate) fn started(&self) -> Option<Start<'_>> {
        if self.before.is_some() {
            return None;
        }
        Start::of(&self.kind, self.after()?)
    }

    /// The incarnation whose end begins with this change: it is marked, or gone without a mark.
    pub(crate) fn ended(&self) -> Option<Start<'_>> {
        let before = Start::of(&self.kind, self.before()?)?;
        let ends = self.after().is_none_or(Object::is_deleting);
        (ends && !before.object.is_deleting()).then_some(before)
    }
}
