//! `import legacy`: a database of the earlier tool into the store, with a reconciliation of every row.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressDrawTarget};
use loopscope_core::experiment::{OsEntropy, SystemClock};
use loopscope_core::import::legacy::{
    ImportError, ImportOptions, ImportProgress, ImportReport, Table, Zone, import_legacy,
};

use crate::args::Global;
use crate::failure::{Exit, UsageError};
use crate::report::{self, Talk, bar_style, count, duration, print, print_json};
use crate::signals::stop_on_signal;

/// A plain line of progress comes after this time.
const TELL_EVERY: Duration = Duration::from_secs(10);

#[derive(Debug, Subcommand)]
pub(crate) enum ImportCommand {
    /// A SQLite file of the earlier Python tool, in any of its layouts
    Legacy(LegacyArgs),
}

#[derive(Debug, Args)]
pub(crate) struct LegacyArgs {
    /// The file; it is only read
    source: PathBuf,
    /// The zone of its times, which name none: an IANA name
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    timezone: String,
    /// Look at everything and report, but write nothing
    #[arg(long)]
    dry_run: bool,
    /// Write what became of every row, by table, reason and id, into a JSON file
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// In the report, numbers in place of ids
    #[arg(long, requires = "report")]
    report_counts: bool,
    /// Threads that decode pictures [default: all cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
}

pub(super) fn execute(command: &ImportCommand, global: &Global, talk: &Talk) -> anyhow::Result<Exit> {
    match command {
        ImportCommand::Legacy(arguments) => legacy(arguments, global, talk),
    }
}

fn legacy(arguments: &LegacyArgs, global: &Global, talk: &Talk) -> anyhow::Result<Exit> {
    let began = Instant::now();
    let zone = Zone::named(&arguments.timezone)
        .map_err(|error| UsageError { message: format!("--timezone: {error}"), hint: None })?;
    let out = arguments.report.as_deref().map(ReportFile::begin).transpose()?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let options = ImportOptions {
        zone,
        open: global.open_options(),
        threads: arguments.threads.map_or(cores, usize::from),
        clock: &SystemClock,
        entropy: &OsEntropy,
    };
    let target = (!arguments.dry_run).then_some(global.db.as_path());
    let stop = stop_on_signal().context("listening for signals")?;
    let mut shown = Shown::new(talk);
    let outcome = import_legacy(&arguments.source, target, &options, &stop, &mut |progress| shown.show(progress));
    shown.end();
    let report = match outcome {
        Err(ImportError::Stopped) => {
            talk.say("stopped; everything committed is kept, and the same command goes on");
            return Ok(Exit::Interrupted);
        }
        outcome => outcome?,
    };
    if let Some(out) = out {
        out.finish(&report, arguments.report_counts)?;
    }
    if global.json {
        print_json(&summary_of(&report, arguments, global))?;
    } else {
        print_table(&report, arguments, global)?;
        say_more(&report, arguments, talk)?;
    }
    talk.say(&format!("done in {}", duration(began.elapsed())));
    Ok(Exit::Ok)
}

/// A report under another name until it is whole.
struct ReportFile {
    path: PathBuf,
    partial: PathBuf,
    file: std::fs::File,
}

impl ReportFile {
    /// Begins before the import, so that a folder that cannot be written to is known at once.
    fn begin(path: &Path) -> anyhow::Result<Self> {
        let mut partial = path.as_os_str().to_owned();
        partial.push(format!(".partial-{}", std::process::id()));
        let partial = PathBuf::from(partial);
        let file = std::fs::File::create(&partial).with_context(|| format!("writing the report {}", path.display()))?;
        Ok(Self { path: path.to_owned(), partial, file })
    }

    fn finish(self, report: &ImportReport, counts_only: bool) -> anyhow::Result<()> {
        let doing = || format!("writing the report {}", self.path.display());
        let mut out = BufWriter::new(&self.file);
        report.write_json(&mut out, counts_only)?;
        out.flush().with_context(doing)?;
        drop(out);
        self.file.sync_all().with_context(doing)?;
        std::fs::rename(&self.partial, &self.path).with_context(doing)?;
        Ok(())
    }
}

impl Drop for ReportFile {
    fn drop(&mut self) {
        // Gone under this name when the report is whole; half of one is of no use.
        std::fs::remove_file(&self.partial).ok();
    }
}

fn summary_of(report: &ImportReport, arguments: &LegacyArgs, global: &Global) -> serde_json::Value {
    let tables: serde_json::Map<String, serde_json::Value> =
        Table::ALL.iter().map(|&table| (table.name().to_owned(), serde_json::json!(report.counts(table)))).collect();
    serde_json::json!({
        "source": arguments.source, "target": (!report.is_dry_run).then_some(&global.db), "layout": report.layout,
        "timezone": report.zone, "is_dry_run": report.is_dry_run, "tables": tables, "notes": report.notes,
    })
}

