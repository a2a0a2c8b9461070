//! A sample that a seed chooses: the objects whose ids hash lowest with it.
//!
//! Which objects are chosen depends on the seed and the ids alone, not on the order in which they come, and a larger
//! sample holds every smaller one of the same seed.

use std::collections::BinaryHeap;

/// A sample under way; it keeps its own members only.
pub(super) struct Sample {
    size_max: usize,
    seed: u64,
    /// By hash, the highest on top: the next to go.
    chosen: BinaryHeap<([u8; 32], Position, [u8; 16])>,
    offered: u64,
}

/// The model, then the order in which objects came.
type Position = (usize, u64);

impl Sample {
    pub(super) fn new(size_max: Option<usize>, seed: u64) -> Self {
        Self { size_max: size_max.unwrap_or(usize::MAX), seed, chosen: BinaryHeap::new(), offered: 0 }
    }

    /// Offers an object of a group.
    pub(super) fn offer(&mut self, id: [u8; 16], group: usize) {
        self.offered += 1;
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.seed.to_le_bytes()).update(&id);
        self.chosen.push((*hasher.finalize().as_bytes(), (group, self.offered), id));
        if self.chosen.len() > self.size_max {
            self.chosen.pop();
        }
    }

    /// Returns the chosen objects, group by group, in the order in which they came.
    pub(super) fn chosen(self) -> Vec<[u8; 16]> {
        let mut chosen: Vec<_> = self.chosen.into_iter().map(|(_, position, id)| (position, id)).collect();
        chosen.sort_unstable();
        chosen.into_iter().map(|(_, id)| id).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(size: usize, seed: u64, ids: impl Iterator<Item = u8>) -> Vec<u8> {
        let mut sample = Sample::new(Some(size), seed);
        ids.for_each(|number| sample.offer([number; 16], usize::from(number % 2)));
        sample.chosen().iter().map(|id| id[0]).collect()
    }

    #[test]
    fn a_seed_chooses_whatever_the_order() {
        let mut forwards = sample(20, 7, 0..200);
        let mut backwards = sample(20, 7, (0..200).rev());
        assert_eq!(forwards.len(), 20);
        assert!(forwards.is_sorted_by_key(|number| (number % 2, *number)), "group by group, in order: {forwards:?}");
        forwards.sort_unstable();
        backwards.sort_unstable();
        assert_eq!(forwards, backwards);
        assert!(
            sample(10, 7, 0..200).iter().all(|number| forwards.contains(number)),
            "larger samples hold smaller ones"
        );
        assert_ne!(sample(20, 8, 0..200), sample(20, 7, 0..200));
        assert_eq!(sample(500, 1, 0..9).len(), 9);
    }
}
