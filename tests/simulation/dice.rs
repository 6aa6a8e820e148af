//! Choices that follow from a seed.

use std::sync::{Arc, Mutex, PoisonError};

use rand::{RngExt, SeedableRng, rngs::StdRng};

/// Clones throw the same dice.
#[derive(Clone)]
pub struct Dice(Arc<Mutex<StdRng>>);

impl Dice {
    /// Those of one part of a play: a part that throws more often changes nothing for the others.
    pub fn of(seed: u64, part: u64) -> Self {
        let seed = seed.wrapping_mul(31).wrapping_add(part);
        Self(Arc::new(Mutex::new(StdRng::seed_from_u64(seed))))
    }

    /// Less than `sides`.
    pub fn below(&self, sides: usize) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).random_range(0..sides)
    }

    /// True so many times in a hundred.
    pub fn percent(&self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// One of them.
    pub fn one<'a, T>(&self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}
