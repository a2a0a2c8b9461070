//! Every message is a promise: a snapshot for each.

use std::path::Path;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::parse::KEYS;
use super::*;
use crate::backend::{Lane, LoadedModel, ModelError, ModelInfo, Registry, RegistryError, nearest_name};
use crate::experiment::{Determinism, DiagramConfig, ExperimentConfig, ModelKind, ModelName};

/// Six models; `DummyT2I` alone has a parameter, `width`, from 1.
struct FakeRegistry;

const MODELS: [(&str, ModelKind); 6] = [
    ("DummyT2I", ModelKind::TextToImage),
    ("DummyT2I2", ModelKind::TextToImage),
    ("DummyI2T", ModelKind::ImageToText),
    ("DummyI2T2", ModelKind::ImageToText),
    ("DummyText", ModelKind::TextEmbedder),
    ("DummyVision", ModelKind::ImageEmbedder),
];

impl Registry for FakeRegistry {
    fn names(&self) -> Vec<ModelName> {
        MODELS.map(|(name, _)| ModelName::new(name)).to_vec()
    }

    fn info(&self, name: &ModelName, parameters: &Map<String, Value>) -> Result<ModelInfo, RegistryError> {
        let Some((_, kind)) = MODELS.into_iter().find(|(known, _)| *known == name.as_str()) else {
            let nearest = nearest_name(name.as_str(), MODELS.map(|(known, _)| known)).map(ModelName::new);
            return Err(RegistryError::UnknownModel { name: name.clone(), nearest });
        };
        let known: Vec<String> = if name.as_str() == "DummyT2I" { vec!["width".into()] } else { vec![] };
        for (key, value) in parameters {
            if !known.contains(key) {
                return Err(RegistryError::UnknownParameter { name: name.clone(), key: key.clone(), known });
            }
            if value.as_u64().is_none_or(|width| width == 0) {
                let (expected, got) = ("an integer of at least 1".to_owned(), value.to_string());
                return Err(RegistryError::InvalidParameter { name: name.clone(), key: key.clone(), expected, got });
            }
        }
        Ok(ModelInfo {
            name: name.clone(),
            kind,
            backend: "fake".into(),
            revision: "1".into(),
            weights_hash: "unknown".into(),
            parameters: parameters.clone(),
            determinism: Determinism::Bitwise,
            dimension: None,
            batch_max: 1,
            memory_bytes: 0,
            lane: Lane::Cpu,
            about: String::new(),
        })
    }

    fn load(&self, _: &ModelInfo) -> Result<LoadedModel, ModelError> {
        Err(ModelError::permanent("a fake"))
    }
}

fn good() -> Value {
    json!({
        "name": "pair", "networks": [["DummyT2I", "DummyI2T"]], "prompts": ["", "a red circle"],
        "embedding_models": ["DummyText", "DummyVision"], "max_length": 10, "seeds": [-1, 7],
        "parameters": {"DummyT2I": {"width": 64}},
    })
}

/// Returns the good config with these keys set, or left out where the value is null.
fn with(changes: Value) -> Value {
    let mut document = good();
    let map = document.as_object_mut().unwrap();
    for (key, value) in changes.as_object().unwrap() {
        map.remove(key);
        if !value.is_null() {
            map.insert(key.clone(), value.clone());
        }
    }
    document
}

fn parsed(document: &Value) -> ExperimentConfig {
    parse_config(&document.to_string(), Syntax::Json).unwrap().config
}

/// Returns what parsing the good config with these changes says.
fn said(changes: Value) -> String {
    parse_config(&with(changes).to_string(), Syntax::Json).unwrap_err().to_string()
}

/// Returns what checking the good config with these changes says.
fn checked(changes: Value) -> String {
    check_config(&parsed(&with(changes)), &FakeRegistry).unwrap_err().to_string()
}

fn said_of_text(text: &str, syntax: Syntax) -> String {
    parse_config(text, syntax).unwrap_err().to_string()
}

fn is_plain_error<E: std::error::Error + Send + Sync + 'static>() {}

#[test]
fn errors_travel() {
    is_plain_error::<ConfigError>();
}

