//! What an experiment asks for, held against what is there of it.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, Row, params};

use super::cell::{self, Subject, integer, quoted, text};
use super::finding::{Finding, FindingKind, Ledger, Severity};
use super::known::Known;
use super::{failure, list, run};
use crate::codec::canonical_json;
use crate::experiment::{ExperimentId, ModelKind, OutputType};

/// An experiment as its row has it; a list that does not read is `None`, which is a finding of the pass over rows.
pub(super) struct Asked {
    pub id: [u8; 16],
    pub subject: Subject,
    /// Imported: it lacks what this program always writes, and what broke off was kept as it was.
    pub is_legacy: bool,
    pub networks: Option<BTreeMap<Vec<String>, u64>>,
    pub prompts: Option<BTreeMap<String, u64>>,
    pub seeds: Option<BTreeMap<i64, u64>>,
    pub embedding_models: Option<BTreeSet<String>>,
    pub max_length: Option<i64>,
    /// What each embedding model takes, where the store says it.
    pub embedders: BTreeMap<String, OutputType>,
    /// How many vectors of each dimension each model has.
    pub dimensions: BTreeMap<String, BTreeMap<u32, u64>>,
    /// Rows of models that are not asked for.
    pub not_asked_for: BTreeMap<String, u64>,
    pub has_invocations: bool,
    /// Whether something that is asked for is not there.
    pub is_incomplete: bool,
    /// Whether so much was readable that `is_incomplete` says all.
    pub is_known: bool,
}

impl Asked {
    /// Counts a vector of a model by its dimension.
    pub(super) fn take_dimension(&mut self, model: &str, dimension: u32) {
        match self.dimensions.get_mut(model) {
            Some(counts) => *counts.entry(dimension).or_default() += 1,
            None => {
                self.dimensions.insert(model.to_owned(), BTreeMap::from([(dimension, 1)]));
            }
        }
    }

    /// Returns the dimension that most vectors of a model have, and how many do.
    pub(super) fn dimension_of(&self, model: &str) -> Option<(u32, u64)> {
        let counts = self.dimensions.get(model)?;
        counts.iter().max_by_key(|(_, count)| **count).map(|(&dimension, &count)| (dimension, count))
    }

    /// Returns `Note` for an imported experiment, a violation otherwise.
    pub(super) fn violation(&self) -> Severity {
        if self.is_legacy { Severity::Note } else { Severity::Violation }
    }

    pub(super) fn report(
        &self,
        ledger: &mut Ledger<'_>,
        severity: Severity,
        kind: FindingKind,
        subject: &Subject,
        defect: String,
    ) {
        ledger.add_of(severity, kind, subject, Some(cell::hyphenated(self.id)), defect);
    }

    /// Reports something that is missing, and takes note that the experiment is not complete.
    pub(super) fn missing(&mut self, ledger: &mut Ledger<'_>, kind: FindingKind, subject: &Subject, defect: String) {
        self.is_incomplete = true;
        self.report(ledger, Severity::Incomplete, kind, subject, defect);
    }
}

/// Checks every experiment, or one.
pub(super) fn check_experiments(
    connection: &Connection,
    ledger: &mut Ledger<'_>,
    only: Option<ExperimentId>,
    known: &mut Known,
) {
    let outcome = each_experiment(connection, ledger, only, known);
    known.walked.broken += u64::from(outcome.is_err());
    ledger.unreadable("table experiment", outcome);
}

fn each_experiment(
    connection: &Connection,
    ledger: &mut Ledger<'_>,
    only: Option<ExperimentId>,
    known: &mut Known,
) -> rusqlite::Result<()> {
    let filter = if only.is_some() { " WHERE id = ?1" } else { "" };
    let sql = format!(
        "SELECT rowid AS rowid, id, name, networks, prompts, seeds, embedding_models, max_length, origin, started_at, \
         completed_at FROM experiment{filter}"
    );
    let mut statement = connection.prepare(&sql)?;
    let mut rows = match only {
        Some(id) => statement.query(params![id.as_bytes()])?,
        None => statement.query([])?,
    };
    while let Some(row) = rows.next()? {
        // Without an id nothing can belong to it, which is a finding of the pass over rows.
        if let Some(mut asked) = asked_of_row(row) {
            let times = (integer(row, "started_at"), integer(row, "completed_at"));
            check_experiment(connection, ledger, &mut asked, times, known);
        }
    }
    Ok(())
}

