//! Experiments and runs.

use std::num::NonZeroU64;

use rusqlite::types::ValueRef;
use rusqlite::{Row, params};

use super::Zone;
use super::error::ImportError;
use super::parse::{TimeCell, id_of, parse_networks, parse_seeds, parse_strings, text_of};
use super::report::{Table, hex};
use super::session::{Kept, Session};
use crate::codec::canonical_json;
use crate::experiment::{
    Experiment, ExperimentConfig, ExperimentId, ModelName, Network, NonEmpty, Origin, Run, RunId, RunKey, Seed,
    Timestamp,
};
use crate::store::{Arrival, StoreError};

const EXPERIMENT: [&str; 9] =
    ["rowid", "id", "networks", "seeds", "prompts", "embedding_models", "max_length", "started_at", "completed_at"];
const RUN: [&str; 7] = ["rowid", "id", "experiment_id", "network", "seed", "max_length", "initial_prompt"];

/// How many runs there are of one experiment, network, prompt and seed with smaller ids.
const RUN_NUMBERS: &str = "CREATE TABLE numbered AS SELECT n, row_number() OVER (PARTITION BY alike ORDER BY id) - 1 AS number FROM run; \
                           CREATE UNIQUE INDEX numbered_by_n ON numbered (n)";

impl Session<'_> {
    pub(super) fn experiments(&mut self) -> Result<(), ImportError> {
        let table = Table::Experiment;
        self.kept.begin(table);
        let mut statement = self.source.all(table, &EXPERIMENT)?;
        let mut rows = statement.query([]).map_err(|source| self.source.failed(table.legacy_name(), source))?;
        while let Some(row) = rows.next().map_err(|source| self.source.failed(table.legacy_name(), source))? {
            let cells = cells_of::<9>(row).map_err(|source| self.source.failed(table.legacy_name(), source))?;
            self.kept.experiment(&cells)?;
            self.kept.step(table)?;
        }
        self.kept.end(table)
    }

    /// Reads the runs twice: which there are, for their numbers among equals, and then what they are.
    pub(super) fn runs(&mut self) -> Result<(), ImportError> {
        let table = Table::Run;
        self.kept.begin(table);
        let failed = |source| self.source.failed(table.legacy_name(), source);
        let mut statement = self.source.all(table, &RUN)?;
        let mut rows = statement.query([]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            self.kept.run(&cells_of::<7>(row).map_err(failed)?)?;
            self.kept.step(table)?;
        }
        drop(rows);
        drop(statement);
        self.store_runs()?;
        self.kept.end(table)
    }

    fn store_runs(&mut self) -> Result<(), ImportError> {
        let table = Table::Run;
        let failed = |source| self.source.failed(table.legacy_name(), source);
        let Kept { scratch, sink, .. } = &mut self.kept;
        for sql in RUN_NUMBERS.split(';') {
            scratch.put(sql, [])?;
        }
        let mut one = self.source.one(table, &RUN)?;
        let mut ordered =
            scratch.query("SELECT r.source, m.number FROM run r JOIN numbered m ON m.n = r.n ORDER BY r.source")?;
        let mut rows = ordered.query([]).map_err(|source| scratch.failed(source))?;
        while let Some(row) = rows.next().map_err(|source| scratch.failed(source))? {
            let read = || Ok((row.get(0)?, row.get(1)?));
            let (source, number): (i64, u64) = read().map_err(|source| scratch.failed(source))?;
            let run = one.query_row([source], |row| Ok(run_of(&cells_of::<7>(row)?, number))).map_err(failed)?;
            if let Some(run) = run {
                sink.push(table, run.key.initial_prompt.len(), |_| Ok(Arrival::Run(Box::new(run))))?;
            }
        }
        Ok(())
    }
}

