//! `doctor --fix`: say what would go, ask, take it out, compute what is missing, and check again.
//!
//! The locks of the experiments are held from before the check until each is given to the engine, so that nothing
//! changes between what was seen and what is done. The same loop makes a broken schema whole first, and looks again.

use std::collections::{BTreeMap, BTreeSet};
use std::io::IsTerminal;
use std::path::PathBuf;

use loopscope_core::config::check_config;
use loopscope_core::doctor::{Counts, Diagnosis, DoctorOptions, Finding, FindingKind, Fix, FixReport, Severity};
use loopscope_core::engine::Outcome;
use loopscope_core::experiment::{ExperimentId, Origin, OsEntropy, SystemClock};
use loopscope_core::store::{ExperimentLock, Store};

use super::show::{self, Shown};
use super::watch::watched;
use super::{Beyond, Counted, add_unknown_models, by_reason};
use crate::args::{DoctorArgs, Global};
use crate::command::work::work;
use crate::failure::{Exit, UsageError, unless_unread};
use crate::report::{Talk, bytes, confirm, count, print, print_json_line};

/// Plans that follow each other: the schema, the rows, and a look at what came of it.
const ROUNDS_MAX: usize = 4;

type Locks = BTreeMap<ExperimentId, ExperimentLock>;

pub(super) fn fix(
    arguments: &DoctorArgs,
    options: &DoctorOptions,
    global: &Global,
    talk: &Talk,
) -> anyhow::Result<Exit> {
    let mut store = Store::open_existing(&global.db, &global.open_options())?;
    let mut locks = lock(&store, options)?;
    let mut mender = Mender { arguments, options, global, talk, has_backup: false, has_changed: false };
    let (diagnosis, unfinished, shown) = match mender.mend(&mut store)? {
        Mended::Whole(diagnosis, unfinished, shown) => (diagnosis, unfinished, shown),
        Mended::Stopped(exit) => return Ok(exit),
    };
    drop(store);
    let mut exit = Exit::Ok;
    for &id in &unfinished {
        locks.remove(&id);
        match mender.compute(id)? {
            // What waits for models that are not here was told of, and another repair could do no more.
            Some(Outcome::Completed | Outcome::SomeUnavailable) => {}
            Some(Outcome::SomeFailed) => exit = Exit::SomeFailed,
            Some(Outcome::Interrupted) => {
                let again = global.command("doctor --fix");
                talk.say_anyway(&format!("interrupted; everything computed is saved, and `{again}` goes on"));
                return Ok(Exit::Interrupted);
            }
            None => {}
        }
    }
    drop(locks);
    let last =
        if mender.has_changed { mender.look_again()? } else { mender.conclude(diagnosis, shown, &unfinished)? };
    let counted = Counted::of(&last);
    let is_bad = counted.violations > 0 || (arguments.strict && counted.incomplete > 0);
    Ok(if is_bad { Exit::Failed } else { exit })
}

/// Takes the locks of all experiments that may be changed.
fn lock(store: &Store, options: &DoctorOptions) -> anyhow::Result<Locks> {
    let ids = match options.experiment {
        Some(id) => vec![id],
        None => store.experiment_ids()?,
    };
    let take = |id| Ok((id, ExperimentLock::take(store.path(), id)?));
    ids.into_iter().map(take).collect()
}

enum Mended {
    /// Nothing is to be taken out any more: what the last check said, the experiments that lack something, and the
    /// findings, shown or not.
    Whole(Diagnosis, BTreeSet<ExperimentId>, Shown),
    Stopped(Exit),
}

struct Mender<'a> {
    arguments: &'a DoctorArgs,
    options: &'a DoctorOptions,
    global: &'a Global,
    talk: &'a Talk,
    has_backup: bool,
    has_changed: bool,
}

