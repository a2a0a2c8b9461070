//! The legacy file: opened for reading only, its layout recognised by its columns.
//!
//! Nothing is written beside it: a file with a write-ahead log that is empty or not there is opened as one that does
//! not change, which makes no log. A log or a rollback journal with something in it is refused, because reading what it
//! holds would write.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, Statement};

use super::error::{ImportError, SourceError};
use super::report::Table;

/// The first bytes of every SQLite file.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// Where the header says how the file is written: 2 is with a write-ahead log.
const WRITE_VERSION_AT: usize = 18;
/// Where the header has the mark of the program whose file it is.
const APPLICATION_AT: usize = 68;

/// The columns that a table has in every layout; those of which a NULL says as much are not among them.
const COLUMNS: [(Table, &[&str]); 7] = [
    (Table::Experiment, &["id", "networks", "seeds", "prompts", "embedding_models", "max_length"]),
    (Table::Run, &["id", "network", "seed", "max_length", "initial_prompt", "experiment_id"]),
    (
        Table::Invocation,
        &["id", "started_at", "model", "type", "run_id", "sequence_number", "output_text", "output_image_data"],
    ),
    (Table::Embedding, &["id", "started_at", "invocation_id", "embedding_model", "vector"]),
    (Table::PersistenceDiagram, &["id", "started_at", "diagram_data", "run_id", "embedding_model"]),
    (Table::ClusteringResult, &["id", "started_at", "embedding_model", "algorithm"]),
    (Table::EmbeddingCluster, &["id", "embedding_id", "clustering_result_id"]),
];

/// How the file says which cluster an embedding is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Membership {
    /// `embeddingcluster.medoid_embedding_id`: the medoid, or NULL for an outlier.
    Medoid,
    /// `embeddingcluster.cluster_id`, which names a row of `cluster`.
    Cluster,
}

/// A legacy file, open.
pub(super) struct Source {
    connection: Connection,
    path: PathBuf,
    columns: BTreeMap<Table, BTreeSet<String>>,
    pub(super) membership: Membership,
    pub(super) layout: &'static str,
}

impl Source {
    /// Opens a legacy file and recognises its layout.
    pub(super) fn open(path: &Path, target: Option<&Path>) -> Result<Self, ImportError> {
        let refused = |source| ImportError::Source { path: path.to_owned(), source };
        let is_log_mode = check_file(path, target).map_err(refused)?;
        let connection = connect(path, is_log_mode).map_err(|source| refused(sqlite("opening it", source)))?;
        let begun = (|| {
            connection.set_prepared_statement_cache_capacity(64);
            connection.pragma_update(None, "query_only", true)?;
            connection.pragma_update(None, "cache_size", -16_384)?;
            // One state of the file for the whole import, whoever else has it open.
            connection.execute_batch("BEGIN")
        })();
        begun.map_err(|source| refused(sqlite("opening it", source)))?;
        recognise(connection, path).map_err(refused)
    }

    /// Returns the error of a failure to read a table.
    pub(super) fn failed(&self, table: &str, source: rusqlite::Error) -> ImportError {
        ImportError::Source { path: self.path.clone(), source: sqlite(&format!("reading its table {table}"), source) }
    }

    /// Returns the columns for a query, those that this file has not as NULL.
    fn selected(&self, table: Table, columns: &[&str]) -> String {
        let has = self.columns.get(&table);
        let one = |name: &&str| {
            let is_there = *name == "rowid" || has.is_some_and(|columns| columns.contains(*name));
            if is_there { (*name).to_owned() } else { format!("NULL AS {name}") }
        };
        columns.iter().map(one).collect::<Vec<_>>().join(", ")
    }

