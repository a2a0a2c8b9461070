//! Work shared among threads, with progress and cancellation.
//!
//! Which thread does which piece is left to chance; no result may depend on it. The calling thread works too, and it
//! alone reports.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError, RwLock};
use std::thread;
use std::time::Duration;

use crate::error::Error;

/// Pieces of work between two reports, where pieces are small.
const REPORT_EVERY: usize = 256;

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
                let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
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

    /// Does the pieces of work numbered from 0, in about that order, on all threads that have `share` of them or more.
    ///
    /// Each thread begins with a state of its own; these are returned, or the first error of any, in no particular order.
    pub(crate) fn for_each<S: Send>(
        &mut self,
        stage: Stage,
        count: usize,
        share: usize,
        start: impl Fn() -> S + Sync,
        work: impl Fn(&mut S, usize) -> Result<(), Error> + Sync,
    ) -> Result<Vec<S>, Error> {
        let (next, stopped) = (AtomicUsize::new(0), AtomicBool::new(false));
        let run = |report: &mut dyn FnMut(usize) -> Result<(), Error>| {
            let mut state = start();
            let mut done = 0usize;
            while !stopped.load(Ordering::Relaxed) {
                let index = next.fetch_add(1, Ordering::Relaxed);
                if index >= count {
                    break;
                }
                let reported = if done.is_multiple_of(REPORT_EVERY) { report(index) } else { Ok(()) };
                reported
                    .and_then(|()| work(&mut state, index))
                    .inspect_err(|_| stopped.store(true, Ordering::Relaxed))?;
                done += 1;
            }
            Ok(state)
        };
        thread::scope(|scope| {
            let others = self.thread_count.min(count / share).saturating_sub(1);
            let handles: Vec<_> = (0..others).map(|_| scope.spawn(|| run(&mut |_| Ok(())))).collect();
            let mut states = vec![run(&mut |done| self.report(stage, done, count))];
            for handle in handles {
                match handle.join() {
                    Ok(state) => states.push(state),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            states.into_iter().collect()
        })
    }
}

/// Works in rounds: this thread alone leads, then all threads work on what it left, until it says that it is done.
///
/// Each thread begins with a state of its own; one that cannot, or comes late, leaves its work to the others. So `work`
/// shares out what there is by itself, and a round ends when all that is begun is finished.
///
/// # Errors
///
/// Those of `lead`, and of `start` on this thread.
pub(crate) fn in_rounds<C: Send + Sync, W>(
    thread_count: usize,
    shared: &RwLock<C>,
    start: impl Fn() -> Result<W, Error> + Sync,
    work: impl Fn(&mut W, &C) + Sync,
    mut lead: impl FnMut(&mut C) -> Result<bool, Error>,
) -> Result<(), Error> {
    let round = AtomicUsize::new(0);
    let follow = || {
        let Ok(mut state) = start() else { return };
        let mut last = 0;
        loop {
            let next = wait_for_change(&round, last);
            if next == ENDED {
                return;
            }
            last = next;
            work(&mut state, &shared.read().unwrap_or_else(PoisonError::into_inner));
        }
    };
    thread::scope(|scope| {
        // Also when this thread panics, the others must not wait for it.
        let end = EndOnDrop(&round);
        (1..thread_count).for_each(|_| drop(scope.spawn(follow)));
        let mut state = start()?;
        // To be let in to write is to know that nobody works any more.
        while lead(&mut shared.write().unwrap_or_else(PoisonError::into_inner))? {
            end.0.fetch_add(1, Ordering::Release);
            work(&mut state, &shared.read().unwrap_or_else(PoisonError::into_inner));
        }
        Ok(())
    })
}

/// The number of a round that never comes.
const ENDED: usize = usize::MAX;

struct EndOnDrop<'a>(&'a AtomicUsize);

impl Drop for EndOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(ENDED, Ordering::Release);
    }
}

/// Waits until another round begins, busily at first, as rounds are short.
fn wait_for_change(round: &AtomicUsize, last: usize) -> usize {
    for tries in 0usize.. {
        let next = round.load(Ordering::Acquire);
        if next != last {
            return next;
        }
        match tries {
            0..1000 => std::hint::spin_loop(),
            1000..2000 => thread::yield_now(),
            _ => thread::sleep(Duration::from_micros(50)),
        }
    }
    ENDED
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
