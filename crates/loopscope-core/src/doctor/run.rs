//! One run at a time: what it is asked to be, its steps in order, its embeddings and diagrams.

use std::collections::{BTreeMap, HashMap};

use loopscope_analysis::symbolic::RecurrenceDetector;
use rusqlite::{Connection, Row, params};

use super::cell::{self, Subject, integer, is_null, quoted, text};
use super::diagram;
use super::experiment::Asked;
use super::finding::{FindingKind, Ledger, Severity};
use super::known::{Entry, Known};
use super::list;
use super::table::{TABLES, Table};
use crate::experiment::{Hash, OutputType};
use crate::plan::DIAGRAM_POINTS_MIN;

/// A run as its row has it.
pub(super) struct Walked {
    pub id: [u8; 16],
    pub subject: Subject,
    network: Option<Vec<String>>,
    seed: Option<i64>,
    max_length: Option<i64>,
    /// How many invocations it has.
    steps: u64,
    texts: u64,
    images: u64,
    /// What each invocation gave, by rowid: one run's worth.
    types: HashMap<i64, OutputType>,
    /// The period and the number of invocations at which the state had come back, when that may end the run.
    cycle: Option<(u64, u64)>,
}

impl Walked {
    /// Returns whether the run has all the invocations that it will ever have: the rule of `RunProgress`.
    pub(super) fn is_complete(&self) -> bool {
        let length = self.max_length.and_then(|length| u64::try_from(length).ok());
        self.cycle.is_some() || length.is_some_and(|length| self.steps >= length)
    }

    /// Returns how many outputs are of this type.
    fn outputs(&self, output_type: OutputType) -> u64 {
        match output_type {
            OutputType::Text => self.texts,
            OutputType::Image => self.images,
        }
    }
}

/// Checks every run of an experiment; returns how many of those that it asks for are there.
pub(super) fn check_runs(
    connection: &Connection,
    ledger: &mut Ledger<'_>,
    asked: &mut Asked,
    known: &mut Known,
) -> rusqlite::Result<u64> {
    // The order of the unique index, so that nothing is sorted.
    let sql = "SELECT rowid AS rowid, id, network, initial_prompt, seed, run_number, max_length FROM run \
               WHERE experiment_id = ?1 ORDER BY network, initial_prompt, seed, run_number";
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query(params![asked.id])?;
    let mut asked_for = 0;
    while let Some(row) = rows.next()? {
        known.walked.runs += 1;
        ledger.gauge.advance();
        asked_for += u64::from(check_key(ledger, asked, row));
        let Some(mut run) = run_of_row(row) else { continue };
        check_max_length(ledger, asked, &run);
        let object = run.subject.object.clone();
        let outcome = check_run(connection, ledger, asked, &mut run, known);
        asked.is_known &= outcome.is_ok();
        known.walked.broken += u64::from(outcome.is_err());
        ledger.unreadable(&object, outcome);
    }
    let outcome = report_dimensions(connection, ledger, asked, known);
    ledger.unreadable(&asked.subject.object, outcome);
    Ok(asked_for)
}

fn run_of_row(row: &Row<'_>) -> Option<Walked> {
    Some(Walked {
        id: cell::bytes(row, "id")?,
        subject: Subject::of_row("run", row, "id"),
        network: text(row, "network").and_then(|text| list::network(text).ok()),
        seed: integer(row, "seed"),
        max_length: integer(row, "max_length"),
        steps: 0,
        texts: 0,
        images: 0,
        types: HashMap::new(),
        cycle: None,
    })
}

/// Checks network, prompt, seed and number against what the experiment asks for; returns whether it asks for the run.
fn check_key(ledger: &mut Ledger<'_>, asked: &Asked, row: &Row<'_>) -> bool {
    let (Some(networks), Some(prompts), Some(seeds)) = (&asked.networks, &asked.prompts, &asked.seeds) else {
        return false;
    };
    let (Some(network), Some(prompt), Some(seed), Some(number)) = (
        text(row, "network").and_then(|text| list::network(text).ok()),
        text(row, "initial_prompt"),
        integer(row, "seed"),
        integer(row, "run_number"),
    ) else {
        return false;
    };
    let subject = Subject::of_row("run", row, "id");
    // The earlier tool let an experiment's lists be changed after its runs were made.
    let mut report = |kind, defect| asked.report(ledger, asked.violation(), kind, &subject, defect);
    let counts = (networks.get(&network), prompts.get(prompt), seeds.get(&seed));
    if counts.0.is_none() {
        let defect = format!("its network {} is none of the experiment's", network.join(" → "));
        report(FindingKind::RunNetwork, defect);
    }
    if counts.1.is_none() {
        let defect = format!("its prompt {} is none of the experiment's", quoted(prompt));
        report(FindingKind::RunPrompt, defect);
    }
    if counts.2.is_none() {
        report(FindingKind::RunSeed, format!("its seed {seed} is none of the experiment's"));
    }
    let (Some(networks), Some(prompts), Some(seeds)) = counts else { return false };
    let count = networks.saturating_mul(*prompts).saturating_mul(*seeds);
    if u64::try_from(number).is_ok_and(|number| number < count) {
        return true;
    }
    let defect = format!("its run_number is {number}, and the experiment asks for {count} equal runs, numbered from 0");
    report(FindingKind::RunNumber, defect);
    false
}

