//! Embeddings, in the order in which they lie in the file.
//!
//! Only where the file does not itself keep two embeddings of one invocation and model apart are such twins looked for
//! first; they wait until the others are through, and are then decided in the order of their ids.

use rusqlite::types::ValueRef;
use rusqlite::{OptionalExtension, params};

use super::error::ImportError;
use super::experiments::cells_of;
use super::parse::{TimeCell, key_of, text_of};
use super::report::Table;
use super::session::{Kept, Session};
use crate::codec::decode_vector;
use crate::experiment::{Embedding, EmbeddingId, InvocationId, ModelKind, ModelName, Timestamp, Vector};
use crate::store::Arrival;

const WHOLE: [&str; 7] = ["rowid", "id", "invocation_id", "embedding_model", "started_at", "completed_at", "vector"];

/// The embedding models whose kind is known.
const TEXT_MODELS: [&str; 7] =
    ["Nomic", "JinaClip", "STSBMpnet", "STSBRoberta", "STSBDistilRoberta", "DummyText", "DummyText2"];
const IMAGE_MODELS: [&str; 4] = ["NomicVision", "JinaClipVision", "DummyVision", "DummyVision2"];

/// A row that is an embedding, if no other one takes its place.
struct Passed {
    invocation: [u8; 16],
    run: i64,
    model: String,
    kind: ModelKind,
    started_at: Timestamp,
    completed_at: Option<Timestamp>,
    vector: Vector,
}

impl Session<'_> {
    pub(super) fn embeddings(&mut self) -> Result<(), ImportError> {
        let table = Table::Embedding;
        self.kept.begin(table);
        let has_twins = !self.source.is_unique(table, &["invocation_id", "embedding_model"])? && self.find_twins()?;
        let failed = |source| self.source.failed(table.legacy_name(), source);
        let mut statement = self.source.all(table, &WHOLE)?;
        let mut rows = statement.query([]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            let cells = cells_of::<7>(row).map_err(failed)?;
            let ValueRef::Integer(rowid) = cells[0] else { continue };
            match self.kept.identify(table, rowid, cells[1])? {
                None => self.kept.spoil(&cells)?,
                Some(id) if has_twins && self.kept.waits(&cells, id, rowid)? => continue,
                Some(id) => {
                    self.kept.embedding(&cells, id, false)?;
                }
            }
            self.kept.step(table)?;
        }
        drop(rows);
        drop(statement);
        if has_twins {
            self.decide_twins()?;
        }
        self.kept.end(table)
    }

    /// Notes the invocations and models that have more than one embedding; returns whether there are any.
    fn find_twins(&mut self) -> Result<bool, ImportError> {
        let table = Table::Embedding.legacy_name();
        let failed = |source| self.source.failed(table, source);
        let sql = "SELECT invocation_id, embedding_model FROM embedding \
                   GROUP BY invocation_id COLLATE BINARY, embedding_model COLLATE BINARY HAVING count(*) > 1";
        let mut statement = self.source.query(table, sql)?;
        let mut rows = statement.query([]).map_err(failed)?;
        let mut has_twins = false;
        while let Some(row) = rows.next().map_err(failed)? {
            let [invocation, model] = cells_of::<2>(row).map_err(failed)?;
            if let Some(place) = place_of(invocation, model) {
                self.kept.scratch.put("INSERT OR IGNORE INTO twin VALUES (?1)", [place])?;
                has_twins = true;
            }
            self.kept.heed_stop()?;
        }
        Ok(has_twins)
    }

    fn decide_twins(&mut self) -> Result<(), ImportError> {
        let table = Table::Embedding;
        let mut one = self.source.one(table, &WHOLE)?;
        let mut last: ([u8; 32], [u8; 16]) = ([0; 32], [0; 16]);
        let mut taken = None;
        let sql = "SELECT place, id, source FROM waiting WHERE (place, id) > (?1, ?2) ORDER BY place, id LIMIT 1";
        while let Some((place, id, source)) = self.kept.scratch.find(sql, params![last.0, last.1], |row| {
            Ok((row.get::<_, [u8; 32]>(0)?, row.get::<_, [u8; 16]>(1)?, row.get::<_, i64>(2)?))
        })? {
            let kept = &mut self.kept;
            let decided = one
                .query_row([source], |row| Ok(kept.embedding(&cells_of::<7>(row)?, id, taken == Some(place))))
                .optional()
                .map_err(|source| self.source.failed(table.legacy_name(), source))?;
            if decided.transpose()? == Some(true) {
                taken = Some(place);
            }
            last = (place, id);
            self.kept.step(table)?;
        }
        Ok(())
    }
}

/// Returns what two embeddings share of which only one can be carried.
fn place_of(invocation: ValueRef<'_>, model: ValueRef<'_>) -> Option<[u8; 32]> {
    let mut hasher = blake3::Hasher::new();
    let (invocation, model) = (key_of(invocation)?, key_of(model)?);
    hasher.update(&(invocation.len() as u64).to_le_bytes()).update(&invocation).update(&model);
    Some(*hasher.finalize().as_bytes())
}

