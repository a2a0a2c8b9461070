//! One pass over every table: each value against its column, each row against itself and what it refers to.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row, Statement, params};

use super::DoctorOptions;
use super::cell::{self, Subject, blob, describe, integer, is_null, quoted, text};
use super::finding::{FindingKind, Ledger, Severity};
use super::image::Pictures;
use super::imported;
use super::known::{Entry, Known, Version, Versions};
use super::list;
use super::table::{Class, Column, Rule, TABLES, Table};
use crate::experiment::ModelKind;

/// Checks every row of every table, or those of one experiment; returns what the walk over the runs will ask for.
pub(super) fn check_rows(connection: &Connection, ledger: &mut Ledger<'_>, options: &DoctorOptions) -> Known {
    let mut known = Known::default();
    match Versions::read(connection) {
        Ok(versions) => known.versions = versions,
        // A table that is not there is told below.
        Err(_) => known.walked.broken += 1,
    }
    for table in &TABLES {
        let outcome = check_table(connection, ledger, table, options, &mut known);
        known.walked.broken += u64::from(outcome.is_err());
        ledger.unreadable(&format!("table {}", table.name), outcome);
    }
    known.entries.sort();
    if options.experiment.is_none() {
        let outcome = check_images_are_used(connection, ledger);
        ledger.unreadable("table image", outcome);
    }
    known
}

fn check_table(
    connection: &Connection,
    ledger: &mut Ledger<'_>,
    table: &'static Table,
    options: &DoctorOptions,
    known: &mut Known,
) -> rusqlite::Result<()> {
    let columns: Vec<String> = table.columns.iter().map(|column| format!("t.{0} AS {0}", column.name)).collect();
    let (joins, looked_up) = table.looked_up;
    let (from, filter) = match options.experiment {
        Some(_) => (table.of_experiment.0.to_owned(), format!(" WHERE {}", table.of_experiment.1)),
        // In the order of the file, whatever index would do.
        None => (format!("{} t NOT INDEXED", table.name), String::new()),
    };
    let sql = format!("SELECT t.rowid AS rowid, {}{looked_up} FROM {from}{joins}{filter}", columns.join(", "));
    // For want of it, when a table is not there, findings lack their experiment and nothing else.
    let experiment = table.experiment.and_then(|sql| connection.prepare(sql).ok());
    let place = |name: &str| table.columns.iter().position(|column| column.name == name).map(|place| place + 1);
    let times = place("started_at").zip(place("completed_at"));
    let pictures = (table.name == "image").then(|| Pictures::new(options.decode_images));
    let mut checker = RowChecker { connection, ledger, experiment, table, times, pictures, known };
    checker.ledger.diagnosis.checked.insert(table.name.to_owned(), 0);
    let mut statement = connection.prepare(&sql)?;
    let mut rows = match options.experiment {
        Some(id) => statement.query(params![id.as_bytes()])?,
        None => statement.query([])?,
    };
    let mut count = 0;
    let mut read = || -> rusqlite::Result<()> {
        while let Some(row) = rows.next()? {
            count += 1;
            checker.ledger.gauge.advance();
            checker.check(row);
        }
        Ok(())
    };
    let outcome = read();
    checker.ledger.diagnosis.checked.insert(table.name.to_owned(), count);
    if let Some(pictures) = checker.pictures.take() {
        pictures.finish(checker.ledger);
    }
    outcome
}

/// Reports pictures that no invocation gave.
fn check_images_are_used(connection: &Connection, ledger: &mut Ledger<'_>) -> rusqlite::Result<()> {
    // Without its index this would be a scan of all invocations for each picture; that it is missing is a finding.
    let has_index = connection
        .prepare("SELECT 1 FROM sqlite_schema WHERE type = 'index' AND name = 'invocation_by_image'")?
        .exists([])?;
    if !has_index {
        return Ok(());
    }
    let sql = "SELECT t.rowid AS rowid, t.hash AS hash FROM image t WHERE NOT EXISTS \
               (SELECT 1 FROM invocation i INDEXED BY invocation_by_image WHERE i.output_image = t.hash)";
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let subject = Subject::of_row("image", row, "hash");
        ledger.add_of(
            Severity::Note,
            FindingKind::ImageUnreferenced,
            &subject,
            None,
            "no invocation gave it".to_owned(),
        );
    }
    Ok(())
}

