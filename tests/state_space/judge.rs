//! What has to hold after a change: a new workspace with the same spec is the measure.

use std::fmt::Write as _;

use serde_json::Value;
use workspace_operator::api::{ConditionType, Reason};

use crate::seen::Seen;

/// What became of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// The API server refused it where it was written.
    Refused,
    /// It is carried out.
    CarriedOut,
    /// The operator says what is wrong with it, and what ran before runs on.
    Declined,
}

/// In these a workspace is not Ready that is carried out as asked: the rest is for its program, the scheduler or the
/// one who makes volumes, whom nobody asks beforehand.
const AS_ASKED: [Reason; 6] = [
    Reason::AwaitingRegistration,
    Reason::Held,
    Reason::Idle,
    Reason::Stopped,
    Reason::Unschedulable,
    Reason::VolumePending,
];
/// Of these the object that is missing is told, not who refers to it.
const OF_AN_OBJECT: [Reason; 2] = [Reason::ClassNotFound, Reason::ReferenceMissing];

/// Judges what became of a workspace by what became of a `fresh` one. A refusal has to name one of `fields`.
pub fn change(before: &Seen, after: &Seen, fresh: &Seen, fields: &[String]) -> Result<Outcome, String> {
    let why_not = fresh.reason(ConditionType::Ready);
    let runs = fresh.is_ready() || AS_ASKED.iter().any(|reason| reason.as_str() == why_not);
    if runs {
        return same(after, fresh).map(|()| Outcome::CarriedOut);
    }
    let said = if before.is_ready() {
        serves_on(before, after)?;
        ConditionType::UpToDate
    } else {
        ConditionType::Ready
    };
    let (reason, message) = (after.reason(said), after.message(said));
    let image = [Reason::ErrImagePull, Reason::ImagePullBackOff].map(Reason::as_str);
    let is_of_image = image.contains(&why_not) && reason == Reason::RestartDeclined.as_str();
    if reason != why_not && !is_of_image {
        return Err(format!("a new one is {why_not}, and this one tells {said}/{reason}: {message}"));
    }
    let is_named = fields.is_empty()
        || fields.iter().any(|field| message.contains(field))
        || OF_AN_OBJECT.iter().any(|object| object.as_str() == reason);
    if is_named {
        Ok(Outcome::Declined)
    } else {
        Err(format!("{said}/{reason} names none of {fields:?}: {message}"))
    }
}

fn serves_on(before: &Seen, after: &Seen) -> Result<(), String> {
    if !after.is_ready() {
        let (reason, message) = (after.reason(ConditionType::Ready), after.message(ConditionType::Ready));
        return Err(format!(
            "it served, and after a change that can't be carried out it is {reason}: {message}"
        ));
    }
    if after.uid != before.uid {
        return Err("it was restarted for a change that can't be carried out".to_owned());
    }
    if after.status(ConditionType::UpToDate) != "False" {
        return Err("a change that can't be carried out counts as carried out".to_owned());
    }
    Ok(())
}

/// Whether both are the same but for what differs between any two.
pub fn same(one: &Seen, other: &Seen) -> Result<(), String> {
    let (one, other) = if other.parts.contains_key("PersistentVolumeClaim") {
        (one.clone(), other.clone())
    } else {
        (one.without_volume(), other.without_volume())
    };
    if one.parts == other.parts {
        return Ok(());
    }
    let mut told = String::new();
    for part in one.parts.keys().chain(other.parts.keys().filter(|part| !one.parts.contains_key(*part))) {
        let (left, right) = (one.parts.get(part), other.parts.get(part));
        differences(part, left.unwrap_or(&Value::Null), right.unwrap_or(&Value::Null), &mut told);
    }
    Err(told)
}

/// The places in which two values differ.
fn differences(path: &str, left: &Value, right: &Value, told: &mut String) {
    match (left, right) {
        (left, right) if left == right => {}
        (Value::Object(one), Value::Object(other)) => {
            for name in one.keys().chain(other.keys().filter(|name| !one.contains_key(*name))) {
                let (left, right) = (one.get(name), other.get(name));
                differences(
                    &format!("{path}.{name}"),
                    left.unwrap_or(&Value::Null),
                    right.unwrap_or(&Value::Null),
                    told,
                );
            }
        }
        (left, right) => {
            let _ = write!(told, "\n      {path}: {left} where it should be {right}");
        }
    }
}

/// What leaves the Pod as it is restarts nobody.
pub fn restarted_for_nothing(before: &Seen, after: &Seen) -> bool {
    let is_same = before.parts.get("Pod") == after.parts.get("Pod") && before.is_ready() && after.is_ready();
    is_same && before.uid != after.uid
}
