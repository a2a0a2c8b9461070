//! Jobs that wait for their next attempt.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

use super::job::Job;

/// A waiting job; ordered by when it is due, and among equals by when it came.
struct Waiting {
    due: Reverse<(Instant, u64)>,
    job: Job,
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.due == other.due
    }
}
impl Eq for Waiting {}
impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> Ordering {
        self.due.cmp(&other.due)
    }
}

/// Jobs that wait for their next attempt, the next due first.
#[derive(Default)]
pub(super) struct DelayedJobs {
    heap: BinaryHeap<Waiting>,
    count: u64,
}

impl DelayedJobs {
    pub(super) fn push(&mut self, job: Job, wait: Duration) {
        self.count += 1;
        self.heap.push(Waiting { due: Reverse((Instant::now() + wait, self.count)), job });
    }

    /// Takes the next job that is due.
    pub(super) fn pop_due(&mut self) -> Option<Job> {
        if self.next_in()? > Duration::ZERO {
            return None;
        }
        self.heap.pop().map(|waiting| waiting.job)
    }

    /// Returns how long it is until a job is due; `None` when none waits.
    pub(super) fn next_in(&self) -> Option<Duration> {
        let Reverse((due, _)) = self.heap.peek()?.due;
        Some(due.saturating_duration_since(Instant::now()))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.heap.clear();
    }
}
