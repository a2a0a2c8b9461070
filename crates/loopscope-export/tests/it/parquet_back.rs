//! Every table, written and read back, against the store by plain SQL.

use std::fs::File;
use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;
use loopscope_export::tables::{HfOptions, TableOptions, WrittenTable, export_hf, export_tables};
use loopscope_export::{Part, Progress, Silent};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use proptest::prelude::*;
use rusqlite::Connection;
use rusqlite::types::ValueRef;
use serde_json::{Value, json};

use crate::bench::{Bench, BenchModels, Choice};

/// A table with the query that gives the same rows, and what each of its columns is: `i`d, `h`ash, `j`son, `v`ector or as it is.
const TABLES: [(&str, &str, &str); 10] = [
    (
        "experiments",
        "SELECT id, name, networks, json_array_length(seeds), prompts, embedding_models, max_length, seeds, config, origin, \
         created_at, started_at, completed_at FROM experiment ORDER BY rowid",
        "i.j.jj.j.....",
    ),
    (
        "runs",
        "SELECT id, experiment_id, network, run_number, max_length, initial_prompt, seed FROM run ORDER BY rowid",
        "iij....",
    ),
    (
        "invocations",
        "SELECT i.id, i.run_id, i.input_invocation_id, i.sequence_number, i.type, i.model, i.output_text, i.output_image, i.seed, \
         i.model_version_id, i.started_at, i.completed_at FROM run r JOIN invocation i ON i.run_id = r.id \
         ORDER BY r.rowid, i.sequence_number",
        "iii....h.i..",
    ),
    (
        "wide",
        "SELECT x.id, x.name, r.id, r.network, r.initial_prompt, r.seed, r.run_number, r.max_length, i.id, i.sequence_number, \
         i.type, i.model, i.output_text, i.output_image, i.started_at, i.completed_at FROM experiment x \
         JOIN run r ON r.experiment_id = x.id JOIN invocation i ON i.run_id = r.id ORDER BY r.rowid, i.sequence_number",
        "i.ij....i....h..",
    ),
    (
        "embeddings/Words",
        "SELECT e.id, e.invocation_id, e.embedding_model, e.vector, e.model_version_id, e.started_at, e.completed_at \
         FROM run r JOIN invocation i ON i.run_id = r.id JOIN embedding e ON e.invocation_id = i.id \
         WHERE e.embedding_model = 'Words' ORDER BY r.rowid, i.sequence_number",
        "ii.vi..",
    ),
    (
        "embeddings/Looks-2",
        "SELECT e.id, e.invocation_id, e.embedding_model, e.vector, e.model_version_id, e.started_at, e.completed_at \
         FROM run r JOIN invocation i ON i.run_id = r.id JOIN embedding e ON e.invocation_id = i.id \
         WHERE e.embedding_model = 'Looks/2' ORDER BY r.rowid, i.sequence_number",
        "ii.vi..",
    ),
    (
        "clustering_results",
        "SELECT id, embedding_model, algorithm, parameters, layer, created_at, started_at, completed_at FROM clustering_result \
         ORDER BY created_at, rowid",
        "i.......",
    ),
    (
        "embedding_clusters",
        "SELECT k.id, k.embedding_id, k.clustering_result_id, k.medoid_embedding_id, k.probability FROM clustering_result c \
         JOIN embedding_cluster k ON k.clustering_result_id = c.id ORDER BY c.created_at, c.rowid, k.rowid",
        "iiii.",
    ),
    (
        "model_versions",
        "SELECT id, name, kind, backend, revision, weights_hash, parameters, determinism, program_version FROM model_version v \
         WHERE EXISTS (SELECT 1 FROM invocation WHERE model_version_id = v.id) \
         OR EXISTS (SELECT 1 FROM embedding WHERE model_version_id = v.id) ORDER BY rowid",
        "i........",
    ),
    (
        "failures",
        "SELECT f.id, f.experiment_id, f.run_id, f.stage, f.subject, f.attempt, f.error, f.occurred_at \
         FROM experiment x JOIN failure f ON f.experiment_id = x.id ORDER BY x.rowid, f.occurred_at, f.rowid",
        "iii.....",
    ),
];

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn hyphenated(bytes: &[u8]) -> String {
    let digits = hex(bytes);
    [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]].join("-")
}

fn stored_value(value: ValueRef<'_>, kind: char) -> Value {
    match (value, kind) {
        (ValueRef::Null, _) => Value::Null,
        (ValueRef::Integer(number), _) => json!(number),
        (ValueRef::Real(number), _) => json!(number),
        (ValueRef::Text(text), 'j') => serde_json::from_slice(text).unwrap(),
        (ValueRef::Text(text), _) => json!(std::str::from_utf8(text).unwrap()),
        (ValueRef::Blob(bytes), 'i') => json!(hyphenated(bytes)),
        (ValueRef::Blob(bytes), 'v') => {
            bytes.as_chunks::<4>().0.iter().map(|&number| json!(f32::from_le_bytes(number).to_bits())).collect()
        }
        (ValueRef::Blob(bytes), _) => json!(hex(bytes)),
    }
}

