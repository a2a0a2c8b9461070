//! A data set for Hugging Face: `datasets.load_dataset(DIR)` gives every step with its picture or its text.
//!
//! The folder is what the hub takes as it is: Parquet under `data/`, a card `README.md` whose front matter says what is where,
//! and the vectors of each embedding model as a configuration of its own, which joins by `invocation_id`.

use std::io::Write;
use std::path::Path;

use loopscope_core::experiment::{Experiment, Run};
use loopscope_core::store::{Store, StoredInvocation};
use parquet::file::metadata::KeyValue;
use serde_json::{Map, Value, json};

use super::columns::{Kind, Table, TableName};
use super::findings::extension_of;
use super::record::{network_of, type_of};
use super::sheet::Cell;
use super::writer::Open;
use super::{Export, WrittenTables, export_folder, tell};
use crate::{ExportError, Part, Progress};

mod card;

/// A shard is closed when its cells take this many bytes.
const SHARD_BYTES: u64 = 400 << 20;

/// What of a data set is written.
#[derive(Clone, Debug, Default)]
pub struct HfOptions {
    /// The embedding models whose vectors are written; all where none is named.
    pub embedding_models: Vec<String>,
    /// Whether a data set that is there already may be replaced.
    pub may_replace: bool,
    /// The version of the program, which the files name.
    pub program_version: &'static str,
}

/// Writes experiments as a data set for Hugging Face.
///
/// # Errors
///
/// As [`export_tables`](super::export_tables).
pub fn export_hf(
    store: &Store,
    typed: &[String],
    folder: &Path,
    options: &HfOptions,
    progress: &mut dyn Progress,
) -> Result<WrittenTables, ExportError> {
    let common = (options.embedding_models.as_slice(), options.may_replace, options.program_version);
    let write = |export: &mut Export<'_, '_>| {
        export.steps()?;
        export.embeddings()
    };
    export_folder(store, typed, folder, common, progress, write, |folder, selection, tables, unfinished| {
        let mut card = folder.file("README.md")?;
        let text = card::card_of(selection, tables, unfinished, options.program_version);
        let path = card.path().to_owned();
        card.write_all(text.as_bytes()).map_err(|source| ExportError::Write { path, source })?;
        folder.keep(card)?;
        Ok(())
    })
}

impl Export<'_, '_> {
    /// Writes every invocation with its picture or text, in shards.
    fn steps(&mut self) -> Result<(), ExportError> {
        self.progress.begin(Part { name: "steps", total: self.counts.invocations, unit: "rows" });
        let table = self.table(TableName::Steps);
        let (mut shard, mut done) = (0, 0);
        let mut open = self.open_shard(&table, shard)?;
        for experiment in &self.selection.experiments {
            for run in self.store.runs(experiment.id)? {
                // Between runs, so that no run lies in two shards; before the next, so that no shard is empty.
                if open.sheet.bytes_total >= SHARD_BYTES {
                    shard += 1;
                    let next = self.open_shard(&table, shard)?;
                    self.close(std::mem::replace(&mut open, next))?;
                }
                self.store.visit_stored_invocations(run.id, |row| {
                    self.step(&mut open, experiment, &run, &row)?;
                    tell(self.progress, &mut done)
                })?;
            }
        }
        self.close(open)
    }

    fn open_shard(&mut self, table: &Table, shard: usize) -> Result<Open, ExportError> {
        let features = json!({ "info": { "features": features_of(table) } }).to_string();
        let metadata = KeyValue::new("huggingface".to_owned(), features);
        self.open_at(table, &format!("data/steps-{shard:05}.parquet"), Some(metadata))
    }

    fn step(
        &mut self,
        open: &mut Open,
        experiment: &Experiment,
        run: &Run,
        row: &StoredInvocation,
    ) -> Result<(), ExportError> {
        let picture = row.output_image.map(|hash| self.store.image(hash)).transpose()?;
        let path = picture.as_ref().map(|picture| format!("{}.{}", picture.hash, extension_of(&picture.format)));
        let image = match (&picture, &path) {
            (Some(picture), Some(path)) => Cell::Picture { bytes: &picture.bytes, path },
            _ => Cell::Null,
        };
        let network = network_of(run);
        let cells = [
            image,
            Cell::text(row.output_text.as_deref()),
            Cell::Text(type_of(row)),
            Cell::Text(&experiment.name),
            Cell::Texts(&network),
            Cell::Text(&run.key.initial_prompt),
            Cell::Integer(run.key.seed.value()),
            Cell::count(run.key.run_number),
            Cell::count(row.sequence_number.0),
            Cell::Text(row.model.as_str()),
            Cell::Shown(&experiment.id),
            Cell::Shown(&run.id),
            Cell::Shown(&row.id),
            Cell::Time(row.started_at),
            Cell::time(row.completed_at),
        ];
        self.row(open, &cells)
    }
}

/// Returns the features of a table as `datasets` keeps them in a Parquet file.
fn features_of(table: &Table) -> Value {
    let value = |dtype: &str| json!({ "dtype": dtype, "_type": "Value" });
    let feature = |kind: Kind| match kind {
        Kind::Integer => value("int64"),
        Kind::Float => value("float64"),
        Kind::Time => value("timestamp[us, tz=UTC]"),
        // "Sequence" is what releases before 4 call a list, and later ones still read.
        Kind::Texts => json!({ "feature": value("string"), "_type": "Sequence" }),
        Kind::Picture => json!({ "_type": "Image" }),
        _ => value("string"),
    };
    let features = table.columns.iter().map(|column| (column.name.to_owned(), feature(column.kind)));
    Value::Object(features.collect::<Map<_, _>>())
}