/// Extending an experiment lengthens all its runs, so that they agree; an imported run keeps the length it had.
fn check_max_length(ledger: &mut Ledger<'_>, asked: &Asked, run: &Walked) {
    if let (Some(own), Some(expected)) = (run.max_length, asked.max_length)
        && own != expected
    {
        let defect = format!("its max_length is {own}, its experiment's {expected}");
        asked.report(ledger, asked.violation(), FindingKind::RunMaxLength, &run.subject, defect);
    }
}

fn check_run(
    connection: &Connection,
    ledger: &mut Ledger<'_>,
    asked: &mut Asked,
    run: &mut Walked,
    known: &mut Known,
) -> rusqlite::Result<()> {
    walk_steps(connection, ledger, asked, run, known)?;
    asked.has_invocations |= run.steps > 0;
    if !run.is_complete() {
        let length = run.max_length.map_or_else(|| "?".to_owned(), |length| length.to_string());
        let defect = format!("it has {} of {length} invocations, and its state has not come back", run.steps);
        let subject = run.subject.clone();
        asked.missing(ledger, FindingKind::RunUnfinished, &subject, defect);
    } else if let Some((period, length)) = run.cycle
        && length < run.steps
    {
        let defect = format!(
            "its state came back at number {} with period {period}, and {} invocations follow",
            length - 1,
            run.steps - length
        );
        asked.report(ledger, Severity::Note, FindingKind::StepsAfterCycle, &run.subject, defect);
    }
    let embedded = walk_embeddings(connection, ledger, asked, run, known)?;
    let missing = find_missing_embeddings(connection, ledger, asked, run, &embedded)?;
    let diagrams = diagram::check_diagrams(connection, ledger, asked, run, &embedded, &missing)?;
    for (model, &output_type) in &asked.embedders.clone() {
        let points = run.outputs(output_type);
        if run.is_complete() && points >= DIAGRAM_POINTS_MIN && !diagrams.contains(model) {
            let defect = format!("it has no diagram of model {}, with {points} outputs to embed", quoted(model));
            let subject = run.subject.clone();
            asked.missing(ledger, FindingKind::DiagramMissing, &subject, defect);
        }
    }
    Ok(())
}

const STEPS: &str = "SELECT i.rowid AS rowid, i.id AS id, i.sequence_number AS sequence_number, \
     i.input_invocation_id AS input_invocation_id, i.model AS model, i.type AS type, i.seed AS seed, \
     i.completed_at AS completed_at, i.output_text AS output_text, i.output_image AS output_image, \
     i.model_version_id AS model_version_id, m.hash AS hash, m.pixel_hash AS pixel_hash \
     FROM invocation i LEFT JOIN image m ON m.hash = i.output_image WHERE i.run_id = ?1 ORDER BY i.sequence_number";

