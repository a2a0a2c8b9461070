//! `doctor`: looks for anything wrong or missing, changes nothing, and says it; `--fix` mends.

mod fix;
mod show;

use std::collections::BTreeMap;

use loopscope_core::backend::Registry;
use loopscope_core::doctor::{Diagnosis, DoctorOptions, Finding, Severity, examine, note_unknown_models};
use loopscope_core::experiment::{ExperimentId, ModelName};
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
    let diagnosis = look(&options, global, talk)?;
    let counts = Counted::of(&diagnosis);
    Ok(if counts.violations > 0 || (arguments.strict && counts.incomplete > 0) { Exit::Failed } else { Exit::Ok })
}

/// Checks, and shows every finding and the sums.
fn look(options: &DoctorOptions, global: &Global, talk: &Talk) -> anyhow::Result<Diagnosis> {
    let registry = global.registry()?;
    let mut shown = Shown::new(global.json);
    talk.detail(&format!("checking {}", global.db.display()));
    let mut diagnosis = examine(&global.db, &global.open_options(), options, &mut |finding| shown.take(finding))?;
    add_unknown_models(options.experiment, global, &registry, &mut diagnosis, &mut |finding| shown.take(finding));
    shown.finish()?;
    show::summary(&diagnosis, global)?;
    Ok(diagnosis)
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
