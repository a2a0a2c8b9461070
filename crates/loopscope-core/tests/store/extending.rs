//! Asking more of an experiment: what is added, what is dropped, what is refused.

use std::num::NonZeroU64;
use std::sync::Arc;

use loopscope_core::codec::encode_image;
use loopscope_core::experiment::{Determinism, ModelName, Output, Seed, SeededEntropy, Timestamp};
use loopscope_core::store::{Extended, Extension, RecordWriter, Store, StoreError, Write};

use super::support::{
    Bench, Planted, Still, config, count, dump, grow, invocation, picture, plant, plant_diagram, versions,
};

fn bench(prompts: &[&str], seeds: &[i64], max_length: u64) -> (Bench, Store, Planted) {
    let bench = Bench::new();
    let mut store = bench.store();
    let planted = plant(&mut store, 1, "one", config(prompts, seeds, max_length));
    (bench, store, planted)
}

fn extend(store: &mut Store, planted: &Planted, extension: &Extension) -> Result<Extended, StoreError> {
    store.extend(planted.id(), extension, &Still(5_000_000), &SeededEntropy::new(1))
}

fn seeds(values: &[i64]) -> Vec<Seed> {
    values.iter().map(|&value| Seed::new(value).unwrap()).collect()
}

fn length(value: u64) -> Option<NonZeroU64> {
    NonZeroU64::new(value)
}

/// (prompt, seed, run number, length) of each run, in the order of the store.
fn runs(store: &Store, planted: &Planted) -> Vec<(String, i64, u64, u64)> {
    let runs = store.runs(planted.id()).unwrap().into_iter();
    runs.map(|run| (run.key.initial_prompt, run.key.seed.value(), run.key.run_number, run.max_length.get())).collect()
}

fn run(prompt: &str, seed: i64, number: u64, length: u64) -> (String, i64, u64, u64) {
    (prompt.to_owned(), seed, number, length)
}

#[test]
fn prompts_and_seeds_add_the_runs_that_are_missing_with_the_next_numbers() {
    let (_bench, mut store, planted) = bench(&["p"], &[3, -1, -1], 4);
    let extension = Extension { prompts: vec!["q".to_owned()], seeds: seeds(&[-1, 3, 8]), ..Extension::default() };
    let extended = extend(&mut store, &planted, &extension).unwrap();
    assert_eq!(extended, Extended { runs_added: 9, ..Extended::default() });
    let mut expected = vec![run("p", 3, 0, 4), run("p", -1, 0, 4), run("p", -1, 1, 4)];
    expected.extend([run("p", -1, 2, 4), run("p", 3, 1, 4), run("p", 8, 0, 4)]);
    expected.extend([run("q", 3, 0, 4), run("q", -1, 0, 4), run("q", -1, 1, 4)]);
    expected.extend([run("q", -1, 2, 4), run("q", 3, 1, 4), run("q", 8, 0, 4)]);
    assert_eq!(runs(&store, &planted), expected);
    // What is stored is what a fresh experiment of the widened config would have.
    let config = store.experiment(planted.id()).unwrap().config;
    let stored: std::collections::BTreeSet<_> =
        store.runs(planted.id()).unwrap().into_iter().map(|run| run.key).collect();
    assert_eq!(stored, config.run_keys().into_iter().collect());
    assert_eq!(&config.prompts[..], ["p", "q"]);
    assert_eq!(&config.seeds[..], seeds(&[3, -1, -1, -1, 3, 8]));
}

#[test]
fn a_prompt_given_again_asks_for_its_runs_again() {
    let (_bench, mut store, planted) = bench(&["p"], &[3], 4);
    let extension = Extension { prompts: vec!["p".to_owned()], ..Extension::default() };
    assert_eq!(extend(&mut store, &planted, &extension).unwrap().runs_added, 1);
    assert_eq!(runs(&store, &planted), [run("p", 3, 0, 4), run("p", 3, 1, 4)]);
}

#[test]
fn a_greater_length_reaches_every_run_and_drops_only_diagrams_of_runs_that_go_on() {
    let (bench, mut store, planted) = bench(&["p"], &[1, 2, 3], 4);
    let versions = versions(&mut store, Determinism::Bitwise);
    // Run 0 has its full length, run 1 came back to its first picture, run 2 has just begun.
    grow(&mut store, &planted.runs[0], versions, 0, 4);
    grow(&mut store, &planted.runs[1], versions, 0, 2);
    let Output::Image(_) = invocation(&planted.runs[1], 0, versions, 0).output else { panic!("a picture") };
    let base = u64::from_be_bytes(planted.runs[1].id.as_bytes()[8..].try_into().unwrap()) * 1_000;
    let mut again = invocation(&planted.runs[1], 2, versions, 0);
    again.output = Output::Image(Arc::new(encode_image(&picture(base)).unwrap()));
    store.commit(&[Write::Invocation(Box::new(again))]).unwrap();
    grow(&mut store, &planted.runs[2], versions, 0, 1);
    for run in &planted.runs[..2] {
        plant_diagram(&bench.raw(), run.id, "Words");
        plant_diagram(&bench.raw(), run.id, "Looks");
    }
    let objects = (count(&bench.raw(), "invocation"), count(&bench.raw(), "embedding"));
    let extended = extend(&mut store, &planted, &Extension { max_length: length(9), ..Extension::default() }).unwrap();
    // The run in a cycle may be longer now and never will be.
    assert_eq!(extended, Extended { runs_added: 0, runs_lengthened: 2, diagrams_dropped: 2 });
    assert!(runs(&store, &planted).iter().all(|run| run.3 == 9));
    assert_eq!(store.experiment(planted.id()).unwrap().config.max_length.get(), 9);
    let progress = store.progress(planted.id(), &std::collections::BTreeMap::new()).unwrap();
    let diagrams: Vec<usize> = progress.iter().map(|progress| progress.diagrams.len()).collect();
    assert_eq!(diagrams, [0, 2, 0]);
    assert_eq!((count(&bench.raw(), "invocation"), count(&bench.raw(), "embedding")), objects);
}

