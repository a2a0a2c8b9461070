//! Making a call again that the record holds, by the path of the worker that made it: one input, one call, and models
//! loaded as a worker loads them. Nothing is written.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::EngineOptions;
use super::job::{Input, Job, Task};
use super::residency::Residency;
use super::worker::{Raw, call_loaded, diagram_of_trajectory, panic_message};
use crate::backend::{ModelInfo, Registry};
use crate::codec::Diagram;
use crate::experiment::{DiagramConfig, InvocationId, Link, ModelName, Picture, RunId, Seed, SequenceNumber};
use crate::store::{StoredOutput, StoredVector};

/// What a model gave when it was called again.
pub(crate) enum Gave {
    Text(String),
    Picture(Picture),
    Vector(Vec<f32>),
}

/// Which kind of call it is.
pub(crate) enum Step {
    Invoke(Seed),
    Embed,
}

/// Loaded models of one thread, to be called again.
pub(crate) struct Again<'a> {
    residency: Residency<'a>,
}

impl<'a> Again<'a> {
    pub(crate) fn new(registry: &'a dyn Registry, options: &EngineOptions) -> Self {
        Self { residency: Residency::new(registry, options.model_memory_bytes_max) }
    }

    /// Calls the model that stands at `index` in the caller's table with one input; an error says why it gave nothing.
    pub(crate) fn call(
        &mut self,
        index: usize,
        info: &ModelInfo,
        input: StoredOutput,
        step: &Step,
    ) -> Result<Gave, String> {
        let input = match input {
            StoredOutput::Text(text) => Input::Text(text.into()),
            StoredOutput::Image(picture) => Input::Image(Arc::new(picture)),
        };
        let task = match step {
            Step::Invoke(seed) => Task::Invoke { link: Link::First, input: input.clone(), seed: *seed },
            Step::Embed => {
                let invocation = InvocationId::from_bytes([0; 16]);
                Task::Embed { number: SequenceNumber(0), invocation, input: input.clone() }
            }
        };
        // Only the task's seed reaches the model; whose it is means nothing here.
        let job = Job { run: 0, run_id: RunId::from_bytes([0; 16]), model: index, attempt: 1, task };
        let residency = &mut self.residency;
        let called = catch_unwind(AssertUnwindSafe(|| {
            residency.get(index, info).map(|model| call_loaded(model, &[(job, input)]))
        }));
        let mut results = match called {
            Ok(outcome) => outcome.map_err(|error| error.to_string())?,
            Err(panic) => {
                self.residency.forget(index);
                return Err(format!("{} panicked: {}", info.name, panic_message(panic.as_ref())));
            }
        };
        match (results.len(), results.pop()) {
            (1, Some(Ok(Raw::Text(text)))) => Ok(Gave::Text(text)),
            (1, Some(Ok(Raw::Picture(picture)))) => Ok(Gave::Picture(picture)),
            (1, Some(Ok(Raw::Vector(numbers)))) => Ok(Gave::Vector(numbers)),
            (1, Some(Err(error))) => Err(error.to_string()),
            (count, _) => Err(format!("{} gave {count} results for 1 input", info.name)),
        }
    }
}

/// Computes the diagram of a trajectory again, to the highest dimension that the stored one has.
pub(crate) fn diagram_again(
    name: &ModelName,
    vectors: &[StoredVector],
    max_dimension: usize,
    options: &EngineOptions,
) -> Result<Diagram, String> {
    let options = EngineOptions { diagram_dimension_max: max_dimension, ..options.clone() };
    let computed =
        catch_unwind(AssertUnwindSafe(|| diagram_of_trajectory(name, vectors, &options, DiagramConfig::default())));
    match computed {
        Ok(outcome) => outcome.map_err(|fault| fault.message),
        Err(panic) => Err(format!("the persistence computation panicked: {}", panic_message(panic.as_ref()))),
    }
}