/// Goes through the steps in order and fills in what they add up to.
fn walk_steps(
    connection: &Connection,
    ledger: &mut Ledger<'_>,
    asked: &Asked,
    run: &mut Walked,
    known: &mut Known,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(STEPS)?;
    let mut rows = statement.query(params![run.id])?;
    let mut before: Option<(i64, [u8; 16])> = None;
    let network_length = run.network.as_ref().map_or(0, Vec::len);
    let may_repeat = run.seed.is_some_and(|seed| seed >= 0);
    let mut detector = if may_repeat { RecurrenceDetector::new(network_length).ok() } else { None };
    let mut cycle = None;
    while let Some(row) = rows.next()? {
        let step = Step { row, asked, run };
        known.walked.invocations += 1;
        // A reference to a picture that is not there; foreign keys are then looked at one by one.
        known.walked.broken += u64::from(is_null(row, "hash") && !is_null(row, "output_image"));
        let Some(number) = integer(row, "sequence_number") else {
            known.walked.broken += 1;
            continue;
        };
        known.walked.broken += u64::from(!step.check_place(ledger, number, before));
        step.check_model(ledger, number);
        step.check_seed(ledger);
        step.check_end(ledger);
        // As for the engine: one step that does not repeat itself, or no state, and nothing ends the run early.
        let version = known.versions.of(cell::bytes(row, "model_version_id"));
        let repeats = version.is_some_and(|version| version.repeats);
        match (repeats, step.state(), &mut detector) {
            (true, Some(state), Some(watching)) => {
                if let Some(recurrence) = watching.push(state) {
                    cycle = Some((recurrence.period() as u64, run.steps + 1));
                }
            }
            _ => (detector, cycle) = (None, None),
        }
        run.steps += 1;
        let output_type = match text(row, "type") {
            Some("text") => Some(OutputType::Text),
            Some("image") => Some(OutputType::Image),
            _ => None,
        };
        run.texts += u64::from(output_type == Some(OutputType::Text));
        run.images += u64::from(output_type == Some(OutputType::Image));
        if let (Some(rowid), Some(output_type)) = (integer(row, "rowid"), output_type) {
            run.types.insert(rowid, output_type);
        }
        // Without an id the link of the next step cannot be checked; the id itself is a finding.
        before = cell::bytes(row, "id").map(|id| (number, id));
    }
    run.cycle = cycle;
    Ok(())
}

/// One step with what it is held against.
struct Step<'a> {
    row: &'a Row<'a>,
    asked: &'a Asked,
    run: &'a Walked,
}

impl Step<'_> {
    fn violation(&self, ledger: &mut Ledger<'_>, kind: FindingKind, defect: String) {
        self.asked.report(ledger, Severity::Violation, kind, &self.subject(), defect);
    }

    /// Made when there is something to say: a name for each of a million steps would take longer than looking at them.
    fn subject(&self) -> Subject {
        Subject::of_row("invocation", self.row, "id")
    }

    /// Checks the number and the link to the step before; returns whether both are right.
    fn check_place(&self, ledger: &mut Ledger<'_>, number: i64, before: Option<(i64, [u8; 16])>) -> bool {
        let expected = match before {
            Some((before, _)) => before.saturating_add(1),
            None => i64::try_from(self.run.steps).unwrap_or(i64::MAX),
        };
        let run = &self.run.subject.object;
        if number > expected {
            let defect = format!("it has number {number} in {run}, and number {expected} is not there");
            self.violation(ledger, FindingKind::SequenceGap, defect);
        } else if number < expected {
            let defect = format!("it has number {number} in {run}, as another one has");
            self.violation(ledger, FindingKind::SequenceDuplicate, defect);
        }
        if let Some(length) = self.run.max_length
            && number >= length
        {
            let defect = format!("it has number {number}, and its run has max_length {length}");
            self.violation(ledger, FindingKind::BeyondMaxLength, defect);
        }
        self.check_input(ledger, number, before) && number == expected
    }

    /// Checks that the input is the step before, and none for the first.
    fn check_input(&self, ledger: &mut Ledger<'_>, number: i64, before: Option<(i64, [u8; 16])>) -> bool {
        let expected = match before {
            _ if number == 0 => None,
            Some((before, id)) if before.saturating_add(1) == number => Some(id),
            // After a gap any input is wrong, but only none at all can be told from a right one.
            _ if is_null(self.row, "input_invocation_id") => {
                let defect = "expected an input, got NULL".to_owned();
                self.violation(ledger, FindingKind::InputLink, defect);
                return false;
            }
            _ => return false,
        };
        let is_right = match expected {
            None => is_null(self.row, "input_invocation_id"),
            Some(id) => cell::bytes(self.row, "input_invocation_id") == Some(id),
        };
        if !is_right {
            let input = cell::value(self.row, "input_invocation_id");
            let own = cell::bytes(self.row, "input_invocation_id");
            let got = own.map_or_else(|| cell::describe(input), cell::hyphenated);
            let expected = expected.map_or_else(|| "NULL".to_owned(), cell::hyphenated);
            let defect = format!("at number {number} the input should be {expected}, got {got}");
            self.violation(ledger, FindingKind::InputLink, defect);
        }
        is_right
    }

    /// Checks the model against the network's at this position.
    fn check_model(&self, ledger: &mut Ledger<'_>, number: i64) {
        let (Some(network), Some(model)) = (&self.run.network, text(self.row, "model")) else { return };
        let Ok(number) = usize::try_from(number) else { return };
        let expected = &network[number % network.len()];
        if model != expected {
            let defect =
                format!("its model is {}, and its network has {} at number {number}", quoted(model), quoted(expected));
            // An import carries what the row says; which of the two is wrong nobody knows any more.
            self.asked.report(ledger, self.asked.violation(), FindingKind::ModelNotInNetwork, &self.subject(), defect);
        }
    }

    /// Checks the seed used: recorded, and the run's where that is fixed. Imported rows may not know it.
    fn check_seed(&self, ledger: &mut Ledger<'_>) {
        let Some(seed) = integer(self.row, "seed") else { return };
        if seed == -1 {
            if !self.asked.is_legacy {
                let defect = "expected the seed that was used, got -1".to_owned();
                self.violation(ledger, FindingKind::SeedNotRecorded, defect);
            }
        } else if let Some(expected) = self.run.seed
            && expected >= 0
            && seed != expected
        {
            let defect = format!("its seed is {seed}, its run's {expected}");
            self.asked.report(ledger, self.asked.violation(), FindingKind::SeedDiffers, &self.subject(), defect);
        }
    }

    fn check_end(&self, ledger: &mut Ledger<'_>) {
        check_end(ledger, self.asked, is_null(self.row, "completed_at"), || self.subject());
    }

    fn state(&self) -> Option<Hash> {
        match text(self.row, "output_text") {
            Some(text) => Some(Hash::of(text.as_bytes())),
            None => cell::bytes(self.row, "pixel_hash").map(Hash::from_bytes),
        }
    }
}