struct RowChecker<'c, 'l, 'f> {
    connection: &'c Connection,
    ledger: &'l mut Ledger<'f>,
    /// Looks up the experiment of a row, when a finding needs it.
    experiment: Option<Statement<'c>>,
    table: &'static Table,
    /// Where the beginning and the end stand in a row.
    times: Option<(usize, usize)>,
    pictures: Option<Pictures>,
    known: &'l mut Known,
}

impl RowChecker<'_, '_, '_> {
    fn check(&mut self, row: &Row<'_>) {
        // By place and not by name: this is done for every value of the database.
        for (column, place) in self.table.columns.iter().zip(1..) {
            let value = row.get_ref(place).unwrap_or(ValueRef::Null);
            if let Err((kind, defect)) = check_value(column, value) {
                let is_history = kind == FindingKind::ListInvalid && lacks_names_only(column, value);
                let severity = if is_history { self.unless_imported(row) } else { Severity::Violation };
                self.report(severity, row, kind, format!("column {}: {defect}", column.name));
            }
        }
        self.check_times(row);
        match self.table.name {
            "experiment" => self.check_experiment(row),
            "model_version" => self.check_model_version(row),
            "image" => {
                if let Some(pictures) = &mut self.pictures {
                    pictures.push(self.ledger, row);
                }
            }
            "invocation" => self.check_invocation(row),
            "embedding" => self.check_embedding(row),
            "failure" => self.check_failure(row),
            _ => {}
        }
    }

    fn violation(&mut self, row: &Row<'_>, kind: FindingKind, defect: String) {
        self.report(Severity::Violation, row, kind, defect);
    }

    fn report(&mut self, severity: Severity, row: &Row<'_>, kind: FindingKind, defect: String) {
        let subject = Subject::of_row(self.table.noun, row, self.table.key());
        let experiment = self.experiment_of(row);
        self.ledger.add_of(severity, kind, &subject, experiment, defect);
    }

    fn experiment_of(&mut self, row: &Row<'_>) -> Option<String> {
        self.experiment_id_of(row).map(cell::hyphenated)
    }

    fn experiment_id_of(&mut self, row: &Row<'_>) -> Option<[u8; 16]> {
        let rowid = integer(row, "rowid")?;
        // A row that refers to nothing has no experiment, and that is a finding of its own.
        let found = self.experiment.as_mut()?.query_row([rowid], |row| row.get::<_, [u8; 16]>(0)).optional();
        found.ok().flatten()
    }

    fn check_times(&mut self, row: &Row<'_>) {
        let Some((started, completed)) = self.times else { return };
        if let (Ok(ValueRef::Integer(started)), Ok(ValueRef::Integer(completed))) =
            (row.get_ref(started), row.get_ref(completed))
            && completed < started
        {
            let defect = format!("completed_at {completed} is before started_at {started}");
            // The earlier tool took times off the local clock, which is put back now and then.
            let severity = self.unless_imported(row);
            self.report(severity, row, FindingKind::TimeOrder, defect);
        }
    }

    /// Returns `Note` for a row that was imported, a violation otherwise.
    fn unless_imported(&mut self, row: &Row<'_>) -> Severity {
        let is_imported = match (self.table.name, cell::bytes::<16>(row, "id")) {
            ("experiment", _) => text(row, "origin") == Some("legacy"),
            ("clustering_result", Some(id)) => imported::is_clustering_imported(self.connection, id),
            _ => self.experiment_id_of(row).is_some_and(|id| imported::is_experiment_imported(self.connection, id)),
        };
        if is_imported { Severity::Note } else { Severity::Violation }
    }

    fn check_experiment(&mut self, row: &Row<'_>) {
        if let Some(name) = text(row, "name")
            && name.trim().is_empty()
        {
            let defect = format!("expected a name, got {}", quoted(name));
            self.violation(row, FindingKind::NameEmpty, defect);
        }
    }

    fn check_model_version(&mut self, row: &Row<'_>) {
        if text(row, "determinism") == Some("unknown") {
            let name = text(row, "name").unwrap_or_default();
            let defect = format!("how far model {name} repeats itself is unknown, so that no cycle ends its runs");
            self.report(Severity::Note, row, FindingKind::DeterminismUnknown, defect);
        }
    }

    fn check_invocation(&mut self, row: &Row<'_>) {
        let (has_text, has_image) = (!is_null(row, "output_text"), !is_null(row, "output_image"));
        let output_type = text(row, "type").unwrap_or_default();
        match (has_text, has_image) {
            (false, false) => {
                let defect = "expected a text or an image, got neither".to_owned();
                self.violation(row, FindingKind::OutputMissing, defect);
            }
            (true, true) => {
                let defect = "expected a text or an image, got both".to_owned();
                self.violation(row, FindingKind::OutputBoth, defect);
            }
            _ => {
                let given = if has_text { "text" } else { "image" };
                if output_type != given {
                    let defect = format!("its type is {}, its output {given}", quoted(output_type));
                    self.violation(row, FindingKind::OutputType, defect);
                }
            }
        }
        let Some(kind) = self.check_version(row, "model") else { return };
        match kind.output() {
            None => {
                let defect = format!("its model version is a {kind}, which makes no output");
                self.violation(row, FindingKind::ModelVersionKind, defect);
            }
            Some(expected) if expected.as_str() != output_type => {
                let defect = format!("its model version is {kind}, its type {}", quoted(output_type));
                self.violation(row, FindingKind::ModelVersionKind, defect);
            }
            Some(_) => {}
        }
    }

    /// Checks that the model version is there and has the row's model; returns its kind when it has one.
    fn check_version(&mut self, row: &Row<'_>, column: &str) -> Option<ModelKind> {
        let id = cell::bytes::<16>(row, "model_version_id");
        let Some(Version { name, kind, .. }) = self.known.versions.of(id) else {
            self.known.walked.broken += 1;
            if let Some(id) = id {
                let defect = format!("there is no model version {}", cell::hyphenated(id));
                self.violation(row, FindingKind::ModelVersionMissing, defect);
            }
            return None;
        };
        let kind = *kind;
        if let (Some(model), Some(name)) = (text(row, column), name)
            && model != name
        {
            let defect = format!("its {column} is {}, its model version one of {}", quoted(model), quoted(name));
            self.violation(row, FindingKind::ModelVersionName, defect);
        }
        kind
    }

    /// Checks a vector, and keeps what the walk over the runs asks of it; there its modality is checked.
    fn check_embedding(&mut self, row: &Row<'_>) {
        if let Some(bytes) = blob(row, "vector")
            && let Err((kind, defect)) = check_vector(bytes)
        {
            self.violation(row, kind, defect);
        }
        if let Some(rowid) = integer(row, "rowid") {
            let entry = Entry::of_row(row, &self.known.versions);
            self.known.entries.push(rowid, entry);
        }
        if let Some(kind) = self.check_version(row, "embedding_model")
            && kind.output().is_some()
        {
            let defect = format!("its model version is {kind}, which makes no vectors");
            self.violation(row, FindingKind::ModelVersionKind, defect);
        }
    }

    fn check_failure(&mut self, row: &Row<'_>) {
        if let (Some(own), Some(of_run)) = (blob(row, "experiment_id"), blob(row, "run_experiment_id"))
            && own != of_run
        {
            let defect = format!("its run belongs to experiment {}", cell::hex(of_run));
            self.violation(row, FindingKind::FailureRun, defect);
        }
    }
}

