//! How much is run, and how to run the same again.
//!
//! `STATE_SPACE` is `all`, or a slice as `3/12`: every twelfth case from the third on. Left out: a random slice.
//! `STATE_SPACE_SEED` gives the random sequences, `STATE_SPACE_SEQUENCES` how many there are.
//! `STATE_SPACE_PROPERTY` leaves only the properties with that in their path.

use std::{env, str::FromStr};

use crate::{case::Case, kind::Kind};

/// So many parts the whole is cut into for a test that takes a minute or two.
const PARTS: usize = 24;
/// How many sequences go with a slice.
const SEQUENCES: usize = 6;

#[derive(Clone, Debug)]
pub struct Choice {
    slice: Option<(usize, usize)>,
    property: Option<String>,
    pub seed: u64,
    pub sequences: usize,
}

impl Choice {
    /// What the environment says.
    pub fn of_environment() -> Self {
        let slice = match env::var("STATE_SPACE").ok().as_deref() {
            Some("all") => None,
            Some(text) => Some(text.split_once('/').map(|(part, of)| (number(part), number(of))).unwrap()),
            None => Some((rand::random_range(0..PARTS), PARTS)),
        };
        let variable = |name: &str| env::var(name).ok();
        Self {
            slice,
            property: variable("STATE_SPACE_PROPERTY"),
            seed: variable("STATE_SPACE_SEED")
                .map_or_else(|| u64::from(rand::random::<u32>()), |text| number(&text)),
            sequences: variable("STATE_SPACE_SEQUENCES").map_or(SEQUENCES, |text| number(&text)),
        }
    }

    /// The cases of both kinds that were chosen.
    pub fn cases(&self) -> Vec<Case> {
        let all = Kind::ALL.into_iter().flat_map(crate::case::all);
        let (part, of) = self.slice.unwrap_or((0, 1));
        all.filter(|case| self.has(&case.name))
            .enumerate()
            .filter(|(number, _)| number % of == part % of)
            .map(|(_, case)| case)
            .collect()
    }

    /// Whether this property may be among them.
    pub fn has(&self, path: &str) -> bool {
        self.property.as_ref().is_none_or(|part| path.contains(part))
    }

    /// Whether nothing is left out.
    pub fn is_all(&self) -> bool {
        self.slice.is_none() && self.property.is_none()
    }

    /// The command that runs the same again.
    pub fn how_to_repeat(&self) -> String {
        let slice = self.slice.map_or_else(|| "all".to_owned(), |(part, of)| format!("{part}/{of}"));
        format!(
            "STATE_SPACE={slice} STATE_SPACE_SEED={} STATE_SPACE_SEQUENCES={} cargo test --test state_space",
            self.seed, self.sequences
        )
    }
}

fn number<T: FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.trim().parse().unwrap()
}
