//! `doctor`: looks for anything wrong or missing, and changes nothing.

use std::collections::BTreeMap;
use std::io::Write;

use loopscope_core::doctor::{Diagnosis, DoctorOptions, Finding, Severity, examine};
use loopscope_core::store::Store;

use crate::args::{DoctorArgs, Global};
use crate::failure::{Exit, unless_unread};
use crate::report::{count, print};

/// Findings of a kind that the text shows; JSON has all.
const SHOWN_MAX: usize = 10;

pub(super) fn doctor(arguments: &DoctorArgs, global: &Global) -> anyhow::Result<Exit> {
    let open = global.open_options();
    let experiment = match &arguments.experiment {
        Some(typed) => Some(Store::open_read(&global.db, &open)?.find_experiment(typed)?),
        None => None,
    };
    let options = DoctorOptions { experiment, decode_images: arguments.decode_images };
    let mut counts: BTreeMap<Severity, u64> = BTreeMap::new();
    let diagnosis = if global.json {
        examine_as_json(&global.db, &open, &options, &mut counts)?
    } else {
        examine_as_text(&global.db, &open, &options, &mut counts)?
    };
    let of = |severity| counts.get(&severity).copied().unwrap_or(0);
    if !global.json {
        let checked: Vec<String> =
            diagnosis.checked.iter().map(|(table, rows)| format!("{} {table}", count(*rows))).collect();
        unless_unread(print(&format!("checked {}", checked.join(", "))))?;
        unless_unread(print(&format!(
            "{} violations, {} incomplete, {} notes",
            count(of(Severity::Violation)),
            count(of(Severity::Incomplete)),
            count(of(Severity::Note))
        )))?;
    }
    let is_bad = of(Severity::Violation) > 0 || (arguments.strict && of(Severity::Incomplete) > 0);
    Ok(if is_bad { Exit::Failed } else { Exit::Ok })
}

/// Streams one JSON document: every finding as it is found, and the sums at the end.
fn examine_as_json(
    path: &std::path::Path,
    open: &loopscope_core::store::OpenOptions,
    options: &DoctorOptions,
    counts: &mut BTreeMap<Severity, u64>,
) -> anyhow::Result<Diagnosis> {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let mut outcome: std::io::Result<()> = write!(out, "{{\"findings\":[");
    let mut is_first = true;
    let diagnosis = examine(path, open, options, &mut |finding| {
        *counts.entry(finding.severity).or_default() += 1;
        if outcome.is_ok() {
            outcome = write_finding(&mut out, finding, std::mem::take(&mut is_first));
        }
    });
    // Whatever happens the document is closed, so that a reader never meets half of one.
    let end = match &diagnosis {
        Ok(diagnosis) => format!("\n],\"summary\":{}}}", serde_json::to_string(diagnosis)?),
        Err(error) => format!("\n],\"error\":{}}}", serde_json::to_string(&error.to_string())?),
    };
    // What was found stands, whether or not anybody reads it to the end.
    unless_unread(outcome.and_then(|()| writeln!(out, "{end}")).and_then(|()| out.flush()))?;
    Ok(diagnosis?)
}

fn write_finding(out: &mut impl Write, finding: &Finding, is_first: bool) -> std::io::Result<()> {
    out.write_all(if is_first { b"\n" } else { b",\n" })?;
    serde_json::to_writer(out, finding).map_err(std::io::Error::from)
}

fn examine_as_text(
    path: &std::path::Path,
    open: &loopscope_core::store::OpenOptions,
    options: &DoctorOptions,
    counts: &mut BTreeMap<Severity, u64>,
) -> anyhow::Result<Diagnosis> {
    let mut of_kind: BTreeMap<(Severity, String), (u64, Vec<String>)> = BTreeMap::new();
    let diagnosis = examine(path, open, options, &mut |finding| {
        *counts.entry(finding.severity).or_default() += 1;
        let (number, shown) = of_kind.entry((finding.severity, finding.kind.to_string())).or_default();
        *number += 1;
        if shown.len() < SHOWN_MAX {
            shown.push(format!("  {}: {}", finding.object, finding.defect));
        }
    })?;
    unless_unread(print_findings(&of_kind))?;
    Ok(diagnosis)
}

fn print_findings(of_kind: &BTreeMap<(Severity, String), (u64, Vec<String>)>) -> std::io::Result<()> {
    for ((severity, kind), (number, shown)) in of_kind {
        print(&format!("{severity} {kind}: {}", count(*number)))?;
        shown.iter().try_for_each(|line| print(line))?;
        if *number > SHOWN_MAX as u64 {
            print(&format!("  … and {} more; --json shows all", count(number - SHOWN_MAX as u64)))?;
        }
    }
    Ok(())
}
