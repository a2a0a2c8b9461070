//! How many threads and how much memory a clustering may take, and what it would take.

use super::ClusterError;
use super::neighbours::BlockBounds;
use super::packed::Packed;
use super::tree::{Plan, list_length};

/// More distinct points than this are refused: the exact tree looks at every pair, twice.
///
/// At 768 dimensions the pairs of so many points take about half an hour on two cores.
pub const POINTS_MAX: usize = 250_000;

/// Memory that the bounds of all pairs may take where nothing else is said: enough for about 22,000 points.
///
/// Without them 30,000 vectors take 7.1 s and 0.2 GB in place of 5.3 s and 1.8 GB: a third more time for an eighth of the
/// memory, and no more than a gigabyte at any size up to 100,000.
const BOUNDS_BYTES_MAX: u64 = 1_000_000_000;

/// Threads and memory of a clustering. Neither changes a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resources {
    thread_count: usize,
    memory_bytes_max: Option<u64>,
}

impl Default for Resources {
    /// One thread, and no limit to memory.
    fn default() -> Self {
        Self { thread_count: 1, memory_bytes_max: None }
    }
}

impl Resources {
    /// Sets how many threads work; 0 is taken for 1.
    #[must_use]
    pub fn with_threads(self, thread_count: usize) -> Self {
        Self { thread_count: thread_count.max(1), ..self }
    }

    /// Sets how much memory the computation may take beside the vectors themselves, by its own estimate.
    #[must_use]
    pub fn with_memory_bytes_max(self, memory_bytes_max: u64) -> Self {
        Self { memory_bytes_max: Some(memory_bytes_max), ..self }
    }

    /// Returns how many threads work, at least 1.
    pub fn thread_count(&self) -> usize {
        self.thread_count
    }

    /// Returns about how many bytes a clustering of `point_count` distinct points takes beside the vectors themselves.
    ///
    /// # Errors
    ///
    /// [`ClusterError::TooMuchMemory`] where that is more than allowed, [`ClusterError::TooManyPoints`] above
    /// [`POINTS_MAX`].
    pub fn memory_bytes(&self, point_count: usize, dimension: usize, min_samples: usize) -> Result<u64, ClusterError> {
        self.plan(point_count, dimension, min_samples).map(|(_, bytes)| bytes)
    }

    /// Decides how to go about it: the bounds of all pairs are kept where there is room, since that is faster.
    pub(super) fn plan(
        &self,
        point_count: usize,
        dimension: usize,
        min_samples: usize,
    ) -> Result<(Plan, u64), ClusterError> {
        if point_count > POINTS_MAX {
            return Err(ClusterError::TooManyPoints { got: point_count, max: POINTS_MAX });
        }
        let n = point_count as u64;
        // A candidate takes 8 bytes and a neighbour 16; an edge 24, and several arrays hold a number for each point.
        let lists = n * (list_length(min_samples) as u64 * 32 + 700);
        let least = Packed::bytes(point_count, dimension) + lists;
        let bounds = BlockBounds::bytes(point_count);
        let with_bounds = least + bounds;
        let allowed = self.memory_bytes_max.unwrap_or(u64::MAX);
        if bounds <= BOUNDS_BYTES_MAX && with_bounds <= allowed {
            return Ok((Plan { keep_bounds: true }, with_bounds));
        }
        if least > allowed {
            return Err(ClusterError::TooMuchMemory { needed_bytes: least, allowed_bytes: allowed });
        }
        Ok((Plan { keep_bounds: false }, least))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_kept_where_there_is_room() {
        let resources = Resources::default();
        let (plan, bytes) = resources.plan(10_000, 768, 10).unwrap();
        assert!(plan.keep_bounds && bytes < 300_000_000, "{bytes}");
        let (plan, bytes) = resources.plan(100_000, 768, 100).unwrap();
        assert!(!plan.keep_bounds && bytes < 1_000_000_000, "{bytes}");
        let little = resources.with_memory_bytes_max(100_000_000);
        assert!(!little.plan(10_000, 768, 10).unwrap().0.keep_bounds);
        let error = little.plan(100_000, 768, 100).unwrap_err();
        assert!(matches!(error, ClusterError::TooMuchMemory { allowed_bytes: 100_000_000, .. }));
        assert!(matches!(resources.plan(POINTS_MAX + 1, 3, 5), Err(ClusterError::TooManyPoints { .. })));
    }
}
