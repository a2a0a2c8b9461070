//! A run keeps its longest valid prefix, each row linked to the one before.

use std::collections::BTreeMap;

use rusqlite::types::Value;
use rusqlite::{Connection, params};

use super::super::cell;
use super::{Fix, Reason};

/// A step as its row has it.
#[derive(Clone, Debug)]
struct Step {
    rowid: i64,
    id: Option<[u8; 16]>,
    number: Option<i64>,
    input: Option<[u8; 16]>,
    has_input: bool,
}

/// Keeps the longest prefix of a run that is whole, and marks the rest; `bad` says which rows cannot stay, and why.
/// Returns whether anything goes.
pub(super) fn keep_prefix(
    connection: &Connection,
    fix: &mut Fix,
    run: &[u8; 16],
    length: Option<i64>,
    bad: &BTreeMap<i64, Reason>,
) -> rusqlite::Result<bool> {
    let steps = steps_of(connection, run)?;
    let is_whole = |step: &&Step| step.id.is_some() && !bad.contains_key(&step.rowid);
    let mut kept: Vec<&Step> = Vec::new();
    let numbered = numbered(&steps);
    for number in 0..length.unwrap_or(i64::MAX) {
        let Some(range) = numbered.get(&number) else { break };
        let candidates: Vec<&Step> = steps[range.clone()].iter().filter(is_whole).collect();
        // Of several the one that the next step names as its input, else the one with the smallest id.
        let next = numbered.get(&(number + 1)).map_or(&[][..], |range| &steps[range.clone()]);
        let is_named = |step: &&&Step| next.iter().any(|next| next.input.is_some() && next.input == step.id);
        let Some(step) = candidates.iter().find(is_named).or_else(|| candidates.first()) else { break };
        kept.push(step);
    }
    let mut before: Option<[u8; 16]> = None;
    for step in &kept {
        let is_right = step.has_input == before.is_some() && step.input == before;
        if !is_right {
            let input = before.map_or(Value::Null, |id| Value::Blob(id.to_vec()));
            fix.mend("invocation", step.rowid, "input_link", vec![("input_invocation_id", input)]);
        }
        before = step.id;
    }
    let stays: std::collections::BTreeSet<i64> = kept.iter().map(|step| step.rowid).collect();
    let mut goes = false;
    for step in steps.iter().rev().filter(|step| !stays.contains(&step.rowid)) {
        let is_beyond = step.number.zip(length).is_some_and(|(number, length)| number >= length);
        let is_second = step.number.is_some_and(|number| number < kept.len() as i64);
        let reason = match bad.get(&step.rowid) {
            Some(reason) => reason,
            None if is_beyond => "beyond_max_length",
            None if is_second => "sequence_duplicate",
            None => "after_what_goes",
        };
        goes = true;
        fix.drop_invocation(step.rowid, reason);
    }
    Ok(goes)
}

impl Fix {
    /// Marks an invocation to be taken out, after those that were marked before it.
    pub(super) fn drop_invocation(&mut self, rowid: i64, reason: Reason) {
        if self.drop_row("invocation", rowid, reason) {
            self.invocations.push(rowid);
        }
    }
}

fn steps_of(connection: &Connection, run: &[u8; 16]) -> rusqlite::Result<Vec<Step>> {
    let sql = "SELECT rowid AS rowid, id, sequence_number, input_invocation_id FROM invocation WHERE run_id = ?1 \
               ORDER BY sequence_number, id, rowid";
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map(params![run], |row| {
        Ok(Step {
            rowid: row.get("rowid")?,
            id: cell::bytes(row, "id"),
            number: cell::integer(row, "sequence_number"),
            input: cell::bytes(row, "input_invocation_id"),
            has_input: !cell::is_null(row, "input_invocation_id"),
        })
    })?;
    rows.collect()
}

/// Returns where the steps of each number stand.
fn numbered(steps: &[Step]) -> BTreeMap<i64, std::ops::Range<usize>> {
    let mut places: BTreeMap<i64, std::ops::Range<usize>> = BTreeMap::new();
    for (place, step) in steps.iter().enumerate() {
        if let Some(number) = step.number {
            places.entry(number).or_insert(place..place).end = place + 1;
        }
    }
    places
}
