//! What analyses read: runs with their states, and strands of vectors.

use std::cell::OnceCell;
use std::collections::BTreeMap;

use loopscope_analysis::series::{Series, SeriesError};

use super::AnalysisError;
use super::report::{Analysis, Cell};
use crate::embedding_space::{EmbeddingSpace, SpaceCounts, count_spaces, spaces_of_versions, told_counts};
use crate::experiment::{Experiment, ExperimentId, ModelName, ModelVersionId, Run};
use crate::store::{Store, StoreError, TrajectoryState};

/// An experiment's runs.
pub(super) struct Material<'a> {
    pub(super) store: &'a Store,
    pub(super) experiment: Experiment,
    pub(super) runs: Vec<RunMaterial>,
    spaces: BTreeMap<ModelVersionId, EmbeddingSpace>,
    /// Counted when first asked for: one for each embedder, in the config's order.
    counted: Vec<(ModelName, OnceCell<SpaceCounts>)>,
}

/// What one embedder saw of an experiment.
pub(super) struct Strands {
    /// By run and place.
    pub(super) strands: Vec<Strand>,
    /// How many vectors lie behind a gap and were left out.
    pub(super) behind_gaps: usize,
    /// Says which vectors were left out because another version of the embedder made them.
    pub(super) of_other_versions: Option<String>,
}

/// One run.
pub(super) struct RunMaterial {
    pub(super) run: Run,
    pub(super) states: Vec<TrajectoryState>,
    /// The period in invocations, where the run stopped because its state came back.
    pub(super) cycle: Option<usize>,
}

/// What one embedder saw of one run at one place of its network: one vector a turn.
pub(super) struct Strand {
    /// Which run, as an index.
    pub(super) run: usize,
    /// Which place of the network, from 0.
    pub(super) position: usize,
    /// The model whose outputs these are; with its place where the network has it more than once.
    pub(super) place: String,
    values: Vec<f32>,
    length: usize,
    dimension: usize,
    /// How many turns it would have at the full length of the run.
    pub(super) turns_max: usize,
    /// After how many turns it repeats itself for ever, where the run stopped in a cycle.
    pub(super) period: Option<usize>,
}

impl Strand {
    /// Returns the vectors.
    pub(super) fn series(&self) -> Result<Series<'_>, SeriesError> {
        Series::new(&self.values, self.length, self.dimension)
    }

    /// Returns how many turns are stored.
    pub(super) fn len(&self) -> usize {
        self.length
    }

    /// Returns the turn that stands for a turn that may lie beyond the end: the cycle goes on.
    pub(super) fn turn(&self, turn: usize) -> Option<usize> {
        match self.period {
            _ if turn < self.length => Some(turn),
            Some(period) if turn < self.turns_max && period <= self.length => {
                Some(self.length - period + (turn - self.length) % period)
            }
            _ => None,
        }
    }

    /// Returns how many turns there are with the cycle continued.
    pub(super) fn continued_len(&self) -> usize {
        if self.period.is_some_and(|period| period <= self.length) {
            self.turns_max.max(self.length)
        } else {
            self.length
        }
    }

    /// Returns the vector of a turn that may lie beyond the end.
    pub(super) fn vector(&self, turn: usize) -> Option<&[f32]> {
        let turn = self.turn(turn)?;
        Some(&self.values[turn * self.dimension..(turn + 1) * self.dimension])
    }
}

impl<'a> Material<'a> {
    pub(super) fn load(store: &'a Store, id: ExperimentId) -> Result<Self, StoreError> {
        let experiment = store.experiment(id)?;
        let runs = store
            .progress(id, &BTreeMap::new())?
            .into_iter()
            .map(|progress| {
                let cycle = progress.cycle.and_then(|period| usize::try_from(period).ok());
                Ok(RunMaterial { states: store.states(progress.run.id)?, cycle, run: progress.run })
            })
            .collect::<Result<Vec<_>, StoreError>>()?;
        let counted = experiment.config.embedding_models.iter().map(|name| (name.clone(), OnceCell::new())).collect();
        Ok(Self { store, experiment, runs, spaces: spaces_of_versions(store)?, counted })
    }

    /// Returns the embedders, in the config's order.
    pub(super) fn embedders(&self) -> Vec<ModelName> {
        self.experiment.config.embedding_models.to_vec()
    }

    /// Counts an embedder's vectors by the version that made them, as far as it matters; most first.
    pub(super) fn spaces(&self, embedder: &ModelName) -> Result<SpaceCounts, StoreError> {
        let known = self.counted.iter().find(|(name, _)| name == embedder).map(|(_, counted)| counted);
        if let Some(spaces) = known.and_then(OnceCell::get) {
            return Ok(spaces.clone());
        }
        let spaces = count_spaces(self.store, embedder, &[self.experiment.id])?;
        if let Some(counted) = known {
            counted.set(spaces.clone()).ok();
        }
        Ok(spaces)
    }

    /// Returns what an embedder saw, as its version saw it that made most of its vectors: those of others do not compare.
    pub(super) fn strands(&self, embedder: &ModelName) -> Result<Strands, AnalysisError> {
        let spaces = self.spaces(embedder)?;
        let space = spaces.first().map(|(space, _)| space);
        let (mut strands, mut behind_gaps) = (Vec::new(), 0);
        for (index, material) in self.runs.iter().enumerate() {
            let network = &material.run.key.network;
            let mut by_position: BTreeMap<usize, Strand> = BTreeMap::new();
            for stored in self.store.trajectory(material.run.id, embedder)? {
                if self.spaces.get(&stored.version) != space {
                    continue;
                }
                let position = network.position(stored.sequence_number);
                let turn = (stored.sequence_number.0 / network.len() as u64) as usize;
                let strand = by_position.entry(position).or_insert_with(|| self.new_strand(index, position));
                let numbers = stored.vector.numbers();
                if turn != strand.length || (strand.length > 0 && numbers.len() != strand.dimension) {
                    behind_gaps += 1;
                    continue;
                }
                strand.dimension = numbers.len();
                strand.values.extend_from_slice(numbers);
                strand.length += 1;
            }
            strands.extend(by_position.into_values().filter(|strand| strand.length > 0));
        }
        let of_other_versions = (spaces.len() > 1).then(|| {
            let counts = told_counts(&spaces);
            format!("{embedder}: its vectors are of several versions ({counts}), which do not compare: only the first are taken")
        });
        Ok(Strands { strands, behind_gaps, of_other_versions })
    }

    fn new_strand(&self, run: usize, position: usize) -> Strand {
        let material = &self.runs[run];
        let network = &material.run.key.network;
        let model = &network.models()[position];
        let is_repeated = network.models().iter().filter(|other| *other == model).count() > 1;
        let place = if is_repeated { format!("{model} at {position}") } else { model.to_string() };
        let length = usize::try_from(material.run.max_length.get()).unwrap_or(usize::MAX);
        Strand {
            run,
            position,
            place,
            values: Vec::new(),
            length: 0,
            dimension: 0,
            turns_max: length.saturating_sub(position).div_ceil(network.len()),
            period: material.cycle.map(|period| period / network.len()).filter(|&period| period > 0),
        }
    }

    /// Returns an analysis of this experiment without tables yet.
    pub(super) fn analysis(&self, name: &'static str, parameters: Vec<(&'static str, Cell)>) -> Analysis {
        Analysis {
            name,
            experiment: self.experiment.name.clone(),
            experiment_id: self.experiment.id.to_string(),
            parameters,
            tables: Vec::new(),
            notes: Vec::new(),
        }
    }
}
