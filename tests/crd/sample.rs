//! Values that fit a schema, and objects around them.

use serde_json::{Map, Value, json};
use workspace_operator::api::pattern;

use crate::schema::{Place, Step};

/// Values that fit a pattern and values that don't.
pub struct Form {
    pattern: &'static str,
    /// What goes before, between as often as needed, and after.
    parts: (&'static str, &'static str, &'static str),
    pub good: &'static [&'static str],
    pub bad: &'static [&'static str],
}

const FORMS: &[Form] = &[
    Form {
        pattern: pattern::SUBDOMAIN,
        parts: ("", "a", ""),
        good: &["a", "0", "a-b", "a.b-c.d"],
        bad: &["A", "-a", "a-", "a..b", "a.-b", "a_b", "a/b", "a b"],
    },
    Form {
        pattern: pattern::DATA_KEY,
        parts: ("", "a", ""),
        good: &["a", "KEY", ".config", "a-b_c.d"],
        bad: &["a b", "a/b", "a=b"],
    },
    Form {
        pattern: pattern::ENVIRONMENT_PREFIX,
        parts: ("", "A", ""),
        good: &["", "A_", "my-"],
        bad: &["A=", "é"],
    },
    Form {
        pattern: pattern::PORT_NAME,
        parts: ("", "a", ""),
        good: &["http", "8080-http", "a", "1a", "a-1-b"],
        bad: &["", "8080", "-http", "http-", "a--b", "HTTP", "a_b"],
    },
    Form {
        pattern: pattern::IMAGE,
        parts: ("", "a", ""),
        good: &["a", "host:5000/a/b:1", "a@sha256:0"],
        bad: &["a b", " a", "a\n"],
    },
    Form { pattern: pattern::ABSOLUTE_PATH, parts: ("/", "a", ""), good: &["/", "/a b"], bad: &["a", "./a"] },
    Form {
        pattern: pattern::MOUNT_PATH,
        parts: ("/", "a", ""),
        good: &["/a", "/a/b.c", "/..a"],
        bad: &["data", "/a:b", "./a"],
    },
    Form {
        pattern: pattern::QUANTITY,
        parts: ("", "0", "1"),
        good: &["1", "+1", "1.5", ".5", "500m", "2Gi", "1e3", "1E-2"],
        bad: &["", "-1", "lots", "1 Gi", "1gi", "1GB", "1KI", "Gi"],
    },
    Form {
        pattern: pattern::LABEL,
        parts: ("", "a", ""),
        good: &["a", "0", "a-b", "a--b"],
        bad: &["A", "-a", "a-", "a.b", "a_b"],
    },
    Form {
        pattern: pattern::QUALIFIED_NAME,
        parts: ("a", "a", "/a"),
        good: &["team", "example.com/team", "A", "a_b.c-D", "kubernetes.io/metadata.name"],
        bad: &["", "-a", "a-", "a/b/c", "Example.com/a", "/a", "a/", "two words"],
    },
    Form {
        pattern: pattern::LABEL_VALUE,
        parts: ("", "a", ""),
        good: &["", "a", "A", "0", "a-b_c.D"],
        bad: &["-a", "a-", ".a", "a_", "a b", "a/b"],
    },
    Form {
        pattern: pattern::REGISTRY,
        parts: ("", "a", ""),
        good: &["registry.example.com", "localhost:5000", "10.0.0.1:443"],
        bad: &["registry.example.com/", "a/b", "-a", "a:", "a:port", "a:123456"],
    },
    Form {
        pattern: pattern::OVERLAY_PATH,
        parts: ("spec.a", "a", ""),
        good: &["spec", "metadata.labels", "spec.containers[main].volumeMounts", "spec.containers[*]"],
        bad: &["status", "special", "spec.", "spec..a", "spec[0]", "spec.containers[]", "spec.a[b]c"],
    },
    Form {
        pattern: pattern::CIDR,
        parts: ("1", "1", "/8"),
        good: &["10.0.0.0/8", "fd00::/8", "::ffff:10.0.0.0/104"],
        bad: &["10.0.0.0", "10.0.0.0/", "/8", "private/8", "10.0.0.0/8 "],
    },
    Form {
        pattern: pattern::COUNT_OR_PERCENT,
        parts: ("", "1", ""),
        good: &["0", "10", "999999", "0%", "10%", "100%"],
        bad: &["", "-1", "%", "101%", "1.5", "some"],
    },
];

/// What is known of a pattern.
pub fn form(pattern: &str) -> Option<&'static Form> {
    FORMS.iter().find(|form| form.pattern == pattern)
}

/// A string of that length which fits all else that the schema says.
pub fn text(schema: &Value, length: usize) -> String {
    let (before, between, after) = parts(schema);
    let count = length.saturating_sub(before.len() + after.len());
    let text = format!("{before}{}{after}", between.repeat(count));
    // Shorter than what goes before and after: nothing of that length fits.
    if text.len() > length { "a".repeat(length) } else { text }
}

/// The length below which there is no such string.
pub fn least(schema: &Value) -> usize {
    let (before, _, after) = parts(schema);
    before.len() + after.len()
}

