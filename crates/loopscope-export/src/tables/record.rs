//! What was asked for and what came out: experiments, runs, invocations, embeddings.

use std::collections::{BTreeMap, HashSet};

use loopscope_core::experiment::{Experiment, ExperimentId, ModelName, Run};
use loopscope_core::store::{StoredEmbedding, StoredInvocation};

use super::columns::{TableName, table};
use super::prompts::prompt_embedding_id;
use super::sheet::Cell;
use super::writer::Open;
use super::{Export, tell};
use crate::{ExportError, Part};

/// The number of a prompt, which stands before the first output.
const PROMPT_NUMBER: i64 = -1;

impl Export<'_, '_> {
    pub(super) fn experiments_and_runs(&mut self) -> Result<(), ExportError> {
        let (mut experiments, mut runs) =
            (self.open(&self.table(TableName::Experiments))?, self.open(&self.table(TableName::Runs))?);
        for experiment in &self.selection.experiments {
            self.experiment(&mut experiments, experiment)?;
            for run in self.store.runs(experiment.id)? {
                self.row(
                    &mut runs,
                    &[
                        Cell::Shown(&run.id),
                        Cell::Shown(&run.experiment_id),
                        Cell::Texts(&network_of(&run)),
                        Cell::count(run.key.run_number),
                        Cell::count(run.max_length.get()),
                        Cell::Text(&run.key.initial_prompt),
                        Cell::Integer(run.key.seed.value()),
                    ],
                )?;
            }
        }
        self.close(experiments)?;
        self.close(runs)
    }

    fn experiment(&mut self, open: &mut Open, experiment: &Experiment) -> Result<(), ExportError> {
        let config = &experiment.config;
        let networks: Vec<Vec<&str>> =
            config.networks.iter().map(|network| network.models().iter().map(ModelName::as_str).collect()).collect();
        let prompts: Vec<&str> = config.prompts.iter().map(String::as_str).collect();
        let models: Vec<&str> = config.embedding_models.iter().map(ModelName::as_str).collect();
        let seeds: Vec<i64> = config.seeds.iter().map(|seed| seed.value()).collect();
        self.row(
            open,
            &[
                Cell::Shown(&experiment.id),
                Cell::Text(&experiment.name),
                Cell::TextLists(&networks),
                // How many runs each network and prompt has.
                Cell::count(seeds.len() as u64),
                Cell::Texts(&prompts),
                Cell::Texts(&models),
                Cell::count(config.max_length.get()),
                Cell::Integers(&seeds),
                Cell::Text(&experiment.config_as_given),
                Cell::Text(experiment.origin.as_str()),
                Cell::Time(experiment.created_at),
                Cell::time(experiment.started_at),
                Cell::time(experiment.completed_at),
            ],
        )
    }

    /// Writes `invocations` and `wide` in one pass.
    pub(super) fn invocations(&mut self, with_pictures: bool) -> Result<(), ExportError> {
        let mut narrow = self.open(&self.table(TableName::Invocations))?;
        let mut wide = self.open(&self.table(TableName::Wide))?;
        self.progress.begin(Part { name: "invocations", total: self.counts.invocations, unit: "rows" });
        let (mut done, mut seen) = (0, HashSet::new());
        for experiment in &self.selection.experiments {
            for run in self.store.runs(experiment.id)? {
                if self.prompts.is_some() {
                    self.prompt_rows(experiment, &run, &mut narrow, &mut wide)?;
                }
                let network = network_of(&run);
                self.store.visit_stored_invocations(run.id, |row| {
                    if let Some(hash) = row.output_image.filter(|hash| with_pictures && seen.insert(*hash)) {
                        self.pictures.push(hash);
                    }
                    self.versions.insert(row.model_version_id);
                    self.writer.row(&mut narrow, &invocation_cells(&row))?;
                    self.writer.row(&mut wide, &wide_cells(experiment, &run, &network, &row))?;
                    tell(self.progress, &mut done)
                })?;
            }
        }
        self.close(narrow)?;
        self.close(wide)
    }

