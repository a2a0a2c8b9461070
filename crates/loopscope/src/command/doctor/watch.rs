//! How far a check is: a bar on a terminal, else a line now and then.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget};
use loopscope_core::doctor::{Gauge, Reading, Stage};

use crate::report::{Talk, bar_style, count};

/// How often the gauge is looked at.
const GLANCE: Duration = Duration::from_millis(100);
/// A plain line comes at the latest after this time…
const PLAIN_AT_LATEST: Duration = Duration::from_secs(10);
/// … at the earliest after this, so that a short check says nothing …
const PLAIN_AT_EARLIEST: Duration = Duration::from_secs(2);
/// … and between the two when it is this much further.
const PLAIN_STEP_PERCENT: u64 = 5;

/// Checks, and shows meanwhile how far the check is; nothing is shown where nobody wants talk, or JSON is printed.
pub(super) fn watched<T>(talk: &Talk, is_json: bool, check: impl FnOnce(&Gauge) -> T) -> T {
    let gauge = Gauge::default();
    if talk.is_quiet || is_json {
        return check(&gauge);
    }
    std::thread::scope(|scope| {
        let (over, until_over) = channel::<()>();
        let seen = &gauge;
        scope.spawn(move || {
            let mut shown = Shown::new(talk);
            // The other end is dropped when the check is over, however it ended.
            while let Err(RecvTimeoutError::Timeout) = until_over.recv_timeout(GLANCE) {
                shown.show(seen.read());
            }
            shown.end();
        });
        let outcome = check(&gauge);
        drop(over);
        outcome
    })
}

enum Shown<'a> {
    Bar(ProgressBar),
    Plain { talk: &'a Talk, stage: Stage, percent: u64, at: Instant },
}

impl<'a> Shown<'a> {
    fn new(talk: &'a Talk) -> Self {
        if !talk.is_terminal {
            return Self::Plain { talk, stage: Stage::Rows, percent: 0, at: Instant::now() };
        }
        let style = bar_style("{prefix:>20} {bar:30} {msg}");
        Self::Bar(ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr_with_hz(8)).with_style(style))
    }

    fn show(&mut self, reading: Reading) {
        match self {
            Self::Bar(bar) => {
                bar.set_prefix(words(reading.stage));
                bar.set_length(reading.total.max(1));
                bar.set_position(reading.done);
                bar.set_message(numbers(&reading));
            }
            Self::Plain { talk, stage, percent, at } => {
                if *stage != reading.stage {
                    (*stage, *percent) = (reading.stage, 0);
                }
                let now = (reading.done * 100).checked_div(reading.total).unwrap_or(0);
                let since = at.elapsed();
                let is_further = now >= *percent + PLAIN_STEP_PERCENT;
                if since >= PLAIN_AT_LATEST || (since >= PLAIN_AT_EARLIEST && is_further) {
                    (*percent, *at) = (now, Instant::now());
                    let line = format!("{} {}", words(reading.stage), numbers(&reading));
                    talk.say(line.trim_end());
                }
            }
        }
    }

    fn end(&self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

const fn words(stage: Stage) -> &'static str {
    match stage {
        Stage::Rows => "checking rows",
        Stage::Runs => "checking runs",
        Stage::References => "checking references",
        Stage::File => "SQLite's own check",
    }
}

fn numbers(reading: &Reading) -> String {
    match (reading.done, reading.total) {
        (0, _) => String::new(),
        (done, 0) => count(done),
        // The largest rowid stands for the number of rows.
        (done, total) if reading.stage == Stage::Rows => format!("{} of about {}", count(done), count(total)),
        (done, total) => format!("{} of {}", count(done), count(total)),
    }
}
