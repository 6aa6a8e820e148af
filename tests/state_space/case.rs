//! One course of changes: the specs that a workspace or its class gets one after another.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{
    kind::{Kind, properties},
    listed, meaning, sample,
    schema::{Place, Step},
    values,
};

/// The specs that one subject goes through before it goes back.
#[derive(Clone, Debug)]
pub struct Case {
    pub kind: Kind,
    /// The property it is about, or the sequence.
    pub name: String,
    /// The names in that path: a refusal has to say one of them.
    pub fields: Vec<String>,
    pub specs: Vec<Value>,
}

/// Every property of `kind`, each with all its values.
pub fn all(kind: Kind) -> Vec<Case> {
    let root = kind.schema();
    let mut cases = Vec::new();
    for (place, schema) in properties(&root) {
        let specs: Vec<Value> =
            fragments(kind, &root, &place, schema).iter().map(|part| kind.with(&kind.base(), part)).collect();
        let name = place.to_string();
        let fields = if names_its_fields(kind, &name) { fields_of(&place) } else { Vec::new() };
        let case = |specs| Case { kind, name: name.clone(), fields: fields.clone(), specs };
        if listed::is_settled_once(&name) {
            cases.extend(specs.into_iter().map(|spec| case(vec![spec])));
        } else {
            cases.push(case(specs));
        }
    }
    cases
}

/// Whether a refusal speaks of it by its own name. What a class does not allow is told as what the workspace has, and an
/// overlay by the field within.
fn names_its_fields(kind: Kind, path: &str) -> bool {
    (kind == Kind::Workspace || path.starts_with("spec.defaults.")) && !path.ends_with("podTemplate.spec")
}

fn fields_of(place: &Place) -> Vec<String> {
    let name = |step: &Step| match step {
        Step::Field(name) if name != "spec" && name != "defaults" => Some(name.clone()),
        _ => None,
    };
    place.0.iter().filter_map(name).collect()
}

/// The parts of a spec that set the property at `place` to each of its values.
pub fn fragments(kind: Kind, root: &Value, place: &Place, schema: &Value) -> Vec<Value> {
    if let Some(fragments) = meaning::of(kind, &place.to_string()) {
        return fragments;
    }
    let around = |value| sample::around(root, place, value).0["spec"].take();
    values::valid(place, schema).into_iter().map(around).collect()
}

/// What the schema refuses, by property.
pub fn refused(kind: Kind) -> BTreeMap<String, Vec<Value>> {
    let root = kind.schema();
    let of = |(place, schema): (Place, &Value)| {
        let around = |value| kind.with(&json!({}), &sample::around(&root, &place, value).0["spec"]);
        (place.to_string(), values::invalid(schema).into_iter().map(around).collect())
    };
    properties(&root).into_iter().map(of).collect()
}