/// Checks that something native has its end: this program always writes it.
pub(super) fn check_end(ledger: &mut Ledger<'_>, asked: &Asked, has_no_end: bool, subject: impl FnOnce() -> Subject) {
    if !asked.is_legacy && has_no_end {
        let defect = "completed_at is NULL, and only imported rows may lack it".to_owned();
        asked.report(ledger, Severity::Violation, FindingKind::CompletedAtMissing, &subject(), defect);
    }
}

/// The embeddings of a run in the space of one model.
#[derive(Debug, Default)]
pub(super) struct Embedded {
    /// How many there are.
    pub count: u64,
    /// How many outputs of the model's own kind they embed.
    outputs: u64,
    last: Option<i64>,
    hashes: Vec<u64>,
}

impl Embedded {
    /// Returns how many of the vectors are distinct.
    pub(super) fn distinct(&self) -> u64 {
        let mut hashes = self.hashes.clone();
        hashes.sort_unstable();
        hashes.dedup();
        hashes.len() as u64
    }
}

/// The columns of the walk over embeddings are all in indexes, so that no vector is read again.
const EMBEDDINGS: &str = "SELECT e.rowid, e.embedding_model, i.sequence_number, i.rowid \
     FROM invocation i CROSS JOIN embedding e ON e.invocation_id = i.id WHERE i.run_id = ?1 ORDER BY i.sequence_number";

/// Goes through the embeddings of a run; returns what there is of each model.
fn walk_embeddings(
    connection: &Connection,
    ledger: &mut Ledger<'_>,
    asked: &mut Asked,
    run: &Walked,
    known: &mut Known,
) -> rusqlite::Result<BTreeMap<String, Embedded>> {
    let mut statement = connection.prepare_cached(EMBEDDINGS)?;
    let mut rows = statement.query(params![run.id])?;
    let mut embedded: BTreeMap<String, Embedded> = BTreeMap::new();
    let table = embedding_table();
    while let Some(row) = rows.next()? {
        known.walked.embeddings += 1;
        let (Ok(rowid), Some(number)) = (row.get::<_, i64>(0), row.get_ref(2)?.as_i64_or_null().ok().flatten()) else {
            continue;
        };
        let Some(entry) = known.entries.get(connection, &known.versions, rowid)? else { continue };
        check_end(ledger, asked, entry.has_no_end(), || Subject::at(connection, table, rowid));
        let output_type = run.types.get(&row.get::<_, i64>(3)?).copied();
        check_modality(connection, ledger, asked, known, (rowid, entry), output_type);
        let Some(model) = row.get_ref(1)?.as_str().ok() else { continue };
        count_model(asked, model);
        if !embedded.contains_key(model) {
            embedded.insert(model.to_owned(), Embedded::default());
        }
        if entry.dimension > 0 {
            asked.take_dimension(model, entry.dimension);
        }
        let fits = asked.embedders.get(model).is_none_or(|&wanted| Some(wanted) == output_type);
        let Some(of_model) = embedded.get_mut(model) else { continue };
        of_model.count += 1;
        of_model.hashes.push(entry.hash);
        // Twice the same output is one output; both come one after the other.
        if fits && of_model.last != Some(number) {
            of_model.outputs += 1;
        }
        of_model.last = Some(number);
    }
    Ok(embedded)
}

