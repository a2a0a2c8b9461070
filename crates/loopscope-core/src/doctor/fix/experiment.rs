//! An experiment's own row, cell by cell: what its runs or its config still say is put back; a time never is invented.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, Row};

use super::super::cell::{self, integer, text};
use super::super::finding::FindingKind;
use super::super::rows::check_value;
use super::super::table::TABLES;
use super::super::{cell::short, list};
use super::Reason;
use crate::codec::canonical_json;
use crate::config::{Syntax, parse_config};
use crate::experiment::{ExperimentConfig, Network};

type Cells = Vec<(&'static str, Value)>;

/// Plans how a row is mended; `None` when something is wrong that nothing in the store says better.
pub(super) fn mend(
    connection: &Connection,
    rowid: i64,
    kinds: &BTreeSet<FindingKind>,
) -> rusqlite::Result<Option<Vec<(Reason, Cells)>>> {
    let sql = "SELECT rowid AS rowid, * FROM experiment WHERE rowid = ?1";
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([rowid])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let Some(id) = cell::bytes::<16>(row, "id") else { return Ok(None) };
    let mut mended: Vec<(Reason, Cells)> = Vec::new();
    let mut lists: BTreeMap<&'static str, Value> = BTreeMap::new();
    for column in TABLES[0].columns {
        if check_value(column, cell::value(row, column.name)).is_ok() {
            continue;
        }
        let value = match column.name {
            "networks" | "prompts" | "seeds" | "embedding_models" | "max_length" => {
                let found = from_runs(connection, id, column.name)?.or_else(|| from_config(row, column.name));
                let Some(value) = found else { return Ok(None) };
                lists.insert(column.name, value.clone());
                value
            }
            // Read off the models, which an import marks.
            "origin" => Value::Text(origin(connection, id)?.to_owned()),
            // Below.
            "name" | "config" | "started_at" | "completed_at" => continue,
            _ => return Ok(None),
        };
        mended.push((column.name, vec![(column.name, value)]));
    }
    mend_name(connection, row, id, kinds, &mut mended)?;
    mend_config(row, &lists, &mut mended);
    mend_times(connection, row, id, kinds, &mut mended)?;
    Ok(Some(mended))
}

fn mend_name(
    connection: &Connection,
    row: &Row<'_>,
    id: [u8; 16],
    kinds: &BTreeSet<FindingKind>,
    mended: &mut Vec<(Reason, Cells)>,
) -> rusqlite::Result<()> {
    let own = text(row, "name").filter(|name| !name.trim().is_empty());
    let is_taken = kinds.contains(&FindingKind::Duplicate);
    if own.is_some() && !is_taken {
        return Ok(());
    }
    let wanted = own.map_or_else(|| format!("recovered-{}", short(id)), str::to_owned);
    let mut statement = connection.prepare("SELECT 1 FROM experiment WHERE name = ?1")?;
    let mut name = wanted.clone();
    // The id's digits make it differ from every other that is given its name at the same time.
    let mut suffix = 1;
    while statement.exists([&name])? {
        name = if suffix == 1 { format!("{wanted}-{}", short(id)) } else { format!("{wanted}-{}-{suffix}", short(id)) };
        suffix += 1;
    }
    mended.push(("name", vec![("name", Value::Text(name))]));
    Ok(())
}

/// A config that does not read is composed of the lists, as an import does.
fn mend_config(row: &Row<'_>, lists: &BTreeMap<&'static str, Value>, mended: &mut Vec<(Reason, Cells)>) {
    let reads = text(row, "config").is_some_and(|text| serde_json::from_str::<serde_json::Value>(text).is_ok());
    if reads {
        return;
    }
    let mut config = serde_json::Map::new();
    for name in ["networks", "prompts", "seeds", "embedding_models", "max_length"] {
        let json = match lists.get(name) {
            Some(Value::Text(text)) => serde_json::from_str(text).ok(),
            Some(Value::Integer(number)) => Some((*number).into()),
            _ => match cell::value(row, name) {
                ValueRef::Text(bytes) => serde_json::from_slice(bytes).ok(),
                ValueRef::Integer(number) => Some(number.into()),
                _ => None,
            },
        };
        config.extend(json.map(|json| (name.to_owned(), json)));
    }
    // A map of JSON values is JSON.
    let text = canonical_json(&config).unwrap_or_else(|_| "{}".to_owned());
    mended.push(("config", vec![("config", Value::Text(text))]));
}

/// A start is the earliest of what was computed; an end that cannot be so is taken back, and a resume sets it.
fn mend_times(
    connection: &Connection,
    row: &Row<'_>,
    id: [u8; 16],
    kinds: &BTreeSet<FindingKind>,
    mended: &mut Vec<(Reason, Cells)>,
) -> rusqlite::Result<()> {
    let is_odd = |name| !cell::is_null(row, name) && integer(row, name).is_none();
    if is_odd("started_at") || kinds.contains(&FindingKind::NotStartedWithInvocations) {
        let sql = "SELECT min(i.started_at) FROM run r JOIN invocation i ON i.run_id = r.id \
                   WHERE r.experiment_id = ?1 AND typeof(i.started_at) = 'integer'";
        let first: Option<i64> = connection.query_row(sql, [id], |row| row.get(0))?;
        mended.push(("started_at", vec![("started_at", first.map_or(Value::Null, Value::Integer))]));
    }
    let cannot_be = [FindingKind::TimeOrder, FindingKind::CompletedThoughIncomplete];
    if is_odd("completed_at") || cannot_be.iter().any(|kind| kinds.contains(kind)) {
        mended.push(("completed_at", vec![("completed_at", Value::Null)]));
    }
    Ok(())
}

fn origin(connection: &Connection, id: [u8; 16]) -> rusqlite::Result<&'static str> {
    let sql = "SELECT EXISTS (SELECT 1 FROM run r JOIN invocation i ON i.run_id = r.id \
               JOIN model_version v ON v.id = i.model_version_id WHERE r.experiment_id = ?1 AND v.backend = 'legacy')";
    let is_legacy: bool = connection.query_row(sql, [id], |row| row.get(0))?;
    Ok(if is_legacy { "legacy" } else { "native" })
}

