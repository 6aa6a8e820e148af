//! Where in a scenario something can go wrong: a write, told in words that are the same in every run.

use std::fmt;

use serde_json::Value;
use test_apiserver::recorder::Request;
use workspace_operator::api::names;

/// One write of a scenario. It is found again by its words, and by how often they were said before.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Point {
    pub write: Write,
    /// Counts from 1.
    pub nth: usize,
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.nth {
            1 => write!(f, "{}", self.write),
            nth => write!(f, "{}#{nth}", self.write),
        }
    }
}

/// What a write does to what.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Write(String);

impl Write {
    /// The write that `call` is; none where it changes nothing, or only tells a person something.
    pub fn of(call: &Request, body: Option<&Value>) -> Option<Self> {
        let changes = call.verb.is_write()
            && !call.dry_run
            && !matches!(call.kind.as_str(), "Event" | "Lease" | "TokenReview")
            && call.subresource.as_deref() != Some("token");
        changes.then(|| {
            let verb = format!("{:?}", call.verb).to_lowercase();
            let kind = call
                .subresource
                .as_ref()
                .map_or_else(|| call.kind.clone(), |subresource| format!("{}.{subresource}", call.kind));
            let name = spelt_alike(call.name.as_deref().unwrap_or_default());
            let told = body.and_then(|body| told(call, body)).unwrap_or_default();
            Self(format!("{verb}-{kind}-{name}{told}"))
        })
    }

    /// Whether it makes one of the operator's own Secrets, as every operator does where there is none.
    pub fn is_of_operator_itself(&self) -> bool {
        [names::HASH_KEY_SECRET, names::REGISTRATION_SECRET].iter().any(|name| self.0.contains(name))
    }

    /// Whether it makes the object that is a start.
    pub fn is_start(&self) -> bool {
        let made = self.0.strip_prefix("create-").unwrap_or_default();
        matches!(made, "Pod-x" | "Pod-y" | "Secret-x-workspace")
    }

    /// Whether it is a deletion.
    pub fn is_deletion(&self) -> bool {
        self.0.starts_with("delete-")
    }
}

impl fmt::Display for Write {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A probe's name ends with what the API server made up.
fn spelt_alike(name: &str) -> &str {
    match name.split_once("-image-") {
        Some((owner, _)) => &name[..owner.len() + "-image".len()],
        None => name,
    }
}

/// What a status says: as `[1-False-Starting]`, the number of the start and the state of Ready. How often it is written
/// differs from run to run, what it says in the end does not.
fn told(call: &Request, body: &Value) -> Option<String> {
    if (call.kind.as_str(), call.subresource.as_deref()) != ("Workspace", Some("status")) {
        return None;
    }
    let status = &body["status"];
    let conditions = status["conditions"].as_array()?;
    let of = |type_: &str| {
        let found = conditions.iter().find(|condition| condition["type"] == type_);
        found.map_or_else(String::new, |found| format!("-{}", found["reason"].as_str().unwrap_or_default()))
    };
    let number = &status["incarnation"]["number"];
    let number = number.as_i64().unwrap_or_default();
    Some(format!("[{number}{}{}]", of("Ready"), of("UpToDate")))
}
