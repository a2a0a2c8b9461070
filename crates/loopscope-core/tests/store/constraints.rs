//! What the file itself refuses, whoever writes to it: every rule of the schema, tried by raw SQL.

use rusqlite::Connection;
use rusqlite::ffi::{
    SQLITE_CONSTRAINT_CHECK, SQLITE_CONSTRAINT_DATATYPE, SQLITE_CONSTRAINT_FOREIGNKEY, SQLITE_CONSTRAINT_NOTNULL,
    SQLITE_CONSTRAINT_PRIMARYKEY, SQLITE_CONSTRAINT_TRIGGER, SQLITE_CONSTRAINT_UNIQUE,
};
use rusqlite::types::Value;

use super::rows::{Fields, blob, fill, insert, int, text, valid, with, without};
use super::schema::{NULLABLE, columns};
use super::support::{Bench, TABLES, count, id};

/// A database with one of everything, opened as another program would.
fn filled() -> (Bench, Connection) {
    let bench = Bench::new();
    drop(bench.store());
    let connection = bench.raw();
    fill(&connection);
    (bench, connection)
}

/// Tries to insert a row and takes it back when it went in; returns the constraint's class and message.
fn refusal(connection: &Connection, table: &str, fields: &Fields) -> Option<(i32, String)> {
    connection.execute_batch("SAVEPOINT trial").unwrap();
    let outcome = insert(connection, table, fields);
    connection.execute_batch("ROLLBACK TO trial; RELEASE trial").unwrap();
    let error = outcome.err()?;
    let code = error.sqlite_error().unwrap_or_else(|| panic!("{table}: {error}")).extended_code;
    Some((code, error.to_string()))
}

fn is_nullable(table: &str, column: &str) -> bool {
    NULLABLE.contains(&(table, column))
}

#[test]
fn a_valid_row_of_each_table_goes_in() {
    let (_bench, connection) = filled();
    for table in TABLES {
        assert_eq!(refusal(&connection, table, &valid(table)), None, "{table}");
    }
}

#[test]
fn a_required_column_refuses_null_and_absence() {
    let (_bench, connection) = filled();
    let mut tried = 0;
    for table in TABLES {
        for column in columns(&connection, table).iter().map(|column| column.name.as_str()) {
            if is_nullable(table, column) {
                continue;
            }
            let expected = (SQLITE_CONSTRAINT_NOTNULL, format!("NOT NULL constraint failed: {table}.{column}"));
            let null = refusal(&connection, table, &with(valid(table), &[(column, Value::Null)]));
            assert_eq!(null.as_ref(), Some(&expected), "NULL in {table}.{column}");
            let absent = refusal(&connection, table, &without(valid(table), column));
            assert_eq!(absent.as_ref(), Some(&expected), "{table} without {column}");
            tried += 1;
        }
    }
    assert_eq!(tried, 68, "the columns of the public schema that are required");
}

#[test]
fn an_optional_column_accepts_null_and_absence() {
    let (_bench, connection) = filled();
    for (table, column) in NULLABLE {
        // An invocation's input and output are optional by its number and type; `checks_refuse` tries those.
        if ["input_invocation_id", "output_text", "output_image", "previous_number"].contains(&column) {
            continue;
        }
        let null = with(valid(table), &[(column, Value::Null)]);
        assert_eq!(refusal(&connection, table, &null), None, "NULL in {table}.{column}");
        assert_eq!(refusal(&connection, table, &without(valid(table), column)), None, "{table} without {column}");
    }
}

#[test]
fn a_column_refuses_a_value_of_another_storage_class() {
    let (_bench, connection) = filled();
    for table in TABLES {
        for column in columns(&connection, table) {
            if column.hidden != 0 {
                continue;
            }
            let wrong: &[Value] = match column.kind.as_str() {
                "INTEGER" => &[text("many"), Value::Real(1.5), blob([1])],
                "TEXT" => &[blob([65])],
                "BLOB" => &[text("0123456789abcdef"), int(7), Value::Real(0.5)],
                "REAL" => &[text("likely"), blob([1])],
                other => panic!("{table}.{} is {other}", column.name),
            };
            for value in wrong {
                let row = with(valid(table), &[(&column.name, value.clone())]);
                let (code, message) = refusal(&connection, table, &row).unwrap();
                assert_eq!(code, SQLITE_CONSTRAINT_DATATYPE, "{value:?} in {table}.{}: {message}", column.name);
                assert!(message.contains(&format!("{table}.{}", column.name)), "{message}");
            }
        }
    }
}

