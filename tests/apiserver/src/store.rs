//! The objects, their history, and who is told of a change.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use serde_json::{Value, json};

use crate::{
    failure::{self, Failure},
    kind::Kind,
    object::{self, Key},
    patch::ownership::Owners,
};

/// A stored object, with who owns which of its fields.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub object: Arc<Value>,
    pub owners: Owners,
}

/// One change of one object. There is exactly one to each resourceVersion.
#[derive(Debug)]
pub(crate) struct Change {
    pub kind: &'static Kind,
    pub before: Option<Arc<Value>>,
    pub after: Option<Arc<Value>>,
    /// The object as it was deleted, with the resourceVersion of its deletion.
    pub removed: Option<Arc<Value>>,
}

type Objects = BTreeMap<Key, Record>;

/// Everything that etcd would hold.
#[derive(Debug, Default)]
pub(crate) struct Store {
    objects: BTreeMap<&'static Kind, Objects>,
    by_uid: HashMap<String, (&'static Kind, Key)>,
    history: Vec<Change>,
    /// Changes up to here are forgotten.
    forgotten: u64,
    /// What changed since the simulated controllers looked.
    pub touched: BTreeSet<(&'static Kind, Key)>,
    /// Whether an owner went away since the garbage collector looked.
    pub is_littered: bool,
}

impl Store {
    /// The newest resourceVersion. The first is 1, as of an empty server.
    pub fn revision(&self) -> u64 {
        1 + self.forgotten_base() + self.history.len() as u64
    }

    fn forgotten_base(&self) -> u64 {
        self.forgotten.saturating_sub(1)
    }

    /// The oldest resourceVersion a watch can start from.
    pub fn oldest(&self) -> u64 {
        self.forgotten.max(1)
    }

    /// Forgets all changes up to now, as etcd's compaction does.
    pub fn forget_history(&mut self) {
        self.forgotten = self.revision();
        self.history.clear();
    }

    /// The change that made this resourceVersion; none for one that is still to come.
    pub fn change(&self, revision: u64) -> Result<Option<&Change>, Failure> {
        let Some(position) = revision.checked_sub(2 + self.forgotten_base()) else {
            return Err(failure::expired(revision, self.oldest()));
        };
        Ok(usize::try_from(position).ok().and_then(|position| self.history.get(position)))
    }

    pub fn record(&self, kind: &'static Kind, key: &Key) -> Option<&Record> {
        self.objects.get(kind)?.get(key)
    }

    pub fn get(&self, kind: &'static Kind, key: &Key) -> Option<&Arc<Value>> {
        Some(&self.record(kind, key)?.object)
    }

    /// The objects of a kind, by namespace and name, within a namespace if one is named.
    pub fn list(&self, kind: &'static Kind, namespace: Option<&str>) -> impl Iterator<Item = &Arc<Value>> {
        let first = Key::new(namespace.unwrap_or_default(), "");
        self.objects
            .get(kind)
            .into_iter()
            .flat_map(move |objects| objects.range(first.clone()..))
            .take_while(move |(key, _)| namespace.is_none_or(|namespace| key.namespace == namespace))
            .map(|(_, record)| &record.object)
    }

    /// Every object of every kind.
    pub fn all(&self) -> impl Iterator<Item = (&'static Kind, &Key, &Arc<Value>)> {
        let of_kind = |(kind, objects): (&&'static Kind, _)| (*kind, objects);
        self.objects
            .iter()
            .map(of_kind)
            .flat_map(|(kind, objects)| objects.iter().map(move |(key, record)| (kind, key, &record.object)))
    }

    pub fn by_uid(&self, uid: &str) -> Option<(&'static Kind, &Arc<Value>)> {
        let (kind, key) = self.by_uid.get(uid)?;
        Some((*kind, self.get(kind, key)?))
    }

    /// Stores an object, new or changed, under the next resourceVersion.
    pub fn put(&mut self, kind: &'static Kind, mut object: Value, owners: Owners) -> Arc<Value> {
        object::set_metadata(&mut object, "resourceVersion", Some(json!((self.revision() + 1).to_string())));
        let key = object::key(&object);
        let after = Arc::new(object);
        let record = Record { object: Arc::clone(&after), owners };
        let before = self.objects.entry(kind).or_default().insert(key.clone(), record).map(|old| old.object);
        self.by_uid.insert(object::uid(&after).to_owned(), (kind, key.clone()));
        self.is_littered |= self.has_litter(before.as_deref(), &after);
        self.touched.insert((kind, key));
        self.history.push(Change { kind, before, after: Some(Arc::clone(&after)), removed: None });
        after
    }

    /// Takes an object away; `last` is how it looked at the end.
    pub fn remove(&mut self, kind: &'static Kind, key: &Key, mut last: Value) -> Arc<Value> {
        object::set_metadata(&mut last, "resourceVersion", Some(json!((self.revision() + 1).to_string())));
        let before = self.objects.get_mut(kind).and_then(|objects| objects.remove(key)).map(|old| old.object);
        self.by_uid.remove(object::uid(&last));
        self.is_littered = true;
        self.touched.insert((kind, key.clone()));
        let removed = Arc::new(last);
        self.history.push(Change { kind, before, after: None, removed: Some(Arc::clone(&removed)) });
        removed
    }

    /// Whether the owner that `dependent` names is there. One in a namespace counts within it only.
    pub fn has_owner(&self, dependent: &Value, owner: &Value) -> bool {
        self.by_uid(object::text(owner, "/uid")).is_some_and(|(kind, found)| {
            kind.kind == object::text(owner, "/kind")
                && object::name(found) == object::text(owner, "/name")
                && (!kind.is_namespaced() || object::namespace(found) == object::namespace(dependent))
        })
    }

    /// Whether this write gives the garbage collector work. It looks at everything then, so not each write may.
    fn has_litter(&self, before: Option<&Value>, after: &Value) -> bool {
        let owners = object::owners(after);
        let is_new = before.is_none_or(|before| object::owners(before) != owners);
        // A dependent can be written after its owner went away; so can the wish to delete in the foreground.
        is_new && owners.iter().any(|owner| !self.has_owner(after, owner)) || object::is_deleting(after)
    }

    /// Lets the controllers look at these objects again.
    pub fn touch(&mut self, kind: &'static Kind, namespace: Option<&str>) {
        let keys: Vec<Key> = self.list(kind, namespace).map(|object| object::key(object)).collect();
        self.touched.extend(keys.into_iter().map(|key| (kind, key)));
    }
}
