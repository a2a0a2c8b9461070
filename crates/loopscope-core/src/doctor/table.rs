//! The tables as the schema declares them, column by column, to hold rows against.
//!
//! Written out once more, beside the migrations: a file whose own schema was loosened is not a witness of what its
//! rows should be. A test compares the two.

/// How a value is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Blob,
    Text,
    Integer,
    Real,
}

impl Class {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Blob => "BLOB",
            Self::Text => "TEXT",
            Self::Integer => "INTEGER",
            Self::Real => "REAL",
        }
    }
}

/// What a value must be beyond its class.
#[derive(Clone, Copy, Debug)]
pub(super) enum Rule {
    Any,
    /// So many bytes.
    Length(usize),
    /// A number of at least this.
    AtLeast(i64),
    /// A number in `[0, 1]`.
    Share,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// JSON of any kind.
    Json,
    /// A JSON object.
    JsonObject,
    Texts,
    Network,
    Networks,
    Seeds,
}

/// One column.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    pub name: &'static str,
    pub class: Class,
    pub is_required: bool,
    pub rule: Rule,
}

const fn column(name: &'static str, class: Class, rule: Rule) -> Column {
    Column { name, class, is_required: true, rule }
}

const fn optional(name: &'static str, class: Class, rule: Rule) -> Column {
    Column { name, class, is_required: false, rule }
}

const fn id(name: &'static str) -> Column {
    column(name, Class::Blob, Rule::Length(16))
}

const fn text(name: &'static str) -> Column {
    column(name, Class::Text, Rule::Any)
}

const fn time(name: &'static str) -> Column {
    column(name, Class::Integer, Rule::Any)
}

const COMPLETED_AT: Column = optional("completed_at", Class::Integer, Rule::Any);

/// One table, and how its rows are reached.
#[derive(Debug)]
pub(super) struct Table {
    pub name: &'static str,
    /// What people call a row.
    pub noun: &'static str,
    pub columns: &'static [Column],
    /// What is unique beside the key, as lists of columns.
    pub unique: &'static [&'static str],
    /// The rows of one experiment, `?1`, as `t`: what follows FROM, and what follows WHERE.
    pub of_experiment: (&'static str, &'static str),
    /// What the row's own checks look up: joins, and columns of them.
    pub looked_up: (&'static str, &'static str),
    /// The experiment of the row with rowid `?1`, where a row has one.
    pub experiment: Option<&'static str>,
}

impl Table {
    /// Returns the column that names a row.
    pub(super) fn key(&self) -> &'static str {
        self.columns[0].name
    }
}

