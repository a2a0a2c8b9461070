//! `experiment resume` of what was imported: as far as the models that are here can take it, and no further.
//!
//! A record of this program's own is written out as the earlier tool would have, with gaps, and imported. The dummies
//! give the same again, so that what a resume makes of it must be the record that the gaps were made in.

use std::path::Path;

use rusqlite::Connection;
use serde_json::Value;

use crate::import::{copied, count};
use crate::support::{Ended, Place, content};

const CONFIG: &str = r#"{"networks": [["DummyT2I", "DummyI2T"]], "prompts": ["a small red circle on a blue background", "three green squares"],
    "seeds": [1, 2],
    "embedding_models": ["DummyText", "DummyVision"], "max_length": 9}"#;

/// What the gaps are made in: four runs of nine steps, each with its vectors and two diagrams.
fn native() -> Place {
    let place = Place::new();
    place.write("config.json", CONFIG);
    place.ok(&["experiment", "run", "config.json", "--quiet"]);
    place
}

/// Writes a record as the earlier tool would have, with other names for some models.
fn as_legacy(native: &Place, target: &Path, renamed: &[(&str, &str)], gaps: &str) {
    let sql = Connection::open(native.path("loopscope.sqlite")).unwrap();
    sql.execute("ATTACH ?1 AS legacy", [target.display().to_string()]).unwrap();
    let time = |column: &str| {
        format!("strftime('%Y-%m-%d %H:%M:%S', {column} / 1000000, 'unixepoch') || printf('.%06d', {column} % 1000000)")
    };
    let times = |table: &str| {
        let of = |column: &str| time(&format!("{table}.{column}"));
        format!("{} AS started_at, {} AS completed_at", of("started_at"), of("completed_at"))
    };
    sql.execute_batch(&format!(
        "CREATE TABLE legacy.experimentconfig AS SELECT lower(hex(id)) AS id, networks, seeds, prompts, embedding_models, \
           max_length, {experiment} FROM experiment; \
         CREATE TABLE legacy.run AS SELECT lower(hex(id)) AS id, network, seed, max_length, initial_prompt, \
           lower(hex(experiment_id)) AS experiment_id FROM run; \
         CREATE TABLE legacy.invocation AS SELECT lower(hex(i.id)) AS id, {invocation}, i.model, upper(i.type) AS type, i.seed, \
           lower(hex(i.run_id)) AS run_id, i.sequence_number, lower(hex(i.input_invocation_id)) AS input_invocation_id, \
           i.output_text, m.bytes AS output_image_data FROM invocation i LEFT JOIN image m ON m.hash = i.output_image; \
         CREATE TABLE legacy.embedding AS SELECT lower(hex(e.id)) AS id, {embedding}, lower(hex(e.invocation_id)) AS invocation_id, \
           e.embedding_model, e.vector FROM embedding e; \
         CREATE TABLE legacy.persistencediagram AS SELECT lower(hex(p.id)) AS id, {diagram}, p.diagram_data, \
           lower(hex(p.run_id)) AS run_id, p.embedding_model FROM persistence_diagram p; \
         CREATE TABLE legacy.clusteringresult (id, created_at, started_at, completed_at, embedding_model, algorithm, parameters); \
         CREATE TABLE legacy.embeddingcluster (id, embedding_id, clustering_result_id, medoid_embedding_id);",
        experiment = times("experiment"),
        invocation = times("i"),
        embedding = times("e"),
        diagram = times("p"),
    ))
    .unwrap();
    for (from, to) in renamed {
        let (from, to) = (format!("\"{from}\""), format!("\"{to}\""));
        let rename = |column: &str| format!("{column} = replace({column}, '{from}', '{to}')");
        let [networks, models, network] = ["networks", "embedding_models", "network"].map(rename);
        let word = |column: &str| {
            let (from, to) = (from.trim_matches('"'), to.trim_matches('"'));
            format!("SET {column} = '{to}' WHERE {column} = '{from}'")
        };
        sql.execute_batch(&format!(
            "UPDATE legacy.experimentconfig SET {networks}, {models}; UPDATE legacy.run SET {network}; \
             UPDATE legacy.invocation {}; UPDATE legacy.embedding {}; UPDATE legacy.persistencediagram {};",
            word("model"),
            word("embedding_model"),
            word("embedding_model"),
        ))
        .unwrap();
    }
    sql.execute_batch(gaps).unwrap();
}

/// Takes the steps from `length` on out of a run, with their vectors, as if they had never been.
fn cut(run: u32, length: u32) -> String {
    let of_run =
        format!("run_id = (SELECT lower(hex(id)) FROM run WHERE rowid = {run}) AND sequence_number >= {length}");
    format!(
        "DELETE FROM legacy.embedding WHERE invocation_id IN (SELECT id FROM legacy.invocation WHERE {of_run}); \
         DELETE FROM legacy.invocation WHERE {of_run};"
    )
}

