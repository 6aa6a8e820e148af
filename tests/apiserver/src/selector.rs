//! Label and field selectors.

use serde_json::Value;

use crate::{
    failure::{Failure, bad_request},
    kind::Kind,
    object,
};

#[derive(Clone, Debug, PartialEq)]
enum Requirement {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    Absent(String),
}

impl Requirement {
    fn holds(&self, read: impl Fn(&str) -> Option<String>) -> bool {
        match self {
            Self::In(key, values) => read(key).is_some_and(|value| values.contains(&value)),
            Self::NotIn(key, values) => read(key).is_none_or(|value| !values.contains(&value)),
            Self::Exists(key) => read(key).is_some(),
            Self::Absent(key) => read(key).is_none(),
        }
    }
}

/// Which objects a list or a watch is about.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selector {
    labels: Vec<Requirement>,
    fields: Vec<Requirement>,
}

impl Selector {
    pub fn parse(kind: &Kind, labels: Option<&str>, fields: Option<&str>) -> Result<Self, Failure> {
        let labels = requirements(labels.unwrap_or_default())?;
        let fields = requirements(fields.unwrap_or_default())?;
        for requirement in &fields {
            match requirement {
                Requirement::In(field, _) | Requirement::NotIn(field, _) if is_known(kind, field) => {}
                Requirement::In(field, _) | Requirement::NotIn(field, _) => {
                    return Err(bad_request(format!("field label not supported: {field}")));
                }
                _ => return Err(bad_request("invalid field selector")),
            }
        }
        Ok(Self { labels, fields })
    }

    pub fn matches(&self, object: &Value) -> bool {
        let label = |key: &str| object["metadata"]["labels"][key].as_str().map(str::to_owned);
        let field = |key: &str| Some(object::text(object, &format!("/{}", key.replace('.', "/"))).to_owned());
        self.labels.iter().all(|one| one.holds(label)) && self.fields.iter().all(|one| one.holds(field))
    }
}

/// Whether the `matchLabels` and `matchExpressions` of a selector object hold for these labels.
pub(crate) fn selects(selector: &Value, labels: &Value) -> bool {
    let read = |key: &str| labels[key].as_str().map(str::to_owned);
    let equal = selector["matchLabels"].as_object().into_iter().flatten();
    let expressions = object::list(selector, "/matchExpressions").iter().map(|expression| {
        let key = object::text(expression, "/key").to_owned();
        let values = object::list(expression, "/values").iter().filter_map(Value::as_str).map(str::to_owned);
        match object::text(expression, "/operator") {
            "In" => Requirement::In(key, values.collect()),
            "NotIn" => Requirement::NotIn(key, values.collect()),
            "Exists" => Requirement::Exists(key),
            _ => Requirement::Absent(key),
        }
    });
    equal.into_iter().all(|(key, value)| read(key).as_deref() == value.as_str())
        && expressions.into_iter().all(|one| one.holds(read))
}

fn is_known(kind: &Kind, field: &str) -> bool {
    let others: &[&str] = match kind.kind {
        "Pod" => &["spec.nodeName", "spec.restartPolicy", "status.phase", "status.podIP"],
        "Event" => &[
            "involvedObject.kind",
            "involvedObject.name",
            "involvedObject.namespace",
            "involvedObject.uid",
            "regarding.kind",
            "regarding.name",
            "regarding.namespace",
            "regarding.uid",
            "reason",
            "type",
        ],
        "Secret" => &["type"],
        "Namespace" => &["status.phase"],
        _ => &[],
    };
    matches!(field, "metadata.name" | "metadata.namespace") || others.contains(&field)
}

fn requirements(selector: &str) -> Result<Vec<Requirement>, Failure> {
    split(selector).into_iter().map(|part| requirement(&part)).collect()
}

/// Splits at the commas that stand in no brackets.
fn split(selector: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut depth = 0_u32;
    for letter in selector.chars() {
        match letter {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        match parts.last_mut() {
            Some(part) if letter != ',' || depth > 0 => part.push(letter),
            _ => parts.push(String::new()),
        }
    }
    parts.into_iter().map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
}

fn requirement(part: &str) -> Result<Requirement, Failure> {
    let owned = |text: &str| text.trim().to_owned();
    let set = |text: &str| -> Result<Vec<String>, Failure> {
        let inner = text.trim().strip_prefix('(').and_then(|text| text.strip_suffix(')'));
        let inner = inner.ok_or_else(|| bad_request(format!("unable to parse requirement: {part}")))?;
        Ok(inner.split(',').map(owned).collect())
    };
    if let Some((key, values)) = part.split_once(" notin ") {
        return Ok(Requirement::NotIn(owned(key), set(values)?));
    }
    if let Some((key, values)) = part.split_once(" in ") {
        return Ok(Requirement::In(owned(key), set(values)?));
    }
    if let Some((key, value)) = part.split_once("!=") {
        return Ok(Requirement::NotIn(owned(key), vec![owned(value)]));
    }
    if let Some((key, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
        return Ok(Requirement::In(owned(key), vec![owned(value)]));
    }
    Ok(match part.strip_prefix('!') {
        Some(key) => Requirement::Absent(owned(key)),
        None => Requirement::Exists(owned(part)),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kind::by_name;

    fn matches(labels: &str) -> bool {
        let object = json!({"metadata": {"name": "x", "labels": {"a": "1", "b": "2"}}});
        Selector::parse(by_name("Pod").unwrap(), Some(labels), None).unwrap().matches(&object)
    }

    #[test]
    fn label_selectors_of_every_form_hold_or_do_not() {
        for holds in ["a=1", "a==1,b=2", "a", "!c", "a in (0, 1)", "a notin (2),b", "c!=1", "c notin (1)"] {
            assert!(matches(holds), "{holds}");
        }
        for fails in ["a=2", "a=1,b=1", "c", "!a", "a in (0,2)", "a notin (1)", "a!=1", "c in (1)"] {
            assert!(!matches(fails), "{fails}");
        }
    }

    #[test]
    fn an_unknown_field_is_refused() {
        let pod = by_name("Pod").unwrap();
        assert!(Selector::parse(pod, None, Some("metadata.name=x")).is_ok());
        assert_eq!(Selector::parse(pod, None, Some("spec.hostname=x")).unwrap_err().code, 400);
    }
}
