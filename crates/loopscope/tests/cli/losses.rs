//! What a repair may take out, worked out a second time and by other means: from the store as it was and as it was spoiled.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rusqlite::Connection;
use rusqlite::types::Value;

/// All tables that have rows with an id, from those that others refer to.
const TABLES: [&str; 9] = [
    "experiment",
    "run",
    "model_version",
    "image",
    "invocation",
    "embedding",
    "persistence_diagram",
    "clustering_result",
    "failure",
];

/// Rows by table and id.
pub(crate) type Rows = BTreeMap<(&'static str, Vec<u8>), Vec<Value>>;

/// Every row by table and id; what an experiment says of its completion is left out.
pub(crate) fn rows(path: &Path) -> Rows {
    by(path, "id", |id| {
        let Value::Blob(id) = id else { panic!("an id is a blob") };
        id
    })
}

/// Every row by table and its place in the table, which a defect does not change.
fn rows_by_place(path: &Path) -> BTreeMap<(&'static str, i64), Vec<Value>> {
    by(path, "rowid", |rowid| {
        let Value::Integer(rowid) = rowid else { panic!("a rowid is a number") };
        rowid
    })
}

fn by<K: Ord>(path: &Path, key: &str, read: impl Fn(Value) -> K) -> BTreeMap<(&'static str, K), Vec<Value>> {
    let sql = Connection::open(path).unwrap();
    let mut rows = BTreeMap::new();
    for table in TABLES {
        let key = if (table, key) == ("image", "id") { "hash" } else { key };
        let mut statement = sql.prepare(&format!("SELECT {key}, * FROM {table}")).unwrap();
        let columns = statement.column_count() - usize::from(table == "experiment");
        let values = |row: &rusqlite::Row<'_>| (0..columns).map(|column| row.get(column)).collect();
        for row in statement.query_map([], values).unwrap() {
            let mut row: Vec<Value> = row.unwrap();
            let key = read(row.remove(0));
            assert!(rows.insert((table, key), row).is_none(), "a key of {table} is there twice");
        }
    }
    rows
}

/// The rules by which a row that was there goes, in this order, as SQL over the store as it was; `lost (tbl, id)` has
/// what went by the rules before. Nothing else may go.
const RULES: &[(&str, &str)] = &[
    ("invocation", "SELECT id FROM invocation WHERE run_id IN (SELECT id FROM lost WHERE tbl = 'run')"),
    ("invocation", "SELECT id FROM invocation WHERE output_image IN (SELECT id FROM lost WHERE tbl = 'image')"),
    // A run keeps its longest valid prefix.
    (
        "invocation",
        "SELECT id FROM invocation i WHERE EXISTS (SELECT 1 FROM invocation b JOIN lost l ON l.tbl = 'invocation' AND l.id = b.id \
         WHERE b.run_id = i.run_id AND b.sequence_number < i.sequence_number)",
    ),
    ("embedding", "SELECT id FROM embedding WHERE invocation_id IN (SELECT id FROM lost WHERE tbl = 'invocation')"),
    (
        "persistence_diagram",
        "SELECT p.id FROM persistence_diagram p JOIN invocation i ON i.run_id = p.run_id \
         JOIN lost l ON l.tbl = 'invocation' AND l.id = i.id",
    ),
    (
        "persistence_diagram",
        "SELECT p.id FROM persistence_diagram p JOIN invocation i ON i.run_id = p.run_id \
         JOIN embedding e ON e.invocation_id = i.id AND e.embedding_model = p.embedding_model \
         JOIN lost l ON l.tbl = 'embedding' AND l.id = e.id",
    ),
    // A run whose length was mended may go on, unless it is that long.
    (
        "persistence_diagram",
        "SELECT p.id FROM persistence_diagram p JOIN run r ON r.id = p.run_id JOIN lost l ON l.tbl = 'mended run' AND l.id = r.id \
         WHERE (SELECT count(*) FROM invocation i WHERE i.run_id = r.id) <> r.max_length",
    ),
    (
        "image",
        "SELECT hash FROM image m WHERE NOT EXISTS (SELECT 1 FROM invocation i WHERE i.output_image = m.hash \
         AND i.id NOT IN (SELECT id FROM lost WHERE tbl = 'invocation'))",
    ),
];

/// What goes of a store that was spoiled.
pub(crate) struct Losses {
    /// Rows of the store as it was that cannot stay, by table and the id that they had.
    lost: BTreeSet<(&'static str, Vec<u8>)>,
    /// Of them those that the spoiling itself took out.
    gone_before: BTreeSet<(&'static str, Vec<u8>)>,
}

impl Losses {
    /// A row that was altered or taken out is lost, unless the rest of the store says what it was: an experiment's own
    /// row, the length of a run, and the link of a step to the one before are mended in place.
    pub(crate) fn between(whole: &Path, spoiled: &Path) -> Self {
        let (before, now) = (rows_by_place(whole), rows_by_place(spoiled));
        let (mut lost, mut gone_before, mut mended_runs) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
        for ((table, place), row) in &before {
            let Value::Blob(id) = &row[0] else { panic!("an id is a blob") };
            let Some(other) = now.get(&(*table, *place)) else {
                gone_before.insert((*table, id.clone()));
                lost.insert((*table, id.clone()));
                continue;
            };
            let altered: Vec<usize> = (0..row.len()).filter(|&column| row[column] != other[column]).collect();
            let is_mended = match *table {
                "experiment" => true,
                "run" => altered == [6],
                "invocation" => altered == [3],
                _ => false,
            };
            if *table == "run" && altered == [6] {
                mended_runs.push(id.clone());
            }
            if !altered.is_empty() && !is_mended {
                lost.insert((*table, id.clone()));
            }
        }
        assert!(lost.len() > gone_before.len(), "nothing was spoiled");
        Self { lost: closed(whole, lost, &mended_runs), gone_before }
    }

    /// Checks that exactly what is lost has gone, and that everything else is what it was, under the id that it had.
    pub(crate) fn check(&self, before: &Rows, after: &Rows) {
        let mut kept = 0;
        for (key, row) in before {
            let there = after.get(key);
            if !self.lost.contains(key) {
                let there = there.unwrap_or_else(|| panic!("a valid row of {} went: {:?}", key.0, row));
                assert!(key.0 == "experiment" || there == row, "a valid row of {} was changed: {row:?}", key.0);
                kept += 1;
            } else if !matches!(key.0, "image" | "run") {
                // A picture has the same hash when it is made again; a result has an id of its own each time.
                assert!(there.is_none(), "a row of {} that could not stay is there: {row:?}", key.0);
            }
        }
        assert!(kept > before.len() / 10, "only {kept} of {} rows were kept: the test tests little", before.len());
    }

    /// How many rows of each table a repair takes out of what was spoiled: what is lost and was still there, and what
    /// was planted beside it.
    pub(crate) fn counts(&self, spoiled: &Rows) -> BTreeMap<String, u64> {
        let mut counts = BTreeMap::new();
        for (table, _) in self.lost.difference(&self.gone_before) {
            *counts.entry((*table).to_owned()).or_default() += 1;
        }
        // The whole store has no clustering and no failure, so that each of them was planted.
        for (table, _) in spoiled.keys().filter(|key| matches!(key.0, "clustering_result" | "failure")) {
            *counts.entry((*table).to_owned()).or_default() += 1;
        }
        counts
    }
}

/// Adds what rests on what is lost.
fn closed(
    whole: &Path,
    mut lost: BTreeSet<(&'static str, Vec<u8>)>,
    mended_runs: &[Vec<u8>],
) -> BTreeSet<(&'static str, Vec<u8>)> {
    let sql = Connection::open(whole).unwrap();
    sql.execute_batch("CREATE TEMP TABLE lost (tbl TEXT, id BLOB, PRIMARY KEY (tbl, id))").unwrap();
    for (table, id) in &lost {
        sql.execute("INSERT INTO lost VALUES (?1, ?2)", rusqlite::params![table, id]).unwrap();
    }
    for run in mended_runs {
        sql.execute("INSERT INTO lost VALUES ('mended run', ?1)", [run]).unwrap();
    }
    for &(table, rule) in RULES {
        let ids: Vec<Vec<u8>> =
            sql.prepare(rule).unwrap().query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        for id in ids {
            sql.execute("INSERT OR IGNORE INTO lost VALUES (?1, ?2)", rusqlite::params![table, id]).unwrap();
            lost.insert((table, id));
        }
    }
    lost
}

/// Reads what `--fix` says that it took out, by table.
pub(crate) fn taken_out(stdout: &str) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for line in stdout.lines().filter_map(|line| line.strip_prefix("taken out:")) {
        let (what, reasons) = line.trim().split_once(": ").unwrap();
        let (number, table) = what.rsplit_once(' ').unwrap();
        let number: u64 = number.replace(',', "").parse().unwrap();
        assert!(!reasons.is_empty(), "{line}");
        *counts.entry(table.to_owned()).or_default() += number;
    }
    counts
}