/// Takes a model's vectors of a run out, from a number on.
fn forget(run: u32, model: &str, from: u32) -> String {
    format!(
        "DELETE FROM legacy.embedding WHERE embedding_model = '{model}' AND invocation_id IN (SELECT id FROM legacy.invocation \
           WHERE sequence_number >= {from} AND run_id = (SELECT lower(hex(id)) FROM run WHERE rowid = {run}));"
    )
}

/// Takes the diagrams of a run out.
fn without_diagrams(run: u32) -> String {
    format!(
        "DELETE FROM legacy.persistencediagram WHERE run_id = (SELECT lower(hex(id)) FROM run WHERE rowid = {run});"
    )
}

/// Imports a file into a folder of its own.
fn imported(native: &Place, renamed: &[(&str, &str)], gaps: &str) -> Place {
    let place = Place::new();
    let source = place.path("old.sqlite");
    as_legacy(native, &source, renamed, gaps);
    place.ok(&["import", "legacy", &source.display().to_string()]);
    place
}

/// Resumes an experiment; its progress must be possible at every moment, and at what was expected at the end.
fn resume(place: &Place, experiment: &str) -> (Ended, Vec<Value>) {
    let ended = place.run(&["experiment", "resume", experiment, "--json"]);
    let events: Vec<Value> = ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let stages = |event: &Value| {
        ["invocations", "embeddings", "diagrams"].map(|stage| {
            let of = |part: &str| event["progress"][stage][part].as_u64().unwrap();
            (of("done"), of("expected"))
        })
    };
    for event in events.iter().filter(|event| event["progress"].is_object()) {
        assert!(stages(event).iter().all(|(done, expected)| done <= expected), "{event}");
    }
    let last = events.iter().rfind(|event| event["event"] == "finished").unwrap_or_else(|| panic!("{}", ended.stderr));
    assert!(stages(last).iter().all(|(done, expected)| done == expected), "{last}");
    let rows = |table: &str| {
        let id = experiment.replace('-', "");
        let of_run = format!(
            "SELECT id FROM run WHERE 'latest' = '{experiment}' OR experiment_id = (SELECT id FROM experiment WHERE lower(hex(id)) = '{id}')"
        );
        let steps = format!("SELECT id FROM invocation WHERE run_id IN ({of_run})");
        let rows = match table {
            "embedding" => format!("embedding WHERE invocation_id IN ({steps})"),
            table => format!("{table} WHERE run_id IN ({of_run})"),
        };
        count(place, &format!("SELECT count(*) FROM {rows}")) as u64
    };
    assert_eq!(
        stages(last).map(|(done, _)| done),
        ["invocation", "embedding", "persistence_diagram"].map(rows),
        "{last}"
    );
    (ended, events)
}

fn names(events: &[Value]) -> Vec<&str> {
    let unavailable = events.iter().filter(|event| event["event"] == "model_unavailable");
    unavailable.map(|event| event["model"].as_str().unwrap()).collect()
}

/// No violation, and a second resume finds nothing more to do.
fn is_settled(place: &Place, experiment: &str, code: i32) {
    let rows = || {
        ["run", "invocation", "embedding", "persistence_diagram", "failure"]
            .map(|table| count(place, &format!("SELECT count(*) FROM {table}")))
    };
    place.ok(&["doctor", "--decode-images"]);
    let before = rows();
    assert_eq!(resume(place, experiment).0.code, code);
    assert_eq!(rows(), before, "everything that could be computed was computed at once");
}

#[test]
fn what_the_dummies_left_unfinished_is_completed_as_if_nothing_had_been_missing() {
    let native = native();
    let whole = content(&native.path("loopscope.sqlite"));
    assert_eq!(whole.values().map(|run| run.outputs.len()).sum::<usize>(), 36, "no run ends in a cycle");
    // A run cut in the middle keeps diagrams that say less; the second is not there; the third lacks vectors that its
    // diagram was made without; the fourth lacks its diagrams.
    let gaps = format!(
        "{} {} {} {} DELETE FROM legacy.run WHERE rowid = 2;",
        cut(1, 4),
        cut(2, 0),
        forget(3, "DummyText", 4),
        without_diagrams(4),
    );
    let place = imported(&native, &[], &gaps);
    let (ended, events) = resume(&place, "latest");
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_eq!(names(&events), Vec::<&str>::new());
    let outgrown = events.iter().filter(|event| event["event"] == "diagram_outgrown").count();
    assert_eq!(outgrown, 3, "two of the run that goes on, one of the run whose vectors were missing");
    assert_eq!(content(&place.path("loopscope.sqlite")), whole);
    place.ok(&["doctor", "--strict", "--decode-images"]);
    is_settled(&place, "latest", 0);
    // The source has diagrams that the runs have outgrown.
    let again = place.run(&["import", "legacy", &place.path("old.sqlite").display().to_string()]);
    assert_eq!(again.code, 0, "{}", again.stderr);
    assert!(again.stderr.contains("everything was imported before; nothing was added"), "{}", again.stderr);
    assert_eq!(content(&place.path("loopscope.sqlite")), whole);
}

