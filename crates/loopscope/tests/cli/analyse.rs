//! `analyse …` and `array changepoints|markov`: what they print, that they agree with the reference, and that nothing small breaks them.

use std::path::PathBuf;

use crate::support::{Place, npy};

const ANALYSES: [&str; 10] = [
    "drift",
    "transitions",
    "markov",
    "recurrence",
    "relaxation",
    "changepoints",
    "cycles",
    "divergence",
    "regimes",
    "topology",
];

/// Texts that begin alike are a cluster; what stands alone is an outlier. The medoid is the first in the order of the plan: rows lie
/// in the order in which threads came by.
const CLUSTER_BY_TEXT: &str = "
INSERT INTO clustering_result SELECT randomblob(16), 'DummyText', 'by beginning', '{}', 0, 1, 1, 1;
INSERT INTO embedding_cluster
SELECT randomblob(16), e.id, (SELECT id FROM clustering_result),
  CASE WHEN count(*) OVER (PARTITION BY substr(i.output_text, 1, 9)) > 1 THEN first_value(e.id) OVER (PARTITION BY substr(i.output_text, 1, 9) ORDER BY r.network, r.initial_prompt, r.seed, r.run_number, i.sequence_number) END, NULL
FROM embedding e JOIN invocation i ON i.id = e.invocation_id JOIN run r ON r.id = i.run_id WHERE e.embedding_model = 'DummyText';";

fn config(networks: &str, prompts: &str, seeds: &str, length: u32) -> String {
    format!(
        r#"{{"networks": {networks}, "prompts": {prompts}, "seeds": {seeds}, "embedding_models": ["DummyText", "DummyVision"], "max_length": {length}}}"#
    )
}

