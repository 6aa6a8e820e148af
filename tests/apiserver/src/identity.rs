//! UIDs and name suffixes: as unlike each other as random ones, and the same in every run.

/// Draws the next ones.
#[derive(Debug)]
pub(crate) struct Identities {
    seed: u64,
    drawn: u64,
}

impl Identities {
    pub fn new(seed: u64) -> Self {
        Self { seed, drawn: 0 }
    }

    // SplitMix64: equal seeds give equal sequences.
    fn next(&mut self) -> u64 {
        self.drawn += 1;
        let mut mixed = self.seed.wrapping_add(self.drawn.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A version 4 UUID.
    pub fn uid(&mut self) -> String {
        let (high, low) = (self.next(), self.next());
        format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            high >> 32,
            (high >> 16) & 0xffff,
            high & 0xfff,
            (low >> 48) & 0x3fff | 0x8000,
            low & 0xffff_ffff_ffff
        )
    }

    /// The five letters behind a generateName.
    pub fn suffix(&mut self) -> String {
        const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
        let mut left = self.next();
        let mut suffix = String::new();
        for _ in 0..5 {
            let position = usize::try_from(left % LETTERS.len() as u64).unwrap_or_default();
            suffix.push(char::from(LETTERS[position]));
            left /= LETTERS.len() as u64;
        }
        suffix
    }
}
