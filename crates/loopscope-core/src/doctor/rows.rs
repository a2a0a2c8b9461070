//! One pass over every table: each value against its column, each row against itself and what it refers to.

use image_webp::WebPDecoder;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row, Statement, params};
use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::DoctorOptions;
use super::cell::{self, Subject, blob, describe, integer, is_null, quoted, text, value};
use super::finding::{Finding, FindingKind, Ledger, Severity};
use super::list;
use super::table::{Class, Column, Rule, TABLES, Table};
use crate::codec::{ImageCodecError, decode_image};
use crate::experiment::{Hash, ModelKind};

/// Checks every row of every table, or those of one experiment.
pub(super) fn check_rows(connection: &Connection, ledger: &mut Ledger<'_>, options: &DoctorOptions) {
    for table in &TABLES {
        let outcome = check_table(connection, ledger, table, options);
        ledger.unreadable(&format!("table {}", table.name), outcome);
    }
    if options.experiment.is_none() {
        let outcome = check_images_are_used(connection, ledger);
        ledger.unreadable("table image", outcome);
    }
}

fn check_table(
    connection: &Connection,
    ledger: &mut Ledger<'_>,
    table: &Table,
    options: &DoctorOptions,
) -> rusqlite::Result<()> {
    let columns: Vec<String> = table.columns.iter().map(|column| format!("t.{0} AS {0}", column.name)).collect();
    let (joins, looked_up) = table.looked_up;
    let (from, filter) = match options.experiment {
        Some(_) => (table.of_experiment.0.to_owned(), format!(" WHERE {}", table.of_experiment.1)),
        None => (format!("{} t", table.name), String::new()),
    };
    let sql = format!("SELECT t.rowid AS rowid, {}{looked_up} FROM {from}{joins}{filter}", columns.join(", "));
    // For want of it, when a table is not there, findings lack their experiment and nothing else.
    let experiment = table.experiment.and_then(|sql| connection.prepare(sql).ok());
    let mut checker = RowChecker { ledger, experiment, decode_images: options.decode_images };
    checker.ledger.diagnosis.checked.insert(table.name.to_owned(), 0);
    let mut statement = connection.prepare(&sql)?;
    let mut rows = match options.experiment {
        Some(id) => statement.query(params![id.as_bytes()])?,
        None => statement.query([])?,
    };
    while let Some(row) = rows.next()? {
        *checker.ledger.diagnosis.checked.entry(table.name.to_owned()).or_default() += 1;
        checker.check(table, row);
    }
    Ok(())
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
        ledger.add(&Finding {
            severity: Severity::Note,
            kind: FindingKind::ImageUnreferenced,
            object: subject.object,
            id: subject.id,
            experiment: None,
            defect: "no invocation gave it".to_owned(),
        });
    }
    Ok(())
}

struct RowChecker<'c, 'l, 'f> {
    ledger: &'l mut Ledger<'f>,
    /// Looks up the experiment of a row, when a finding needs it.
    experiment: Option<Statement<'c>>,
    decode_images: bool,
}

