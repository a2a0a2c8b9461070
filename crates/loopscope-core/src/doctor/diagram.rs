//! Diagrams against the vectors that they were made of.
//!
//! In dimension 0 a Vietoris–Rips filtration has one class for each point, all born at 0; ripsaw merges equal points
//! and drops bars of length zero. So a diagram of Euclidean distances has exactly as many H0 bars as there are distinct
//! vectors: a difference of float32 that is not zero is at least 1.4e-45, which neither the float64 sum nor the
//! rounding of the distance to float32 loses. No tolerance is needed. For another metric there may be fewer bars
//! (parallel vectors), never more. The engine asks for no threshold, so that exactly one class never dies.
//!
//! An imported diagram came from another program, with distances, thresholds and vectors that are not on record: what
//! its bars say is a note there. That its bytes are a diagram is asked of every one.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::catch_unwind;

use rusqlite::{Connection, params};

use super::cell::{Subject, blob, is_null, quoted, text};
use super::experiment::Asked;
use super::finding::{FindingKind, Ledger, Severity};
use super::run::{Embedded, Walked, check_end, count_model};
use crate::codec::{Diagram, Scalar, check_generators, decode_diagram};
use crate::plan::DIAGRAM_POINTS_MIN;

/// How far a stored entropy may be from the one of the bars.
const ENTROPY_TOLERANCE: f64 = 1e-9;

/// Checks the diagrams of a run; returns the models that have one.
pub(super) fn check_diagrams(
    connection: &Connection,
    ledger: &mut Ledger<'_>,
    asked: &mut Asked,
    run: &Walked,
    embedded: &BTreeMap<String, Embedded>,
    missing: &BTreeMap<String, u64>,
) -> rusqlite::Result<BTreeSet<String>> {
    let sql = "SELECT rowid AS rowid, id, embedding_model, diagram_data, completed_at FROM persistence_diagram \
               WHERE run_id = ?1";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params![run.id])?;
    let mut models = BTreeSet::new();
    while let Some(row) = rows.next()? {
        let subject = Subject::of_row("persistence diagram", row, "id");
        check_end(ledger, asked, is_null(row, "completed_at"), || subject.clone());
        let Some(model) = text(row, "embedding_model") else { continue };
        count_model(asked, model);
        models.insert(model.to_owned());
        let of_model = embedded.get(model);
        let points = of_model.map_or(0, |embedded| embedded.count);
        let checker = Checker { asked, run, subject, model, points };
        checker.check_right_to_be(ledger, missing.get(model).copied().unwrap_or(0));
        if let Some(bytes) = blob(row, "diagram_data")
            && let Some(diagram) = checker.decode(ledger, bytes)
        {
            checker.check_entropy(ledger, &diagram);
            checker.check_generators(ledger, &diagram);
            if checker.check_bars(ledger, &diagram) {
                checker.check_points(ledger, &diagram, of_model.map_or(0, Embedded::distinct));
            }
        }
    }
    Ok(models)
}

struct Checker<'a> {
    asked: &'a Asked,
    run: &'a Walked,
    subject: Subject,
    model: &'a str,
    /// Embeddings of this model that the run has.
    points: u64,
}

