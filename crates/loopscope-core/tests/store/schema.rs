//! The schema is the public one: names, order, types and keys are what `SCHEMA.sql` says.

use rusqlite::Connection;

use super::support::{Bench, TABLES};

/// The table statements of the public schema, version 1.
const PUBLIC: &str = include_str!("fixtures/schema_v1.sql");

/// The columns that may be NULL, and no others.
pub(crate) const NULLABLE: [(&str, &str); 13] = [
    ("experiment", "started_at"),
    ("experiment", "completed_at"),
    ("invocation", "input_invocation_id"),
    ("invocation", "completed_at"),
    ("invocation", "output_text"),
    ("invocation", "output_image"),
    ("invocation", "previous_number"),
    ("embedding", "completed_at"),
    ("persistence_diagram", "completed_at"),
    ("clustering_result", "completed_at"),
    ("embedding_cluster", "medoid_embedding_id"),
    ("embedding_cluster", "probability"),
    ("failure", "run_id"),
];

/// A column as `PRAGMA table_xinfo` tells it.
#[derive(Debug, PartialEq)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) is_required: bool,
    pub(crate) default: Option<String>,
    pub(crate) key_position: u32,
    /// 0, or 2 for a generated column that is not stored.
    pub(crate) hidden: u32,
}

pub(crate) fn columns(connection: &Connection, table: &str) -> Vec<Column> {
    let mut statement = connection.prepare(&format!("PRAGMA table_xinfo({table})")).unwrap();
    let columns = statement.query_map([], |row| {
        Ok(Column {
            name: row.get("name")?,
            kind: row.get("type")?,
            is_required: row.get("notnull")?,
            default: row.get("dflt_value")?,
            key_position: row.get("pk")?,
            hidden: row.get("hidden")?,
        })
    });
    columns.unwrap().map(|column| column.unwrap()).collect()
}

fn lines(connection: &Connection, sql: &str) -> Vec<String> {
    let mut statement = connection.prepare(sql).unwrap();
    let lines = statement.query_map([], |row| row.get(0)).unwrap();
    lines.map(|line| line.unwrap()).collect()
}

fn tables(connection: &Connection) -> Vec<String> {
    let sql = "SELECT name || ', strict ' || strict || ', without rowid ' || wr || ', columns ' || ncol FROM pragma_table_list \
               WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name";
    lines(connection, sql)
}

fn foreign_keys(connection: &Connection, table: &str) -> Vec<String> {
    let sql = format!(
        "SELECT group_concat(\"from\" || ' -> ' || \"table\" || '.' || \"to\" || ' delete ' || on_delete || ' update ' \
         || on_update || ' match ' || match, '; ' ORDER BY seq) AS line FROM pragma_foreign_key_list('{table}') \
         GROUP BY id ORDER BY line"
    );
    lines(connection, &sql)
}

/// The keys that the table itself states; indexes made beside it are ours.
fn uniques(connection: &Connection, table: &str) -> Vec<String> {
    let sql = format!(
        "SELECT l.origin || ' ' || l.\"unique\" || ' ' || l.partial || ': ' \
         || (SELECT group_concat(name, ', ' ORDER BY seqno) FROM pragma_index_info(l.name)) AS line \
         FROM pragma_index_list('{table}') l WHERE l.origin IN ('u', 'pk') ORDER BY line"
    );
    lines(connection, &sql)
}

fn public_and_ours() -> (Bench, Connection, Connection) {
    let public = Connection::open_in_memory().unwrap();
    public.execute_batch(PUBLIC).unwrap();
    let bench = Bench::new();
    drop(bench.store());
    let ours = bench.raw();
    (bench, public, ours)
}

#[test]
fn the_tables_are_those_of_the_public_schema_and_all_are_strict() {
    let (_bench, public, ours) = public_and_ours();
    assert_eq!(tables(&ours), tables(&public));
    assert_eq!(tables(&ours).len(), TABLES.len());
    assert!(tables(&ours).iter().all(|table| table.contains("strict 1")));
}

#[test]
fn the_columns_are_those_of_the_public_schema_in_name_order_type_and_requirement() {
    let (_bench, public, ours) = public_and_ours();
    for table in TABLES {
        assert_eq!(columns(&ours, table), columns(&public, table), "{table}");
    }
}

#[test]
fn the_keys_are_those_of_the_public_schema() {
    let (_bench, public, ours) = public_and_ours();
    for table in TABLES {
        assert_eq!(foreign_keys(&ours, table), foreign_keys(&public, table), "{table}");
        assert_eq!(uniques(&ours, table), uniques(&public, table), "{table}");
        assert!(!uniques(&ours, table).is_empty(), "{table} has a primary key");
    }
    let pinned = "run_id -> invocation.run_id delete CASCADE update NO ACTION match NONE; \
                  previous_number -> invocation.sequence_number delete CASCADE update NO ACTION match NONE; \
                  input_invocation_id -> invocation.id delete CASCADE update NO ACTION match NONE";
    assert!(foreign_keys(&ours, "invocation").contains(&pinned.to_owned()));
}

#[test]
fn the_nullable_columns_are_the_listed_ones_and_no_column_has_a_default() {
    let (_bench, _public, ours) = public_and_ours();
    let mut nullable = Vec::new();
    for table in TABLES {
        for column in columns(&ours, table) {
            assert_eq!(column.default, None, "{table}.{}", column.name);
            // A STRICT table's primary key is required without saying so; `constraints` tries it.
            if !column.is_required && column.key_position == 0 {
                nullable.push((table, column.name));
            }
        }
    }
    let nullable: Vec<(&str, &str)> = nullable.iter().map(|(table, name)| (*table, name.as_str())).collect();
    assert_eq!(nullable, NULLABLE);
}

#[test]
fn previous_number_is_one_less_and_absent_for_the_first() {
    let (_bench, _public, ours) = public_and_ours();
    super::rows::fill(&ours);
    let sql = "SELECT group_concat(sequence_number || '<' || coalesce(previous_number, 'none'), ' ' ORDER BY sequence_number) \
               FROM invocation WHERE run_id = (SELECT id FROM run ORDER BY id LIMIT 1)";
    let numbers: String = ours.query_row(sql, [], |row| row.get(0)).unwrap();
    assert_eq!(numbers, "0<none 1<0");
}