#[test]
fn a_good_config_is_read_and_its_models_are_told() {
    let given = parse_config(&good().to_string(), Syntax::Json).unwrap();
    insta::assert_snapshot!(given.as_given, @r#"{"embedding_models":["DummyText","DummyVision"],"max_length":10,"name":"pair","networks":[["DummyT2I","DummyI2T"]],"parameters":{"DummyT2I":{"width":64}},"prompts":["","a red circle"],"seeds":[-1,7]}"#);
    let infos = check_config(&given.config, &FakeRegistry).unwrap();
    let names: Vec<_> = infos.keys().map(ModelName::as_str).collect();
    assert_eq!(names, ["DummyI2T", "DummyT2I", "DummyText", "DummyVision"]);
    assert_eq!(infos[&ModelName::new("DummyT2I")].parameters["width"], 64);
    assert!(infos[&ModelName::new("DummyI2T")].parameters.is_empty());
}

#[test]
fn both_dialects_in_both_syntaxes_are_one_config() {
    let plural = r#"{"networks": [["DummyT2I", "DummyI2T"]], "prompts": ["p"], "embedding_models": ["DummyText"],
        "max_length": 4, "seeds": [-1, -1], "parameters": {"DummyT2I": {"width": 8}}}"#;
    let count = r#"{"network": ["DummyT2I", "DummyI2T"], "prompts": ["p"], "embedding_models": ["DummyText"],
        "max_length": 4, "seed_count": 2, "parameters": {"DummyT2I": {"width": 8}}}"#;
    let toml_of = |networks: &str, seeds: &str| {
        format!(
            "{networks}\nprompts = ['p']\nembedding_models = ['DummyText']\nmax_length = 4 # steps\n{seeds}\n\
             [parameters.DummyT2I]\nwidth = 8\n"
        )
    };
    let expected = parse_config(plural, Syntax::Json).unwrap();
    let in_toml = toml_of("networks = [['DummyT2I', 'DummyI2T']]", "seeds = [-1, -1]");
    assert_eq!(parse_config(&in_toml, Syntax::Toml).unwrap(), expected);
    assert_eq!(parse_config(&format!("\u{feff}{plural}"), Syntax::Json).unwrap(), expected);
    let in_count = parse_config(count, Syntax::Json).unwrap();
    assert_eq!(in_count.config, expected.config);
    for seeds in ["seed_count = 2", "num_runs = 2"] {
        let in_toml = parse_config(&toml_of("network = ['DummyT2I', 'DummyI2T']", seeds), Syntax::Toml).unwrap();
        assert_eq!(in_toml.config, expected.config);
    }
}

