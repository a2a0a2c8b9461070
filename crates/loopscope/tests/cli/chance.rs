//! Seeded chance and the counts that a soak sets.

/// A small generator of our own (SplitMix64), so that a seed names its moments.
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    /// Returns a number below `limit`, which is at least 1.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % limit
    }
}

/// Returns the number in an environment variable, or `otherwise` when it is not set.
pub(crate) fn setting(name: &str, otherwise: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} is a number, got {text}")),
        Err(_) => otherwise,
    }
}
