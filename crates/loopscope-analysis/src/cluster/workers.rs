//! Work shared among threads, with progress and a way to stop it.
//!
//! Which thread does which piece is left to chance; no result depends on it. The calling thread works too, and it alone
//! reports.

use std::ops::{ControlFlow, Range};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// Names what is being done, to those who watch a clustering.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stage {
    /// The points are laid out for the processor.
    Pack,
    /// All distances are measured for the nearest neighbours of each point.
    Neighbours,
    /// All distances are gone through for the edges of the tree.
    Tree,
    /// The medoids of clusters are looked for.
    Medoids,
    /// Points are put in order, for OPTICS.
    Ordering,
}

impl Stage {
    /// Says in a few words what is done, for a progress line.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Pack => "laying out the vectors",
            Self::Neighbours => "nearest neighbours",
            Self::Tree => "spanning tree",
            Self::Medoids => "medoids",
            Self::Ordering => "ordering",
        }
    }
}

/// What looks on: it gets the stage and the share of it that is done, in `[0, 1]`, and may end it all.
pub type Watcher<'a> = dyn FnMut(Stage, f64) -> ControlFlow<()> + 'a;

/// The watcher said stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cancelled;

/// The threads there are, and who watches them.
pub(super) struct Workers<'a> {
    thread_count: usize,
    watcher: Option<&'a mut Watcher<'a>>,
}

impl<'a> Workers<'a> {
    pub(super) fn new<'b: 'a>(thread_count: usize, watcher: Option<&'a mut Watcher<'b>>) -> Self {
        // The compiler shortens the life of what is watched with by itself, but not inside an option.
        let watcher = watcher.map(|watcher| watcher as &mut Watcher<'a>);
        Self { thread_count: thread_count.max(1), watcher }
    }

    #[cfg(test)]
    pub(super) fn single() -> Self {
        Self::new(1, None)
    }

    /// Tells the watcher how far a stage has come.
    pub(super) fn report(&mut self, stage: Stage, share: f64) -> Result<(), Cancelled> {
        let Some(watcher) = &mut self.watcher else { return Ok(()) };
        if watcher(stage, share).is_break() { Err(Cancelled) } else { Ok(()) }
    }

    /// Does the work of each item on all threads, and returns what each thread's own state has become.
    pub(super) fn run<T: Send, S: Send>(
        &mut self,
        stage: Stage,
        items: impl ExactSizeIterator<Item = T> + Send,
        start: impl Fn() -> S + Sync,
        work: impl Fn(&mut S, T) + Sync,
    ) -> Result<Vec<S>, Cancelled> {
        self.run_between(stage, 0.0..1.0, items, start, work)
    }

    /// As [`run`](Self::run), where the items are the part of the stage between two shares of it.
    pub(super) fn run_between<T: Send, S: Send>(
        &mut self,
        stage: Stage,
        shares: Range<f64>,
        items: impl ExactSizeIterator<Item = T> + Send,
        start: impl Fn() -> S + Sync,
        work: impl Fn(&mut S, T) + Sync,
    ) -> Result<Vec<S>, Cancelled> {
        let count = items.len();
        let queue = Mutex::new(items);
        let (done, stopped) = (AtomicUsize::new(0), AtomicBool::new(false));
        let run = |report: &mut dyn FnMut(usize) -> Result<(), Cancelled>| {
            let mut state = start();
            while !stopped.load(Ordering::Relaxed) {
                // A thread that panics takes the others with it when the scope ends; what it held is whole.
                let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
                let Some(item) = next else { break };
                work(&mut state, item);
                if report(done.fetch_add(1, Ordering::Relaxed) + 1).is_err() {
                    stopped.store(true, Ordering::Relaxed);
                    return Err(Cancelled);
                }
            }
            Ok(state)
        };
        let helpers = (self.thread_count - 1).min(count.saturating_sub(1));
        thread::scope(|scope| {
            let handles: Vec<_> = (0..helpers).map(|_| scope.spawn(|| run(&mut |_| Ok(())))).collect();
            let own = run(&mut |done| {
                self.report(stage, shares.start + (shares.end - shares.start) * done as f64 / count as f64)
            });
            let mut states = vec![];
            for handle in handles {
                match handle.join() {
                    Ok(state) => states.extend(state),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            states.push(own?);
            Ok(states)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_is_done_once_and_reported() {
        let mut shares = vec![];
        let mut watcher = |stage: Stage, share: f64| {
            assert_eq!(stage, Stage::Tree);
            shares.push(share);
            ControlFlow::Continue(())
        };
        let mut workers = Workers::new(3, Some(&mut watcher));
        let states = workers.run(Stage::Tree, 0..100, || 0, |sum, item| *sum += item).unwrap();
        assert_eq!(states.iter().sum::<i32>(), 4950);
        assert!(shares.is_sorted() && shares.iter().all(|share| *share <= 1.0));
    }

    #[test]
    fn a_watcher_stops_the_work() {
        let mut watcher = |_: Stage, _: f64| ControlFlow::Break(());
        let done = AtomicUsize::new(0);
        let mut workers = Workers::new(1, Some(&mut watcher));
        let result = workers.run(
            Stage::Tree,
            0..100,
            || (),
            |(), _| {
                done.fetch_add(1, Ordering::Relaxed);
            },
        );
        assert_eq!(result.unwrap_err(), Cancelled);
        assert_eq!(done.load(Ordering::Relaxed), 1);
    }
}
