//! The rollout gates of this process: an index over the cached workspaces, the places that are promised and not
//! yet written, and who is woken when a place comes free.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    ops::Bound,
    sync::{Arc, Mutex},
    time::Duration,
};

use kube::{
    Resource, ResourceExt,
    core::DeserializeGuard,
    runtime::reflector::{ObjectRef, Store},
};
use tokio::sync::Notify;

use crate::{
    api::{Workspace, WorkspaceClass},
    lock::lock,
    protection::Protection,
    resolve::class,
    rollout::{Asker, Census, Closed, Failure, Standing, Width, judge},
    waker::Waker,
};

type Classes = Store<DeserializeGuard<WorkspaceClass>>;
type Name = (String, String);

/// How long a written place may take to come back through the watch.
const PATIENCE: Duration = Duration::from_secs(10);

/// The gates of all classes.
pub struct Gates {
    index: Mutex<Index>,
    classes: Classes,
    waker: Waker,
    seen: Notify,
    changed: Arc<Notify>,
}

/// Every cached workspace by the class its spec names.
#[derive(Default)]
struct Index {
    buckets: HashMap<Option<String>, Bucket>,
    bucket_of: HashMap<String, Option<String>>,
    /// Places promised, by UID, with the class that was meant.
    promised: HashMap<String, Option<String>>,
    /// Those whose passes fail and wait by their own clocks: a wake would be lost on them.
    resting: HashSet<String>,
}

#[derive(Default)]
struct Bucket {
    members: HashMap<String, Member>,
    places: HashSet<String>,
    failed: HashSet<String>,
    /// By name, so that whoever was woken last is known, and the next in line comes next.
    waiting: BTreeMap<Name, String>,
    running: usize,
    cursor: Option<Name>,
}

struct Member {
    name: Name,
    version: u64,
    standing: Standing,
}

/// What a class's status tells of its workspaces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    pub workspaces: usize,
    pub up_to_date: usize,
    pub rolling: usize,
    pub waiting: usize,
    pub failed: usize,
    /// One of those that failed, with its name: the first.
    pub failure: Option<String>,
    pub closed: Option<Closed>,
}

impl Gates {
    /// Gates for the classes in the cache. `changed` is told of every change that a class's status may tell.
    pub fn new(classes: Classes, waker: Waker) -> Self {
        Self { index: Mutex::default(), classes, waker, seen: Notify::new(), changed: Arc::default() }
    }

    /// Told whenever something changed that a class's status may tell.
    pub fn changed(&self) -> Arc<Notify> {
        Arc::clone(&self.changed)
    }

    /// Takes note of `workspace` as the cache has it now.
    pub fn note(&self, workspace: &Workspace) {
        let uid = workspace.uid().unwrap_or_default();
        let member = Member {
            name: (workspace.namespace().unwrap_or_default(), workspace.name_any()),
            version: workspace.resource_version().and_then(|version| version.parse().ok()).unwrap_or(0),
            standing: Standing::of(workspace),
        };
        let class = workspace.spec.class_name.clone();
        let mut index = lock(&self.index);
        let class_before = index.bucket_of.get(&uid).cloned();
        let before = index.remove(&uid);
        if member.standing.has_place {
            index.promised.remove(&uid);
        }
        let is_news = before.as_ref().is_none_or(|before| before.standing != member.standing);
        let frees = before.as_ref().is_some_and(|before| {
            (before.standing.has_place && !member.standing.has_place)
                || (before.standing.failure.is_some() && member.standing.failure.is_none())
                // It may have been woken for a place that it does not need any more.
                || (before.standing.is_waiting && !member.standing.is_waiting && !member.standing.has_place)
                // Shares of all that run became larger.
                || (!before.standing.is_running && member.standing.is_running)
        });
        // A place may have come free between its asking and its waiting.
        let joins = member.standing.is_waiting && before.is_none_or(|before| !before.standing.is_waiting);
        index.add(uid, class.clone(), member);
        if frees || joins {
            self.wake_waiting(&mut index, class.as_ref());
        }
        // What it took of its former class it takes no more.
        if let Some(left) = class_before.filter(|before| *before != class) {
            self.wake_waiting(&mut index, left.as_ref());
        }
        drop(index);
        self.seen.notify_waiters();
        if is_news {
            self.changed.notify_one();
        }
    }

    /// The workspace with this UID is gone.
    pub fn forget(&self, uid: &str) {
        let mut index = lock(&self.index);
        let class = index.bucket_of.get(uid).cloned();
        index.resting.remove(uid);
        let was_promised = index.promised.remove(uid).is_some();
        let takes = |member: Member| {
            let Standing { has_place, is_waiting, failure, .. } = member.standing;
            has_place || is_waiting || failure.is_some()
        };
        if (index.remove(uid).is_some_and(takes) || was_promised)
            && let Some(class) = class
        {
            self.wake_waiting(&mut index, class.as_ref());
        }
        drop(index);
        self.changed.notify_one();
    }