fn stored_rows(database: &Path, sql: &str, kinds: &str) -> Vec<Vec<Value>> {
    let connection = Connection::open(database).unwrap();
    let mut statement = connection.prepare(sql).unwrap();
    assert_eq!(statement.column_count(), kinds.len());
    let row = |row: &rusqlite::Row<'_>| {
        Ok(kinds.chars().enumerate().map(|(index, kind)| stored_value(row.get_ref(index).unwrap(), kind)).collect())
    };
    statement.query_map([], row).unwrap().map(Result::unwrap).collect()
}

fn exported_value(array: &ArrayRef, row: usize) -> Value {
    if array.is_null(row) {
        return Value::Null;
    }
    let items = |array: &ArrayRef| (0..array.len()).map(|index| exported_value(array, index)).collect::<Value>();
    match array.data_type() {
        DataType::Utf8 => json!(array.as_string::<i32>().value(row)),
        DataType::Int64 => json!(array.as_primitive::<Int64Type>().value(row)),
        DataType::Float64 => json!(array.as_primitive::<Float64Type>().value(row)),
        // By its bits: what comes back is the same number, not one near it.
        DataType::Float32 => json!(array.as_primitive::<Float32Type>().value(row).to_bits()),
        DataType::Timestamp(_, zone) => {
            assert_eq!(zone.as_deref(), Some("UTC"));
            json!(array.as_primitive::<TimestampMicrosecondType>().value(row))
        }
        DataType::List(_) => items(&array.as_list::<i32>().value(row)),
        DataType::FixedSizeList(_, _) => items(&array.as_fixed_size_list().value(row)),
        DataType::Binary => json!(hex(array.as_binary::<i32>().value(row))),
        DataType::Struct(_) => array.as_struct().columns().iter().map(|column| exported_value(column, row)).collect(),
        other => panic!("no column is a {other}"),
    }
}

fn exported_rows(file: &Path) -> Vec<Vec<Value>> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(file).unwrap()).unwrap().build().unwrap();
    let mut rows = Vec::new();
    for batch in reader {
        let batch = batch.unwrap();
        rows.extend(
            (0..batch.num_rows())
                .map(|row| batch.columns().iter().map(|column| exported_value(column, row)).collect::<Vec<_>>()),
        );
    }
    rows
}

fn export(bench: &Bench, names: &[&str], options: &TableOptions) {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    export_tables(&bench.store(), &names, &bench.out(), options, &BenchModels::STORED, &mut Silent).unwrap();
}

fn check_tables(bench: &Bench) {
    for (name, sql, kinds) in TABLES {
        let file = bench.out().join(format!("{name}.parquet"));
        let stored = stored_rows(&bench.database(), sql, kinds);
        if stored.is_empty() && name.starts_with("embeddings/") {
            assert!(!file.exists(), "a model without vectors has no file");
            continue;
        }
        assert_eq!(exported_rows(&file), stored, "{name}");
    }
}

