//! What is asked for and not there yet is incomplete, and no violation.

use loopscope_core::doctor::FindingKind::*;
use loopscope_core::doctor::Severity;

use crate::fixture::{Database, LONG, SHORT, Shape, has_diagram_codec, plants};

/// Without the mark an experiment may lack anything.
const UNMARKED: &str = "UPDATE experiment SET completed_at = NULL;";

#[test]
fn what_is_missing_is_incomplete() {
    let missing = [
        ("DELETE FROM run WHERE id = $RUN1", RunMissing),
        ("DELETE FROM invocation WHERE id = $STEP2", RunUnfinished),
        ("UPDATE experiment SET max_length = 9; UPDATE run SET max_length = 9", RunUnfinished),
        ("DELETE FROM embedding WHERE id = $VECTOR1", EmbeddingsMissing),
    ];
    for (sql, kind) in missing {
        plants(&Database::new(SHORT), &format!("{UNMARKED} {sql}"), Severity::Incomplete, kind);
    }
}

#[test]
fn a_database_that_was_stopped_half_way_has_no_violation() {
    let database = Database::new(SHORT);
    database.spoil(&format!(
        "{UNMARKED} DELETE FROM embedding_cluster; DELETE FROM clustering_result; \
         DELETE FROM embedding WHERE id = $VECTOR1; DELETE FROM invocation WHERE id = $STEP2"
    ));
    let (diagnosis, findings) = database.examine();
    assert_eq!(diagnosis.count(Severity::Violation), 0, "{findings:#?}");
    assert_eq!(diagnosis.count(Severity::Incomplete), 2, "{findings:#?}");
    let embeddings = findings.iter().find(|finding| finding.kind == EmbeddingsMissing).unwrap();
    assert_eq!(embeddings.object, "run 01000000");
    assert_eq!(
        embeddings.defect,
        "1 of its 1 text outputs have no embedding of model \"Reader\", the first at number 1"
    );
    let run = findings.iter().find(|finding| finding.kind == RunUnfinished).unwrap();
    assert_eq!(run.defect, "it has 2 of 3 invocations, and its state has not come back");
}

#[test]
fn a_missing_diagram_is_incomplete() {
    // Without diagrams to begin with, so that this needs no codec.
    let database = Database::new(Shape { has_diagrams: false, ..LONG });
    plants(&database, UNMARKED, Severity::Incomplete, DiagramMissing);
}

#[test]
fn a_run_whose_state_came_back_is_complete() {
    // The picture at number 2 is the one at number 0: for a seed that is used again the run ends there.
    let again = "UPDATE experiment SET max_length = 9; UPDATE run SET max_length = 9; DELETE FROM image WHERE hash IN \
                 (SELECT output_image FROM invocation WHERE sequence_number = 2); UPDATE invocation SET output_image = \
                 (SELECT b.output_image FROM invocation b WHERE b.run_id = invocation.run_id AND b.sequence_number = 0) \
                 WHERE sequence_number = 2";
    let repeats = Database::new(SHORT);
    repeats.spoil(again);
    assert!(repeats.examine().1.is_empty(), "{:#?}", repeats.examine().1);
    plants(
        &Database::new(Shape { seed: -1, ..SHORT }),
        &format!("{UNMARKED} {again}"),
        Severity::Incomplete,
        RunUnfinished,
    );
    let unsure = format!("{UNMARKED} UPDATE model_version SET determinism = 'best_effort' WHERE id = $WRITER; {again}");
    plants(&Database::new(SHORT), &unsure, Severity::Incomplete, RunUnfinished);
}

#[test]
fn missing_diagrams_of_whole_runs_are_found_beside_those_that_are_there() {
    if !has_diagram_codec() {
        return;
    }
    let sql = format!("{UNMARKED} DELETE FROM persistence_diagram WHERE run_id = $RUN1");
    plants(&Database::new(LONG), &sql, Severity::Incomplete, DiagramMissing);
}
