//! How far trajectories go from the prompt, how diverse they are, and whether they still tell the prompt.

use std::collections::BTreeMap;

use loopscope_analysis::dynamics::{prompt_recovery, semantic_drift, vendi_score};
use loopscope_analysis::series::Series;

use super::estimate::{bootstrap_cell, counted, few_runs, mean_cell, remark, share_cell};
use super::group::{By, columns, of_strands};
use super::material::{Material, Strand};
use super::report::{Analysis, Cell, ResultTable};
use super::survey::Survey;
use super::{AnalysisError, Options};
use crate::backend::{LoadedModel, Registry};
use crate::embedding_space::mismatch;
use crate::experiment::{ModelKind, ModelName, Vector};

/// Where drift is measured from.
pub(super) struct References {
    /// By prompt; empty where the first output stands for it.
    prompts: BTreeMap<String, Vec<f32>>,
    /// Why prompts are not embedded.
    pub(super) why_not: Option<String>,
}

impl References {
    /// Embeds an experiment's prompts with one of its embedders, where it takes texts and is available here.
    pub(super) fn of(material: &Material<'_>, embedder: &ModelName, registry: &dyn Registry) -> Self {
        match embed_prompts(material, embedder, registry) {
            Ok(prompts) => Self { prompts, why_not: None },
            Err(why_not) => Self { prompts: BTreeMap::new(), why_not: Some(why_not) },
        }
    }

    /// Returns the word for what drift is measured from.
    pub(super) fn name(&self) -> &'static str {
        if self.why_not.is_none() { "prompt" } else { "first output" }
    }

    /// Returns the drift of each strand, one number a turn, with its cycle continued; `None` where dimensions differ.
    pub(super) fn drifts(
        &self,
        material: &Material<'_>,
        strands: &[&Strand],
    ) -> Result<Vec<Option<Vec<f64>>>, AnalysisError> {
        strands.iter().map(|strand| self.drift(material, strand)).collect()
    }

    pub(super) fn drift(&self, material: &Material<'_>, strand: &Strand) -> Result<Option<Vec<f64>>, AnalysisError> {
        let series = strand.series()?;
        let prompt = self.prompts.get(&material.runs[strand.run].run.key.initial_prompt);
        let Some(reference) = prompt.map(Vec::as_slice).or_else(|| strand.vector(0)) else { return Ok(None) };
        if reference.len() != series.dimension() {
            return Ok(None);
        }
        let stored = semantic_drift(&series, reference)?;
        Ok(Some((0..strand.continued_len()).filter_map(|turn| strand.turn(turn)).map(|turn| stored[turn]).collect()))
    }
}

fn embed_prompts(
    material: &Material<'_>,
    embedder: &ModelName,
    registry: &dyn Registry,
) -> Result<BTreeMap<String, Vec<f32>>, String> {
    let config = &material.experiment.config;
    let info = registry.info(embedder, &config.parameters_of(embedder)).map_err(|error| error.to_string())?;
    if info.kind != ModelKind::TextEmbedder {
        return Err(format!("{embedder} embeds pictures, and a prompt is a text"));
    }
    let spaces = material.spaces(embedder).map_err(|error| error.to_string())?;
    if let Some(why) = mismatch(&spaces, &info) {
        return Err(why);
    }
    let LoadedModel::TextEmbedder(mut model) = registry.load(&info).map_err(|error| error.to_string())? else {
        return Err(format!("{embedder} is no text embedder here"));
    };
    let mut prompts: Vec<&str> = material.runs.iter().map(|run| run.run.key.initial_prompt.as_str()).collect();
    prompts.sort_unstable();
    prompts.dedup();
    let mut vectors = BTreeMap::new();
    for batch in prompts.chunks(info.batch_max.max(1)) {
        for (prompt, answer) in batch.iter().zip(model.embed(batch)) {
            let vector = Vector::new(answer.map_err(|error| error.to_string())?).map_err(|error| error.to_string())?;
            vectors.insert((*prompt).to_owned(), vector.numbers().to_vec());
        }
    }
    Ok(vectors)
}

/// Notes where prompts were not embedded, and why.
pub(super) fn note_references(analysis: &mut Analysis, references: &[(ModelName, References)]) {
    for (embedder, references) in references {
        if let Some(why_not) = &references.why_not {
            analysis.notes.push(format!("{embedder}: measured from each trajectory's first output, because {why_not}"));
        }
    }
}

