//! How far an export is: a bar on a terminal, a plain line now and then elsewhere.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget};
use loopscope_export::{Part, Progress};

use super::{Talk, bar_style, count, duration};

/// A plain line comes this often.
const PLAIN_EVERY: Duration = Duration::from_secs(10);

/// Shows how far an export is, and hands the first Ctrl-C on to it.
pub(crate) struct ExportReporter {
    talk: Talk,
    stop: Arc<AtomicBool>,
    bar: Option<ProgressBar>,
    part: String,
    unit: &'static str,
    total: u64,
    began: Instant,
    told: Instant,
}

impl ExportReporter {
    pub(crate) fn new(talk: &Talk, stop: Arc<AtomicBool>) -> Self {
        let now = Instant::now();
        Self { talk: talk.clone(), stop, bar: None, part: String::new(), unit: "", total: 0, began: now, told: now }
    }

    /// Takes the bar away, so that what is printed next stands alone.
    pub(crate) fn end(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

impl Drop for ExportReporter {
    fn drop(&mut self) {
        self.end();
    }
}

impl Progress for ExportReporter {
    fn begin(&mut self, part: Part<'_>) {
        self.end();
        self.part = part.name.to_owned();
        (self.unit, self.total) = (part.unit, part.total);
        (self.began, self.told) = (Instant::now(), Instant::now());
        self.talk.detail(&format!("{}: {} {}", part.name, count(part.total), part.unit));
        if self.talk.is_terminal && !self.talk.is_quiet {
            let bar = ProgressBar::with_draw_target(Some(part.total), ProgressDrawTarget::stderr_with_hz(8));
            bar.set_style(bar_style("{prefix:>22} {bar:30} {pos:>9}/{len:<9} {msg} {eta:>5} left"));
            bar.set_prefix(self.part.clone());
            bar.set_message(part.unit);
            self.bar = Some(bar);
        }
    }

    fn advance(&mut self, done: u64) {
        if let Some(bar) = &self.bar {
            bar.set_position(done);
        } else if self.told.elapsed() >= PLAIN_EVERY {
            self.told = Instant::now();
            let passed = self.began.elapsed();
            let left = passed.mul_f64(self.total.saturating_sub(done) as f64 / done.max(1) as f64);
            let (part, unit) = (&self.part, self.unit);
            self.talk.say(&match self.total {
                0 => format!("{part}: {} {unit}", count(done)),
                total => format!("{part}: {}/{} {unit}, {} left", count(done), count(total), duration(left)),
            });
        }
    }

    fn note(&mut self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| self.talk.say(text)),
            None => self.talk.say(text),
        }
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}