/// An experiment whose content depends on nothing but its config.
fn place() -> Place {
    let place = Place::new();
    let networks = r#"[["DummyT2I", "DummyI2T"], ["DummyT2I2", "DummyI2T2"]]"#;
    let text = config(networks, r#"["a red circle at the left on a blue background", "fire"]"#, "[1, 2, 3]", 60);
    place.write("small.json", &text);
    place.ok(&["experiment", "run", "small.json", "--quiet"]);
    place
}

fn cluster(place: &Place) {
    let sql = rusqlite::Connection::open(place.path("loopscope.sqlite")).unwrap();
    sql.execute_batch(CLUSTER_BY_TEXT).unwrap();
}

/// Takes out what is new each time: ids.
fn without_ids(text: &str) -> String {
    let is_id = |word: &str| word.len() == 8 && word.chars().all(|letter| letter.is_ascii_hexdigit());
    text.split_inclusive(|letter: char| !letter.is_ascii_alphanumeric())
        .map(|piece| {
            let word = piece.trim_end_matches(|letter: char| !letter.is_ascii_alphanumeric());
            if is_id(word) { piece.replace(word, "________") } else { piece.to_owned() }
        })
        .collect()
}

#[test]
fn tables_read_like_an_appendix() {
    let place = place();
    for analysis in ["transitions", "markov"] {
        insta::assert_snapshot!(format!("{analysis}_without_clusters"), without_ids(&place.ok(&["analyse", analysis])));
    }
    cluster(&place);
    for analysis in ANALYSES {
        insta::assert_snapshot!(
            analysis,
            without_ids(&place.ok(&["analyse", analysis, "small", "--resamples", "100"]))
        );
    }
    insta::assert_snapshot!(
        "cycles_by_prompt",
        without_ids(&place.ok(&["analyze", "cycles", "--by", "prompt", "--resamples", "100"]))
    );
}

#[test]
fn json_and_csv_hold_the_same_numbers() {
    let place = place();
    cluster(&place);
    for analysis in ANALYSES {
        let json = place.json(&["analyse", analysis, "--resamples", "20", "--csv", "out.csv", "--json"]);
        assert_eq!(json["analysis"], analysis);
        let table = &json["tables"][0];
        let csv = std::fs::read_to_string(place.path("out.csv")).unwrap();
        assert_eq!(csv.lines().count(), 1 + table["rows"].as_array().unwrap().len(), "{analysis}");
        for column in table["columns"].as_array().unwrap() {
            let key = column["key"].as_str().unwrap();
            assert!(csv.lines().next().unwrap().split(',').any(|heading| heading == key), "{analysis}: {key}");
        }
        for further in json["tables"].as_array().unwrap().iter().skip(1) {
            let name = format!("out.{}.csv", further["name"].as_str().unwrap());
            assert!(place.path(&name).exists(), "{analysis}: {name}");
        }
        assert_eq!(
            json,
            place.json(&["analyse", analysis, "--resamples", "20", "--json"]),
            "{analysis}: chance has a seed"
        );
    }
}

#[test]
fn nothing_small_breaks_an_analysis() {
    let network = r#"[["DummyT2I", "DummyI2T"]]"#;
    let long = r#"[["DummyT2I", "DummyI2T2", "DummyT2I2", "DummyI2T"], ["DummyT2I", "DummyI2T"]]"#;
    for (networks, prompts, seeds, length) in [
        (network, r#"["x"]"#, "[1]", 1),
        (network, r#"["x"]"#, "[1]", 2),
        (network, r#"[""]"#, "[-1]", 5),
        (network, r#"["x"]"#, "[7, 7, 7]", 9),
        (long, r#"["x", "y"]"#, "[1, -1]", 7),
    ] {
        let place = Place::new();
        place.write("tiny.json", &config(networks, prompts, seeds, length));
        place.ok(&["experiment", "run", "tiny.json", "--quiet"]);
        for is_clustered in [false, true] {
            if is_clustered {
                cluster(&place);
            }
            for analysis in ANALYSES {
                for by in ["network,embedder", "prompt", "none"] {
                    let arguments = ["analyse", analysis, "tiny", "--by", by, "--resamples", "10"];
                    let ended = place.run(&arguments);
                    assert_eq!(ended.code, 0, "{arguments:?} at {length}\n{}\n{}", ended.stdout, ended.stderr);
                    assert!(!ended.stdout.contains("NaN"), "{arguments:?}\n{}", ended.stdout);
                }
            }
        }
    }
}

#[test]
fn the_demo_is_analysed_with_its_own_clusters() {
    let place = Place::new();
    place.ok(&["demo", "--quiet"]);
    for analysis in ANALYSES {
        let json = place.json(&["analyse", analysis, "--json"]);
        assert!(!json["tables"][0]["rows"].as_array().unwrap().is_empty(), "{analysis}");
    }
}

#[test]
fn slips_get_a_hint() {
    let place = place();
    insta::assert_snapshot!("no_clustering_of_that_id", place.complaint(&["analyse", "markov", "--clustering", "abc"]));
    insta::assert_snapshot!("no_such_analysis", place.complaint(&["analyse", "drifts"]));
    insta::assert_snapshot!("no_level", place.complaint(&["analyse", "drift", "--level", "95"]));
}

fn fixture(name: &str) -> String {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../loopscope-analysis/tests/fixtures/dynamics");
    folder.join(name).to_str().unwrap().to_owned()
}

#[test]
fn arrays_have_the_reference_breaks() {
    let place = Place::new();
    let all: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(fixture("change_points.json")).unwrap()).unwrap();
    for (name, answers) in all["series"].as_object().unwrap() {
        let file = fixture(&format!("series_{name}.npy"));
        for cost in ["cosine", "l2", "rbf"] {
            let chosen = place.json(&["array", "changepoints", &file, "--cost", cost, "--json"]);
            assert_eq!(chosen["breakpoints"], answers["true"], "{name} {cost}");
        }
        for (cost, penalty, key) in
            [("rbf", "0.5", "rbf_g1_pen0.5"), ("cosine", "2", "cosine_pen2.0"), ("l2", "3.0", "pelt_l2_pen3.0")]
        {
            let arguments = ["array", "changepoints", &file, "--cost", cost, "--penalty", penalty, "--json"];
            assert_eq!(place.json(&arguments)["breakpoints"], answers[key], "{name} {key}");
        }
    }
    let shown = place.ok(&["array", "changepoints", &fixture("series_jump3.npy")]);
    assert!(shown.contains("60") && shown.contains("110"), "{shown}");
}

/// An npy file of int64 labels.
fn labels(place: &Place, name: &str, shape: &str, labels: &[i64]) -> String {
    npy(place, name, "<i8", shape, &labels.iter().flat_map(|label| label.to_le_bytes()).collect::<Vec<u8>>())
}

#[test]
fn vectors_that_are_none_are_refused_by_name() {
    let place = Place::new();
    let vectors = |name: &str, shape: &str, values: &[f32]| {
        npy(&place, name, "<f4", shape, &values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>())
    };
    for (name, values) in [("nan.npy", [1.0, 2.0, f32::NAN, 4.0]), ("zero.npy", [1.0, 2.0, 0.0, 0.0])] {
        let file = vectors(name, "(2, 2)", &values);
        let complaint = place.complaint(&["array", "changepoints", &file]);
        assert!(complaint.starts_with("exit 1") && complaint.contains("row 1 of the vectors"), "{complaint}");
    }
    let flat = vectors("flat.npy", "(2,)", &[1.0, 2.0]);
    assert!(place.complaint(&["array", "changepoints", &flat]).starts_with("exit 2"));
    let empty = vectors("empty.npy", "(0, 3)", &[]);
    assert_eq!(place.json(&["array", "changepoints", &empty, "--json"])["breakpoints"], serde_json::json!([]));
}

#[test]
fn labels_make_a_chain() {
    let place = Place::new();
    let sequence = [0, 0, -1, 1, 1, -1, 0, -1, -1, 0, 1, -1, -1, 1, 0];
    let file = labels(&place, "labels.npy", "(15,)", &sequence);
    let plain = place.json(&["array", "markov", &file, "--json"]);
    assert_eq!(plain["counts"], serde_json::json!([[1.0, 1.0], [1.0, 1.0]]), "nothing bridges an outlier");
    let cores = place.json(&["array", "markov", &file, "--milestoning", "--reversible", "--json"]);
    assert_eq!(cores["counts"], serde_json::json!([[5.0, 2.0], [2.0, 5.0]]));
    assert!((cores["matrix"][0][0].as_f64().unwrap() - 5.0 / 7.0).abs() < 1e-6);
    // Two runs end in an absorbing state that is not in the active set.
    let file = labels(&place, "runs.npy", "(2, 6)", &[0, 1, 0, 1, 0, 2, 0, 1, 1, 0, 2, 2]);
    let chain = place.json(&["array", "markov", &file, "--json"]);
    assert_eq!(chain["active_set"], serde_json::json!([0, 1]));
    assert!((chain["share_kept"].as_f64().unwrap() - 0.7).abs() < 1e-12);
    assert_eq!(chain["classes"][1], serde_json::json!({ "states": [2], "is_closed": true }));
    insta::assert_snapshot!("array_markov", place.ok(&["array", "markov", &file]));
    for (name, shape, values) in
        [("none.npy", "(0,)", &[][..]), ("out.npy", "(2,)", &[-1, -1]), ("one.npy", "(1,)", &[3])]
    {
        let file = labels(&place, name, shape, values);
        for extra in [&[][..], &["--reversible"], &["--lag", "7"]] {
            place.json(&[&["array", "markov", &file, "--json"], extra].concat());
            place.ok(&[&["array", "markov", &file], extra].concat());
        }
    }
    let file = labels(&place, "bad.npy", "(2,)", &[0, -2]);
    insta::assert_snapshot!("array_markov_bad_label", place.complaint(&["array", "markov", &file]));
    insta::assert_snapshot!(
        "array_markov_floats",
        place.complaint(&["array", "markov", &fixture("series_none.npy")]).replace(&fixture(""), "")
    );
}

/// Gives a part of the embeddings of DummyText to another revision of it.
fn change_version(place: &Place, condition: &str) {
    let sql = rusqlite::Connection::open(place.path("loopscope.sqlite")).unwrap();
    sql.execute_batch(&format!(
        "INSERT INTO model_version SELECT randomblob(16), name, kind, backend, 'other', weights_hash, parameters,
           determinism, program_version FROM model_version WHERE name = 'DummyText';
         UPDATE embedding SET model_version_id = (SELECT id FROM model_version WHERE revision = 'other')
           WHERE embedding_model = 'DummyText' AND {condition};"
    ))
    .unwrap();
}

fn notes(place: &Place, analysis: &str) -> String {
    let json = place.json(&["analyse", analysis, "--resamples", "20", "--json"]);
    json["notes"].as_array().unwrap().iter().map(|note| note.as_str().unwrap().to_owned() + "\n").collect()
}

#[test]
fn vectors_of_another_version_are_left_out_and_counted() {
    let place = place();
    let rows = |place: &Place| {
        place.json(&["analyse", "drift", "--by", "none", "--resamples", "20", "--json"])["tables"][0]["rows"].clone()
    };
    let before = rows(&place);
    // One run of six.
    change_version(
        &place,
        "invocation_id IN (SELECT i.id FROM invocation i JOIN run r ON r.id = i.run_id WHERE r.seed = 1 AND r.initial_prompt = 'fire')",
    );
    let after = rows(&place);
    for (before, after) in before.as_array().unwrap().iter().zip(after.as_array().unwrap()) {
        let runs = |row: &serde_json::Value| row["runs"].as_u64().unwrap();
        let left_out = u64::from(after["embedder"] == "DummyText");
        assert_eq!(runs(before) - runs(after), left_out, "{before}\n{after}");
    }
    for analysis in ["drift", "recurrence", "relaxation", "changepoints", "divergence", "regimes", "topology"] {
        let notes = notes(&place, analysis);
        assert!(
            notes.contains("DummyText: its vectors are of several versions") && notes.contains("revision other"),
            "{analysis}: {notes}"
        );
        assert!(!notes.contains("DummyVision: its"), "{analysis}: {notes}");
        assert_eq!(notes.contains("DummyText: diagrams are as stored"), analysis == "topology", "{analysis}: {notes}");
    }
}

#[test]
fn prompts_are_not_embedded_into_another_space_than_the_outputs() {
    let place = place();
    assert!(!notes(&place, "drift").contains("its vectors were made with"));
    change_version(&place, "true");
    for analysis in ["drift", "relaxation"] {
        let notes = notes(&place, analysis);
        assert!(
            notes.contains("first output, because its vectors were made with revision other, and here it has revision"),
            "{notes}"
        );
        assert!(!notes.contains("several versions"), "{notes}");
    }
}

#[test]
fn runs_asked_for_twice_are_no_second_observation() {
    let place = Place::new();
    place.write("twice.json", &config(r#"[["DummyT2I", "DummyI2T"]]"#, r#"["x"]"#, "[7, 7, 7, -1, -1]", 9));
    place.ok(&["experiment", "run", "twice.json", "--quiet"]);
    assert!(notes(&place, "drift").contains("2 of 5 runs have the network, the prompt and the seed of another"));
}

#[test]
fn memberships_add_up_and_resamples_in_pieces_are_told() {
    let place = place();
    cluster(&place);
    let json = place.json(&["analyse", "markov", "--resamples", "100", "--top", "1000", "--json"]);
    let table = |name: &str| {
        let found = json["tables"].as_array().unwrap().iter().find(|table| table["name"] == name).unwrap();
        found["rows"].as_array().unwrap().clone()
    };
    let mut sums: std::collections::BTreeMap<String, (f64, f64, u64)> = std::collections::BTreeMap::new();
    for row in table("memberships") {
        let key = format!("{} {} {}", row["embedder"], row["output_of"], row["cluster"]);
        let sum = sums.entry(key).or_default();
        let membership = row["membership"].as_f64().unwrap();
        sum.0 += membership;
        if membership > sum.1 {
            (sum.1, sum.2) = (membership, row["set"].as_u64().unwrap());
        }
    }
    assert!(!sums.is_empty());
    for row in table("states") {
        let key = format!("{} {} {}", row["embedder"], row["output_of"], row["cluster"]);
        let Some((sum, _, set)) = sums.get(&key) else { continue };
        assert!((sum - 1.0).abs() < 1e-9, "{key}: {sum}");
        assert_eq!(row["set"].as_u64(), Some(*set), "{key}");
    }
    let mut infinite = 0;
    for row in table("markov") {
        let is_infinite = row["t2"]["low"].is_number() && row["t2"]["high"].is_null();
        infinite += usize::from(is_infinite);
        assert!(!is_infinite || row["remark"].as_str().unwrap().contains("fall into pieces"), "{row}");
    }
    assert!(infinite > 0, "no chain of the test falls into pieces");
}
