//! Doing what was planned, in transactions that each leave the store no worse.

use std::collections::BTreeSet;

use rusqlite::types::Value;
use rusqlite::{Transaction, TransactionBehavior, params_from_iter};

use super::{Fix, FixReport, Mend, schema};
use crate::store::{Store, StoreError};

/// Rows that go in one transaction: few enough that the log stays small, many enough that waits for the disk are few.
const ROWS_PER_TRANSACTION: usize = 20_000;

/// What refers goes before what is referred to.
const ORDER: [&str; 10] = [
    "embedding_cluster",
    "clustering_result",
    "persistence_diagram",
    "embedding",
    "failure",
    "invocation",
    "image",
    "run",
    "experiment",
    "model_version",
];

impl Fix {
    /// Takes out and mends what was planned. The caller holds the locks of the experiments since before the check.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; what was committed before stays, and a second repair finishes.
    pub fn apply(&self, store: &mut Store) -> Result<FixReport, StoreError> {
        let failed = |source| StoreError::Sqlite { doing: "repairing", path: store.path().to_owned(), source };
        let connection = store.connection();
        // What rests on a row goes by plan and is counted; a cascade would take it uncounted.
        let prepare = "PRAGMA foreign_keys = OFF; PRAGMA legacy_alter_table = ON";
        connection.execute_batch(prepare).map_err(failed)?;
        let outcome = self.apply_with_keys_off(store);
        let restored = store.connection().execute_batch("PRAGMA legacy_alter_table = OFF; PRAGMA foreign_keys = ON");
        let report = outcome.map_err(failed)?;
        restored.map_err(failed)?;
        Ok(report)
    }

    fn apply_with_keys_off(&self, store: &Store) -> rusqlite::Result<FixReport> {
        let mut report = FixReport::default();
        let connection = store.connection();
        let begin = || Transaction::new_unchecked(connection, TransactionBehavior::Immediate);
        let mut work = Work { transaction: begin()?, rows: 0, shown: BTreeSet::new() };
        if self.is_structural() {
            report.rebuilt = schema::rebuild(&work.transaction, &self.structure)?;
            work.transaction.commit()?;
            return Ok(report);
        }
        // A table without its constraints is made anew with what is valid in it: that is one transaction or none.
        let is_one = self.rebuilds_tables() || !self.structure.objects.is_empty();
        work.reopen(self)?;
        for mend in &self.mends {
            work.mend(mend)?;
            *report.mended.entry(mend.place.table).or_default().entry(mend.reason).or_default() += 1;
        }
        for table in ORDER {
            let Some(rows) = self.drops.get(table) else { continue };
            let rowids: Vec<i64> =
                if table == "invocation" { self.invocations.clone() } else { rows.keys().copied().collect() };
            for rowid in rowids {
                work.drop_row(table, rowid)?;
                let Some(&reason) = rows.get(&rowid) else { continue };
                *report.dropped.entry(table).or_default().entry(reason).or_default() += 1;
                if work.rows >= ROWS_PER_TRANSACTION && !is_one {
                    work.transaction.commit()?;
                    (work.transaction, work.rows) = (begin()?, 0);
                }
            }
        }
        let unshown = work.drop_images_that_nothing_shows()?;
        if unshown > 0 {
            *report.dropped.entry("image").or_default().entry("no_longer_shown").or_default() += unshown;
        }
        report.rebuilt = schema::rebuild(&work.transaction, &self.structure)?;
        work.transaction.commit()?;
        Ok(report)
    }
}

struct Work<'c> {
    transaction: Transaction<'c>,
    rows: usize,
    /// Pictures of invocations that went.
    shown: BTreeSet<Vec<u8>>,
}

impl Work<'_> {
    /// Says first that an experiment is not complete: whenever this stops, it is told so.
    fn reopen(&self, fix: &Fix) -> rusqlite::Result<()> {
        let mut statement = self.transaction.prepare("UPDATE experiment SET completed_at = NULL WHERE id = ?1")?;
        for id in &fix.reopened {
            statement.execute([id])?;
        }
        Ok(())
    }

    fn mend(&self, mend: &Mend) -> rusqlite::Result<()> {
        let cells: Vec<String> = mend.cells.iter().map(|(name, _)| format!("{name} = ?")).collect();
        let sql = format!("UPDATE {} SET {} WHERE rowid = ?", mend.place.table, cells.join(", "));
        let values = mend.cells.iter().map(|(_, value)| value.clone()).chain([Value::Integer(mend.place.rowid)]);
        self.transaction.prepare_cached(&sql)?.execute(params_from_iter(values))?;
        Ok(())
    }

    fn drop_row(&mut self, table: &str, rowid: i64) -> rusqlite::Result<()> {
        if table == "invocation" {
            let sql = "SELECT output_image FROM invocation WHERE rowid = ?1";
            let image = self.transaction.prepare_cached(sql)?.query_row([rowid], |row| row.get::<_, Value>(0))?;
            if let Value::Blob(hash) = image {
                self.shown.insert(hash);
            }
        }
        self.transaction.prepare_cached(&format!("DELETE FROM {table} WHERE rowid = ?1"))?.execute([rowid])?;
        self.rows += 1;
        Ok(())
    }

    fn drop_images_that_nothing_shows(&mut self) -> rusqlite::Result<u64> {
        let sql = "DELETE FROM image WHERE hash = ?1 AND NOT EXISTS (SELECT 1 FROM invocation WHERE output_image = ?1)";
        let mut statement = self.transaction.prepare(sql)?;
        let mut count = 0;
        for hash in &self.shown {
            count += statement.execute([hash])? as u64;
        }
        Ok(count)
    }
}
