//! A Parquet file, a row group at a time.
//!
//! Columns are encoded as batches come, by Arrow's writers. Vectors are not given to these: they would make an index of eight
//! bytes and two levels for each number of four. Where each list has the same length and none is missing, the levels are the
//! same for every batch; vectors wait as they are until their row group is full, and then go to the file with these.

use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Float32Type;
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::{ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::data_type::FloatType;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};

use crate::OutputFile;

/// A file on its way, with the row group that is not in it yet.
pub(super) struct RowGroups {
    file: SerializedFileWriter<OutputFile>,
    factory: ArrowRowGroupWriterFactory,
    schema: SchemaRef,
    /// A row group is written when it takes this many bytes.
    bytes_max: usize,
    /// Empty where there are no rows.
    leaves: Vec<Leaf>,
}

/// A column of the file, in which a list or a struct has no place of its own.
enum Leaf {
    Encoded(Box<ArrowColumnWriter>),
    /// Numbers of whole vectors, a batch each.
    Vectors {
        dimension: usize,
        batches: Vec<ArrayRef>,
    },
}

impl RowGroups {
    pub(super) fn begin(
        file: OutputFile,
        schema: SchemaRef,
        properties: WriterProperties,
        bytes_max: usize,
    ) -> Result<Self, ParquetError> {
        // For the Arrow schema that it puts into the file.
        let (file, factory) =
            ArrowWriter::try_new(file, Arc::clone(&schema), Some(properties))?.into_serialized_writer()?;
        Ok(Self { file, factory, schema, bytes_max, leaves: Vec::new() })
    }

    pub(super) fn path(&self) -> &Path {
        self.file.inner().path()
    }

    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<(), ParquetError> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        if self.leaves.is_empty() {
            self.leaves = self.new_leaves()?;
        }
        let mut leaves = self.leaves.iter_mut();
        for (field, column) in self.schema.fields().iter().zip(batch.columns()) {
            if let DataType::FixedSizeList(..) = field.data_type() {
                match leaves.next() {
                    Some(Leaf::Vectors { batches, .. }) => batches.push(numbers_of(column)?),
                    _ => return Err(misplaced(field.name())),
                }
                continue;
            }
            for leaf in compute_leaves(field, column)? {
                match leaves.next() {
                    Some(Leaf::Encoded(writer)) => writer.write(&leaf)?,
                    _ => return Err(misplaced(field.name())),
                }
            }
        }
        let bytes: usize = self.leaves.iter().map(Leaf::bytes).sum();
        if bytes >= self.bytes_max { self.end_group() } else { Ok(()) }
    }

    /// Writes what is left and the end of the file, and gives it back.
    pub(super) fn finish(mut self) -> Result<OutputFile, ParquetError> {
        self.end_group()?;
        self.file.into_inner()
    }

    fn new_leaves(&self) -> Result<Vec<Leaf>, ParquetError> {
        let mut writers = self.factory.create_column_writers(self.file.flushed_row_groups().len())?.into_iter();
        let mut leaves = Vec::new();
        for field in self.schema.fields() {
            if let DataType::FixedSizeList(_, dimension) = field.data_type() {
                // In place of the one that Arrow has for it.
                writers.next();
                leaves.push(Leaf::Vectors { dimension: *dimension as usize, batches: Vec::new() });
            } else {
                leaves.extend(
                    writers.by_ref().take(leaf_count(field.data_type())).map(|writer| Leaf::Encoded(Box::new(writer))),
                );
            }
        }
        Ok(leaves)
    }

    fn end_group(&mut self) -> Result<(), ParquetError> {
        if self.leaves.is_empty() {
            return Ok(());
        }
        let mut group = self.file.next_row_group()?;
        for leaf in self.leaves.drain(..) {
            match leaf {
                Leaf::Encoded(writer) => writer.close()?.append_to_row_group(&mut group)?,
                Leaf::Vectors { dimension, batches } => write_vectors(&mut group, dimension, &batches)?,
            }
        }
        group.close()?;
        Ok(())
    }
}

impl Leaf {
    fn bytes(&self) -> usize {
        match self {
            Self::Encoded(writer) => writer.get_estimated_total_bytes(),
            Self::Vectors { batches, .. } => batches.iter().map(|numbers| 4 * numbers.len()).sum(),
        }
    }
}

/// Returns how many columns of a file a type takes.
fn leaf_count(kind: &DataType) -> usize {
    match kind {
        DataType::List(item) => leaf_count(item.data_type()),
        DataType::Struct(fields) => fields.iter().map(|field| leaf_count(field.data_type())).sum(),
        _ => 1,
    }
}

fn numbers_of(column: &ArrayRef) -> Result<ArrayRef, ParquetError> {
    let lists = column.as_fixed_size_list();
    if lists.null_count() > 0 || lists.values().null_count() > 0 {
        return Err(ParquetError::General("a vector is missing".to_owned()));
    }
    Ok(Arc::clone(lists.values()))
}

fn write_vectors(
    group: &mut SerializedRowGroupWriter<'_, OutputFile>,
    dimension: usize,
    batches: &[ArrayRef],
) -> Result<(), ParquetError> {
    let Some(mut column) = group.next_column()? else { return Err(misplaced("vector")) };
    // Every number is there, and all but the first of a list go on with it.
    let longest = batches.iter().map(|numbers| numbers.len()).max().unwrap_or(0);
    let definition = vec![1_i16; longest];
    let repetition: Vec<i16> = (0..longest).map(|index| i16::from(!index.is_multiple_of(dimension))).collect();
    for numbers in batches {
        let numbers = numbers.as_primitive::<Float32Type>().values();
        let (definition, repetition) = (&definition[..numbers.len()], &repetition[..numbers.len()]);
        column.typed::<FloatType>().write_batch(numbers, Some(definition), Some(repetition))?;
    }
    column.close()
}

