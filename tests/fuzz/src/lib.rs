//! What has to hold of any input, however malformed. A fuzzer looks for inputs of which it does not (`make fuzz`), and a
//! test keeps those that were found (`corpus/`).
#![allow(
    clippy::missing_panics_doc,
    clippy::panic,
    reason = "to panic is how a property says that it does not hold"
)]

pub mod custom_resource;
pub mod overlay;
pub mod registration;
pub mod restart;

/// A property as a function of an input: it panics where it does not hold.
pub type Check = fn(&[u8]);

/// All of them, by the name of their fuzz target and of their folder in `corpus/`.
pub const CHECKS: [(&str, Check); 4] = [
    ("custom_resource", custom_resource::check),
    ("overlay", overlay::check),
    ("registration", registration::check),
    ("restart", restart::check),
];
