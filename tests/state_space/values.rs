//! Values for a property, as its schema has them: some of each form, and those at its edges.

use serde_json::{Value, json};
use workspace_operator::api::pattern;

use crate::{sample, schema::Place};

/// Text for which the schema has no form: what the API server then says of it is told on the workspace.
const ANY_TEXT: [&str; 3] = ["aa", "", "Ä b/c\n%"];
/// How many values of a form are set.
const FORMED: usize = 3;
const QUANTITIES: [&str; 3] = ["1", "500m", "2Gi"];

/// Values that the schema accepts, in the order they are set.
pub fn valid(place: &Place, schema: &Value) -> Vec<Value> {
    if let Some(choices) = schema["enum"].as_array() {
        return choices.clone();
    }
    match schema["type"].as_str() {
        Some("boolean") => vec![json!(true), json!(false)],
        Some("integer") => integers(schema),
        Some("string") => texts(place, schema),
        Some("array") => lists(place, schema),
        Some("object") => vec![sample::value(place, schema, 0)],
        // A quantity, a port or a share.
        _ if schema["pattern"] == pattern::QUANTITY => QUANTITIES.map(|text| json!(text)).into(),
        _ => vec![json!(1), sample_text(schema)],
    }
}

/// Values that the schema refuses.
pub fn invalid(schema: &Value) -> Vec<Value> {
    let mut values = match schema["type"].as_str() {
        Some("object") => vec![json!([]), json!("text")],
        Some("array") => vec![json!({}), json!("text")],
        Some("string") => vec![json!({}), json!(7)],
        _ => vec![json!({}), json!([])],
    };
    if schema.get("enum").is_some() {
        values.push(json!("Nonsense"));
    }
    if let Some(least) = schema["minimum"].as_f64() {
        values.push(json!(sample::whole(least) - 1));
    }
    if let Some(most) = schema["maximum"].as_f64() {
        values.push(json!(sample::whole(most) + 1));
    }
    if let Some(form) = schema["pattern"].as_str().and_then(sample::form) {
        values.extend(form.bad.iter().map(|text| json!(text)));
    }
    values
}

fn integers(schema: &Value) -> Vec<Value> {
    let bound = |keyword: &str| schema[keyword].as_f64().map(sample::whole);
    let most = if schema["format"] == "int32" { i64::from(i32::MAX) } else { i64::MAX };
    let (least, most) = (bound("minimum").unwrap_or(1), bound("maximum").unwrap_or(most));
    let mut numbers = vec![least, least + 1, most];
    numbers.dedup();
    numbers.into_iter().map(|number| json!(number)).collect()
}

fn texts(place: &Place, schema: &Value) -> Vec<Value> {
    let named = [pattern::SUBDOMAIN, pattern::DATA_KEY];
    if let Some(form) = schema["pattern"].as_str().filter(|form| !named.contains(form)).and_then(sample::form)
    {
        return form.good.iter().take(FORMED).map(|text| json!(text)).collect();
    }
    // The stage has what these name.
    if schema["pattern"].is_string() || schema["format"].is_string() {
        return vec![sample::value(place, schema, 0), sample::value(place, schema, 1)];
    }
    let least = schema["minLength"].as_u64().unwrap_or_default();
    let most = schema["maxLength"].as_u64().unwrap_or(u64::MAX);
    let fits = |text: &&str| (least..=most).contains(&(text.chars().count() as u64));
    ANY_TEXT.into_iter().filter(fits).map(|text| json!(text)).collect()
}

fn lists(place: &Place, schema: &Value) -> Vec<Value> {
    let item = |number| sample::value(&place.below(crate::schema::Step::Item), &schema["items"], number);
    vec![json!([]), json!([item(0)]), json!([item(1), item(0)])]
}

fn sample_text(schema: &Value) -> Value {
    json!(sample::text(schema, sample::least(schema).max(1)))
}