#[test]
fn an_embedder_that_is_not_here_leaves_out_what_only_it_could_give() {
    let native = native();
    let gaps = format!("{} {} {} {}", cut(1, 4), forget(2, "Nomic", 0), without_diagrams(3), without_diagrams(4));
    let place = imported(&native, &[("DummyText", "Nomic")], &gaps);
    let (ended, events) = resume(&place, "latest");
    assert_eq!(ended.code, 3, "{}", ended.stderr);
    assert_eq!(names(&events), ["Nomic"]);
    assert_eq!(count(&place, "SELECT count(*) FROM invocation"), 36, "the networks are here");
    let of = |table: &str, model: &str| {
        count(&place, &format!("SELECT count(*) FROM {table} WHERE embedding_model = '{model}'"))
    };
    assert_eq!(of("embedding", "DummyVision"), 20);
    assert_eq!(of("persistence_diagram", "DummyVision"), 4);
    // Four texts a run; two are left of the first, none of the second. The first run's diagram says what its vectors say;
    // the second's was not carried; those of the others need no model.
    assert_eq!((of("embedding", "Nomic"), of("persistence_diagram", "Nomic")), (2 + 8, 3));
    let incomplete = place.run(&["doctor", "--strict"]);
    assert_eq!(incomplete.code, 1);
    assert!(
        incomplete.stdout.contains(
            "computes what the models that are here can give; what only these could give stays missing: Nomic (its mixture of \
             experts is not among the architectures that this program reads"
        ),
        "{}",
        incomplete.stdout
    );
    is_settled(&place, "latest", 3);
    let fixed = place.run(&["doctor", "--fix", "--yes"]);
    assert_eq!(fixed.code, 0, "a repair can do no more: {}\n{}", fixed.stdout, fixed.stderr);
    assert_eq!(of("embedding", "Nomic"), 2 + 8);
}

#[test]
fn a_model_of_a_network_that_is_not_here_stops_its_runs_and_no_embedder() {
    let native = native();
    let gaps = format!("{} {} {}", cut(1, 4), cut(2, 5), forget(3, "DummyVision", 4));
    let place = imported(&native, &[("DummyI2T", "BLIP2")], &gaps);
    let told = place.run(&["experiment", "resume", "latest"]);
    assert_eq!(told.code, 3, "{}", told.stderr);
    assert!(
        told.stderr
            .contains("model \"BLIP2\" is not here: its architecture is not among those that this program reads"),
        "{}",
        told.stderr
    );
    assert!(told.stderr.contains("done as far as the models that are here can take it"), "{}", told.stderr);
    // The first run ended with a text, which the painter that is here takes; the second with a picture.
    assert_eq!(count(&place, "SELECT count(*) FROM invocation"), 36 - 4 - 4);
    assert_eq!(count(&place, "SELECT count(*) FROM embedding"), 36 - 4 - 4, "every output has its vector");
    assert_eq!(count(&place, "SELECT count(*) FROM failure"), 0);
    is_settled(&place, "latest", 3);
    let (_, events) = resume(&place, "latest");
    assert_eq!(names(&events), ["BLIP2"]);
}

#[test]
fn a_model_that_nothing_waits_for_is_not_missed() {
    let native = native();
    // What is left to do is one picture and its vector; all that the other model gives is there.
    let place = imported(&native, &[("DummyI2T", "BLIP2"), ("DummyText", "Nomic")], &cut(1, 8));
    let (ended, events) = resume(&place, "latest");
    assert_eq!((ended.code, names(&events)), (0, Vec::new()), "{}", ended.stderr);
    place.ok(&["doctor", "--strict"]);
}

#[test]
fn the_experiments_of_the_earlier_tool_are_taken_as_far_as_this_machine_can() {
    for layout in ["cluster", "medoid", "required"] {
        let place = Place::new();
        place.ok(&["import", "legacy", &copied(&place, layout)]);
        let listed = place.json(&["experiment", "list", "--json"]);
        let ids: Vec<String> =
            listed.as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect();
        assert!(!ids.is_empty());
        for id in &ids {
            let (ended, events) = resume(&place, id);
            assert_eq!(ended.code, 3, "{layout}: {}", ended.stderr);
            let named = names(&events);
            assert!(!named.is_empty() && named.iter().all(|name| *name != "DummyT2I"), "{layout}: {named:?}");
            is_settled(&place, id, 3);
        }
    }
}
