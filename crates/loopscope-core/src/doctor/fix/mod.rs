//! Mends a database: takes out what is invalid, with all that rests on it, so that a resume can compute it anew.
//!
//! A plan is made of what the check found, and says before anything is written what would go. Three things are never
//! done: nothing is invented (no content, time or seed), nothing valid is taken out that rests on nothing invalid,
//! and no row is changed but where what it should say is in the store already. `docs/design/doctor.md` lists what is
//! mended in place and why.
//!
//! Whoever applies a plan holds the locks of the experiments, from before the check on. What is taken out goes in
//! transactions that each leave the store no worse: what refers before what is referred to, runs from their end. A
//! process that is killed between two of them leaves a store that a second repair finishes.

mod apply;
mod close;
mod experiment;
mod image;
mod run;
mod schema;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rusqlite::types::Value;
use serde::Serialize;

use super::finding::{Diagnosis, Finding, FindingKind, Place, Severity};
use super::{DoctorOptions, Gauge, examine_watched, prepare};
use crate::experiment::ExperimentId;
use crate::store::{OpenOptions, Store, StoreError};

/// Why a row goes: the word of its own defect, or of what it rested on.
pub type Reason = &'static str;

/// Numbers of rows by table and reason.
pub type Counts = BTreeMap<&'static str, BTreeMap<Reason, u64>>;

/// What would be done to a database, made of a check of it.
#[derive(Debug)]
pub struct Fix {
    /// What the check found.
    pub diagnosis: Diagnosis,
    /// Rows to take out, by table and rowid.
    drops: BTreeMap<&'static str, BTreeMap<i64, Reason>>,
    /// Invocations to take out, those of a run from its end.
    invocations: Vec<i64>,
    mends: Vec<Mend>,
    /// Experiments of which something goes, so that they are not complete.
    reopened: BTreeSet<[u8; 16]>,
    structure: Structure,
    blockers: Vec<String>,
    drawn_anew: u64,
}

/// Cells of a row that are set to what the rest of the store says they should be.
#[derive(Clone, Debug, PartialEq)]
struct Mend {
    reason: Reason,
    place: Place,
    cells: Vec<(&'static str, Value)>,
}

/// What is to be done about the schema.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Structure {
    /// Tables that are not there.
    missing_tables: BTreeSet<&'static str>,
    /// Tables that are not as this program makes them.
    differing_tables: BTreeSet<&'static str>,
    /// Indexes, triggers and views that are not there or differ, as (type, name).
    objects: BTreeSet<(String, String)>,
    /// Indexes disagree with their tables.
    needs_reindex: bool,
}

/// What a repair did, apart from computing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FixReport {
    /// Rows that were taken out.
    pub dropped: Counts,
    /// Rows that were mended in place.
    pub mended: Counts,
    /// Tables, indexes, triggers and views that were made anew.
    pub rebuilt: Vec<String>,
}

impl Fix {
    /// Checks a database and plans its repair; `found` gets every finding.
    ///
    /// # Errors
    ///
    /// As [`examine`](super::examine).
    pub fn plan(
        path: &Path,
        open_options: &OpenOptions,
        options: &DoctorOptions,
        found: &mut dyn FnMut(&Finding),
    ) -> Result<Self, StoreError> {
        Self::plan_watched(path, open_options, options, &Gauge::default(), found)
    }

    /// As [`plan`](Self::plan), with a gauge that another thread may look at meanwhile.
    ///
    /// # Errors
    ///
    /// As [`examine`](super::examine).
    pub fn plan_watched(
        path: &Path,
        open_options: &OpenOptions,
        options: &DoctorOptions,
        gauge: &Gauge,
        found: &mut dyn FnMut(&Finding),
    ) -> Result<Self, StoreError> {
        let mut gathered = Gathered::default();
        let diagnosis = examine_watched(path, open_options, options, gauge, &mut |finding| {
            gathered.take(finding);
            found(finding);
        })?;
        let mut fix = Self {
            diagnosis,
            drops: BTreeMap::new(),
            invocations: Vec::new(),
            mends: Vec::new(),
            reopened: BTreeSet::new(),
            structure: gathered.structure,
            blockers: gathered.blockers,
            drawn_anew: 0,
        };
        if fix.blockers.is_empty() && !fix.is_structural() {
            let store = Store::open_read(path, open_options)?;
            let failed = |source| StoreError::Sqlite { doing: "planning the repair of", path: path.to_owned(), source };
            prepare(store.connection()).map_err(failed)?;
            close::close(store.connection(), &mut fix, &gathered.found).map_err(failed)?;
        }
        Ok(fix)
    }

    /// Returns why this program cannot mend the file: damage below the rows. Then nothing is planned.
    #[must_use]
    pub fn blockers(&self) -> &[String] {
        &self.blockers
    }

