//! What became of every row: for each table, source = carried + dropped, each drop by reason.

use std::collections::BTreeMap;
use std::io::Write;

use rusqlite::{Row, params};
use serde::Serialize;

use super::error::ImportError;
use super::scratch::Scratch;

/// A table of the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Table {
    /// `experimentconfig` there.
    Experiment,
    /// `run`.
    Run,
    /// `invocation`.
    Invocation,
    /// `embedding`.
    Embedding,
    /// `persistencediagram` there.
    PersistenceDiagram,
    /// `clusteringresult` there.
    ClusteringResult,
    /// `embeddingcluster` there.
    EmbeddingCluster,
}

impl Table {
    /// All tables, in the order in which they are imported.
    pub const ALL: [Self; 7] = [
        Self::Experiment,
        Self::Run,
        Self::Invocation,
        Self::Embedding,
        Self::PersistenceDiagram,
        Self::ClusteringResult,
        Self::EmbeddingCluster,
    ];

    /// Returns its name in our schema.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Experiment => "experiment",
            Self::Run => "run",
            Self::Invocation => "invocation",
            Self::Embedding => "embedding",
            Self::PersistenceDiagram => "persistence_diagram",
            Self::ClusteringResult => "clustering_result",
            Self::EmbeddingCluster => "embedding_cluster",
        }
    }

    /// Returns its name in a legacy file.
    #[must_use]
    pub const fn legacy_name(self) -> &'static str {
        match self {
            Self::Experiment => "experimentconfig",
            Self::Run => "run",
            Self::Invocation => "invocation",
            Self::Embedding => "embedding",
            Self::PersistenceDiagram => "persistencediagram",
            Self::ClusteringResult => "clusteringresult",
            Self::EmbeddingCluster => "embeddingcluster",
        }
    }

    /// Returns the query of what was carried of it, in the order of the ids.
    const fn carried(self) -> &'static str {
        match self {
            Self::Experiment => "SELECT id FROM experiment ORDER BY id",
            Self::Run => "SELECT id FROM run ORDER BY id",
            Self::Invocation => "SELECT key FROM invocation WHERE state > 0 ORDER BY key",
            Self::Embedding => "SELECT id FROM embedding ORDER BY id",
            Self::PersistenceDiagram => "SELECT id FROM diagram ORDER BY id",
            Self::ClusteringResult => "SELECT id FROM clustering ORDER BY id",
            Self::EmbeddingCluster => "SELECT id FROM member ORDER BY id",
        }
    }
}

/// What became of the rows of one table, as numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TableCounts {
    /// Rows of the source.
    pub source: u64,
    /// Rows that fit our schema.
    pub carried: u64,
    /// Rows that do not, by reason.
    pub dropped: BTreeMap<&'static str, u64>,
    /// Carried rows that were mended, by what.
    pub repaired: BTreeMap<&'static str, u64>,
    /// Carried rows that the store had already.
    pub there: u64,
}

impl TableCounts {
    /// Returns how many rows were dropped.
    #[must_use]
    pub fn dropped_in_all(&self) -> u64 {
        self.dropped.values().sum()
    }
}

/// Something that an import did and no rule names, counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Note {
    /// An output of the other type that a row had beside its own; the schema has room for one.
    OtherOutputLeft,
    /// An invocation whose seed is no seed; −1 says that it was not recorded.
    SeedNotRecorded,
    /// A clustering whose parameters are no JSON object; they are kept as text under `as_given`.
    ParametersAsGiven,
    /// A clustering without a readable time of creation, which has the time of the import.
    CreatedNow,
}

impl Note {
    /// Returns it in words, for a count before them.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::OtherOutputLeft => "outputs of the other type, beside the one of a row's own type, were left out",
            Self::SeedNotRecorded => "invocations have no usable seed; -1 stands for \"not recorded\"",
            Self::ParametersAsGiven => {
                "clusterings have parameters that are no JSON object; kept as text under as_given"
            }
            Self::CreatedNow => "clusterings have no readable created_at; the time of the import stands there",
        }
    }
}

