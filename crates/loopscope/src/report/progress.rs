//! Three readers of the engine's events: bars on a terminal, plain lines elsewhere, JSON lines for programs.

use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState};
use loopscope_core::engine::{Event, Progress, StageProgress};

use super::{Talk, bar_style, count, duration, one_line};

/// How often JSON lines tell of progress.
const JSON_EVERY: Duration = Duration::from_millis(250);
/// A plain line comes at the latest after this time…
const PLAIN_AT_LATEST: Duration = Duration::from_secs(10);
/// … at the earliest after this …
const PLAIN_AT_EARLIEST: Duration = Duration::from_secs(1);
/// … and between the two when a stage is this much further.
const PLAIN_STEP_PERCENT: u64 = 5;

const STAGES: [&str; 3] = ["outputs", "embeddings", "diagrams"];

/// Shows what the engine does.
pub(crate) enum Reporter {
    /// Bars that redraw themselves.
    Bars(Bars),
    /// A line now and then.
    Plain(Plain),
    /// An event a line on stdout.
    Json { last: Option<Instant> },
    /// Nothing.
    Silent,
}

impl Reporter {
    pub(crate) fn new(talk: &Talk, is_json: bool) -> Self {
        match (is_json, talk.is_quiet, talk.is_terminal) {
            (true, _, _) => Self::Json { last: None },
            (_, true, _) => Self::Silent,
            (_, _, true) => Self::Bars(Bars::new()),
            _ => Self::Plain(Plain { talk: talk.clone(), stages: [Seen::default(); 3] }),
        }
    }

    /// Shows an event.
    pub(crate) fn show(&mut self, event: &Event, talk: &Talk) {
        match self {
            Self::Bars(bars) => bars.show(event, talk),
            Self::Plain(plain) => plain.show(event),
            Self::Json { last } => {
                if matches!(event, Event::Progress { .. }) {
                    if last.is_some_and(|at| at.elapsed() < JSON_EVERY) {
                        return;
                    }
                    *last = Some(Instant::now());
                }
                if let Ok(line) = serde_json::to_string(event) {
                    // A reader that is gone does not stop the work: the store is the result.
                    super::print(&line).ok();
                }
            }
            Self::Silent => {}
        }
    }
}

fn stages(progress: &Progress) -> [StageProgress; 3] {
    [progress.invocations, progress.embeddings, progress.diagrams]
}

/// One line for a failure, or nothing for events that are no failure.
fn failure_line(event: &Event) -> Option<String> {
    let Event::Failure { stage, subject, run, attempt, error, retry_in_ms } = event else { return None };
    let next = match retry_in_ms {
        Some(ms) => format!("again in {}", duration(Duration::from_millis(*ms))),
        None => "given up".to_owned(),
    };
    let stage = format!("{stage:?}").to_lowercase();
    Some(format!(
        "{stage} failed: run {}, {subject}, attempt {attempt}: {} ({next})",
        run.short(),
        one_line(error, 200)
    ))
}

/// One line for what is particular to an imported experiment, or nothing for other events.
fn import_line(event: &Event) -> Option<String> {
    match event {
        Event::ModelUnavailable { model, reason } => {
            Some(format!("model \"{model}\" is not here: {reason}; what only it could give stays missing"))
        }
        Event::DiagramOutgrown { run, model } => Some(format!(
            "run {} goes on: its {model} diagram, of the vectors so far, is taken out and computed anew at the end",
            run.short()
        )),
        _ => None,
    }
}

fn troubles(progress: &Progress) -> String {
    let mut text = String::new();
    if progress.failed > 0 {
        text += &format!(" · {} failed", count(progress.failed));
    }
    if progress.retries > 0 {
        text += &format!(" · {} retried", count(progress.retries));
    }
    text
}

/// A bar for each stage.
pub(crate) struct Bars {
    all: MultiProgress,
    bars: Vec<ProgressBar>,
}

