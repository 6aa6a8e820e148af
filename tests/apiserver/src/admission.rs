//! What stands between a write and the store: the rules a test adds, and the plugins every cluster has.

use std::{fmt, sync::Arc};

use serde_json::Value;

use crate::{
    call::Verb,
    failure::{self, Failure},
    kind::{Kind, by_name},
    object::{self, Key},
    store::Store,
};

/// A write that a rule is asked about.
pub struct Admission<'a> {
    pub verb: Verb,
    pub kind: &'static str,
    pub namespace: &'a str,
    /// Empty for a create with a generateName.
    pub name: &'a str,
    pub subresource: Option<&'a str>,
    /// The object as it would be stored; for a deletion as it is.
    pub object: &'a Value,
    /// The object as it is stored; none for a create.
    pub old: Option<&'a Value>,
    pub is_dry_run: bool,
    pub(crate) store: &'a Store,
}

impl Admission<'_> {
    /// The stored objects of a kind, for rules that count.
    pub fn objects(&self, kind: &str) -> Vec<Arc<Value>> {
        by_name(kind).map(|kind| self.store.list(kind, None).cloned().collect()).unwrap_or_default()
    }
}

type Rule = dyn Fn(&Admission<'_>) -> Option<Failure> + Send + Sync;

/// The rules a test added.
#[derive(Clone, Default)]
pub(crate) struct Rules(Vec<Arc<Rule>>);

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} rules", self.0.len())
    }
}

impl Rules {
    pub fn add(&mut self, rule: impl Fn(&Admission<'_>) -> Option<Failure> + Send + Sync + 'static) {
        self.0.push(Arc::new(rule));
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }

    pub fn admit(&self, admission: &Admission<'_>) -> Result<(), Failure> {
        self.0.iter().find_map(|rule| rule(admission)).map_or(Ok(()), Err)
    }
}

/// Nothing is made in a namespace that is not there or on its way out, and no Pod without its account.
pub(crate) fn may_create(store: &Store, kind: &Kind, key: &Key, object: &Value) -> Result<(), Failure> {
    if !kind.is_namespaced() {
        return Ok(());
    }
    let (Some(namespaces), Some(accounts)) = (by_name("Namespace"), by_name("ServiceAccount")) else {
        return Ok(());
    };
    let Some(namespace) = store.get(namespaces, &Key::new("", &key.namespace)) else {
        return Err(failure::not_found(namespaces, &key.namespace));
    };
    if object::is_deleting(namespace) {
        return Err(failure::namespace_terminating(kind, &key.name, &key.namespace));
    }
    if kind.is_core("Pod") {
        let account = object::text(object, "/spec/serviceAccountName");
        if store.get(accounts, &Key::new(&key.namespace, account)).is_none() {
            let missing = format!("serviceaccount \"{account}\" not found");
            let why = format!("error looking up service account {}/{account}: {missing}", key.namespace);
            return Err(failure::forbidden(kind, &key.name, &why));
        }
    }
    Ok(())
}
