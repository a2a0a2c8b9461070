//! Work on an experiment from beginning to end: what is missing, the threads that compute it, and what it came to.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{channel, sync_channel};

use super::event::{Event, Progress};
use super::queue::Queue;
use super::scheduler::{Ending, Links, Plan, Scheduler};
use super::scope::{Scope, scope};
use super::setup::model_table;
use super::tally::progress_of;
use super::worker::{Context, serve};
use super::writer::write_all;
use super::{Engine, EngineError, Outcome};
use crate::experiment::ExperimentId;
use crate::plan::{is_anything_remaining, remaining};
use crate::store::{RecordWriter, RunProgress, Store, Write};

/// Objects that may wait for the writer.
const WRITES_WAITING_MAX: usize = 1024;

/// Works on an experiment; see [`Engine::work`].
pub(super) fn work(
    engine: &Engine<'_>,
    mut store: Store,
    id: ExperimentId,
    stop: &AtomicBool,
    report: &mut dyn FnMut(&Event),
) -> Result<Outcome, EngineError> {
    let experiment = store.experiment(id)?;
    let mut scope = scope(engine, &mut store, experiment)?;
    let mut done = store.progress(id, &scope.embedder_inputs())?;
    scope.keep_waited_for(&done);
    let outgrown = done.iter_mut().map(|run| scope.take_outgrown(run)).collect();
    let progress = progress_of(&scope, &done);
    report(&Event::Started { experiment: id, name: scope.experiment.name.clone(), progress });
    for (model, reason) in &scope.unavailable {
        report(&Event::ModelUnavailable { model: model.clone(), reason: reason.clone() });
    }
    let can_begin = done.iter().enumerate().any(|(index, run)| !scope.work_on(index, run).is_empty());
    let (outcome, progress) = if can_begin {
        let table = model_table(engine, &mut store, &scope)?;
        let reader = store.reader()?;
        let plan = Plan { engine, scope: &scope, table: &table, reader, outgrown };
        let (returned, ending, progress) = run_threads(plan, store, done, progress, stop, report)?;
        store = returned;
        (ending, progress)
    } else {
        (Ok(Ending::Exhausted), progress)
    };
    let outcome = match outcome {
        Ok(ending) => conclude(engine, &mut store, &mut scope, ending, &progress)?,
        Err(error) => {
            // The first error is the one to tell; that the log could not be carried over as well adds nothing.
            store.checkpoint().ok();
            return Err(error);
        }
    };
    store.checkpoint()?;
    report(&Event::Finished { outcome, progress });
    Ok(outcome)
}

/// Looks once more at what the store has: the experiment is complete when nothing is missing there.
fn conclude(
    engine: &Engine<'_>,
    store: &mut Store,
    scope: &mut Scope,
    ending: Ending,
    progress: &Progress,
) -> Result<Outcome, EngineError> {
    let done = store.progress(scope.experiment.id, &scope.embedder_inputs())?;
    // A run that came back to where it was waits for nothing any more.
    scope.keep_waited_for(&done);
    let experiment = &scope.experiment;
    if scope.unavailable.is_empty() && !is_anything_remaining(experiment, &done) {
        let now = engine.clock.now();
        store.commit(&[Write::ExperimentCompleted(experiment.id, now)])?;
        return Ok(Outcome::Completed);
    }
    match ending {
        Ending::Stopped => Ok(Outcome::Interrupted),
        Ending::Exhausted if progress.failed > 0 => Ok(Outcome::SomeFailed),
        Ending::Exhausted if !scope.unavailable.is_empty() => Ok(Outcome::SomeUnavailable),
        Ending::Exhausted => Err(EngineError::StillMissing { count: remaining(experiment, &done).len() }),
    }
}

/// Closes the queue whatever happens, so that no thread waits for ever.
struct CloseOnDrop<'a>(&'a Queue);

impl Drop for CloseOnDrop<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

type Threaded = (Store, Result<Ending, EngineError>, Progress);

fn run_threads(
    plan: Plan<'_>,
    mut store: Store,
    done: Vec<RunProgress>,
    progress: Progress,
    stop: &AtomicBool,
    report: &mut dyn FnMut(&Event),
) -> Result<Threaded, EngineError> {
    let table = plan.table;
    let queue =
        Queue::new(table.models.iter().map(|model| model.info.batch_max.max(1)).collect(), table.threads.clone());
    let database: PathBuf = store.path().to_owned();
    let open_options = store.options().clone();
    let context = Context {
        engine: plan.engine,
        queue: &queue,
        models: &table.models,
        database: &database,
        open_options: &open_options,
        diagrams: plan.scope.experiment.config.diagrams,
    };
    std::thread::scope(|scope| {
        let _close = CloseOnDrop(&queue);
        let (messages, incoming) = channel();
        let (writes, to_write) = sync_channel(WRITES_WAITING_MAX);
        let writer_messages = messages.clone();
        let no_thread = |source| EngineError::System { what: "thread", source };
        let writer = std::thread::Builder::new()
            .name("writer".to_owned())
            .spawn_scoped(scope, move || {
                write_all(&mut store, &to_write, &writer_messages);
                store
            })
            .map_err(no_thread)?;
        for (lane, &threads) in table.threads.iter().enumerate() {
            for index in 0..threads {
                let (messages, context) = (messages.clone(), &context);
                std::thread::Builder::new()
                    .name(format!("lane {lane}.{index}"))
                    .spawn_scoped(scope, move || serve(context, lane, &messages))
                    .map_err(no_thread)?;
            }
        }
        drop(messages);
        let links = Links { queue: &queue, writes, report, writer_is_gone: &|| writer.is_finished() };
        let mut scheduler = Scheduler::new(plan, links, done, progress);
        let ending = scheduler.run(&incoming, stop);
        let progress = scheduler.progress;
        queue.close();
        drop(scheduler); // Its end of the channel is the writer's sign to go.
        let store = writer.join().map_err(|_| EngineError::ThreadLost)?;
        Ok((store, ending, progress))
    })
}
