//! In which space vectors lie: what embedded them, whatever program called it.
//!
//! Two versions of a model place the same text at two points. Distances between their vectors mean nothing, so that
//! whoever compares vectors of one model's name asks here first.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::backend::ModelInfo;
use crate::codec::canonical_json;
use crate::experiment::{ExperimentId, ModelName, ModelVersion, ModelVersionId};
use crate::store::{Store, StoreError};

/// What two vectors must share to be compared. What is unknown of both counts as shared.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct EmbeddingSpace {
    backend: String,
    revision: String,
    weights_hash: String,
    parameters: String,
}

impl EmbeddingSpace {
    /// Returns the space that a version embeds into.
    pub(crate) fn of_version(version: &ModelVersion) -> Self {
        Self {
            backend: version.backend.clone(),
            revision: version.revision.clone(),
            weights_hash: version.weights_hash.clone(),
            parameters: version.parameters.clone(),
        }
    }

    /// Returns the space that a model embeds into that is not loaded yet; `None` for parameters that cannot be stored.
    pub(crate) fn of_info(info: &ModelInfo) -> Option<Self> {
        Some(Self {
            backend: info.backend.clone(),
            revision: info.revision.clone(),
            weights_hash: info.weights_hash.clone(),
            parameters: canonical_json(&info.parameters).ok()?,
        })
    }

    fn fields(&self) -> [(&'static str, &str); 4] {
        [
            ("backend", &self.backend),
            ("revision", &self.revision),
            ("weights", self.weights_hash.get(..12).unwrap_or(&self.weights_hash)),
            ("parameters", &self.parameters),
        ]
    }

    /// Says what tells this space from others, such as `revision 1`.
    pub(crate) fn told_from(&self, others: &[&Self]) -> String {
        let differing = self
            .fields()
            .into_iter()
            .enumerate()
            .filter(|(place, (_, value))| others.iter().any(|other| other.fields()[*place].1 != *value));
        differing.map(|(_, (name, value))| format!("{name} {value}")).collect::<Vec<String>>().join(", ")
    }
}

/// How many vectors lie in each space, most first.
pub(crate) type SpaceCounts = Vec<(EmbeddingSpace, u64)>;

/// Returns the space of every version that the store knows.
pub(crate) fn spaces_of_versions(store: &Store) -> Result<BTreeMap<ModelVersionId, EmbeddingSpace>, StoreError> {
    let versions = store.model_versions()?;
    Ok(versions.iter().map(|version| (version.id, EmbeddingSpace::of_version(version))).collect())
}

/// Counts the embeddings of a model in some experiments by space; the order of equals depends on no id.
pub(crate) fn count_spaces(
    store: &Store,
    model: &ModelName,
    experiments: &[ExperimentId],
) -> Result<SpaceCounts, StoreError> {
    let spaces = spaces_of_versions(store)?;
    let mut counts: BTreeMap<EmbeddingSpace, u64> = BTreeMap::new();
    for &experiment in experiments {
        for (version, count) in store.embedding_versions(experiment, model)? {
            if let Some(space) = spaces.get(&version) {
                *counts.entry(space.clone()).or_default() += count;
            }
        }
    }
    let mut counts: SpaceCounts = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| Reverse(*count));
    Ok(counts)
}

/// Returns why vectors that a model makes now do not compare with those that an experiment has of it; `None` where they do,
/// or where it has none.
///
/// # Errors
///
/// [`StoreError`].
pub fn space_mismatch(
    store: &Store,
    experiment: ExperimentId,
    model: &ModelName,
    info: &ModelInfo,
) -> Result<Option<String>, StoreError> {
    Ok(mismatch(&count_spaces(store, model, &[experiment])?, info))
}

/// The same, of the spaces that vectors lie in, most first.
pub(crate) fn mismatch(spaces: &SpaceCounts, info: &ModelInfo) -> Option<String> {
    let ((stored, _), here) = (spaces.first()?, EmbeddingSpace::of_info(info)?);
    let (stored_told, here_told) = (stored.told_from(&[&here]), here.told_from(&[stored]));
    (*stored != here).then(|| format!("its vectors were made with {stored_told}, and here it has {here_told}"))
}

/// Says how many vectors lie in each of several spaces: `8 with revision 2, 4 with revision 1`.
pub(crate) fn told_counts(counts: &SpaceCounts) -> String {
    let spaces: Vec<&EmbeddingSpace> = counts.iter().map(|(space, _)| space).collect();
    let told = counts.iter().map(|(space, count)| format!("{count} with {}", space.told_from(&spaces)));
    told.collect::<Vec<String>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn space(revision: &str, weights_hash: &str) -> EmbeddingSpace {
        let [backend, parameters] = ["candle", "{}"].map(str::to_owned);
        EmbeddingSpace { backend, revision: revision.to_owned(), weights_hash: weights_hash.to_owned(), parameters }
    }

    #[test]
    fn only_what_differs_is_told() {
        let counts = vec![(space("2", "unknown"), 8), (space("1", "unknown"), 4)];
        assert_eq!(told_counts(&counts), "8 with revision 2, 4 with revision 1");
        let long = space("2", "0123456789abcdef");
        assert_eq!(long.told_from(&[&counts[0].0]), "weights 0123456789ab");
    }
}
