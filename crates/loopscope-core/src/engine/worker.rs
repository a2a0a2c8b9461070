//! What a thread of a lane does: takes a batch, calls the model, and makes whole objects of what it gives.
//!
//! Encoding, hashing and checking happen here, so that the scheduler and the writer handle finished objects only. A
//! model that panics fails its batch and is dropped; nothing else is harmed.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::Sender;

use super::job::{Fault, Finished, Input, Job, Message, ModelEntry, Product, Task};
use super::queue::Queue;
use super::residency::Residency;
use super::{DIAGRAM_MEMORY_BYTES_MAX, Engine, EngineOptions};
use crate::backend::{LoadedModel, ModelError, Request};
use crate::causes::with_causes;
use crate::codec::{Bar, Diagram, Scalar, encode_image, generator_arrays};
use crate::experiment::{
    DiagramConfig, Embedding, EmbeddingId, Hash, Invocation, InvocationId, ModelName, Output, OutputType,
    PersistenceDiagram, PersistenceDiagramId, Picture, Timestamp, Vector,
};
use crate::store::{OpenOptions, Store, StoredOutput, StoredVector};

/// What every thread of the engine may look at.
pub(super) struct Context<'a> {
    pub engine: &'a Engine<'a>,
    pub queue: &'a Queue,
    pub models: &'a [ModelEntry],
    pub database: &'a Path,
    pub open_options: &'a OpenOptions,
    pub diagrams: DiagramConfig,
}

/// What a model gave, before it is an object.
pub(super) enum Raw {
    Text(String),
    Picture(Picture),
    Vector(Vec<f32>),
}

/// Why a call gave nothing at all.
enum CallFault {
    /// The model is not there: no call of it can work now.
    Load(Fault),
    /// The call broke; which input broke it is not known.
    Batch(Fault),
}

/// When a call began and ended.
#[derive(Clone, Copy)]
struct Span {
    started_at: Timestamp,
    completed_at: Timestamp,
}

/// Serves a lane until the queue is closed.
pub(super) fn serve(context: &Context<'_>, lane: usize, messages: &Sender<Message>) {
    let options = context.engine.options;
    let residency = Residency::new(context.engine.registry, options.model_memory_bytes_max);
    let mut worker = Worker { context, residency, reader: None, messages };
    while let Some(batch) = context.queue.take(lane, worker.residency.last_used()) {
        // Each job gets an answer whatever happens: a lost one would be waited for for ever.
        let jobs = batch.clone();
        let finished = catch_unwind(AssertUnwindSafe(|| worker.compute(batch))).unwrap_or_else(|panic| {
            let fault = Fault::permanent(format!("the engine panicked: {}", panic_message(panic.as_ref())));
            jobs.into_iter().map(|job| (job, Err(fault.clone()))).collect()
        });
        if messages.send(Message::Finished(finished)).is_err() {
            return; // The scheduler is gone, and with it the reason to work.
        }
    }
}

struct Worker<'a> {
    context: &'a Context<'a>,
    residency: Residency<'a>,
    /// Opened when an input lies in the store: after a resume, and for diagrams.
    reader: Option<Store>,
    messages: &'a Sender<Message>,
}

