//! Random sequences of changes: what one property leaves behind, the next one meets.

use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::Value;

use crate::{
    case::{self, Case},
    kind::{Kind, properties},
    listed,
};

/// How many changes a sequence has.
const LENGTHS: std::ops::RangeInclusive<usize> = 5..=10;

/// So many sequences of workspaces' specs from `seed`.
pub fn of_seed(seed: u64, count: usize) -> Vec<Case> {
    let kind = Kind::Workspace;
    let root = kind.schema();
    let mut parts = Vec::new();
    for (place, schema) in properties(&root) {
        if listed::can_be_in_a_sequence(&place.to_string()) {
            parts.extend(case::fragments(kind, &root, &place, schema));
        }
    }
    (0..count as u64).map(|number| sequence(kind, &parts, seed, number)).collect()
}

fn sequence(kind: Kind, parts: &[Value], seed: u64, number: u64) -> Case {
    let mut random = StdRng::seed_from_u64(seed.wrapping_mul(1_000_003).wrapping_add(number));
    let mut spec = kind.base();
    let length = random.random_range(LENGTHS);
    let specs = (0..length).map(|_| {
        let fields: Vec<String> =
            spec.as_object().unwrap().keys().filter(|name| *name != "image").cloned().collect();
        if !fields.is_empty() && random.random_bool(0.25) {
            let gone = &fields[random.random_range(0..fields.len())];
            spec.as_object_mut().unwrap().remove(gone);
        } else {
            spec = kind.with(&spec, &parts[random.random_range(0..parts.len())]);
        }
        spec.clone()
    });
    let specs = specs.collect();
    Case { kind, name: format!("sequence {number} of seed {seed}"), fields: Vec::new(), specs }
}
