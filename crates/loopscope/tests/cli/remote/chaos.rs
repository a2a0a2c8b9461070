//! Experiments with servers: each dialect well, everything that can go wrong, and a kill in the middle.

use std::collections::BTreeMap;
use std::process::Stdio;

use super::server::{CANARY, MISDEEDS, Server};
use super::{assert_keyless, endpoints, keyed, model, ok_keyed, run_keyed, watched};
use crate::support::{Place, content};

const MEMORY_KIB_MAX: u64 = 512 << 10;
/// How often the program is killed before it may finish.
const KILLS: usize = 10;

/// Painters, describers and embedders of every dialect, and a config with a network of each.
fn all_dialects(place: &Place, server: &Server, concurrency: usize, max_length: usize) {
    let mut file = endpoints(server, &format!("concurrency = {concurrency}"));
    let size = "parameters = { width = 32, height = 32 }";
    let steps = "parameters = { width = 32, height = 32, steps = 4 }";
    for dialect in ["openai", "vllm", "sglang", "localai", "ollama", "openrouter"] {
        let lines = match dialect {
            "openai" | "ollama" => size,
            "openrouter" => "",
            _ => steps,
        };
        file += &model(&format!("paint-{dialect}"), "text_to_image", dialect, "good", lines);
        file += &model(&format!("tell-{dialect}"), "image_to_text", dialect, "good", "");
        file += &model(&format!("embed-{dialect}"), "text_embedder", dialect, "good", "batch = 3");
    }
    file += &model("see-vllm", "image_embedder", "vllm", "good", "dimension = 8");
    file += &model("see-sglang", "image_embedder", "sglang", "good", "");
    place.write("models.toml", &file);
    let config = r#"
networks = [
  ["paint-openai", "tell-openai"], ["paint-vllm", "tell-vllm"], ["paint-sglang", "tell-sglang"],
  ["paint-localai", "tell-localai"], ["paint-ollama", "tell-ollama"], ["paint-openrouter", "tell-openrouter"],
  ["paint-vllm", "DummyI2T", "DummyT2I", "tell-ollama"],
]
prompts = ["a small red circle on a blue background", "say \"ü\" \\ n"]
seeds = [1, 2]
embedding_models = ["embed-openai", "embed-vllm", "embed-sglang", "embed-localai", "embed-ollama", "embed-openrouter",
  "see-vllm", "see-sglang", "DummyText", "DummyVision"]
"#;
    place.write("all.toml", &format!("{config}max_length = {max_length}"));
}

#[test]
fn every_dialect_runs_an_experiment_to_its_end_beside_local_models() {
    let (place, trap) = (Place::new(), Server::start(1));
    let server = Server::start(trap.port);
    all_dialects(&place, &server, 2, 6);
    ok_keyed(&place, &["experiment", "run", "all.toml"]);
    let rows = content(&place.path("loopscope.sqlite"));
    assert_eq!(rows.len(), 28);
    for (key, run) in &rows {
        assert_eq!(run.outputs.len(), 6, "{key:?}: a server promises no cycles");
    }
    ok_keyed(&place, &["doctor", "--strict", "--decode-images"]);
    // What produced a row is on record: the server, its dialect, and every field that decides a result.
    let sql = rusqlite::Connection::open(place.path("loopscope.sqlite")).unwrap();
    let version = |name: &str| -> (String, String, String, String) {
        let columns = "SELECT backend, determinism, weights_hash, parameters FROM model_version WHERE name = ?1";
        sql.query_row(columns, [name], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))).unwrap()
    };
    let (backend, determinism, weights, parameters) = version("paint-vllm");
    assert_eq!((backend.as_str(), determinism.as_str(), weights.as_str()), ("http", "best_effort", "unknown"));
    let parameters: serde_json::Value = serde_json::from_str(&parameters).unwrap();
    assert_eq!(
        parameters,
        serde_json::json!({
            "dialect": "vllm", "url": server.url("vllm"), "model": "good", "width": 32, "height": 32, "steps": 4
        })
    );
    // A vector is its text's, whatever batch it came in.
    let mut vectors = sql
        .prepare(
            "SELECT i.output_text, e.vector FROM embedding e JOIN invocation i ON i.id = e.invocation_id \
             WHERE e.embedding_model = 'embed-vllm'",
        )
        .unwrap();
    let rows: Vec<(String, Vec<u8>)> =
        vectors.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect();
    assert!(rows.len() >= 70);
    for (text, vector) in rows {
        let expected = super::server::vector_of(&serde_json::Value::from(text).to_string());
        assert_eq!(vector, expected.map(f32::to_le_bytes).concat());
    }
    ok_keyed(&place, &["export", "db", "all", "copy.sqlite"]);
    assert_keyless(&place);
}