    /// Returns a query of all rows, in the order in which they lie in the file.
    pub(super) fn all(&self, table: Table, columns: &[&str]) -> Result<Statement<'_>, ImportError> {
        let sql = format!("SELECT {} FROM {} ORDER BY rowid", self.selected(table, columns), table.legacy_name());
        self.connection.prepare(&sql).map_err(|source| self.failed(table.legacy_name(), source))
    }

    /// Returns a query of the row with the rowid that is its one parameter.
    pub(super) fn one(&self, table: Table, columns: &[&str]) -> Result<Statement<'_>, ImportError> {
        let sql = format!("SELECT {} FROM {} WHERE rowid = ?1", self.selected(table, columns), table.legacy_name());
        self.connection.prepare(&sql).map_err(|source| self.failed(table.legacy_name(), source))
    }

    /// Returns a query in words of our own; `table` is for the message.
    pub(super) fn query(&self, table: &str, sql: &str) -> Result<Statement<'_>, ImportError> {
        self.connection.prepare(sql).map_err(|source| self.failed(table, source))
    }

    /// Returns whether the file has this table.
    pub(super) fn has(&self, table: Table) -> bool {
        self.columns.contains_key(&table)
    }

    /// Returns whether the file has the table `cluster`.
    pub(super) fn has_clusters(&self) -> Result<bool, ImportError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND lower(name) = 'cluster')";
        self.connection.query_row(sql, [], |row| row.get(0)).map_err(|source| self.failed("cluster", source))
    }

    /// Counts the rows of a table.
    pub(super) fn count(&self, table: Table) -> Result<u64, ImportError> {
        if !self.has(table) {
            return Ok(0);
        }
        let sql = format!("SELECT count(*) FROM {}", table.legacy_name());
        self.connection.query_row(&sql, [], |row| row.get(0)).map_err(|source| self.failed(table.legacy_name(), source))
    }

    /// Returns whether the file itself keeps two rows from having the same values in these columns.
    ///
    /// A primary key of one column counts, and so does a unique index over all rows.
    pub(super) fn is_unique(&self, table: Table, columns: &[&str]) -> Result<bool, ImportError> {
        let name = table.legacy_name();
        let sql = "SELECT 1 FROM pragma_index_list(?1) l WHERE l.\"unique\" AND NOT l.partial \
                   AND (SELECT group_concat(n, ' ') FROM (SELECT lower(i.name) AS n FROM pragma_index_xinfo(l.name) i \
                        WHERE i.key AND i.coll = 'BINARY' ORDER BY n)) = ?2 \
                   AND (SELECT count(*) FROM pragma_index_xinfo(l.name) i WHERE i.key) = ?3";
        let mut sorted = columns.to_vec();
        sorted.sort_unstable();
        let mut statement = self.connection.prepare(sql).map_err(|source| self.failed(name, source))?;
        let given = rusqlite::params![name, sorted.join(" "), columns.len()];
        statement.exists(given).map_err(|source| self.failed(name, source))
    }
}

fn sqlite(doing: &str, source: rusqlite::Error) -> SourceError {
    match source.sqlite_error_code() {
        Some(rusqlite::ErrorCode::NotADatabase) => SourceError::NotSqlite,
        _ => SourceError::Sqlite { doing: doing.to_owned(), source },
    }
}

/// Looks at the file before SQLite does; returns whether it is written with a write-ahead log.
fn check_file(path: &Path, target: Option<&Path>) -> Result<bool, SourceError> {
    let status = match std::fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(SourceError::Missing),
        Err(error) => return Err(SourceError::Io(error)),
        Ok(status) => status,
    };
    if status.is_dir() {
        return Err(SourceError::Directory);
    }
    if !status.is_file() {
        return Err(SourceError::NotSqlite);
    }
    if target.is_some_and(|target| is_same_file(path, target)) {
        return Err(SourceError::IsTarget);
    }
    let mut header = Vec::new();
    std::fs::File::open(path).and_then(|file| file.take(100).read_to_end(&mut header)).map_err(SourceError::Io)?;
    if header.len() < 100 || !header.starts_with(MAGIC) {
        return Err(SourceError::NotSqlite);
    }
    if header[APPLICATION_AT..APPLICATION_AT + 4] == *b"LOOP" {
        return Err(SourceError::Ours);
    }
    for suffix in ["-wal", "-journal"] {
        let log = beside(path, suffix);
        if std::fs::metadata(&log).is_ok_and(|status| status.len() > 0) && !is_spent_journal(&log) {
            return Err(SourceError::Unfinished { log });
        }
    }
    Ok(header[WRITE_VERSION_AT] == 2)
}