impl Worker<'_> {
    /// Computes a batch of jobs of one model and one task; one result for each.
    fn compute(&mut self, batch: Vec<Job>) -> Vec<Finished> {
        if matches!(batch.first(), Some(Job { task: Task::Diagram, .. })) {
            return batch.into_iter().map(|job| self.diagram(job)).collect();
        }
        let Some(model) = batch.first().map(|job| job.model) else { return Vec::new() };
        let mut finished = Vec::new();
        let mut ready = Vec::new();
        for job in batch {
            match self.input_of(&job) {
                Ok(input) => ready.push((job, input)),
                Err(fault) => finished.push((job, Err(fault))),
            }
        }
        finished.extend(self.compute_ready(model, ready));
        finished
    }

    /// Calls the model and makes objects of what it gives. A batch that breaks as a whole is called again one by one,
    /// so that one bad input ends its own run only; the scheduler hears of it, for it puts attempts on record.
    fn compute_ready(&mut self, model: usize, ready: Vec<(Job, Input)>) -> Vec<Finished> {
        if ready.is_empty() {
            return Vec::new();
        }
        let started_at = self.context.engine.clock.now();
        let called = self.call(model, &ready);
        let span = self.span_from(started_at);
        match called {
            Ok(results) => ready
                .into_iter()
                .zip(results)
                .map(|((job, _), result)| {
                    let product = result.map_err(fault_of).and_then(|raw| self.product(&job, raw, span));
                    (job, product)
                })
                .collect(),
            Err(CallFault::Batch(fault)) if ready.len() > 1 => {
                let jobs = ready.iter().map(|(job, _)| job.clone()).collect();
                // A scheduler that is gone hears nothing, and sends this thread home next.
                self.messages.send(Message::BatchBroken(jobs, fault)).ok();
                let again = ready.into_iter().map(|(job, input)| (Job { attempt: job.attempt + 1, ..job }, input));
                again.flat_map(|one| self.compute_ready(model, vec![one])).collect()
            }
            Err(CallFault::Batch(fault) | CallFault::Load(fault)) => {
                ready.into_iter().map(|(job, _)| (job, Err(fault.clone()))).collect()
            }
        }
    }

    /// Ends a span now; never before it began, though a clock may be set back.
    fn span_from(&self, started_at: Timestamp) -> Span {
        Span { started_at, completed_at: self.context.engine.clock.now().max(started_at) }
    }

    /// Returns the input of a job in memory.
    fn input_of(&mut self, job: &Job) -> Result<Input, Fault> {
        let (Task::Invoke { input, .. } | Task::Embed { input, .. }) = &job.task else {
            return Err(Fault::permanent("a diagram has no single input"));
        };
        let input = match input {
            Input::Stored(id) => {
                let output = self.reader()?.output(*id).map_err(|error| Fault::permanent(with_causes(&error)))?;
                match output {
                    StoredOutput::Text(text) => Input::Text(text.into()),
                    StoredOutput::Image(picture) => Input::Image(Arc::new(picture)),
                }
            }
            present => present.clone(),
        };
        let got = if matches!(input, Input::Text(_)) { OutputType::Text } else { OutputType::Image };
        let info = &self.context.models[job.model].info;
        if got != info.kind.input() {
            return Err(Fault::permanent(format!("{} takes {}, and its input is {got}", info.name, info.kind.input())));
        }
        Ok(input)
    }

    fn reader(&mut self) -> Result<&Store, Fault> {
        if self.reader.is_none() {
            let opened = Store::open_read(self.context.database, self.context.open_options);
            self.reader = Some(opened.map_err(|error| Fault::permanent(with_causes(&error)))?);
        }
        self.reader.as_ref().ok_or_else(|| Fault::permanent("the store did not open"))
    }

    /// Calls the model once with all inputs.
    fn call(&mut self, model: usize, ready: &[(Job, Input)]) -> Result<Vec<Result<Raw, ModelError>>, CallFault> {
        let info = &self.context.models[model].info;
        let was_loaded = self.residency.has(model);
        let residency = &mut self.residency;
        let panicked = |panic: Box<dyn Any + Send>| {
            Fault::permanent(format!("{} panicked: {}", info.name, panic_message(panic.as_ref())))
        };
        let loaded = catch_unwind(AssertUnwindSafe(|| residency.get(model, info).map(|_| ())));
        loaded.map_err(|panic| CallFault::Load(panicked(panic)))?.map_err(|error| CallFault::Load(fault_of(error)))?;
        if !was_loaded {
            // A scheduler that is gone hears nothing, and sends this thread home next.
            self.messages.send(Message::Loaded(model)).ok();
        }
        let called =
            catch_unwind(AssertUnwindSafe(|| residency.get(model, info).map(|model| call_loaded(model, ready))));
        let results = called.map_err(|panic| {
            residency.forget(model);
            CallFault::Batch(panicked(panic))
        })?;
        let results = results.map_err(|error| CallFault::Load(fault_of(error)))?;
        if results.len() != ready.len() {
            let message = format!("{} gave {} results for {} inputs", info.name, results.len(), ready.len());
            return Err(CallFault::Batch(Fault::permanent(message)));
        }
        Ok(results)
    }

    /// Makes a whole object of what a model gave.
    fn product(&self, job: &Job, raw: Raw, span: Span) -> Result<Product, Fault> {
        match (&job.task, raw) {
            (Task::Invoke { link, seed, .. }, Raw::Text(text)) => {
                let (input, state) = (Input::Text(text.as_str().into()), Hash::of(text.as_bytes()));
                self.invocation(job, *link, *seed, Output::Text(text), (input, state), span)
            }
            (Task::Invoke { link, seed, .. }, Raw::Picture(picture)) => {
                let image = encode_image(&picture).map_err(|error| Fault::permanent(with_causes(&error)))?;
                let state = image.pixel_hash;
                let input = Input::Image(Arc::new(picture));
                self.invocation(job, *link, *seed, Output::Image(Arc::new(image)), (input, state), span)
            }
            (Task::Embed { invocation, .. }, Raw::Vector(numbers)) => self.embedding(job, *invocation, numbers, span),
            _ => Err(Fault::permanent("the model gave something of another kind than it is listed with")),
        }
    }

    fn invocation(
        &self,
        job: &Job,
        link: crate::experiment::Link,
        seed: crate::experiment::Seed,
        output: Output,
        (input, state): (Input, Hash),
        span: Span,
    ) -> Result<Product, Fault> {
        let model = &self.context.models[job.model];
        let id = InvocationId::new(span.completed_at, self.context.engine.entropy).map_err(no_randomness)?;
        let invocation = Invocation {
            id,
            run_id: job.run_id,
            link,
            model: model.info.name.clone(),
            model_version_id: model.version,
            seed,
            started_at: span.started_at,
            completed_at: Some(span.completed_at),
            output,
        };
        Ok(Product::Invocation { invocation: Box::new(invocation), output: input, state })
    }

    fn embedding(&self, job: &Job, invocation: InvocationId, numbers: Vec<f32>, span: Span) -> Result<Product, Fault> {
        let model = &self.context.models[job.model];
        let expected = *model.dimension.get_or_init(|| numbers.len());
        if numbers.len() != expected {
            let message =
                format!("{} gave a vector of {} numbers, expected {expected}", model.info.name, numbers.len());
            return Err(Fault::permanent(message));
        }
        let vector = Vector::new(numbers).map_err(|error| Fault::permanent(format!("{}: {error}", model.info.name)))?;
        let id = EmbeddingId::new(span.completed_at, self.context.engine.entropy).map_err(no_randomness)?;
        Ok(Product::Embedding(Box::new(Embedding {
            id,
            invocation_id: invocation,
            embedding_model: model.info.name.clone(),
            model_version_id: model.version,
            vector,
            started_at: span.started_at,
            completed_at: Some(span.completed_at),
        })))
    }

    fn diagram(&mut self, job: Job) -> Finished {
        let guarded = catch_unwind(AssertUnwindSafe(|| self.persistence(&job)));
        let result = guarded.unwrap_or_else(|panic| {
            Err(Fault::permanent(format!("the persistence computation panicked: {}", panic_message(panic.as_ref()))))
        });
        (job, result)
    }

    /// Computes the persistent homology of a run's trajectory, a Euclidean point cloud of the vectors as stored.
    fn persistence(&mut self, job: &Job) -> Result<Product, Fault> {
        let engine = self.context.engine;
        let started_at = engine.clock.now();
        let name = self.context.models[job.model].info.name.clone();
        let vectors =
            self.reader()?.trajectory(job.run_id, &name).map_err(|error| Fault::permanent(with_causes(&error)))?;
        let diagram = diagram_of_trajectory(&name, &vectors, engine.options, self.context.diagrams)?;
        let Span { completed_at, .. } = self.span_from(started_at);
        let id = PersistenceDiagramId::new(completed_at, engine.entropy).map_err(no_randomness)?;
        Ok(Product::Diagram(Box::new(PersistenceDiagram {
            id,
            run_id: job.run_id,
            embedding_model: name,
            diagram,
            started_at,
            completed_at: Some(completed_at),
        })))
    }
}