fn misplaced(column: &str) -> ParquetError {
    ParquetError::General(format!("column {column} is not where the file has it"))
}

#[cfg(test)]
mod tests {
    use arrow_array::builder::{FixedSizeListBuilder, Float32Builder, Int64Builder, ListBuilder, StringBuilder};
    use arrow_schema::{Field, Schema};
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    use parquet::basic::{Compression, ZstdLevel};

    use super::*;

    /// A text, a vector, a list that may be missing, and a number after the vector.
    fn schema(dimension: i32) -> SchemaRef {
        let item = |kind| Arc::new(Field::new("element", kind, false));
        Arc::new(Schema::new(vec![
            Field::new("id", DataType::Utf8, false),
            Field::new("vector", DataType::FixedSizeList(item(DataType::Float32), dimension), false),
            Field::new("entropy", DataType::List(item(DataType::Int64)), true),
            Field::new("number", DataType::Int64, false),
        ]))
    }

    fn batch(schema: &SchemaRef, dimension: i32, first: usize, rows: usize) -> RecordBatch {
        let field = |index: usize| match schema.field(index).data_type() {
            DataType::List(item) | DataType::FixedSizeList(item, _) => Arc::clone(item),
            other => panic!("{other} is no list"),
        };
        let (mut ids, mut numbers) = (StringBuilder::new(), Int64Builder::new());
        let mut vectors = FixedSizeListBuilder::new(Float32Builder::new(), dimension).with_field(field(1));
        let mut lists = ListBuilder::new(Int64Builder::new()).with_field(field(2));
        for row in first..first + rows {
            ids.append_value(format!("row {row}"));
            for place in 0..dimension as usize {
                vectors.values().append_value((row * 1000 + place) as f32 / 7.0);
            }
            vectors.append(true);
            (0..row % 3).for_each(|value| lists.values().append_value(value as i64));
            lists.append(row % 4 != 0);
            numbers.append_value(row as i64);
        }
        let columns: Vec<ArrayRef> = vec![
            Arc::new(ids.finish()),
            Arc::new(vectors.finish()),
            Arc::new(lists.finish()),
            Arc::new(numbers.finish()),
        ];
        RecordBatch::try_new(Arc::clone(schema), columns).unwrap()
    }

    fn properties() -> WriterProperties {
        WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::try_new(1).unwrap())).build()
    }

    /// Returns the rows as one batch, and how many row groups there are.
    fn read(path: &Path) -> (RecordBatch, usize) {
        let reader = ParquetRecordBatchReaderBuilder::try_new(std::fs::File::open(path).unwrap()).unwrap();
        let groups = reader.metadata().num_row_groups();
        let mut batches = reader.with_batch_size(1 << 20).build().unwrap();
        let all = batches.next().unwrap().unwrap();
        assert!(batches.next().is_none());
        (all, groups)
    }

    #[test]
    fn files_read_as_those_that_arrow_writes() {
        let place = tempfile::tempdir().unwrap();
        // A number a vector; some; and more than a page holds.
        for (dimension, rows) in [(1, 4000), (3, 1500), (700, 40), (300_000, 2)] {
            let schema = schema(dimension);
            let batches: Vec<RecordBatch> = [(0, rows), (rows, 1), (rows + 1, 0), (rows + 1, 2 * rows)]
                .map(|(first, count)| batch(&schema, dimension, first, count))
                .into();
            let ours = OutputFile::begin(&place.path().join("ours"), true).unwrap();
            let mut writer = RowGroups::begin(ours, Arc::clone(&schema), properties(), 20_000).unwrap();
            batches.iter().for_each(|batch| writer.write(batch).unwrap());
            writer.finish().unwrap().finish().unwrap();
            let theirs = std::fs::File::create(place.path().join("theirs")).unwrap();
            let mut writer = ArrowWriter::try_new(theirs, Arc::clone(&schema), Some(properties())).unwrap();
            batches.iter().for_each(|batch| writer.write(batch).unwrap());
            writer.close().unwrap();
            let ((ours, groups), (theirs, _)) = (read(&place.path().join("ours")), read(&place.path().join("theirs")));
            assert_eq!(ours, theirs, "{dimension} numbers");
            assert_eq!((ours.num_rows(), ours.schema()), (3 * rows + 1, schema));
            assert!(groups > 1, "{dimension} numbers: {groups} row groups");
        }
    }

    #[test]
    fn a_table_without_rows_has_its_columns() {
        let place = tempfile::tempdir().unwrap();
        let schema = schema(3);
        let file = OutputFile::begin(&place.path().join("empty"), false).unwrap();
        let mut writer = RowGroups::begin(file, Arc::clone(&schema), properties(), 20_000).unwrap();
        writer.write(&batch(&schema, 3, 0, 0)).unwrap();
        writer.finish().unwrap().finish().unwrap();
        let file = std::fs::File::open(place.path().join("empty")).unwrap();
        let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
        assert_eq!((reader.metadata().num_row_groups(), reader.schema()), (0, &schema));
    }
}
