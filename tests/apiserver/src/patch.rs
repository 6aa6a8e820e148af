//! The four kinds of PATCH.

pub(crate) mod apply;
pub(crate) mod list_keys;
pub(crate) mod ownership;
pub(crate) mod strategic;

use serde_json::Value;

use crate::{
    failure::{Failure, bad_request, failure},
    kind::Kind,
};

/// A patch other than an apply.
pub(crate) enum Patch {
    Json(json_patch::Patch),
    Merge(Value),
    Strategic(Value),
}

impl Patch {
    pub fn parse(kind: &Kind, content_type: &str, body: Value) -> Result<Self, Failure> {
        let is_map = body.is_object();
        match content_type.split(';').next().unwrap_or_default() {
            "application/json-patch+json" => serde_json::from_value(body)
                .map(Self::Json)
                .map_err(|error| bad_request(format!("error decoding patch: {error}"))),
            "application/merge-patch+json" if is_map => Ok(Self::Merge(body)),
            "application/strategic-merge-patch+json" if is_map && !kind.is_custom() => {
                Ok(Self::Strategic(body))
            }
            other => {
                let why = "the body of the request was in an unknown format - accepted media types include: \
                           application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml";
                Err(failure(415, "UnsupportedMediaType", format!("{why} (got {other})")))
            }
        }
    }

    /// The object with this patch.
    pub fn patched(&self, object: &Value) -> Result<Value, Failure> {
        let mut patched = object.clone();
        match self {
            Self::Json(patch) => json_patch::patch(&mut patched, patch).map_err(|error| {
                failure(
                    422,
                    "Invalid",
                    format!("the server rejected our request due to an error in our request: {error}"),
                )
            })?,
            Self::Merge(patch) => json_patch::merge(&mut patched, patch),
            Self::Strategic(patch) => strategic::merge(&mut patched, patch),
        }
        Ok(patched)
    }
}
