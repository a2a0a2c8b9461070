//! Tables, indexes, triggers and views as this program makes them.

use rusqlite::{Connection, OptionalExtension};

use super::super::file::new_database;
use super::super::table::TABLES;
use super::Structure;

/// Makes what is not there, and makes anew what differs; every row must be valid by now. Returns what was made.
///
/// Foreign keys are off and `legacy_alter_table` is on, so that renaming a table changes nothing else.
pub(super) fn rebuild(connection: &Connection, structure: &Structure) -> rusqlite::Result<Vec<String>> {
    let model = new_database()?;
    let mut made = Vec::new();
    for table in TABLES.iter().map(|table| table.name) {
        if structure.missing_tables.contains(table) {
            connection.execute_batch(&sql_of(&model, "table", table)?)?;
            made.push(format!("table {table}"));
        } else if structure.differing_tables.contains(table) {
            rebuild_table(connection, &model, table)?;
            made.push(format!("table {table}"));
        }
    }
    // What was said of objects is left aside here: with its table an index goes too.
    let mut statement =
        model.prepare("SELECT type, name FROM sqlite_schema WHERE sql IS NOT NULL AND type <> 'table'")?;
    let objects: Vec<(String, String)> =
        statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<rusqlite::Result<_>>()?;
    for (kind, name) in objects {
        if structure.objects.contains(&(kind.clone(), name.clone())) {
            connection.execute_batch(&format!("DROP {kind} IF EXISTS {name}"))?;
        }
        let there = "SELECT 1 FROM sqlite_schema WHERE type = ?1 AND name = ?2";
        if !connection.prepare(there)?.exists([&kind, &name])? {
            connection.execute_batch(&sql_of(&model, &kind, &name)?)?;
            made.push(format!("{kind} {name}"));
        }
    }
    if structure.needs_reindex {
        connection.execute_batch("REINDEX")?;
        made.push("all indexes".to_owned());
    }
    Ok(made)
}

/// Makes a table anew with the rows that it has, under their rowids; indexes and triggers of others come back.
fn rebuild_table(connection: &Connection, model: &Connection, table: &str) -> rusqlite::Result<()> {
    let sql = "SELECT type, name, sql FROM sqlite_schema WHERE tbl_name = ?1 AND type IN ('index', 'trigger') AND sql IS NOT NULL";
    let attached: Vec<(String, String, String)> = connection
        .prepare(sql)?
        .query_map([table], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<rusqlite::Result<_>>()?;
    for (kind, name, _) in &attached {
        connection.execute_batch(&format!("DROP {kind} \"{}\"", name.replace('"', "\"\"")))?;
    }
    let columns: Vec<&str> = TABLES
        .iter()
        .filter(|other| other.name == table)
        .flat_map(|table| table.columns.iter().map(|column| column.name))
        .collect();
    let columns = columns.join(", ");
    connection.execute_batch(&format!("ALTER TABLE {table} RENAME TO loopscope_old_{table}"))?;
    connection.execute_batch(&sql_of(model, "table", table)?)?;
    connection.execute_batch(&format!(
        "INSERT INTO {table} (rowid, {columns}) SELECT rowid, {columns} FROM loopscope_old_{table}; \
         DROP TABLE loopscope_old_{table}"
    ))?;
    for (kind, name, sql) in attached {
        let is_ours = "SELECT 1 FROM sqlite_schema WHERE type = ?1 AND name = ?2";
        if !model.prepare(is_ours)?.exists([&kind, &name])? {
            connection.execute_batch(&sql)?;
        }
    }
    Ok(())
}

fn sql_of(model: &Connection, kind: &str, name: &str) -> rusqlite::Result<String> {
    let sql = "SELECT sql FROM sqlite_schema WHERE type = ?1 AND name = ?2";
    let found: Option<String> = model.query_row(sql, [kind, name], |row| row.get(0)).optional()?;
    found.ok_or(rusqlite::Error::QueryReturnedNoRows)
}
