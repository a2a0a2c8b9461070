//! `doctor`: looks for anything wrong or missing, changes nothing, and says it; `--fix` mends.

mod fix;
mod show;
mod watch;

use std::collections::{BTreeMap, BTreeSet};

use loopscope_core::backend::Registry;
use loopscope_core::doctor::{
    Diagnosis, DoctorOptions, Finding, Gauge, Severity, examine_watched, note_unknown_models,
};
use loopscope_core::engine::models_not_here;
use loopscope_core::experiment::{ExperimentId, ModelName, Origin};
use loopscope_core::store::Store;
use loopscope_models::ModelRegistry;

use self::show::Shown;
use crate::args::{DoctorArgs, Global};
use crate::failure::Exit;
use crate::report::Talk;

pub(super) fn doctor(arguments: &DoctorArgs, global: &Global, talk: &Talk) -> anyhow::Result<Exit> {
    let experiment = match &arguments.experiment {
        Some(typed) => Some(Store::open_read(&global.db, &global.open_options())?.find_experiment(typed)?),
        None => None,
    };
    let options = DoctorOptions { experiment, decode_images: arguments.decode_images };
    if arguments.fix {
        return fix::fix(arguments, &options, global, talk);
    }
    let diagnosis = look(&options, false, global, talk)?;
    let counts = Counted::of(&diagnosis);
    Ok(if counts.violations > 0 || (arguments.strict && counts.incomplete > 0) { Exit::Failed } else { Exit::Ok })
}

/// Checks, and shows every finding and the sums.
fn look(options: &DoctorOptions, is_after_repair: bool, global: &Global, talk: &Talk) -> anyhow::Result<Diagnosis> {
    let registry = global.registry()?;
    let mut shown = Shown::new(global.json);
    talk.detail(&format!("checking {}", global.db.display()));
    let mut unfinished = BTreeSet::new();
    let mut found = |finding: &Finding| {
        if finding.severity == Severity::Incomplete {
            unfinished.extend(finding.experiment.as_ref().and_then(|id| id.parse::<ExperimentId>().ok()));
        }
        shown.take(finding);
    };
    let open_options = global.open_options();
    let check = |gauge: &Gauge| examine_watched(&global.db, &open_options, options, gauge, &mut found);
    let mut diagnosis = watch::watched(talk, global.json, check)?;
    add_unknown_models(options.experiment, global, &registry, &mut diagnosis, &mut |finding| shown.take(finding));
    shown.finish()?;
    show::summary(&diagnosis, &Beyond::of(&unfinished, is_after_repair, &registry, global), global)?;
    Ok(diagnosis)
}

/// What of the incomplete experiments no model of this program can give.
#[derive(Debug, Default)]
struct Beyond {
    /// The models that imported ones ask for and that are not here, with why.
    models: BTreeMap<ModelName, String>,
    /// Experiments of this program's own that cannot be gone on with, as people know them.
    experiments: Vec<String>,
    /// Whether everything else was computed just now.
    is_after_repair: bool,
}

impl Beyond {
    fn of(
        unfinished: &BTreeSet<ExperimentId>,
        is_after_repair: bool,
        registry: &ModelRegistry,
        global: &Global,
    ) -> Self {
        let mut beyond = Self { is_after_repair, ..Self::default() };
        // What does not read is a finding already, and then there is nothing to say of its models.
        let Ok(store) = Store::open_read(&global.db, &global.open_options()) else { return beyond };
        for &id in unfinished {
            let Ok(experiment) = store.experiment(id) else { continue };
            let not_here = models_not_here(registry, &store, &experiment).unwrap_or_default();
            if experiment.origin == Origin::Native && !not_here.is_empty() {
                beyond.experiments.push(format!("\"{}\" ({})", experiment.name, id.short()));
            }
            beyond.models.extend(not_here);
        }
        beyond
    }
}

/// Adds the notes that only a program with models can make; where the lists do not read there are none.
fn add_unknown_models(
    experiment: Option<ExperimentId>,
    global: &Global,
    registry: &ModelRegistry,
    diagnosis: &mut Diagnosis,
    found: &mut dyn FnMut(&Finding),
) {
    let is_known = |name: &str| registry.kind(&ModelName::new(name)).is_some();
    let noted = note_unknown_models(&global.db, &global.open_options(), experiment, &is_known, &mut |finding| {
        *diagnosis.counts.entry(finding.severity).or_default().entry(finding.kind).or_default() += 1;
        found(finding);
    });
    // A table that does not read is a finding already.
    noted.ok();
}

/// How many findings there are of each severity.
#[derive(Clone, Copy, Debug)]
struct Counted {
    violations: u64,
    incomplete: u64,
    notes: u64,
}

impl Counted {
    fn of(diagnosis: &Diagnosis) -> Self {
        let of = |severity| diagnosis.count(severity);
        Self { violations: of(Severity::Violation), incomplete: of(Severity::Incomplete), notes: of(Severity::Note) }
    }
}

/// Words for numbers by kind, such as `3 vector_not_finite, 1 wrong_length`.
fn by_reason<K: std::fmt::Display>(reasons: &BTreeMap<K, u64>) -> String {
    let words: Vec<String> =
        reasons.iter().map(|(reason, number)| format!("{} {reason}", crate::report::count(*number))).collect();
    words.join(", ")
}
