//! Creating and changing objects.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::{
    admission::{self, Admission},
    call::Verb,
    defaults,
    failure::{self, Failure, bad_request},
    kind::{self, Kind, Trait},
    object::{self, Key},
    patch::{
        apply,
        ownership::{Leaves, Manager, Owners, Path, leaves},
    },
    removal, rules,
    state::State,
    store::Record,
};

/// How a write is made.
#[derive(Clone, Debug)]
pub(crate) struct By {
    pub manager: String,
    pub verb: Verb,
    pub subresource: Option<String>,
    pub dry_run: bool,
    pub force: bool,
    /// Whether the admission rules are passed by.
    pub is_by_cluster: bool,
}

impl By {
    /// A write of the simulated cluster itself, or of a test past all clients.
    pub fn controller(name: &str, subresource: Option<&str>) -> Self {
        Self {
            manager: name.to_owned(),
            verb: Verb::Update,
            subresource: subresource.map(str::to_owned),
            dry_run: false,
            force: false,
            is_by_cluster: true,
        }
    }

    pub(crate) fn owner(&self) -> Manager {
        Manager {
            name: self.manager.clone(),
            applies: self.verb == Verb::Apply,
            subresource: self.subresource.clone(),
        }
    }

    fn leaves(&self, object: &Value) -> Leaves {
        leaves(object, |path| match self.subresource.as_deref() {
            Some("status") => path.first().is_some_and(|top| top == "f:status"),
            _ => true,
        })
    }
}

impl State {
    /// Creates an object and returns it as stored.
    pub fn create(
        &mut self,
        kind: &'static Kind,
        namespace: Option<&str>,
        mut object: Value,
        by: &By,
    ) -> Result<Value, Failure> {
        rules::check_body(kind, namespace, &mut object)?;
        if !object::text(&object, "/metadata/resourceVersion").is_empty() {
            return Err(bad_request("resourceVersion should not be set on objects to be created"));
        }
        let is_generated = object::name(&object).is_empty();
        if is_generated && object::text(&object, "/metadata/generateName").is_empty() {
            let why = "Required value: name or generateName is required";
            return Err(failure::invalid(kind, "", "metadata.name", why));
        }
        let config = by.leaves(&object);
        if kind.has(Trait::Status) {
            object::remove(&mut object, "", "status");
        }
        if is_generated {
            let name = self.free_name(kind, &object);
            object["metadata"]["name"] = json!(name);
        }
        defaults::complete(kind, &mut object);
        let allocated = self.store.revision();
        defaults::begin(kind, &mut object, allocated);
        for field in ["deletionTimestamp", "deletionGracePeriodSeconds", "generation", "managedFields"] {
            object::set_metadata(&mut object, field, None);
        }
        let uid = self.identities.uid();
        object["metadata"]["uid"] = json!(uid);
        object["metadata"]["creationTimestamp"] = json!(self.now());
        if kind.has(Trait::Generation) {
            object["metadata"]["generation"] = json!(1);
        }
        tidy(&mut object);
        let key = object::key(&object);
        admission::may_create(&self.store, kind, &key, &object)?;
        self.admit(kind, None, &object, by)?;
        if self.store.get(kind, &key).is_some() {
            return Err(failure::already_exists(kind, &key.name));
        }
        let now = self.now();
        let owners = if by.verb == Verb::Apply {
            Owners::default().applied(&by.owner(), &config, &Leaves::new(), &by.leaves(&object), &now)
        } else {
            Owners::default().updated(&by.owner(), &Leaves::new(), &by.leaves(&object), &now)
        };
        object::set_metadata(&mut object, "managedFields", owners.rendered(&kind.api_version()));
        if by.dry_run {
            return Ok(object);
        }
        let stored = self.store.put(kind, object, owners);
        if kind.is_core("Namespace") {
            self.create_default_account(&key.name)?;
        }
        Ok((*stored).clone())
    }

    fn create_default_account(&mut self, namespace: &str) -> Result<(), Failure> {
        let Some(accounts) = kind::by_name("ServiceAccount") else { return Ok(()) };
        let by = By::controller("kube-controller-manager", None);
        let account = json!({ "metadata": { "name": "default" } });
        self.create(accounts, Some(namespace), account, &by).map(|_| ())
    }

