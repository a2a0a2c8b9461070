//! What rests on what goes, so that it goes too: from what others refer to down to what nothing refers to.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Params, params};

use super::super::finding::{FindingKind, Place};
use super::{Fix, Reason, experiment, image, run};

/// Rowids and their kinds of defect.
type Rows = BTreeMap<i64, BTreeSet<FindingKind>>;

/// Plans what goes and what is mended, given the violations.
pub(super) fn close(connection: &Connection, fix: &mut Fix, found: &[(Place, FindingKind)]) -> rusqlite::Result<()> {
    let mut by_table: BTreeMap<&'static str, Rows> = BTreeMap::new();
    for &(place, kind) in found {
        by_table.entry(place.table).or_default().entry(place.rowid).or_default().insert(kind);
    }
    let mut closing = Closing { connection, fix, found: by_table, bad: BTreeMap::new(), touched: BTreeSet::new() };
    closing.experiments()?;
    closing.runs()?;
    closing.model_versions()?;
    closing.images()?;
    closing.invocations()?;
    closing.embeddings()?;
    closing.diagrams()?;
    closing.clusterings()?;
    closing.failures()?;
    closing.reopen()?;
    closing.count_drawn_anew()?;
    let fix = closing.fix;
    let stays =
        |mend: &super::Mend| !fix.drops.get(mend.place.table).is_some_and(|rows| rows.contains_key(&mend.place.rowid));
    fix.mends.retain(stays);
    Ok(())
}

struct Closing<'a> {
    connection: &'a Connection,
    fix: &'a mut Fix,
    found: BTreeMap<&'static str, Rows>,
    /// Invocations that cannot stay.
    bad: BTreeMap<i64, Reason>,
    /// Runs of which an invocation may go or be linked anew, by rowid.
    touched: BTreeSet<i64>,
}

