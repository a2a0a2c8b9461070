//! The scheduler: decides what is computed next, and makes work of what was computed.
//!
//! It alone knows how far each run is. It never computes and never waits for the disk, except when the writer is a
//! whole queue behind.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, channel, sync_channel};
use std::time::Duration;

use super::delayed::DelayedJobs;
use super::event::{Event, Progress};
use super::job::{Fault, Input, Job, Message, Product, Task, Ticket};
use super::queue::{CPU_LANE, Queue};
use super::run_state::RunState;
use super::scope::{Scope, scope};
use super::setup::{ModelTable, model_table};
use super::worker::{Context, serve};
use super::writer::write_all;
use super::{Engine, EngineError, Outcome};
use crate::backend::ModelInfo;
use crate::experiment::{
    Determinism, Experiment, ExperimentId, Failure, FailureId, Invocation, ModelName, OutputType, Run, Seed,
    SequenceNumber, StopReason,
};
use crate::plan::{DIAGRAM_POINTS_MIN, Work, is_anything_remaining, outputs_of_type, remaining, remaining_of_run};
use crate::store::{RecordWriter, RunProgress, Store, Write};

/// Objects that may wait for the writer.
const WRITES_WAITING_MAX: usize = 1024;
/// What may be outstanding of a run before its next invocation waits.
const OUTSTANDING_MAX: u64 = 32;
/// How often a stop is looked for while nothing happens.
const GLANCE: Duration = Duration::from_millis(100);

/// Works on an experiment; see [`Engine::work`].
pub(super) fn work(
    engine: &Engine<'_>,
    mut store: Store,
    id: ExperimentId,
    stop: &AtomicBool,
    report: &mut dyn FnMut(&Event),
) -> Result<Outcome, EngineError> {
    let experiment = store.experiment(id)?;
    let Scope { experiment, infos, stored_only, unavailable } = scope(engine, &mut store, experiment)?;
    let embedders: BTreeMap<ModelName, OutputType> = experiment
        .config
        .embedding_models
        .iter()
        .filter_map(|name| Some((name.clone(), infos.get(name)?.kind.input())))
        .collect();
    let done = store.progress(id, &embedders)?;
    let progress = progress_of(&experiment, &infos, &done);
    report(&Event::Started { experiment: id, name: experiment.name.clone(), progress });
    for (model, reason) in &unavailable {
        report(&Event::ModelUnavailable { model: model.clone(), reason: reason.clone() });
    }
    let (outcome, progress) = if !is_anything_remaining(&experiment, &done) {
        (Ok(Ending::Exhausted), progress)
    } else {
        let table = model_table(engine, &mut store, &experiment, &infos, &stored_only)?;
        let reader = store.reader()?;
        let plan = Plan { engine, experiment: &experiment, infos: &infos, table: &table, reader };
        let (returned, ending, progress) = run_threads(plan, store, done, progress, stop, report)?;
        store = returned;
        (ending, progress)
    };
    let outcome = match outcome {
        Ok(ending) => conclude(engine, &mut store, &experiment, &embedders, (ending, progress, unavailable.len()))?,
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
    experiment: &Experiment,
    embedders: &BTreeMap<ModelName, OutputType>,
    (ending, progress, unavailable): (Ending, Progress, usize),
) -> Result<Outcome, EngineError> {
    let done = store.progress(experiment.id, embedders)?;
    if unavailable == 0 && !is_anything_remaining(experiment, &done) {
        let now = engine.clock.now();
        store.commit(&[Write::ExperimentCompleted(experiment.id, now)])?;
        return Ok(Outcome::Completed);
    }
    match ending {
        Ending::Stopped => Ok(Outcome::Interrupted),
        Ending::Exhausted if progress.failed > 0 || unavailable > 0 => Ok(Outcome::SomeFailed),
        Ending::Exhausted => Err(EngineError::StillMissing { count: remaining(experiment, &done).len() }),
    }
}

/// What does not change while the engine works.
struct Plan<'a> {
    engine: &'a Engine<'a>,
    experiment: &'a Experiment,
    infos: &'a BTreeMap<ModelName, ModelInfo>,
    table: &'a ModelTable,
    reader: Store,
}