/// Computes the diagram of a trajectory, with the parameters that the options give.
pub(super) fn diagram_of_trajectory(
    name: &ModelName,
    vectors: &[StoredVector],
    options: &EngineOptions,
    asked: DiagramConfig,
) -> Result<Diagram, Fault> {
    let dimension = vectors.first().map_or(0, |stored| stored.vector.dimension());
    if let Some(odd) = vectors.iter().find(|stored| stored.vector.dimension() != dimension) {
        let message = format!(
            "{name} has a vector of {} numbers at number {}, expected {dimension}",
            odd.vector.dimension(),
            odd.sequence_number
        );
        return Err(Fault::permanent(message));
    }
    let numbers: Vec<f32> = vectors.iter().flat_map(|stored| stored.vector.numbers()).copied().collect();
    let points = ripsaw::PointCloud::new(&numbers, vectors.len(), dimension);
    diagram_of(&points.map_err(|error| Fault::permanent(with_causes(&error)))?, options, asked)
}

fn diagram_of(
    points: &ripsaw::PointCloud<'_>,
    settings: &EngineOptions,
    asked: DiagramConfig,
) -> Result<Diagram, Fault> {
    let failed = |error: ripsaw::Error| Fault::permanent(with_causes(&error));
    let max_dimension = settings.diagram_dimension_max;
    let limit = settings.diagram_memory_bytes_max.or(asked.memory_bytes_max).unwrap_or(DIAGRAM_MEMORY_BYTES_MAX);
    let options = ripsaw::Options::default().with_max_dimension(max_dimension).with_memory_bytes_max(limit);
    let persistence = ripsaw::persistence_of_points(points, ripsaw::Metric::Euclidean, &options).map_err(failed)?;
    let entropy = persistence
        .diagrams
        .iter()
        .map(|bars| ripsaw::persistent_entropy(bars))
        .collect::<Result<Vec<f64>, _>>()
        .map_err(|error| Fault::permanent(with_causes(&error)))?;
    let wanted = ripsaw::GeneratorOptions::default().with_count_max(asked.generator_count_max);
    let generators = match asked.generator_count_max {
        0 => Vec::new(),
        _ => ripsaw::generators_of_points(points, ripsaw::Metric::Euclidean, &options, &wanted).map_err(failed)?,
    };
    let bar = |bar: &ripsaw::Bar| Bar { birth: bar.birth, death: bar.death };
    let metadata = [
        ("metric", Scalar::Text("euclidean".to_owned())),
        ("max_dim", Scalar::Integer(max_dimension as i64)),
        ("threshold", Scalar::Float(persistence.threshold)),
        ("program_version", Scalar::Text(settings.program_version.clone())),
    ];
    Ok(Diagram {
        dgms: persistence.diagrams.iter().map(|bars| bars.iter().map(bar).collect()).collect(),
        entropy: Some(entropy),
        metadata: metadata.into_iter().map(|(key, value)| (key.to_owned(), value)).collect(),
        gens: generator_arrays(&generators),
    })
}

