//! Diagrams that are not those of their vectors. Without a codec for diagrams these do nothing.

use loopscope_core::codec::{Bar, Diagram, decode_diagram, encode_diagram, generator_arrays};
use loopscope_core::doctor::FindingKind::{self, *};
use loopscope_core::doctor::Severity;
use loopscope_core::experiment::Origin;
use rusqlite::Connection;

use crate::fixture::{Database, LONG, Shape, diagram, finds, has_diagram_codec, plants};

#[test]
fn spoilt_trajectories_make_their_diagrams_wrong() {
    if !has_diagram_codec() {
        return;
    }
    let planted = [
        ("UPDATE persistence_diagram SET diagram_data = x'00'", DiagramUnreadable),
        ("UPDATE persistence_diagram SET completed_at = NULL", CompletedAtMissing),
        ("UPDATE experiment SET max_length = 9; UPDATE run SET max_length = 9", DiagramOfUnfinishedRun),
        ("DELETE FROM embedding WHERE rowid <> 1", DiagramOfFewPoints),
        ("DELETE FROM embedding WHERE id = $VECTOR1", DiagramStale),
        // Two of three vectors are equal.
        (
            "UPDATE embedding SET vector = (SELECT vector FROM embedding WHERE id = $VECTOR1) WHERE rowid <= 2",
            DiagramStale,
        ),
    ];
    for (sql, kind) in planted {
        plants(&Database::new(LONG), sql, Severity::Violation, kind);
    }
}

/// Puts a diagram in place of all and looks for the kind.
fn check(shape: Shape, change: impl Fn(&mut Diagram), severity: Severity, kind: FindingKind) {
    let database = Database::new(shape);
    let mut changed = diagram(3);
    change(&mut changed);
    // A codec may refuse to write what is no diagram at all; then none of ours can be in a store.
    let Ok(bytes) = encode_diagram(&changed) else { return };
    let kind = if decode_diagram(&bytes).is_err() { DiagramUnreadable } else { kind };
    let connection = Connection::open(&database.path).unwrap();
    connection.execute("UPDATE persistence_diagram SET diagram_data = ?1", [bytes]).unwrap();
    drop(connection);
    finds(&database, severity, kind, kind.as_str());
}

#[test]
fn diagrams_that_no_computation_gives_are_found() {
    if !has_diagram_codec() {
        return;
    }
    let infinite = Bar { birth: 0.0, death: f64::INFINITY };
    let late = Bar { birth: 0.5, death: 1.0 };
    let backwards = Bar { birth: 2.0, death: 1.0 };
    let violation = |change: &dyn Fn(&mut Diagram), kind| check(LONG, change, Severity::Violation, kind);
    violation(&|diagram| diagram.dgms.clear(), DiagramBars);
    violation(&|diagram| diagram.dgms[0][0] = late, DiagramBars);
    violation(&|diagram| diagram.dgms[1].push(backwards), DiagramBars);
    violation(&|diagram| diagram.dgms[1].push(Bar { birth: 0.0, death: f64::NAN }), DiagramBars);
    violation(&|diagram| diagram.dgms[0][0] = infinite, DiagramInfiniteBars);
    violation(&|diagram| diagram.dgms[0][2].death = 4.0, DiagramInfiniteBars);
    violation(&|diagram| *diagram = crate::fixture::diagram(4), DiagramStale);
    violation(&|diagram| *diagram = crate::fixture::diagram(2), DiagramStale);
    // Three vectors, and generators of other bars or points.
    let square = ripsaw::CondensedDistances::from_condensed(vec![1., 2., 1., 1., 2., 1.], 4).unwrap();
    let options = ripsaw::Options::default();
    let generators = ripsaw::generators_of_distances(&square, &options, &ripsaw::GeneratorOptions::default()).unwrap();
    violation(&|diagram| diagram.gens = generator_arrays(&generators), DiagramGenerators);
    let note = |change: &dyn Fn(&mut Diagram)| check(LONG, change, Severity::Note, DiagramEntropy);
    note(&|diagram| diagram.entropy = None);
    note(&|diagram| diagram.entropy = Some(vec![0.5, 0.0]));
    note(&|diagram| diagram.entropy = Some(vec![f64::NAN, 0.0]));
    note(&|diagram| diagram.entropy = Some(vec![2_f64.ln()]));
    // What another program computed is what its record says: it is carried as it is, and told of.
    let imported = Shape { origin: Origin::Legacy, ..LONG };
    check(imported, |diagram| *diagram = crate::fixture::diagram(2), Severity::Note, DiagramStale);
    check(imported, |diagram| *diagram = crate::fixture::diagram(4), Severity::Note, DiagramStale);
}