/// How the scheduling ended.
enum Ending {
    /// Nothing is left that could be tried.
    Exhausted,
    /// A stop was asked for.
    Stopped,
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
        diagrams: plan.experiment.config.diagrams,
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
        let mut scheduler = Scheduler {
            plan,
            queue: &queue,
            writes,
            waiting: done.into_iter().enumerate().collect(),
            active: BTreeMap::new(),
            delayed: DelayedJobs::default(),
            jobs_out: 0,
            writes_out: 0,
            is_stopping: false,
            progress,
            report,
            writer_is_gone: &|| writer.is_finished(),
            has_lost_writer: false,
        };
        let ending = scheduler.run(&incoming, stop);
        let progress = scheduler.progress;
        queue.close();
        drop(scheduler); // Its end of the channel is the writer's sign to go.
        let store = writer.join().map_err(|_| EngineError::ThreadLost)?;
        Ok((store, ending, progress))
    })
}

struct Scheduler<'a, 'r> {
    plan: Plan<'a>,
    queue: &'a Queue,
    writes: SyncSender<(Write, Ticket)>,
    /// Runs that are not under way yet.
    waiting: VecDeque<(usize, RunProgress)>,
    active: BTreeMap<usize, RunState>,
    delayed: DelayedJobs,
    /// Jobs that are queued or under way.
    jobs_out: usize,
    /// Objects that are not committed yet.
    writes_out: usize,
    is_stopping: bool,
    progress: Progress,
    report: &'r mut dyn FnMut(&Event),
    writer_is_gone: &'r dyn Fn() -> bool,
    /// Set when a write found no writer: nothing more is computed.
    has_lost_writer: bool,
}

impl Scheduler<'_, '_> {
    fn run(&mut self, incoming: &Receiver<Message>, stop: &AtomicBool) -> Result<Ending, EngineError> {
        let now = self.plan.engine.clock.now();
        self.write(Write::ExperimentStarted(self.plan.experiment.id, now), Ticket::Note);
        loop {
            if self.has_lost_writer {
                return Err(last_words(incoming));
            }
            if stop.load(Ordering::Relaxed) && !self.is_stopping {
                self.stop();
            }
            self.start_runs()?;
            self.start_delayed();
            if self.jobs_out == 0 && self.writes_out == 0 && self.delayed.is_empty() && self.waiting.is_empty() {
                // Whether a stop left anything undone is asked of the store afterwards.
                return Ok(if self.is_stopping { Ending::Stopped } else { Ending::Exhausted });
            }
            match incoming.recv_timeout(self.patience()) {
                Ok(message) => self.handle(message)?,
                // The writer goes first only when it has said why, or was lost.
                Err(RecvTimeoutError::Timeout) if (self.writer_is_gone)() => return Err(EngineError::ThreadLost),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(EngineError::ThreadLost),
            }
        }
    }

    fn patience(&self) -> Duration {
        self.delayed.next_in().unwrap_or(GLANCE).min(GLANCE)
    }

    /// Lets go of everything that no thread has begun; what is under way is finished and saved.
    fn stop(&mut self) {
        self.is_stopping = true;
        self.jobs_out -= self.queue.clear();
        self.delayed.clear();
        self.waiting.clear();
        (self.report)(&Event::Stopping);
    }

    /// Takes up runs until as many are under way as may be.
    fn start_runs(&mut self) -> Result<(), EngineError> {
        while self.active.len() < self.plan.engine.options.active_runs_max.max(1) {
            let Some((index, progress)) = self.waiting.pop_front() else { return Ok(()) };
            let mut work = remaining_of_run(self.plan.experiment, index, &progress);
            // A run that waits for a model that is not here must not take the place of one that can go on.
            work.retain(|item| match item {
                Work::Invoke { number, .. } => self.plan.table.is_here(progress.run.key.network.model(*number)),
                Work::Embed { model, .. } => self.plan.table.is_here(model),
                Work::Diagram { .. } => true,
            });
            if work.is_empty() {
                continue;
            }
            let states = match progress.repeats && self.may_cycle(&progress.run) {
                true if progress.steps > 0 => Some(self.plan.reader.states(progress.run.id)?),
                true => Some(Vec::new()),
                false => None,
            };
            self.active.insert(index, RunState::new(&progress, states, &self.plan.table.models));
            for item in work {
                self.take_up(index, &progress, item)?;
            }
        }
        Ok(())
    }

    /// A state that comes back ends a run only if it must go on as it did before.
    fn may_cycle(&self, run: &Run) -> bool {
        let determinism =
            |model: &ModelName| self.plan.table.index(model).map(|index| self.plan.table.models[index].determinism);
        let repeats = |model: &ModelName| determinism(model).is_some_and(Determinism::repeats);
        !run.key.seed.is_fresh() && run.key.network.models().iter().all(repeats)
    }