#[test]
fn one_problem_is_one_line() {
    insta::assert_snapshot!(said(json!({"networks": [["DummyT2I"], [10]]})), @"networks[1][0]: expected a model name (a string that is not empty), got 10");
    insta::assert_snapshot!(said(json!({"networks": [["DummyT2I", ""]]})), @r#"networks[0][1]: expected a model name (a string that is not empty), got """#);
    insta::assert_snapshot!(said(json!({"networks": [[]]})), @"networks[0]: expected a list of model names, at least one, got []");
    insta::assert_snapshot!(said(json!({"networks": ["DummyT2I"]})), @r#"networks[0]: expected a list of model names, got "DummyT2I""#);
    insta::assert_snapshot!(said(json!({"networks": null})), @"networks: expected exactly one of networks, network, got none");
    insta::assert_snapshot!(said(json!({"network": ["DummyT2I"]})), @"network: expected exactly one of networks, network, got networks and network");
    insta::assert_snapshot!(said(json!({"networks": null, "network": [["DummyT2I"]]})), @r#"network[0]: expected a model name (a string that is not empty), got ["DummyT2I"]"#);
    insta::assert_snapshot!(said(json!({"prompts": []})), @"prompts: expected a list of strings, at least one, got []");
    insta::assert_snapshot!(said(json!({"prompts": "a red circle"})), @r#"prompts: expected a list of strings, got "a red circle""#);
    insta::assert_snapshot!(said(json!({"prompts": ["p", {"text": "x".repeat(80)}]})), @r#"prompts[1]: expected a string, got {"text":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…"#);
    insta::assert_snapshot!(said(json!({"embedding_models": ["A", "B", "A"]})), @r#"embedding_models[2]: "A" is already at embedding_models[0]; each is used once"#);
    insta::assert_snapshot!(said(json!({"embedding_models": null})), @"embedding_models: missing; expected a list of model names");
    insta::assert_snapshot!(said(json!({"name": ""})), @r#"name: expected a string that is not empty, and not "latest", which means the newest experiment, got """#);
    insta::assert_snapshot!(said(json!({"name": "latest"})), @r#"name: expected a string that is not empty, and not "latest", which means the newest experiment, got "latest""#);
    insta::assert_snapshot!(said(json!({"seeds": null, "seed_count": 1_000_000, "prompts": ["a", "b"]})), @"seeds: expected at most 1000000 runs (networks × prompts × seeds), got 2000000");
    insta::assert_snapshot!(said(json!({"parameters": {"DummyT2I": 5}})), @"parameters.DummyT2I: expected an object of parameters, got 5");
    insta::assert_snapshot!(said(json!({"parameters": {"": {}}})), @r#"parameters."": expected a model name, got """#);
    insta::assert_snapshot!(said(json!({"parameters": []})), @"parameters: expected an object that maps model names to objects, got []");
}

#[test]
fn numbers_are_integers_in_range() {
    insta::assert_snapshot!(said(json!({"max_length": 10.0})), @"max_length: expected an integer from 1 to 9007199254740992, got 10.0");
    insta::assert_snapshot!(said_of_text("network = ['A']\nprompts = ['']\nembedding_models = ['E']\nmax_length = 10.0\nnum_runs = 1", Syntax::Toml), @"max_length: expected an integer from 1 to 9007199254740992, got 10.0");
    insta::assert_snapshot!(said(json!({"max_length": true})), @"max_length: expected an integer from 1 to 9007199254740992, got true");
    insta::assert_snapshot!(said(json!({"max_length": 0})), @"max_length: expected an integer from 1 to 9007199254740992, got 0");
    insta::assert_snapshot!(said(json!({"max_length": (1_u64 << 53) + 1})), @"max_length: expected an integer from 1 to 9007199254740992, got 9007199254740993");
    let widest =
        json!({"max_length": 1_u64 << 53, "networks": null, "network": ["A", "B"], "prompts": ["p"], "seeds": [0]});
    assert_eq!(parsed(&with(widest)).max_length.get(), 1 << 53);
    insta::assert_snapshot!(said(json!({"max_length": 1_u64 << 53, "seeds": [0, 1], "prompts": ["p"], "networks": [["A", "B"]]})), @"max_length: expected at most 9007199254740992 invocations (runs × max_length), got 18014398509481984");
    insta::assert_snapshot!(said(json!({"max_length": "10"})), @r#"max_length: expected an integer from 1 to 9007199254740992, got "10""#);
    insta::assert_snapshot!(said(json!({"seeds": [0, -2]})), @"seeds[1]: expected an integer from -1 to 9223372036854775807, got -2");
    insta::assert_snapshot!(said(json!({"seeds": [u64::MAX]})), @"seeds[0]: expected an integer from -1 to 9223372036854775807, got 18446744073709551615");
    insta::assert_snapshot!(said(json!({"seeds": 3})), @"seeds: expected a list of integers, each at least -1, got 3");
    insta::assert_snapshot!(said(json!({"seeds": null})), @"seeds: expected exactly one of seeds, seed_count, num_runs, got none");
    insta::assert_snapshot!(said(json!({"seed_count": 3})), @"seed_count: expected exactly one of seeds, seed_count, num_runs, got seeds and seed_count");
    insta::assert_snapshot!(said(json!({"seeds": null, "num_runs": 0})), @"num_runs: expected an integer from 1 to 1000000, got 0");
    insta::assert_snapshot!(said(json!({"seeds": null, "seed_count": 1_000_001})), @"seed_count: expected an integer from 1 to 1000000, got 1000001");
    assert_eq!(parsed(&with(json!({"seeds": null, "seed_count": 400_000}))).seeds.len(), 400_000);
}

#[test]
fn a_misspelt_key_is_told_once() {
    insta::assert_snapshot!(said(json!({"prompt": ["p"], "prompts": null})), @r#"prompt: unknown key; the keys are name, networks, network, prompts, embedding_models, max_length, seeds, seed_count, num_runs, parameters, generators, diagram_memory_limit; did you mean "prompts"?"#);
    insta::assert_snapshot!(said(json!({"seed": [1], "seeds": null})), @r#"seed: unknown key; the keys are name, networks, network, prompts, embedding_models, max_length, seeds, seed_count, num_runs, parameters, generators, diagram_memory_limit; did you mean "seeds"?"#);
    insta::assert_snapshot!(said(json!({"zebra crossing": 1})), @r#""zebra crossing": unknown key; the keys are name, networks, network, prompts, embedding_models, max_length, seeds, seed_count, num_runs, parameters, generators, diagram_memory_limit"#);
}

#[test]
fn all_problems_are_told_up_to_twenty() {
    insta::assert_snapshot!(said_of_text("{}", Syntax::Json), @r"
    5 problems
    networks: expected exactly one of networks, network, got none
    prompts: missing; expected a list of strings
    embedding_models: missing; expected a list of model names
    max_length: missing; expected an integer from 1 to 9007199254740992
    seeds: expected exactly one of seeds, seed_count, num_runs, got none
    ");
    insta::assert_snapshot!(said_of_text("[1, 2]", Syntax::Json), @"document: expected an object with the keys of a config, got [1,2]");
    let many = said(json!({"prompts": vec![1; 25]}));
    assert_eq!(many.lines().count(), 1 + PROBLEMS_MAX + 1);
    assert!(many.starts_with("25 problems\nprompts[0]: expected a string, got 1\n"));
    assert!(many.ends_with("prompts[19]: expected a string, got 1\nand 5 more"));
}

#[test]
fn syntax_errors_have_a_line_and_a_column() {
    insta::assert_snapshot!(said_of_text("{\"prompts\": [\"é\",]}", Syntax::Json), @"not JSON: line 1, column 18: trailing comma");
    insta::assert_snapshot!(said_of_text("", Syntax::Json), @"not JSON: line 1, column 1: EOF while parsing a value");
    insta::assert_snapshot!(said_of_text("{\n  \"name\": \"a\",\n  \"name\": \"b\"}", Syntax::Json), @r#"not JSON: line 3, column 8: the key "name" is here twice"#);
    insta::assert_snapshot!(said_of_text("{\"parameters\": {\"A\": {\"x\": 1, \"x\": 1}}}", Syntax::Json), @r#"not JSON: line 1, column 33: the key "x" is here twice"#);
    insta::assert_snapshot!(said_of_text(&"[".repeat(10_000), Syntax::Json), @"not JSON: line 1, column 128: recursion limit exceeded");
    insta::assert_snapshot!(said_of_text("max_length = 1\nprompts = [\"é\" 1]", Syntax::Toml), @"not TOML: line 2, column 16: missing comma between array elements, expected `,`");
    insta::assert_snapshot!(said_of_text("name = 'a'\nname = 'b'", Syntax::Toml), @"not TOML: line 2, column 1: duplicate key");
    assert!(said_of_text(&format!("a = {}", "[".repeat(10_000)), Syntax::Toml).starts_with("not TOML: line 1"));
}

#[test]
fn what_json_has_not_is_refused_in_toml() {
    let text = "seeds = [1, 1979-05-27]\n[parameters.'gpt 4.1']\nheat = nan\nend = -inf";
    insta::assert_snapshot!(said_of_text(text, Syntax::Toml), @r#"
    3 problems
    parameters."gpt 4.1".end: expected a value that JSON has, too, got -inf
    parameters."gpt 4.1".heat: expected a value that JSON has, too, got nan
    seeds[1]: expected a value that JSON has, too, got the date or time 1979-05-27
    "#);
}

#[test]
fn unknown_models_are_told_where_they_stand() {
    insta::assert_snapshot!(checked(json!({"networks": [["DummyT2I", "DumyI2T"]]})), @r#"networks[0][1]: unknown model "DumyI2T"; did you mean "DummyI2T"?"#);
    insta::assert_snapshot!(checked(json!({"embedding_models": ["Zebra"]})), @r#"embedding_models[0]: unknown model "Zebra"; models that would fit: DummyText, DummyVision"#);
}

#[test]
fn networks_go_round() {
    insta::assert_snapshot!(checked(json!({"networks": [["DummyI2T", "DummyT2I"]]})), @"networks[0]: starts with DummyI2T, which takes an image; a run starts from a text prompt; models that would fit: DummyT2I, DummyT2I2");
    insta::assert_snapshot!(checked(json!({"networks": [["DummyT2I", "DummyText"]]})), @"networks[0][1]: DummyText is a text embedder, which gives a vector that no next model takes; models that would fit: DummyI2T, DummyI2T2");
    insta::assert_snapshot!(checked(json!({"networks": [["DummyT2I", "DummyT2I2", "DummyI2T"]]})), @"networks[0][1]: DummyT2I2 takes text, but DummyT2I before it gives an image; models that would fit: DummyI2T, DummyI2T2");
    insta::assert_snapshot!(checked(json!({"networks": [["DummyT2I", "DummyI2T", "DummyT2I"]]})), @"networks[0]: the last model, DummyT2I, gives an image, but the first, DummyT2I, takes text and comes next in the cycle; a further model is needed at the end; models that would fit: DummyI2T, DummyI2T2");
    insta::assert_snapshot!(checked(json!({"networks": [["DummyT2I"]]})), @"networks[0]: the last model, DummyT2I, gives an image, but the first, DummyT2I, takes text and comes next in the cycle; a further model is needed at the end; models that would fit: DummyI2T, DummyI2T2");
    insta::assert_snapshot!(checked(json!({"networks": [["DummyI2T", "DummyI2T2"], ["DummyT2I", "DummyT2I"]]})), @r"
    3 problems
    networks[0]: starts with DummyI2T, which takes an image; a run starts from a text prompt; models that would fit: DummyT2I, DummyT2I2
    networks[0][1]: DummyI2T2 takes an image, but DummyI2T before it gives text; models that would fit: DummyT2I, DummyT2I2
    networks[1][1]: DummyT2I takes text, but DummyT2I before it gives an image; models that would fit: DummyI2T, DummyI2T2
    ");
    insta::assert_snapshot!(checked(json!({"networks": [["DummyVision", "Zebra", "DummyI2T", "Zebra"]]})), @r#"
    4 problems
    networks[0][0]: DummyVision is an image embedder, which gives a vector that no next model takes; models that would fit: DummyT2I, DummyT2I2
    networks[0][1]: unknown model "Zebra"; models that would fit: DummyT2I, DummyT2I2, DummyI2T, DummyI2T2
    networks[0][3]: unknown model "Zebra"; models that would fit: DummyT2I, DummyT2I2
    parameters.DummyT2I: the config does not use this model; it uses DummyVision, Zebra, DummyI2T, DummyText
    "#);
    insta::assert_snapshot!(checked(json!({"embedding_models": ["DummyI2T", "DummyText"]})), @"embedding_models[0]: DummyI2T is an image→text model, expected an embedder; models that would fit: DummyText, DummyVision");
}

#[test]
fn parameters_are_of_models_in_use_and_fit_them() {
    insta::assert_snapshot!(checked(json!({"parameters": {"DummyT2I2": {}}})), @"parameters.DummyT2I2: the config does not use this model; it uses DummyT2I, DummyI2T, DummyText, DummyVision");
    insta::assert_snapshot!(checked(json!({"parameters": {"DummyT2I": {"width": 0}}})), @r#"parameters.DummyT2I: parameter "width" of model DummyT2I: expected an integer of at least 1, got 0"#);
    insta::assert_snapshot!(checked(json!({"parameters": {"DummyT2I": {"size": 8}, "DummyText": {"x": 1}}})), @r#"
    2 problems
    parameters.DummyT2I: model DummyT2I has no parameter "size"; it has width
    parameters.DummyText: model DummyText has no parameter "x"; it has none
    "#);
}

#[test]
fn what_is_stored_of_diagrams_is_asked_for() {
    assert_eq!(parsed(&with(json!({}))).diagrams, DiagramConfig::default());
    let diagrams = parsed(&with(json!({"generators": 3, "diagram_memory_limit": "1.5GiB"}))).diagrams;
    assert_eq!((diagrams.generator_count_max, diagrams.memory_bytes_max), (3, Some(3 << 29)));
    assert_eq!(parsed(&with(json!({"diagram_memory_limit": 4096}))).diagrams.memory_bytes_max, Some(4096));
    insta::assert_snapshot!(said(json!({"generators": 0})), @"generators: expected an integer from 1 to 256, got 0");
    insta::assert_snapshot!(said(json!({"generators": true})), @"generators: expected an integer from 1 to 256, got true");
    insta::assert_snapshot!(said(json!({"diagram_memory_limit": "4 parsecs"})), @r#"diagram_memory_limit: expected a size of at least one byte, such as "4GiB", or a number of bytes, got "4 parsecs""#);
}

#[test]
fn the_schema_has_the_keys_of_the_parser() {
    let schema: Value = serde_json::from_str(CONFIG_SCHEMA).unwrap();
    let mut in_schema: Vec<_> = schema["properties"].as_object().unwrap().keys().map(String::as_str).collect();
    let mut in_parser = KEYS.map(|(key, _)| key).to_vec();
    in_schema.sort_unstable();
    in_parser.sort_unstable();
    assert_eq!(in_schema, in_parser);
    assert!(schema["properties"].as_object().unwrap().values().all(|property| property["description"].is_string()));
}

/// Returns what reading a file of these bytes says, with the directory left out of it.
fn said_of_file(name: &str, bytes: &[u8]) -> String {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    without_directory(directory.path(), &read_config(&path).unwrap_err())
}

fn without_directory(directory: &Path, error: &ConfigError) -> String {
    error.to_string().replace(&directory.display().to_string(), "DIR")
}

#[test]
fn files_that_are_no_config_are_named() {
    insta::assert_snapshot!(said_of_file("a.json", b"{"), @"DIR/a.json: not JSON: line 1, column 1: EOF while parsing an object");
    insta::assert_snapshot!(said_of_file("a.TOML", b"{"), @"DIR/a.TOML: not TOML: line 1, column 1: invalid key-value pair, expected key");
    insta::assert_snapshot!(said_of_file("a", b" \n[]"), @"DIR/a: not TOML: line 2, column 2: unquoted keys cannot be empty, expected letters, numbers, `-`, `_`");
    insta::assert_snapshot!(said_of_file("a.json", b"{\"name\": \"\xff\"}"), @"DIR/a.json is not UTF-8 text: the first bad byte is at offset 10");
    insta::assert_snapshot!(said_of_file("a.json", with(json!({"max_length": 0})).to_string().as_bytes()), @"DIR/a.json: max_length: expected an integer from 1 to 9007199254740992, got 0");
    insta::assert_snapshot!(said_of_file("a.json", b"{\"networks\": 1, \"seeds\": 1}"), @r"
    DIR/a.json: 5 problems
    networks: expected a list of networks, each a list of model names, got 1
    prompts: missing; expected a list of strings
    embedding_models: missing; expected a list of model names
    max_length: missing; expected an integer from 1 to 9007199254740992
    seeds: expected a list of integers, each at least -1, got 1
    ");
    let directory = tempfile::tempdir().unwrap();
    let error = read_config(directory.path()).unwrap_err();
    insta::assert_snapshot!(without_directory(directory.path(), &error), @"DIR is a directory, expected a config file");
    let error = read_config(&directory.path().join("none.json")).unwrap_err();
    insta::assert_snapshot!(without_directory(directory.path(), &error), @"no config file DIR/none.json");
    let path = directory.path().join("long");
    std::fs::write(&path, "12345").unwrap();
    assert_eq!(super::read::read_text(&path, 5).unwrap(), "12345");
    let error = super::read::read_text(&path, 4).unwrap_err();
    insta::assert_snapshot!(without_directory(directory.path(), &error), @"DIR/long is larger than 4 bytes, the most a config may have");
}

#[test]
fn a_text_that_starts_with_a_brace_is_json() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config");
    std::fs::write(&path, format!("\n {}", good())).unwrap();
    assert_eq!(read_config(&path).unwrap().config, parsed(&good()));
}

fn any_json() -> impl Strategy<Value = Value> {
    let key = prop_oneof![proptest::sample::select(KEYS.map(|(key, _)| key).to_vec()).prop_map(str::to_owned), ".*"];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        // A count that is in range asks for a list of that length.
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".*".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::btree_map(key.clone(), inner, 0..8)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_document_makes_it_panic(document in any_json()) {
        match parse_config(&document.to_string(), Syntax::Json) {
            Ok(given) => prop_assert_eq!(parse_config(&given.as_given, Syntax::Json).unwrap(), given),
            Err(error) => prop_assert!(!error.to_string().starts_with("0 problems")),
        }
    }

    #[test]
    fn a_changed_key_never_makes_it_panic(index in 0..KEYS.len(), value in any_json()) {
        let document = with(json!({ KEYS[index].0: value }));
        if let Ok(given) = parse_config(&document.to_string(), Syntax::Json) {
            check_config(&given.config, &FakeRegistry).map(|_| ()).unwrap_or_default();
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in ".*") {
        for syntax in [Syntax::Json, Syntax::Toml] {
            prop_assert!(parse_config(&text, syntax).is_err());
        }
    }

    #[test]
    fn toml_like_text_never_makes_it_panic(text in "([a-z_]{1,4} = |[\\[\\]{}'\",.é\n0-9-]| ){0,20}") {
        for syntax in [Syntax::Json, Syntax::Toml] {
            prop_assert!(parse_config(&text, syntax).is_err());
        }
    }
}
