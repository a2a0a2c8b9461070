//! Rows become columns: a sheet gathers cells until there are enough for a batch.

use std::fmt::{Display, Write as _};
use std::sync::Arc;

use arrow_array::builder::{
    BinaryBuilder, Float64Builder, Int64Builder, ListBuilder, StringBuilder, TimestampMicrosecondBuilder,
};
use arrow_array::{ArrayRef, FixedSizeListArray, Float32Array, RecordBatch, StructArray};
use arrow_buffer::NullBufferBuilder;
use arrow_schema::{ArrowError, DataType, SchemaRef};
use loopscope_core::experiment::Timestamp;

use super::columns::{Column, Kind, Table, element, picture_fields};

/// A batch goes on when its cells take this many bytes…
const BATCH_BYTES: usize = 1 << 20;
/// … or it has this many rows.
const BATCH_ROWS: usize = 16 << 10;

/// A value of a row, in the order of the columns.
pub(crate) enum Cell<'a> {
    Null,
    /// Shown as text: an id, a hash.
    Shown(&'a dyn Display),
    Text(&'a str),
    Integer(i64),
    Float(f64),
    Time(Timestamp),
    Texts(&'a [&'a str]),
    TextLists(&'a [Vec<&'a str>]),
    Integers(&'a [i64]),
    Floats(&'a [f64]),
    Vector(&'a [f32]),
    Picture {
        bytes: &'a [u8],
        path: &'a dyn Display,
    },
}

impl<'a> Cell<'a> {
    pub(crate) fn shown<T: Display>(value: Option<&'a T>) -> Self {
        value.map_or(Self::Null, |value| Self::Shown(value))
    }

    pub(crate) fn text(value: Option<&'a str>) -> Self {
        value.map_or(Self::Null, Self::Text)
    }

    pub(crate) fn time(value: Option<Timestamp>) -> Self {
        value.map_or(Self::Null, Self::Time)
    }

    /// A count; the store itself cannot hold one above `i64::MAX`.
    pub(crate) fn count(value: u64) -> Self {
        Self::Integer(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

enum Builder {
    Text(StringBuilder),
    Integer(Int64Builder),
    Float(Float64Builder),
    Time(TimestampMicrosecondBuilder),
    Texts(ListBuilder<StringBuilder>),
    TextLists(ListBuilder<ListBuilder<StringBuilder>>),
    Integers(ListBuilder<Int64Builder>),
    Floats(ListBuilder<Float64Builder>),
    Vector { dimension: i32, numbers: Vec<f32> },
    Picture { bytes: BinaryBuilder, path: StringBuilder, present: NullBufferBuilder },
}

/// The rows of a table that are not yet in its file.
pub(crate) struct Sheet {
    schema: SchemaRef,
    columns: Vec<Column>,
    builders: Vec<Builder>,
    rows: usize,
    bytes: usize,
    /// All rows so far.
    pub(crate) rows_total: u64,
    /// What the cells so far take, as plain arrays.
    pub(crate) bytes_total: u64,
}

impl Sheet {
    pub(crate) fn new(table: &Table, schema: SchemaRef) -> Self {
        let builders = table.columns.iter().map(Builder::new).collect();
        Self { schema, columns: table.columns.clone(), builders, rows: 0, bytes: 0, rows_total: 0, bytes_total: 0 }
    }

    /// Adds a row; returns a batch when there are enough.
    ///
    /// # Errors
    ///
    /// [`ArrowError`] when the cells are not those of the table, which is a fault of this program.
    pub(crate) fn row(&mut self, cells: &[Cell<'_>]) -> Result<Option<RecordBatch>, ArrowError> {
        if cells.len() != self.builders.len() {
            let wrong = format!("a row has {} cells, expected {}", cells.len(), self.builders.len());
            return Err(ArrowError::InvalidArgumentError(wrong));
        }
        for ((builder, column), cell) in self.builders.iter_mut().zip(&self.columns).zip(cells) {
            match builder.push(cell) {
                Some(bytes) => self.bytes += bytes,
                None => {
                    let wrong = format!("column {} got a cell of another kind", column.name);
                    return Err(ArrowError::InvalidArgumentError(wrong));
                }
            }
        }
        self.rows += 1;
        self.rows_total += 1;
        if self.bytes >= BATCH_BYTES || self.rows >= BATCH_ROWS { self.batch().map(Some) } else { Ok(None) }
    }

    /// Returns the rows that are left.
    ///
    /// # Errors
    ///
    /// [`ArrowError`] when a column that must not have a null has one.
    pub(crate) fn batch(&mut self) -> Result<RecordBatch, ArrowError> {
        let rows = self.rows;
        let arrays = self.builders.iter_mut().map(|builder| builder.finish(rows)).collect::<Result<Vec<_>, _>>()?;
        self.bytes_total += self.bytes as u64;
        (self.rows, self.bytes) = (0, 0);
        RecordBatch::try_new(Arc::clone(&self.schema), arrays)
    }
}

impl Builder {
    fn new(column: &Column) -> Self {
        match column.kind {
            Kind::Text => Self::Text(StringBuilder::new()),
            Kind::Integer => Self::Integer(Int64Builder::new()),
            Kind::Float => Self::Float(Float64Builder::new()),
            Kind::Time => Self::Time(TimestampMicrosecondBuilder::new().with_timezone("UTC")),
            Kind::Texts => Self::Texts(ListBuilder::new(StringBuilder::new()).with_field(element(DataType::Utf8))),
            Kind::TextLists => {
                let inner = ListBuilder::new(StringBuilder::new()).with_field(element(DataType::Utf8));
                let field = element(DataType::List(element(DataType::Utf8)));
                Self::TextLists(ListBuilder::new(inner).with_field(field))
            }
            Kind::Integers => {
                Self::Integers(ListBuilder::new(Int64Builder::new()).with_field(element(DataType::Int64)))
            }
            Kind::Floats => {
                Self::Floats(ListBuilder::new(Float64Builder::new()).with_field(element(DataType::Float64)))
            }
            Kind::Vector(dimension) => Self::Vector { dimension, numbers: Vec::new() },
            Kind::Picture => Self::Picture {
                bytes: BinaryBuilder::new(),
                path: StringBuilder::new(),
                present: NullBufferBuilder::new(0),
            },
        }
    }

    /// Adds a cell and returns the bytes that it takes; `None` when it is of another kind.
    fn push(&mut self, cell: &Cell<'_>) -> Option<usize> {
        match (self, cell) {
            (Self::Text(builder), Cell::Text(text)) => {
                builder.append_value(text);
                Some(text.len() + 4)
            }
            (Self::Text(builder), Cell::Shown(shown)) => {
                let before = builder.values_slice().len();
                // Writing into memory does not fail.
                write!(builder, "{shown}").ok();
                builder.append_value("");
                Some(builder.values_slice().len() - before + 4)
            }
            (Self::Text(builder), Cell::Null) => {
                builder.append_null();
                Some(4)
            }
            (Self::Integer(builder), Cell::Integer(value)) => {
                builder.append_value(*value);
                Some(8)
            }
            (Self::Integer(builder), Cell::Null) => {
                builder.append_null();
                Some(8)
            }
            (Self::Float(builder), Cell::Float(value)) => {
                builder.append_value(*value);
                Some(8)
            }
            (Self::Float(builder), Cell::Null) => {
                builder.append_null();
                Some(8)
            }
            (Self::Time(builder), Cell::Time(moment)) => {
                builder.append_value(moment.micros());
                Some(8)
            }
            (Self::Time(builder), Cell::Null) => {
                builder.append_null();
                Some(8)
            }
            (Self::Vector { dimension, numbers }, Cell::Vector(vector)) if vector.len() == *dimension as usize => {
                numbers.extend_from_slice(vector);
                Some(4 * vector.len())
            }
            (Self::Picture { bytes, path, present }, Cell::Picture { bytes: encoded, path: name }) => {
                bytes.append_value(encoded);
                // As above.
                write!(path, "{name}").ok();
                path.append_value("");
                present.append(true);
                Some(encoded.len() + 40)
            }
            (Self::Picture { bytes, path, present }, Cell::Null) => {
                bytes.append_null();
                path.append_null();
                present.append(false);
                Some(8)
            }
            (builder, cell) => builder.push_list(cell),
        }
    }

    fn push_list(&mut self, cell: &Cell<'_>) -> Option<usize> {
        match (self, cell) {
            (Self::Texts(builder), Cell::Texts(texts)) => {
                texts.iter().for_each(|text| builder.values().append_value(text));
                builder.append(true);
                Some(texts.iter().map(|text| text.len() + 4).sum::<usize>() + 4)
            }
            (Self::TextLists(builder), Cell::TextLists(lists)) => {
                for list in *lists {
                    list.iter().for_each(|text| builder.values().values().append_value(text));
                    builder.values().append(true);
                }
                builder.append(true);
                Some(lists.iter().flatten().map(|text| text.len() + 4).sum::<usize>() + 4)
            }
            (Self::Integers(builder), Cell::Integers(values)) => {
                builder.values().append_slice(values);
                builder.append(true);
                Some(8 * values.len() + 4)
            }
            (Self::Floats(builder), Cell::Floats(values)) => {
                builder.values().append_slice(values);
                builder.append(true);
                Some(8 * values.len() + 4)
            }
            (Self::Floats(builder), Cell::Null) => {
                builder.append(false);
                Some(4)
            }
            _ => None,
        }
    }

    fn finish(&mut self, rows: usize) -> Result<ArrayRef, ArrowError> {
        Ok(match self {
            Self::Text(builder) => Arc::new(builder.finish()),
            Self::Integer(builder) => Arc::new(builder.finish()),
            Self::Float(builder) => Arc::new(builder.finish()),
            Self::Time(builder) => Arc::new(builder.finish()),
            Self::Texts(builder) => Arc::new(builder.finish()),
            Self::TextLists(builder) => Arc::new(builder.finish()),
            Self::Integers(builder) => Arc::new(builder.finish()),
            Self::Floats(builder) => Arc::new(builder.finish()),
            Self::Vector { dimension, numbers } => {
                // The next batch is as large as this one.
                let room = Vec::with_capacity(numbers.len());
                let values = Arc::new(Float32Array::from(std::mem::replace(numbers, room)));
                Arc::new(FixedSizeListArray::try_new_with_length(
                    element(DataType::Float32),
                    *dimension,
                    values,
                    None,
                    rows,
                )?)
            }
            Self::Picture { bytes, path, present } => {
                let arrays: Vec<ArrayRef> = vec![Arc::new(bytes.finish()), Arc::new(path.finish())];
                Arc::new(StructArray::try_new(picture_fields(), arrays, present.finish())?)
            }
        })
    }
}
