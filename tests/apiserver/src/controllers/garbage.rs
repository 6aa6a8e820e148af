//! The garbage collector.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::{
    kind::Kind,
    object::{self, Key},
    removal::{Deletion, FOREGROUND, ORPHAN},
    state::State,
    write::By,
};

type Found = (&'static Kind, Key, Arc<Value>);

impl State {
    /// One pass: deletes what has no owner any more, and finishes foreground and orphaning deletions.
    pub fn collect_garbage(&mut self) {
        let dependents: Vec<Found> = self.found(|object| !object::owners(object).is_empty());
        for (kind, key, object) in dependents {
            let missing = |owner: &&Value| !self.store.has_owner(&object, owner);
            let gone = object::owners(&object).iter().filter(missing).count();
            if gone == 0 {
                continue;
            }
            if gone == object::owners(&object).len() {
                let how = Deletion { uid: Some(object::uid(&object).to_owned()), ..Deletion::by_cluster() };
                if !object::is_deleting(&object) {
                    let _ = self.delete(kind, &key, &how);
                }
            } else {
                let living: Vec<Value> =
                    object::owners(&object).iter().filter(|owner| !missing(owner)).cloned().collect();
                self.write_metadata(kind, &key, "ownerReferences", json!(living));
            }
        }
        let is_waiting =
            |object: &Value| object::finalizers(object).iter().any(|own| own == FOREGROUND || own == ORPHAN);
        for (kind, key, object) in self.found(|object| object::is_deleting(object) && is_waiting(object)) {
            self.finish_deletion(kind, &key, &object);
        }
    }

    fn found(&self, wanted: impl Fn(&Value) -> bool) -> Vec<Found> {
        let all = self.store.all().filter(|(_, _, object)| wanted(object));
        all.map(|(kind, key, object)| (kind, key.clone(), Arc::clone(object))).collect()
    }

    fn finish_deletion(&mut self, kind: &'static Kind, key: &Key, owner: &Arc<Value>) {
        let uid = object::uid(owner);
        let refers = |reference: &Value| object::text(reference, "/uid") == uid;
        let dependents = self.found(|object| object::owners(object).iter().any(refers));
        let finalizers = object::finalizers(owner);
        if finalizers.iter().any(|own| own == ORPHAN) {
            for (kind, key, object) in dependents {
                let rest: Vec<Value> =
                    object::owners(&object).iter().filter(|reference| !refers(reference)).cloned().collect();
                self.write_metadata(kind, &key, "ownerReferences", json!(rest));
            }
            return self.drop_finalizer(kind, key, ORPHAN);
        }
        let mut is_blocked = false;
        for (kind, key, object) in dependents {
            let blocks = object::owners(&object)
                .iter()
                .any(|one| refers(one) && one["blockOwnerDeletion"] == json!(true));
            is_blocked |= blocks;
            if !object::is_deleting(&object) {
                let how = Deletion { propagation: Some("Foreground".to_owned()), ..Deletion::by_cluster() };
                let _ = self.delete(kind, &key, &how);
            }
        }
        if !is_blocked {
            self.drop_finalizer(kind, key, FOREGROUND);
        }
    }

    /// Takes a finalizer away; the object goes with the last one.
    pub(super) fn drop_finalizer(&mut self, kind: &'static Kind, key: &Key, finalizer: &str) {
        let Some(object) = self.store.get(kind, key) else { return };
        let mut rest = object::finalizers(object);
        rest.retain(|own| own != finalizer);
        self.write_metadata(kind, key, "finalizers", json!(rest));
    }

    fn write_metadata(&mut self, kind: &'static Kind, key: &Key, field: &str, value: Value) {
        let by = By::controller("kube-controller-manager", None);
        // It was there a moment ago, under the same lock.
        let _ = self.update(kind, key, &by, |object| {
            let mut object = object.clone();
            object::set_metadata(&mut object, field, Some(value));
            Ok(object)
        });
    }
}