/// What the engine has on record of a model's failures.
fn failures(place: &Place) -> BTreeMap<String, Vec<String>> {
    let sql = rusqlite::Connection::open(place.path("loopscope.sqlite")).unwrap();
    let mut rows = sql.prepare("SELECT subject, error FROM failure").unwrap();
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in rows.query_map([], |row| Ok::<(String, String), _>((row.get(0)?, row.get(1)?))).unwrap() {
        let (subject, error) = row.unwrap();
        let name = subject.split([' ', '#']).next().unwrap().to_owned();
        found.entry(name).or_default().push(error);
    }
    found
}

/// What is told of an answer that was packed; a build with `hub` unpacks it, within the same limits.
const fn packed(unpacked: &'static str) -> &'static str {
    if cfg!(feature = "hub") { unpacked } else { "in the encoding gzip, which was not asked for" }
}

/// What is told of each misdeed; nothing where the run gets through.
const TOLD: [(&str, &str); 26] = [
    ("busy-at-first", ""),
    ("fails-at-first", ""),
    ("busy", "answered 429 Too Many Requests: you sent Bearer [key]"),
    ("500", "answered 500 Internal Server Error: you sent Bearer [key]"),
    ("silent", "did not answer in time"),
    ("dripping", "broke off its answer after"),
    ("truncated", "broke off its answer after"),
    ("half-json", "ended its answer early"),
    ("html", "what is no answer of its API"),
    ("redirect", "a key is sent to no other host"),
    ("redirect-here", ""),
    ("oversize", "answered with more than"),
    ("endless", "answered with more than"),
    ("gzip", packed("broke off its answer after")),
    ("gzip-bomb", packed("answered with more than 67108864 bytes")),
    ("bomb", "the picture has 16384 × 16384 pixels"),
    ("too-many-pixels", "the picture has 2048 × 2048 pixels"),
    ("no-picture", "begin as no WebP, PNG or JPEG does"),
    ("elsewhere", "nothing is fetched from another host"),
    ("by-url", ""),
    ("empty", "gave 0 pictures for one prompt"),
    ("two", "gave 2 pictures for one prompt"),
    ("many-items", "a list of more than 16 items"),
    ("deep", "what is no answer of its API"),
    ("refused", "answered without pictures"),
    ("error-in-200", "answered 502 Bad Gateway: upstream is gone, Bearer [key]"),
];

#[test]
fn a_server_that_does_everything_wrong_fails_its_own_runs_with_the_reason_in_bounded_memory() {
    let (place, trap) = (Place::new(), Server::start(1));
    let server = Server::start(trap.port);
    let mut file = endpoints(&server, "concurrency = 4");
    // Only for those that never say anything, so that no slow machine is taken for a silent server.
    file += &format!("[endpoints.hasty]\ndialect = \"vllm\"\nurl = \"{}\"\nidle_timeout_s = 0.5\n", server.url("vllm"));
    let mut networks = Vec::new();
    for misdeed in MISDEEDS.iter().filter(|misdeed| **misdeed != "echo-key") {
        let lines = "parameters = { width = 32, height = 32, steps = 4 }";
        let endpoint = if ["silent", "dripping"].contains(misdeed) { "hasty" } else { "vllm" };
        file += &model(&format!("t2i-{misdeed}"), "text_to_image", endpoint, misdeed, lines);
        networks.push(format!("[\"t2i-{misdeed}\", \"DummyI2T\"]"));
    }
    place.write("models.toml", &file);
    let config = format!(
        "networks = [{}]\nprompts = [\"a red circle\"]\nseeds = [1]\nembedding_models = [\"DummyText\"]\nmax_length = 4",
        networks.join(", ")
    );
    place.write("wrong.toml", &config);
    let (output, memory) = watched(keyed(&place, &["experiment", "run", "wrong.toml", "--json", "--attempts", "2"]));
    let (stdout, stderr) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(output.status.code(), Some(3), "{stdout}\n{stderr}");
    assert!(!stdout.contains(CANARY) && !stderr.contains(CANARY), "the key is told");
    println!("took {memory} KiB at most");
    assert!(memory < MEMORY_KIB_MAX, "took {memory} KiB");
    let (rows, failures) = (content(&place.path("loopscope.sqlite")), failures(&place));
    for (misdeed, told) in TOLD {
        let name = format!("t2i-{misdeed}");
        let network = format!("[\"{name}\",\"DummyI2T\"]");
        let steps = rows.iter().find(|(key, _)| key.0 == network).map(|(_, run)| run.outputs.len());
        let steps = steps.unwrap_or_else(|| panic!("no run of {network} in {:?}", rows.keys().collect::<Vec<_>>()));
        let errors = failures.get(&name).cloned().unwrap_or_default();
        if told.is_empty() {
            assert_eq!(steps, 4, "{misdeed}: {errors:?}");
            assert_eq!(errors.is_empty(), !misdeed.ends_with("at-first"), "{misdeed}: every attempt is on record");
        } else {
            assert_eq!(steps, 0, "{misdeed}");
            assert!(!errors.is_empty() && errors.iter().all(|error| error.contains(told)), "{misdeed}: {errors:?}");
        }
    }
    assert_eq!(trap.requests(), 0, "something went to another host");
    run_keyed(&place, &["doctor"]);
    run_keyed(&place, &["experiment", "show", "latest", "--json"]);
    ok_keyed(&place, &["export", "db", "wrong", "copy.sqlite"]);
    assert_keyless(&place);
}

#[test]
fn captions_and_vectors_go_wrong_by_themselves_too() {
    let (place, trap) = (Place::new(), Server::start(1));
    let server = Server::start(trap.port);
    let mut file = endpoints(&server, "concurrency = 4");
    let captions = ["echo-key", "refused", "empty", "two", "html", "many-items", "endless", "error-in-200"];
    let mut networks = vec!["[\"DummyT2I\", \"DummyI2T\"]".to_owned()];
    for misdeed in captions {
        file += &model(&format!("i2t-{misdeed}"), "image_to_text", "openai", misdeed, "");
        networks.push(format!("[\"DummyT2I\", \"i2t-{misdeed}\"]"));
    }
    let vectors = [
        ("shuffled", ""),
        ("no-long-texts", ""),
        ("wrong-dimension", "gave a vector of 7 numbers, expected 8"),
        ("wrong-count", "gave 0 vectors for 1 inputs"),
        ("not-numbers", "what is no answer of its API"),
        ("many-items", "what is no answer of its API"),
    ];
    for (misdeed, _) in vectors {
        file += &model(&format!("e-{misdeed}"), "text_embedder", "openai", misdeed, "dimension = 8");
    }
    place.write("models.toml", &file);
    let embedders: Vec<String> = vectors.iter().map(|(misdeed, _)| format!("\"e-{misdeed}\"")).collect();
    let config = format!(
        "networks = [{}]\nprompts = [\"a red circle\", \"a green ring\"]\nseeds = [-1]\nembedding_models = [{}]\nmax_length = 8",
        networks.join(", "),
        embedders.join(", ")
    );
    place.write("wrong.toml", &config);
    let (output, memory) = watched(keyed(&place, &["experiment", "run", "wrong.toml", "--json", "--attempts", "2"]));
    let told = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{told}");
    assert!(!told.contains(CANARY), "the key is told");
    println!("took {memory} KiB at most");
    assert!(memory < MEMORY_KIB_MAX, "took {memory} KiB");
    let failures = failures(&place);
    let errors_of = |name: &str| failures.get(name).cloned().unwrap_or_default();
    for (misdeed, told) in [
        ("echo-key", "repeats the key in its answer"),
        ("refused", "refused: I will not. Bearer [key]"),
        ("empty", "answered without a message"),
        ("two", "gave 2 captions for one picture"),
        ("html", "what is no answer of its API"),
        ("many-items", "answered with more than"),
        ("endless", "answered with more than"),
        ("error-in-200", "answered 502 Bad Gateway"),
    ] {
        let errors = errors_of(&format!("i2t-{misdeed}"));
        assert!(!errors.is_empty() && errors.iter().all(|error| error.contains(told)), "{misdeed}: {errors:?}");
    }
    for (misdeed, told) in vectors {
        let errors = errors_of(&format!("e-{misdeed}"));
        if told.is_empty() {
            assert!(errors.is_empty(), "{misdeed}: {errors:?}");
        } else {
            assert!(!errors.is_empty() && errors.iter().all(|error| error.contains(told)), "{misdeed}: {errors:?}");
        }
    }
    // The vectors that came, in whatever order, are those of their texts.
    let sql = rusqlite::Connection::open(place.path("loopscope.sqlite")).unwrap();
    let query = "SELECT i.output_text, e.vector, e.embedding_model FROM embedding e JOIN invocation i ON i.id = e.invocation_id";
    let mut statement = sql.prepare(query).unwrap();
    let rows =
        statement.query_map([], |row| Ok::<(String, Vec<u8>, String), _>((row.get(0)?, row.get(1)?, row.get(2)?)));
    let mut counted = 0;
    for row in rows.unwrap() {
        let (text, vector, model) = row.unwrap();
        // Of the batches with one vector of a wrong length, the others are whole.
        assert!(["e-shuffled", "e-no-long-texts", "e-wrong-dimension"].contains(&model.as_str()), "{model}");
        let expected = super::server::vector_of(&serde_json::Value::from(text).to_string());
        assert_eq!(vector, expected.map(f32::to_le_bytes).concat(), "{model}");
        counted += usize::from(model != "e-wrong-dimension");
    }
    assert_eq!(counted, 2 * 2 * 4, "two embedders, two runs that got through, four captions each");
    ok_keyed(&place, &["export", "db", "wrong", "copy.sqlite"]);
    assert_keyless(&place);
}

#[test]
fn a_killed_experiment_with_servers_resumes_to_what_an_undisturbed_one_is() {
    let (calm, killed, trap) = (Place::new(), Place::new(), Server::start(1));
    let server = Server::start(trap.port);
    all_dialects(&calm, &server, 1, 16);
    all_dialects(&killed, &server, 1, 16);
    ok_keyed(&calm, &["experiment", "run", "all.toml", "--quiet"]);
    let mut arguments = vec!["experiment", "run", "all.toml", "--quiet"];
    let mut kills = 0;
    loop {
        let before = server.requests();
        let mut child = keyed(&killed, &arguments).stderr(Stdio::null()).spawn().unwrap();
        // By what the server was asked for, not by the clock: always in the middle of calls.
        let ended = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break Some(status);
            }
            if kills < KILLS && server.requests() >= before + 100 {
                break None;
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
        };
        if let Some(status) = ended {
            assert!(status.success());
            break;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        kills += 1;
        arguments = vec!["experiment", "resume", "latest", "--quiet"];
    }
    println!("killed {kills} times");
    assert!(kills >= 3, "killed {kills} times only: the test tests nothing");
    assert_eq!(content(&killed.path("loopscope.sqlite")), content(&calm.path("loopscope.sqlite")));
    ok_keyed(&killed, &["doctor", "--strict"]);
    assert_keyless(&killed);
}
