//! The work: choose, do again, compare, count.

use super::available::{Models, Reason};
use super::compare::{self, Difference};
use super::sample::Sample;
use super::{Cannot, Mismatch, Subject, Verification, Verified, VerifyOptions};
use crate::backend::Registry;
use crate::causes::with_causes;
use crate::engine::{Again, Gave, Step, diagram_again};
use crate::experiment::{ExperimentId, InvocationId, ModelName, RunId, Seed, SequenceNumber};
use crate::store::{CallRow, Store, StoreError, StoredCall, StoredDiagram, StoredOutput};

pub(super) struct Verifier<'a> {
    store: &'a Store,
    models: Models,
    again: Again<'a>,
    options: &'a VerifyOptions,
    pub(super) outcome: Verification,
    found: &'a mut dyn FnMut(&Mismatch),
}

/// Where an object stands in the record.
struct Place {
    subject: Subject,
    id: [u8; 16],
    run: RunId,
    sequence_number: Option<SequenceNumber>,
    model: ModelName,
}

/// What came of one object: it is the same, it is not, or it cannot be said.
type Outcome = Result<Option<Difference>, (Reason, String)>;

impl<'a> Verifier<'a> {
    pub(super) fn new(
        store: &'a Store,
        registry: &'a dyn Registry,
        options: &'a VerifyOptions,
        found: &'a mut dyn FnMut(&Mismatch),
    ) -> Result<Self, StoreError> {
        let models = Models::of(store, registry)?;
        let again = Again::new(registry, &options.engine);
        Ok(Self { store, models, again, options, outcome: Verification::default(), found })
    }

    /// Verifies a sample of one subject.
    pub(super) fn verify(&mut self, experiment: ExperimentId, subject: Subject) -> Result<(), StoreError> {
        self.outcome.subjects.insert(subject, Verified::default());
        for id in self.choose(experiment, subject)? {
            match subject {
                Subject::Invocation => {
                    let stored = self.store.stored_invocation(id)?;
                    self.call(subject, id, stored)?;
                }
                Subject::Embedding => {
                    let stored = self.store.stored_embedding(id)?;
                    self.call(subject, id, stored)?;
                }
                Subject::PersistenceDiagram => self.diagram(id)?,
            }
        }
        Ok(())
    }

    /// Counts what there is of a subject, and chooses the sample among what can be done again; by model, so that each is
    /// loaded once.
    fn choose(&mut self, experiment: ExperimentId, subject: Subject) -> Result<Vec<[u8; 16]>, StoreError> {
        let mut sample = Sample::new(self.options.sample, self.options.seed);
        let (models, outcome) = (&self.models, &mut self.outcome);
        let mut visit = |row: CallRow| {
            outcome.subjects.entry(subject).or_default().total += 1;
            match models.of_row(row) {
                Ok(group) => sample.offer(row.id, group),
                Err((reason, model, detail)) => outcome.cannot(Cannot { subject, reason, model, detail }),
            }
        };
        match subject {
            Subject::Invocation => self.store.visit_invocation_calls(experiment, &mut visit)?,
            Subject::Embedding => self.store.visit_embedding_calls(experiment, &mut visit)?,
            Subject::PersistenceDiagram => self.store.visit_diagram_calls(experiment, &mut visit)?,
        }
        Ok(sample.chosen())
    }

    fn call(&mut self, subject: Subject, id: [u8; 16], stored: Option<StoredCall>) -> Result<(), StoreError> {
        let Some(stored) = stored else {
            self.is_gone(subject);
            return Ok(());
        };
        let outcome = self.compare_call(subject, id, &stored)?;
        let StoredCall { run_id, sequence_number, model, .. } = stored;
        self.conclude(Place { subject, id, run: run_id, sequence_number: Some(sequence_number), model }, outcome);
        Ok(())
    }