fn print_table(report: &ImportReport, arguments: &LegacyArgs, global: &Global) -> anyhow::Result<()> {
    let into =
        if report.is_dry_run { "nothing was written".to_owned() } else { format!("into {}", global.db.display()) };
    print(&format!("{}: {}, times in {}; {into}", arguments.source.display(), report.layout, report.zone))?;
    let mut table = report::Table::new(&["table", ">source", ">carried", ">dropped", "reason"]);
    for name in Table::ALL {
        let counts = report.counts(name);
        let mut reasons = counts.dropped.iter().map(|(reason, rows)| (*reason, *rows));
        let first = reasons.next();
        let cells = |name: &str, source: String, carried: String, dropped: String, reason: &str| {
            vec![name.to_owned(), source, carried, dropped, reason.to_owned()]
        };
        let dropped = counts.dropped_in_all();
        table.row(cells(name.name(), count(counts.source), count(counts.carried), count(dropped), ""));
        for (reason, rows) in first.into_iter().chain(reasons) {
            table.row(cells("", String::new(), String::new(), count(rows), reason));
        }
    }
    Ok(table.print()?)
}

/// Says what the table does not: what was mended, derived or marked, and what was there already.
fn say_more(report: &ImportReport, arguments: &LegacyArgs, talk: &Talk) -> anyhow::Result<()> {
    let all: Vec<_> = Table::ALL.iter().map(|&table| report.counts(table)).collect();
    let carried: u64 = all.iter().map(|counts| counts.carried).sum();
    let there: u64 = all.iter().map(|counts| counts.there).sum();
    let links: u64 = all.iter().flat_map(|counts| counts.repaired.values()).sum();
    print(&format!("repaired: {} input links", count(links)))?;
    for (note, rows) in &report.notes {
        print(&format!("note: {} {}", count(*rows), note.words()))?;
    }
    print(
        "derived, since the earlier tool did not record it: experiment names (legacy- and the end of the id), configs, origin, \
         time of creation, run numbers, model versions (backend legacy, the rest unknown), layer 0, no probabilities",
    )?;
    if there > 0 {
        print(&format!("there already: {} of {} carried rows", count(there), count(carried)))?;
    }
    if there > 0 && there == carried {
        talk.say("everything was imported before; nothing was added");
    }
    if arguments.report.is_none() && all.iter().any(|counts| counts.dropped_in_all() > 0) {
        talk.say("--report FILE names every row that was dropped");
    }
    Ok(())
}

/// How far the import is: a bar on a terminal, else a line now and then.
enum Shown<'a> {
    Bar(ProgressBar, Option<Table>),
    Plain { talk: &'a Talk, last: Option<(Table, Instant)> },
}

impl<'a> Shown<'a> {
    fn new(talk: &'a Talk) -> Self {
        if !talk.is_terminal || talk.is_quiet {
            return Self::Plain { talk, last: None };
        }
        let style = bar_style("{prefix:>20} {bar:30} {pos:>9}/{len:<9} {eta:>5} left");
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr_with_hz(8)).with_style(style);
        Self::Bar(bar, None)
    }

    fn show(&mut self, ImportProgress { table, done, total }: ImportProgress) {
        match self {
            Self::Bar(bar, shown) => {
                if *shown != Some(table) {
                    bar.set_prefix(table.name());
                    bar.set_length(total);
                    bar.reset_eta();
                    *shown = Some(table);
                }
                bar.set_position(done);
            }
            Self::Plain { talk, last } => {
                let is_due = last.is_none_or(|(shown, at)| shown != table || at.elapsed() >= TELL_EVERY);
                if is_due && total > 0 {
                    talk.say(&format!("{:>20}: {}/{}", table.name(), count(done), count(total)));
                    *last = Some((table, Instant::now()));
                }
            }
        }
    }

    fn end(&self) {
        if let Self::Bar(bar, _) = self {
            bar.finish_and_clear();
        }
    }
}

/// Returns the next move for an import that did not go through.
pub(crate) fn hint_of(error: &ImportError, global: &Global) -> Option<String> {
    use loopscope_core::import::legacy::SourceError;
    use loopscope_core::store::StoreError;
    Some(match error {
        ImportError::Source { source: SourceError::Unfinished { .. }, .. } => {
            "close the program that has it open, or copy both files elsewhere and open the copy once with `sqlite3`"
                .to_owned()
        }
        ImportError::Source { source: SourceError::Ours, .. } => {
            "`loopscope experiment list --db SOURCE` shows what it holds".to_owned()
        }
        ImportError::Source { source: SourceError::IsTarget, .. } => "name another target with --db FILE".to_owned(),
        ImportError::Source { source: SourceError::Sqlite { .. }, .. } => {
            "`sqlite3 SOURCE .recover` makes a copy of what can still be read of a damaged file".to_owned()
        }
        ImportError::Store(StoreError::Conflict { .. }) => {
            let list = global.command("experiment list");
            format!(
                "`{list}` shows what is there; import into another file with --db FILE, or delete what is in the way"
            )
        }
        ImportError::Store(StoreError::DiskFull { .. } | StoreError::DiskNearlyFull { .. }) => {
            "free some space; the same command goes on, and everything committed is kept".to_owned()
        }
        ImportError::Store(StoreError::Importing { .. }) => "wait for it".to_owned(),
        ImportError::Scratch { folder, .. } => {
            format!("is there room in {}? TMPDIR names another folder for a dry run", folder.display())
        }
        _ => return None,
    })
}