    fn take_up(&mut self, run: usize, progress: &RunProgress, item: Work) -> Result<(), EngineError> {
        match item {
            Work::Invoke { .. } => {
                let input = match progress.last {
                    Some(last) => Input::Stored(last),
                    None => Input::Text(progress.run.key.initial_prompt.as_str().into()),
                };
                self.invoke_next(run, input)?;
            }
            Work::Embed { number, invocation, model, .. } => {
                if let Some(model) = self.plan.table.index(&model) {
                    self.enqueue(run, model, Task::Embed { number, invocation, input: Input::Stored(invocation) });
                }
            }
            Work::Diagram { model, .. } => {
                if let (Some(model), Some(state)) = (self.plan.table.index(&model), self.active.get_mut(&run)) {
                    state.diagram_tried[model] = true;
                    self.enqueue(run, model, Task::Diagram);
                }
            }
        }
        Ok(())
    }

    fn invoke_next(&mut self, run: usize, input: Input) -> Result<(), EngineError> {
        let Some(state) = self.active.get(&run) else { return Ok(()) };
        let (link, key) = (state.next_link(), &state.run.key);
        let seed = if key.seed.is_fresh() { self.fresh_seed()? } else { key.seed };
        let next = key.network.model(link.sequence_number());
        if let Some(model) = self.plan.table.index(next).filter(|_| self.plan.table.is_here(next)) {
            self.enqueue(run, model, Task::Invoke { link, input, seed });
        }
        Ok(())
    }

    /// Draws a seed of 31 bits: what every model and server takes.
    fn fresh_seed(&self) -> Result<Seed, EngineError> {
        let mut bytes = [0; 4];
        let drawn = self.plan.engine.entropy.fill(&mut bytes);
        drawn.map_err(|source| EngineError::System { what: "randomness", source })?;
        // A shifted u32 is at least 0, which is all that a seed must be.
        Ok(Seed::new(i64::from(u32::from_le_bytes(bytes) >> 1)).unwrap_or(Seed::FRESH))
    }

    fn enqueue(&mut self, run: usize, model: usize, task: Task) {
        let Some(state) = self.active.get_mut(&run) else { return };
        state.outstanding += 1;
        let job = Job { run, run_id: state.run.id, model, attempt: 1, task };
        self.hand_out(job);
    }

    fn hand_out(&mut self, job: Job) {
        let lane = if matches!(job.task, Task::Diagram) { CPU_LANE } else { self.plan.table.models[job.model].lane };
        self.jobs_out += 1;
        self.queue.push(lane, job);
    }

    fn start_delayed(&mut self) {
        while let Some(job) = self.delayed.pop_due() {
            self.hand_out(job);
        }
    }

    fn write(&mut self, write: Write, ticket: Ticket) {
        match self.writes.send((write, ticket)) {
            Ok(()) => self.writes_out += 1,
            Err(_) => self.has_lost_writer = true,
        }
    }

    fn handle(&mut self, message: Message) -> Result<(), EngineError> {
        match message {
            Message::Finished(finished) => {
                for (job, result) in finished {
                    self.jobs_out -= 1;
                    match result {
                        Ok(product) => self.take_in(&job, product)?,
                        Err(fault) => self.take_fault(job, &fault)?,
                    }
                }
                Ok(())
            }
            Message::Committed(tickets) => self.take_commit(&tickets),
            Message::Loaded(model) => {
                (self.report)(&Event::ModelLoaded { model: self.plan.table.models[model].info.name.clone() });
                Ok(())
            }
            Message::Waiting { reason } => {
                (self.report)(&Event::Waiting { reason });
                Ok(())
            }
            Message::WriteFailed(error) => Err(error.into()),
        }
    }

    fn take_in(&mut self, job: &Job, product: Product) -> Result<(), EngineError> {
        match product {
            Product::Invocation { invocation, output, state } => self.take_invocation(job, invocation, output, state),
            Product::Embedding(embedding) => {
                self.write(Write::Embedding(embedding), Ticket::Embedding { run: job.run });
                Ok(())
            }
            Product::Diagram(diagram) => {
                self.write(Write::Diagram(diagram), Ticket::Diagram { run: job.run });
                Ok(())
            }
        }
    }