    /// Writes the prompt of a run as the step before its first.
    fn prompt_rows(
        &mut self,
        experiment: &Experiment,
        run: &Run,
        narrow: &mut Open,
        wide: &mut Open,
    ) -> Result<(), ExportError> {
        let none = || Cell::Null;
        self.row(
            narrow,
            &[
                Cell::Shown(&run.id),
                Cell::Shown(&run.id),
                none(),
                Cell::Integer(PROMPT_NUMBER),
                Cell::Text("text"),
                none(),
                Cell::Text(&run.key.initial_prompt),
                none(),
                none(),
                none(),
                none(),
                none(),
            ],
        )?;
        let network = network_of(run);
        let of_run = run_cells(experiment, run, &network);
        let own = [
            Cell::Shown(&run.id),
            Cell::Integer(PROMPT_NUMBER),
            Cell::Text("text"),
            none(),
            Cell::Text(&run.key.initial_prompt),
            none(),
            none(),
            none(),
        ];
        self.row(wide, &of_run.into_iter().chain(own).collect::<Vec<_>>())
    }

    /// Writes the vectors: a file for each model, and for each length where experiments disagree about it.
    ///
    /// All files in one pass over the runs: what is stored of an output lies together, and is read once.
    pub(super) fn embeddings(&mut self) -> Result<(), ExportError> {
        let mut files = self.open_vectors()?;
        self.progress.begin(Part { name: "embeddings", total: self.counts.embeddings, unit: "rows" });
        let mut done = 0;
        for experiment in &self.selection.experiments {
            let mut own = BTreeMap::new();
            for (index, file) in files.iter().enumerate() {
                if file.experiments.contains(&experiment.id) {
                    own.insert(file.model.clone(), index);
                }
            }
            let models: Vec<&str> = own.keys().map(ModelName::as_str).collect();
            for run in self.store.runs(experiment.id)? {
                for &index in own.values() {
                    self.prompt_vector(&mut files[index], experiment, &run)?;
                }
                self.store.visit_embeddings(run.id, &models, |row| {
                    let own = own.iter().find(|(model, _)| model.as_str() == row.embedding_model);
                    let Some((_, &index)) = own else { return Ok(()) };
                    let file = &mut files[index];
                    self.versions.insert(row.model_version_id);
                    vector_of_length(row.numbers, file.dimension, &row.id)?;
                    self.writer.row(&mut file.open, &embedding_cells(&row))?;
                    tell(self.progress, &mut done)
                })?;
            }
        }
        files.into_iter().try_for_each(|file| self.close(file.open))
    }

    fn open_vectors(&mut self) -> Result<Vec<VectorFile>, ExportError> {
        let mut found = Vec::new();
        for model in &self.models {
            let lengths = self.dimensions_of(model)?;
            let has_several = lengths.len() > 1;
            for (dimension, experiments) in lengths {
                let name = if has_several { format!("{model}-{dimension}") } else { model.to_string() };
                found.push((model.clone(), dimension, experiments, name));
            }
        }
        let share = found.len();
        let mut files = Vec::new();
        for (model, dimension, experiments, name) in found {
            let length = i32::try_from(dimension).map_err(|_| ExportError::Unfit {
                object: format!("a vector of {model}"),
                defect: format!("has {dimension} numbers, more than Parquet's lists have"),
            })?;
            let table = table(TableName::Embeddings, self.prompts.is_some(), length);
            let relative = format!("embeddings/{}.parquet", self.slugs.name(&name));
            let open = self.open_beside(&table, &relative, None, share)?;
            files.push(VectorFile { model, dimension, experiments, open });
        }
        Ok(files)
    }

    /// Returns the experiments that have vectors of a model, by the length of these.
    fn dimensions_of(&self, model: &ModelName) -> Result<BTreeMap<usize, Vec<ExperimentId>>, ExportError> {
        let mut found: BTreeMap<usize, Vec<ExperimentId>> = BTreeMap::new();
        for experiment in &self.selection.experiments {
            if let Some(dimension) = self.store.dimension(experiment.id, model)? {
                found.entry(dimension).or_default().push(experiment.id);
            }
        }
        Ok(found)
    }