impl Mender<'_> {
    /// Plans, asks and applies, until there is nothing to take out.
    fn mend(&mut self, store: &mut Store) -> anyhow::Result<Mended> {
        for round in 1..=ROUNDS_MAX {
            if self.global.json {
                print_json_line(&serde_json::json!({ "event": "check", "round": round }))?;
            }
            let mut shown = Shown::new(self.global.json);
            let mut unfinished = BTreeSet::new();
            let open_options = self.global.open_options();
            let plan = watched(self.talk, self.global.json, |gauge| {
                Fix::plan_watched(&self.global.db, &open_options, self.options, gauge, &mut |finding| {
                    unfinished.extend(unfinished_experiment(finding));
                    shown.take(finding);
                })
            })?;
            if plan.is_empty() && plan.blockers().is_empty() {
                return Ok(Mended::Whole(plan.diagnosis, unfinished, shown));
            }
            shown.finish()?;
            if !plan.blockers().is_empty() {
                self.refuse(&plan)?;
                return Ok(Mended::Stopped(Exit::Failed));
            }
            if !self.agree(&plan)? {
                self.talk.say("nothing was changed");
                return Ok(Mended::Stopped(Exit::Failed));
            }
            self.back_up(&plan)?;
            let report = plan.apply(store)?;
            self.has_changed = true;
            self.tell(&report)?;
        }
        self.talk.error("error", "violations are left after four repairs, each of which should have been the last");
        self.talk.error("hint", "please report this with what the check says; nothing valid was taken out");
        Ok(Mended::Stopped(Exit::Failed))
    }

    /// Says that a file is damaged below its rows, and the way out.
    fn refuse(&self, plan: &Fix) -> anyhow::Result<()> {
        let path = self.global.db.display();
        let first = plan.blockers().first().map_or("", String::as_str);
        let message = format!("{path} is damaged below its rows, and taking rows out could make it worse: {first}");
        if self.global.json {
            print_json_line(&serde_json::json!({ "event": "refused", "blockers": plan.blockers() }))?;
        }
        self.talk.error("error", &message);
        let hint = format!(
            "go back to a backup; or copy {path} with what lies beside it, save what still reads with \
             `sqlite3 {path} .recover | sqlite3 recovered.sqlite`, and run `loopscope doctor --fix --db recovered.sqlite`"
        );
        self.talk.error("hint", &hint);
        Ok(())
    }

    /// Says what would be done, and asks where rows would go.
    fn agree(&self, plan: &Fix) -> anyhow::Result<bool> {
        let (dropped, mended) = (plan.dropped(), plan.mended());
        if self.global.json {
            let line = serde_json::json!({
                "event": "plan", "dropped": dropped, "mended": mended, "drawn_anew": plan.drawn_anew(),
                "rebuilds_tables": plan.rebuilds_tables() || plan.is_structural(),
            });
            print_json_line(&line)?;
        }
        if self.arguments.yes || (dropped.is_empty() && !plan.rebuilds_tables()) {
            return Ok(true);
        }
        if !std::io::stdin().is_terminal() {
            let message = format!(
                "a repair of {} would take out {}, which needs a yes, and nobody is there to ask",
                self.global.db.display(),
                rows_in_words(&dropped)
            );
            let hint = Some("say it with --yes, or run it on a terminal to see more; nothing was changed".to_owned());
            return Err(UsageError { message, hint }.into());
        }
        Ok(confirm(&self.question(plan))?)
    }

    fn question(&self, plan: &Fix) -> String {
        let mut lines = vec![format!("This would take out of {}:", self.global.db.display())];
        lines.extend(lines_of(&plan.dropped()));
        if !plan.mended().is_empty() {
            lines.push("and mend in place, from what the rest of the database says:".to_owned());
            lines.extend(lines_of(&plan.mended()));
        }
        if plan.rebuilds_tables() {
            lines.push("and write tables anew whose constraints were lost.".to_owned());
        }
        lines.push("What is missing then is computed anew, where the models are here.".to_owned());
        if plan.drawn_anew() > 0 {
            lines.push(format!(
                "{} invocations are of runs with seed -1: others are drawn in their place; those are lost.",
                count(plan.drawn_anew())
            ));
        }
        if self.arguments.backup.is_none() && !plan.rebuilds_tables() {
            lines.push("Without --backup FILE there is no way back.".to_owned());
        }
        lines.push("Go on?".to_owned());
        lines.join("\n")
    }

    /// Makes the copy that was asked for; before tables are written anew one is made in any case.
    fn back_up(&mut self, plan: &Fix) -> anyhow::Result<()> {
        let is_wanted = self.arguments.backup.is_some() || (plan.rebuilds_tables() && !self.arguments.no_backup);
        if self.has_backup || !is_wanted {
            return Ok(());
        }
        let target = self.arguments.backup.clone().unwrap_or_else(|| free_name(&self.global.db));
        let report = Store::backup(&self.global.db, &target, &self.global.open_options(), |_, _| {})?;
        self.talk.say(&format!("copied the database to {} ({}) first", target.display(), bytes(report.bytes)));
        self.has_backup = true;
        Ok(())
    }

    fn tell(&self, report: &FixReport) -> anyhow::Result<()> {
        if self.global.json {
            let line = serde_json::json!({
                "event": "repaired", "dropped": report.dropped, "mended": report.mended, "rebuilt": report.rebuilt,
            });
            return print_json_line(&line);
        }
        let mut lines = Vec::new();
        lines.extend(report.rebuilt.iter().map(|object| format!("made anew: {object}")));
        lines.extend(lines_of(&report.dropped).map(|line| format!("taken out:{}", &line[1..])));
        lines.extend(lines_of(&report.mended).map(|line| format!("mended:{}", &line[1..])));
        Ok(unless_unread(lines.iter().try_for_each(|line| print(line)))?)
    }

    /// Computes what is missing of an experiment; `None` when this program cannot.
    fn compute(&mut self, id: ExperimentId) -> anyhow::Result<Option<Outcome>> {
        let mut store = Store::open_existing(&self.global.db, &self.global.open_options())?;
        let experiment = store.experiment(id)?;
        // Of an imported experiment the engine computes what the models that are here can give, and names the others.
        let registry = self.global.registry()?;
        if experiment.origin == Origin::Native
            && let Err(error) = check_config(&experiment.config, &registry)
        {
            let name = &experiment.name;
            self.talk.say_anyway(&format!("\"{name}\" ({}) cannot be completed here: {error}", id.short()));
            if self.global.json {
                let error = error.to_string();
                print_json_line(&serde_json::json!({ "event": "not_computed", "experiment": id, "error": error }))?;
            }
            return Ok(None);
        }
        let before = store.counts(id)?;
        let runs = {
            let lock = ExperimentLock::take(store.path(), id)?;
            let runs = store.add_missing_runs(id, &SystemClock, &OsEntropy)?;
            drop(lock);
            runs
        };
        let outcome = work(store, id, &registry, &self.arguments.engine, self.global, self.talk)?;
        let after = Store::open_read(&self.global.db, &self.global.open_options())?.counts(id)?;
        let computed = [
            ("runs", runs),
            ("invocations", after.invocations.saturating_sub(before.invocations)),
            ("embeddings", after.embeddings.saturating_sub(before.embeddings)),
            ("persistence_diagrams", after.persistence_diagrams.saturating_sub(before.persistence_diagrams)),
        ];
        // Otherwise what was found first still stands.
        self.has_changed |= outcome != Outcome::SomeUnavailable || computed.iter().any(|(_, number)| *number > 0);
        if self.global.json {
            let computed: BTreeMap<&str, u64> = computed.into_iter().collect();
            let line =
                serde_json::json!({ "event": "computed", "experiment": id, "outcome": outcome, "computed": computed });
            print_json_line(&line)?;
        } else {
            let words: Vec<String> =
                computed.iter().map(|(noun, number)| format!("{} {noun}", count(*number))).collect();
            let line = format!("computed for \"{}\" ({}): {}", experiment.name, id.short(), words.join(", "));
            unless_unread(print(&line))?;
        }
        Ok(Some(outcome))
    }

    /// Checks what came of it.
    fn look_again(&self) -> anyhow::Result<Diagnosis> {
        if self.global.json {
            print_json_line(&serde_json::json!({ "event": "check", "round": "last" }))?;
        }
        super::look(self.options, true, self.global, self.talk)
    }

    /// Shows a check that found nothing to mend and nothing that could be computed.
    fn conclude(
        &self,
        mut diagnosis: Diagnosis,
        mut shown: Shown,
        unfinished: &BTreeSet<ExperimentId>,
    ) -> anyhow::Result<Diagnosis> {
        let registry = self.global.registry()?;
        add_unknown_models(self.options.experiment, self.global, &registry, &mut diagnosis, &mut |finding| {
            shown.take(finding)
        });
        shown.finish()?;
        show::summary(&diagnosis, &Beyond::of(unfinished, true, &registry, self.global), self.global)?;
        Ok(diagnosis)
    }
}