    /// Returns whether tables or indexes must be made before the rows can be judged: then no row is touched, and
    /// another plan follows.
    #[must_use]
    pub fn is_structural(&self) -> bool {
        self.structure.needs_reindex || !self.structure.missing_tables.is_empty()
    }

    /// Returns whether tables are written anew, for which a backup should be at hand.
    #[must_use]
    pub fn rebuilds_tables(&self) -> bool {
        !self.structure.differing_tables.is_empty()
    }

    /// Returns whether there is nothing to take out, mend or make.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.dropped().is_empty() && self.mends.is_empty() && self.structure == Structure::default()
    }

    /// Returns how many rows would go, by table and reason.
    #[must_use]
    pub fn dropped(&self) -> Counts {
        let mut counts = Counts::new();
        for (&table, rows) in &self.drops {
            for &reason in rows.values() {
                *counts.entry(table).or_default().entry(reason).or_default() += 1;
            }
        }
        counts
    }

    /// Returns how many rows would be mended in place, by table and reason.
    #[must_use]
    pub fn mended(&self) -> Counts {
        let mut counts = Counts::new();
        for mend in &self.mends {
            *counts.entry(mend.place.table).or_default().entry(mend.reason).or_default() += 1;
        }
        counts
    }

    /// Returns how many of the invocations that would go are of runs with fresh randomness: those come back otherwise.
    #[must_use]
    pub fn drawn_anew(&self) -> u64 {
        self.drawn_anew
    }

    /// Returns the experiments of which something goes.
    pub fn reopened(&self) -> impl Iterator<Item = ExperimentId> + '_ {
        self.reopened.iter().map(|&id| ExperimentId::from_bytes(id))
    }

    fn is_dropped(&self, table: &str, rowid: i64) -> bool {
        self.drops.get(table).is_some_and(|rows| rows.contains_key(&rowid))
    }

    /// Marks a row to be taken out; the first reason stays. Returns whether it is new.
    fn drop_row(&mut self, table: &'static str, rowid: i64, reason: Reason) -> bool {
        match self.drops.entry(table).or_default().entry(rowid) {
            std::collections::btree_map::Entry::Vacant(place) => {
                place.insert(reason);
                true
            }
            std::collections::btree_map::Entry::Occupied(_) => false,
        }
    }

    fn mend(&mut self, table: &'static str, rowid: i64, reason: Reason, cells: Vec<(&'static str, Value)>) {
        self.mends.push(Mend { reason, place: Place { table, rowid }, cells });
    }
}

/// The violations of a check, as far as a repair needs them.
#[derive(Debug, Default)]
struct Gathered {
    found: Vec<(Place, FindingKind)>,
    structure: Structure,
    blockers: Vec<String>,
}

impl Gathered {
    fn take(&mut self, finding: &Finding) {
        // An imported experiment may go on without a start or with other lengths; those are notes.
        if finding.severity != Severity::Violation {
            return;
        }
        match finding.kind {
            FindingKind::Integrity => self.take_integrity(&finding.defect),
            FindingKind::SchemaMissing | FindingKind::SchemaDiffers => self.take_schema(finding),
            // Where a table is not there, many things cannot be read; once it is made they can.
            FindingKind::Unreadable if !self.structure.missing_tables.is_empty() => {}
            // Where a table lost what others refer to, SQLite follows no reference to it; the next plan does.
            FindingKind::Unreadable
                if !self.structure.differing_tables.is_empty() && finding.defect.contains("foreign key mismatch") => {}
            FindingKind::Unreadable => self.blockers.push(format!("{}: {}", finding.object, finding.defect)),
            kind => self.found.extend(finding.place.map(|place| (place, kind))),
        }
    }

    /// Tells apart what SQLite's check says of values, of indexes, and of pages.
    fn take_integrity(&mut self, message: &str) {
        const OF_VALUES: [&str; 5] =
            ["NULL value in ", "non-", "TEXT value in ", "NUMERIC value in ", "CHECK constraint failed in "];
        const OF_INDEXES: [&str; 2] = ["missing from index", "wrong # of entries in index"];
        if message.starts_with("non-unique entry") {
            self.blockers.push(message.to_owned());
        } else if OF_VALUES.iter().any(|start| message.starts_with(start)) {
            // The pass over the rows found it too, with the row.
        } else if OF_INDEXES.iter().any(|part| message.contains(part)) {
            self.structure.needs_reindex = true;
        } else {
            self.blockers.push(message.to_owned());
        }
    }

    fn take_schema(&mut self, finding: &Finding) {
        let Some((kind, name)) = finding.object.split_once(' ') else { return };
        let is_missing = finding.kind == FindingKind::SchemaMissing;
        match super::table::TABLES.iter().find(|table| kind == "table" && table.name == name) {
            Some(table) if is_missing => self.structure.missing_tables.insert(table.name),
            Some(table) => self.structure.differing_tables.insert(table.name),
            None => self.structure.objects.insert((kind.to_owned(), name.to_owned())),
        };
    }
}