pub(super) fn drift(
    material: &Material<'_>,
    options: &Options,
    registry: &dyn Registry,
) -> Result<Analysis, AnalysisError> {
    let bootstrap = &options.bootstrap;
    let mut table = ResultTable::new(
        "drift",
        "Semantic drift 1 − cos, and diversity",
        &columns(
            options.by,
            &[
                ("runs", "runs"),
                ("turns", "turns"),
                ("from", "from"),
                ("first", "first turn"),
                ("late", "second half"),
                ("last", "last turn"),
                ("vendi", "Vendi score"),
                ("remark", "remark"),
            ],
        ),
    );
    let mut recovery = recovery_table(options.by);
    let (mut survey, mut all_references) = (Survey::default(), Vec::new());
    for embedder in material.embedders() {
        let strands = survey.strands(material, &embedder)?;
        let references = References::of(material, &embedder, registry);
        for (group, members) in of_strands(material, &strands, embedder.as_str(), options.by) {
            let drifts = references.drifts(material, &members)?;
            let vendi = members
                .iter()
                .map(|strand| Ok(vendi_score(&strand.series()?)?))
                .collect::<Result<Vec<Option<f64>>, AnalysisError>>()?;
            let of = |of: &dyn Fn(&[f64]) -> Option<f64>| {
                let values: Vec<Option<f64>> = drifts.iter().map(|drift| of(drift.as_deref()?)).collect();
                mean_cell(&values, bootstrap)
            };
            let differ = drifts.iter().filter(|drift| drift.is_none()).count();
            let mut row = group.cells();
            row.extend([
                Cell::count(members.len()),
                Cell::count(members.iter().map(|strand| strand.continued_len()).max().unwrap_or(0)),
                Cell::text(references.name()),
                // The first output is at distance 0 from itself by definition.
                of(&|drift| drift.first().copied().filter(|_| references.why_not.is_none())),
                of(&|drift| late_mean(drift)),
                of(&|drift| drift.last().copied()),
                mean_cell(&vendi, bootstrap),
                remark([
                    few_runs(members.len()),
                    (differ > 0).then(|| {
                        format!("{} with vectors of another dimension than the prompt's", counted(differ, "run"))
                    }),
                ]),
            ]);
            table.row(row);
        }
        let by = By { prompt: false, ..options.by };
        for (group, members) in of_strands(material, &strands, embedder.as_str(), by) {
            recovery_rows(material, &members, &group.cells(), options, &mut recovery)?;
        }
        all_references.push((embedder, references));
    }
    let mut analysis =
        material.analysis("drift", vec![("metric", Cell::text("cosine distance 1 − cos")), bootstrap_cell(bootstrap)]);
    analysis.tables.extend([table, recovery]);
    note_references(&mut analysis, &all_references);
    analysis.notes.push(
        "The Vendi score is the effective number of different outputs of a run, as stored. A prompt is recovered where the nearest other run (leave one out, \
         1 − cos, same place and turn) has it; runs without another of their prompt do not count."
            .to_owned(),
    );
    survey.note(&mut analysis);
    Ok(analysis)
}

/// Returns the mean of the second half.
fn late_mean(drift: &[f64]) -> Option<f64> {
    let late = &drift[drift.len() / 2..];
    (!late.is_empty()).then(|| late.iter().sum::<f64>() / late.len() as f64)
}

fn recovery_table(by: By) -> ResultTable {
    let by = By { prompt: false, ..by };
    ResultTable::new(
        "recoverability",
        "Prompt recovered from one output",
        &columns(
            by,
            &[
                ("turn", "turn"),
                ("runs", "runs"),
                ("accuracy", "recovered (share)"),
                ("chance", "by chance"),
                ("remark", "remark"),
            ],
        ),
    )
}

/// Adds rows for the first turn, the middle and the last that all runs of a group have.
fn recovery_rows(
    material: &Material<'_>,
    members: &[&Strand],
    group: &[Cell],
    options: &Options,
    table: &mut ResultTable,
) -> Result<(), AnalysisError> {
    let turns = members.iter().map(|strand| strand.continued_len()).min().unwrap_or(0);
    let mut wanted = vec![0, turns / 2, turns.saturating_sub(1)];
    wanted.dedup();
    let prompts: Vec<&str> =
        members.iter().map(|strand| material.runs[strand.run].run.key.initial_prompt.as_str()).collect();
    let mut names = prompts.clone();
    names.sort_unstable();
    names.dedup();
    let prompt_of: Vec<usize> = prompts.iter().map(|prompt| names.binary_search(prompt).unwrap_or(0)).collect();
    for turn in wanted {
        let vectors: Vec<&[f32]> = members.iter().filter_map(|strand| strand.vector(turn)).collect();
        let dimension = vectors.first().map_or(0, |vector| vector.len());
        if vectors.len() != members.len() || vectors.iter().any(|vector| vector.len() != dimension) {
            continue;
        }
        let found = prompt_recovery(&Series::new(&vectors.concat(), vectors.len(), dimension)?, &prompt_of)?;
        let counted = found.is_recovered.iter().flatten().count();
        let why_not = match (names.len(), counted) {
            (1, _) => Some("one prompt only".to_owned()),
            (_, 0) => Some("no two runs of one prompt".to_owned()),
            _ => None,
        };
        let accuracy = match &why_not {
            Some(_) => Cell::Number(None),
            None => share_cell(found.is_recovered.iter().copied(), &options.bootstrap),
        };
        let mut row = group.to_vec();
        row.extend([
            Cell::count(turn),
            Cell::count(counted),
            accuracy,
            Cell::Number(why_not.is_none().then_some(found.chance)),
            remark([why_not]),
        ]);
        table.row(row);
    }
    Ok(())
}