/// Reads a list off the runs, which are networks × prompts × seeds; `None` when there are no runs that say it.
fn from_runs(connection: &Connection, id: [u8; 16], column: &str) -> rusqlite::Result<Option<Value>> {
    let sql = match column {
        "networks" => "SELECT network FROM run WHERE experiment_id = ?1 GROUP BY network ORDER BY min(rowid)",
        "prompts" => {
            "SELECT initial_prompt FROM run WHERE experiment_id = ?1 GROUP BY initial_prompt ORDER BY min(rowid)"
        }
        // As often as the runs of any network and prompt have it.
        "seeds" => {
            "SELECT seed, max(count) FROM (SELECT seed, count(*) AS count, min(rowid) AS first FROM run \
             WHERE experiment_id = ?1 GROUP BY network, initial_prompt, seed) GROUP BY seed ORDER BY min(first)"
        }
        "embedding_models" => {
            "SELECT e.embedding_model FROM run r JOIN invocation i ON i.run_id = r.id \
             JOIN embedding e ON e.invocation_id = i.id WHERE r.experiment_id = ?1 \
             GROUP BY e.embedding_model ORDER BY min(e.rowid)"
        }
        _ => "SELECT max(max_length) FROM run WHERE experiment_id = ?1",
    };
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([id])?;
    let mut items: Vec<serde_json::Value> = Vec::new();
    while let Some(row) = rows.next()? {
        match (column, row.get_ref(0)?) {
            ("networks", ValueRef::Text(bytes)) => {
                let network = std::str::from_utf8(bytes).ok().and_then(|text| list::network(text).ok());
                items.extend(network.map(serde_json::Value::from));
            }
            ("seeds", ValueRef::Integer(seed)) if seed >= -1 => {
                let count: usize = row.get(1)?;
                items.extend(std::iter::repeat_n(serde_json::Value::from(seed), count));
            }
            ("max_length", ValueRef::Integer(length)) if length > 0 => return Ok(Some(Value::Integer(length))),
            ("prompts" | "embedding_models", ValueRef::Text(bytes)) => {
                items.extend(std::str::from_utf8(bytes).ok().map(serde_json::Value::from));
            }
            _ => {}
        }
    }
    let is_empty = items.is_empty();
    Ok(canonical_json(&items).ok().filter(|_| !is_empty).map(Value::Text))
}

/// Reads a list off the config as it was given.
fn from_config(row: &Row<'_>, column: &str) -> Option<Value> {
    let config: ExperimentConfig = parse_config(text(row, "config")?, Syntax::Json).ok()?.config;
    let json = match column {
        "networks" => canonical_json(&config.networks.iter().map(Network::models).collect::<Vec<_>>()),
        "prompts" => canonical_json(&config.prompts),
        "seeds" => canonical_json(&config.seeds),
        "embedding_models" => canonical_json(&config.embedding_models),
        _ => return i64::try_from(config.max_length.get()).ok().map(Value::Integer),
    };
    json.ok().map(Value::Text)
}

/// Returns the smallest run_number that is free among the runs equal to this one, when its experiment asks for it.
pub(super) fn free_number(connection: &Connection, rowid: i64) -> rusqlite::Result<Option<i64>> {
    let sql = "SELECT o.run_number AS run_number, r.network AS network, r.initial_prompt AS initial_prompt, r.seed AS seed, \
               x.networks AS networks, x.prompts AS prompts, x.seeds AS seeds, o.rowid AS other FROM run r \
               JOIN experiment x ON x.id = r.experiment_id JOIN run o ON o.experiment_id = r.experiment_id \
               AND o.network = r.network AND o.initial_prompt = r.initial_prompt AND o.seed = r.seed WHERE r.rowid = ?1";
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([rowid])?;
    let mut taken = BTreeSet::new();
    let mut asked = 0;
    while let Some(row) = rows.next()? {
        if integer(row, "other") != Some(rowid) {
            taken.extend(integer(row, "run_number"));
        }
        asked = asked_count(row).unwrap_or(0);
    }
    Ok((0..asked).find(|number| !taken.contains(number)))
}

fn asked_count(row: &Row<'_>) -> Option<i64> {
    let network = list::network(text(row, "network")?).ok()?;
    let networks = list::networks(text(row, "networks")?).ok()?;
    let prompts = list::texts(text(row, "prompts")?).ok()?;
    let seeds = list::seeds(text(row, "seeds")?).ok()?;
    let (prompt, seed) = (text(row, "initial_prompt")?, integer(row, "seed")?);
    let counts = [
        networks.iter().filter(|other| **other == network).count(),
        prompts.iter().filter(|other| *other == prompt).count(),
        seeds.iter().filter(|other| **other == seed).count(),
    ];
    i64::try_from(counts.iter().product::<usize>()).ok()
}