fn parts(schema: &Value) -> (&'static str, &'static str, &'static str) {
    match (&schema["pattern"], &schema["format"]) {
        (Value::String(pattern), _) => {
            form(pattern).unwrap_or_else(|| panic!("no samples of {pattern}")).parts
        }
        (_, Value::String(format)) if format == "date-time" => ("2026-01-01T00:00:00.", "0", "Z"),
        _ => ("", "a", ""),
    }
}

/// The least value that fits. Those of different `number` differ where the schema leaves a choice.
pub fn value(place: &Place, schema: &Value, number: usize) -> Value {
    if let Some(choices) = schema["enum"].as_array() {
        return choices[number % choices.len()].clone();
    }
    match schema["type"].as_str() {
        Some("string") => {
            let longest = schema["maxLength"].as_u64().map_or(usize::MAX, |most| most.try_into().unwrap());
            json!(text(schema, (shortest(schema) + number).min(longest)))
        }
        Some("integer") => {
            json!(schema["minimum"].as_f64().map_or(1, whole) + i64::try_from(number).unwrap())
        }
        Some("boolean") => json!(true),
        Some("array") => json!([]),
        Some("object") => complete(place, object(place, schema, number)),
        _ => json!(1),
    }
}

/// The number without its fraction, of which no bound has one.
#[expect(clippy::cast_possible_truncation, reason = "bounds are whole and small")]
pub fn whole(number: f64) -> i64 {
    number as i64
}

fn shortest(schema: &Value) -> usize {
    let shortest = if schema["format"] == "date-time" { 22 } else { least(schema).max(2) };
    schema["minLength"].as_u64().map_or(shortest, |least| shortest.max(usize::try_from(least).unwrap()))
}

fn object(place: &Place, schema: &Value, number: usize) -> Value {
    let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let fields = required.map(|name| {
        let place = place.below(Step::Field(name.to_owned()));
        (name.to_owned(), value(&place, &schema["properties"][name], number))
    });
    Value::Object(fields.collect())
}

/// The least object of schema `root` with `value` at `place`, and the path of the value in it.
pub fn around(root: &Value, place: &Place, value: Value) -> (Value, String) {
    let mut path = String::new();
    let object = nest(root, &Place::default(), &place.0, value, &mut path);
    (object, path)
}

fn nest(schema: &Value, at: &Place, steps: &[Step], inner: Value, path: &mut String) -> Value {
    let Some((step, rest)) = steps.split_first() else { return inner };
    let below = at.below(step.clone());
    let (built, steps_path) = match step {
        Step::Field(name) => {
            let mut object = object(at, schema, 0);
            let dot = if at.0.is_empty() { "" } else { "." };
            let mut path = format!("{dot}{name}");
            object[name] = nest(&schema["properties"][name], &below, rest, inner, &mut path);
            (object, path)
        }
        Step::Item => {
            let mut path = "[0]".to_owned();
            (json!([nest(&schema["items"], &below, rest, inner, &mut path)]), path)
        }
        Step::Value => {
            let mut path = ".key".to_owned();
            (json!({"key": nest(&schema["additionalProperties"], &below, rest, inner, &mut path)}), path)
        }
    };
    path.push_str(&steps_path);
    complete(at, built)
}

/// With what the rules demand beyond the schema. Their own tests are in `rules`.
pub fn complete(place: &Place, mut value: Value) -> Value {
    let Some(object) = value.as_object_mut() else { return value };
    let is_item_of = |list: &str| {
        place.0.last() == Some(&Step::Item) && Place(place.0[..place.0.len() - 1].to_vec()).field() == list
    };
    match place.field() {
        "valueFrom" => one_of(
            object,
            &["configMapKeyRef", "fieldRef", "fileKeyRef", "resourceFieldRef", "secretKeyRef"],
            ("fieldRef", json!({"fieldPath": "metadata.name"})),
        ),
        "startupProbe" | "readinessProbe" | "livenessProbe" => {
            one_of(object, &["exec", "grpc", "httpGet", "tcpSocket"], ("tcpSocket", json!({"port": 1})));
        }
        "dataSourceRef" => one_of(object, &["apiGroup"], ("apiGroup", json!("example.com"))),
        "spec" if object.contains_key("network") => {
            object.insert("networkPolicy".to_owned(), json!("Managed"));
        }
        _ if is_item_of("envFrom") => {
            one_of(object, &["configMapRef", "secretRef"], ("secretRef", json!({"name": "a"})));
        }
        _ if is_item_of("allowed") => {
            one_of(object, &["exact", "prefix", "registry"], ("registry", json!("a")));
        }
        _ if is_item_of("matchExpressions") && takes_values(object) => {
            one_of(object, &["values"], ("values", json!(["a"])));
        }
        _ => {}
    }
    value
}

fn takes_values(requirement: &Map<String, Value>) -> bool {
    requirement.get("operator").is_some_and(|operator| operator == "In" || operator == "NotIn")
}

fn one_of(object: &mut Map<String, Value>, choices: &[&str], (name, value): (&str, Value)) {
    if !choices.iter().any(|choice| object.contains_key(*choice)) {
        object.insert(name.to_owned(), value);
    }
}