impl Bars {
    fn new() -> Self {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(8));
        let template = "{prefix:>10} {bar:30} {pos:>7}/{len:<7} {rate:>9} {eta:>5} left{msg}";
        let style = bar_style(template).with_key("rate", |state: &ProgressState, out: &mut dyn std::fmt::Write| {
            // A bar that cannot be drawn is no reason to fail.
            write!(out, "{:.0}/s", state.per_sec()).ok();
        });
        let bar = |name: &&'static str| all.add(ProgressBar::new(0).with_style(style.clone()).with_prefix(*name));
        let bars = STAGES.iter().map(bar).collect();
        Self { all, bars }
    }

    fn show(&mut self, event: &Event, talk: &Talk) {
        match event {
            Event::Started { progress, .. } => {
                for (bar, stage) in self.bars.iter().zip(stages(progress)) {
                    bar.set_length(stage.expected);
                    bar.set_position(stage.done);
                    bar.reset_eta();
                }
            }
            Event::Progress { progress } => {
                for (bar, stage) in self.bars.iter().zip(stages(progress)) {
                    bar.set_length(stage.expected);
                    bar.set_position(stage.done);
                }
                let runs = progress.runs;
                self.bars[0].set_message(format!(" · {}/{} runs{}", runs.done, runs.expected, troubles(progress)));
            }
            Event::Failure { retry_in_ms, .. } if retry_in_ms.is_none() || talk.verbosity > 0 => {
                if let Some(line) = failure_line(event) {
                    self.all.println(line).ok();
                }
            }
            Event::ModelUnavailable { .. } | Event::DiagramOutgrown { .. } => {
                if let Some(line) = import_line(event) {
                    self.all.println(line).ok();
                }
            }
            Event::ModelLoaded { model } if talk.verbosity > 0 => {
                self.all.println(format!("loaded {model}")).ok();
            }
            Event::RunStopped { run, length, stop } if talk.verbosity > 1 => {
                self.all.println(format!("run {} stopped after {length}: {stop:?}", run.short())).ok();
            }
            Event::Waiting { reason } => {
                self.all.println(format!("waiting: {reason}")).ok();
            }
            Event::Stopping => {
                self.all.println("stopping: what is under way is finished and saved; Ctrl-C again quits at once").ok();
            }
            Event::Finished { .. } => {
                self.bars.iter().for_each(ProgressBar::abandon);
            }
            _ => {}
        }
    }
}

/// When a stage was last told of, and how far it was.
#[derive(Clone, Copy, Default)]
struct Seen {
    at: Option<Instant>,
    percent: u64,
}

/// Plain lines for logs.
pub(crate) struct Plain {
    talk: Talk,
    stages: [Seen; 3],
}

impl Plain {
    fn show(&mut self, event: &Event) {
        match event {
            Event::Started { name, progress, .. } => {
                let [runs, embeddings, diagrams] =
                    stages(progress).map(|stage| format!("{}/{}", stage.done, stage.expected));
                self.talk.say(&format!(
                    "experiment \"{name}\": {} runs; {runs} invocations, {embeddings} embeddings, {diagrams} diagrams are there",
                    count(progress.runs.expected)
                ));
                for seen in &mut self.stages {
                    seen.at = Some(Instant::now());
                }
            }
            Event::Progress { progress } => self.tell(progress, false),
            Event::Finished { progress, .. } => self.tell(progress, true),
            Event::Failure { retry_in_ms, .. } if retry_in_ms.is_none() || self.talk.verbosity > 0 => {
                if let Some(line) = failure_line(event) {
                    self.talk.say(&line);
                }
            }
            Event::ModelUnavailable { .. } | Event::DiagramOutgrown { .. } => {
                if let Some(line) = import_line(event) {
                    self.talk.say(&line);
                }
            }
            Event::ModelLoaded { model } => self.talk.detail(&format!("loaded {model}")),
            Event::RunStopped { run, length, stop } if self.talk.verbosity > 1 => {
                self.talk.say(&format!("run {} stopped after {length}: {stop:?}", run.short()));
            }
            Event::Waiting { reason } => self.talk.say(&format!("waiting: {reason}")),
            Event::Stopping => {
                self.talk.say("stopping: what is under way is finished and saved; a second signal quits at once");
            }
            _ => {}
        }
    }

    fn tell(&mut self, progress: &Progress, is_last: bool) {
        for ((name, stage), seen) in STAGES.iter().zip(stages(progress)).zip(&mut self.stages) {
            let percent = stage.done * 100 / stage.expected.max(1);
            let since = seen.at.map_or(PLAIN_AT_LATEST, |at| at.elapsed());
            let is_further = percent >= seen.percent + PLAIN_STEP_PERCENT && since >= PLAIN_AT_EARLIEST;
            let is_late = since >= PLAIN_AT_LATEST && stage.done < stage.expected;
            if is_further || is_late || is_last {
                *seen = Seen { at: Some(Instant::now()), percent };
                self.talk.say(&format!(
                    "{name:>10}: {}/{} ({percent} %){}",
                    count(stage.done),
                    count(stage.expected),
                    troubles(progress)
                ));
            }
        }
    }
}