    fn take_invocation(
        &mut self,
        job: &Job,
        invocation: Box<Invocation>,
        output: Input,
        state: crate::experiment::Hash,
    ) -> Result<(), EngineError> {
        let (id, number) = (invocation.id, invocation.link.sequence_number());
        let kind = invocation.output.output_type();
        let Some(run) = self.active.get_mut(&job.run) else { return Ok(()) };
        let stop = run.advance(id, state);
        let last = stop.map(|reason| (reason, run.steps));
        self.write(Write::Invocation(invocation), Ticket::Invocation { run: job.run, last });
        if self.is_stopping {
            return Ok(());
        }
        let table = self.plan.table;
        let embedders = self.plan.experiment.config.embedding_models.iter().filter_map(|name| table.index(name));
        for model in embedders.filter(|&model| table.models[model].info.kind.input() == kind) {
            if let Some(run) = self.active.get_mut(&job.run) {
                run.embeddable[model] += 1;
                if !table.models[model].is_here {
                    run.embedding_failed[model] = true;
                    continue;
                }
            }
            self.enqueue(job.run, model, Task::Embed { number, invocation: id, input: output.clone() });
        }
        match self.active.get_mut(&job.run) {
            _ if stop.is_some() => Ok(()),
            // Its pictures wait for embedders or for the disk: a run that ran ahead of them would fill the memory.
            Some(run) if run.outstanding >= OUTSTANDING_MAX => {
                run.held = Some(output);
                Ok(())
            }
            _ => self.invoke_next(job.run, output),
        }
    }

    /// Puts a failed attempt on record, and tries again or gives the work up.
    fn take_fault(&mut self, mut job: Job, fault: &Fault) -> Result<(), EngineError> {
        let policy = &self.plan.engine.options.retry;
        let wait = if fault.is_transient { policy.wait_after(job.attempt, fault.retry_after) } else { None };
        self.record_failure(&job, fault, wait)?;
        match wait {
            Some(wait) if !self.is_stopping => {
                self.progress.retries += 1;
                job.attempt += 1;
                self.delayed.push(job, wait);
                Ok(())
            }
            Some(_) => Ok(()), // Stopping: a resume tries again.
            None => self.give_up(&job),
        }
    }

    fn record_failure(&mut self, job: &Job, fault: &Fault, wait: Option<Duration>) -> Result<(), EngineError> {
        let engine = self.plan.engine;
        let now = engine.clock.now();
        let name = &self.plan.table.models[job.model].info.name;
        let subject = match &job.task {
            Task::Invoke { link, .. } => Failure::subject_of_output(name, link.sequence_number()),
            Task::Embed { number, .. } => Failure::subject_of_output(name, *number),
            Task::Diagram => name.to_string(),
        };
        let failure = Failure {
            id: FailureId::new(now, engine.entropy)
                .map_err(|source| EngineError::System { what: "randomness", source })?,
            experiment_id: self.plan.experiment.id,
            run_id: Some(job.run_id),
            stage: job.task.stage(),
            subject,
            attempt: job.attempt,
            error: fault.message.clone(),
            occurred_at: now,
        };
        (self.report)(&Event::Failure {
            stage: failure.stage,
            run: job.run_id,
            subject: failure.subject.clone(),
            attempt: failure.attempt,
            error: failure.error.clone(),
            retry_in_ms: wait.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)),
        });
        self.write(Write::Failure(Box::new(failure)), Ticket::Note);
        Ok(())
    }

    fn give_up(&mut self, job: &Job) -> Result<(), EngineError> {
        self.progress.failed += 1;
        if let Some(state) = self.active.get_mut(&job.run) {
            match job.task {
                Task::Invoke { .. } => {
                    let (run, steps) = (state.run.clone(), state.steps);
                    (self.report)(&Event::RunStopped { run: run.id, length: steps, stop: StopReason::Failed });
                    self.expect_less(&run, steps);
                }
                Task::Embed { .. } => state.embedding_failed[job.model] = true,
                Task::Diagram => {}
            }
        }
        self.settle(job.run)
    }

    fn take_commit(&mut self, tickets: &[Ticket]) -> Result<(), EngineError> {
        self.writes_out -= tickets.len();
        for ticket in tickets {
            match *ticket {
                Ticket::Invocation { run, last } => {
                    self.progress.invocations.done += 1;
                    if let Some((stop, length)) = last {
                        self.progress.runs.done += 1;
                        if let Some(run) = self.active.get(&run).map(|state| state.run.clone()) {
                            self.expect_less(&run, length);
                            (self.report)(&Event::RunStopped { run: run.id, length, stop });
                        }
                    }
                    self.settle(run)?;
                }
                Ticket::Embedding { run } => {
                    self.progress.embeddings.done += 1;
                    self.settle(run)?;
                }
                Ticket::Diagram { run } => {
                    self.progress.diagrams.done += 1;
                    self.settle(run)?;
                }
                Ticket::Note => {}
            }
        }
        (self.report)(&Event::Progress { progress: self.progress });
        Ok(())
    }

    /// One thing of a run is done with. When nothing is outstanding its diagrams are next, and then it leaves.
    fn settle(&mut self, run: usize) -> Result<(), EngineError> {
        let Some(state) = self.active.get_mut(&run) else { return Ok(()) };
        state.outstanding -= 1;
        if state.outstanding <= OUTSTANDING_MAX / 2
            && !self.is_stopping
            && let Some(output) = state.held.take()
        {
            self.invoke_next(run, output)?;
        }
        // Where the next model is not here, nothing came of it.
        let Some(state) = self.active.get_mut(&run) else { return Ok(()) };
        if state.outstanding > 0 || self.is_stopping {
            return Ok(());
        }
        let mut ready = Vec::new();
        if state.is_complete {
            for (model, tried) in state.diagram_tried.iter_mut().enumerate() {
                if !*tried && state.embeddable[model] >= DIAGRAM_POINTS_MIN && !state.embedding_failed[model] {
                    *tried = true;
                    ready.push(model);
                }
            }
        }
        if ready.is_empty() {
            self.active.remove(&run);
        }
        ready.into_iter().for_each(|model| self.enqueue(run, model, Task::Diagram));
        Ok(())
    }

    /// A run ended before its full length, so that less is to come.
    fn expect_less(&mut self, run: &Run, length: u64) {
        let reach = reach_of(self.plan.infos, run, length);
        let full = expected_of(self.plan.experiment, self.plan.infos, run, reach);
        let short = expected_of(self.plan.experiment, self.plan.infos, run, length);
        self.progress.invocations.expected -= full.0 - short.0;
        self.progress.embeddings.expected -= full.1 - short.1;
        self.progress.diagrams.expected -= full.2 - short.2;
    }
}

