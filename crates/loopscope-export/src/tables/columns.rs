//! The columns of every table: the public interface of the exported files, documented in SCHEMA.md.
//!
//! Ids are hyphenated text, because that is what every reader joins without a cast, what the program prints, and what it
//! takes; times are moments in UTC with microseconds.

use std::sync::Arc;

use arrow_schema::{DataType, Field, Fields, Schema, TimeUnit};

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// UTF-8.
    Text,
    /// int64.
    Integer,
    /// float64.
    Float,
    /// Microseconds since 1970, UTC.
    Time,
    /// A list of texts.
    Texts,
    /// A list of lists of texts.
    TextLists,
    /// A list of int64.
    Integers,
    /// A list of float64.
    Floats,
    /// So many float32.
    Vector(i32),
    /// A picture as Hugging Face data sets have it: its encoded bytes, and a name.
    Picture,
}

/// A table that this program writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TableName {
    Experiments,
    Runs,
    Invocations,
    Embeddings,
    PersistenceDiagrams,
    Pairs,
    ClusteringResults,
    EmbeddingClusters,
    ModelVersions,
    Failures,
    Images,
    Wide,
    Steps,
}

impl TableName {
    /// Returns the name of its file, without the ending.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Experiments => "experiments",
            Self::Runs => "runs",
            Self::Invocations => "invocations",
            Self::Embeddings => "embeddings",
            Self::PersistenceDiagrams => "persistence_diagrams",
            Self::Pairs => "pairs",
            Self::ClusteringResults => "clustering_results",
            Self::EmbeddingClusters => "embedding_clusters",
            Self::ModelVersions => "model_versions",
            Self::Failures => "failures",
            Self::Images => "images",
            Self::Wide => "wide",
            Self::Steps => "steps",
        }
    }
}

/// A column of a table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) is_optional: bool,
}

/// A table: its columns in order.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub(crate) name: &'static str,
    pub(crate) columns: Vec<Column>,
}

const fn must(name: &'static str, kind: Kind) -> Column {
    Column { name, kind, is_optional: false }
}

const fn may(name: &'static str, kind: Kind) -> Column {
    Column { name, kind, is_optional: true }
}

/// Returns the columns of a table. `has_prompts` says whether rows of prompts are among those of outputs: what such a row
/// cannot have is optional then.
pub(crate) fn table(name: TableName, has_prompts: bool, dimension: i32) -> Table {
    use Kind::{Float, Floats, Integer, Integers, Picture, Text, TextLists, Texts, Time, Vector};
    let of_output = |name, kind| Column { name, kind, is_optional: has_prompts };
    let columns = match name {
        TableName::Experiments => vec![
            must("id", Text),
            must("name", Text),
            must("networks", TextLists),
            must("num_runs", Integer),
            must("prompts", Texts),
            must("embedding_models", Texts),
            must("max_length", Integer),
            must("seeds", Integers),
            must("config", Text),
            must("origin", Text),
            must("created_at", Time),
            may("started_at", Time),
            may("completed_at", Time),
        ],
        TableName::Runs => vec![
            must("id", Text),
            must("experiment_id", Text),
            must("network", Texts),
            must("run_number", Integer),
            must("max_length", Integer),
            must("initial_prompt", Text),
            must("seed", Integer),
        ],
        TableName::Invocations => vec![
            must("id", Text),
            must("run_id", Text),
            may("input_invocation_id", Text),
            must("sequence_number", Integer),
            must("type", Text),
            of_output("model", Text),
            may("output_text", Text),
            may("output_image", Text),
            of_output("seed", Integer),
            of_output("model_version_id", Text),
            of_output("started_at", Time),
            may("completed_at", Time),
        ],
        TableName::Embeddings => vec![
            must("id", Text),
            must("invocation_id", Text),
            must("embedding_model", Text),
            must("vector", Vector(dimension)),
            of_output("model_version_id", Text),
            of_output("started_at", Time),
            may("completed_at", Time),
        ],
        TableName::PersistenceDiagrams => vec![
            must("id", Text),
            must("run_id", Text),
            must("embedding_model", Text),
            must("diagram_data", Text),
            may("entropy", Floats),
            must("started_at", Time),
            may("completed_at", Time),
        ],
        TableName::Pairs => vec![
            must("persistence_diagram_id", Text),
            must("run_id", Text),
            must("embedding_model", Text),
            must("dimension", Integer),
            must("bar", Integer),
            must("birth", Float),
            must("death", Float),
        ],
        TableName::ClusteringResults => vec![
            must("id", Text),
            must("embedding_model", Text),
            must("algorithm", Text),
            must("parameters", Text),
            must("layer", Integer),
            must("created_at", Time),
            must("started_at", Time),
            may("completed_at", Time),
        ],
        TableName::EmbeddingClusters => vec![
            must("id", Text),
            must("embedding_id", Text),
            must("clustering_result_id", Text),
            may("medoid_embedding_id", Text),
            may("probability", Float),
        ],
        TableName::ModelVersions => vec![
            must("id", Text),
            must("name", Text),
            must("kind", Text),
            must("backend", Text),
            must("revision", Text),
            must("weights_hash", Text),
            must("parameters", Text),
            must("determinism", Text),
            must("program_version", Text),
        ],
        TableName::Failures => vec![
            must("id", Text),
            must("experiment_id", Text),
            may("run_id", Text),
            must("stage", Text),
            must("subject", Text),
            must("attempt", Integer),
            must("error", Text),
            must("occurred_at", Time),
        ],
        TableName::Images => vec![
            must("hash", Text),
            must("pixel_hash", Text),
            must("format", Text),
            must("width", Integer),
            must("height", Integer),
            must("image", Picture),
        ],
        // One row for each output, with what its run and experiment say of it.
        TableName::Wide => vec![
            must("experiment_id", Text),
            must("experiment_name", Text),
            must("run_id", Text),
            must("network", Texts),
            must("initial_prompt", Text),
            must("seed", Integer),
            must("run_number", Integer),
            must("max_length", Integer),
            must("invocation_id", Text),
            must("sequence_number", Integer),
            must("type", Text),
            of_output("model", Text),
            may("output_text", Text),
            may("output_image", Text),
            of_output("started_at", Time),
            may("completed_at", Time),
        ],
        // The default table of a Hugging Face data set.
        TableName::Steps => vec![
            may("image", Picture),
            may("text", Text),
            must("type", Text),
            must("experiment_name", Text),
            must("network", Texts),
            must("initial_prompt", Text),
            must("seed", Integer),
            must("run_number", Integer),
            must("sequence_number", Integer),
            must("model", Text),
            must("experiment_id", Text),
            must("run_id", Text),
            must("invocation_id", Text),
            must("started_at", Time),
            may("completed_at", Time),
        ],
    };
    Table { name: name.as_str(), columns }
}

