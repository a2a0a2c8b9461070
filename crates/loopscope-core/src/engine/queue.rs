//! The queue of jobs: for each lane, jobs by model, handed out in batches.
//!
//! What is downstream goes first, so that pictures do not pile up: on the CPU lane embeddings and diagrams before
//! invocations; on a device the thread stays with the model that it has loaded until there is nothing for it, so that
//! a swap is paid once for all runs, unless embeddings have piled up.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::job::{Job, Task};

/// The lane of small pure work.
pub(super) const CPU_LANE: usize = 0;

/// Embeddings that may wait on a device before they go ahead of invocations.
const EMBEDDINGS_WAITING_MAX: usize = 1024;

type JobsByModel = BTreeMap<usize, VecDeque<Job>>;

#[derive(Default)]
struct LaneQueue {
    invoke: JobsByModel,
    embed: JobsByModel,
    diagram: VecDeque<Job>,
}

struct State {
    lanes: Vec<LaneQueue>,
    is_closed: bool,
}

/// Jobs that wait for a thread.
pub(super) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
    /// For each model, the most items in a call.
    batch_max: Vec<usize>,
    /// For each lane, how many threads share its jobs.
    threads: Vec<usize>,
}

impl Queue {
    pub(super) fn new(batch_max: Vec<usize>, threads: Vec<usize>) -> Self {
        let lanes = threads.iter().map(|_| LaneQueue::default()).collect();
        Self { state: Mutex::new(State { lanes, is_closed: false }), changed: Condvar::new(), batch_max, threads }
    }

    /// A thread that panicked while it held the lock left whole jobs behind: pushes and pops do not panic half way.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn push(&self, lane: usize, job: Job) {
        let mut state = self.lock();
        let queue = &mut state.lanes[lane];
        match job.task {
            Task::Invoke { .. } => queue.invoke.entry(job.model).or_default().push_back(job),
            Task::Embed { .. } => queue.embed.entry(job.model).or_default().push_back(job),
            Task::Diagram => queue.diagram.push_back(job),
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Takes the next batch for a lane: jobs of one model and one task, at most as many as the model takes and as
    /// leaves work for the lane's other threads. Waits for one; `None` once the queue is closed.
    pub(super) fn take(&self, lane: usize, loaded: Option<usize>) -> Option<Vec<Job>> {
        let mut state = self.lock();
        loop {
            if state.is_closed {
                return None;
            }
            if let Some(batch) = self.pick(&mut state.lanes[lane], lane, loaded) {
                return Some(batch);
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn pick(&self, queue: &mut LaneQueue, lane: usize, loaded: Option<usize>) -> Option<Vec<Job>> {
        let waiting: usize = queue.embed.values().map(VecDeque::len).sum();
        if lane == CPU_LANE || waiting > EMBEDDINGS_WAITING_MAX {
            if let Some(model) = longest(&queue.embed) {
                return self.batch(&mut queue.embed, lane, model);
            }
            if let Some(job) = queue.diagram.pop_front() {
                return Some(vec![job]);
            }
        }
        if let Some(model) = loaded {
            for jobs in [&mut queue.invoke, &mut queue.embed] {
                if let Some(batch) = self.batch(jobs, lane, model) {
                    return Some(batch);
                }
            }
        }
        for jobs in [&mut queue.invoke, &mut queue.embed] {
            if let Some(model) = longest(jobs) {
                return self.batch(jobs, lane, model);
            }
        }
        None
    }

    /// Takes a batch of one model's jobs, if it has any.
    fn batch(&self, jobs: &mut JobsByModel, lane: usize, model: usize) -> Option<Vec<Job>> {
        let waiting = jobs.get_mut(&model).filter(|waiting| !waiting.is_empty())?;
        let share = waiting.len().div_ceil(self.threads[lane].max(1));
        let count = share.min(self.batch_max[model]).clamp(1, waiting.len());
        Some(waiting.drain(..count).collect())
    }

    /// Drops every job that no thread has taken, and returns how many there were.
    pub(super) fn clear(&self) -> usize {
        let mut state = self.lock();
        let mut dropped = 0;
        for queue in &mut state.lanes {
            for jobs in queue.invoke.values_mut().chain(queue.embed.values_mut()).chain([&mut queue.diagram]) {
                dropped += jobs.len();
                jobs.clear();
            }
        }
        dropped
    }

    /// Sends the threads home.
    pub(super) fn close(&self) {
        self.lock().is_closed = true;
        self.changed.notify_all();
    }
}

/// Returns the model with most jobs; of those, the first in the table.
fn longest(jobs: &JobsByModel) -> Option<usize> {
    let with_jobs = jobs.iter().filter(|(_, waiting)| !waiting.is_empty());
    with_jobs.max_by_key(|(index, waiting)| (waiting.len(), usize::MAX - **index)).map(|(&index, _)| index)
}
