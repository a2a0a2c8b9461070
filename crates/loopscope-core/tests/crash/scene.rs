//! A small experiment, what it comes to undisturbed, and how to look at what is left of it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use loopscope_core::backend::Registry;
use loopscope_core::config::GivenConfig;
use loopscope_core::doctor::{DoctorOptions, Severity, examine};
use loopscope_core::engine::{Engine, EngineError, EngineOptions, Event, Outcome, RetryPolicy, create_experiment};
use loopscope_core::experiment::{ExperimentConfig, ExperimentId, RunKey, SeededEntropy, SystemClock};
use loopscope_core::store::{OpenOptions, Store};

use crate::support::{RunContent, TestRegistry, config, content};

pub(crate) type Content = BTreeMap<RunKey, RunContent>;

/// Four runs of unequal length, texts and pictures; all of them repeat themselves.
pub(crate) fn asked() -> ExperimentConfig {
    config(&[&["Paint", "Say"], &["Paint", "Say2", "Paint2", "Say"]], &["one", ""], &[3], 12)
}

pub(crate) fn registry() -> TestRegistry {
    TestRegistry { vocabulary: 9, ..TestRegistry::default() }
}

/// A folder for a database: where `LOOPSCOPE_SCRATCH` says, or where temporary files are.
pub(crate) fn folder() -> tempfile::TempDir {
    match std::env::var_os("LOOPSCOPE_SCRATCH") {
        Some(folder) => tempfile::tempdir_in(folder).unwrap(),
        None => tempfile::tempdir().unwrap(),
    }
}

pub(crate) fn database(folder: &tempfile::TempDir) -> PathBuf {
    folder.path().canonicalize().unwrap().join("store.sqlite")
}

/// How to open with a file layer, or with the system's.
pub(crate) fn options(vfs: Option<String>) -> OpenOptions {
    OpenOptions { busy_timeout: Duration::from_millis(200), free_bytes_min: 0, vfs }
}

pub(crate) fn engine_options() -> EngineOptions {
    let retry =
        RetryPolicy { attempts_max: 3, wait_first: Duration::from_micros(200), wait_max: Duration::from_millis(1) };
    EngineOptions { threads: 2, retry, ..EngineOptions::default() }
}

pub(crate) fn create(path: &Path, open: &OpenOptions, seed: u64) -> Result<ExperimentId, EngineError> {
    let mut store = Store::open_write(path, open)?;
    let given = GivenConfig { config: asked(), as_given: "{}".to_owned() };
    let entropy = SeededEntropy::new(seed);
    Ok(create_experiment(&mut store, given, "test", &SystemClock, &entropy)?.id)
}

/// Opens and works; `watch` sees every event and may ask to stop.
pub(crate) fn work(
    path: &Path,
    open: &OpenOptions,
    registry: &dyn Registry,
    (id, seed): (ExperimentId, u64),
    watch: &mut dyn FnMut(&Event) -> bool,
) -> Result<Outcome, EngineError> {
    let store = Store::open_existing(path, open)?;
    let (options, entropy) = (engine_options(), SeededEntropy::new(seed));
    let engine = Engine { registry, clock: &SystemClock, entropy: &entropy, options: &options };
    let stop = AtomicBool::new(false);
    engine.work(store, id, &stop, &mut |event| {
        if watch(event) {
            stop.store(true, Ordering::Relaxed);
        }
    })
}

/// What the experiment comes to when nothing disturbs it.
pub(crate) fn undisturbed() -> &'static Content {
    static CONTENT: OnceLock<Content> = OnceLock::new();
    CONTENT.get_or_init(|| {
        let folder = folder();
        let path = database(&folder);
        let id = create(&path, &options(None), 1).unwrap();
        let outcome = work(&path, &options(None), &registry(), (id, 2), &mut |_| false).unwrap();
        assert_eq!(outcome, Outcome::Completed);
        content(&path, id)
    })
}

/// Says what is wrong with a store in which something may be missing, and nothing may be damaged.
pub(crate) fn defects(path: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let quick: Vec<String> = rusqlite::Connection::open(path)
        .and_then(|sql| {
            let mut statement = sql.prepare("PRAGMA quick_check")?;
            statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()
        })
        .unwrap_or_else(|error| vec![error.to_string()]);
    if quick != ["ok"] {
        found.push(format!("quick_check: {}", quick.join("; ")));
    }
    let doctor = DoctorOptions { decode_images: true, ..DoctorOptions::default() };
    let outcome = examine(path, &options(None), &doctor, &mut |finding| {
        if finding.severity == Severity::Violation {
            found.push(format!("{}: {}: {}", finding.kind, finding.object, finding.defect));
        }
    });
    if let Err(error) = outcome {
        found.push(format!("doctor: {error}"));
    }
    found
}

/// Says where a store holds something that an undisturbed one does not.
pub(crate) fn strangers(found: &Content) -> Vec<String> {
    let mut strange = Vec::new();
    for (key, run) in found {
        let Some(whole) = undisturbed().get(key) else {
            strange.push(format!("a run that nobody asked for: {key:?}"));
            continue;
        };
        if !whole.outputs.starts_with(&run.outputs) {
            strange.push(format!("outputs of {key:?} are no beginning of the undisturbed ones"));
        }
        if run.vectors.iter().any(|(place, vector)| whole.vectors.get(place) != Some(vector)) {
            strange.push(format!("a vector of {key:?} is another one"));
        }
        if run.diagrams.iter().any(|(model, diagram)| whole.diagrams.get(model) != Some(diagram)) {
            strange.push(format!("a diagram of {key:?} is another one"));
        }
    }
    strange
}