/// All tables.
pub(super) const TABLES: [Table; 10] = [
    Table {
        name: "experiment",
        noun: "experiment",
        columns: &[
            id("id"),
            text("name"),
            column("networks", Class::Text, Rule::Networks),
            column("prompts", Class::Text, Rule::Texts),
            column("seeds", Class::Text, Rule::Seeds),
            column("embedding_models", Class::Text, Rule::Network),
            column("max_length", Class::Integer, Rule::AtLeast(1)),
            column("config", Class::Text, Rule::Json),
            column("origin", Class::Text, Rule::OneOf(&["native", "legacy"])),
            time("created_at"),
            optional("started_at", Class::Integer, Rule::Any),
            COMPLETED_AT,
        ],
        unique: &["id", "name"],
        of_experiment: ("experiment t", "t.id = ?1"),
        looked_up: ("", ""),
        experiment: Some("SELECT id FROM experiment WHERE rowid = ?1"),
    },
    Table {
        name: "run",
        noun: "run",
        columns: &[
            id("id"),
            id("experiment_id"),
            column("network", Class::Text, Rule::Network),
            text("initial_prompt"),
            column("seed", Class::Integer, Rule::AtLeast(-1)),
            column("run_number", Class::Integer, Rule::AtLeast(0)),
            column("max_length", Class::Integer, Rule::AtLeast(1)),
        ],
        unique: &["id", "experiment_id, network, initial_prompt, seed, run_number"],
        of_experiment: ("run t", "t.experiment_id = ?1"),
        looked_up: ("", ""),
        experiment: Some("SELECT experiment_id FROM run WHERE rowid = ?1"),
    },
    Table {
        name: "model_version",
        noun: "model version",
        columns: &[
            id("id"),
            text("name"),
            column(
                "kind",
                Class::Text,
                Rule::OneOf(&["text_to_image", "image_to_text", "text_embedder", "image_embedder"]),
            ),
            text("backend"),
            text("revision"),
            text("weights_hash"),
            column("parameters", Class::Text, Rule::JsonObject),
            column("determinism", Class::Text, Rule::OneOf(&["bitwise", "same_device", "best_effort", "unknown"])),
            text("program_version"),
        ],
        unique: &["id", "name, kind, backend, revision, weights_hash, parameters, program_version"],
        of_experiment: (
            "model_version t",
            "EXISTS (SELECT 1 FROM run r JOIN invocation i ON i.run_id = r.id WHERE r.experiment_id = ?1 \
             AND i.model_version_id = t.id) OR EXISTS (SELECT 1 FROM run r JOIN invocation i ON i.run_id = r.id \
             JOIN embedding e ON e.invocation_id = i.id WHERE r.experiment_id = ?1 AND e.model_version_id = t.id)",
        ),
        looked_up: ("", ""),
        experiment: None,
    },
    Table {
        name: "image",
        noun: "image",
        columns: &[
            column("hash", Class::Blob, Rule::Length(32)),
            column("pixel_hash", Class::Blob, Rule::Length(32)),
            text("format"),
            column("width", Class::Integer, Rule::AtLeast(1)),
            column("height", Class::Integer, Rule::AtLeast(1)),
            column("bytes", Class::Blob, Rule::Any),
        ],
        unique: &["hash"],
        of_experiment: (
            "image t",
            "EXISTS (SELECT 1 FROM invocation i JOIN run r ON r.id = i.run_id WHERE i.output_image = t.hash \
             AND r.experiment_id = ?1)",
        ),
        looked_up: ("", ""),
        experiment: None,
    },
    Table {
        name: "invocation",
        noun: "invocation",
        columns: &[
            id("id"),
            id("run_id"),
            column("sequence_number", Class::Integer, Rule::AtLeast(0)),
            optional("input_invocation_id", Class::Blob, Rule::Length(16)),
            text("model"),
            id("model_version_id"),
            column("type", Class::Text, Rule::OneOf(&["text", "image"])),
            column("seed", Class::Integer, Rule::AtLeast(-1)),
            time("started_at"),
            COMPLETED_AT,
            optional("output_text", Class::Text, Rule::Any),
            optional("output_image", Class::Blob, Rule::Length(32)),
        ],
        unique: &["id", "run_id, sequence_number"],
        of_experiment: ("run r CROSS JOIN invocation t ON t.run_id = r.id", "r.experiment_id = ?1"),
        looked_up: ("", ""),
        experiment: Some("SELECT r.experiment_id FROM invocation t JOIN run r ON r.id = t.run_id WHERE t.rowid = ?1"),
    },
    Table {
        name: "embedding",
        noun: "embedding",
        columns: &[
            id("id"),
            id("invocation_id"),
            text("embedding_model"),
            id("model_version_id"),
            column("vector", Class::Blob, Rule::Any),
            time("started_at"),
            COMPLETED_AT,
        ],
        unique: &["id", "invocation_id, embedding_model"],
        of_experiment: (
            "run r CROSS JOIN invocation i ON i.run_id = r.id CROSS JOIN embedding t ON t.invocation_id = i.id",
            "r.experiment_id = ?1",
        ),
        looked_up: ("", ""),
        experiment: Some(
            "SELECT r.experiment_id FROM embedding t JOIN invocation i ON i.id = t.invocation_id \
             JOIN run r ON r.id = i.run_id WHERE t.rowid = ?1",
        ),
    },
    Table {
        name: "persistence_diagram",
        noun: "persistence diagram",
        columns: &[
            id("id"),
            id("run_id"),
            text("embedding_model"),
            column("diagram_data", Class::Blob, Rule::Any),
            time("started_at"),
            COMPLETED_AT,
        ],
        unique: &["id", "run_id, embedding_model"],
        of_experiment: ("run r CROSS JOIN persistence_diagram t ON t.run_id = r.id", "r.experiment_id = ?1"),
        looked_up: ("", ""),
        experiment: Some(
            "SELECT r.experiment_id FROM persistence_diagram t JOIN run r ON r.id = t.run_id WHERE t.rowid = ?1",
        ),
    },
    Table {
        name: "clustering_result",
        noun: "clustering",
        columns: &[
            id("id"),
            text("embedding_model"),
            text("algorithm"),
            column("parameters", Class::Text, Rule::JsonObject),
            column("layer", Class::Integer, Rule::AtLeast(0)),
            time("created_at"),
            time("started_at"),
            COMPLETED_AT,
        ],
        unique: &["id"],
        of_experiment: ("clustering_result t", CLUSTERING_OF_EXPERIMENT),
        looked_up: ("", ""),
        experiment: None,
    },
    Table {
        name: "embedding_cluster",
        noun: "cluster member",
        columns: &[
            id("id"),
            id("embedding_id"),
            id("clustering_result_id"),
            optional("medoid_embedding_id", Class::Blob, Rule::Length(16)),
            optional("probability", Class::Real, Rule::Share),
        ],
        unique: &["id", "embedding_id, clustering_result_id"],
        of_experiment: (
            "run r CROSS JOIN invocation i ON i.run_id = r.id CROSS JOIN embedding e ON e.invocation_id = i.id \
             CROSS JOIN embedding_cluster t ON t.embedding_id = e.id",
            "r.experiment_id = ?1",
        ),
        looked_up: ("", ""),
        experiment: Some(
            "SELECT r.experiment_id FROM embedding_cluster t JOIN embedding e ON e.id = t.embedding_id \
             JOIN invocation i ON i.id = e.invocation_id JOIN run r ON r.id = i.run_id WHERE t.rowid = ?1",
        ),
    },
    Table {
        name: "failure",
        noun: "failure",
        columns: &[
            id("id"),
            id("experiment_id"),
            optional("run_id", Class::Blob, Rule::Length(16)),
            column("stage", Class::Text, Rule::OneOf(&["run", "embedding", "diagram", "clustering"])),
            text("subject"),
            column("attempt", Class::Integer, Rule::AtLeast(1)),
            text("error"),
            time("occurred_at"),
        ],
        unique: &["id"],
        of_experiment: ("failure t", "t.experiment_id = ?1"),
        looked_up: (" LEFT JOIN run x ON x.id = t.run_id", ", x.experiment_id AS run_experiment_id"),
        experiment: Some("SELECT experiment_id FROM failure WHERE rowid = ?1"),
    },
];

