//! The commands that know of servers, and what they tell of a models file that is wrong.

use super::server::Server;
use super::{endpoints, model, ok_keyed, run_keyed};
use crate::support::Place;

#[test]
fn a_models_file_is_told_everything_that_is_wrong_with_it() {
    let place = Place::new();
    place.write(
        "models.toml",
        r#"
[endpoints.studio]
dialet = "vllm"
url = "http://user:pass@127.0.0.1:8000/v1"
key_env = "sk-0123456789abcdef"
concurrency = 0

[endpoints.other]
dialect = "vlm"
url = "http://127.0.0.1:8000/v1?key=sk-0123456789abcdef"

[models.Mine]
endpoint = "studo"
model = "x"
kind = "text_to_imag"

[models.See]
endpoint = "cloud"
kind = "image_embedder"
model = "x"
batch = 3
extra = { api_key = "sk-0123456789abcdef", body = [{ "X-API-Key" = "sk-0123456789abcdef", max_tokens = 9 }] }

[endpoints.cloud]
dialect = "openai"
key_header = "Bearer sk-0123456789abcdef"
url = "https://api.openai.com/v1"

[models.DummyT2I]
directory = "x"

[models.Both]
directory = "x"
endpoint = "cloud"

[models.Own]
directory = "weights"
price_per_image = 1
"#,
    );
    let complaint = place.complaint(&["model", "list"]);
    assert!(!complaint.contains("0123456789abcdef"), "what may be a key is not shown: {complaint}");
    insta::assert_snapshot!("models_file", complaint);
    place.write("models.toml", "[endpoints.a\nx = 1");
    insta::assert_snapshot!("models_file_no_toml", place.complaint(&["model", "list"]));
    insta::assert_snapshot!("models_file_missing", place.complaint(&["model", "list", "--models", "nowhere.toml"]));
}

#[test]
fn a_model_that_is_not_here_says_who_serves_it_and_what_to_write() {
    let place = Place::new();
    let config = r#"
networks = [["Flux2Klein", "Qwen25VL"]]
prompts = ["a"]
seeds = [1]
embedding_models = ["DummyText"]
max_length = 2
"#;
    place.write("absent.toml", config);
    insta::assert_snapshot!("absent_models", place.complaint(&["config", "check", "absent.toml"]));
    insta::assert_snapshot!("absent_model_shown", place.ok(&["model", "show", "Flux2Klein"]));
    insta::assert_snapshot!("absent_model_tested", place.complaint(&["model", "test", "QwenImage"]));
    insta::assert_snapshot!("model_show_unknown", place.complaint(&["model", "show", "FluxDv"]));
    // The lines that it prints are lines that it takes.
    let shown = place.ok(&["model", "show", "Flux2Klein"]);
    let lines: Vec<&str> = shown.lines().filter_map(|line| line.strip_prefix("  ")).collect();
    let start = lines.iter().position(|line| line.starts_with("[endpoints.")).unwrap();
    let end = lines.iter().rposition(|line| line.starts_with("model = ")).unwrap();
    place.write("models.toml", &lines[start..=end].join("\n"));
    assert!(place.ok(&["model", "show", "Flux2Klein"]).contains("ready"));
}

#[test]
fn a_key_that_is_not_set_is_told_before_anything_is_called() {
    let place = Place::new();
    let server = Server::start(1);
    place.write("models.toml", &(endpoints(&server, "") + &model("Mine", "text_to_image", "openai", "good", "")));
    place.write(
        "mine.toml",
        "networks = [[\"Mine\", \"DummyI2T\"]]\nprompts = [\"a\"]\nseeds = [1]\nembedding_models = [\"DummyText\"]\nmax_length = 2",
    );
    insta::assert_snapshot!("no_key", place.complaint(&["experiment", "run", "mine.toml"]));
    assert!(!place.path("loopscope.sqlite").exists() && server.requests() == 0);
}

#[test]
fn models_at_servers_are_listed_tested_and_timed() {
    let place = Place::new();
    let server = Server::start(1);
    let size = "parameters = { width = 32, height = 32, steps = 4 }\nprice_per_image = 0.04";
    let file = endpoints(&server, "")
        + &model("Mine", "text_to_image", "vllm", "good", size)
        + &model("Words", "text_embedder", "openai", "good", "price_per_million_tokens = 0.02")
        + &model("Gone", "image_to_text", "vllm", "500", "");
    place.write("models.toml", &file);
    let listed: serde_json::Value =
        serde_json::from_str(&ok_keyed(&place, &["model", "list", "--installed", "--json"])).unwrap();
    let names: Vec<&str> = listed.as_array().unwrap().iter().map(|model| model["name"].as_str().unwrap()).collect();
    assert_eq!(names.len(), 11, "{names:?}");
    assert!(ok_keyed(&place, &["model", "list"]).contains("FluxSchnell"));
    let fits = ok_keyed(&place, &["model", "list", "--fits"]);
    assert!(fits.contains("Mine") && !fits.contains("Flux2Dev"), "{fits}");
    assert!(ok_keyed(&place, &["model", "test", "Mine"]).contains("32×32 picture"));
    let benched: serde_json::Value =
        serde_json::from_str(&ok_keyed(&place, &["model", "bench", "Words", "--seconds", "0", "--json"])).unwrap();
    assert_eq!((&benched["largest"]["batch"], &benched["largest"]["limit"]), (&8.into(), &"server".into()));
    assert!(benched["batches"].as_array().unwrap().iter().all(|one| one["seconds_per_item"].as_f64().unwrap() > 0.0));
    let gone = run_keyed(&place, &["model", "test", "Gone"]);
    assert!(gone.code == 1 && gone.stderr.contains("answered 500"), "{}", gone.stderr);
    place.write(
        "mine.toml",
        "networks = [[\"Mine\", \"DummyI2T\"]]\nprompts = [\"a\", \"b\"]\nseeds = [1]\nembedding_models = [\"Words\"]\nmax_length = 100",
    );
    insta::assert_snapshot!("config_with_prices", ok_keyed(&place, &["config", "check", "mine.toml"]));
    let plan: serde_json::Value =
        serde_json::from_str(&ok_keyed(&place, &["config", "check", "mine.toml", "--json"])).unwrap();
    assert!((plan["cost_max"]["USD"].as_f64().unwrap() - (100.0 * 0.04 + 100.0 * 64.0 * 0.02 / 1e6)).abs() < 1e-9);
}

#[test]
fn what_cannot_be_pulled_says_why() {
    let place = Place::new();
    insta::assert_snapshot!("pull_dummy", place.complaint(&["model", "pull", "DummyT2I"]));
    insta::assert_snapshot!("pull_server_only", place.complaint(&["model", "pull", "QwenImage"]));
    insta::assert_snapshot!("pull_unknown", place.complaint(&["model", "pull", "MiniLN"]));
    if !cfg!(feature = "hub") {
        insta::assert_snapshot!("pull_without_hub", place.complaint(&["model", "pull", "MiniLM"]));
    }
}