/// What became of a source: the numbers, and on demand every id.
pub struct ImportReport {
    /// The layout of the source, in words.
    pub layout: &'static str,
    /// The time zone that its times were read with.
    pub zone: String,
    /// Whether nothing was written.
    pub is_dry_run: bool,
    /// What no rule names.
    pub notes: BTreeMap<Note, u64>,
    pub(super) counts: BTreeMap<Table, TableCounts>,
    pub(super) scratch: Scratch,
}

impl ImportReport {
    /// Returns the numbers of a table.
    #[must_use]
    pub fn counts(&self, table: Table) -> TableCounts {
        self.counts.get(&table).cloned().unwrap_or_default()
    }

    /// Writes the report as JSON: table → source, carried, dropped by reason, repaired by kind.
    ///
    /// Ids are 32 hexadecimal digits, sorted; a row without one is `rowid:N`. With `counts_only` there are numbers in
    /// their place. The lists are written as they are read: a report of millions takes no memory.
    ///
    /// # Errors
    ///
    /// [`ImportError::System`] when `out` does not take it.
    pub fn write_json(&self, out: &mut dyn Write, counts_only: bool) -> Result<(), ImportError> {
        let unwritten = |source| ImportError::System { what: "room for the report", source };
        let mut tables = Table::ALL;
        tables.sort_by_key(|table| table.name());
        for (index, table) in tables.into_iter().enumerate() {
            let start = if index == 0 { "{" } else { "," };
            write!(out, "{start}\n \"{}\": {{\n  \"carried\": ", table.name()).map_err(unwritten)?;
            let counts = self.counts(table);
            if counts_only {
                write!(out, "{}", counts.carried).map_err(unwritten)?;
            } else {
                self.write_list(out, table.carried(), [], hex_of)?;
            }
            for (part, column, groups) in [("dropped", "name", &counts.dropped), ("repaired", "kind", &counts.repaired)]
            {
                write!(out, ",\n  \"{part}\": {{").map_err(unwritten)?;
                for (index, (group, count)) in groups.iter().enumerate() {
                    let start = if index == 0 { "" } else { "," };
                    write!(out, "{start}\n   \"{group}\": ").map_err(unwritten)?;
                    if counts_only {
                        write!(out, "{count}").map_err(unwritten)?;
                    } else if column == "name" {
                        let sql = "SELECT name FROM dropped WHERE tbl = ?1 AND reason = ?2 ORDER BY name";
                        self.write_list(out, sql, params![table as i64, group], |row| row.get(0))?;
                    } else {
                        let sql = "SELECT id FROM repaired WHERE tbl = ?1 AND kind = ?2 ORDER BY id";
                        self.write_list(out, sql, params![table as i64, group], hex_of)?;
                    }
                }
                let end = if groups.is_empty() { "}" } else { "\n  }" };
                write!(out, "{end}").map_err(unwritten)?;
            }
            write!(out, ",\n  \"source\": {}\n }}", counts.source).map_err(unwritten)?;
        }
        writeln!(out, "\n}}").map_err(unwritten)
    }

    fn write_list(
        &self,
        out: &mut dyn Write,
        sql: &str,
        values: impl rusqlite::Params,
        name: impl Fn(&Row<'_>) -> rusqlite::Result<String>,
    ) -> Result<(), ImportError> {
        let unwritten = |source| ImportError::System { what: "room for the report", source };
        let unread = |source| self.scratch.failed(source);
        let mut statement = self.scratch.query(sql)?;
        let mut rows = statement.query(values).map_err(unread)?;
        let mut start = "[";
        while let Some(row) = rows.next().map_err(unread)? {
            // Hexadecimal digits and `rowid:N`: nothing to escape.
            write!(out, "{start}\n    \"{}\"", name(row).map_err(unread)?).map_err(unwritten)?;
            start = ",";
        }
        write!(out, "{}", if start == "[" { "[]" } else { "]" }).map_err(unwritten)
    }
}

fn hex_of(row: &Row<'_>) -> rusqlite::Result<String> {
    Ok(hex(&row.get::<_, [u8; 16]>(0)?))
}

/// Returns an id as the report names it: 32 hexadecimal digits.
pub(super) fn hex(id: &[u8; 16]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    id.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}