    /// Makes a call again, and compares what it gives with what is stored.
    fn compare_call(&mut self, subject: Subject, id: [u8; 16], stored: &StoredCall) -> Result<Outcome, StoreError> {
        let input = match self.input_of(stored)? {
            Ok(input) => input,
            Err(cannot) => return Ok(Err(cannot)),
        };
        let Some((index, info)) = self.models.available(stored.version) else {
            return Ok(Err((Reason::Gone, "its model version changed meanwhile".to_owned())));
        };
        if !compare::takes(info.kind, &input) {
            let detail = format!("it takes {}, and its input is of the other type", info.kind.input());
            return Ok(Err((Reason::InputUnreadable, detail)));
        }
        let step = match (subject, Seed::new(stored.seed)) {
            (Subject::Invocation, Ok(seed)) => Step::Invoke(seed),
            _ => Step::Embed,
        };
        let gave = match self.again.call(index, info, input, &step) {
            Ok(gave) => gave,
            Err(detail) => return Ok(Err((Reason::CallFailed, detail))),
        };
        if let Gave::Picture(picture) = &gave {
            let is_read = match self.read(InvocationId::from_bytes(id))? {
                Ok(StoredOutput::Image(stored)) => Ok(stored.pixel_hash()),
                Ok(StoredOutput::Text(_)) => Err("a text".to_owned()),
                Err(defect) => Err(defect),
            };
            return Ok(Ok(compare::pictures(stored.pixel_hash, is_read, picture)));
        }
        Ok(Ok(compare::call(stored, &gave)))
    }

    /// Returns the input of a call as it is stored.
    fn input_of(&self, stored: &StoredCall) -> Result<Result<StoredOutput, (Reason, String)>, StoreError> {
        match stored.input {
            None => Ok(Ok(StoredOutput::Text(stored.initial_prompt.clone()))),
            Some(input) => Ok(self.read(input)?.map_err(|defect| (Reason::InputUnreadable, defect))),
        }
    }

    /// Reads an output; what is wrong with the output alone is no failure of the store.
    fn read(&self, id: InvocationId) -> Result<Result<StoredOutput, String>, StoreError> {
        match self.store.output(id) {
            Ok(output) => Ok(Ok(output)),
            Err(error @ (StoreError::Image { .. } | StoreError::Invalid { .. } | StoreError::NotFound { .. })) => {
                Ok(Err(with_causes(&error)))
            }
            Err(error) => Err(error),
        }
    }

    fn diagram(&mut self, id: [u8; 16]) -> Result<(), StoreError> {
        let subject = Subject::PersistenceDiagram;
        let Some(stored) = self.store.stored_diagram(id)? else {
            self.is_gone(subject);
            return Ok(());
        };
        let outcome = self.compare_diagram(&stored)?;
        let StoredDiagram { run_id, model, .. } = stored;
        self.conclude(Place { subject, id, run: run_id, sequence_number: None, model }, outcome);
        Ok(())
    }

    /// Computes a diagram again from the vectors that are stored, with the parameters that it names.
    fn compare_diagram(&self, stored: &StoredDiagram) -> Result<Outcome, StoreError> {
        let diagram = match &stored.diagram {
            Ok(diagram) => diagram,
            Err(error) => {
                let expected = format!("bytes that do not read: {}", with_causes(error));
                return Ok(Ok(Some(Difference { expected, got: "a diagram".to_owned() })));
            }
        };
        let max_dimension = match compare::max_dimension(diagram) {
            Ok(max_dimension) => max_dimension,
            Err(detail) => return Ok(Err((Reason::OtherParameters, detail))),
        };
        let vectors = match self.store.trajectory(stored.run_id, &stored.model) {
            Ok(vectors) => vectors,
            Err(error @ StoreError::Vector { .. }) => return Ok(Err((Reason::InputUnreadable, with_causes(&error)))),
            Err(error) => return Err(error),
        };
        Ok(match diagram_again(&stored.model, &vectors, max_dimension, &self.options.engine) {
            Ok(computed) => Ok(compare::diagrams(diagram, &computed)),
            Err(detail) => Err((Reason::CallFailed, detail)),
        })
    }

    fn is_gone(&mut self, subject: Subject) {
        let (model, detail) = (String::new(), "it was deleted meanwhile".to_owned());
        self.outcome.cannot(Cannot { subject, reason: Reason::Gone, model, detail });
    }

    fn conclude(&mut self, place: Place, outcome: Outcome) {
        let Place { subject, id, run, sequence_number, model } = place;
        let verified = self.outcome.subjects.entry(subject).or_default();
        match outcome {
            Ok(None) => verified.matched += 1,
            Ok(Some(Difference { expected, got })) => {
                verified.mismatched += 1;
                let id = RunId::from_bytes(id).to_string();
                (self.found)(&Mismatch { subject, id, run, sequence_number, model, expected, got });
            }
            Err((reason, detail)) => self.outcome.cannot(Cannot { subject, reason, model: model.to_string(), detail }),
        }
    }
}