    /// Writes the vector of a run's prompt before those of its outputs.
    fn prompt_vector(&mut self, file: &mut VectorFile, experiment: &Experiment, run: &Run) -> Result<(), ExportError> {
        let prompts = self.prompts.as_ref();
        let Some(vector) = prompts.and_then(|all| all.vector(experiment, &file.model, &run.key.initial_prompt)) else {
            return Ok(());
        };
        let id = prompt_embedding_id(run.id, &file.model);
        let numbers = vector_of_length(vector.numbers(), file.dimension, &id)?;
        let cells = [
            Cell::Shown(&id),
            Cell::Shown(&run.id),
            Cell::Text(file.model.as_str()),
            Cell::Vector(numbers),
            Cell::Null,
            Cell::Null,
            Cell::Null,
        ];
        self.writer.row(&mut file.open, &cells)
    }
}

/// Vectors of one model and length on their way.
struct VectorFile {
    model: ModelName,
    dimension: usize,
    /// Those that have such vectors.
    experiments: Vec<ExperimentId>,
    open: Open,
}

fn vector_of_length<'v>(
    numbers: &'v [f32],
    dimension: usize,
    id: &loopscope_core::experiment::EmbeddingId,
) -> Result<&'v [f32], ExportError> {
    if numbers.len() == dimension {
        return Ok(numbers);
    }
    Err(ExportError::Unfit {
        object: format!("embedding {}", id.short()),
        defect: format!("has {} numbers, where the others of its model and experiment have {dimension}", numbers.len()),
    })
}

pub(super) fn network_of(run: &Run) -> Vec<&str> {
    run.key.network.models().iter().map(ModelName::as_str).collect()
}

fn invocation_cells(row: &StoredInvocation) -> [Cell<'_>; 12] {
    [
        Cell::Shown(&row.id),
        Cell::Shown(&row.run_id),
        Cell::shown(row.input_invocation_id.as_ref()),
        Cell::count(row.sequence_number.0),
        Cell::Text(type_of(row)),
        Cell::Text(row.model.as_str()),
        Cell::text(row.output_text.as_deref()),
        Cell::shown(row.output_image.as_ref()),
        Cell::Integer(row.seed),
        Cell::Shown(&row.model_version_id),
        Cell::Time(row.started_at),
        Cell::time(row.completed_at),
    ]
}

pub(super) fn type_of(row: &StoredInvocation) -> &'static str {
    if row.output_image.is_some() { "image" } else { "text" }
}

fn run_cells<'c>(experiment: &'c Experiment, run: &'c Run, network: &'c [&'c str]) -> [Cell<'c>; 8] {
    [
        Cell::Shown(&experiment.id),
        Cell::Text(&experiment.name),
        Cell::Shown(&run.id),
        Cell::Texts(network),
        Cell::Text(&run.key.initial_prompt),
        Cell::Integer(run.key.seed.value()),
        Cell::count(run.key.run_number),
        Cell::count(run.max_length.get()),
    ]
}

fn wide_cells<'c>(
    experiment: &'c Experiment,
    run: &'c Run,
    network: &'c [&'c str],
    row: &'c StoredInvocation,
) -> Vec<Cell<'c>> {
    let own = [
        Cell::Shown(&row.id),
        Cell::count(row.sequence_number.0),
        Cell::Text(type_of(row)),
        Cell::Text(row.model.as_str()),
        Cell::text(row.output_text.as_deref()),
        Cell::shown(row.output_image.as_ref()),
        Cell::Time(row.started_at),
        Cell::time(row.completed_at),
    ];
    run_cells(experiment, run, network).into_iter().chain(own).collect()
}

fn embedding_cells<'c>(row: &'c StoredEmbedding<'c>) -> [Cell<'c>; 7] {
    [
        Cell::Shown(&row.id),
        Cell::Shown(&row.invocation_id),
        Cell::Text(row.embedding_model),
        Cell::Vector(row.numbers),
        Cell::Shown(&row.model_version_id),
        Cell::Time(row.started_at),
        Cell::time(row.completed_at),
    ]
}
