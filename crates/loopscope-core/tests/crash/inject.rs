//! A fault at every place from which the engine calls a model or the store calls the system.
//!
//! Which places there are is counted in a run without faults. A sweep then meets every one of them with everything that
//! can go wrong there; after it, seeds plan several faults at once. After each: nothing in the store is damaged, what
//! failed is on record, and a resume without faults ends where an undisturbed run does.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use loopscope_core::doctor::{DoctorOptions, Severity, examine};
use loopscope_core::engine::{EngineError, Event, Outcome};
use loopscope_core::experiment::{ExperimentId, ModelKind};
use loopscope_core::store::{OpenOptions, Store};

use crate::chance::{Chance, setting};
use crate::faults::{Site, StoreFault, When};
use crate::models::{FaultyRegistry, ModelFault, ModelFaults, ModelSite, SITES, SharedFaults};
use crate::scene::{create, database, defects, folder, options, registry, strangers, undisturbed, work};
use crate::support::content;
use crate::vfs::{Layer, Obedience};

/// What is to go wrong in one run.
#[derive(Clone, Debug, Default)]
struct Plan {
    store: Vec<StoreFault>,
    models: BTreeMap<(ModelSite, u64), ModelFault>,
}

/// What was seen over all runs.
#[derive(Default)]
struct Sum {
    runs: u64,
    not_created: u64,
    stopped_by_store: u64,
    some_failed: u64,
    completed_anyway: u64,
    sites_met: BTreeMap<Site, u64>,
    models_met: BTreeMap<(ModelSite, ModelFault), u64>,
}

struct Rig {
    layer: Arc<Layer>,
    open: OpenOptions,
    sum: Sum,
    /// When the run under way began, for the watchdog.
    began: Arc<Mutex<Option<(Instant, String)>>>,
}

/// No run takes longer: it would be a hang.
const PATIENCE: Duration = Duration::from_secs(120);

impl Rig {
    fn new() -> Self {
        let home = folder();
        let layer = Layer::register(home.path(), false, Obedience::Honest);
        let began: Arc<Mutex<Option<(Instant, String)>>> = Arc::default();
        let watched = Arc::clone(&began);
        std::thread::spawn(move || {
            loop {
                std::thread::sleep(Duration::from_secs(1));
                let began = watched.lock().unwrap().clone();
                if let Some((at, what)) = began.filter(|(at, _)| at.elapsed() > PATIENCE) {
                    // Nothing else ends a test that hangs; where it hangs is in the core.
                    writeln!(std::io::stderr(), "{what}: no end after {:?}", at.elapsed()).ok();
                    std::process::abort();
                }
            }
        });
        let open = options(Some(layer.name()));
        Self { layer, open, sum: Sum::default(), began }
    }

    /// Returns how often each place of the store is met in a run without faults.
    fn calm_sites(&mut self) -> (BTreeMap<Site, u64>, BTreeMap<ModelSite, u64>) {
        let models = self.run(&Plan::default(), "calm", 1);
        let sites = self.layer.faults.lock().unwrap().calls.clone();
        (sites, models)
    }

    /// Runs the experiment with faults, looks at what is left, and resumes without.
    fn run(&mut self, plan: &Plan, name: &str, seed: u64) -> BTreeMap<ModelSite, u64> {
        *self.began.lock().unwrap() = Some((Instant::now(), format!("{name}: {plan:?}")));
        let folder = folder();
        let path = database(&folder);
        *self.layer.faults.lock().unwrap() =
            crate::faults::StoreFaults { planned: plan.store.clone(), ..Default::default() };
        let faults: SharedFaults =
            Arc::new(Mutex::new(ModelFaults { planned: plan.models.clone(), ..ModelFaults::default() }));
        let faulty = FaultyRegistry { inner: registry(), faults: Arc::clone(&faults) };
        let created = create(&path, &self.open, seed);
        let (mut failures_told, mut outcome) = (0, None);
        if let Ok(id) = created {
            let worked = work(&path, &self.open, &faulty, (id, seed + 1), &mut |event| {
                failures_told += u64::from(matches!(event, Event::Failure { .. }));
                false
            });
            self.note_outcome(&worked, &format!("{name}: {plan:?}"));
            outcome = Some(worked);
        } else {
            self.sum.runs += 1;
            self.sum.not_created += 1;
        }
        self.note_met(&faults);
        self.layer.faults.lock().unwrap().planned.clear();
        let context = format!("{name}: {plan:?}: creation {created:?}, then {outcome:?}");
        let id = self.check_left(&path, created, seed, &context);
        if let Some(Ok(_)) = outcome {
            check_record(&path, id, failures_told, &faults.lock().unwrap(), &context);
        }
        check_resume(&path, id, seed, &context);
        *self.began.lock().unwrap() = None;
        let mut faults = faults.lock().unwrap();
        std::mem::take(&mut faults.calls)
    }