#[test]
fn an_id_that_became_a_number_is_refused_where_the_earlier_tool_kept_it() {
    // Ids of digits and one "e" were stored with numeric affinity and became infinity.
    let (_bench, connection) = filled();
    let row = with(valid("run"), &[("id", text("123e4567891234567891234567891234"))]);
    assert_eq!(refusal(&connection, "run", &row).unwrap().0, SQLITE_CONSTRAINT_DATATYPE);
    let row = with(valid("run"), &[("id", Value::Real(f64::INFINITY))]);
    assert_eq!(refusal(&connection, "run", &row).unwrap().0, SQLITE_CONSTRAINT_DATATYPE);
}

/// Asserts that the valid row of a table, with these changes, breaks a constraint whose message has `words`.
fn check(connection: &Connection, code: i32, table: &str, changes: &[(&str, Value)], words: &str) {
    let row = with(valid(table), changes);
    let Some((found, message)) = refusal(connection, table, &row) else { panic!("{table} took {changes:?}") };
    assert_eq!(found, code, "{table} with {changes:?}: {message}");
    assert!(message.contains(words), "{table} with {changes:?}: {message}, expected {words}");
}

#[test]
fn ids_and_hashes_have_their_length() {
    let (_bench, connection) = filled();
    for table in TABLES {
        let (column, length) = if table == "image" { ("hash", 32) } else { ("id", 16) };
        for wrong in [0, 1, length - 1, length + 1, 2 * length] {
            let words = format!("length({column}) = {length}");
            check(&connection, SQLITE_CONSTRAINT_CHECK, table, &[(column, blob(vec![7; wrong]))], &words);
        }
    }
    for wrong in [0, 31, 33] {
        let change = [("pixel_hash", blob(vec![7; wrong]))];
        check(&connection, SQLITE_CONSTRAINT_CHECK, "image", &change, "length(pixel_hash) = 32");
    }
}