impl Kept<'_> {
    fn experiment(&mut self, cells: &[ValueRef<'_>; 9]) -> Result<(), ImportError> {
        let table = Table::Experiment;
        let ValueRef::Integer(rowid) = cells[0] else { return Ok(()) };
        let Some(id) = self.identify(table, rowid, cells[1])? else { return Ok(()) };
        let Some(config) = config_of(cells) else { return self.drop_row(table, "invalid_config", &id) };
        let times = [TimeCell::of(cells[7]), TimeCell::of(cells[8])];
        if times.contains(&TimeCell::Invalid) {
            return self.drop_row(table, "invalid_time", &id);
        }
        self.carry(table);
        self.scratch.put("INSERT INTO experiment VALUES (?1)", [id])?;
        let zone = &self.options.zone;
        let [started_at, completed_at] = times.map(|time| time.in_zone(zone));
        let bytes = config.prompts.iter().map(String::len).sum();
        self.sink.push(table, bytes, |sink| {
            let made = experiment_of(id, config, zone, (sink.now(), started_at, completed_at))?;
            Ok(Arrival::Experiment(Box::new(made)))
        })
    }

    fn run(&mut self, cells: &[ValueRef<'_>; 7]) -> Result<(), ImportError> {
        let table = Table::Run;
        let ValueRef::Integer(rowid) = cells[0] else { return Ok(()) };
        let Some(id) = self.identify(table, rowid, cells[1])? else { return Ok(()) };
        if cells[2] == ValueRef::Null {
            return self.drop_row(table, "missing_experiment", &id);
        }
        let is_carried = |id: [u8; 16]| self.scratch.find("SELECT 1 FROM experiment WHERE id = ?1", [id], |_| Ok(()));
        if id_of(cells[2]).map(is_carried).transpose()?.flatten().is_none() {
            return self.drop_row(table, "orphan", &id);
        }
        let Some(run) = run_of(cells, 0) else { return self.drop_row(table, "invalid_run", &id) };
        self.carry(table);
        let max_length = i64::try_from(run.max_length.get()).unwrap_or(i64::MAX);
        self.scratch.put(
            "INSERT INTO run (id, alike, source, max_length) VALUES (?1, ?2, ?3, ?4)",
            params![id, alike(&run), rowid, max_length],
        )?;
        Ok(())
    }
}

/// Returns the cells of a row.
pub(super) fn cells_of<'row, const N: usize>(row: &'row Row<'_>) -> rusqlite::Result<[ValueRef<'row>; N]> {
    let mut cells = [ValueRef::Null; N];
    for (index, cell) in cells.iter_mut().enumerate() {
        *cell = row.get_ref(index)?;
    }
    Ok(cells)
}

/// Returns the length of a run or an experiment: a whole number above 0.
fn length_of(cell: ValueRef<'_>) -> Option<NonZeroU64> {
    match cell {
        ValueRef::Integer(length) => u64::try_from(length).ok().and_then(NonZeroU64::new),
        _ => None,
    }
}

fn network_of(models: &[String]) -> Option<Network> {
    Network::new(models.iter().map(|name| ModelName::new(name)).collect()).ok()
}

fn config_of(cells: &[ValueRef<'_>; 9]) -> Option<ExperimentConfig> {
    let networks = parse_networks(text_of(cells[2])?)?;
    let models = parse_strings(text_of(cells[5])?)?;
    Some(ExperimentConfig {
        name: None,
        networks: NonEmpty::new(networks.iter().map(|models| network_of(models)).collect::<Option<_>>()?)?,
        prompts: parse_strings(text_of(cells[4])?)?,
        seeds: parse_seeds(text_of(cells[3])?)?,
        embedding_models: NonEmpty::new(models.iter().map(|name| ModelName::new(name)).collect())?,
        max_length: length_of(cells[6])?,
        parameters: Default::default(),
        diagrams: Default::default(),
    })
}

/// Composes an experiment of what was carried, and of what the earlier tool did not record.
fn experiment_of(
    id: [u8; 16],
    config: ExperimentConfig,
    zone: &Zone,
    (created_at, started_at, completed_at): (Timestamp, Option<Timestamp>, Option<Timestamp>),
) -> Result<Experiment, ImportError> {
    let name = format!("legacy-{}", &hex(&id)[24..]);
    let composed = serde_json::json!({
        "networks": config.networks, "prompts": config.prompts, "seeds": config.seeds,
        "embedding_models": config.embedding_models, "max_length": config.max_length, "timezone": zone.name(),
    });
    let config_as_given = canonical_json(&composed)
        .map_err(|error| StoreError::Invalid { object: name.clone(), defect: format!("it is no JSON: {error}") })?;
    let id = ExperimentId::from_bytes(id);
    Ok(Experiment { id, name, config, config_as_given, origin: Origin::Legacy, created_at, started_at, completed_at })
}

/// Returns the run of a row, where its experiment, network, prompt, seed and length are such.
fn run_of(cells: &[ValueRef<'_>; 7], run_number: u64) -> Option<Run> {
    let ValueRef::Integer(seed) = cells[4] else { return None };
    let key = RunKey {
        network: network_of(&parse_strings(text_of(cells[3])?)?)?,
        initial_prompt: text_of(cells[6])?.to_owned(),
        seed: Seed::new(seed).ok()?,
        run_number,
    };
    Some(Run {
        id: RunId::from_bytes(id_of(cells[1])?),
        experiment_id: ExperimentId::from_bytes(id_of(cells[2])?),
        key,
        max_length: length_of(cells[5])?,
    })
}

/// Returns what runs of equal experiment, network, prompt and seed have in common.
fn alike(run: &Run) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    let mut part = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes()).update(bytes);
    };
    part(run.experiment_id.as_bytes());
    part(run.key.initial_prompt.as_bytes());
    part(&run.key.seed.value().to_le_bytes());
    run.key.network.models().iter().for_each(|model| part(model.as_str().as_bytes()));
    *hasher.finalize().as_bytes()
}
