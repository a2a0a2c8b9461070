//! One valid row of every table for raw SQL: `baseline` fills a database, `valid` is one more row that fits beside it.

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use super::support::id;

/// Columns and their values.
pub(crate) type Fields = Vec<(&'static str, Value)>;

pub(crate) fn blob(bytes: impl AsRef<[u8]>) -> Value {
    Value::Blob(bytes.as_ref().to_vec())
}

pub(crate) fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

pub(crate) fn int(value: i64) -> Value {
    Value::Integer(value)
}

/// Inserts a row of these columns, and no others.
pub(crate) fn insert(connection: &Connection, table: &str, fields: &Fields) -> rusqlite::Result<()> {
    let names: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
    let marks = vec!["?"; fields.len()].join(", ");
    let sql = format!("INSERT INTO {table} ({}) VALUES ({marks})", names.join(", "));
    connection.execute(&sql, params_from_iter(fields.iter().map(|(_, value)| value))).map(|_| ())
}

/// The row with some columns changed.
pub(crate) fn with(mut fields: Fields, changes: &[(&str, Value)]) -> Fields {
    for (column, value) in changes {
        let field = fields.iter_mut().find(|(name, _)| name == column);
        field.unwrap_or_else(|| panic!("no column {column}")).1 = value.clone();
    }
    fields
}

/// The row without a column.
pub(crate) fn without(mut fields: Fields, column: &str) -> Fields {
    fields.retain(|(name, _)| *name != column);
    fields
}

fn experiment(number: u64) -> Fields {
    vec![
        ("id", blob(id('e', number, 0))),
        ("name", text(&format!("experiment {number}"))),
        ("networks", text(r#"[["Paint","Tell"]]"#)),
        ("prompts", text(r#"[""]"#)),
        ("seeds", text("[-1]")),
        ("embedding_models", text(r#"["Words"]"#)),
        ("max_length", int(1)),
        ("config", text("{}")),
        ("origin", text("native")),
        ("created_at", int(-1)),
        ("started_at", int(2)),
        ("completed_at", int(3)),
    ]
}

fn run(number: u64) -> Fields {
    vec![
        ("id", blob(id('r', number, 0))),
        ("experiment_id", blob(id('e', 1, 0))),
        ("network", text(r#"["Paint","Tell"]"#)),
        ("initial_prompt", text("")),
        ("seed", int(-1)),
        ("run_number", int(i64::try_from(number).unwrap() - 1)),
        ("max_length", int(1)),
    ]
}

fn model_version(number: u64, kind: &str) -> Fields {
    vec![
        ("id", blob(id('v', number, 0))),
        ("name", text(&format!("model {number}"))),
        ("kind", text(kind)),
        ("backend", text("dummy")),
        ("revision", text("unknown")),
        ("weights_hash", text("unknown")),
        ("parameters", text("{}")),
        ("determinism", text("bitwise")),
        ("program_version", text("0.0.0")),
    ]
}

fn image(number: u8) -> Fields {
    vec![
        ("hash", blob([number; 32])),
        ("pixel_hash", blob([number; 32])),
        ("format", text("webp")),
        ("width", int(1)),
        ("height", int(1)),
        ("bytes", blob([1])),
    ]
}

fn invocation(run: u64, number: u64) -> Fields {
    let is_picture = number.is_multiple_of(2);
    vec![
        ("id", blob(id('i', run, number))),
        ("run_id", blob(id('r', run, 0))),
        ("sequence_number", int(i64::try_from(number).unwrap())),
        ("input_invocation_id", number.checked_sub(1).map_or(Value::Null, |before| blob(id('i', run, before)))),
        ("model", text("m")),
        ("model_version_id", blob(id('v', if is_picture { 1 } else { 2 }, 0))),
        ("type", text(if is_picture { "image" } else { "text" })),
        ("seed", int(-1)),
        ("started_at", int(-5)),
        ("completed_at", int(5)),
        ("output_text", if is_picture { Value::Null } else { text("") }),
        ("output_image", if is_picture { blob([1; 32]) } else { Value::Null }),
    ]
}

fn embedding(number: u64, invocation: [u8; 16], model: &str, version: u64) -> Fields {
    vec![
        ("id", blob(id('m', number, 0))),
        ("invocation_id", blob(invocation)),
        ("embedding_model", text(model)),
        ("model_version_id", blob(id('v', version, 0))),
        ("vector", blob([0, 0, 128, 63])),
        ("started_at", int(1)),
        ("completed_at", int(2)),
    ]
}

fn persistence_diagram(number: u64) -> Fields {
    vec![
        ("id", blob(id('d', number, 0))),
        ("run_id", blob(id('r', number, 0))),
        ("embedding_model", text("Words")),
        ("diagram_data", blob([1])),
        ("started_at", int(1)),
        ("completed_at", int(2)),
    ]
}

fn clustering_result(number: u64) -> Fields {
    vec![
        ("id", blob(id('c', number, 0))),
        ("embedding_model", text("Words")),
        ("algorithm", text("hdbscan")),
        ("parameters", text("{}")),
        ("layer", int(0)),
        ("created_at", int(1)),
        ("started_at", int(1)),
        ("completed_at", int(2)),
    ]
}

fn embedding_cluster(number: u64, embedding: u64) -> Fields {
    vec![
        ("id", blob(id('k', number, 0))),
        ("embedding_id", blob(id('m', embedding, 0))),
        ("clustering_result_id", blob(id('c', 1, 0))),
        ("medoid_embedding_id", blob(id('m', 1, 0))),
        ("probability", Value::Real(1.0)),
    ]
}

fn failure(number: u64) -> Fields {
    vec![
        ("id", blob(id('f', number, 0))),
        ("experiment_id", blob(id('e', 1, 0))),
        ("run_id", blob(id('r', 1, 0))),
        ("stage", text("run")),
        ("subject", text("Paint #0")),
        ("attempt", int(1)),
        ("error", text("")),
        ("occurred_at", int(1)),
    ]
}

/// Two runs of an experiment (three steps and one), two embeddings in a clustering, and one of everything else.
pub(crate) fn baseline() -> Vec<(&'static str, Fields)> {
    vec![
        ("experiment", experiment(1)),
        ("run", run(1)),
        ("run", run(2)),
        ("model_version", model_version(1, "text_to_image")),
        ("model_version", model_version(2, "image_to_text")),
        ("model_version", model_version(3, "text_embedder")),
        ("model_version", model_version(4, "image_embedder")),
        ("image", image(1)),
        ("invocation", invocation(1, 0)),
        ("invocation", invocation(1, 1)),
        ("invocation", invocation(2, 0)),
        ("embedding", embedding(1, id('i', 1, 1), "Words", 3)),
        ("embedding", embedding(2, id('i', 1, 0), "Looks", 4)),
        ("persistence_diagram", persistence_diagram(1)),
        ("clustering_result", clustering_result(1)),
        ("embedding_cluster", embedding_cluster(1, 1)),
        ("failure", failure(1)),
    ]
}

pub(crate) fn fill(connection: &Connection) {
    for (table, fields) in baseline() {
        insert(connection, table, &fields).unwrap_or_else(|error| panic!("{table}: {error}"));
    }
}

/// One more row of a table, which fits a database that holds the baseline.
pub(crate) fn valid(table: &str) -> Fields {
    match table {
        "experiment" => experiment(9),
        "run" => run(9),
        "model_version" => model_version(9, "text_embedder"),
        "image" => image(9),
        "invocation" => invocation(1, 2),
        "embedding" => embedding(9, id('i', 1, 1), "More words", 3),
        "persistence_diagram" => with(persistence_diagram(2), &[]),
        "clustering_result" => clustering_result(9),
        "embedding_cluster" => embedding_cluster(9, 2),
        "failure" => failure(9),
        _ => panic!("no table {table}"),
    }
}