impl RowChecker<'_, '_, '_> {
    fn check(&mut self, table: &Table, row: &Row<'_>) {
        for column in table.columns {
            if let Err((kind, defect)) = check_value(column, value(row, column.name)) {
                self.violation(table, row, kind, format!("column {}: {defect}", column.name));
            }
        }
        self.check_times(table, row);
        match table.name {
            "experiment" => self.check_experiment(table, row),
            "model_version" => self.check_model_version(table, row),
            "image" => self.check_image(table, row),
            "invocation" => self.check_invocation(table, row),
            "embedding" => self.check_embedding(table, row),
            "failure" => self.check_failure(table, row),
            _ => {}
        }
    }

    fn violation(&mut self, table: &Table, row: &Row<'_>, kind: FindingKind, defect: String) {
        self.report(Severity::Violation, table, row, kind, defect);
    }

    fn report(&mut self, severity: Severity, table: &Table, row: &Row<'_>, kind: FindingKind, defect: String) {
        let subject = Subject::of_row(table.noun, row, table.key());
        let experiment = self.experiment_of(row);
        self.ledger.add(&Finding { severity, kind, object: subject.object, id: subject.id, experiment, defect });
    }

    fn experiment_of(&mut self, row: &Row<'_>) -> Option<String> {
        let rowid = integer(row, "rowid")?;
        // A row that refers to nothing has no experiment, and that is a finding of its own.
        let found = self.experiment.as_mut()?.query_row([rowid], |row| row.get::<_, [u8; 16]>(0)).optional();
        found.ok().flatten().map(cell::hyphenated)
    }

    fn check_times(&mut self, table: &Table, row: &Row<'_>) {
        if let (Some(started), Some(completed)) = (integer(row, "started_at"), integer(row, "completed_at"))
            && completed < started
        {
            let defect = format!("completed_at {completed} is before started_at {started}");
            self.violation(table, row, FindingKind::TimeOrder, defect);
        }
    }

    fn check_experiment(&mut self, table: &Table, row: &Row<'_>) {
        if let Some(name) = text(row, "name")
            && name.trim().is_empty()
        {
            let defect = format!("expected a name, got {}", quoted(name));
            self.violation(table, row, FindingKind::NameEmpty, defect);
        }
    }

    fn check_model_version(&mut self, table: &Table, row: &Row<'_>) {
        if text(row, "determinism") == Some("unknown") {
            let name = text(row, "name").unwrap_or_default();
            let defect = format!("how far model {name} repeats itself is unknown, so that no cycle ends its runs");
            self.report(Severity::Note, table, row, FindingKind::DeterminismUnknown, defect);
        }
    }

    fn check_invocation(&mut self, table: &Table, row: &Row<'_>) {
        let (has_text, has_image) = (!is_null(row, "output_text"), !is_null(row, "output_image"));
        let output_type = text(row, "type").unwrap_or_default();
        match (has_text, has_image) {
            (false, false) => {
                let defect = "expected a text or an image, got neither".to_owned();
                self.violation(table, row, FindingKind::OutputMissing, defect);
            }
            (true, true) => {
                let defect = "expected a text or an image, got both".to_owned();
                self.violation(table, row, FindingKind::OutputBoth, defect);
            }
            _ => {
                let given = if has_text { "text" } else { "image" };
                if output_type != given {
                    let defect = format!("its type is {}, its output {given}", quoted(output_type));
                    self.violation(table, row, FindingKind::OutputType, defect);
                }
            }
        }
        let Some(kind) = self.check_version(table, row, "model") else { return };
        match kind.output() {
            None => {
                let defect = format!("its model version is a {kind}, which makes no output");
                self.violation(table, row, FindingKind::ModelVersionKind, defect);
            }
            Some(expected) if expected.as_str() != output_type => {
                let defect = format!("its model version is {kind}, its type {}", quoted(output_type));
                self.violation(table, row, FindingKind::ModelVersionKind, defect);
            }
            Some(_) => {}
        }
    }

    /// Checks that the model version is there and has the row's model; returns its kind when it has one.
    fn check_version(&mut self, table: &Table, row: &Row<'_>, column: &str) -> Option<ModelKind> {
        if is_null(row, "version_id") {
            if let Some(id) = cell::bytes::<16>(row, "model_version_id") {
                let defect = format!("there is no model version {}", cell::hyphenated(id));
                self.violation(table, row, FindingKind::ModelVersionMissing, defect);
            }
            return None;
        }
        if let (Some(model), Some(name)) = (text(row, column), text(row, "version_name"))
            && model != name
        {
            let defect = format!("its {column} is {}, its model version one of {}", quoted(model), quoted(name));
            self.violation(table, row, FindingKind::ModelVersionName, defect);
        }
        text(row, "version_kind").and_then(ModelKind::from_word)
    }

    fn check_embedding(&mut self, table: &Table, row: &Row<'_>) {
        if let Some(bytes) = blob(row, "vector")
            && let Err((kind, defect)) = check_vector(bytes)
        {
            self.violation(table, row, kind, defect);
        }
        let Some(kind) = self.check_version(table, row, "embedding_model") else { return };
        if kind.output().is_some() {
            let defect = format!("its model version is {kind}, which makes no vectors");
            self.violation(table, row, FindingKind::ModelVersionKind, defect);
        } else if let Some(output_type) = text(row, "output_type")
            && output_type != kind.input().as_str()
        {
            let defect =
                format!("its model version is a {kind}, the output that it embedded is {}", quoted(output_type));
            self.violation(table, row, FindingKind::EmbeddingModality, defect);
        }
    }

    fn check_failure(&mut self, table: &Table, row: &Row<'_>) {
        if let (Some(own), Some(of_run)) = (blob(row, "experiment_id"), blob(row, "run_experiment_id"))
            && own != of_run
        {
            let defect = format!("its run belongs to experiment {}", cell::hex(of_run));
            self.violation(table, row, FindingKind::FailureRun, defect);
        }
    }

    fn check_image(&mut self, table: &Table, row: &Row<'_>) {
        let Some(bytes) = blob(row, "bytes") else { return };
        if bytes.is_empty() {
            let defect = "column bytes: expected at least one byte, got none".to_owned();
            return self.violation(table, row, FindingKind::ImageUnreadable, defect);
        }
        let hash = Hash::of(bytes);
        if let Some(stored) = blob(row, "hash")
            && stored != hash.as_bytes()
        {
            let defect = format!("its hash is {}, that of its bytes {hash}", cell::hex(stored));
            self.violation(table, row, FindingKind::ImageHash, defect);
        }
        let format = text(row, "format").unwrap_or_default();
        // A decoder may have a bug, and the file may be anybody's.
        let decode = || if self.decode_images { pixels_of(format, bytes) } else { header_of(format, bytes) };
        match catch_unwind(AssertUnwindSafe(decode)) {
            Ok(Ok(picture)) => self.compare_picture(table, row, &picture),
            Ok(Err(error @ ImageCodecError::Format { .. })) => {
                self.report(Severity::Note, table, row, FindingKind::ImageFormatUnknown, error.to_string());
            }
            Ok(Err(error)) => {
                self.violation(table, row, FindingKind::ImageUnreadable, crate::causes::with_causes(&error));
            }
            Err(_) => {
                let defect = "the bytes do not decode: the decoder panicked".to_owned();
                self.violation(table, row, FindingKind::ImageUnreadable, defect);
            }
        }
    }

    fn compare_picture(&mut self, table: &Table, row: &Row<'_>, picture: &Seen) {
        let sides = (integer(row, "width"), integer(row, "height"));
        if sides != (Some(i64::from(picture.width)), Some(i64::from(picture.height))) {
            let side = |side: Option<i64>| side.map_or_else(|| "?".to_owned(), |side| side.to_string());
            let (width, height) = (side(sides.0), side(sides.1));
            let defect =
                format!("the row says {width} × {height}, the picture is {} × {}", picture.width, picture.height);
            self.violation(table, row, FindingKind::ImageSize, defect);
        }
        if let (Some(stored), Some(found)) = (blob(row, "pixel_hash"), picture.pixel_hash)
            && stored != found.as_bytes()
        {
            let defect = format!("its pixel_hash is {}, that of its pixels {found}", cell::hex(stored));
            self.violation(table, row, FindingKind::ImagePixelHash, defect);
        }
    }
}

