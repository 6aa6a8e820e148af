//! Where in an answer something stands: a part of JSONPath (RFC 9535) without what can take long. Filters, descents and
//! functions are left out, since a user's path is followed through a user's answer in the operator's own process.

use std::{fmt, str::FromStr};

use serde_json::Value;

/// More steps than any answer has levels that people would build.
const MOST_STEPS: usize = 16;

/// A path, as `$.kernels[*].last_activity`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonPath {
    text: String,
    steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Name(String),
    Index(usize),
    All,
}

/// What is no such path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a path as $.a, $['a b'], $.a[0] or $.a[*] is expected, of at most {MOST_STEPS} steps")]
pub struct Malformed;

impl JsonPath {
    /// All that stands there in `answer`: at most as much as the answer has.
    pub fn find<'a>(&self, answer: &'a Value) -> Vec<&'a Value> {
        let mut found = vec![answer];
        for step in &self.steps {
            found = found.into_iter().flat_map(|value| step.below(value)).collect();
        }
        found
    }
}

impl Step {
    fn below<'a>(&self, value: &'a Value) -> Vec<&'a Value> {
        match (self, value) {
            (Self::Name(name), Value::Object(fields)) => fields.get(name).into_iter().collect(),
            (Self::Index(index), Value::Array(items)) => items.get(*index).into_iter().collect(),
            (Self::All, Value::Array(items)) => items.iter().collect(),
            (Self::All, Value::Object(fields)) => fields.values().collect(),
            _ => Vec::new(),
        }
    }
}

impl FromStr for JsonPath {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let mut rest = text.strip_prefix('$').ok_or(Malformed)?;
        let mut steps = Vec::new();
        while !rest.is_empty() {
            let (step, after) = step(rest).ok_or(Malformed)?;
            steps.push(step);
            rest = after;
        }
        if steps.len() > MOST_STEPS {
            return Err(Malformed);
        }
        Ok(Self { text: text.to_owned(), steps })
    }
}

/// The first step of `text`, and what comes after it.
fn step(text: &str) -> Option<(Step, &str)> {
    if let Some(rest) = text.strip_prefix('.') {
        let end = rest.find(['.', '[']).unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        if name == "*" {
            return Some((Step::All, after));
        }
        let is_name = name.starts_with(|first: char| first.is_alphabetic() || first == '_')
            && name.chars().all(|one| one.is_alphanumeric() || one == '_');
        return is_name.then(|| (Step::Name(name.to_owned()), after));
    }
    let inside = text.strip_prefix('[')?;
    for quote in ['\'', '"'] {
        if let Some(quoted) = inside.strip_prefix(quote) {
            let (name, after) = quoted.split_once(quote)?;
            let after = after.strip_prefix(']').filter(|_| !name.contains('\\'))?;
            return Some((Step::Name(name.to_owned()), after));
        }
    }
    let (index, after) = inside.split_once(']')?;
    let step = if index == "*" { Step::All } else { Step::Index(index.parse().ok()?) };
    Some((step, after))
}

impl fmt::Display for JsonPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_stands_at_a_path_is_found() {
        let answer = json!({"a": {"b c": [1, {"d": 2}, {"d": 3}]}, "e": {"x": 4, "y": 5}});
        for (path, found) in [
            ("$", vec![answer.clone()]),
            ("$.a['b c'][0]", vec![json!(1)]),
            ("$.a[\"b c\"][*].d", vec![json!(2), json!(3)]),
            ("$.e.*", vec![json!(4), json!(5)]),
            ("$.e[*]", vec![json!(4), json!(5)]),
            ("$.nothing.below", vec![]),
            ("$.a[7]", vec![]),
        ] {
            let path: JsonPath = path.parse().unwrap();
            let values: Vec<Value> = path.find(&answer).into_iter().cloned().collect();
            assert_eq!(values, found, "{path}");
        }
    }

    #[test]
    fn what_could_take_long_is_no_path() {
        let nested = format!("${}.a{}", "[?@".repeat(40), "]".repeat(40));
        let long = format!("${}", ".a".repeat(17));
        for path in
            ["", "a", "$.", "$..a", "$[?@.a]", "$[0:2]", "$[-1]", "$['a'", "$[((", "$.a-b", &nested, &long]
        {
            assert_eq!(path.parse::<JsonPath>(), Err(Malformed), "{path}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_written_it_is_read_without_harm(text in "[$.\\[\\]*?@'a-c0-9()]{0,200}") {
            if let Ok(path) = text.parse::<JsonPath>() {
                prop_assert_eq!(path.to_string(), text);
            }
        }
    }
}
