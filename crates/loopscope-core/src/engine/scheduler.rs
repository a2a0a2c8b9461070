//! The scheduler: decides what is computed next, and makes work of what was computed.
//!
//! It alone knows how far each run is. It never computes and never waits for the disk, except when the writer is a
//! whole queue behind.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::Duration;

use super::delayed::DelayedJobs;
use super::event::{Event, Progress};
use super::job::{Fault, Input, Job, Message, Product, Task, Ticket};
use super::queue::{CPU_LANE, Queue};
use super::run_state::RunState;
use super::scope::Scope;
use super::setup::ModelTable;
use super::tally::Expected;
use super::{Engine, EngineError};
use crate::experiment::{Determinism, Failure, FailureId, Invocation, ModelName, Run, RunId, Seed, StopReason};
use crate::plan::Work;
use crate::store::{RunProgress, Store, Write};

/// What may be outstanding of a run before its next invocation waits.
const OUTSTANDING_MAX: u64 = 32;
/// How often a stop is looked for while nothing happens.
const GLANCE: Duration = Duration::from_millis(100);

/// What does not change while the engine works.
pub(super) struct Plan<'a> {
    pub engine: &'a Engine<'a>,
    pub scope: &'a Scope,
    pub table: &'a ModelTable,
    pub reader: Store,
    /// For each run, the models whose diagram goes before the run goes on.
    pub outgrown: Vec<Vec<ModelName>>,
}

/// How the scheduling ended.
pub(super) enum Ending {
    /// Nothing is left that could be tried.
    Exhausted,
    /// A stop was asked for.
    Stopped,
}

/// Whom the scheduler talks to.
pub(super) struct Links<'a, 'r> {
    pub queue: &'a Queue,
    pub writes: SyncSender<(Write, Ticket)>,
    pub report: &'r mut dyn FnMut(&Event),
    pub writer_is_gone: &'r dyn Fn() -> bool,
}

pub(super) struct Scheduler<'a, 'r> {
    plan: Plan<'a>,
    links: Links<'a, 'r>,
    /// Runs that are not under way yet.
    waiting: VecDeque<(usize, RunProgress)>,
    active: BTreeMap<usize, RunState>,
    delayed: DelayedJobs,
    /// Jobs that are queued or under way.
    jobs_out: usize,
    /// Objects that are not committed yet.
    writes_out: usize,
    is_stopping: bool,
    pub progress: Progress,
    /// Set when a write found no writer: nothing more is computed.
    has_lost_writer: bool,
}

impl<'a, 'r> Scheduler<'a, 'r> {
    pub(super) fn new(plan: Plan<'a>, links: Links<'a, 'r>, done: Vec<RunProgress>, progress: Progress) -> Self {
        Self {
            plan,
            links,
            waiting: done.into_iter().enumerate().collect(),
            active: BTreeMap::new(),
            delayed: DelayedJobs::default(),
            jobs_out: 0,
            writes_out: 0,
            is_stopping: false,
            progress,
            has_lost_writer: false,
        }
    }
}

impl Scheduler<'_, '_> {
    pub(super) fn run(&mut self, incoming: &Receiver<Message>, stop: &AtomicBool) -> Result<Ending, EngineError> {
        let now = self.plan.engine.clock.now();
        self.write(Write::ExperimentStarted(self.plan.scope.experiment.id, now), Ticket::Note);
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
                Err(RecvTimeoutError::Timeout) if (self.links.writer_is_gone)() => return Err(EngineError::ThreadLost),
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
        self.jobs_out -= self.links.queue.clear();
        self.delayed.clear();
        self.waiting.clear();
        (self.links.report)(&Event::Stopping);
    }

    /// Takes up runs until as many are under way as may be.
    fn start_runs(&mut self) -> Result<(), EngineError> {
        while self.active.len() < self.plan.engine.options.active_runs_max.max(1) {
            let Some((index, progress)) = self.waiting.pop_front() else { return Ok(()) };
            let work = self.plan.scope.work_on(index, &progress);
            // A run that waits for a model that is not here must not take the place of one that can go on.
            if work.is_empty() {
                continue;
            }
            self.drop_outgrown(index, progress.run.id);
            let states = match progress.repeats && self.may_cycle(&progress.run) {
                true if progress.steps > 0 => Some(self.plan.reader.states(progress.run.id)?),
                true => Some(Vec::new()),
                false => None,
            };
            let expected = Expected::of(self.plan.scope, &progress);
            self.active.insert(index, RunState::new(&progress, states, &self.plan.table.models, expected));
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
        if let Some(model) = self.plan.table.index(next).filter(|_| self.plan.scope.can_step(next)) {
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
        self.links.queue.push(lane, job);
    }

    fn start_delayed(&mut self) {
        while let Some(job) = self.delayed.pop_due() {
            self.hand_out(job);
        }
    }

    fn write(&mut self, write: Write, ticket: Ticket) {
        match self.links.writes.send((write, ticket)) {
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
            Message::BatchBroken(jobs, fault) => {
                self.progress.retries += jobs.len() as u64;
                jobs.iter().try_for_each(|job| self.record_failure(job, &fault, Some(Duration::ZERO)))
            }
            Message::Committed(tickets) => self.take_commit(&tickets),
            Message::Loaded(model) => {
                (self.links.report)(&Event::ModelLoaded { model: self.plan.table.models[model].info.name.clone() });
                Ok(())
            }
            Message::Waiting { reason } => {
                (self.links.report)(&Event::Waiting { reason });
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
        let embedders = self.plan.scope.embedders().filter(|&(_, input)| input == kind);
        for model in embedders.filter_map(|(name, _)| table.index(name)) {
            if let Some(run) = self.active.get_mut(&job.run) {
                run.embeddable[model] += 1;
                if !table.models[model].is_here {
                    run.out_of_reach[model] += 1;
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
            experiment_id: self.plan.scope.experiment.id,
            run_id: Some(job.run_id),
            stage: job.task.stage(),
            subject,
            attempt: job.attempt,
            error: fault.message.clone(),
            occurred_at: now,
        };
        (self.links.report)(&Event::Failure {
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
                    let (run, length) = (state.run.id, state.steps);
                    (self.links.report)(&Event::RunStopped { run, length, stop: StopReason::Failed });
                    self.expect_no_more(job.run);
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
                        if let Some(id) = self.active.get(&run).map(|state| state.run.id) {
                            self.expect_no_more(run);
                            (self.links.report)(&Event::RunStopped { run: id, length, stop });
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
        (self.links.report)(&Event::Progress { progress: self.progress });
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
        let ready = if state.is_complete { state.take_ready_diagrams() } else { Vec::new() };
        if ready.is_empty() {
            self.active.remove(&run);
        }
        ready.into_iter().for_each(|model| self.enqueue(run, model, Task::Diagram));
        Ok(())
    }

    /// A run goes no further: nothing is expected of it but what it has or will have of these steps.
    fn expect_no_more(&mut self, run: usize) {
        let Some(state) = self.active.get_mut(&run) else { return };
        let ended = state.expected_at_end(&self.plan.table.models);
        let before = std::mem::replace(&mut state.expected, ended);
        self.progress.expect_instead(before, ended);
    }

    /// Takes out the diagrams that say less than the run is about to have; they are computed anew when it has it all.
    fn drop_outgrown(&mut self, index: usize, run: RunId) {
        for model in std::mem::take(&mut self.plan.outgrown[index]) {
            (self.links.report)(&Event::DiagramOutgrown { run, model: model.clone() });
            self.write(Write::DiagramOutgrown(run, model), Ticket::Note);
        }
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
