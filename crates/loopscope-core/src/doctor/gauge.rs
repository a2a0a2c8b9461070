//! How far a check is, for another thread to look at.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

/// What a check is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Every row of every table, once.
    Rows,
    /// The walk over the runs.
    Runs,
    /// Clusterings, and what refers to what.
    References,
    /// SQLite's own check of the file, which goes on beside the others and may end after them.
    File,
}

/// How far a check is; written by the thread that checks, read by any other.
///
/// Nothing depends on it: the parts are written one by one, so that a glance between two stages may see some of both.
#[derive(Debug, Default)]
pub struct Gauge {
    stage: AtomicU8,
    done: AtomicU64,
    total: AtomicU64,
}

/// What a glance at a [`Gauge`] sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The stage.
    pub stage: Stage,
    /// Rows or runs that are done.
    pub done: u64,
    /// How many there are, about, and never less than `done`; 0 where that is not known.
    pub total: u64,
}

impl Gauge {
    /// Returns how far the check is.
    #[must_use]
    pub fn read(&self) -> Reading {
        let stage = match self.stage.load(Ordering::Relaxed) {
            0 => Stage::Rows,
            1 => Stage::Runs,
            2 => Stage::References,
            _ => Stage::File,
        };
        let (done, total) = (self.done.load(Ordering::Relaxed), self.total.load(Ordering::Relaxed));
        Reading { stage, done, total: if total == 0 { 0 } else { total.max(done) } }
    }

    pub(super) fn begin(&self, stage: Stage, total: u64) {
        self.done.store(0, Ordering::Relaxed);
        self.total.store(total, Ordering::Relaxed);
        self.stage.store(stage as u8, Ordering::Relaxed);
    }

    pub(super) fn advance(&self) {
        self.done.fetch_add(1, Ordering::Relaxed);
    }
}