/// Table, column, values outside its range, values inside, words of the refusal.
type Range = (&'static str, &'static str, &'static [i64], &'static [i64], &'static str);

#[test]
fn numbers_stay_in_their_range() {
    let (_bench, connection) = filled();
    let cases: &[Range] = &[
        ("experiment", "max_length", &[0, -1, i64::MIN], &[1, i64::MAX], "max_length > 0"),
        ("run", "max_length", &[0, -1], &[1, i64::MAX], "max_length > 0"),
        ("run", "seed", &[-2, i64::MIN], &[-1, 0, i64::MAX], "seed >= -1"),
        ("run", "run_number", &[-1], &[0, i64::MAX], "run_number >= 0"),
        ("image", "width", &[0, -1], &[1], "width > 0"),
        ("image", "height", &[0, -1], &[1], "height > 0"),
        ("invocation", "seed", &[-2], &[-1, 0, i64::MAX], "seed >= -1"),
        ("clustering_result", "layer", &[-1], &[0, 9], "layer >= 0"),
        ("failure", "attempt", &[0, -1], &[1, 9], "attempt >= 1"),
    ];
    for (table, column, wrong, right, words) in cases {
        for &value in *wrong {
            check(&connection, SQLITE_CONSTRAINT_CHECK, table, &[(column, int(value))], words);
        }
        for &value in *right {
            let mut changes = vec![(*column, int(value))];
            if *column == "run_number" {
                changes.push(("seed", int(77))); // Away from the runs that are there.
            }
            assert_eq!(refusal(&connection, table, &with(valid(table), &changes)), None, "{table}.{column} {value}");
        }
    }
    let first = [("sequence_number", int(-1))];
    check(&connection, SQLITE_CONSTRAINT_CHECK, "invocation", &first, "sequence_number >= 0");
}

#[test]
fn probabilities_are_between_0_and_1() {
    let (_bench, connection) = filled();
    for wrong in [-0.1, 1.1, -f64::MIN_POSITIVE, 1.0 + f64::EPSILON, f64::INFINITY] {
        let change = [("probability", Value::Real(wrong))];
        check(&connection, SQLITE_CONSTRAINT_CHECK, "embedding_cluster", &change, "probability BETWEEN 0 AND 1");
    }
    for right in [Value::Real(0.0), Value::Real(1.0), int(0), int(1), Value::Null] {
        let row = with(valid("embedding_cluster"), &[("probability", right.clone())]);
        assert_eq!(refusal(&connection, "embedding_cluster", &row), None, "{right:?}");
    }
}

#[test]
fn words_are_of_their_list() {
    let (_bench, connection) = filled();
    let cases: &[(&str, &str, &[&str])] = &[
        ("experiment", "origin", &["native", "legacy"]),
        ("model_version", "kind", &["text_to_image", "image_to_text", "text_embedder", "image_embedder"]),
        ("model_version", "determinism", &["bitwise", "same_device", "best_effort", "unknown"]),
        ("failure", "stage", &["run", "embedding", "diagram", "clustering"]),
    ];
    for (table, column, words) in cases {
        for wrong in ["", "other", &words[0].to_uppercase(), &format!("{} ", words[0])] {
            check(&connection, SQLITE_CONSTRAINT_CHECK, table, &[(column, text(wrong))], &format!("{column} IN"));
        }
        for word in *words {
            let row = with(valid(table), &[(column, text(word))]);
            assert_eq!(refusal(&connection, table, &row), None, "{table}.{column} {word}");
        }
    }
    check(&connection, SQLITE_CONSTRAINT_CHECK, "invocation", &[("type", text("video"))], "type");
}

#[test]
fn lists_are_json_arrays_that_are_not_empty() {
    let (_bench, connection) = filled();
    for column in ["networks", "prompts", "seeds", "embedding_models"] {
        for wrong in ["[]", "{}", r#"{"a":1}"#, "1", r#""a""#, "null", "", "[", "[1", "[1,]", "a", "[1] x"] {
            check(&connection, SQLITE_CONSTRAINT_CHECK, "experiment", &[(column, text(wrong))], column);
        }
        for right in ["[0]", r#"["é"]"#, "[[]]", "[null]"] {
            let row = with(valid("experiment"), &[(column, text(right))]);
            assert_eq!(refusal(&connection, "experiment", &row), None, "{column} {right}");
        }
    }
}

#[test]
fn content_is_never_empty_and_vectors_are_whole_numbers_of_floats() {
    let (_bench, connection) = filled();
    check(&connection, SQLITE_CONSTRAINT_CHECK, "image", &[("bytes", blob([]))], "length(bytes) > 0");
    let change = [("diagram_data", blob([]))];
    check(&connection, SQLITE_CONSTRAINT_CHECK, "persistence_diagram", &change, "length(diagram_data) > 0");
    for wrong in [0, 1, 2, 3, 5, 4095] {
        let change = [("vector", blob(vec![1; wrong]))];
        check(&connection, SQLITE_CONSTRAINT_CHECK, "embedding", &change, "length(vector)");
    }
}

#[test]
fn an_output_is_text_or_a_picture_as_its_type_says() {
    let (_bench, connection) = filled();
    let words = "output_text IS NOT NULL";
    let output = |kind: &str, has_text: bool, has_image: bool| {
        vec![
            ("type", text(kind)),
            ("output_text", if has_text { text("t") } else { Value::Null }),
            ("output_image", if has_image { blob([1; 32]) } else { Value::Null }),
        ]
    };
    for kind in ["text", "image"] {
        for (has_text, has_image) in [(false, false), (true, true), (kind == "image", kind == "text")] {
            let changes = output(kind, has_text, has_image);
            check(&connection, SQLITE_CONSTRAINT_CHECK, "invocation", &changes, words);
        }
        let right = with(valid("invocation"), &output(kind, kind == "text", kind == "image"));
        assert_eq!(refusal(&connection, "invocation", &right), None, "{kind}");
    }
    let empty = [("type", text("text")), ("output_text", text("")), ("output_image", Value::Null)];
    assert_eq!(refusal(&connection, "invocation", &with(valid("invocation"), &empty)), None, "empty text is legal");
}

#[test]
fn an_invocation_has_the_row_before_it_as_input_and_the_first_has_none() {
    let (_bench, connection) = filled();
    let words = "(sequence_number = 0) = (input_invocation_id IS NULL)";
    let elsewhere = [("run_id", blob(id('r', 2, 0)))];
    let none = [("input_invocation_id", Value::Null)];
    check(&connection, SQLITE_CONSTRAINT_CHECK, "invocation", &none, words);
    // Run 2 has its first step; a row with number 0 and an input is wrong before it is a duplicate.
    let first = [elsewhere[0].clone(), ("sequence_number", int(0)), ("input_invocation_id", blob(id('i', 2, 0)))];
    check(&connection, SQLITE_CONSTRAINT_CHECK, "invocation", &first, words);
    let foreign = SQLITE_CONSTRAINT_FOREIGNKEY;
    for wrong in [id('i', 1, 0), id('i', 2, 0), id('i', 1, 2), id('x', 0, 0)] {
        // Two steps before, of another run, itself, nobody.
        check(&connection, foreign, "invocation", &[("input_invocation_id", blob(wrong))], "FOREIGN KEY");
    }
    // A gap: number 3 after number 1.
    check(&connection, foreign, "invocation", &[("sequence_number", int(3))], "FOREIGN KEY");
    // The right input under another run.
    let moved = [elsewhere[0].clone(), ("sequence_number", int(1)), ("input_invocation_id", blob(id('i', 1, 0)))];
    check(&connection, foreign, "invocation", &moved, "FOREIGN KEY");
}

#[test]
fn references_name_rows_that_are_there() {
    let (_bench, connection) = filled();
    let nobody = id('x', 0, 0);
    for (table, column) in [
        ("run", "experiment_id"),
        ("invocation", "run_id"),
        ("invocation", "model_version_id"),
        ("embedding", "invocation_id"),
        ("embedding", "model_version_id"),
        ("persistence_diagram", "run_id"),
        ("embedding_cluster", "embedding_id"),
        ("embedding_cluster", "clustering_result_id"),
        ("embedding_cluster", "medoid_embedding_id"),
        ("failure", "experiment_id"),
        ("failure", "run_id"),
    ] {
        check(&connection, SQLITE_CONSTRAINT_FOREIGNKEY, table, &[(column, blob(nobody))], "FOREIGN KEY");
    }
    let change = [("output_image", blob([0; 32]))];
    check(&connection, SQLITE_CONSTRAINT_FOREIGNKEY, "invocation", &change, "FOREIGN KEY");
}

#[test]
fn no_object_is_there_twice() {
    let (_bench, connection) = filled();
    let unique = SQLITE_CONSTRAINT_UNIQUE;
    check(&connection, unique, "experiment", &[("name", text("experiment 1"))], "experiment.name");
    check(&connection, unique, "run", &[("run_number", int(0))], "run.experiment_id, run.network");
    let model = [("name", text("model 3"))];
    check(&connection, unique, "model_version", &model, "model_version.name, model_version.kind");
    let step = [("sequence_number", int(1)), ("input_invocation_id", blob(id('i', 1, 0)))];
    check(&connection, unique, "invocation", &step, "invocation.run_id, invocation.sequence_number");
    let again = [("embedding_model", text("Words"))];
    check(&connection, unique, "embedding", &again, "embedding.invocation_id, embedding.embedding_model");
    let again = [("run_id", blob(id('r', 1, 0)))];
    check(&connection, unique, "persistence_diagram", &again, "persistence_diagram.run_id");
    let again = [("embedding_id", blob(id('m', 1, 0)))];
    check(&connection, unique, "embedding_cluster", &again, "embedding_cluster.embedding_id");
    for (table, fields) in super::rows::baseline() {
        let (column, key) = fields[0].clone();
        check(&connection, SQLITE_CONSTRAINT_PRIMARYKEY, table, &[(column, key)], &format!("{table}.{column}"));
    }
}

#[test]
fn each_part_of_a_unique_key_makes_another_object() {
    let (_bench, connection) = filled();
    let run = super::rows::baseline()[1].1.clone();
    let other_id = ("id", blob(id('r', 5, 0)));
    for change in
        [("network", text("[\"Other\"]")), ("initial_prompt", text(" ")), ("seed", int(0)), ("run_number", int(5))]
    {
        let row = with(run.clone(), &[other_id.clone(), change.clone()]);
        assert_eq!(refusal(&connection, "run", &row), None, "{change:?}");
    }
    let version = super::rows::baseline()[3].1.clone();
    let other_id = ("id", blob(id('v', 5, 0)));
    for column in ["name", "kind", "backend", "revision", "weights_hash", "parameters", "program_version"] {
        let other = text(if column == "kind" { "image_to_text" } else { "another" });
        let row = with(version.clone(), &[other_id.clone(), (column, other)]);
        assert_eq!(refusal(&connection, "model_version", &row), None, "{column}");
    }
    let row = with(version, &[other_id, ("determinism", text("unknown"))]);
    assert_eq!(refusal(&connection, "model_version", &row).unwrap().0, SQLITE_CONSTRAINT_UNIQUE);
}

#[test]
fn an_embedder_of_one_kind_never_embeds_an_output_of_the_other() {
    let (_bench, connection) = filled();
    let (picture, words) = (id('i', 1, 0), id('i', 1, 1));
    let (text_embedder, image_embedder) = (id('v', 3, 0), id('v', 4, 0));
    let pair = |invocation: [u8; 16], version: [u8; 16]| {
        [("invocation_id", blob(invocation)), ("model_version_id", blob(version))]
    };
    for (invocation, version) in [(picture, text_embedder), (words, image_embedder)] {
        let words = "an embedding model embeds outputs of its own kind only";
        check(&connection, SQLITE_CONSTRAINT_TRIGGER, "embedding", &pair(invocation, version), words);
    }
    for (invocation, version) in [(picture, image_embedder), (words, text_embedder)] {
        assert_eq!(refusal(&connection, "embedding", &with(valid("embedding"), &pair(invocation, version))), None);
    }
}

fn delete(connection: &Connection, table: &str, column: &str, id: [u8; 16]) -> Result<usize, i32> {
    connection
        .execute(&format!("DELETE FROM {table} WHERE {column} = ?1"), [id])
        .map_err(|error| error.sqlite_error().unwrap().extended_code)
}

#[test]
fn a_clustering_is_whole_or_gone() {
    let (_bench, connection) = filled();
    let refused = Err(SQLITE_CONSTRAINT_FOREIGNKEY);
    // Embedding 1 is a member and the medoid; with embedding 2 as the only member it is the medoid alone.
    assert_eq!(delete(&connection, "embedding", "id", id('m', 1, 0)), refused);
    connection.execute("UPDATE embedding_cluster SET embedding_id = ?1", [id('m', 2, 0)]).unwrap();
    assert_eq!(delete(&connection, "embedding", "id", id('m', 1, 0)), refused, "a medoid stays");
    assert_eq!(delete(&connection, "embedding", "id", id('m', 2, 0)), refused, "a member stays");
    assert_eq!(delete(&connection, "run", "id", id('r', 1, 0)), refused, "and so does the run that they rest on");
    assert_eq!(delete(&connection, "experiment", "id", id('e', 1, 0)), refused);
    assert_eq!(delete(&connection, "clustering_result", "id", id('c', 1, 0)), Ok(1));
    assert_eq!(count(&connection, "embedding_cluster"), 0, "members go with their clustering");
    assert_eq!(delete(&connection, "embedding", "id", id('m', 1, 0)), Ok(1));
}

#[test]
fn deleting_a_run_takes_what_is_below_it_and_nothing_else() {
    let (_bench, connection) = filled();
    delete(&connection, "clustering_result", "id", id('c', 1, 0)).unwrap();
    let before: Vec<u64> = TABLES.iter().map(|table| count(&connection, table)).collect();
    assert_eq!(before, [1, 2, 4, 1, 3, 2, 1, 0, 0, 1]);
    assert_eq!(delete(&connection, "run", "id", id('r', 1, 0)), Ok(1));
    let after: Vec<u64> = TABLES.iter().map(|table| count(&connection, table)).collect();
    assert_eq!(after, [1, 1, 4, 1, 1, 0, 0, 0, 0, 0]);
    assert_eq!(delete(&connection, "experiment", "id", id('e', 1, 0)), Ok(1));
    assert_eq!(count(&connection, "run") + count(&connection, "invocation"), 0);
}

#[test]
fn what_others_rest_on_is_not_deleted() {
    let (_bench, connection) = filled();
    for number in 1..=4 {
        let outcome = delete(&connection, "model_version", "id", id('v', number, 0));
        assert_eq!(outcome, Err(SQLITE_CONSTRAINT_FOREIGNKEY), "model version {number}");
    }
    let error = connection.execute("DELETE FROM image", []).unwrap_err();
    assert_eq!(error.sqlite_error().unwrap().extended_code, SQLITE_CONSTRAINT_FOREIGNKEY);
}

#[test]
fn deleting_a_step_takes_the_steps_after_it() {
    let (_bench, connection) = filled();
    delete(&connection, "clustering_result", "id", id('c', 1, 0)).unwrap();
    delete(&connection, "invocation", "id", id('i', 1, 0)).unwrap();
    assert_eq!(count(&connection, "invocation"), 1, "only the other run's");
    assert_eq!(count(&connection, "embedding"), 0);
}
