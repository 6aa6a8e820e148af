//! Each plain bound of the spec takes the value at the bound and refuses the one beyond it. The probes are made
//! from the schema, so none can be forgotten.

use std::collections::BTreeSet;

use futures::{StreamExt, stream};
use serde_json::{Value, json};

use crate::{
    ground::{Ground, Kind, NO_FIELD},
    sample,
    schema::{self, Place, Step},
};

/// How many probes are under way at a time.
const AT_ONCE: usize = 8;

/// Fields of which a rule accepts nothing, whatever their bounds. `rules` shows it.
const REFUSED_BY_RULE: &[&str] = &[
    "spec.defaults.className",
    "spec.defaults.podTemplate.spec",
    "spec.defaults.restartedAt",
    "spec.defaults.runState",
    "spec.readinessProbe.terminationGracePeriodSeconds",
    "spec.defaults.readinessProbe.terminationGracePeriodSeconds",
];

/// What shapes a schema without being a bound.
const SHAPE: &[&str] = &[
    "additionalProperties",
    "default",
    "description",
    "items",
    "nullable",
    "properties",
    "title",
    "type",
    "x-kubernetes-int-or-string",
    "x-kubernetes-preserve-unknown-fields",
];

/// Shown by hand, in `rules`.
const BY_HAND: &[&str] = &[schema::RULES];

/// A bound and the values on both sides of it.
struct Bound<'a> {
    keyword: &'a str,
    accepted: Vec<Value>,
    refused: Vec<Refused>,
}

/// A value that a bound refuses, and what is said of it. `{path}` stands for where the value is.
struct Refused {
    value: Value,
    field: String,
    words: String,
}

/// An object to be asked for.
struct Probe {
    name: String,
    object: Value,
    /// Field and words of the refusal; none where it is to be accepted.
    refused: Option<(String, String)>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_bound_of_a_workspace_accepts_up_to_it_and_refuses_beyond() {
    each_bound_holds(Kind::Workspace).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_bound_of_a_class_accepts_up_to_it_and_refuses_beyond() {
    each_bound_holds(Kind::WorkspaceClass).await;
}

async fn each_bound_holds(kind: Kind) {
    let ground = Ground::up().await;
    let root = kind.schema();
    let probes = probes(&root);
    assert!(probes.len() > 500, "only {} probes came of the schema", probes.len());
    let ground = &ground;
    let wrong: Vec<String> = stream::iter(probes)
        .map(|Probe { name, object, refused }| async move {
            let answer = ground.try_create(kind, &kind.object("probe", object["spec"].clone())).await;
            let held = match refused {
                None => answer.is_accepted(),
                Some((field, words)) => answer.is_refused_at(&field, &words),
            };
            held.err().map(|said| format!("{name}: {} {}", shown(&object), &said[..said.len().min(400)]))
        })
        .buffer_unordered(AT_ONCE)
        .filter_map(|wrong| async { wrong })
        .collect()
        .await;
    assert!(wrong.is_empty(), "{} probes went wrong:\n{}", wrong.len(), wrong.join("\n"));
}

fn probes(root: &Value) -> Vec<Probe> {
    let mut probes = Vec::new();
    for (place, schema) in schema::walk_spec(root) {
        for Bound { keyword, accepted, refused } in bounds(&place, schema) {
            let name = format!("{place} {keyword}");
            if !REFUSED_BY_RULE.iter().any(|path| place.is_below(path)) {
                probes.extend(accepted.into_iter().map(|value| {
                    let (object, _) = sample::around(root, &place, value);
                    Probe { name: name.clone(), object, refused: None }
                }));
            }
            probes.extend(refused.into_iter().map(|Refused { value, field, words }| {
                let (object, path) = sample::around(root, &place, value);
                let said = (field.replace("{path}", &path), words.replace("{path}", &path));
                Probe { name: name.clone(), object, refused: Some(said) }
            }));
        }
    }
    probes
}

#[test]
fn every_keyword_of_the_schema_is_probed() {
    for kind in Kind::ALL {
        let root = kind.schema();
        for (place, schema) in schema::walk_spec(&root) {
            let probed: BTreeSet<&str> = bounds(&place, schema).iter().map(|bound| bound.keyword).collect();
            let unprobed: Vec<_> = schema
                .as_object()
                .unwrap()
                .keys()
                .filter(|keyword| !probed.contains(keyword.as_str()))
                .filter(|keyword| !SHAPE.contains(&keyword.as_str()) && !BY_HAND.contains(&keyword.as_str()))
                .collect();
            assert!(unprobed.is_empty(), "{place}: {unprobed:?}");
        }
    }
}

#[test]
fn nothing_of_the_spec_is_unbounded() {
    for kind in Kind::ALL {
        let root = kind.schema();
        for (place, schema) in schema::walk_spec(&root) {
            let bound = match schema["type"].as_str() {
                Some("string") if schema.get("enum").is_none() => "maxLength",
                Some("array") => "maxItems",
                Some("object") if schema.get("additionalProperties").is_some() => "maxProperties",
                // The overlay is a Pod's: only the size of a whole request bounds it.
                Some("object") if place.to_string().ends_with("podTemplate.spec") => {
                    "x-kubernetes-preserve-unknown-fields"
                }
                Some("object") => "properties",
                Some("integer") => "format",
                None => "pattern",
                _ => continue,
            };
            assert!(schema.get(bound).is_some(), "{place} has no {bound}");
        }
    }
}

/// An object in few words: values at bounds are long.
fn shown(object: &Value) -> String {
    object["spec"].to_string().chars().take(160).collect()
}

fn bounds<'a>(place: &Place, schema: &'a Value) -> Vec<Bound<'a>> {
    let keywords = schema.as_object().unwrap().iter();
    keywords.filter_map(|(keyword, limit)| bound(place, schema, keyword, limit)).collect()
}

