//! The other thread: it encodes, compresses and writes, while the first one reads the store.
//!
//! What lies between the two is bounded, and so is what is kept of a file before it is written: a row group.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::ScopedJoinHandle;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use super::columns::{Column, Kind, Table};
use super::row_groups::RowGroups;
use super::sheet::{Cell, Sheet};
use crate::{ExportError, OutputFile};

/// A row group is written when it takes this many bytes…
const ROW_GROUP_BYTES: usize = 64 << 20;
/// … or its share of these, where files grow side by side.
const ROW_GROUPS_BYTES: usize = 256 << 20;
/// Batches that may wait for the writing thread.
const QUEUE: usize = 16;
/// The first bytes of all numbers, then the second ones, and so on: signs and exponents of vectors are much alike, and shrink
/// where they stand together; fractions do not, which zstd notices sooner where they stand alone.
const VECTOR_ENCODING: Encoding = Encoding::BYTE_STREAM_SPLIT;
/// zstd's fastest: vectors hardly shrink at any level.
const ZSTD_LEVEL: i32 = 1;

enum Job {
    Open(Box<RowGroups>),
    Batch(usize, RecordBatch),
    Close(usize),
}

/// The writing thread, seen from the reading one.
pub(super) struct Writer<'scope> {
    /// `None` once there is nothing more to write.
    jobs: Option<SyncSender<Job>>,
    thread: Option<ScopedJoinHandle<'scope, Result<Vec<Option<OutputFile>>, ExportError>>>,
    opened: usize,
    pub(super) program_version: &'static str,
}

/// A table that is being written.
pub(super) struct Open {
    index: usize,
    pub(super) sheet: Sheet,
}

impl<'scope> Writer<'scope> {
    pub(super) fn start<'env>(scope: &'scope std::thread::Scope<'scope, 'env>, program_version: &'static str) -> Self {
        let (jobs, queue) = sync_channel(QUEUE);
        let thread = scope.spawn(move || write_all(&queue));
        Self { jobs: Some(jobs), thread: Some(thread), opened: 0, program_version }
    }

    /// Begins a table in `file`, one of `share` that grow side by side.
    pub(super) fn open(
        &mut self,
        table: &Table,
        file: OutputFile,
        metadata: Vec<KeyValue>,
        share: usize,
    ) -> Result<Open, ExportError> {
        let schema: SchemaRef = Arc::new(table.schema());
        let path = file.path().to_owned();
        let properties = properties_of(table, metadata, self.program_version).map_err(|error| failed(&path, error))?;
        let bytes_max = ROW_GROUP_BYTES.min(ROW_GROUPS_BYTES / share.max(1));
        let groups = RowGroups::begin(file, Arc::clone(&schema), properties, bytes_max);
        self.send(Job::Open(Box::new(groups.map_err(|error| failed(&path, error))?)))?;
        self.opened += 1;
        Ok(Open { index: self.opened - 1, sheet: Sheet::new(table, schema) })
    }

    /// Adds a row to a table.
    pub(super) fn row(&mut self, open: &mut Open, cells: &[Cell<'_>]) -> Result<(), ExportError> {
        match open.sheet.row(cells).map_err(|error| unfit(&error))? {
            Some(batch) => self.send(Job::Batch(open.index, batch)),
            None => Ok(()),
        }
    }

    /// Ends a table; its file stays without a name until all are done. Returns which of all it is.
    pub(super) fn close(&mut self, open: &mut Open) -> Result<usize, ExportError> {
        let batch = open.sheet.batch().map_err(|error| unfit(&error))?;
        self.send(Job::Batch(open.index, batch))?;
        self.send(Job::Close(open.index))?;
        Ok(open.index)
    }

    /// Waits for everything, and returns the files in the order in which they were begun.
    pub(super) fn finish(mut self) -> Result<Vec<OutputFile>, ExportError> {
        self.jobs = None;
        Ok(self.join()?.into_iter().flatten().collect())
    }

    fn send(&mut self, job: Job) -> Result<(), ExportError> {
        let sent = self.jobs.as_ref().is_some_and(|jobs| jobs.send(job).is_ok());
        if sent {
            return Ok(());
        }
        // The thread is gone because it failed: it knows why.
        self.jobs = None;
        self.join().map(|_| ()).and(Err(ExportError::Stopped))
    }

    fn join(&mut self) -> Result<Vec<Option<OutputFile>>, ExportError> {
        match self.thread.take().map(ScopedJoinHandle::join) {
            Some(Ok(outcome)) => outcome,
            Some(Err(panic)) => std::panic::resume_unwind(panic),
            None => Err(ExportError::Stopped),
        }
    }
}