fn asked_of_row(row: &Row<'_>) -> Option<Asked> {
    let networks = text(row, "networks").and_then(|text| list::networks(text).ok());
    let prompts = text(row, "prompts").and_then(|text| list::texts(text).ok());
    let seeds = text(row, "seeds").and_then(|text| list::seeds(text).ok());
    let models = text(row, "embedding_models").and_then(|text| list::network(text).ok());
    Some(Asked {
        id: cell::bytes(row, "id")?,
        subject: Subject::of_row("experiment", row, "id"),
        is_legacy: text(row, "origin") == Some("legacy"),
        is_known: networks.is_some() && prompts.is_some() && seeds.is_some() && models.is_some(),
        networks: networks.map(counted),
        prompts: prompts.map(counted),
        seeds: seeds.map(counted),
        embedding_models: models.map(BTreeSet::from_iter),
        max_length: integer(row, "max_length"),
        embedders: BTreeMap::new(),
        dimensions: BTreeMap::new(),
        not_asked_for: BTreeMap::new(),
        has_invocations: false,
        is_incomplete: false,
    })
}

/// Notes each model that an experiment asks for and `is_known` does not know; returns how many notes there are.
pub(super) fn note_unknown_models(
    connection: &Connection,
    only: Option<ExperimentId>,
    is_known: &dyn Fn(&str) -> bool,
    found: &mut dyn FnMut(&Finding),
) -> rusqlite::Result<u64> {
    let sql = "SELECT rowid AS rowid, id, networks, embedding_models FROM experiment WHERE ?1 IS NULL OR id = ?1";
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query(params![only.map(|id| *id.as_bytes())])?;
    let mut count = 0;
    while let Some(row) = rows.next()? {
        // Lists that do not read are violations, which the check tells.
        let networks = text(row, "networks").and_then(|text| list::networks(text).ok()).unwrap_or_default();
        let embedders = text(row, "embedding_models").and_then(|text| list::network(text).ok()).unwrap_or_default();
        let models: BTreeSet<String> = networks.into_iter().flatten().chain(embedders).collect();
        let subject = Subject::of_row("experiment", row, "id");
        for model in models.iter().filter(|model| !is_known(model)) {
            let defect =
                format!("this program has no model {}: what is missing of it cannot be computed here", quoted(model));
            let Subject { object, id, place } = subject.clone();
            let experiment = id.clone();
            let kind = FindingKind::ModelUnknown;
            found(&Finding { severity: Severity::Note, kind, object, id, place, experiment, defect });
            count += 1;
        }
    }
    Ok(count)
}

/// Counts equal items: a prompt or seed given twice asks for two runs.
fn counted<T: Ord>(items: Vec<T>) -> BTreeMap<T, u64> {
    let mut counts = BTreeMap::new();
    for item in items {
        *counts.entry(item).or_default() += 1;
    }
    counts
}

fn check_experiment(
    connection: &Connection,
    ledger: &mut Ledger<'_>,
    asked: &mut Asked,
    times: (Option<i64>, Option<i64>),
    known: &mut Known,
) {
    let object = asked.subject.object.clone();
    let mut all_read = true;
    let mut read = |ledger: &mut Ledger<'_>, outcome: rusqlite::Result<()>| {
        all_read &= outcome.is_ok();
        ledger.unreadable(&object, outcome);
    };
    let outcome = find_embedders(connection, ledger, asked);
    read(ledger, outcome);
    let outcome = run::check_runs(connection, ledger, asked, known).map(|asked_for| {
        let missing = find_missing_runs(connection, ledger, asked, asked_for);
        read(ledger, missing);
    });
    read(ledger, outcome);
    let outcome = failure::check_failures(connection, ledger, asked);
    read(ledger, outcome);
    asked.is_known &= all_read;
    report_models_not_asked_for(ledger, asked);
    check_marks(ledger, asked, times);
}

