//! Parquet: every table of the record in a file, for polars, DuckDB, pandas and whatever else reads columns.
//!
//! The store is read from one state and in one pass, row by row, on the caller's thread; another thread encodes and writes.
//! Memory does not grow with the record, but for the runs of an experiment and, with pictures, 32 bytes for each.
//! Vectors have a file for each embedding model, because only so all vectors of a file have one length.

mod columns;
mod diagram;
mod findings;
mod hf;
mod prompts;
mod record;
mod row_groups;
mod sheet;
mod writer;

use std::collections::BTreeSet;
use std::path::Path;

use loopscope_core::backend::Registry;
use loopscope_core::experiment::{ExperimentId, Hash, ModelName, ModelVersionId};
use loopscope_core::store::{ExperimentCounts, Store};
use parquet::file::metadata::KeyValue;
use serde::Serialize;
use serde_json::json;

use self::columns::{Table, TableName, table};
use self::prompts::PromptVectors;
use self::sheet::Cell;
use self::writer::{Open, Writer};
use crate::slug::Slugs;
use crate::{ExportError, OutputFolder, Progress, Selection, Unfinished};

pub use hf::{HfOptions, export_hf};

/// What of the tables is written.
#[derive(Clone, Debug, Default)]
pub struct TableOptions {
    /// Only what is of these embedding models; all where none is named.
    pub embedding_models: Vec<String>,
    /// Whether the prompt of each run is a step before its first, with number −1, embedded for the export.
    pub embed_prompts: bool,
    /// Whether the pictures themselves are written.
    pub images: bool,
    /// Whether an export that is there already may be replaced.
    pub may_replace: bool,
    /// The version of the program, which the files name.
    pub program_version: &'static str,
}

/// A file of an export.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WrittenTable {
    /// Its path in the folder, with `/`.
    pub file: String,
    /// Its rows.
    pub rows: u64,
    /// Bytes of the file.
    pub bytes: u64,
    /// What its cells take as plain arrays.
    pub content_bytes: u64,
}

/// What an export wrote.
#[derive(Clone, Debug, Serialize)]
pub struct WrittenTables {
    /// The experiments, by id.
    pub experiments: Vec<ExperimentId>,
    /// The files with rows, in the order in which they were begun.
    pub tables: Vec<WrittenTable>,
    /// Bytes of all files.
    pub bytes: u64,
    /// Experiments that are not complete.
    pub unfinished: Vec<Unfinished>,
}

/// Writes the tables of experiments into a folder; SCHEMA.md has the columns.
///
/// The store is read from one state, whatever other processes write. The files get their names when all of them are whole.
///
/// # Errors
///
/// [`ExportError`], also when there is nothing to export, or the folder holds something and may not be replaced.
pub fn export_tables(
    store: &Store,
    typed: &[String],
    folder: &Path,
    options: &TableOptions,
    registry: &dyn Registry,
    progress: &mut dyn Progress,
) -> Result<WrittenTables, ExportError> {
    let common = (options.embedding_models.as_slice(), options.may_replace, options.program_version);
    let write = |export: &mut Export<'_, '_>| {
        if options.embed_prompts {
            export.prompts = Some(PromptVectors::compute(
                export.store,
                export.selection,
                &export.models,
                registry,
                export.progress,
            )?);
        }
        export.all(options.images)
    };
    export_folder(store, typed, folder, common, progress, write, |_, _, _, _| Ok(()))
}

