//! `verify`: does stored steps again, and says whether the same comes out.

use clap::Args;
use loopscope_core::engine::EngineOptions;
use loopscope_core::store::Store;
use loopscope_core::verify::{Cannot, Mismatch, Subject, Verification, VerifyOptions, verify};

use crate::args::Global;
use crate::failure::{Exit, unless_unread};
use crate::report::{Table, Talk, count, print, print_json};

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// A name, an id or the beginning or end of one, or `latest`
    #[arg(default_value = "latest")]
    experiment: String,
    /// How many invocations, embeddings and diagrams to do again, of each at most
    #[arg(long, value_name = "N", default_value_t = 100)]
    sample: usize,
    /// Do all of them again
    #[arg(long, conflicts_with = "sample")]
    all: bool,
    /// Chooses the sample
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    seed: u64,
}

pub(super) fn execute(arguments: &VerifyArgs, global: &Global, talk: &Talk) -> anyhow::Result<Exit> {
    let store = Store::open_read(&global.db, &global.open_options())?;
    let id = store.find_experiment(&arguments.experiment)?;
    let name = store.experiment(id)?.name;
    let options = VerifyOptions {
        sample: (!arguments.all).then_some(arguments.sample),
        seed: arguments.seed,
        engine: EngineOptions::default(),
    };
    let mut mismatches = Vec::new();
    let mut printed = Ok(());
    let mut found = |mismatch: &Mismatch| {
        if global.json {
            mismatches.push(mismatch.clone());
        } else if printed.is_ok() {
            printed = unless_unread(print_mismatch(mismatch));
        }
    };
    let outcome = verify(&store, id, &global.registry()?, &options, &mut found)?;
    printed?;
    if global.json {
        let document = serde_json::json!({
            "experiment": id, "name": name, "sample": options.sample, "seed": options.seed, "outcome": outcome,
            "mismatches": mismatches,
        });
        match print_json(&document) {
            Err(error) if error.downcast_ref::<std::io::Error>().is_some_and(is_unread) => {}
            printed => printed?,
        }
    } else {
        unless_unread(print_outcome(&outcome))?;
        if outcome.subjects.values().all(|verified| verified.matched + verified.mismatched == 0) {
            talk.say("nothing could be done again, so that nothing is said of it");
        }
    }
    Ok(if outcome.mismatched() > 0 { Exit::Failed } else { Exit::Ok })
}

fn is_unread(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::BrokenPipe
}

fn print_mismatch(mismatch: &Mismatch) -> std::io::Result<()> {
    let Mismatch { subject, id, run, sequence_number, model, expected, got } = mismatch;
    let step = sequence_number.map_or_else(String::new, |number| format!(" #{number}"));
    print(&format!("mismatch: {} {} of run {}{step} by {model}", words(*subject).0, &id[id.len() - 8..], run.short()))?;
    print(&format!("  expected {expected}"))?;
    print(&format!("  got      {got}"))
}

fn print_outcome(outcome: &Verification) -> std::io::Result<()> {
    for (Cannot { subject, reason, model, detail }, number) in &outcome.cannot {
        let (one, many) = words(*subject);
        let noun = if *number == 1 { one } else { many };
        print(&format!("cannot: {} {noun} of {model}: {reason} ({detail})", count(*number)))?;
    }
    let mut table = Table::new(&["", ">all", ">done again", ">equal", ">different", ">cannot"]);
    for (subject, verified) in &outcome.subjects {
        let again = verified.matched + verified.mismatched;
        let figures = [verified.total, again, verified.matched, verified.mismatched, verified.cannot];
        table.row([vec![words(*subject).1.to_owned()], figures.map(count).to_vec()].concat());
    }
    table.print()
}

const fn words(subject: Subject) -> (&'static str, &'static str) {
    match subject {
        Subject::Invocation => ("invocation", "invocations"),
        Subject::Embedding => ("embedding", "embeddings"),
        Subject::PersistenceDiagram => ("diagram", "diagrams"),
    }
}