/// Finds what each embedding model takes: the versions of that name say it.
fn find_embedders(connection: &Connection, ledger: &mut Ledger<'_>, asked: &mut Asked) -> rusqlite::Result<()> {
    let sql = "SELECT DISTINCT kind FROM model_version WHERE name = ?1 AND kind IN ('text_embedder', 'image_embedder')";
    let mut statement = connection.prepare(sql)?;
    for model in asked.embedding_models.clone().unwrap_or_default() {
        let mut rows = statement.query([&model])?;
        let mut kinds = BTreeSet::new();
        while let Some(row) = rows.next()? {
            kinds.extend(text(row, "kind").and_then(ModelKind::from_word));
        }
        let mut kinds = kinds.into_iter();
        let why = match (kinds.next(), kinds.next()) {
            (Some(kind), None) => {
                asked.embedders.insert(model, kind.input());
                continue;
            }
            (None, _) => "has no version in the store",
            (Some(_), Some(_)) => "has versions for texts and for images",
        };
        // A fresh experiment has no versions yet: then all is missing, and its runs say so.
        asked.is_known = false;
        let defect = format!("embedding model {} {why}, so that what is missing of it is not known", quoted(&model));
        asked.report(ledger, Severity::Note, FindingKind::EmbedderKindUnknown, &asked.subject, defect);
    }
    Ok(())
}

/// Reports the runs that are asked for and not there, given how many are there.
fn find_missing_runs(
    connection: &Connection,
    ledger: &mut Ledger<'_>,
    asked: &mut Asked,
    there: u64,
) -> rusqlite::Result<()> {
    let (Some(networks), Some(prompts), Some(seeds)) = (&asked.networks, &asked.prompts, &asked.seeds) else {
        return Ok(());
    };
    let total = |counts: &mut dyn Iterator<Item = &u64>| counts.map(|&count| u128::from(count)).sum::<u128>();
    let expected = total(&mut networks.values()) * total(&mut prompts.values()) * total(&mut seeds.values());
    let missing = expected.saturating_sub(u128::from(there));
    if missing == 0 {
        return Ok(());
    }
    let sql = "SELECT 1 FROM run WHERE experiment_id = ?1 AND network = ?2 AND initial_prompt = ?3 AND seed = ?4 \
               AND run_number = ?5";
    let mut statement = connection.prepare(sql)?;
    let mut first = String::new();
    // Among so many runs that are there the first that is not is found after as many steps at most.
    'search: for (network, network_count) in networks {
        let column = canonical_json(network).unwrap_or_default();
        for (prompt, prompt_count) in prompts {
            for (seed, seed_count) in seeds {
                let count = network_count.saturating_mul(*prompt_count).saturating_mul(*seed_count);
                for number in 0..i64::try_from(count).unwrap_or(i64::MAX) {
                    if !statement.exists(params![asked.id, column, prompt, seed, number])? {
                        let network = network.join(" → ");
                        first = format!(
                            "; the first: network {network}, prompt {}, seed {seed}, run_number {number}",
                            quoted(prompt)
                        );
                        break 'search;
                    }
                }
            }
        }
    }
    let defect = format!("{missing} of the {expected} runs that it asks for are not there{first}");
    let subject = asked.subject.clone();
    asked.missing(ledger, FindingKind::RunMissing, &subject, defect);
    Ok(())
}

fn report_models_not_asked_for(ledger: &mut Ledger<'_>, asked: &Asked) {
    for (model, count) in &asked.not_asked_for {
        let defect = format!(
            "{count} embeddings and diagrams are of model {}, which is not among its embedding_models",
            quoted(model)
        );
        asked.report(ledger, Severity::Note, FindingKind::EmbeddingModelNotAskedFor, &asked.subject, defect);
    }
}

/// Checks the experiment's own times against what is there. An imported one is history: then they are notes.
fn check_marks(ledger: &mut Ledger<'_>, asked: &Asked, (started, completed): (Option<i64>, Option<i64>)) {
    let subject = &asked.subject;
    if started.is_none() && asked.has_invocations {
        let defect = "it has invocations, and started_at is NULL".to_owned();
        asked.report(ledger, asked.violation(), FindingKind::NotStartedWithInvocations, subject, defect);
    }
    if let Some(completed) = completed
        && asked.is_incomplete
    {
        let defect = format!("completed_at is {completed}, and something that it asks for is missing");
        asked.report(ledger, asked.violation(), FindingKind::CompletedThoughIncomplete, subject, defect);
    }
    if completed.is_none() && asked.is_known && !asked.is_incomplete {
        let defect = "everything that it asks for is there, and completed_at is NULL".to_owned();
        asked.report(ledger, Severity::Note, FindingKind::NotMarkedCompleted, subject, defect);
    }
}
