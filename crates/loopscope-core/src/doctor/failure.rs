//! Failures: what failed and is still not there, and what is there by now.
//!
//! A failure is resolved when the object that its subject names is in the store; the latest attempt speaks for all
//! attempts at one subject.

use rusqlite::{Connection, Row, Statement, params};

use super::cell::{Subject, blob, quoted, text};
use super::experiment::Asked;
use super::finding::{FindingKind, Ledger, Severity};
use crate::experiment::{Failure, FailureStage};

/// Reports every subject of an experiment that failed and is not there, and counts the others.
pub(super) fn check_failures(connection: &Connection, ledger: &mut Ledger<'_>, asked: &Asked) -> rusqlite::Result<()> {
    // With a bare max() SQLite takes the other columns from the row that has the maximum.
    let sql = "SELECT rowid AS rowid, id, run_id, stage, subject, error, count(*) AS attempts, max(occurred_at) \
               FROM failure WHERE experiment_id = ?1 GROUP BY run_id, stage, subject";
    let mut objects = Objects::prepare(connection)?;
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query(params![asked.id])?;
    let mut resolved = 0_u64;
    while let Some(row) = rows.next()? {
        if objects.is_there(row)? {
            resolved += 1;
            continue;
        }
        let word = |column| text(row, column).unwrap_or_default();
        let attempts: i64 = row.get("attempts")?;
        let (stage, subject, error) = (word("stage"), quoted(word("subject")), quoted(word("error")));
        let defect =
            format!("stage {stage}, subject {subject} is not there after {attempts} attempts; the last: {error}");
        let failure = Subject::of_row("failure", row, "id");
        asked.report(ledger, Severity::Note, FindingKind::FailureUnresolved, &failure, defect);
    }
    if resolved > 0 {
        let defect = format!("what failed at {resolved} subjects is there by now");
        asked.report(ledger, Severity::Note, FindingKind::FailuresResolved, &asked.subject, defect);
    }
    Ok(())
}

/// Looks up the object that a failure is about.
struct Objects<'c> {
    invocation: Statement<'c>,
    embedding: Statement<'c>,
    diagram: Statement<'c>,
    clustering: Statement<'c>,
}

impl<'c> Objects<'c> {
    fn prepare(connection: &'c Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            invocation: connection.prepare("SELECT 1 FROM invocation WHERE run_id = ?1 AND sequence_number = ?2")?,
            embedding: connection.prepare(
                "SELECT 1 FROM invocation i JOIN embedding e ON e.invocation_id = i.id AND e.embedding_model = ?3 \
                 WHERE i.run_id = ?1 AND i.sequence_number = ?2",
            )?,
            diagram: connection
                .prepare("SELECT 1 FROM persistence_diagram WHERE run_id = ?1 AND embedding_model = ?2")?,
            clustering: connection.prepare(
                "SELECT 1 FROM clustering_result WHERE embedding_model = ?1 AND created_at >= \
                 (SELECT occurred_at FROM failure WHERE rowid = ?2)",
            )?,
        })
    }

    /// Returns whether the object is there; a subject that names none is not.
    fn is_there(&mut self, row: &Row<'_>) -> rusqlite::Result<bool> {
        let subject = text(row, "subject").unwrap_or_default();
        let number = Failure::sequence_number_of(subject).and_then(|number| i64::try_from(number.0).ok());
        let run = blob(row, "run_id");
        match (text(row, "stage").and_then(FailureStage::from_word), run, number) {
            (Some(FailureStage::Run), Some(run), Some(number)) => self.invocation.exists(params![run, number]),
            (Some(FailureStage::Embedding), Some(run), Some(number)) => {
                let model = subject.rsplit_once(" #").map_or(subject, |(model, _)| model);
                self.embedding.exists(params![run, number, model])
            }
            (Some(FailureStage::Diagram), Some(run), _) => self.diagram.exists(params![run, subject]),
            (Some(FailureStage::Clustering), _, _) => {
                self.clustering.exists(params![subject, row.get_ref("rowid")?.as_i64().unwrap_or(0)])
            }
            _ => Ok(false),
        }
    }
}