fn choice(name: &'static str) -> impl Strategy<Value = Choice> {
    let texts = || proptest::collection::vec("\\PC{0,12}", 1..3);
    let prompts = proptest::collection::btree_set("\\PC{0,12}", 1..3);
    let seeds = proptest::collection::vec(-1_i64..4, 1..3);
    let lengths = proptest::collection::vec(0_u64..6, 1..4);
    let numbers = proptest::collection::vec(-1e30_f32..1e30, 1..6);
    (prompts, texts(), seeds, lengths, 1_usize..7, 1_usize..7, numbers, any::<bool>()).prop_map(
        move |(prompts, texts, seeds, lengths, words_dimension, looks_dimension, numbers, is_complete)| Choice {
            name: name.to_owned(),
            prompts: prompts.into_iter().collect(),
            texts,
            seeds,
            // The first run has something, or there would be nothing to export.
            lengths: std::iter::once(3).chain(lengths).collect(),
            words_dimension,
            looks_dimension,
            numbers,
            is_complete,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]
    #[test]
    fn what_is_exported_is_what_is_stored(first in choice("first"), second in choice("second")) {
        let second = Choice { words_dimension: first.words_dimension, looks_dimension: first.looks_dimension, ..second };
        let bench = Bench::new(&[first, second]);
        export(&bench, &["first", "second"], &TableOptions { images: true, ..TableOptions::default() });
        check_tables(&bench);

        let pictures = exported_rows(&bench.out().join("images.parquet"));
        let sql = "SELECT hash, pixel_hash, format, width, height, bytes FROM image ORDER BY hash";
        let mut stored = stored_rows(&bench.database(), sql, "hh...h");
        for row in &mut stored {
            let path = format!("{}.webp", row[0].as_str().unwrap());
            row[5] = json!([row[5], path]);
        }
        let mut pictures: Vec<_> = pictures;
        pictures.sort_by_key(|row| row[0].to_string());
        prop_assert_eq!(pictures, stored);
    }
}

#[test]
fn diagrams_come_back_as_json_and_as_bars() {
    let bench = Bench::new(&[Choice::default()]);
    export(&bench, &["circles"], &TableOptions::default());
    let store = bench.store();
    let diagrams = exported_rows(&bench.out().join("persistence_diagrams.parquet"));
    let id = store.find_experiment("circles").unwrap();
    let models = store.embedded_models(&[id]).unwrap();
    let mut stored = Vec::new();
    for run in store.runs(id).unwrap() {
        for model in &models {
            store
                .visit_diagrams(run.id, model, |row| {
                    stored.push(row);
                    Ok::<(), loopscope_core::store::StoreError>(())
                })
                .unwrap();
        }
    }
    assert_eq!(diagrams.len(), stored.len());
    let mut bars = Vec::new();
    for (row, stored) in diagrams.iter().zip(&stored) {
        let data: Value = serde_json::from_str(row[3].as_str().unwrap()).unwrap();
        assert_eq!(data["dgms"], json!([[[0.0, 0.1 + 0.2], [0.0, null]], [], [[1.0 / 3.0, 0.5]]]));
        assert_eq!(data["metadata"], json!({"metric": "euclidean"}));
        let gens = json!({"gens_0": {"dtype": "int64", "shape": [1, 2], "fortran_order": false, "values": [3, -4]}});
        assert_eq!(data["gens"], gens);
        assert_eq!(row[4], json!([0.7, 0.0, 0.0]));
        for (dimension, all) in stored.diagram.dgms.iter().enumerate() {
            for (index, bar) in all.iter().enumerate() {
                bars.push((stored.id.to_string(), stored.run_id.to_string(), dimension, index, bar.birth, bar.death));
            }
        }
    }
    // An infinite death is infinite here; JSON in a message would hide it.
    let file = File::open(bench.out().join("pairs.parquet")).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    let mut exported = Vec::new();
    for batch in reader {
        let batch = batch.unwrap();
        for row in 0..batch.num_rows() {
            let text = |column: usize| batch.column(column).as_string::<i32>().value(row).to_owned();
            let count =
                |column: usize| usize::try_from(batch.column(column).as_primitive::<Int64Type>().value(row)).unwrap();
            let number = |column: usize| batch.column(column).as_primitive::<Float64Type>().value(row);
            assert_eq!(text(2), "Words");
            exported.push((text(0), text(1), count(3), count(4), number(5), number(6)));
        }
    }
    assert_eq!(exported, bars);
    assert!(exported.iter().any(|bar| bar.5.is_infinite()));
}

#[test]
fn prompts_are_embedded_only_by_what_made_the_stored_vectors() {
    let bench = Bench::new(&[Choice::default()]);
    let options = TableOptions { embed_prompts: true, ..TableOptions::default() };
    let other = BenchModels { revision: "2" };
    let told = export_tables(&bench.store(), &["circles".to_owned()], &bench.out(), &options, &other, &mut Silent);
    let told = told.unwrap_err().to_string();
    assert!(told.contains("made with revision 1, and here it has revision 2"), "{told}");
    assert!(!bench.out().exists(), "nothing is left");
}

#[test]
fn prompts_are_the_step_before_the_first_of_their_run() {
    let bench = Bench::new(&[Choice::default()]);
    export(&bench, &["circles"], &TableOptions { embed_prompts: true, ..TableOptions::default() });
    let runs = exported_rows(&bench.out().join("runs.parquet"));
    let invocations = exported_rows(&bench.out().join("invocations.parquet"));
    let prompts: Vec<_> = invocations.iter().filter(|row| row[3] == json!(-1)).collect();
    assert_eq!(prompts.len(), runs.len());
    for (prompt, run) in prompts.iter().zip(&runs) {
        assert_eq!((&prompt[0], &prompt[1], &prompt[6]), (&run[0], &run[0], &run[5]));
        assert!(prompt[5].is_null() && prompt[10].is_null());
    }
    let vectors = exported_rows(&bench.out().join("embeddings/Words.parquet"));
    let of_prompts: Vec<_> = vectors.iter().filter(|row| row[4].is_null()).collect();
    assert_eq!(of_prompts.len(), runs.len());
    for (row, run) in of_prompts.iter().zip(&runs) {
        assert_eq!(row[1], run[0], "it joins the row of the prompt");
        let length = run[5].as_str().unwrap().len() as f32;
        assert_eq!(row[3], json!([length.to_bits(), 1.0_f32.to_bits(), 0]));
    }
    let looks = exported_rows(&bench.out().join("embeddings/Looks-2.parquet"));
    assert!(looks.iter().all(|row| !row[4].is_null()), "pictures' models have no prompts");
    // Two exports agree about ids.
    let again = Bench::new(&[Choice::default()]);
    export(&again, &["circles"], &TableOptions { embed_prompts: true, ..TableOptions::default() });
    assert_eq!(exported_rows(&again.out().join("embeddings/Words.parquet")), vectors);
}

#[test]
fn one_model_of_two_lengths_has_two_files() {
    let other = Choice { name: "other".to_owned(), words_dimension: 4, ..Choice::default() };
    let bench = Bench::new(&[Choice::default(), other]);
    let options = TableOptions { embedding_models: vec!["Words".to_owned()], ..TableOptions::default() };
    export(&bench, &["circles", "other"], &options);
    let mut files: Vec<String> = std::fs::read_dir(bench.out().join("embeddings"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    assert_eq!(files, ["Words-3.parquet", "Words-4.parquet"]);
    let of = |file: &str| exported_rows(&bench.out().join("embeddings").join(file));
    let (three, four) = (of("Words-3.parquet"), of("Words-4.parquet"));
    let stored = stored_rows(&bench.database(), TABLES[4].1, TABLES[4].2);
    assert_eq!([three.clone(), four.clone()].concat(), stored, "experiment by experiment, as they are stored");
    assert!(!three.is_empty() && three.iter().all(|row| row[3].as_array().unwrap().len() == 3));
    assert!(!four.is_empty() && four.iter().all(|row| row[3].as_array().unwrap().len() == 4));
}

/// Empties a table of the store, by another connection, once the export has begun.
struct Meddling(std::path::PathBuf);

impl Progress for Meddling {
    fn begin(&mut self, part: Part<'_>) {
        if part.name == "invocations" {
            let writer = Connection::open(&self.0).unwrap();
            writer.execute_batch("DELETE FROM embedding_cluster; DELETE FROM embedding").unwrap();
        }
    }
    fn advance(&mut self, _: u64) {}
    fn note(&mut self, _: &str) {}
}

#[test]
fn an_export_reads_one_state_while_others_write() {
    let bench = Bench::new(&[Choice::default()]);
    let store = bench.store();
    let before = store.counts(store.find_experiment("circles").unwrap()).unwrap();
    let mut meddling = Meddling(bench.database());
    let names = ["circles".to_owned()];
    let written =
        export_tables(&store, &names, &bench.out(), &TableOptions::default(), &BenchModels::STORED, &mut meddling)
            .unwrap();
    let of_vectors = |table: &&WrittenTable| table.file.starts_with("embeddings/");
    let rows: u64 = written.tables.iter().filter(of_vectors).map(|table| table.rows).sum();
    assert!(rows > 0);
    assert_eq!(rows, before.embeddings);
    assert_eq!(store.counts(store.find_experiment("circles").unwrap()).unwrap().embeddings, 0, "they are gone by now");
}

#[test]
fn a_data_set_has_every_step_with_its_picture_or_text() {
    let bench = Bench::new(&[Choice::default()]);
    let names = ["circles".to_owned()];
    export_hf(&bench.store(), &names, &bench.out(), &HfOptions::default(), &mut Silent).unwrap();
    let steps = exported_rows(&bench.out().join("data/steps-00000.parquet"));
    let sql = "SELECT m.bytes, i.output_text, i.type, x.name, r.network, r.initial_prompt, r.seed, r.run_number, i.sequence_number, \
               i.model, x.id, r.id, i.id, i.started_at, i.completed_at, m.hash FROM experiment x JOIN run r ON r.experiment_id = x.id \
               JOIN invocation i ON i.run_id = r.id LEFT JOIN image m ON m.hash = i.output_image ORDER BY r.rowid, i.sequence_number";
    let mut stored = stored_rows(&bench.database(), sql, "h...j.....iii..h");
    for row in &mut stored {
        let hash = row.pop().unwrap();
        if let Some(hash) = hash.as_str() {
            row[0] = json!([row[0], format!("{hash}.webp")]);
        }
    }
    assert_eq!(steps, stored);
    let card = std::fs::read_to_string(bench.out().join("README.md")).unwrap();
    assert!(card.starts_with("---\npretty_name: \"loopscope: circles\"\n") && card.contains("dtype: image"), "{card}");
}