fn embedding_table() -> &'static Table {
    TABLES.iter().find(|table| table.name == "embedding").unwrap_or(&TABLES[0])
}

/// Checks that a text embedder embedded a text, and an image embedder a picture.
fn check_modality(
    connection: &Connection,
    ledger: &mut Ledger<'_>,
    asked: &Asked,
    known: &Known,
    (rowid, entry): (i64, Entry),
    output_type: Option<OutputType>,
) {
    let kind = known.versions.at(entry.version()).and_then(|version| version.kind);
    let (Some(kind), Some(output_type)) = (kind, output_type) else { return };
    if kind.output().is_none() && kind.input() != output_type {
        let defect = format!("its model version is a {kind}, the output that it embedded is \"{output_type}\"");
        let subject = Subject::at(connection, embedding_table(), rowid);
        asked.report(ledger, Severity::Violation, FindingKind::EmbeddingModality, &subject, defect);
    }
}

/// Reports the vectors that are not of the dimension that most of their model have; the larger one of two that are
/// as frequent. Only an experiment with several is walked once more.
fn report_dimensions(
    connection: &Connection,
    ledger: &mut Ledger<'_>,
    asked: &Asked,
    known: &Known,
) -> rusqlite::Result<()> {
    if asked.dimensions.values().all(|counts| counts.len() < 2) {
        return Ok(());
    }
    let sql = "SELECT e.rowid, e.embedding_model FROM run r CROSS JOIN invocation i ON i.run_id = r.id \
               CROSS JOIN embedding e ON e.invocation_id = i.id WHERE r.experiment_id = ?1";
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query(params![asked.id])?;
    while let Some(row) = rows.next()? {
        let (Ok(rowid), Ok(model)) = (row.get::<_, i64>(0), row.get_ref(1)?.as_str()) else { continue };
        let Some((expected, count)) = asked.dimension_of(model) else { continue };
        let Some(entry) = known.entries.get(connection, &known.versions, rowid)? else { continue };
        if entry.dimension > 0 && entry.dimension != expected {
            let defect = format!(
                "it has {} numbers, and {count} vectors of model {} have {expected}",
                entry.dimension,
                quoted(model)
            );
            let subject = Subject::at(connection, embedding_table(), rowid);
            asked.report(ledger, asked.violation(), FindingKind::VectorDimension, &subject, defect);
        }
    }
    Ok(())
}

/// Takes note of a row of a model that the experiment does not ask for.
pub(super) fn count_model(asked: &mut Asked, model: &str) {
    if asked.embedding_models.as_ref().is_some_and(|models| !models.contains(model)) {
        *asked.not_asked_for.entry(model.to_owned()).or_default() += 1;
    }
}

/// Reports outputs that are not embedded, once for each model; returns how many there are of each.
fn find_missing_embeddings(
    connection: &Connection,
    ledger: &mut Ledger<'_>,
    asked: &mut Asked,
    run: &Walked,
    embedded: &BTreeMap<String, Embedded>,
) -> rusqlite::Result<BTreeMap<String, u64>> {
    let sql = "SELECT count(*), min(i.sequence_number) FROM invocation i WHERE i.run_id = ?1 AND i.type = ?2 AND NOT EXISTS \
               (SELECT 1 FROM embedding e WHERE e.invocation_id = i.id AND e.embedding_model = ?3)";
    let mut statement = connection.prepare_cached(sql)?;
    let mut missing = BTreeMap::new();
    for (model, &output_type) in &asked.embedders.clone() {
        if embedded.get(model).map_or(0, |embedded| embedded.outputs) >= run.outputs(output_type) {
            continue;
        }
        let (count, first): (u64, Option<i64>) = statement
            .query_row(params![run.id, output_type.as_str(), model], |row| {
                Ok((row.get(0)?, row.get_ref(1)?.as_i64_or_null().unwrap_or_default()))
            })?;
        if count > 0 {
            let first = first.map_or_else(|| "unknown".to_owned(), |first| first.to_string());
            let outputs = run.outputs(output_type);
            let defect = format!(
                "{count} of its {outputs} {output_type} outputs have no embedding of model {}, the first at number {first}",
                quoted(model)
            );
            let subject = run.subject.clone();
            asked.missing(ledger, FindingKind::EmbeddingsMissing, &subject, defect);
            missing.insert(model.clone(), count);
        }
    }
    Ok(missing)
}
