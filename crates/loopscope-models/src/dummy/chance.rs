//! Chance that is a function of its arguments: integers only, equal on every machine.

/// A stream of numbers that its domain, seed and bytes determine (SplitMix64 from a BLAKE3 hash).
pub(super) struct Chance(u64);

impl Chance {
    /// Returns the stream of these arguments; a stream of one domain says nothing about that of another.
    pub(super) fn new(domain: &str, seed: u64, bytes: &[u8]) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&(domain.len() as u64).to_le_bytes()).update(domain.as_bytes());
        hasher.update(&seed.to_le_bytes()).update(bytes);
        let mut start = [0; 8];
        start.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
        Self(u64::from_le_bytes(start))
    }

    /// Returns the next 64 bits.
    pub(super) const fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// Returns a number in `0..count`, each nearly as likely; `count` is at least 1.
    pub(super) const fn below(&mut self, count: u64) -> u64 {
        ((self.bits() >> 32) * count) >> 32
    }

    /// Returns true in `percent` of 100 cases.
    pub(super) const fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// Returns a number in `low..high`, one of 2^24 steps.
    pub(super) const fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * (self.below(1 << 24) as f64 / (1 << 24) as f64)
    }

    /// Returns one of the items, which are at least one.
    pub(super) const fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len() as u64) as usize]
    }
}

/// Returns 64 bits that each depend on all bits of `value` (the finaliser of SplitMix64).
pub(super) const fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_told_apart_by_every_argument() {
        let first = |domain, seed, bytes: &[u8]| Chance::new(domain, seed, bytes).bits();
        let base = first("a", 1, b"x");
        assert_eq!(base, first("a", 1, b"x"));
        assert!([first("b", 1, b"x"), first("a", 2, b"x"), first("a", 1, b"y")].iter().all(|other| *other != base));
    }

    #[test]
    fn draws_stay_in_range() {
        let mut chance = Chance::new("range", 0, b"");
        for _ in 0..1000 {
            assert!(chance.below(7) < 7);
            assert!((-0.5..0.5).contains(&chance.between(-0.5, 0.5)));
        }
    }
}