/// Whether a clustering `t` has a member of experiment `?1`.
pub(super) const CLUSTERING_OF_EXPERIMENT: &str = "EXISTS (SELECT 1 FROM embedding_cluster k \
     JOIN embedding e ON e.id = k.embedding_id JOIN invocation i ON i.id = e.invocation_id \
     JOIN run r ON r.id = i.run_id WHERE k.clustering_result_id = t.id AND r.experiment_id = ?1)";

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;
    use crate::store::MIGRATIONS;

    #[test]
    fn the_tables_are_those_of_the_migrations() {
        let connection = Connection::open_in_memory().unwrap();
        MIGRATIONS.iter().for_each(|migration| connection.execute_batch(migration.sql).unwrap());
        let mut names: Vec<&str> = TABLES.iter().map(|table| table.name).collect();
        names.sort_unstable();
        let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name";
        let declared: Vec<String> =
            connection.prepare(sql).unwrap().query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        assert_eq!(names, declared);
        for table in &TABLES {
            let sql = format!("SELECT name, type, \"notnull\" OR pk FROM pragma_table_info('{}')", table.name);
            let mut statement = connection.prepare(&sql).unwrap();
            let declared = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
            let declared: Vec<(String, String, bool)> = declared.map(Result::unwrap).collect();
            let ours: Vec<(String, String, bool)> = table
                .columns
                .iter()
                .map(|column| (column.name.to_owned(), column.class.as_str().to_owned(), column.is_required))
                .collect();
            assert_eq!(ours, declared, "{}", table.name);
        }
    }
}
