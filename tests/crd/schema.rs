//! Walking the schema of an object.

use std::fmt;

use serde_json::Value;

/// The keyword of CEL rules.
pub const RULES: &str = "x-kubernetes-validations";

/// One step down from an object to its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    Field(String),
    /// An item of a list.
    Item,
    /// A value of a map.
    Value,
}

/// Where in an object a schema holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place(pub Vec<Step>);

impl Place {
    pub fn below(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }

    /// The name of the field it ends in.
    pub fn field(&self) -> &str {
        match self.0.last() {
            Some(Step::Field(name)) => name,
            _ => "",
        }
    }

    pub fn is_below(&self, path: &str) -> bool {
        let own = self.to_string();
        own == path || own.strip_prefix(path).is_some_and(|rest| rest.starts_with(['.', '[', '{']))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, step) in self.0.iter().enumerate() {
            match step {
                Step::Field(name) if index == 0 => write!(f, "{name}")?,
                Step::Field(name) => write!(f, ".{name}")?,
                Step::Item => write!(f, "[]")?,
                Step::Value => write!(f, "{{}}")?,
            }
        }
        Ok(())
    }
}

/// Every schema within `root`, itself first, with its place.
pub fn walk(root: &Value) -> Vec<(Place, &Value)> {
    let mut found = Vec::new();
    visit(Place::default(), root, &mut found);
    found
}

/// Those of the spec.
pub fn walk_spec(root: &Value) -> Vec<(Place, &Value)> {
    walk(root).into_iter().filter(|(place, _)| place.is_below("spec")).collect()
}

fn visit<'a>(place: Place, schema: &'a Value, found: &mut Vec<(Place, &'a Value)>) {
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        visit(place.below(Step::Field(name.clone())), property, found);
    }
    if schema["items"].is_object() {
        visit(place.below(Step::Item), &schema["items"], found);
    }
    if schema["additionalProperties"].is_object() {
        visit(place.below(Step::Value), &schema["additionalProperties"], found);
    }
    found.push((place, schema));
}

/// A schema without what the API server adds or writes in another way when it serves it.
pub fn as_rendered(schema: &Value) -> Value {
    match schema {
        Value::Object(fields) => {
            let is_either = fields.contains_key("x-kubernetes-int-or-string");
            let kept = fields.iter().filter(|(name, _)| !(is_either && *name == "anyOf"));
            kept.map(|(name, value)| (name.clone(), as_rendered(value))).collect()
        }
        Value::Array(items) => items.iter().map(as_rendered).collect(),
        Value::Number(number) => Value::from(number.as_f64()),
        other => other.clone(),
    }
}

/// The texts of the rules that a schema bears.
pub fn messages(schema: &Value) -> impl Iterator<Item = &str> {
    schema[RULES].as_array().into_iter().flatten().filter_map(|rule| rule["message"].as_str())
}
