//! Invocations: which there are, and then run by run which of them a run keeps.
//!
//! A run's rows may lie anywhere in the file. They are read once without their outputs, to know their order, and once
//! more in it; a picture is decoded by another thread while the rows after it are read.

use std::collections::VecDeque;
use std::num::NonZeroU64;
use std::sync::mpsc::Receiver;

use rusqlite::types::ValueRef;
use rusqlite::{OptionalExtension, params};

use super::decode::{Decoded, Decoders};
use super::error::ImportError;
use super::experiments::cells_of;
use super::parse::{TimeCell, id_of, key_of, text_of};
use super::report::{Note, Table};
use super::session::{Kept, Session};
use crate::experiment::{
    Invocation, InvocationId, Link, ModelKind, ModelName, Output, RunId, Seed, SequenceNumber, Timestamp,
};
use crate::store::Arrival;

const PLACE: [&str; 4] = ["rowid", "id", "run_id", "sequence_number"];
const WHOLE: [&str; 9] = [
    "type",
    "started_at",
    "completed_at",
    "output_text",
    "output_image_data",
    "model",
    "seed",
    "input_invocation_id",
    "rowid",
];
/// Stands for whatever is no number of a step.
const NO_NUMBER: i64 = -1;
/// Rows, and bytes of pictures, that may wait for their decoding.
const WAITING_MAX: usize = 512;
const WAITING_BYTES_MAX: usize = 32 << 20;

/// Where a row stands.
#[derive(Clone, Copy)]
struct Step {
    run: i64,
    number: i64,
    id: [u8; 16],
}

/// What a row gave, as far as it is known without decoding.
enum Given {
    Text(String),
    Image(Receiver<Decoded>),
    Known(Box<crate::experiment::ImageRecord>),
}

/// A row that passed everything that is asked before its number.
struct Passed {
    output: Output,
    model: Option<String>,
    seed: Option<Seed>,
    started_at: Timestamp,
    completed_at: Option<Timestamp>,
    input: Option<Vec<u8>>,
    has_other_output: bool,
}

/// A row whose picture may still be decoded.
struct Waiting {
    step: Step,
    bytes: usize,
    read: Result<(Given, Rest), &'static str>,
}

/// What is read of a row beside its output.
struct Rest {
    model: Option<String>,
    seed: Option<Seed>,
    started_at: Timestamp,
    completed_at: Option<Timestamp>,
    input: Option<Vec<u8>>,
    has_other_output: bool,
}

/// How far a run is.
struct Prefix {
    run: i64,
    id: [u8; 16],
    max_length: i64,
    /// The next number of the prefix.
    next: i64,
    last: Option<[u8; 16]>,
    /// The number that the last passing row had.
    taken: Option<i64>,
    /// The largest number of any row.
    top: i64,
}

impl Session<'_> {
    pub(super) fn invocations(&mut self) -> Result<(), ImportError> {
        self.kept.begin(Table::Invocation);
        self.place_invocations()?;
        self.decide_invocations()?;
        self.kept.end(Table::Invocation)
    }

    fn place_invocations(&mut self) -> Result<(), ImportError> {
        let table = Table::Invocation;
        let failed = |source| self.source.failed(table.legacy_name(), source);
        let mut statement = self.source.all(table, &PLACE)?;
        let mut rows = statement.query([]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            self.kept.place(&cells_of::<4>(row).map_err(failed)?)?;
            self.kept.heed_stop()?;
        }
        Ok(())
    }

    fn decide_invocations(&mut self) -> Result<(), ImportError> {
        let table = Table::Invocation;
        let decoders = Decoders::start(self.kept.options.threads)?;
        let mut one = self.source.one(table, &WHOLE)?;
        let mut waiting: VecDeque<Waiting> = VecDeque::new();
        let mut bytes = 0;
        let mut prefix = None;
        let mut steps = Steps::default();
        while let Some((step, source)) = steps.next(&self.kept)? {
            let read = one.query_row([source], |row| Ok(self.kept.read(&cells_of::<9>(row)?, &decoders)));
            let row = match read.optional().map_err(|source| self.source.failed(table.legacy_name(), source))? {
                Some(row) => Waiting { step, ..row? },
                None => continue, // Counted before, gone now: the sums will not agree.
            };
            bytes += row.bytes;
            waiting.push_back(row);
            while waiting.len() > WAITING_MAX || bytes > WAITING_BYTES_MAX {
                let Some(row) = waiting.pop_front() else { break };
                bytes -= row.bytes;
                self.kept.decide(row, &mut prefix)?;
            }
        }
        for row in waiting {
            self.kept.decide(row, &mut prefix)?;
        }
        self.kept.finish(prefix)?;
        // Runs all of whose rows are no steps.
        let lost = "UPDATE run SET truncated = 1 WHERE truncated IS NULL AND n IN (SELECT run FROM other_number WHERE top > -1)";
        self.kept.scratch.put(lost, [])?;
        Ok(())
    }
}

/// The steps in their order, some at a time, so that the scratch database can change between them.
#[derive(Default)]
struct Steps {
    some: VecDeque<(Step, i64)>,
    last: Option<Step>,
}