/// Checks the numbers of a vector where they lie.
fn check_vector(bytes: &[u8]) -> Result<(), (FindingKind, String)> {
    let (numbers, rest) = bytes.as_chunks::<4>();
    if numbers.is_empty() || !rest.is_empty() {
        let defect = format!("expected a positive multiple of 4 bytes, got {}", bytes.len());
        return Err((FindingKind::VectorLength, defect));
    }
    if is_sound(numbers) {
        return Ok(());
    }
    let mut numbers = numbers.iter().map(|&number| f32::from_le_bytes(number));
    match numbers.clone().enumerate().find(|(_, number)| !number.is_finite()) {
        Some((index, number)) => {
            let defect = format!("expected finite numbers, got {number} at index {index}");
            Err((FindingKind::VectorNotFinite, defect))
        }
        None if numbers.all(|number| number == 0.0) => {
            let defect = format!("expected a number that is not zero, got {} zeros", bytes.len() / 4);
            Err((FindingKind::VectorAllZero, defect))
        }
        None => Ok(()),
    }
}

/// Returns whether all numbers are finite and one is not zero: without a branch, so that many are done at a time.
fn is_sound(numbers: &[[u8; 4]]) -> bool {
    let (mut all_finite, mut bits) = (true, 0);
    for &number in numbers {
        let number = u32::from_le_bytes(number) & 0x7fff_ffff;
        all_finite &= number < 0x7f80_0000;
        bits |= number;
    }
    all_finite && bits != 0
}

