//! Findings as people read them, kind by kind, and as programs do, one a line.

use std::collections::BTreeMap;
use std::io::{BufWriter, Stdout, Write};

use loopscope_core::doctor::{Diagnosis, Finding, FindingKind, Severity};
use loopscope_core::experiment::ModelName;

use super::{Beyond, Counted};
use crate::args::Global;
use crate::failure::unless_unread;
use crate::report::{count, print, print_json_line};

/// Findings of a kind that the text shows; JSON has all.
const SHOWN_MAX: usize = 10;

/// Shows findings as they come, or the first ten of each kind at the end.
pub(super) enum Shown {
    Lines { out: BufWriter<Stdout>, outcome: std::io::Result<()> },
    Text { of_kind: BTreeMap<(Severity, FindingKind), (u64, Vec<String>)> },
}

impl Shown {
    pub(super) fn new(is_json: bool) -> Self {
        if is_json {
            Self::Lines { out: BufWriter::new(std::io::stdout()), outcome: Ok(()) }
        } else {
            Self::Text { of_kind: BTreeMap::new() }
        }
    }

    pub(super) fn take(&mut self, finding: &Finding) {
        match self {
            Self::Lines { out, outcome } => {
                if outcome.is_ok() {
                    *outcome = write_finding(out, finding);
                }
            }
            Self::Text { of_kind } => {
                let (number, shown) = of_kind.entry((finding.severity, finding.kind)).or_default();
                *number += 1;
                if shown.len() < SHOWN_MAX {
                    let id = finding.id.as_ref().map_or_else(String::new, |id| format!(" ({id})"));
                    shown.push(format!("  {}{id}: {}", finding.object, finding.defect));
                }
            }
        }
    }

    /// Shows what was kept. What was found stands, whether or not anybody reads it to the end.
    pub(super) fn finish(self) -> std::io::Result<()> {
        match self {
            Self::Lines { mut out, outcome } => unless_unread(outcome.and_then(|()| out.flush())),
            Self::Text { of_kind } => unless_unread(print_findings(&of_kind)),
        }
    }
}

fn write_finding(out: &mut impl Write, finding: &Finding) -> std::io::Result<()> {
    #[derive(serde::Serialize)]
    struct Line<'a> {
        event: &'static str,
        #[serde(flatten)]
        finding: &'a Finding,
    }
    serde_json::to_writer(&mut *out, &Line { event: "finding", finding }).map_err(std::io::Error::from)?;
    out.write_all(b"\n")
}

fn print_findings(of_kind: &BTreeMap<(Severity, FindingKind), (u64, Vec<String>)>) -> std::io::Result<()> {
    for ((severity, kind), (number, shown)) in of_kind {
        print(&format!("{severity} {kind}: {}. {}", count(*number), kind.meaning()))?;
        shown.iter().try_for_each(|line| print(line))?;
        if *number > SHOWN_MAX as u64 {
            print(&format!("  … and {} more; --json shows all", count(number - SHOWN_MAX as u64)))?;
        }
    }
    Ok(())
}

/// Says what was looked at, what it came to, and the next move.
pub(super) fn summary(diagnosis: &Diagnosis, beyond: &Beyond, global: &Global) -> anyhow::Result<()> {
    if global.json {
        #[derive(serde::Serialize)]
        struct Line<'a> {
            event: &'static str,
            #[serde(flatten)]
            diagnosis: &'a Diagnosis,
            /// Models that incomplete experiments ask for and that are not here, with why.
            models_not_here: &'a BTreeMap<ModelName, String>,
        }
        let line = Line { event: "summary", diagnosis, models_not_here: &beyond.models };
        return Ok(unless_unread(print_json_line(&line).map_err(std::io::Error::other))?);
    }
    let checked: Vec<String> =
        diagnosis.checked.iter().map(|(table, rows)| format!("{} {table}", count(*rows))).collect();
    let mut lines = vec![format!("checked {}", checked.join(", "))];
    if let Some(decoding) = diagnosis.decoding {
        let seconds = decoding.micros as f64 / 1e6;
        let rate = if seconds > 0.0 { decoding.pictures as f64 / seconds } else { 0.0 };
        lines.push(format!(
            "decoded {} pictures in {seconds:.1} s, {} a second",
            count(decoding.pictures),
            count(rate as u64)
        ));
    }
    let counted = Counted::of(diagnosis);
    lines.push(format!(
        "{} violations, {} incomplete, {} notes",
        count(counted.violations),
        count(counted.incomplete),
        count(counted.notes)
    ));
    let fix = global.command("doctor --fix");
    if counted.violations > 0 {
        lines.push(format!(
            "violations are rows that say what cannot be so; nothing was changed. `{fix}` says what it would take out, \
             asks, and computes it anew"
        ));
    } else if counted.incomplete > 0 {
        lines.push(format!("every row that is there is whole; {}", what_can_be_computed(beyond, &fix)));
    } else {
        lines.push("every row is whole, and nothing is missing".to_owned());
    }
    Ok(unless_unread(lines.iter().try_for_each(|line| print(line)))?)
}

/// Says what a repair computes of what is missing, and what it cannot.
fn what_can_be_computed(beyond: &Beyond, fix: &str) -> String {
    if beyond.models.is_empty() {
        return format!("`{fix}` computes what is missing");
    }
    let mut of_reason: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, reason) in &beyond.models {
        of_reason.entry(reason).or_default().push(name.as_str());
    }
    let models: Vec<String> =
        of_reason.iter().map(|(reason, names)| format!("{} ({reason})", names.join(", "))).collect();
    let models = models.join("; ");
    let mut text = if beyond.is_after_repair {
        format!("what is missing waits for models that are not here: {models}")
    } else {
        format!(
            "`{fix}` computes what the models that are here can give; what only these could give stays missing: {models}"
        )
    };
    if !beyond.experiments.is_empty() {
        let experiments = beyond.experiments.join(", ");
        text += &format!("; of {experiments} nothing is computed without them");
    }
    text
}