/// Writes a folder of tables: what `write` opens, and then what `add` puts beside them.
fn export_folder(
    store: &Store,
    typed: &[String],
    folder: &Path,
    (embedding_models, may_replace, program_version): (&[String], bool, &'static str),
    progress: &mut dyn Progress,
    write: impl FnOnce(&mut Export<'_, '_>) -> Result<(), ExportError>,
    add: impl FnOnce(&mut OutputFolder, &Selection, &[WrittenTable], &[Unfinished]) -> Result<(), ExportError>,
) -> Result<WrittenTables, ExportError> {
    let _state = store.snapshot()?;
    let selection = Selection::find(store, typed)?;
    let models = selection.chosen_models(embedding_models)?;
    let counts = counts_of(store, &selection)?;
    let mut folder = OutputFolder::begin(folder, may_replace)?;
    progress.tell_leftovers(&folder);
    let unfinished = selection.tell_unfinished(store, progress)?;
    let (files, mut tables) = std::thread::scope(|scope| {
        let writer = Writer::start(scope, program_version);
        let mut export = Export::new(store, &selection, models, &folder, writer, counts, progress);
        write(&mut export)?;
        Ok::<_, ExportError>((export.writer.finish()?, export.written))
    })?;
    for (file, table) in files.into_iter().zip(&mut tables) {
        table.bytes = folder.keep(file)?;
    }
    add(&mut folder, &selection, &tables, &unfinished)?;
    let bytes = folder.finish()?;
    let experiments = selection.experiments.iter().map(|experiment| experiment.id).collect();
    Ok(WrittenTables { experiments, tables, bytes, unfinished })
}

/// Counts what there is, and refuses to export nothing.
fn counts_of(store: &Store, selection: &Selection) -> Result<ExperimentCounts, ExportError> {
    let mut sum = ExperimentCounts::default();
    for experiment in &selection.experiments {
        let counts = store.counts(experiment.id)?;
        sum.runs += counts.runs;
        sum.invocations += counts.invocations;
        sum.embeddings += counts.embeddings;
        sum.persistence_diagrams += counts.persistence_diagrams;
        sum.failures += counts.failures;
    }
    if sum.invocations == 0 {
        let names: Vec<&str> = selection.experiments.iter().map(|experiment| experiment.name.as_str()).collect();
        return Err(ExportError::Nothing { what: format!("\"{}\" has no outputs yet", names.join("\", \"")) });
    }
    Ok(sum)
}

/// An export under way.
struct Export<'a, 'scope> {
    store: &'a Store,
    selection: &'a Selection,
    models: Vec<ModelName>,
    folder: &'a OutputFolder,
    writer: Writer<'scope>,
    progress: &'a mut dyn Progress,
    prompts: Option<PromptVectors>,
    counts: ExperimentCounts,
    slugs: Slugs,
    /// Model versions that exported rows name.
    versions: BTreeSet<ModelVersionId>,
    /// Pictures that exported rows name, by first appearance.
    pictures: Vec<Hash>,
    written: Vec<WrittenTable>,
}

impl<'a, 'scope> Export<'a, 'scope> {
    fn new(
        store: &'a Store,
        selection: &'a Selection,
        models: Vec<ModelName>,
        folder: &'a OutputFolder,
        writer: Writer<'scope>,
        counts: ExperimentCounts,
        progress: &'a mut dyn Progress,
    ) -> Self {
        Self {
            store,
            selection,
            models,
            folder,
            writer,
            progress,
            prompts: None,
            counts,
            slugs: Slugs::default(),
            versions: BTreeSet::new(),
            pictures: Vec::new(),
            written: Vec::new(),
        }
    }

    fn all(&mut self, with_pictures: bool) -> Result<(), ExportError> {
        self.experiments_and_runs()?;
        self.invocations(with_pictures)?;
        self.embeddings()?;
        self.diagrams()?;
        self.clusterings()?;
        self.versions_and_failures()?;
        if with_pictures {
            self.images()?;
        }
        Ok(())
    }

    /// Returns the columns of a table in this export.
    fn table(&self, name: TableName) -> Table {
        table(name, self.prompts.is_some(), 0)
    }

    fn open(&mut self, table: &Table) -> Result<Open, ExportError> {
        self.open_at(table, &format!("{}.parquet", table.name), None)
    }

    /// Begins a table in a file; `extra` is what other programs want to find in it.
    fn open_at(&mut self, table: &Table, relative: &str, extra: Option<KeyValue>) -> Result<Open, ExportError> {
        self.open_beside(table, relative, extra, 1)
    }

    /// Begins one of so many tables that grow side by side and share the memory.
    fn open_beside(
        &mut self,
        table: &Table,
        relative: &str,
        extra: Option<KeyValue>,
        share: usize,
    ) -> Result<Open, ExportError> {
        let experiments: Vec<ExperimentId> =
            self.selection.experiments.iter().map(|experiment| experiment.id).collect();
        let about = json!({
            "table": table.name, "program_version": self.writer.program_version, "experiments": experiments,
        });
        let mut metadata = vec![KeyValue::new("loopscope".to_owned(), about.to_string())];
        metadata.extend(extra);
        let open = self.writer.open(table, self.folder.file(relative)?, metadata, share)?;
        self.written.push(WrittenTable { file: relative.to_owned(), rows: 0, bytes: 0, content_bytes: 0 });
        Ok(open)
    }

    fn close(&mut self, mut open: Open) -> Result<(), ExportError> {
        let index = self.writer.close(&mut open)?;
        self.written[index].rows = open.sheet.rows_total;
        self.written[index].content_bytes = open.sheet.bytes_total;
        Ok(())
    }

    fn row(&mut self, open: &mut Open, cells: &[Cell<'_>]) -> Result<(), ExportError> {
        self.writer.row(open, cells)
    }
}

/// How often progress is told, in rows.
const TOLD_EVERY: u64 = 1024;

/// Counts rows, tells of them now and then, and ends the export when it was asked to.
fn tell(progress: &mut dyn Progress, done: &mut u64) -> Result<(), ExportError> {
    *done += 1;
    if done.is_multiple_of(TOLD_EVERY) {
        progress.advance(*done);
        progress.check()?;
    }
    Ok(())
}
