//! Persistence diagrams, by run and model, so that of equals the one with the smallest id is met first.
//!
//! Their bytes are kept as they are when they decode: an archive of the earlier tool is one of ours.

use rusqlite::types::ValueRef;
use rusqlite::{OptionalExtension, params};

use super::error::ImportError;
use super::experiments::cells_of;
use super::parse::{TimeCell, id_of, key_of, text_of};
use super::report::Table;
use super::session::{Kept, Session};
use crate::codec::decode_diagram;
use crate::experiment::{ModelName, PersistenceDiagramId, RunId};
use crate::store::{Arrival, DiagramAsGiven};

const PLACE: [&str; 4] = ["rowid", "id", "run_id", "embedding_model"];
const WHOLE: [&str; 6] = ["rowid", "run_id", "embedding_model", "started_at", "completed_at", "diagram_data"];

/// Stands for a model that has no name.
const NO_NAME: &[u8] = b"";

/// A diagram in the order in which it is decided.
struct Shape {
    run: i64,
    model: i64,
    id: [u8; 16],
    source: i64,
}

impl Session<'_> {
    pub(super) fn diagrams(&mut self) -> Result<(), ImportError> {
        let table = Table::PersistenceDiagram;
        self.kept.begin(table);
        let failed = |source| self.source.failed(table.legacy_name(), source);
        let mut statement = self.source.all(table, &PLACE)?;
        let mut rows = statement.query([]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            self.kept.place_diagram(&cells_of::<4>(row).map_err(failed)?)?;
            self.kept.heed_stop()?;
        }
        drop(rows);
        drop(statement);
        self.decide_diagrams()?;
        self.kept.end(table)
    }

    fn decide_diagrams(&mut self) -> Result<(), ImportError> {
        let table = Table::PersistenceDiagram;
        let mut one = self.source.one(table, &WHOLE)?;
        let mut last = Shape { run: i64::MIN, model: i64::MIN, id: [0; 16], source: 0 };
        let mut taken = None;
        let sql = "SELECT run, model, id, source FROM shape WHERE (run, model, id) > (?1, ?2, ?3) \
                   ORDER BY run, model, id LIMIT 1";
        while let Some(shape) = self.kept.scratch.find(sql, params![last.run, last.model, last.id], |row| {
            Ok(Shape { run: row.get(0)?, model: row.get(1)?, id: row.get(2)?, source: row.get(3)? })
        })? {
            let kept = &mut self.kept;
            let is_taken = taken == Some((shape.run, shape.model));
            let decided = one
                .query_row([shape.source], |row| Ok(kept.diagram(&cells_of::<6>(row)?, &shape, is_taken)))
                .optional()
                .map_err(|source| self.source.failed(table.legacy_name(), source))?;
            if decided.transpose()? == Some(true) {
                taken = Some((shape.run, shape.model));
            }
            last = shape;
            self.kept.step(table)?;
        }
        Ok(())
    }
}

impl Kept<'_> {
    fn place_diagram(&mut self, cells: &[ValueRef<'_>; 4]) -> Result<(), ImportError> {
        let table = Table::PersistenceDiagram;
        let ValueRef::Integer(rowid) = cells[0] else { return Ok(()) };
        let Some(id) = self.identify(table, rowid, cells[1])? else { return Ok(()) };
        let find = |id: [u8; 16]| self.scratch.find("SELECT n FROM run WHERE id = ?1", [id], |row| row.get(0));
        let Some(run): Option<i64> = id_of(cells[2]).map(find).transpose()?.flatten() else {
            return self.drop_row(table, "orphan", &id);
        };
        let model = self.scratch.name(&key_of(cells[3]).unwrap_or_else(|| NO_NAME.to_vec()))?;
        self.scratch.put("INSERT INTO shape VALUES (?1, ?2, ?3, ?4)", params![run, model, id, rowid])?;
        Ok(())
    }

    /// Decides a diagram of a carried run; returns whether it is carried.
    fn diagram(&mut self, cells: &[ValueRef<'_>; 6], shape: &Shape, is_taken: bool) -> Result<bool, ImportError> {
        let table = Table::PersistenceDiagram;
        let times = [TimeCell::of(cells[3]), TimeCell::of(cells[4])];
        let bytes = match cells[5] {
            ValueRef::Blob(bytes) if decode_diagram(bytes).is_ok() => Some(bytes),
            _ => None,
        };
        let [started_at, completed_at] = times.map(|time| time.in_zone(&self.options.zone));
        let reason = match (times[0], bytes, started_at, text_of(cells[2]), id_of(cells[1])) {
            (TimeCell::Absent, ..) => "missing_started_at",
            _ if times.contains(&TimeCell::Invalid) => "invalid_time",
            _ if cells[5] == ValueRef::Null => "missing_diagram_data",
            (_, None, ..) => "invalid_diagram",
            _ if self.is_stale(shape)? => "stale",
            _ if is_taken => "duplicate",
            (_, Some(bytes), Some(started_at), Some(model), Some(run)) => {
                self.carry(table);
                self.scratch.put("INSERT INTO diagram VALUES (?1)", [shape.id])?;
                let id = PersistenceDiagramId::from_bytes(shape.id);
                self.sink.push(table, bytes.len(), |_| {
                    Ok(Arrival::Diagram(Box::new(DiagramAsGiven {
                        id,
                        run_id: RunId::from_bytes(run),
                        embedding_model: ModelName::new(model),
                        bytes: bytes.to_vec(),
                        started_at,
                        completed_at,
                    })))
                })?;
                return Ok(true);
            }
            _ => "invalid_value",
        };
        self.drop_row(table, reason, &shape.id).map(|()| false)
    }

    /// Returns whether a diagram no longer describes what is kept of its run and model.
    fn is_stale(&self, shape: &Shape) -> Result<bool, ImportError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM run WHERE n = ?1 AND truncated = 1) \
                   OR EXISTS (SELECT 1 FROM spoiled WHERE run = ?1 AND model = ?2) \
                   OR NOT EXISTS (SELECT 1 FROM embedded WHERE run = ?1 AND model = ?2)";
        Ok(self.scratch.find(sql, params![shape.run, shape.model], |row| row.get(0))?.unwrap_or(true))
    }
}