    fn free_name(&mut self, kind: &'static Kind, object: &Value) -> String {
        let prefix = object::text(object, "/metadata/generateName");
        loop {
            let name = format!("{prefix}{}", self.identities.suffix());
            if self.store.get(kind, &Key::new(object::namespace(object), &name)).is_none() {
                return name;
            }
        }
    }

    fn admit(
        &self,
        kind: &'static Kind,
        old: Option<&Value>,
        object: &Value,
        by: &By,
    ) -> Result<(), Failure> {
        if by.is_by_cluster {
            return Ok(());
        }
        self.rules.admit(&Admission {
            verb: by.verb,
            kind: kind.kind,
            namespace: object::namespace(object),
            name: object::name(object),
            subresource: by.subresource.as_deref(),
            object,
            old,
            is_dry_run: by.dry_run,
            store: &self.store,
        })
    }

    /// Asks the rules about a deletion.
    pub fn admit_deletion(&self, kind: &'static Kind, object: &Value, dry_run: bool) -> Result<(), Failure> {
        let by = By { verb: Verb::Delete, dry_run, is_by_cluster: false, ..By::controller("", None) };
        self.admit(kind, Some(object), object, &by)
    }

    /// Changes an object: `change` makes the new one of the stored one.
    pub fn update(
        &mut self,
        kind: &'static Kind,
        key: &Key,
        by: &By,
        change: impl FnOnce(&Value) -> Result<Value, Failure>,
    ) -> Result<Value, Failure> {
        let record = self.existing(kind, key)?;
        let mut object = change(&record.object)?;
        rules::check_body(kind, kind.is_namespaced().then_some(&*key.namespace), &mut object)?;
        rules::check_identity(kind, key, by.verb, &record.object, &object)?;
        let mut object = within(kind, by, &record.object, object);
        defaults::complete(kind, &mut object);
        self.finish(kind, key, by, &record, object, |live, now| {
            record.owners.updated(&by.owner(), &by.leaves(&record.object), &by.leaves(live), now)
        })
    }

    /// Applies a configuration, creating the object where there is none.
    pub fn apply(
        &mut self,
        kind: &'static Kind,
        key: &Key,
        by: &By,
        mut config: Value,
    ) -> Result<(bool, Value), Failure> {
        let namespace = kind.is_namespaced().then_some(&*key.namespace);
        rules::check_body(kind, namespace, &mut config)?;
        if !object::list(&config, "/metadata/managedFields").is_empty() {
            return Err(bad_request("metadata.managedFields must be nil"));
        }
        object::set_metadata(&mut config, "managedFields", None);
        if self.store.get(kind, key).is_none() {
            let uid = object::uid(&config);
            if !uid.is_empty() {
                let why = format!(
                    "uid mismatch: the provided object specified uid {uid}, and no existing object was found"
                );
                return Err(failure::conflict(kind, &key.name, &why));
            }
            if by.subresource.is_some() {
                return Err(failure::not_found(kind, &key.name));
            }
            if object::name(&config).is_empty() {
                let why = "was undeterminable: name must be provided";
                return Err(bad_request(format!("the name of the object ({} based on URL) {why}", key.name)));
            }
            return Ok((true, self.create(kind, namespace, config, by)?));
        }
        let record = self.existing(kind, key)?;
        rules::check_identity(kind, key, by.verb, &record.object, &config)?;
        let owner = by.owner();
        if by.subresource.is_none() && kind.has(Trait::Status) {
            object::remove(&mut config, "", "status");
        }
        let (wanted, live) = (by.leaves(&config), by.leaves(&record.object));
        let conflicts = apply::conflicts(&record.owners, &owner, &wanted, &live);
        if !conflicts.is_empty() && !by.force {
            return Err(failure::field_conflicts(kind, &key.name, &conflicts));
        }
        let is_kept = |path: &Path| wanted.contains_key(path) || record.owners.is_shared(&owner, path);
        let dropped: BTreeSet<Path> =
            record.owners.of(&owner).into_iter().filter(|path| !is_kept(path)).collect();
        let merged = apply::applied(&record.object, &config, &dropped);
        let mut object = within(kind, by, &record.object, merged);
        defaults::complete(kind, &mut object);
        let stored = self.finish(kind, key, by, &record, object, |object, now| {
            record.owners.applied(&owner, &wanted, &live, &by.leaves(object), now)
        })?;
        Ok((false, stored))
    }