    /// After a new list: whoever is not in it is gone.
    pub fn retain(&self, present: &HashSet<String>) {
        let gone: Vec<String> =
            lock(&self.index).bucket_of.keys().filter(|uid| !present.contains(*uid)).cloned().collect();
        for uid in gone {
            self.forget(&uid);
        }
    }

    /// Asks for a place for the workspace `uid` of `class`, and promises it where there is one.
    pub fn ask(&self, uid: &str, class: Option<&str>, asker: Asker) -> Result<(), Closed> {
        let mut index = lock(&self.index);
        let gate = self.gate(class);
        let census = index.census(&gate, Some(uid));
        judge(&census, gate.width(&census), asker)?;
        // Nobody would give back what was promised to one that is gone.
        if asker != Asker::Down && index.bucket_of.contains_key(uid) {
            index.promised.insert(uid.to_owned(), class.map(str::to_owned));
        }
        Ok(())
    }

    /// Whether the place that `uid` wrote at `version` is one of those there are. Two operators may have promised
    /// the last place at a time. Watch events come in the order of the writes: once our own is seen, so is every
    /// earlier one, and of several writers the last one to have written finds too many. None means that our own
    /// write was not seen in time.
    pub async fn confirm(&self, uid: &str, class: Option<&str>, version: u64) -> Option<bool> {
        let confirmed = async {
            loop {
                let seen = self.seen.notified();
                if let Some(is_place) = self.confirmed(uid, class, version) {
                    return is_place;
                }
                seen.await;
            }
        };
        tokio::time::timeout(PATIENCE, confirmed).await.ok()
    }

    fn confirmed(&self, uid: &str, class: Option<&str>, version: u64) -> Option<bool> {
        let index = lock(&self.index);
        let bucket = index.buckets.get(index.bucket_of.get(uid)?)?;
        if bucket.members.get(uid)?.version < version {
            return None;
        }
        let gate = self.gate(class);
        let mut census = index.census(&gate, None);
        // Promises are of this process, which keeps count of them.
        census.places = gate.buckets(&index).map(|bucket| bucket.places.len()).sum();
        Some(census.places <= gate.width(&census).max_unavailable || !Protection::RolloutGate.holds())
    }

    /// The workspace `uid` does not need what it was promised.
    pub fn release(&self, uid: &str) {
        let mut index = lock(&self.index);
        if let Some(class) = index.promised.remove(uid) {
            self.wake_waiting(&mut index, class.as_ref());
        }
    }

    /// The passes of the workspace `uid` fail, and it tries again by its own clock: others are woken in its place.
    pub fn rest(&self, uid: &str) {
        let mut index = lock(&self.index);
        let class = index.bucket_of.get(uid).cloned();
        if let Some(class) = class.filter(|_| index.resting.insert(uid.to_owned())) {
            self.wake_waiting(&mut index, class.as_ref());
        }
    }

    /// The workspace `uid` is looked at: it is woken in its turn again.
    pub fn attend(&self, uid: &str) {
        lock(&self.index).resting.remove(uid);
    }

    /// How far the workspaces of `class` are.
    pub fn progress(&self, class: &str) -> Progress {
        let index = lock(&self.index);
        let gate = self.gate(Some(class));
        let census = index.census(&gate, None);
        let width = gate.width(&census);
        let mut progress = Progress::default();
        let mut failures: Vec<(&Name, &Failure)> = Vec::new();
        for member in gate.buckets(&index).flat_map(|bucket| bucket.members.values()) {
            let Standing { is_running: _, is_up_to_date, has_place, is_waiting, failure } = &member.standing;
            progress.workspaces += 1;
            progress.up_to_date += usize::from(*is_up_to_date);
            progress.rolling += usize::from(*has_place);
            progress.waiting += usize::from(*is_waiting);
            failures.extend(
                failure.iter().filter(|failure| gate.counts(failure)).map(|failure| (&member.name, failure)),
            );
        }
        progress.failed = failures.len();
        let first = failures.into_iter().min_by_key(|(name, _)| *name);
        progress.failure =
            first.map(|((namespace, name), failure)| format!("{namespace}/{name}: {}", failure.message));
        if progress.waiting > 0 {
            progress.closed = judge(&census, width, Asker::Serving).err();
        }
        progress
    }

    fn gate(&self, class: Option<&str>) -> Gate {
        let found = class.and_then(|name| self.classes.get(&ObjectRef::new(name)));
        let mut keys = vec![class.map(str::to_owned)];
        if class.is_some() && self.default_class().as_deref() == class {
            keys.push(None);
        }
        Gate { keys, class: found }
    }