/// Returns whether a list has all it should but names: some files of the earlier tool have models without one.
fn lacks_names_only(column: &Column, value: ValueRef<'_>) -> bool {
    let Ok(text) = value.as_str() else { return false };
    match column.rule {
        Rule::Network => list::network(text).is_ok(),
        Rule::Networks => list::networks(text).is_ok(),
        _ => false,
    }
}

/// Checks a value against its column.
pub(super) fn check_value(column: &Column, value: ValueRef<'_>) -> Result<(), (FindingKind, String)> {
    if matches!(value, ValueRef::Null) {
        if column.is_required {
            return Err((FindingKind::NullInRequired, format!("expected {}, got NULL", column.class.as_str())));
        }
        return Ok(());
    }
    match (column.class, value) {
        (Class::Blob, ValueRef::Blob(bytes)) => check_length(column.rule, bytes),
        (Class::Text, ValueRef::Text(bytes)) => {
            let text = std::str::from_utf8(bytes).map_err(|error| (FindingKind::TextNotUtf8, error.to_string()))?;
            check_text(column.rule, text)
        }
        (Class::Integer, ValueRef::Integer(number)) => check_integer(column.rule, number),
        (Class::Real, ValueRef::Real(number)) => check_real(column.rule, number),
        (class, value) => {
            let defect = format!("expected {}, got {}", class.as_str(), describe(value));
            Err((FindingKind::WrongStorageClass, defect))
        }
    }
}

fn check_length(rule: Rule, bytes: &[u8]) -> Result<(), (FindingKind, String)> {
    match rule {
        Rule::Length(expected) if bytes.len() != expected => {
            Err((FindingKind::WrongLength, format!("expected {expected} bytes, got {}", bytes.len())))
        }
        _ => Ok(()),
    }
}

fn check_integer(rule: Rule, number: i64) -> Result<(), (FindingKind, String)> {
    match rule {
        Rule::AtLeast(least) if number < least => {
            Err((FindingKind::OutOfRange, format!("expected at least {least}, got {number}")))
        }
        _ => Ok(()),
    }
}

fn check_real(rule: Rule, number: f64) -> Result<(), (FindingKind, String)> {
    match rule {
        Rule::Share if !(0.0..=1.0).contains(&number) => {
            Err((FindingKind::OutOfRange, format!("expected a number in [0, 1], got {number}")))
        }
        _ => Ok(()),
    }
}

fn check_text(rule: Rule, text: &str) -> Result<(), (FindingKind, String)> {
    let list_invalid = |outcome: Result<(), String>| outcome.map_err(|defect| (FindingKind::ListInvalid, defect));
    match rule {
        Rule::OneOf(words) if !words.contains(&text) => {
            let defect = format!("expected one of {}, got {}", words.join(", "), quoted(text));
            Err((FindingKind::UnknownWord, defect))
        }
        Rule::Json | Rule::JsonObject => check_json(rule, text),
        Rule::Texts => list_invalid(list::texts(text).map(drop)),
        Rule::Network => list_invalid(list::network(text).and_then(|models| list::check_names(&models))),
        Rule::Networks => {
            let check = |networks: Vec<Vec<String>>| networks.iter().try_for_each(|models| list::check_names(models));
            list_invalid(list::networks(text).and_then(check))
        }
        Rule::Seeds => list_invalid(list::seeds(text).map(drop)),
        _ => Ok(()),
    }
}

fn check_json(rule: Rule, text: &str) -> Result<(), (FindingKind, String)> {
    match (rule, serde_json::from_str::<serde_json::Value>(text)) {
        (_, Err(error)) => Err((FindingKind::JsonInvalid, format!("expected JSON, got {}: {error}", quoted(text)))),
        (Rule::JsonObject, Ok(json)) if !json.is_object() => {
            Err((FindingKind::JsonInvalid, format!("expected a JSON object, got {}", quoted(text))))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind_of(numbers: &[f32]) -> Option<FindingKind> {
        let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        check_vector(&bytes).err().map(|(kind, _)| kind)
    }

    #[test]
    fn vectors_are_finite_and_not_all_zero() {
        assert_eq!(kind_of(&[0.0, 1.0]), None);
        assert_eq!(kind_of(&[1.0, f32::NAN]), Some(FindingKind::VectorNotFinite));
        assert_eq!(kind_of(&[0.0, -0.0]), Some(FindingKind::VectorAllZero));
        assert_eq!(kind_of(&[]), Some(FindingKind::VectorLength));
        assert!(check_vector(&[0; 5]).is_err());
    }
}