    fn note_outcome(&mut self, outcome: &Result<Outcome, EngineError>, context: &str) {
        self.sum.runs += 1;
        match outcome {
            Ok(Outcome::Completed) => self.sum.completed_anyway += 1,
            Ok(Outcome::SomeFailed) => self.sum.some_failed += 1,
            Err(EngineError::Store(_)) => self.sum.stopped_by_store += 1,
            // These two are bugs by their own words, and nobody asked for a stop.
            other => panic!("{context}: {other:?}"),
        }
    }

    fn note_met(&mut self, faults: &SharedFaults) {
        for (&site, &count) in &self.layer.faults.lock().unwrap().met {
            *self.sum.sites_met.entry(site).or_default() += count;
        }
        for (&site, &count) in &faults.lock().unwrap().met {
            *self.sum.models_met.entry(site).or_default() += count;
        }
    }

    /// Nothing is damaged; an experiment that could not be made is made now.
    fn check_left(
        &self,
        path: &Path,
        created: Result<ExperimentId, EngineError>,
        seed: u64,
        context: &str,
    ) -> ExperimentId {
        let id = created.unwrap_or_else(|error| {
            assert!(matches!(error, EngineError::Store(_)), "{context}: {error:?}");
            create(path, &options(None), seed + 2).unwrap_or_else(|error| panic!("{context}: and then {error:?}"))
        });
        let mut wrong = defects(path);
        wrong.extend(strangers(&content(path, id)));
        assert!(wrong.is_empty(), "{context}: {wrong:#?}");
        id
    }
}

/// What failed is on record: every failure that was told, and one for every result that was spoilt.
fn check_record(path: &Path, id: ExperimentId, told: u64, faults: &ModelFaults, context: &str) {
    let store = Store::open_read(path, &options(None)).unwrap();
    let failures = store.failures(id).unwrap();
    assert_eq!(failures.len() as u64, told, "{context}: failures on record and told");
    let injected = failures.iter().filter(|failure| is_ours(&failure.error)).count() as u64;
    if faults.loads_failed == 0 {
        assert_eq!(injected, faults.failures, "{context}: failures on record and injected");
    } else {
        assert!(injected > faults.failures, "{context}: a load that failed is on record");
    }
}

/// Whether an error is of a model's fault, and not of a store that could not be read.
fn is_ours(error: &str) -> bool {
    ["injected", "results for", "numbers, expected", "finite numbers only", "not zero"]
        .iter()
        .any(|words| error.contains(words))
}

fn check_resume(path: &Path, id: ExperimentId, seed: u64, context: &str) {
    let outcome = work(
        path,
        &options(None),
        &FaultyRegistry { inner: registry(), faults: Arc::default() },
        (id, seed + 3),
        &mut |_| false,
    );
    assert!(matches!(outcome, Ok(Outcome::Completed)), "{context}: and resumed to {outcome:?}");
    assert_eq!(&content(path, id), undisturbed(), "{context}: another content than undisturbed");
    let mut left = Vec::new();
    let doctor = DoctorOptions { experiment: Some(id), decode_images: true };
    let outcome = examine(path, &options(None), &doctor, &mut |finding| {
        if finding.severity != Severity::Note {
            left.push(finding.clone());
        }
    });
    assert!(outcome.is_ok() && left.is_empty(), "{context}: after the resume {outcome:?} {left:#?}");
}

/// Every place of the store with everything that can go wrong there, at its first call, in the middle and at its last.
fn sweep_store(rig: &mut Rig, sites: &BTreeMap<Site, u64>, seed: &mut u64) {
    for (&site, &calls) in sites {
        for code in 0..site.0.codes().len() {
            for (call, times) in [(0, 1), (calls / 2, 1), (calls.saturating_sub(2), 1), (calls / 3, u64::MAX)] {
                let whens: &[When] = match site.0 {
                    crate::faults::Operation::Write => &[When::Before, When::Midway, When::After],
                    crate::faults::Operation::Sync => &[When::Before, When::After],
                    _ => &[When::Before],
                };
                // What fails for ever fails the same way each time.
                for &when in if times == 1 { whens } else { &whens[..1] } {
                    let fault = StoreFault { site, call, times, when, code };
                    rig.run(&Plan { store: vec![fault], ..Plan::default() }, "sweep of the store", *seed);
                    *seed += 10;
                }
            }
        }
    }
}