    fn default_class(&self) -> Option<String> {
        class::default(&self.classes.state())?.meta().name.clone()
    }

    /// Wakes as many of those that wait as could go. A woken one that does not go is passed over next time.
    fn wake_waiting(&self, index: &mut Index, class: Option<&String>) {
        // A class's gate counts both those that name it and those that have it by default.
        let gate = self.gate(class.cloned().or_else(|| self.default_class()).as_deref());
        let census = index.census(&gate, None);
        let width = gate.width(&census);
        if judge(&census, width, Asker::Serving).is_err() {
            return;
        }
        let mut free = width.max_unavailable.saturating_sub(census.places);
        for key in &gate.keys {
            let Index { buckets, resting, .. } = &mut *index;
            let Some(bucket) = buckets.get_mut(key) else { continue };
            for (namespace, name) in bucket.next_in_line(free, resting) {
                free -= 1;
                self.waker.wake(&namespace, &name);
            }
        }
    }
}

/// The parts of the index that share one gate.
struct Gate {
    keys: Vec<Option<String>>,
    class: Option<Arc<DeserializeGuard<WorkspaceClass>>>,
}

impl Gate {
    fn buckets<'a>(&'a self, index: &'a Index) -> impl Iterator<Item = &'a Bucket> {
        self.keys.iter().filter_map(|key| index.buckets.get(key))
    }

    fn class(&self) -> Option<&WorkspaceClass> {
        self.class.as_ref()?.0.as_ref().ok()
    }

    fn width(&self, census: &Census) -> Width {
        Width::of(self.class().and_then(|class| class.spec.rollout.as_ref()), census.running)
    }

    /// Whether a failure speaks against what is under way.
    fn counts(&self, failure: &Failure) -> bool {
        let generation = self.class().and_then(|class| class.metadata.generation);
        failure.generation.is_none() || failure.generation == generation
    }
}

impl Index {
    fn add(&mut self, uid: String, class: Option<String>, member: Member) {
        let bucket = self.buckets.entry(class.clone()).or_default();
        let standing = &member.standing;
        bucket.running += usize::from(standing.is_running);
        if standing.has_place {
            bucket.places.insert(uid.clone());
        }
        if standing.failure.is_some() {
            bucket.failed.insert(uid.clone());
        }
        if standing.is_waiting {
            bucket.waiting.insert(member.name.clone(), uid.clone());
        }
        bucket.members.insert(uid.clone(), member);
        self.bucket_of.insert(uid, class);
    }

    fn remove(&mut self, uid: &str) -> Option<Member> {
        let class = self.bucket_of.remove(uid)?;
        let bucket = self.buckets.get_mut(&class)?;
        let member = bucket.members.remove(uid)?;
        bucket.running -= usize::from(member.standing.is_running);
        bucket.places.remove(uid);
        bucket.failed.remove(uid);
        bucket.waiting.remove(&member.name);
        if bucket.members.is_empty() {
            self.buckets.remove(&class);
        }
        Some(member)
    }

    /// What `gate`'s workspaces amount to, in the eyes of `asking`.
    fn census(&self, gate: &Gate, asking: Option<&str>) -> Census {
        let mut census = Census::default();
        for bucket in gate.buckets(self) {
            census.running += bucket.running;
            census.places += bucket.places.iter().filter(|uid| Some(uid.as_str()) != asking).count();
            let failures =
                bucket.failed.iter().filter_map(|uid| bucket.members.get(uid)?.standing.failure.as_ref());
            census.failed += failures.filter(|failure| gate.counts(failure)).count();
        }
        let is_new = |uid: &String| !gate.buckets(self).any(|bucket| bucket.places.contains(uid));
        census.places += self
            .promised
            .iter()
            .filter(|(uid, class)| gate.keys.contains(class) && Some(uid.as_str()) != asking && is_new(uid))
            .count();
        census
    }
}

impl Bucket {
    /// The next `count` names in line, in a circle, of those that don't rest.
    fn next_in_line(&mut self, count: usize, resting: &HashSet<String>) -> Vec<Name> {
        let after = match &self.cursor {
            Some(cursor) => (Bound::Excluded(cursor.clone()), Bound::Unbounded),
            None => (Bound::Unbounded, Bound::Unbounded),
        };
        let next: Vec<Name> = self
            .waiting
            .range(after)
            .chain(self.waiting.iter())
            .take(self.waiting.len())
            .filter(|(_, uid)| !resting.contains(*uid))
            .map(|(name, _)| name.clone())
            .take(count)
            .collect();
        if let Some(last) = next.last() {
            self.cursor = Some(last.clone());
        }
        next
    }
}

#[cfg(test)]
mod tests;
