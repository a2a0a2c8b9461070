//! Which cluster each output is in, turn by turn.

use std::collections::{BTreeMap, BTreeSet};

use loopscope_analysis::symbolic::continued;

use super::group::{Group, of_strands};
use super::material::{Material, Strand};
use super::report::Analysis;
use super::survey::Survey;
use super::{AnalysisError, Options};
use crate::experiment::{ClusteringResultId, EmbeddingId, ModelName};
use crate::store::ClusteringSummary;

/// The clusters of one embedder's outputs.
pub(super) struct Labels {
    /// Which clustering.
    pub(super) clustering: ClusteringSummary,
    /// What people know each cluster by, in the order of the numbers: most outputs of this experiment first.
    pub(super) names: Vec<String>,
    /// The embedding in the middle of each cluster.
    pub(super) medoids: Vec<EmbeddingId>,
    /// Outputs of this experiment in each.
    pub(super) sizes: Vec<usize>,
    by_output: BTreeMap<(usize, u64), usize>,
    /// The outputs of this experiment that the clustering covers, outliers too.
    covered: BTreeSet<(usize, u64)>,
}

impl Labels {
    /// Returns the labels of a strand, `None` for an outlier or an output that was not clustered, with its cycle continued.
    pub(super) fn sequence(&self, material: &Material<'_>, strand: &Strand) -> Vec<Option<usize>> {
        let stored: Vec<Option<usize>> =
            outputs_of(material, strand).map(|output| self.by_output.get(&output).copied()).collect();
        match strand.period {
            Some(period) if strand.continued_len() > strand.len() && period < strand.len() => {
                continued(&stored, strand.len() - 1 - period, strand.continued_len())
            }
            _ => stored,
        }
    }

    /// Returns how many outputs of strands the clustering does not cover: it was made of a part, or before they came.
    pub(super) fn uncovered(&self, material: &Material<'_>, strands: &[Strand]) -> usize {
        let outputs = strands.iter().flat_map(|strand| outputs_of(material, strand));
        outputs.filter(|output| !self.covered.contains(output)).count()
    }
}

/// Returns the run and number of each stored output of a strand.
fn outputs_of(material: &Material<'_>, strand: &Strand) -> impl Iterator<Item = (usize, u64)> {
    let length = material.runs[strand.run].run.key.network.len() as u64;
    let (run, position) = (strand.run, strand.position as u64);
    (0..strand.len() as u64).map(move |turn| (run, position + turn * length))
}

/// Calls `visit` for each group of strands of each embedder that is clustered, with the labels of its members.
pub(super) fn each_labelled_group(
    material: &Material<'_>,
    options: &Options,
    (analysis, survey): (&mut Analysis, &mut Survey),
    mut visit: impl FnMut(&Group, Vec<Vec<Option<usize>>>, &Labels) -> Result<(), AnalysisError>,
) -> Result<(), AnalysisError> {
    for embedder in material.embedders() {
        let strands = survey.stored_strands(material, &embedder)?;
        let labels = labels(material, &embedder, options)?;
        note_clustering(analysis, material, &embedder, (labels.as_ref(), &strands));
        let Some(labels) = labels else { continue };
        survey.count_continued(&strands);
        for (group, members) in of_strands(material, &strands, embedder.as_str(), options.by) {
            visit(&group, members.iter().map(|strand| labels.sequence(material, strand)).collect(), &labels)?;
        }
    }
    Ok(())
}

/// Reads the newest clustering of an embedder, or the one that was asked for; `None` where there is none.
pub(super) fn labels(
    material: &Material<'_>,
    embedder: &ModelName,
    options: &Options,
) -> Result<Option<Labels>, AnalysisError> {
    let mut known = material.store.clusterings(material.experiment.id)?;
    if let Some(typed) = &options.clustering {
        let ids: Vec<String> = known.iter().map(|clustering| short(&clustering.id)).collect();
        let wanted = typed.to_lowercase();
        known.retain(|clustering| {
            let id = &clustering.id;
            id.starts_with(&wanted) || id.ends_with(&wanted) || id.replace('-', "").ends_with(&wanted)
        });
        if known.is_empty() {
            let known = if ids.is_empty() { "none".to_owned() } else { ids.join(", ") };
            return Err(AnalysisError::UnknownClustering { typed: typed.clone(), known });
        }
    }
    known.retain(|clustering| clustering.embedding_model == embedder.as_str());
    let Some(clustering) = known.pop() else { return Ok(None) };
    let unreadable =
        |_| AnalysisError::UnknownClustering { typed: clustering.id.clone(), known: "no such id".to_owned() };
    let id: ClusteringResultId = clustering.id.parse().map_err(unreadable)?;
    let stored = material.store.labels(material.experiment.id, id)?;
    let mut sizes: BTreeMap<EmbeddingId, usize> = BTreeMap::new();
    stored.iter().filter_map(|label| label.medoid).for_each(|medoid| *sizes.entry(medoid).or_default() += 1);
    let texts = material.store.medoid_texts(id)?;
    let name = |medoid: &EmbeddingId| match texts.get(medoid) {
        Some(Some(text)) => text.clone(),
        _ => format!("[picture {}]", medoid.short()),
    };
    let mut order: Vec<(EmbeddingId, usize, String)> =
        sizes.into_iter().map(|(medoid, size)| (medoid, size, name(&medoid))).collect();
    order.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.2.cmp(&b.2)));
    let number_of: BTreeMap<EmbeddingId, usize> =
        order.iter().enumerate().map(|(number, (medoid, _, _))| (*medoid, number)).collect();
    let run_of: BTreeMap<_, usize> =
        material.runs.iter().enumerate().map(|(index, material)| (material.run.id, index)).collect();
    let (mut by_output, mut covered) = (BTreeMap::new(), BTreeSet::new());
    for label in &stored {
        let Some(&run) = run_of.get(&label.run_id) else { continue };
        let output = (run, label.sequence_number.0);
        covered.insert(output);
        if let Some(&number) = label.medoid.and_then(|medoid| number_of.get(&medoid)) {
            by_output.insert(output, number);
        }
    }
    let medoids = order.iter().map(|(medoid, _, _)| *medoid).collect();
    let sizes = order.iter().map(|(_, size, _)| *size).collect();
    let names = order.into_iter().map(|(_, _, name)| name).collect();
    Ok(Some(Labels { clustering, names, medoids, sizes, by_output, covered }))
}

fn short(id: &str) -> String {
    id[id.len().saturating_sub(8)..].to_owned()
}

/// Notes which clustering was used, and what it leaves out; or that there is none.
fn note_clustering(
    analysis: &mut Analysis,
    material: &Material<'_>,
    embedder: &ModelName,
    (labels, strands): (Option<&Labels>, &[Strand]),
) {
    match labels {
        None => analysis
            .notes
            .push(format!("{embedder}: no clustering is stored; `loopscope cluster run {embedder}` makes one")),
        Some(labels) => {
            let clustering = &labels.clustering;
            let uncovered = labels.uncovered(material, strands);
            let rest = if uncovered > 0 {
                format!("; {uncovered} outputs are not in it and count as outliers")
            } else {
                String::new()
            };
            analysis.notes.push(format!(
                "{embedder}: {} clustering {}, {} clusters, {} of {} embeddings outliers{rest}",
                clustering.algorithm,
                short(&clustering.id),
                clustering.clusters,
                clustering.outliers,
                clustering.members
            ));
        }
    }
}