/// What was seen of a picture.
struct Seen {
    width: u32,
    height: u32,
    /// Known when it was decoded in full.
    pixel_hash: Option<Hash>,
}

fn pixels_of(format: &str, bytes: &[u8]) -> Result<Seen, ImageCodecError> {
    let picture = decode_image(format, bytes)?;
    Ok(Seen { width: picture.width(), height: picture.height(), pixel_hash: Some(picture.pixel_hash()) })
}

fn header_of(format: &str, bytes: &[u8]) -> Result<Seen, ImageCodecError> {
    if format != "webp" {
        return Err(ImageCodecError::Format { format: format.to_owned() });
    }
    let decoder = WebPDecoder::new(Cursor::new(bytes)).map_err(ImageCodecError::Decode)?;
    let (width, height) = decoder.dimensions();
    Ok(Seen { width, height, pixel_hash: None })
}

/// Checks the numbers of a vector where they lie.
fn check_vector(bytes: &[u8]) -> Result<(), (FindingKind, String)> {
    let (numbers, rest) = bytes.as_chunks::<4>();
    if numbers.is_empty() || !rest.is_empty() {
        let defect = format!("expected a positive multiple of 4 bytes, got {}", bytes.len());
        return Err((FindingKind::VectorLength, defect));
    }
    let mut numbers = numbers.iter().map(|&number| f32::from_le_bytes(number));
    if let Some((index, number)) = numbers.clone().enumerate().find(|(_, number)| !number.is_finite()) {
        let defect = format!("expected finite numbers, got {number} at index {index}");
        return Err((FindingKind::VectorNotFinite, defect));
    }
    if numbers.all(|number| number == 0.0) {
        let defect = format!("expected a number that is not zero, got {} zeros", bytes.len() / 4);
        return Err((FindingKind::VectorAllZero, defect));
    }
    Ok(())
}

/// Checks a value against its column.
fn check_value(column: &Column, value: ValueRef<'_>) -> Result<(), (FindingKind, String)> {
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
        Rule::Network => list_invalid(list::network(text).map(drop)),
        Rule::Networks => list_invalid(list::networks(text).map(drop)),
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
