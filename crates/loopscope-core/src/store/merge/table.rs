//! What a merge knows of each table: its columns, what names a row, and what else is unique.

/// A table of the record. The first column is the key; generated columns are not listed.
#[derive(Debug)]
pub(super) struct Table {
    pub name: &'static str,
    pub columns: &'static [&'static str],
    /// Columns that are unique together, beside the key: two rows of different keys cannot both stand there.
    pub place: &'static [&'static str],
    /// Columns that tell of the store rather than of the object, and are not compared.
    pub of_store: &'static [&'static str],
}

pub(super) const EXPERIMENT: Table = Table {
    name: "experiment",
    columns: &[
        "id",
        "name",
        "networks",
        "prompts",
        "seeds",
        "embedding_models",
        "max_length",
        "config",
        "origin",
        "created_at",
        "started_at",
        "completed_at",
    ],
    // The name is unique, too, but it is no place: a clash gets a suffix.
    place: &[],
    of_store: &["name", "created_at", "started_at", "completed_at"],
};

pub(super) const RUN: Table = Table {
    name: "run",
    columns: &["id", "experiment_id", "network", "initial_prompt", "seed", "run_number", "max_length"],
    place: &["experiment_id", "network", "initial_prompt", "seed", "run_number"],
    of_store: &[],
};

pub(super) const MODEL_VERSION: Table = Table {
    name: "model_version",
    columns: &[
        "id",
        "name",
        "kind",
        "backend",
        "revision",
        "weights_hash",
        "parameters",
        "determinism",
        "program_version",
    ],
    place: &["name", "kind", "backend", "revision", "weights_hash", "parameters", "program_version"],
    of_store: &[],
};

pub(super) const IMAGE: Table = Table {
    name: "image",
    columns: &["hash", "pixel_hash", "format", "width", "height", "bytes"],
    place: &[],
    of_store: &[],
};

pub(super) const INVOCATION: Table = Table {
    name: "invocation",
    columns: &[
        "id",
        "run_id",
        "sequence_number",
        "input_invocation_id",
        "model",
        "model_version_id",
        "type",
        "seed",
        "started_at",
        "completed_at",
        "output_text",
        "output_image",
    ],
    place: &["run_id", "sequence_number"],
    of_store: &[],
};

pub(super) const EMBEDDING: Table = Table {
    name: "embedding",
    columns: &["id", "invocation_id", "embedding_model", "model_version_id", "vector", "started_at", "completed_at"],
    place: &["invocation_id", "embedding_model"],
    of_store: &[],
};

pub(super) const DIAGRAM: Table = Table {
    name: "persistence_diagram",
    columns: &["id", "run_id", "embedding_model", "diagram_data", "started_at", "completed_at"],
    place: &["run_id", "embedding_model"],
    of_store: &[],
};

pub(super) const FAILURE: Table = Table {
    name: "failure",
    columns: &["id", "experiment_id", "run_id", "stage", "subject", "attempt", "error", "occurred_at"],
    place: &[],
    of_store: &[],
};

pub(super) const CLUSTERING: Table = Table {
    name: "clustering_result",
    columns: &["id", "embedding_model", "algorithm", "parameters", "layer", "created_at", "started_at", "completed_at"],
    place: &[],
    of_store: &["created_at"],
};

pub(super) const MEMBER: Table = Table {
    name: "embedding_cluster",
    columns: &["id", "embedding_id", "clustering_result_id", "medoid_embedding_id", "probability"],
    place: &["embedding_id", "clustering_result_id"],
    of_store: &[],
};

impl Table {
    pub(super) const fn key(&self) -> &'static str {
        self.columns[0]
    }

    pub(super) fn index(&self, column: &str) -> Option<usize> {
        self.columns.iter().position(|known| *known == column)
    }

    /// Reads all columns of the rows of `t` that `rows` (`FROM … t …`) names.
    pub(super) fn select(&self, rows: &str) -> String {
        let columns: Vec<String> = self.columns.iter().map(|column| format!("t.{column}")).collect();
        format!("SELECT {} {rows}", columns.join(", "))
    }

    /// Reads the row of a key.
    pub(super) fn select_by_key(&self) -> String {
        self.select(&format!("FROM {} t WHERE t.{} = ?1", self.name, self.key()))
    }

    /// Reads the key of the row that stands in a place.
    pub(super) fn select_by_place(&self) -> String {
        let conditions: Vec<String> =
            self.place.iter().zip(1..).map(|(column, number)| format!("{column} = ?{number}")).collect();
        format!("SELECT {} FROM {} WHERE {}", self.key(), self.name, conditions.join(" AND "))
    }

    /// Inserts a row unless its key or its place is taken.
    pub(super) fn insert(&self) -> String {
        let numbers: Vec<String> = (1..=self.columns.len()).map(|number| format!("?{number}")).collect();
        let (columns, numbers) = (self.columns.join(", "), numbers.join(", "));
        format!("INSERT INTO {} ({columns}) VALUES ({numbers}) ON CONFLICT DO NOTHING", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{MIGRATIONS, migrate_with};

    #[test]
    fn every_column_of_every_table_is_known() {
        let mut connection = rusqlite::Connection::open_in_memory().unwrap();
        migrate_with(&mut connection, MIGRATIONS, |_, _| unreachable!()).unwrap();
        let tables =
            [EXPERIMENT, RUN, MODEL_VERSION, IMAGE, INVOCATION, EMBEDDING, DIAGRAM, FAILURE, CLUSTERING, MEMBER];
        let names = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'";
        let count: usize = connection.query_row(names, [], |row| row.get(0)).unwrap();
        assert_eq!(count, tables.len(), "a table that a merge does not know");
        for table in tables {
            // Generated columns are hidden here, as they should be.
            let sql = format!("SELECT name FROM pragma_table_info('{}')", table.name);
            let mut statement = connection.prepare(&sql).unwrap();
            let columns: Vec<String> =
                statement.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap();
            assert_eq!(columns, table.columns, "{}", table.name);
            for column in table.place.iter().chain(table.of_store) {
                assert!(table.index(column).is_some(), "{}.{column}", table.name);
            }
        }
    }
}