fn write_all(queue: &Receiver<Job>) -> Result<Vec<Option<OutputFile>>, ExportError> {
    let mut writers: Vec<Option<RowGroups>> = Vec::new();
    let mut closed: Vec<Option<OutputFile>> = Vec::new();
    for job in queue {
        match job {
            Job::Open(writer) => {
                writers.push(Some(*writer));
                closed.push(None);
            }
            Job::Batch(index, batch) => {
                let Some(writer) = writers.get_mut(index).and_then(Option::as_mut) else { continue };
                if let Err(error) = writer.write(&batch) {
                    return Err(failed(writer.path(), error));
                }
            }
            Job::Close(index) => {
                let Some(writer) = writers.get_mut(index).and_then(Option::take) else { continue };
                let path = writer.path().to_owned();
                closed[index] = Some(writer.finish().map_err(|error| failed(&path, error))?);
            }
        }
    }
    Ok(closed)
}

fn properties_of(
    table: &Table,
    metadata: Vec<KeyValue>,
    program_version: &str,
) -> Result<WriterProperties, ParquetError> {
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?))
        .set_created_by(format!("loopscope version {program_version}"))
        .set_key_value_metadata(Some(metadata));
    for column in &table.columns {
        match column.kind {
            // No vector comes twice often enough for a dictionary, and its smallest number says nothing.
            Kind::Vector(_) => {
                let path = ColumnPath::new(vec![column.name.to_owned(), "list".to_owned(), "element".to_owned()]);
                properties = properties
                    .set_column_dictionary_enabled(path.clone(), false)
                    .set_column_encoding(path.clone(), VECTOR_ENCODING)
                    .set_column_statistics_enabled(path, EnabledStatistics::None);
            }
            // Pictures are compressed already.
            Kind::Picture => {
                let path = ColumnPath::new(vec![column.name.to_owned(), "bytes".to_owned()]);
                properties = properties
                    .set_column_dictionary_enabled(path.clone(), false)
                    .set_column_compression(path.clone(), Compression::UNCOMPRESSED)
                    .set_column_statistics_enabled(path, EnabledStatistics::None);
            }
            _ if is_id(column) => {
                properties = properties.set_column_dictionary_enabled(ColumnPath::from(column.name), false);
            }
            _ => {}
        }
    }
    Ok(properties.build())
}

/// Returns whether no value of a column comes twice, so that a dictionary would be the column again.
fn is_id(column: &Column) -> bool {
    matches!(column.name, "id" | "invocation_id" | "embedding_id" | "input_invocation_id")
}

fn failed(path: &std::path::Path, error: ParquetError) -> ExportError {
    let source = match error {
        ParquetError::External(error) => match error.downcast::<std::io::Error>() {
            Ok(error) => *error,
            Err(error) => std::io::Error::other(error),
        },
        error => std::io::Error::other(error),
    };
    ExportError::Write { path: path.to_owned(), source }
}

fn unfit(error: &arrow_schema::ArrowError) -> ExportError {
    ExportError::Unfit { object: "a row".to_owned(), defect: format!("does not fit its table: {error}") }
}