/// Returns the field of the numbers of a vector.
pub(crate) fn element(kind: DataType) -> Arc<Field> {
    // The name that Parquet itself gives it.
    Arc::new(Field::new("element", kind, false))
}

/// Returns the fields of a picture.
pub(crate) fn picture_fields() -> Fields {
    Fields::from(vec![Field::new("bytes", DataType::Binary, true), Field::new("path", DataType::Utf8, true)])
}

impl Column {
    fn data_type(&self) -> DataType {
        match self.kind {
            Kind::Text => DataType::Utf8,
            Kind::Integer => DataType::Int64,
            Kind::Float => DataType::Float64,
            Kind::Time => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Kind::Texts => DataType::List(element(DataType::Utf8)),
            Kind::TextLists => DataType::List(element(DataType::List(element(DataType::Utf8)))),
            Kind::Integers => DataType::List(element(DataType::Int64)),
            Kind::Floats => DataType::List(element(DataType::Float64)),
            Kind::Vector(dimension) => DataType::FixedSizeList(element(DataType::Float32), dimension),
            Kind::Picture => DataType::Struct(picture_fields()),
        }
    }
}

impl Table {
    /// Returns the Arrow schema.
    pub(crate) fn schema(&self) -> Schema {
        let field = |column: &Column| Field::new(column.name, column.data_type(), column.is_optional);
        Schema::new(self.columns.iter().map(field).collect::<Vec<_>>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All but that of data sets, which has a page of its own.
    const EXPORTED: [TableName; 12] = [
        TableName::Experiments,
        TableName::Runs,
        TableName::Invocations,
        TableName::Embeddings,
        TableName::PersistenceDiagrams,
        TableName::Pairs,
        TableName::ClusteringResults,
        TableName::EmbeddingClusters,
        TableName::ModelVersions,
        TableName::Failures,
        TableName::Images,
        TableName::Wide,
    ];

    #[test]
    fn the_page_has_every_column_in_order_with_what_may_be_null() {
        let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../SCHEMA.md")).unwrap();
        for name in EXPORTED {
            let table = table(name, false, 1);
            let shown = |column: &Column| format!("`{}`{}", column.name, if column.is_optional { "?" } else { "" });
            let columns = table.columns.iter().map(shown).collect::<Vec<_>>().join(", ");
            assert!(page.contains(&format!("| {columns} |")), "{name:?}: {columns}");
        }
    }
}