/// Calls a loaded model with inputs of its kind, as checked before.
pub(super) fn call_loaded(model: &mut LoadedModel, ready: &[(Job, Input)]) -> Vec<Result<Raw, ModelError>> {
    match model {
        LoadedModel::TextToImage(model) => {
            let batch: Vec<_> = ready
                .iter()
                .filter_map(|(job, input)| text_of(input).map(|input| Request { input, seed: seed_of(job) }))
                .collect();
            model.generate(&batch).into_iter().map(|result| result.map(Raw::Picture)).collect()
        }
        LoadedModel::ImageToText(model) => {
            let batch: Vec<_> = ready
                .iter()
                .filter_map(|(job, input)| picture_of(input).map(|input| Request { input, seed: seed_of(job) }))
                .collect();
            model.describe(&batch).into_iter().map(|result| result.map(Raw::Text)).collect()
        }
        LoadedModel::TextEmbedder(model) => {
            let batch: Vec<_> = ready.iter().filter_map(|(_, input)| text_of(input)).collect();
            model.embed(&batch).into_iter().map(|result| result.map(Raw::Vector)).collect()
        }
        LoadedModel::ImageEmbedder(model) => {
            let batch: Vec<_> = ready.iter().filter_map(|(_, input)| picture_of(input)).collect();
            model.embed(&batch).into_iter().map(|result| result.map(Raw::Vector)).collect()
        }
    }
}

fn text_of(input: &Input) -> Option<&str> {
    if let Input::Text(text) = input { Some(text) } else { None }
}

fn picture_of(input: &Input) -> Option<&Picture> {
    if let Input::Image(picture) = input { Some(picture) } else { None }
}

fn seed_of(job: &Job) -> u64 {
    match &job.task {
        // The scheduler draws a seed of at least 0 for every invocation.
        Task::Invoke { seed, .. } => seed.value().unsigned_abs(),
        _ => 0,
    }
}

fn fault_of(error: ModelError) -> Fault {
    let message = error.to_string();
    match error {
        ModelError::Transient { retry_after, .. } => Fault { message, is_transient: true, retry_after },
        ModelError::Permanent { .. } => Fault::permanent(message),
    }
}

fn no_randomness(error: std::io::Error) -> Fault {
    Fault::permanent(format!("the system gave no randomness for an id: {error}"))
}

pub(super) fn panic_message(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}