fn bound<'a>(place: &Place, schema: &Value, keyword: &'a str, limit: &Value) -> Option<Bound<'a>> {
    let number = limit.as_f64().map(sample::whole);
    let size = number.and_then(|number| usize::try_from(number).ok());
    let text = |length| json!(sample::text(schema, length));
    let items = |count| list(place, &schema["items"], count);
    let values = |count| map(place, &schema["additionalProperties"], count);
    let (accepted, refused) = match keyword {
        "minLength" => {
            // Where the pattern takes nothing as short, it is what speaks.
            let accepted = Some(size?).filter(|size| *size >= sample::least(schema)).map(text);
            (accepted.into_iter().collect(), vec![refused(text(size? - 1), "at least")])
        }
        "maxLength" => (vec![text(size?)], vec![refused(text(size? + 1), "Too long")]),
        "minimum" => (vec![json!(number?)], vec![refused(json!(number? - 1), "greater than or equal to")]),
        "maximum" => (vec![json!(number?)], vec![refused(json!(number? + 1), "less than or equal to")]),
        "maxItems" => (vec![items(size?)], vec![refused(items(size? + 1), "at most")]),
        "maxProperties" => (vec![values(size?)], vec![refused(values(size? + 1), "at most")]),
        "enum" => {
            let refused = ["Nonsense", ""].map(|word| refused(json!(word), "Unsupported value"));
            (limit.as_array()?.clone(), refused.into())
        }
        "pattern" => {
            let form = sample::form(limit.as_str()?)?;
            let refused = form.bad.iter().map(|text| refused(json!(text), "should match")).collect();
            (form.good.iter().map(|text| json!(text)).collect(), refused)
        }
        "format" => format(schema, limit.as_str()?)?,
        "required" => required(place, schema, limit),
        "x-kubernetes-list-type" | "x-kubernetes-list-map-keys" => {
            let [one, other] = [0, 1].map(|n| sample::value(&place.below(Step::Item), &schema["items"], n));
            let twice =
                Refused { field: "{path}[1]".to_owned(), ..refused(json!([one, one]), "Duplicate value") };
            (vec![json!([one, other])], vec![twice])
        }
        _ => return None,
    };
    Some(Bound { keyword, accepted, refused })
}

fn refused(value: Value, words: &str) -> Refused {
    Refused { value, field: "{path}".to_owned(), words: words.to_owned() }
}

fn format(schema: &Value, format: &str) -> Option<(Vec<Value>, Vec<Refused>)> {
    let no_times = ["tomorrow", "2026-01-01", "2026-01-01T00:00:00", "2026-13-01T00:00:00Z"];
    Some(match format {
        "date-time" => (
            vec![json!("2026-01-01T00:00:00Z"), json!("2026-01-01T00:00:00.5+02:00")],
            no_times.map(|text| refused(json!(text), "date-time")).into(),
        ),
        // A narrower bound of its own is what speaks.
        "int32" | "int64" if schema.get("maximum").is_some() => (vec![], vec![]),
        "int32" => {
            let beyond = refused(json!(i64::from(i32::MAX) + 1), "format int32 in {path}");
            (vec![json!(i32::MAX)], vec![Refused { field: NO_FIELD.to_owned(), ..beyond }])
        }
        "int64" => (vec![json!(i64::MAX)], vec![refused(json!(1.5), "must be of type int64")]),
        _ => return None,
    })
}

fn required(place: &Place, schema: &Value, names: &Value) -> (Vec<Value>, Vec<Refused>) {
    let whole = sample::value(place, schema, 0);
    let without = |name: &str| {
        let mut part = whole.clone();
        part.as_object_mut().unwrap().remove(name);
        Refused { field: format!("{{path}}.{name}"), ..refused(part, "Required value") }
    };
    let parts = names.as_array().into_iter().flatten().filter_map(Value::as_str).map(without).collect();
    (vec![whole.clone()], parts)
}

fn list(place: &Place, items: &Value, count: usize) -> Value {
    (0..count).map(|number| sample::value(&place.below(Step::Item), items, number)).collect()
}

fn map(place: &Place, values: &Value, count: usize) -> Value {
    let value = sample::value(&place.below(Step::Value), values, 0);
    Value::Object((0..count).map(|number| (format!("key-{number}"), value.clone())).collect())
}