#[test]
fn another_embedding_model_drops_nothing() {
    let (bench, mut store, planted) = bench(&["p"], &[1], 4);
    plant_diagram(&bench.raw(), planted.runs[0].id, "Words");
    let extension = Extension { embedding_models: vec![ModelName::new("More")], ..Extension::default() };
    assert_eq!(extend(&mut store, &planted, &extension).unwrap(), Extended::default());
    let models = store.experiment(planted.id()).unwrap().config.embedding_models;
    assert_eq!(models.iter().map(ModelName::as_str).collect::<Vec<_>>(), ["Words", "Looks", "More"]);
    assert_eq!(count(&bench.raw(), "persistence_diagram"), 1);
}

#[test]
fn an_extended_experiment_is_not_complete_and_other_experiments_are_untouched() {
    let (_bench, mut store, planted) = bench(&["p"], &[1], 4);
    let other = plant(&mut store, 2, "two", config(&["p"], &[1], 4));
    for id in [planted.id(), other.id()] {
        let at = Timestamp::from_micros(8);
        store.commit(&[Write::ExperimentStarted(id, at), Write::ExperimentCompleted(id, at)]).unwrap();
    }
    let before = (store.experiment(other.id()).unwrap(), store.runs(other.id()).unwrap());
    extend(&mut store, &planted, &Extension { max_length: length(5), ..Extension::default() }).unwrap();
    let experiment = store.experiment(planted.id()).unwrap();
    assert_eq!((experiment.started_at, experiment.completed_at), (Some(Timestamp::from_micros(8)), None));
    assert_eq!((store.experiment(other.id()).unwrap(), store.runs(other.id()).unwrap()), before);
}

#[test]
fn nothing_less_and_the_same_again_are_refused_and_leave_everything_as_it_was() {
    let (bench, mut store, planted) = bench(&["p"], &[1], 4);
    let at = Timestamp::from_micros(8);
    store.commit(&[Write::ExperimentCompleted(planted.id(), at)]).unwrap();
    let before = dump(&bench.raw());
    let mut refusal = |extension: Extension| {
        let error = extend(&mut store, &planted, &extension).unwrap_err();
        assert!(matches!(error, StoreError::Refused { .. }), "{error}");
        error.to_string()
    };
    let embedders = |names: &[&str]| names.iter().map(|name| ModelName::new(name)).collect();
    insta::assert_snapshot!(refusal(Extension::default()), @"nothing to extend by; give --prompt, --seed, --embedding-model or a greater --max-length");
    insta::assert_snapshot!(refusal(Extension { max_length: length(4), ..Extension::default() }), @"nothing to extend by; give --prompt, --seed, --embedding-model or a greater --max-length");
    insta::assert_snapshot!(refusal(Extension { max_length: length(3), ..Extension::default() }), @"--max-length 3 is below the present 4; runs only grow");
    let there = Extension { embedding_models: embedders(&["More", "Words"]), ..Extension::default() };
    insta::assert_snapshot!(refusal(there), @r#"experiment "one" has embedding model Words already"#);
    let twice = Extension { embedding_models: embedders(&["More", "More"]), ..Extension::default() };
    insta::assert_snapshot!(refusal(twice), @r#"experiment "one" has embedding model More already"#);
    let mixed = Extension { prompts: vec!["q".to_owned()], max_length: length(1), ..Extension::default() };
    refusal(mixed);
    assert_eq!(dump(&bench.raw()), before);
}

#[test]
fn an_extension_that_fails_leaves_everything_as_it_was() {
    let (bench, mut store, planted) = bench(&["p"], &[1], 4);
    bench
        .raw()
        .execute_batch(
            "CREATE TRIGGER stop BEFORE INSERT ON run WHEN NEW.seed = 9 BEGIN SELECT RAISE(ABORT, 'stop'); END",
        )
        .unwrap();
    let before = dump(&bench.raw());
    let extension = Extension { seeds: seeds(&[8, 9]), max_length: length(40), ..Extension::default() };
    extend(&mut store, &planted, &extension).unwrap_err();
    assert_eq!(dump(&bench.raw()), before);
}

#[test]
fn extensions_at_the_same_time_all_hold() {
    let (bench, store, planted) = bench(&["p"], &[1], 4);
    let count = 8;
    std::thread::scope(|scope| {
        for number in 0..count {
            let (bench, planted) = (&bench, &planted);
            scope.spawn(move || {
                let extension = Extension { prompts: vec![format!("prompt {number}")], ..Extension::default() };
                let entropy = SeededEntropy::new(100 + number);
                bench.store().extend(planted.id(), &extension, &Still(0), &entropy).unwrap();
            });
        }
    });
    let config = store.experiment(planted.id()).unwrap().config;
    assert_eq!(config.prompts.len() as u64, count + 1);
    assert_eq!(store.runs(planted.id()).unwrap().len() as u64, count + 1);
}