impl Steps {
    fn next(&mut self, kept: &Kept<'_>) -> Result<Option<(Step, i64)>, ImportError> {
        if self.some.is_empty() {
            let after = self.last.map_or((i64::MIN, i64::MIN, [0; 16]), |step| (step.run, step.number, step.id));
            let sql = "SELECT run, number, id, source FROM step WHERE (run, number, id) > (?1, ?2, ?3) \
                       ORDER BY run, number, id LIMIT 1024";
            let failed = |source| kept.scratch.failed(source);
            let mut statement = kept.scratch.query(sql)?;
            let rows = statement.query_map(params![after.0, after.1, after.2], |row| {
                Ok((Step { run: row.get(0)?, number: row.get(1)?, id: row.get(2)? }, row.get(3)?))
            });
            self.some = rows.map_err(failed)?.collect::<rusqlite::Result<_>>().map_err(failed)?;
        }
        let next = self.some.pop_front();
        self.last = next.map(|(step, _)| step).or(self.last);
        Ok(next)
    }
}

impl Kept<'_> {
    /// Notes where a row stands, or drops it when it stands nowhere.
    fn place(&mut self, cells: &[ValueRef<'_>; 4]) -> Result<(), ImportError> {
        let table = Table::Invocation;
        let ValueRef::Integer(rowid) = cells[0] else { return Ok(()) };
        let id = self.identify(table, rowid, cells[1])?;
        let find = |id: [u8; 16]| self.scratch.find("SELECT n FROM run WHERE id = ?1", [id], |row| row.get(0));
        let Some(run): Option<i64> = id_of(cells[2]).map(find).transpose()?.flatten() else {
            return id.map_or(Ok(()), |id| self.drop_row(table, "orphan", &id));
        };
        if let Some(key) = key_of(cells[1]) {
            self.scratch.put("INSERT OR IGNORE INTO invocation VALUES (?1, ?2, 0)", params![key, run])?;
        }
        let number = match cells[3] {
            ValueRef::Integer(number) if number >= 0 => number,
            _ => NO_NUMBER,
        };
        let top = match cells[3] {
            ValueRef::Integer(number) if id.is_none() || number < 0 => Some(number as f64),
            ValueRef::Real(number) => Some(number),
            _ => None,
        };
        if let Some(top) = top {
            let sql =
                "INSERT INTO other_number VALUES (?1, ?2) ON CONFLICT (run) DO UPDATE SET top = max(top, excluded.top)";
            self.scratch.put(sql, params![run, top])?;
        }
        if let Some(id) = id {
            self.scratch.put("INSERT INTO step VALUES (?1, ?2, ?3, ?4)", params![run, number, id, rowid])?;
        }
        Ok(())
    }

    /// Reads a row as far as its output; bytes of a picture go to be decoded.
    fn read(&self, cells: &[ValueRef<'_>; 9], decoders: &Decoders) -> Result<Waiting, ImportError> {
        let step = Step { run: 0, number: 0, id: [0; 16] };
        let dropped = |reason| Ok(Waiting { step, bytes: 0, read: Err(reason) });
        let is_text = match text_of(cells[0]) {
            Some("TEXT") => true,
            Some("IMAGE") => false,
            _ => return dropped("invalid_type"),
        };
        let times = [TimeCell::of(cells[1]), TimeCell::of(cells[2])];
        if times[0] == TimeCell::Absent {
            return dropped("missing_started_at");
        }
        let [Some(started_at), completed_at] = times.map(|time| time.in_zone(&self.options.zone)) else {
            return dropped("invalid_time");
        };
        if times[1] == TimeCell::Invalid {
            return dropped("invalid_time");
        }
        let (given, bytes) = match (is_text, text_of(cells[3]), cells[4]) {
            (true, Some(text), _) => (Given::Text(text.to_owned()), text.len()),
            (true, None, _) => return dropped("missing_output"),
            (false, _, ValueRef::Blob([]) | ValueRef::Text([]) | ValueRef::Null) => return dropped("missing_output"),
            (false, _, ValueRef::Integer(_) | ValueRef::Real(_)) => return dropped("missing_output"),
            (false, _, ValueRef::Text(_)) => return dropped("undecodable_image"),
            (false, _, ValueRef::Blob(bytes)) => match self.sink.known_image(bytes.to_vec())? {
                Ok(record) => (Given::Known(Box::new(record)), bytes.len()),
                Err(content) => (Given::Image(decoders.decode(content)?), bytes.len()),
            },
        };
        let rest = Rest {
            model: text_of(cells[5]).map(str::to_owned),
            seed: match cells[6] {
                ValueRef::Integer(seed) => Seed::new(seed).ok(),
                _ => None,
            },
            started_at,
            completed_at,
            input: key_of(cells[7]),
            has_other_output: if is_text { cells[4] != ValueRef::Null } else { cells[3] != ValueRef::Null },
        };
        Ok(Waiting { step, bytes, read: Ok((given, rest)) })
    }

    /// Decides a row, given all rows of its run with smaller numbers, and with smaller ids of its number.
    fn decide(&mut self, row: Waiting, prefix: &mut Option<Prefix>) -> Result<(), ImportError> {
        let table = Table::Invocation;
        let Waiting { step, read, .. } = row;
        if prefix.as_ref().is_none_or(|prefix| prefix.run != step.run) {
            let next = self.prefix_of(step.run)?;
            let before = prefix.replace(next);
            self.finish(before)?;
        }
        let Some(prefix) = prefix else { return Ok(()) };
        prefix.top = prefix.top.max(step.number);
        self.step(table)?;
        let passed = match read.and_then(|(given, rest)| whole(given, rest)) {
            Ok(passed) => passed,
            Err(reason) => return self.drop_row(table, reason, &step.id),
        };
        let reason = if step.number >= prefix.max_length {
            "beyond_max_length"
        } else if passed.model.is_none() {
            "invalid_value"
        } else if step.number == NO_NUMBER {
            "broken_chain"
        } else if prefix.taken == Some(step.number) {
            "duplicate_sequence"
        } else if prefix.next != step.number {
            prefix.taken = Some(step.number);
            "broken_chain"
        } else {
            prefix.taken = Some(step.number);
            return self.keep(passed, step, prefix);
        };
        self.drop_row(table, reason, &step.id)
    }

    fn prefix_of(&self, run: i64) -> Result<Prefix, ImportError> {
        let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
        let found = self.scratch.find("SELECT id, max_length FROM run WHERE n = ?1", [run], read)?;
        let (id, max_length) = found.ok_or_else(|| self.scratch.failed(rusqlite::Error::QueryReturnedNoRows))?;
        Ok(Prefix { run, id, max_length, next: 0, last: None, taken: None, top: -1 })
    }

    /// Carries a row: it is the next of its run.
    fn keep(&mut self, passed: Passed, step: Step, prefix: &mut Prefix) -> Result<(), ImportError> {
        let table = Table::Invocation;
        self.carry(table);
        if passed.input.as_deref() != prefix.last.as_ref().map(|id| &id[..]) {
            self.repair(table, "input_link", &step.id)?;
        }
        if passed.has_other_output {
            self.note(Note::OtherOutputLeft);
        }
        if passed.seed.is_none() {
            self.note(Note::SeedNotRecorded);
        }
        let (kind, state, bytes) = match &passed.output {
            Output::Text(text) => (ModelKind::ImageToText, 1, text.len()),
            Output::Image(image) => (ModelKind::TextToImage, 2, image.bytes.len()),
        };
        self.scratch.put("UPDATE invocation SET state = ?2 WHERE key = ?1", params![step.id, state])?;
        let link = match (NonZeroU64::new(prefix.next.unsigned_abs()), prefix.last) {
            (Some(number), Some(last)) => Link::After { number, input: InvocationId::from_bytes(last) },
            _ => Link::First,
        };
        debug_assert_eq!(link.sequence_number(), SequenceNumber(prefix.next.unsigned_abs()));
        (prefix.next, prefix.last) = (prefix.next + 1, Some(step.id));
        let (run, entropy) = (prefix.id, self.options.entropy);
        let Passed { output, model, seed, started_at, completed_at, .. } = passed;
        let model = model.unwrap_or_default();
        self.sink.push(table, bytes, |sink| {
            Ok(Arrival::Invocation(Box::new(Invocation {
                id: InvocationId::from_bytes(step.id),
                run_id: RunId::from_bytes(run),
                link,
                model: ModelName::new(&model),
                model_version_id: sink.version(&model, kind, entropy)?,
                seed: seed.unwrap_or(Seed::FRESH),
                started_at,
                completed_at,
                output,
            })))
        })
    }

    /// Notes of a run whose rows are all decided whether its prefix ends before its largest number.
    fn finish(&mut self, prefix: Option<Prefix>) -> Result<(), ImportError> {
        let Some(prefix) = prefix else { return Ok(()) };
        let sql = "SELECT top FROM other_number WHERE run = ?1";
        let other: Option<f64> = self.scratch.find(sql, [prefix.run], |row| row.get(0))?;
        let last = prefix.next - 1;
        let is_truncated = last < prefix.top || other.is_some_and(|top| (last as f64) < top);
        self.scratch.put("UPDATE run SET truncated = ?2 WHERE n = ?1", params![prefix.run, is_truncated])?;
        Ok(())
    }
}

/// Waits for the picture of a row, where it has one.
fn whole(given: Given, rest: Rest) -> Result<Passed, &'static str> {
    let output = match given {
        Given::Text(text) => Output::Text(text),
        Given::Known(record) => Output::Image((*record).into()),
        // A decoder that is gone has not decoded it.
        Given::Image(coming) => match coming.recv().ok().flatten() {
            Some(record) => Output::Image((*record).into()),
            None => return Err("undecodable_image"),
        },
    };
    let Rest { model, seed, started_at, completed_at, input, has_other_output } = rest;
    Ok(Passed { output, model, seed, started_at, completed_at, input, has_other_output })
}
