//! The views are for people: hyphenated ids, ISO 8601 times, and NULL where nothing is known.

use loopscope_core::experiment::{RunId, Timestamp};
use proptest::prelude::*;
use rusqlite::Connection;

use super::rows::fill;
use super::support::{Bench, count, id};

const VIEWS: [(&str, &str); 5] = [
    ("v_experiment", "experiment"),
    ("v_run", "run"),
    ("v_invocation", "invocation"),
    ("v_embedding", "embedding"),
    ("v_persistence_diagram", "persistence_diagram"),
];

fn filled() -> (Bench, Connection) {
    let bench = Bench::new();
    drop(bench.store());
    let connection = bench.raw();
    fill(&connection);
    (bench, connection)
}

fn names(connection: &Connection, table: &str) -> Vec<String> {
    let statement = connection.prepare(&format!("SELECT * FROM {table}")).unwrap();
    statement.column_names().into_iter().map(str::to_owned).collect()
}

#[test]
fn a_view_has_the_columns_and_rows_of_its_table() {
    let (_bench, connection) = filled();
    for (view, table) in VIEWS {
        let mut columns = names(&connection, table);
        columns.retain(|column| column != "previous_number"); // Only the key needs it.
        assert_eq!(names(&connection, view), columns, "{view}");
        assert_eq!(count(&connection, view), count(&connection, table), "{view}");
    }
}

#[test]
fn ids_are_hyphenated_text_and_other_columns_as_stored() {
    let (_bench, connection) = filled();
    for (view, table) in VIEWS {
        for column in names(&connection, view) {
            // Both give their rows in the order of the table, so that they compare side by side.
            let of = |name: &str| -> Vec<rusqlite::types::Value> {
                let mut statement = connection.prepare(&format!("SELECT {column} FROM {name}")).unwrap();
                let values = statement.query_map([], |row| row.get(0)).unwrap();
                values.map(|value| value.unwrap()).collect()
            };
            let expected: Vec<_> = of(table).into_iter().map(|value| shown(&column, value)).collect();
            assert_eq!(of(view), expected, "{view}.{column}");
        }
    }
}

/// What a view should show for a stored value.
fn shown(column: &str, value: rusqlite::types::Value) -> rusqlite::types::Value {
    use rusqlite::types::Value::{Blob, Integer, Text};
    match value {
        Blob(bytes) if column == "id" || column.ends_with("_id") => {
            Text(RunId::from_bytes(bytes.try_into().unwrap()).to_string())
        }
        Blob(bytes) if column == "output_image" => Text(bytes.iter().map(|byte| format!("{byte:02x}")).collect()),
        Integer(micros) if column.ends_with("_at") => Text(Timestamp::from_micros(micros).to_string()),
        other => other,
    }
}

#[test]
fn what_is_not_known_stays_null() {
    let (_bench, connection) = filled();
    for (view, table) in VIEWS {
        for column in ["started_at", "completed_at"] {
            if super::schema::NULLABLE.contains(&(table, column)) {
                connection.execute(&format!("UPDATE {table} SET {column} = NULL"), []).unwrap();
                let nulls: u64 = connection
                    .query_row(&format!("SELECT count(*) FROM {view} WHERE {column} IS NULL"), [], |row| row.get(0))
                    .unwrap();
                assert_eq!(nulls, count(&connection, table), "{view}.{column}");
            }
        }
    }
}

fn time_shown(connection: &Connection, micros: i64) -> String {
    connection.execute("UPDATE experiment SET created_at = ?1 WHERE id = ?2", (micros, id('e', 1, 0))).unwrap();
    connection.query_row("SELECT created_at FROM v_experiment", [], |row| row.get(0)).unwrap()
}

#[test]
fn times_have_microseconds_also_before_1970() {
    let (_bench, connection) = filled();
    for (micros, expected) in [
        (0, "1970-01-01T00:00:00.000000Z"),
        (1, "1970-01-01T00:00:00.000001Z"),
        (999_999, "1970-01-01T00:00:00.999999Z"),
        (-1, "1969-12-31T23:59:59.999999Z"),
        (-1_000_000, "1969-12-31T23:59:59.000000Z"),
        (-1_000_001, "1969-12-31T23:59:58.999999Z"),
        (1_700_000_000_000_001, "2023-11-14T22:13:20.000001Z"),
        (253_402_300_799_999_999, "9999-12-31T23:59:59.999999Z"),
    ] {
        assert_eq!(time_shown(&connection, micros), expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn times_are_those_that_the_program_shows(all in prop::collection::vec(-62_135_596_800_000_000_i64..253_402_207_200_000_000, 8)) {
        let (_bench, connection) = filled();
        for micros in all {
            prop_assert_eq!(time_shown(&connection, micros), Timestamp::from_micros(micros).to_string());
        }
    }
}
