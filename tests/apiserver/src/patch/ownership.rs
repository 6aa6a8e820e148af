//! Which manager owns which fields: `metadata.managedFields`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::list_keys::{ListKind, key_of, list_kind};

/// The way to a field, each step as managedFields write it: `f:name`, `k:{key}` or `v:value`.
pub(crate) type Path = Vec<String>;

/// The fields of an object that can be owned, with their values; none for a list item, which is owned as such.
pub(crate) type Leaves = BTreeMap<Path, Option<Value>>;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Manager {
    pub name: String,
    pub applies: bool,
    pub subresource: Option<String>,
}

/// The owners of one object's fields.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Owners(BTreeMap<Manager, (BTreeSet<Path>, String)>);

impl Owners {
    /// After a change by an update: who changed a field owns it alone; what is gone is owned by nobody.
    pub fn updated(&self, manager: &Manager, before: &Leaves, after: &Leaves, now: &str) -> Self {
        let changed: BTreeSet<Path> = after
            .iter()
            .filter(|(path, value)| before.get(*path) != Some(*value))
            .map(|(path, _)| path.clone())
            .collect();
        let mut owners = self.clone();
        for (other, (fields, _)) in &mut owners.0 {
            fields.retain(|path| after.contains_key(path) && (other == manager || !changed.contains(path)));
        }
        if !changed.is_empty() {
            let (fields, time) = owners.0.entry(manager.clone()).or_default();
            fields.extend(changed);
            now.clone_into(time);
        }
        owners.without_idle()
    }

    /// After an apply: the manager owns exactly what it applied; with force, the others lose what they disagree on.
    pub fn applied(
        &self,
        manager: &Manager,
        config: &Leaves,
        live: &Leaves,
        after: &Leaves,
        now: &str,
    ) -> Self {
        let mut owners = self.clone();
        for (other, (fields, _)) in &mut owners.0 {
            let is_lost = |path: &Path| {
                config.get(path).is_some_and(|wanted| live.get(path).is_some_and(|is| is != wanted))
            };
            fields.retain(|path| after.contains_key(path) && (other == manager || !is_lost(path)));
        }
        let fields: BTreeSet<Path> = config.keys().cloned().collect();
        let (own, time) = owners.0.entry(manager.clone()).or_default();
        if *own != fields {
            *own = fields;
            now.clone_into(time);
        }
        owners.without_idle()
    }

    fn without_idle(mut self) -> Self {
        self.0.retain(|_, (fields, _)| !fields.is_empty());
        self
    }

    pub fn of(&self, manager: &Manager) -> BTreeSet<Path> {
        self.0.get(manager).map(|(fields, _)| fields.clone()).unwrap_or_default()
    }

    /// The managers other than this one that own a field.
    pub fn others<'a>(&'a self, manager: &'a Manager, path: &'a Path) -> impl Iterator<Item = &'a Manager> {
        self.0
            .iter()
            .filter(move |(other, (fields, _))| *other != manager && fields.contains(path))
            .map(|(m, _)| m)
    }

    /// Whether another manager owns this field or one within it.
    pub fn is_shared(&self, manager: &Manager, path: &Path) -> bool {
        let owns = |fields: &BTreeSet<Path>| fields.iter().any(|own| own.starts_with(path));
        self.0.iter().any(|(other, (fields, _))| other != manager && owns(fields))
    }

    /// As `metadata.managedFields` show it.
    pub fn rendered(&self, api_version: &str) -> Option<Value> {
        let entry = |(manager, (fields, time)): (&Manager, &(BTreeSet<Path>, String))| {
            let mut entry = json!({
                "manager": manager.name,
                "operation": if manager.applies { "Apply" } else { "Update" },
                "apiVersion": api_version,
                "time": time,
                "fieldsType": "FieldsV1",
                "fieldsV1": tree(fields),
            });
            if let Some(subresource) = &manager.subresource {
                entry["subresource"] = json!(subresource);
            }
            entry
        };
        (!self.0.is_empty()).then(|| self.0.iter().map(entry).collect())
    }
}

fn tree(fields: &BTreeSet<Path>) -> Value {
    let mut root = json!({});
    for path in fields {
        let mut node = &mut root;
        for step in path {
            node = &mut node[step.as_str()];
        }
        if path.last().is_some_and(|step| step.starts_with("k:")) {
            node["."] = json!({});
        } else if node.is_null() {
            *node = json!({});
        }
    }
    root
}

/// The fields of an object that can be owned, as far as this endpoint can write them.
pub(crate) fn leaves(object: &Value, is_ours: impl Fn(&[String]) -> bool) -> Leaves {
    let mut found = Leaves::new();
    descend(object, "", &mut Vec::new(), &mut found);
    found.retain(|path, _| is_ownable(path) && is_ours(path));
    found
}

fn is_ownable(path: &[String]) -> bool {
    match path {
        [top] => !matches!(top.as_str(), "f:apiVersion" | "f:kind" | "f:metadata"),
        [top, field, ..] if top == "f:metadata" => {
            matches!(field.as_str(), "f:labels" | "f:annotations" | "f:finalizers" | "f:ownerReferences")
        }
        _ => true,
    }
}

fn descend(value: &Value, field: &str, path: &mut Path, found: &mut Leaves) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (key, value) in map {
                path.push(format!("f:{key}"));
                descend(value, key, path, found);
                path.pop();
            }
        }
        Value::Array(items) if !items.is_empty() => match list_kind(field, items) {
            ListKind::Atomic => {
                found.insert(path.clone(), Some(value.clone()));
            }
            ListKind::Set => {
                for item in items {
                    path.push(format!("v:{item}"));
                    found.insert(path.clone(), None);
                    path.pop();
                }
            }
            ListKind::Map(keys) => {
                for item in items {
                    let key: Value =
                        key_of(item, keys).into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
                    path.push(format!("k:{key}"));
                    found.insert(path.clone(), None);
                    descend(item, "", path, found);
                    path.pop();
                }
            }
        },
        Value::Null => {}
        _ => {
            found.insert(path.clone(), Some(value.clone()));
        }
    }
}