/// Returns why the writer is gone: what it said last, or that it said nothing.
fn last_words(incoming: &Receiver<Message>) -> EngineError {
    while let Ok(message) = incoming.recv_timeout(GLANCE) {
        if let Message::WriteFailed(error) = message {
            return error.into();
        }
    }
    EngineError::ThreadLost
}

/// Returns how long a run of `steps` invocations can become: to its length, or up to the first model that is not here.
fn reach_of(infos: &BTreeMap<ModelName, ModelInfo>, run: &Run, steps: u64) -> u64 {
    let (network, length) = (&run.key.network, run.max_length.get());
    let cycle = (steps..length).take(network.len());
    let missing = cycle.into_iter().find(|&number| !infos.contains_key(network.model(SequenceNumber(number))));
    missing.unwrap_or(length)
}

/// Returns how many invocations, embeddings and diagrams a run of this length has.
fn expected_of(
    experiment: &Experiment,
    infos: &BTreeMap<ModelName, ModelInfo>,
    run: &Run,
    length: u64,
) -> (u64, u64, u64) {
    let embedders = experiment.config.embedding_models.iter().filter_map(|model| infos.get(model));
    let points = embedders.map(|info| outputs_of_type(&run.key.network, length, info.kind.input(), infos));
    points.fold((length, 0, 0), |(invocations, embeddings, diagrams), points| {
        (invocations, embeddings + points, diagrams + u64::from(points >= DIAGRAM_POINTS_MIN))
    })
}

/// Returns how far an experiment is, from what is there.
fn progress_of(experiment: &Experiment, infos: &BTreeMap<ModelName, ModelInfo>, done: &[RunProgress]) -> Progress {
    let mut progress = Progress::default();
    for run in done {
        let length = if run.is_complete() { run.steps } else { reach_of(infos, &run.run, run.steps) };
        let (invocations, embeddings, diagrams) = expected_of(experiment, infos, &run.run, length);
        progress.invocations.expected += invocations;
        progress.embeddings.expected += embeddings;
        progress.diagrams.expected += diagrams;
        progress.runs.expected += 1;
        progress.invocations.done += run.steps;
        let missing: u64 = run.missing_embeddings.values().map(|missing| missing.len() as u64).sum();
        progress.embeddings.done += run.embeddable.values().sum::<u64>() - missing;
        progress.diagrams.done += run.diagrams.iter().filter(|model| infos.contains_key(*model)).count() as u64;
        progress.runs.done += u64::from(run.is_complete());
    }
    progress
}