fn sweep_models(rig: &mut Rig, seed: &mut u64) {
    for site in SITES {
        for fault in ModelFault::ALL.into_iter().filter(|fault| fault.fits(site)) {
            for calls in [0..1, 0..1_000] {
                let models = calls.map(|call| ((site, call), fault)).collect();
                rig.run(&Plan { models, ..Plan::default() }, "sweep of the models", *seed);
                *seed += 10;
            }
        }
    }
}

fn plan_of_seed(seed: u64, sites: &[(Site, u64)], models: &BTreeMap<ModelSite, u64>) -> Plan {
    let mut chance = Chance(seed);
    let mut plan = Plan::default();
    if chance.percent(65) {
        for _ in 0..=chance.below(2) {
            let &(site, calls) = chance.pick(sites);
            plan.store.push(StoreFault {
                site,
                call: chance.below(calls + calls / 4 + 1),
                times: *chance.pick(&[1, 1, 1, 2, 7, u64::MAX]),
                when: *chance.pick(&[When::Before, When::Midway, When::After]),
                code: usize::try_from(chance.below(2)).unwrap(),
            });
        }
    }
    if chance.percent(65) {
        for _ in 0..=chance.below(5) {
            let site = *chance.pick(&SITES);
            let fault = *chance.pick(&ModelFault::ALL);
            let calls = models.get(&site).copied().unwrap_or(1);
            if fault.fits(site) {
                plan.models.insert((site, chance.below(calls + 1)), fault);
            }
        }
    }
    plan
}

/// `LOOPSCOPE_FAULT_SEEDS` seeds (100 by themselves), from `LOOPSCOPE_FAULT_SEED` on, after a sweep of every place.
#[test]
fn whatever_fails_the_store_stays_whole_and_a_resume_completes_it() {
    quiet_injected_panics();
    let mut rig = Rig::new();
    let (sites, models) = rig.calm_sites();
    assert_eq!(models.keys().copied().collect::<BTreeSet<_>>(), BTreeSet::from(SITES), "not every model is called");
    let mut seed = 1_000_000;
    sweep_store(&mut rig, &sites, &mut seed);
    sweep_models(&mut rig, &mut seed);
    let swept = rig.sum.runs;
    for site in sites.keys() {
        assert!(rig.sum.sites_met.contains_key(site), "no fault was met at {site:?}");
    }
    for site in SITES {
        for fault in ModelFault::ALL.into_iter().filter(|fault| fault.fits(site)) {
            assert!(rig.sum.models_met.contains_key(&(site, fault)), "{fault:?} was not met at {site:?}");
        }
    }
    let sites: Vec<(Site, u64)> = sites.into_iter().collect();
    let first = setting("LOOPSCOPE_FAULT_SEED", 1);
    let seeds = setting("LOOPSCOPE_FAULT_SEEDS", 100);
    for seed in first..first + seeds {
        rig.run(&plan_of_seed(seed, &sites, &models), &format!("seed {seed}"), seed * 10);
    }
    let sum = &rig.sum;
    println!(
        "faults: {} store sites and {} model sites, each met; {swept} runs of the sweep and {seeds} seeds; {} faults met; \
         {} runs not begun and {} stopped by the store, {} with failures on record, {} completed all the same; every one resumed to the \
         undisturbed content",
        sites.len(),
        sum.models_met.len(),
        sum.sites_met.values().chain(sum.models_met.values()).sum::<u64>(),
        sum.not_created,
        sum.stopped_by_store,
        sum.some_failed,
        sum.completed_anyway,
    );
    for (site, count) in &sum.sites_met {
        println!("  {site:?}: {count}");
    }
    assert!(sum.stopped_by_store > 0 && sum.some_failed > 0 && sum.completed_anyway > 0, "one kind of end never came");
}

/// Thousands of panics that were asked for would bury the one that was not.
fn quiet_injected_panics() {
    static QUIET: AtomicU64 = AtomicU64::new(0);
    if QUIET.fetch_add(1, Ordering::Relaxed) == 0 {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !info.payload_as_str().is_some_and(|text| text.starts_with("injected")) {
                usual(info);
            }
        }));
    }
}

/// The kinds of models are four; a fifth would need its own sites here.
const _: [ModelKind; 4] =
    [ModelKind::TextToImage, ModelKind::ImageToText, ModelKind::TextEmbedder, ModelKind::ImageEmbedder];