    fn existing(&self, kind: &'static Kind, key: &Key) -> Result<Record, Failure> {
        self.store.record(kind, key).cloned().ok_or_else(|| failure::not_found(kind, &key.name))
    }

    fn finish(
        &mut self,
        kind: &'static Kind,
        key: &Key,
        by: &By,
        record: &Record,
        mut object: Value,
        owners: impl FnOnce(&Value, &str) -> Owners,
    ) -> Result<Value, Failure> {
        let old = &record.object;
        tidy(&mut object);
        for field in [
            "uid",
            "name",
            "namespace",
            "generateName",
            "creationTimestamp",
            "deletionTimestamp",
            "deletionGracePeriodSeconds",
            "generation",
            "resourceVersion",
        ] {
            object::set_metadata(&mut object, field, Some(old["metadata"][field].clone()));
        }
        // A binding is no wish of anyone's.
        let is_binding = by.subresource.as_deref() == Some("binding");
        if kind.has(Trait::Generation) && !is_binding && desired(&object) != desired(old) {
            let generation = old["metadata"]["generation"].as_i64().unwrap_or_default() + 1;
            object["metadata"]["generation"] = json!(generation);
        }
        self.admit(kind, Some(old), &object, by)?;
        rules::check_update(kind, old, &object, by.subresource.as_deref())?;
        let owners = owners(&object, &self.now());
        object::set_metadata(&mut object, "managedFields", owners.rendered(&kind.api_version()));
        if object == **old || by.dry_run {
            return Ok(object);
        }
        let is_over = object::is_deleting(&object)
            && !removal::is_held(kind, &object)
            && object::grace(&object).unwrap_or_default() == 0;
        let stored =
            if is_over { self.store.remove(kind, key, object) } else { self.store.put(kind, object, owners) };
        Ok((*stored).clone())
    }
}

/// What a spec generation counts: everything but metadata and status.
fn desired(object: &Value) -> Value {
    let mut desired = object.clone();
    for field in ["metadata", "status", "apiVersion", "kind"] {
        object::remove(&mut desired, "", field);
    }
    desired
}

/// The part of a change that its endpoint can make.
fn within(kind: &Kind, by: &By, old: &Value, new: Value) -> Value {
    let mut object = match by.subresource.as_deref() {
        None => {
            let mut object = new;
            if kind.has(Trait::Status) {
                object["status"] = old["status"].clone();
            }
            object
        }
        Some("resize") => resized(old, &new),
        Some("binding") => {
            let mut object = old.clone();
            object["spec"]["nodeName"] = new["spec"]["nodeName"].clone();
            object
        }
        Some("finalize") => {
            let mut object = old.clone();
            object["spec"]["finalizers"] = new["spec"]["finalizers"].clone();
            object
        }
        Some(_) => {
            let mut object = old.clone();
            object["status"] = new["status"].clone();
            object
        }
    };
    if object["status"].is_null() {
        object::remove(&mut object, "", "status");
    }
    object
}

fn resized(old: &Value, new: &Value) -> Value {
    let mut object = old.clone();
    for list in ["containers", "initContainers"] {
        let wanted = object::list(new, &format!("/spec/{list}"));
        for container in object["spec"].get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            if let Some(wanted) = wanted.iter().find(|other| other["name"] == container["name"]) {
                container["resources"] = wanted["resources"].clone();
            }
        }
    }
    object
}

fn tidy(object: &mut Value) {
    for field in ["labels", "annotations", "finalizers", "ownerReferences"] {
        let value = &object["metadata"][field];
        let is_empty = value.as_object().is_some_and(serde_json::Map::is_empty)
            || value.as_array().is_some_and(Vec::is_empty)
            || value.is_null();
        if is_empty {
            object::set_metadata(object, field, None);
        }
    }
    object::set_metadata(object, "selfLink", None);
}