/// Returns the experiment of a finding that an engine may have something to do about.
fn unfinished_experiment(finding: &Finding) -> Option<ExperimentId> {
    let is_open = finding.severity == Severity::Incomplete
        || matches!(finding.kind, FindingKind::NotMarkedCompleted | FindingKind::EmbedderKindUnknown);
    finding.experiment.as_ref().filter(|_| is_open)?.parse().ok()
}

/// One line a table, with the reasons.
fn lines_of(counts: &Counts) -> impl Iterator<Item = String> {
    let line = |(table, reasons): (&&str, &BTreeMap<&str, u64>)| {
        format!("  {} {table}: {}", count(reasons.values().sum()), by_reason(reasons))
    };
    counts.iter().map(line).collect::<Vec<_>>().into_iter()
}

fn rows_in_words(counts: &Counts) -> String {
    let words: Vec<String> =
        counts.iter().map(|(table, reasons)| format!("{} {table}", count(reasons.values().sum()))).collect();
    if words.is_empty() { "no row".to_owned() } else { words.join(", ") }
}

/// Returns a name beside the database that is not taken.
fn free_name(database: &std::path::Path) -> PathBuf {
    let named = |number: u64| {
        let mut name = database.as_os_str().to_owned();
        name.push(format!(".before-fix-{number}"));
        PathBuf::from(name)
    };
    (1..).map(named).find(|path| !path.exists()).unwrap_or_else(|| named(0))
}
