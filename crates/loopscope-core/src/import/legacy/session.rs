//! One import from its first row to its report.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::params;
use rusqlite::types::ValueRef;

use super::error::ImportError;
use super::parse::id_of;
use super::report::{ImportReport, Note, Table, TableCounts};
use super::scratch::Scratch;
use super::sink::Sink;
use super::source::Source;
use super::{ImportOptions, ImportProgress};

/// How often progress is told, in rows.
const TELL_EVERY: u64 = 1024;

/// What an import holds while it works.
pub(super) struct Session<'a> {
    pub(super) source: Source,
    pub(super) kept: Kept<'a>,
}

/// All of it but the source, whose rows are borrowed while the rest changes.
pub(super) struct Kept<'a> {
    pub(super) scratch: Scratch,
    pub(super) sink: Sink,
    pub(super) options: &'a ImportOptions<'a>,
    counts: BTreeMap<Table, TableCounts>,
    notes: BTreeMap<Note, u64>,
    /// Tables of the source that may have an id twice.
    may_repeat: Vec<Table>,
    stop: &'a AtomicBool,
    progress: &'a mut dyn FnMut(ImportProgress),
    done: u64,
}

impl<'a> Session<'a> {
    pub(super) fn new(
        source: Source,
        scratch: Scratch,
        sink: Sink,
        options: &'a ImportOptions<'a>,
        stop: &'a AtomicBool,
        progress: &'a mut dyn FnMut(ImportProgress),
    ) -> Result<Self, ImportError> {
        let mut counts = BTreeMap::new();
        let mut may_repeat = Vec::new();
        for table in Table::ALL {
            counts.insert(table, TableCounts { source: source.count(table)?, ..TableCounts::default() });
            if source.has(table) && !source.is_unique(table, &["id"])? {
                may_repeat.push(table);
            }
        }
        let notes = BTreeMap::new();
        let kept = Kept { scratch, sink, options, counts, notes, may_repeat, stop, progress, done: 0 };
        Ok(Self { source, kept })
    }

    /// Goes through all tables in the order in which they refer to each other.
    pub(super) fn run(&mut self) -> Result<(), ImportError> {
        self.experiments()?;
        self.runs()?;
        self.invocations()?;
        self.embeddings()?;
        self.diagrams()?;
        self.clusterings()?;
        self.kept.reconcile()
    }

    /// Waits for the writer and makes the report, or says what went wrong first.
    pub(super) fn conclude(self, outcome: Result<(), ImportError>) -> Result<ImportReport, ImportError> {
        let Kept { scratch, sink, options, mut counts, notes, .. } = self.kept;
        let is_dry_run = matches!(sink, Sink::Dry);
        let closed = sink.close();
        match outcome {
            // The writer is gone, and says why.
            Err(ImportError::ThreadLost) => return Err(closed.err().unwrap_or(ImportError::ThreadLost)),
            Err(error) => return Err(error),
            Ok(()) => {}
        }
        for (table, there) in closed? {
            counts.entry(table).or_default().there = there;
        }
        let zone = options.zone.name().to_owned();
        Ok(ImportReport { layout: self.source.layout, zone, is_dry_run, notes, counts, scratch })
    }
}

impl Kept<'_> {
    /// Begins a table.
    pub(super) fn begin(&mut self, table: Table) {
        self.done = 0;
        self.tell(table);
    }

    /// Counts a row that was looked at; an import that is to stop ends here.
    pub(super) fn step(&mut self, table: Table) -> Result<(), ImportError> {
        self.done += 1;
        if self.done.is_multiple_of(TELL_EVERY) {
            self.tell(table);
            self.heed_stop()?;
        }
        Ok(())
    }

    pub(super) fn heed_stop(&self) -> Result<(), ImportError> {
        if self.stop.load(Ordering::Relaxed) { Err(ImportError::Stopped) } else { Ok(()) }
    }

    /// Ends a table.
    pub(super) fn end(&mut self, table: Table) -> Result<(), ImportError> {
        self.done = self.counts.get(&table).map_or(0, |counts| counts.source);
        self.tell(table);
        self.heed_stop()
    }

    fn tell(&mut self, table: Table) {
        let total = self.counts.get(&table).map_or(0, |counts| counts.source);
        (self.progress)(ImportProgress { table, done: self.done.min(total), total });
    }

    /// Returns the id of a row; a row without one, or with one that was there before, is dropped.
    pub(super) fn identify(
        &mut self,
        table: Table,
        rowid: i64,
        cell: ValueRef<'_>,
    ) -> Result<Option<[u8; 16]>, ImportError> {
        let Some(id) = id_of(cell) else {
            self.drop_named(table, "invalid_id", &format!("rowid:{rowid}"))?;
            return Ok(None);
        };
        if self.may_repeat.contains(&table) {
            let is_new = self.scratch.put("INSERT OR IGNORE INTO met VALUES (?1, ?2)", params![table as i64, id])? == 1;
            if !is_new {
                self.drop_named(table, "duplicate_id", &format!("rowid:{rowid}"))?;
                return Ok(None);
            }
        }
        Ok(Some(id))
    }

    /// Counts a row that is not carried.
    pub(super) fn drop_row(&mut self, table: Table, reason: &'static str, id: &[u8; 16]) -> Result<(), ImportError> {
        self.drop_named(table, reason, &super::report::hex(id))
    }

    fn drop_named(&mut self, table: Table, reason: &'static str, name: &str) -> Result<(), ImportError> {
        *self.counts.entry(table).or_default().dropped.entry(reason).or_default() += 1;
        self.scratch.put("INSERT INTO dropped VALUES (?1, ?2, ?3)", params![table as i64, reason, name])?;
        Ok(())
    }

    /// Counts a row that is carried.
    pub(super) fn carry(&mut self, table: Table) {
        self.counts.entry(table).or_default().carried += 1;
    }

    /// Counts a carried row in which something was mended.
    pub(super) fn repair(&mut self, table: Table, kind: &'static str, id: &[u8; 16]) -> Result<(), ImportError> {
        *self.counts.entry(table).or_default().repaired.entry(kind).or_default() += 1;
        self.scratch.put("INSERT INTO repaired VALUES (?1, ?2, ?3)", params![table as i64, kind, id])?;
        Ok(())
    }

    pub(super) fn note(&mut self, note: Note) {
        *self.notes.entry(note).or_default() += 1;
    }

    /// Holds every table against its count: source = carried + dropped.
    fn reconcile(&self) -> Result<(), ImportError> {
        for (table, counts) in &self.counts {
            let decided = counts.carried + counts.dropped_in_all();
            if decided != counts.source {
                let (table, source_rows) = (table.legacy_name(), counts.source);
                return Err(ImportError::Unreconciled { table, source_rows, decided });
            }
        }
        Ok(())
    }
}