/// A journal whose header is zeros is spent: SQLite leaves such a file in some modes.
fn is_spent_journal(log: &Path) -> bool {
    let mut header = [0xFF; 28];
    let read = std::fs::File::open(log).and_then(|mut file| file.read_exact(&mut header));
    read.is_ok() && header == [0; 28]
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    // Links are followed, as SQLite follows them.
    let mut name = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()).into_os_string();
    name.push(suffix);
    PathBuf::from(name)
}

fn is_same_file(left: &Path, right: &Path) -> bool {
    matches!((std::fs::canonicalize(left), std::fs::canonicalize(right)), (Ok(left), Ok(right)) if left == right)
}

fn connect(path: &Path, is_log_mode: bool) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut uri = "file://".to_owned();
    for &byte in absolute.as_os_str().as_encoded_bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => uri.push(char::from(byte)),
            _ => uri.push_str(&format!("%{byte:02x}")),
        }
    }
    uri.push_str(if is_log_mode { "?immutable=1" } else { "?mode=ro" });
    Connection::open_with_flags(Path::new(&uri), flags)
}

fn recognise(connection: Connection, path: &Path) -> Result<Source, SourceError> {
    let failed = |source| sqlite("reading its tables", source);
    let mut columns = BTreeMap::new();
    for (table, _) in COLUMNS {
        if let Some(names) = columns_of(&connection, table.legacy_name()).map_err(failed)? {
            columns.insert(table, names);
        }
    }
    // An experiment that was never clustered may come from before there were clusterings.
    let is_optional = |table| matches!(table, Table::ClusteringResult | Table::EmbeddingCluster);
    let missing = |table: &Table| !columns.contains_key(table) && !is_optional(*table);
    let tables: Vec<String> =
        COLUMNS.iter().map(|(table, _)| *table).filter(missing).map(|table| table.legacy_name().to_owned()).collect();
    if !tables.is_empty() {
        return Err(SourceError::Tables { tables });
    }
    for (table, needed) in COLUMNS {
        let Some(names) = columns.get(&table) else { continue };
        let lacking: Vec<String> =
            needed.iter().filter(|name| !names.contains(**name)).map(|name| (*name).to_owned()).collect();
        if !lacking.is_empty() {
            return Err(SourceError::Columns { table: table.legacy_name(), columns: lacking });
        }
    }
    let of = |table: Table, column: &str| columns.get(&table).is_some_and(|names| names.contains(column));
    let membership =
        match (of(Table::EmbeddingCluster, "medoid_embedding_id"), of(Table::EmbeddingCluster, "cluster_id")) {
            (true, _) => Membership::Medoid,
            (false, true) => Membership::Cluster,
            (false, false) if !columns.contains_key(&Table::EmbeddingCluster) => Membership::Medoid,
            (false, false) => {
                let lacking = vec!["medoid_embedding_id".to_owned()];
                return Err(SourceError::Columns { table: "embeddingcluster", columns: lacking });
            }
        };
    let is_required = connection
        .query_row(
            "SELECT EXISTS (SELECT 1 FROM pragma_table_info('invocation') WHERE lower(name) = 'started_at' AND \"notnull\")",
            [],
            |row| row.get(0),
        )
        .map_err(failed)?;
    let layout = match (membership, is_required) {
        (Membership::Cluster, _) => "clusters as rows of their own",
        (Membership::Medoid, false) => "clusters by their medoid",
        (Membership::Medoid, true) => "clusters by their medoid, required start times",
    };
    Ok(Source { connection, path: path.to_owned(), columns, membership, layout })
}

/// Returns the columns of a table in lower case; `None` when there is no such table, or one without rowids.
fn columns_of(connection: &Connection, table: &str) -> rusqlite::Result<Option<BTreeSet<String>>> {
    let sql = "SELECT lower(c.name) FROM pragma_table_list(?1) t, pragma_table_info(?1) c \
               WHERE t.schema = 'main' AND t.type = 'table' AND NOT t.wr";
    let mut statement = connection.prepare(sql)?;
    let names: BTreeSet<String> = statement.query_map([table], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    Ok((!names.is_empty()).then_some(names))
}