impl Closing<'_> {
    fn found_in(&mut self, table: &str) -> Rows {
        self.found.remove(table).unwrap_or_default()
    }

    fn rowids(&self, sql: &str, parameters: impl Params) -> rusqlite::Result<Vec<i64>> {
        self.connection.prepare_cached(sql)?.query_map(parameters, |row| row.get(0))?.collect()
    }

    /// Returns the id of a row, when it is one and no other row that stays has it too.
    fn sole_id(&self, table: &'static str, key: &str, rowid: i64) -> rusqlite::Result<Option<Vec<u8>>> {
        let sql = format!("SELECT {key} FROM {table} WHERE rowid = ?1");
        let id: Option<Value> =
            self.connection.prepare_cached(&sql)?.query_row([rowid], |row| row.get(0)).optional()?;
        let Some(Value::Blob(id)) = id else { return Ok(None) };
        let twins = self.rowids(&format!("SELECT rowid FROM {table} WHERE {key} = ?1"), [&id])?;
        Ok(twins.iter().all(|&twin| self.fix.is_dropped(table, twin)).then_some(id))
    }

    fn experiments(&mut self) -> rusqlite::Result<()> {
        let found = self.found_in("experiment");
        for (&rowid, kinds) in &found {
            if kinds.contains(&FindingKind::IdDuplicate) {
                self.fix.drop_row("experiment", rowid, FindingKind::IdDuplicate.as_str());
                continue;
            }
            match experiment::mend(self.connection, rowid, kinds)? {
                Some(mended) => {
                    for (reason, cells) in mended {
                        self.fix.mend("experiment", rowid, reason, cells);
                    }
                }
                None => {
                    self.fix.drop_row("experiment", rowid, first_word(kinds));
                }
            }
        }
        let dropped: Vec<i64> =
            self.fix.drops.get("experiment").map(|rows| rows.keys().copied().collect()).unwrap_or_default();
        for rowid in dropped {
            let Some(id) = self.sole_id("experiment", "id", rowid)? else { continue };
            for run in self.rowids("SELECT rowid FROM run WHERE experiment_id = ?1", [&id])? {
                self.fix.drop_row("run", run, "experiment_dropped");
            }
        }
        Ok(())
    }

    fn runs(&mut self) -> rusqlite::Result<()> {
        let found = self.found_in("run");
        let mut lengths: BTreeMap<Vec<u8>, Vec<i64>> = BTreeMap::new();
        for (&rowid, kinds) in &found {
            let others: BTreeSet<FindingKind> =
                kinds.iter().copied().filter(|kind| *kind != FindingKind::RunMaxLength).collect();
            if others.iter().any(|kind| *kind != FindingKind::RunNumber) {
                self.fix.drop_row("run", rowid, first_word(&others));
                continue;
            }
            if others.contains(&FindingKind::RunNumber) {
                match experiment::free_number(self.connection, rowid)? {
                    Some(number) => {
                        self.fix.mend("run", rowid, "run_number", vec![("run_number", Value::Integer(number))]);
                    }
                    None => {
                        self.fix.drop_row("run", rowid, FindingKind::RunNumber.as_str());
                        continue;
                    }
                }
            }
            if kinds.contains(&FindingKind::RunMaxLength) {
                let sql = "SELECT experiment_id FROM run WHERE rowid = ?1";
                let id: Vec<u8> = self.connection.query_row(sql, [rowid], |row| row.get(0))?;
                lengths.entry(id).or_default().push(rowid);
            }
        }
        for (id, rowids) in lengths {
            self.lengths(&id, &rowids)?;
        }
        let dropped: Vec<i64> =
            self.fix.drops.get("run").map(|rows| rows.keys().copied().collect()).unwrap_or_default();
        for rowid in dropped {
            let Some(id) = self.sole_id("run", "id", rowid)? else { continue };
            let sql = "SELECT rowid FROM invocation WHERE run_id = ?1 ORDER BY sequence_number DESC";
            for invocation in self.rowids(sql, [&id])? {
                self.fix.drop_invocation(invocation, "run_dropped");
            }
            for diagram in self.rowids("SELECT rowid FROM persistence_diagram WHERE run_id = ?1", [&id])? {
                self.fix.drop_row("persistence_diagram", diagram, "run_dropped");
            }
        }
        Ok(())
    }

    /// Where all runs of an experiment agree on another length than it says, it is the one that is wrong.
    fn lengths(&mut self, experiment: &[u8], rowids: &[i64]) -> rusqlite::Result<()> {
        let sql = "SELECT min(max_length), max(max_length), count(*) FROM run WHERE experiment_id = ?1";
        let (least, most, count): (Value, Value, usize) =
            self.connection.query_row(sql, [experiment], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        let sql = "SELECT rowid, max_length FROM experiment WHERE id = ?1";
        let (own_rowid, own): (i64, Value) =
            self.connection.query_row(sql, [experiment], |row| Ok((row.get(0)?, row.get(1)?)))?;
        if count == rowids.len() && least == most && count > 1 {
            self.fix.mend("experiment", own_rowid, "max_length", vec![("max_length", least)]);
            return Ok(());
        }
        for &rowid in rowids {
            self.fix.mend("run", rowid, "max_length", vec![("max_length", own.clone())]);
            self.touched.insert(rowid);
            // A run that is as long as it should be has ended, and its diagrams are of all of it. Any other may go on, so that
            // its diagrams are made again; also where it turns out to have ended in a cycle.
            let sql = "SELECT p.rowid FROM run r JOIN persistence_diagram p ON p.run_id = r.id WHERE r.rowid = ?1 \
                       AND (SELECT count(*) FROM invocation i WHERE i.run_id = r.id) IS NOT ?2";
            for diagram in self.rowids(sql, rusqlite::params![rowid, own])? {
                self.fix.drop_row("persistence_diagram", diagram, "run_changed");
            }
        }
        Ok(())
    }

    fn model_versions(&mut self) -> rusqlite::Result<()> {
        for (rowid, kinds) in self.found_in("model_version") {
            self.fix.drop_row("model_version", rowid, first_word(&kinds));
        }
        let dropped: Vec<i64> =
            self.fix.drops.get("model_version").map(|rows| rows.keys().copied().collect()).unwrap_or_default();
        for rowid in dropped {
            let Some(id) = self.sole_id("model_version", "id", rowid)? else { continue };
            for invocation in self.rowids("SELECT rowid FROM invocation WHERE model_version_id = ?1", [&id])? {
                self.bad.insert(invocation, "model_version_dropped");
            }
            for embedding in self.rowids("SELECT rowid FROM embedding WHERE model_version_id = ?1", [&id])? {
                self.fix.drop_row("embedding", embedding, "model_version_dropped");
            }
        }
        Ok(())
    }

    fn images(&mut self) -> rusqlite::Result<()> {
        for (rowid, kinds) in self.found_in("image") {
            match image::mend(self.connection, rowid, &kinds)? {
                Some(mended) => {
                    for (place, reason, cells) in mended {
                        self.fix.mend(place.table, place.rowid, reason, cells);
                    }
                }
                None => {
                    self.fix.drop_row("image", rowid, first_word(&kinds));
                }
            }
        }
        let dropped: Vec<i64> =
            self.fix.drops.get("image").map(|rows| rows.keys().copied().collect()).unwrap_or_default();
        for rowid in dropped {
            let Some(hash) = self.sole_id("image", "hash", rowid)? else { continue };
            for invocation in self.rowids("SELECT rowid FROM invocation WHERE output_image = ?1", [&hash])? {
                self.bad.insert(invocation, "image_dropped");
            }
        }
        Ok(())
    }

    fn invocations(&mut self) -> rusqlite::Result<()> {
        for (rowid, kinds) in self.found_in("invocation") {
            let mut own = kinds.iter().copied().filter(|kind| !is_of_place(*kind));
            match own.next() {
                Some(FindingKind::ForeignKey) if own.next().is_none() && self.refers_to_all(rowid)? => {}
                Some(kind) => {
                    self.bad.entry(rowid).or_insert(kind.as_str());
                }
                None => {}
            }
            self.touch(rowid)?;
        }
        let bad: Vec<i64> = self.bad.keys().copied().collect();
        for rowid in bad {
            self.touch(rowid)?;
        }
        for rowid in std::mem::take(&mut self.touched) {
            if self.fix.is_dropped("run", rowid) {
                continue;
            }
            let sql = "SELECT id, max_length FROM run WHERE rowid = ?1";
            let (id, length): ([u8; 16], Value) =
                self.connection.query_row(sql, [rowid], |row| Ok((row.get(0)?, row.get(1)?)))?;
            let length = match self.mended_length(rowid).unwrap_or(length) {
                Value::Integer(length) => Some(length),
                _ => None,
            };
            if run::keep_prefix(self.connection, self.fix, &id, length, &self.bad)? {
                for diagram in self.rowids("SELECT rowid FROM persistence_diagram WHERE run_id = ?1", [&id])? {
                    self.fix.drop_row("persistence_diagram", diagram, "run_changed");
                }
            }
        }
        Ok(())
    }

    /// Takes note of the run of an invocation; one without a run goes alone.
    fn touch(&mut self, invocation: i64) -> rusqlite::Result<()> {
        let sql = "SELECT r.rowid FROM invocation i JOIN run r ON r.id = i.run_id WHERE i.rowid = ?1";
        let runs = self.rowids(sql, [invocation])?;
        if runs.is_empty() {
            let reason = self.bad.get(&invocation).copied().unwrap_or(FindingKind::ForeignKey.as_str());
            self.fix.drop_invocation(invocation, reason);
        }
        self.touched.extend(runs);
        Ok(())
    }

    /// Returns whether everything that an invocation refers to is there, but perhaps the one before it.
    fn refers_to_all(&self, rowid: i64) -> rusqlite::Result<bool> {
        let sql = "SELECT EXISTS (SELECT 1 FROM run WHERE id = i.run_id) \
                   AND EXISTS (SELECT 1 FROM model_version WHERE id = i.model_version_id) \
                   AND (i.output_image IS NULL OR EXISTS (SELECT 1 FROM image WHERE hash = i.output_image)) \
                   FROM invocation i WHERE i.rowid = ?1";
        let is_there: bool = self.connection.prepare_cached(sql)?.query_row([rowid], |row| row.get(0))?;
        // A picture whose hash is mended is there under its right name.
        Ok(is_there || self.is_mended_image(rowid)?)
    }

    fn is_mended_image(&self, rowid: i64) -> rusqlite::Result<bool> {
        let sql = "SELECT output_image FROM invocation WHERE rowid = ?1";
        let hash: Value = self.connection.query_row(sql, [rowid], |row| row.get(0))?;
        let gives = |mend: &super::Mend| {
            mend.place.table == "image" && mend.cells.iter().any(|(name, value)| *name == "hash" && *value == hash)
        };
        Ok(self.fix.mends.iter().any(gives))
    }

    fn mended_length(&self, run: i64) -> Option<Value> {
        let of_run = |mend: &&super::Mend| mend.place == Place { table: "run", rowid: run };
        let cells = self.fix.mends.iter().filter(of_run).flat_map(|mend| &mend.cells);
        cells.into_iter().find(|(name, _)| *name == "max_length").map(|(_, value)| value.clone())
    }

    fn embeddings(&mut self) -> rusqlite::Result<()> {
        for (rowid, kinds) in self.found_in("embedding") {
            self.fix.drop_row("embedding", rowid, first_word(&kinds));
        }
        let dropped = self.fix.invocations.clone();
        for rowid in dropped {
            let Some(id) = self.sole_id("invocation", "id", rowid)? else { continue };
            for embedding in self.rowids("SELECT rowid FROM embedding WHERE invocation_id = ?1", [&id])? {
                self.fix.drop_row("embedding", embedding, "output_dropped");
            }
        }
        Ok(())
    }

    fn diagrams(&mut self) -> rusqlite::Result<()> {
        for (rowid, kinds) in self.found_in("persistence_diagram") {
            self.fix.drop_row("persistence_diagram", rowid, first_word(&kinds));
        }
        let sql = "SELECT p.rowid FROM embedding e JOIN invocation i ON i.id = e.invocation_id \
                   JOIN persistence_diagram p ON p.run_id = i.run_id AND p.embedding_model = e.embedding_model \
                   WHERE e.rowid = ?1";
        let dropped: Vec<(i64, Reason)> = self
            .fix
            .drops
            .get("embedding")
            .map(|rows| rows.iter().map(|(&rowid, &reason)| (rowid, reason)).collect())
            .unwrap_or_default();
        for (rowid, reason) in dropped {
            // A second row of the same embedding took no part in the diagram.
            if reason == FindingKind::Duplicate.as_str() || reason == FindingKind::IdDuplicate.as_str() {
                continue;
            }
            for diagram in self.rowids(sql, [rowid])? {
                self.fix.drop_row("persistence_diagram", diagram, "embedding_dropped");
            }
        }
        Ok(())
    }

    fn clusterings(&mut self) -> rusqlite::Result<()> {
        for (rowid, kinds) in self.found_in("clustering_result") {
            self.fix.drop_row("clustering_result", rowid, first_word(&kinds));
        }
        // A clustering is whole or gone: with a member that goes, all of it goes.
        for (rowid, kinds) in self.found_in("embedding_cluster") {
            self.fix.drop_row("embedding_cluster", rowid, first_word(&kinds));
            let is_second =
                kinds.iter().all(|kind| *kind == FindingKind::IdDuplicate || *kind == FindingKind::Duplicate);
            if is_second {
                continue;
            }
            let sql = "SELECT c.rowid FROM embedding_cluster k JOIN clustering_result c ON c.id = k.clustering_result_id \
                       WHERE k.rowid = ?1";
            for clustering in self.rowids(sql, [rowid])? {
                self.fix.drop_row("clustering_result", clustering, "member_dropped");
            }
        }
        let dropped: Vec<i64> =
            self.fix.drops.get("embedding").map(|rows| rows.keys().copied().collect()).unwrap_or_default();
        for rowid in dropped {
            let Some(id) = self.sole_id("embedding", "id", rowid)? else { continue };
            for column in ["embedding_id", "medoid_embedding_id"] {
                let sql = format!(
                    "SELECT c.rowid FROM embedding_cluster k JOIN clustering_result c ON c.id = k.clustering_result_id \
                     WHERE k.{column} = ?1"
                );
                for clustering in self.rowids(&sql, [&id])? {
                    self.fix.drop_row("clustering_result", clustering, "embedding_dropped");
                }
            }
        }
        let dropped: Vec<i64> =
            self.fix.drops.get("clustering_result").map(|rows| rows.keys().copied().collect()).unwrap_or_default();
        for rowid in dropped {
            let Some(id) = self.sole_id("clustering_result", "id", rowid)? else { continue };
            for member in self.rowids("SELECT rowid FROM embedding_cluster WHERE clustering_result_id = ?1", [&id])? {
                self.fix.drop_row("embedding_cluster", member, "clustering_dropped");
            }
        }
        Ok(())
    }

    fn failures(&mut self) -> rusqlite::Result<()> {
        for (rowid, kinds) in self.found_in("failure") {
            self.fix.drop_row("failure", rowid, first_word(&kinds));
        }
        for (table, column) in [("experiment", "experiment_id"), ("run", "run_id")] {
            let dropped: Vec<i64> =
                self.fix.drops.get(table).map(|rows| rows.keys().copied().collect()).unwrap_or_default();
            for rowid in dropped {
                let Some(id) = self.sole_id(table, "id", rowid)? else { continue };
                for failure in self.rowids(&format!("SELECT rowid FROM failure WHERE {column} = ?1"), [&id])? {
                    self.fix.drop_row(
                        "failure",
                        failure,
                        if table == "run" { "run_dropped" } else { "experiment_dropped" },
                    );
                }
            }
        }
        Ok(())
    }

    fn count_drawn_anew(&mut self) -> rusqlite::Result<()> {
        let sql = "SELECT r.seed = -1 FROM invocation i JOIN run r ON r.id = i.run_id WHERE i.rowid = ?1";
        let mut statement = self.connection.prepare_cached(sql)?;
        for rowid in &self.fix.invocations {
            let is_fresh: Option<Value> = statement.query_row([rowid], |row| row.get(0)).optional()?;
            self.fix.drawn_anew += u64::from(is_fresh == Some(Value::Integer(1)));
        }
        Ok(())
    }

    /// Takes note of the experiments of which something goes.
    fn reopen(&mut self) -> rusqlite::Result<()> {
        let of_row = [
            ("run", "SELECT experiment_id FROM run WHERE rowid = ?1"),
            ("invocation", "SELECT r.experiment_id FROM invocation i JOIN run r ON r.id = i.run_id WHERE i.rowid = ?1"),
            (
                "embedding",
                "SELECT r.experiment_id FROM embedding e JOIN invocation i ON i.id = e.invocation_id \
                 JOIN run r ON r.id = i.run_id WHERE e.rowid = ?1",
            ),
            (
                "persistence_diagram",
                "SELECT r.experiment_id FROM persistence_diagram p JOIN run r ON r.id = p.run_id WHERE p.rowid = ?1",
            ),
        ];
        for (table, sql) in of_row {
            let changed = self.fix.mends.iter().filter(|mend| mend.place.table == table && mend.reason == "max_length");
            let mut rowids: Vec<i64> = changed.map(|mend| mend.place.rowid).collect();
            rowids.extend(self.fix.drops.get(table).into_iter().flat_map(|rows| rows.keys().copied()));
            let mut statement = self.connection.prepare_cached(sql)?;
            for rowid in rowids {
                let id: Option<Value> = statement.query_row(params![rowid], |row| row.get(0)).optional()?;
                if let Some(Value::Blob(id)) = id
                    && let Ok(id) = <[u8; 16]>::try_from(id.as_slice())
                {
                    self.fix.reopened.insert(id);
                }
            }
        }
        Ok(())
    }
}

/// Whether a defect is of where a step stands, and not of the step itself.
fn is_of_place(kind: FindingKind) -> bool {
    matches!(
        kind,
        FindingKind::InputLink
            | FindingKind::SequenceGap
            | FindingKind::SequenceDuplicate
            | FindingKind::BeyondMaxLength
            | FindingKind::Duplicate
    )
}

/// The first of several reasons stands for all.
fn first_word(kinds: &BTreeSet<FindingKind>) -> Reason {
    kinds.first().map_or("invalid", |kind| kind.as_str())
}
