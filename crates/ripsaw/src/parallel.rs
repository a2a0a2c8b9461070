//! Work shared among threads, with progress and cancellation.
//!
//! Which thread does which piece is left to chance; no result may depend on it. The calling thread works too, and it
//! alone reports.

use std::ops::ControlFlow;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use crate::error::Error;

/// Names what is being done, to those who watch a computation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stage {
    /// Distances between points are measured.
    Distances,
    /// Edges that change no bar are taken out.
    Collapse,
    /// The simplices of one dimension, at least 1, are gone through for those whose columns must be reduced.
    Columns {
        /// Their dimension.
        dimension: usize,
    },
    /// The columns of one dimension, at least 1, are reduced.
    Reduction {
        /// Their dimension.
        dimension: usize,
    },
}

/// Tells the watcher, if there is one, how far a stage has come; the watcher may end it all.
pub(crate) struct Progress<'a> {
    watcher: Option<&'a mut dyn FnMut(Stage, f64) -> ControlFlow<()>>,
    /// How many threads work, at least one.
    pub(crate) thread_count: usize,
}

impl<'a> Progress<'a> {
    pub(crate) fn new(thread_count: usize, watcher: Option<&'a mut dyn FnMut(Stage, f64) -> ControlFlow<()>>) -> Self {
        Self { watcher, thread_count: thread_count.max(1) }
    }

    /// Reports `done` of `all` pieces of work.
    ///
    /// # Errors
    ///
    /// [`Error::Cancelled`] if the watcher says so.
    pub(crate) fn report(&mut self, stage: Stage, done: usize, all: usize) -> Result<(), Error> {
        let Some(watcher) = &mut self.watcher else { return Ok(()) };
        let fraction = if all == 0 { 1.0 } else { done as f64 / all as f64 };
        if watcher(stage, fraction).is_break() { Err(Error::Cancelled) } else { Ok(()) }
    }

    /// Does one piece of work for each item, on all threads, each of which begins with a state of its own.
    ///
    /// Returns the results in the order of the items, or the first error in that order of those met.
    pub(crate) fn map<T, S, R>(
        &mut self,
        stage: Stage,
        items: impl ExactSizeIterator<Item = T> + Send,
        start: impl Fn() -> S + Sync,
        work: impl Fn(&mut S, T) -> Result<R, Error> + Sync,
    ) -> Result<Vec<R>, Error>
    where
        R: Send,
    {
        let count = items.len();
        let queue = Mutex::new(items.enumerate());
        let (done, stopped) = (AtomicUsize::new(0), AtomicBool::new(false));
        let run = |report: &mut dyn FnMut(usize) -> Result<(), Error>| {
            let (mut state, mut results) = (start(), Vec::new());
            while !stopped.load(Ordering::Relaxed) {
                // A thread that panics takes the others with it when the scope ends; what it held is whole.
                let next = queue.lock().unwrap_or_else(std::sync::PoisonError::into_inner).next();
                let Some((index, item)) = next else { break };
                let result = work(&mut state, item);
                let result = result.and_then(|result| {
                    report(done.fetch_add(1, Ordering::Relaxed) + 1)?;
                    Ok(result)
                });
                stopped.fetch_or(result.is_err(), Ordering::Relaxed);
                results.push((index, result));
            }
            results
        };
        let mut results = thread::scope(|scope| {
            let others = self.thread_count.min(count).saturating_sub(1);
            let handles: Vec<_> = (0..others).map(|_| scope.spawn(|| run(&mut |_| Ok(())))).collect();
            let mut results = run(&mut |done| self.report(stage, done, count));
            for handle in handles {
                match handle.join() {
                    Ok(more) => results.extend(more),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            results
        });
        results.sort_unstable_by_key(|&(index, _)| index);
        results.into_iter().map(|(_, result)| result).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_items() {
        for thread_count in [1, 2, 4] {
            let mut progress = Progress::new(thread_count, None);
            let squares = progress.map(Stage::Distances, 0..100, || (), |(), item| Ok(item * item)).unwrap();
            assert_eq!(squares, (0..100).map(|item| item * item).collect::<Vec<_>>());
        }
    }

    #[test]
    fn the_watcher_ends_the_work() {
        for thread_count in [1, 3] {
            let mut watcher =
                |_, fraction: f64| if fraction > 0.5 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
            let mut progress = Progress::new(thread_count, Some(&mut watcher));
            let ended = progress.map(Stage::Distances, 0..1_000_000usize, || (), |(), item| Ok(item));
            // The calling thread may come too late to have anything to report.
            assert!(ended == Err(Error::Cancelled) || thread_count > 1);
        }
    }
}
