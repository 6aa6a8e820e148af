//! The overlay of a Pod (`podTemplate.spec` of class and workspace): merged by the rules of a strategic merge patch,
//! checked before, and held against what a class lets its workspaces set.
//!
//! It is JSON all the way: an overlay is a part of a PodSpec, and a typed part can't tell a field that was left out
//! from an empty one.

mod check;
mod field_path;
mod merge;
mod place;
mod touched;

pub use check::{check, check_mounts};
pub use field_path::{BadPath, FieldPath, within};
pub use merge::merge;
pub use touched::touched;

/// What of a `podTemplate` is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("podTemplate.{field}: {why}")]
pub struct Refused {
    /// The path below `podTemplate`, as `spec.containers[main].image`.
    pub field: String,
    /// Why, and what to do instead.
    pub why: String,
}

/// Names and values in an overlay may have any length, a condition's message may not.
fn shortened(text: String) -> String {
    const LONGEST: usize = 2000;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

impl Refused {
    fn new(field: impl Into<String>, why: impl Into<String>) -> Self {
        Self { field: shortened(field.into()), why: shortened(why.into()) }
    }
}
