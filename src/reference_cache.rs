//! Which workspaces refer to which Secrets and `ConfigMaps`, and the hashes of their data as far as they are known
//! to be fresh. The data itself is never kept.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Mutex,
};

use crate::{
    lock::lock,
    references::{Content, Source},
};

/// A referenced object, anywhere.
type Key = (String, Source);

/// The cache.
#[derive(Default)]
pub struct ReferenceCache {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    entries: HashMap<Key, Entry>,
    /// What each workspace (namespace, name) refers to.
    users: HashMap<(String, String), BTreeSet<Source>>,
}

#[derive(Default)]
struct Entry {
    users: BTreeSet<String>,
    /// The newest version the watch told of; what was read before is stale.
    newest: u64,
    content: Option<(u64, Content)>,
}

impl ReferenceCache {
    /// Notes that `workspace` refers to `sources` and to nothing else. To be called before reading, so that a
    /// change in between is not missed.
    pub fn register(&self, namespace: &str, workspace: &str, sources: BTreeSet<Source>) {
        let mut inner = lock(&self.inner);
        let user = (namespace.to_owned(), workspace.to_owned());
        let before = if sources.is_empty() {
            inner.users.remove(&user)
        } else {
            inner.users.insert(user, sources.clone())
        };
        for source in before.unwrap_or_default().difference(&sources) {
            let key = (namespace.to_owned(), source.clone());
            if let Some(entry) = inner.entries.get_mut(&key) {
                entry.users.remove(workspace);
                if entry.users.is_empty() {
                    inner.entries.remove(&key);
                }
            }
        }
        for source in sources {
            inner
                .entries
                .entry((namespace.to_owned(), source))
                .or_default()
                .users
                .insert(workspace.to_owned());
        }
    }

    /// The watch told of `version` of an object: what is known of it is stale. Answers with the workspaces that
    /// refer to it.
    pub fn changed(&self, namespace: &str, source: &Source, version: u64) -> Vec<String> {
        let mut inner = lock(&self.inner);
        match inner.entries.get_mut(&(namespace.to_owned(), source.clone())) {
            Some(entry) => {
                entry.newest = entry.newest.max(version);
                entry.users.iter().cloned().collect()
            }
            None => Vec::new(),
        }
    }

    /// What is known to be fresh, or the newest version told of, from which on it has to be read.
    pub fn get(&self, namespace: &str, source: &Source) -> Result<Content, u64> {
        let inner = lock(&self.inner);
        let Some(entry) = inner.entries.get(&(namespace.to_owned(), source.clone())) else { return Err(0) };
        match &entry.content {
            // That something is missing is asked anew each time: the watch that would tell may be forbidden.
            Some((version, content @ Content::Present { .. })) if *version >= entry.newest => {
                Ok(content.clone())
            }
            _ => Err(entry.newest),
        }
    }

    /// Takes nothing for fresh any more: a net under a watch that is forbidden or lost an event.
    pub fn expire(&self) {
        for entry in lock(&self.inner).entries.values_mut() {
            entry.content = None;
        }
    }

    /// Keeps what was read at `version`. A missing object has none: it counts as read at the version that
    /// [`get`](Self::get) answered with before, since its creation may have been told of while it was read.
    pub fn put(&self, namespace: &str, source: &Source, version: u64, content: Content) {
        let mut inner = lock(&self.inner);
        if let Some(entry) = inner.entries.get_mut(&(namespace.to_owned(), source.clone())) {
            entry.content = Some((version, content));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::references::SourceKind;

    fn source() -> Source {
        Source { kind: SourceKind::Secret, name: "s".into() }
    }

    fn present() -> Content {
        Content::Present { data: BTreeMap::new(), labels: BTreeMap::new() }
    }

    #[test]
    fn what_changed_since_it_was_read_is_read_again() {
        let cache = ReferenceCache::default();
        cache.register("ns", "x", [source()].into());
        cache.put("ns", &source(), 5, present());
        assert_eq!(cache.get("ns", &source()), Ok(present()));
        assert_eq!(cache.changed("ns", &source(), 6), ["x"]);
        assert_eq!(cache.get("ns", &source()), Err(6));
    }

    #[test]
    fn a_read_that_was_overtaken_by_a_change_is_not_kept() {
        let cache = ReferenceCache::default();
        cache.register("ns", "x", [source()].into());
        cache.changed("ns", &source(), 7);
        cache.put("ns", &source(), 6, present());
        assert_eq!(cache.get("ns", &source()), Err(7));
    }

    #[test]
    fn an_absence_that_was_overtaken_by_a_creation_is_not_kept() {
        let cache = ReferenceCache::default();
        cache.register("ns", "x", [source()].into());
        let before = cache.get("ns", &source()).unwrap_err();
        cache.changed("ns", &source(), 7);
        cache.put("ns", &source(), before, Content::Missing);
        assert_eq!(cache.get("ns", &source()), Err(7));
    }

    #[test]
    fn who_no_longer_refers_is_no_longer_told() {
        let cache = ReferenceCache::default();
        cache.register("ns", "x", [source()].into());
        cache.register("ns", "x", BTreeSet::new());
        assert!(cache.changed("ns", &source(), 1).is_empty());
    }
}