/// Returns whether a model of a known kind embeds outputs of this one.
fn fits(model: &str, is_text: bool) -> bool {
    !(if is_text { IMAGE_MODELS.contains(&model) } else { TEXT_MODELS.contains(&model) })
}

impl Kept<'_> {
    /// Lets a row wait that has a twin; returns whether it does.
    fn waits(&mut self, cells: &[ValueRef<'_>; 7], id: [u8; 16], rowid: i64) -> Result<bool, ImportError> {
        let Some(place) = place_of(cells[2], cells[3]) else { return Ok(false) };
        if self.scratch.find("SELECT 1 FROM twin WHERE place = ?1", [place], |_| Ok(()))?.is_none() {
            return Ok(false);
        }
        self.scratch.put("INSERT INTO waiting VALUES (?1, ?2, ?3)", params![place, id, rowid])?;
        Ok(true)
    }

    /// Decides a row; returns whether it is carried. `is_taken` when another one with its place was.
    fn embedding(&mut self, cells: &[ValueRef<'_>; 7], id: [u8; 16], is_taken: bool) -> Result<bool, ImportError> {
        let table = Table::Embedding;
        let passed = match self.passed(cells)? {
            Ok(_) if is_taken => return self.drop_row(table, "duplicate", &id).map(|()| false),
            Ok(passed) => passed,
            Err(reason) => {
                self.spoil(cells)?;
                return self.drop_row(table, reason, &id).map(|()| false);
            }
        };
        self.carry(table);
        let model = self.scratch.name(&key_of(cells[3]).unwrap_or_default())?;
        self.scratch.put("INSERT INTO embedding VALUES (?1, ?2)", params![id, model])?;
        self.scratch.put("INSERT OR IGNORE INTO embedded VALUES (?1, ?2)", params![passed.run, model])?;
        let (entropy, bytes) = (self.options.entropy, passed.vector.dimension() * 4);
        let Passed { invocation, model, kind, started_at, completed_at, vector, .. } = passed;
        self.sink.push(table, bytes, |sink| {
            Ok(Arrival::Embedding(Box::new(Embedding {
                id: EmbeddingId::from_bytes(id),
                invocation_id: InvocationId::from_bytes(invocation),
                embedding_model: ModelName::new(&model),
                model_version_id: sink.version(&model, kind, entropy)?,
                vector,
                started_at,
                completed_at,
            })))
        })?;
        Ok(true)
    }

    fn passed(&self, cells: &[ValueRef<'_>; 7]) -> Result<Result<Passed, &'static str>, ImportError> {
        let key = key_of(cells[2]);
        let found = match &key {
            Some(key) => self.scratch.find("SELECT run, state FROM invocation WHERE key = ?1", [key], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))
            })?,
            None => None,
        };
        let invocation = key.and_then(|key| <[u8; 16]>::try_from(key).ok());
        let (Some(invocation), Some((run, state @ (1 | 2)))) = (invocation, found) else { return Ok(Err("orphan")) };
        let times = [TimeCell::of(cells[4]), TimeCell::of(cells[5])];
        if times[0] == TimeCell::Absent {
            return Ok(Err("missing_started_at"));
        }
        if times.contains(&TimeCell::Invalid) {
            return Ok(Err("invalid_time"));
        }
        let vector = match cells[6] {
            ValueRef::Null => return Ok(Err("missing_vector")),
            ValueRef::Blob(bytes) => decode_vector(bytes).ok(),
            _ => None,
        };
        let [started_at, completed_at] = times.map(|time| time.in_zone(&self.options.zone));
        let (Some(vector), Some(started_at)) = (vector, started_at) else { return Ok(Err("invalid_vector")) };
        let is_text = state == 1;
        let Some(model) = text_of(cells[3]) else { return Ok(Err("invalid_value")) };
        if !fits(model, is_text) {
            return Ok(Err("wrong_modality"));
        }
        let kind = if is_text { ModelKind::TextEmbedder } else { ModelKind::ImageEmbedder };
        let model = model.to_owned();
        Ok(Ok(Passed { invocation, run, model, kind, started_at, completed_at, vector }))
    }

    /// Notes that an embedding of a run and model is not carried, so that a diagram of them is stale.
    fn spoil(&mut self, cells: &[ValueRef<'_>; 7]) -> Result<(), ImportError> {
        let (Some(invocation), Some(model)) = (key_of(cells[2]), key_of(cells[3])) else { return Ok(()) };
        let sql = "SELECT run FROM invocation WHERE key = ?1";
        let run: Option<i64> = self.scratch.find(sql, [invocation], |row| row.get(0))?;
        if let Some(run) = run {
            let model = self.scratch.name(&model)?;
            self.scratch.put("INSERT OR IGNORE INTO spoiled VALUES (?1, ?2)", params![run, model])?;
        }
        Ok(())
    }
}