impl Checker<'_> {
    fn report(&self, ledger: &mut Ledger<'_>, severity: Severity, kind: FindingKind, defect: String) {
        self.asked.report(ledger, severity, kind, &self.subject, defect);
    }

    /// Checks that there should be a diagram at all: of a run that is complete, embedded in full, of two points or more.
    fn check_right_to_be(&self, ledger: &mut Ledger<'_>, missing: u64) {
        let (model, run) = (quoted(self.model), &self.run.subject.object);
        let severity = self.asked.violation();
        if !self.run.is_complete() {
            let defect = format!("it is the {model} diagram of {run}, which has more to do");
            self.report(ledger, severity, FindingKind::DiagramOfUnfinishedRun, defect);
        }
        if self.points < DIAGRAM_POINTS_MIN {
            let defect =
                format!("it is the {model} diagram of {run}, with {} vectors; expected at least 2", self.points);
            self.report(ledger, severity, FindingKind::DiagramOfFewPoints, defect);
        } else if missing > 0 {
            let defect = format!("it is the {model} diagram of {run}, {missing} vectors of which are not there");
            self.report(ledger, severity, FindingKind::DiagramStale, defect);
        }
    }

    fn decode(&self, ledger: &mut Ledger<'_>, bytes: &[u8]) -> Option<Diagram> {
        let defect = match catch_unwind(|| decode_diagram(bytes)) {
            Ok(Ok(diagram)) => return Some(diagram),
            Ok(Err(error)) => crate::causes::with_causes(&error),
            Err(_) => "the decoder panicked".to_owned(),
        };
        let defect = format!("its {} bytes do not decode: {defect}", bytes.len());
        self.report(ledger, Severity::Violation, FindingKind::DiagramUnreadable, defect);
        None
    }

    /// Checks that the bars are such as a computation gives; returns whether they are.
    fn check_bars(&self, ledger: &mut Ledger<'_>, diagram: &Diagram) -> bool {
        let mut defects = Vec::new();
        for (dimension, bars) in diagram.dgms.iter().enumerate() {
            let bad = |birth: f64, death: f64| !birth.is_finite() || birth < 0.0 || death.is_nan() || death < birth;
            if let Some((index, bar)) = bars.iter().enumerate().find(|(_, bar)| bad(bar.birth, bar.death)) {
                let defect = format!(
                    "bar {index} of dimension {dimension} is ({}, {}), expected 0 <= birth <= death",
                    bar.birth, bar.death
                );
                defects.push(defect);
            }
        }
        match diagram.dgms.first() {
            None => defects.push("it has no bars of dimension 0, expected at least one".to_owned()),
            Some(bars) => {
                if let Some((index, bar)) = bars.iter().enumerate().find(|(_, bar)| bar.birth != 0.0) {
                    let defect = format!("bar {index} of dimension 0 is born at {}, expected 0", bar.birth);
                    defects.push(defect);
                }
            }
        }
        let is_sound = defects.is_empty();
        for defect in defects {
            self.report(ledger, self.asked.violation(), FindingKind::DiagramBars, defect);
        }
        is_sound
    }

    /// Checks that generators name bars of the diagram and steps of the run.
    fn check_generators(&self, ledger: &mut Ledger<'_>, diagram: &Diagram) {
        let points = usize::try_from(self.points).unwrap_or(usize::MAX);
        if let Err(defect) = check_generators(diagram, points) {
            self.report(ledger, Severity::Violation, FindingKind::DiagramGenerators, defect);
        }
    }

    /// Checks the bars of dimension 0 against the vectors.
    fn check_points(&self, ledger: &mut Ledger<'_>, diagram: &Diagram, distinct: u64) {
        let Some(bars) = diagram.dgms.first() else { return };
        let count = bars.len() as u64;
        let infinite = bars.iter().filter(|bar| bar.death == f64::INFINITY).count();
        if infinite != 1 {
            let defect = format!("{infinite} classes of dimension 0 never die, expected 1");
            self.report(ledger, self.asked.violation(), FindingKind::DiagramInfiniteBars, defect);
        }
        let metric = diagram.metadata.get("metric");
        let is_euclidean = metric.is_none_or(|metric| *metric == Scalar::Text("euclidean".to_owned()));
        let is_stale = count > distinct || (is_euclidean && count < distinct);
        if is_stale {
            let defect = format!(
                "it has {count} bars of dimension 0, and {} has {distinct} distinct vectors of model {}",
                self.run.subject.object,
                quoted(self.model)
            );
            self.report(ledger, self.asked.violation(), FindingKind::DiagramStale, defect);
        }
    }

    /// Checks the entropy that is stored beside the bars. It is derived, so that a difference is a note.
    fn check_entropy(&self, ledger: &mut Ledger<'_>, diagram: &Diagram) {
        let note = |ledger: &mut Ledger<'_>, defect| {
            self.report(ledger, Severity::Note, FindingKind::DiagramEntropy, defect);
        };
        let Some(stored) = &diagram.entropy else {
            return note(ledger, "it has no entropy".to_owned());
        };
        if stored.len() != diagram.dgms.len() {
            let defect = format!("it has {} entropies for {} dimensions", stored.len(), diagram.dgms.len());
            return note(ledger, defect);
        }
        for (dimension, (bars, &stored)) in diagram.dgms.iter().zip(stored).enumerate() {
            let bars: Vec<ripsaw::Bar> = bars.iter().map(|bar| (bar.birth, bar.death).into()).collect();
            // Bars that have none are a violation of their own.
            let Ok(expected) = ripsaw::persistent_entropy(&bars) else { continue };
            let is_near = (stored - expected).abs() <= ENTROPY_TOLERANCE;
            if !is_near {
                let defect = format!("its entropy of dimension {dimension} is {stored}, that of its bars {expected}");
                note(ledger, defect);
            }
        }
    }
}
