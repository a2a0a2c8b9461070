//! Which of the record's model versions can be called here: those that this program has exactly as the record says.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::backend::{ModelInfo, Registry, RegistryError};
use crate::codec::canonical_json;
use crate::experiment::{Determinism, ModelVersion, ModelVersionId};
use crate::store::{CallRow, Store, StoreError};

/// Why something cannot be verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// No model of this name is here.
    ModelUnknown,
    /// The model of this name takes or gives something else here.
    OtherKind,
    /// The model of this name is another backend's here.
    OtherBackend,
    /// Its revision is another.
    OtherRevision,
    /// Its weights are others.
    OtherWeights,
    /// It does not take the parameters that are stored, or the computation had others than this program can repeat.
    OtherParameters,
    /// Nobody promises that a call repeats: `best_effort` or `unknown`.
    NotDeterministic,
    /// The seed used is not on record.
    SeedNotRecorded,
    /// The model version is not in the store.
    ModelVersionMissing,
    /// The input is not there or does not read.
    InputUnreadable,
    /// The call, made again, gave an error.
    CallFailed,
    /// It changed while it was verified.
    Gone,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ModelUnknown => "model unknown here",
            Self::OtherKind => "another kind here",
            Self::OtherBackend => "another backend here",
            Self::OtherRevision => "another revision here",
            Self::OtherWeights => "other weights here",
            Self::OtherParameters => "other parameters",
            Self::NotDeterministic => "not deterministic",
            Self::SeedNotRecorded => "seed not recorded",
            Self::ModelVersionMissing => "model version missing",
            Self::InputUnreadable => "input unreadable",
            Self::CallFailed => "call failed",
            Self::Gone => "gone",
        })
    }
}

/// Every model version of a store: what it is here, or why it is not.
pub(super) struct Models {
    /// By version: its name, and what it is here.
    versions: BTreeMap<ModelVersionId, (String, Here)>,
}

/// The info with its index, or the reason with what is known of it.
type Here = Result<(usize, ModelInfo), (Reason, String)>;

impl Models {
    pub(super) fn of(store: &Store, registry: &dyn Registry) -> Result<Self, StoreError> {
        let versions = store.model_versions()?.into_iter().enumerate().map(|(index, version)| {
            let available = info_of(&version, registry).map(|info| (index, info));
            (version.id, (version.name.to_string(), available))
        });
        Ok(Self { versions: versions.collect() })
    }

    /// Returns the index of the model that made a row, or why the row cannot be made again: reason, model, detail.
    pub(super) fn of_row(&self, row: CallRow) -> Result<usize, (Reason, String, String)> {
        let Some(version) = row.version else { return Ok(0) };
        match self.versions.get(&version) {
            None => Err((Reason::ModelVersionMissing, "unknown".to_owned(), version.to_string())),
            Some((name, Err((reason, detail)))) => Err((*reason, name.clone(), detail.clone())),
            Some((name, Ok(_))) if row.seed.is_some_and(|seed| seed < 0) => {
                Err((Reason::SeedNotRecorded, name.clone(), "an imported row without its seed".to_owned()))
            }
            Some((_, Ok((index, _)))) => Ok(*index),
        }
    }

    pub(super) fn available(&self, version: ModelVersionId) -> Option<(usize, &ModelInfo)> {
        match self.versions.get(&version) {
            Some((_, Ok((index, info)))) => Some((*index, info)),
            _ => None,
        }
    }
}

/// Returns the model here that is what the record says, or in what it differs.
fn info_of(version: &ModelVersion, registry: &dyn Registry) -> Result<ModelInfo, (Reason, String)> {
    let differs = |reason, what: &str, there: &str, here: &str| {
        if there == here { Ok(()) } else { Err((reason, format!("{what} \"{there}\", here \"{here}\""))) }
    };
    // First, because it holds wherever the record is read.
    if !version.determinism.repeats() {
        return Err((Reason::NotDeterministic, version.determinism.as_str().to_owned()));
    }
    let other_parameters = |detail: String| (Reason::OtherParameters, detail);
    let parameters: Map<String, Value> = serde_json::from_str(&version.parameters)
        .map_err(|error| other_parameters(format!("the stored ones do not read: {error}")))?;
    let info = registry.info(&version.name, &parameters).map_err(|error| match error {
        RegistryError::UnknownModel { .. } => (Reason::ModelUnknown, format!("backend \"{}\"", version.backend)),
        RegistryError::NotHere { reason, .. } => (Reason::ModelUnknown, reason),
        other => other_parameters(other.to_string()),
    })?;
    differs(Reason::OtherKind, "kind", version.kind.as_str(), info.kind.as_str())?;
    differs(Reason::OtherBackend, "backend", &version.backend, &info.backend)?;
    differs(Reason::OtherRevision, "revision", &version.revision, &info.revision)?;
    differs(Reason::OtherWeights, "weights", &version.weights_hash, &info.weights_hash)?;
    let here = canonical_json(&info.parameters).map_err(|error| other_parameters(error.to_string()))?;
    differs(Reason::OtherParameters, "parameters", &version.parameters, &here)?;
    match info.determinism {
        Determinism::Bitwise | Determinism::SameDevice => Ok(info),
        other => Err((Reason::NotDeterministic, format!("{} here", other.as_str()))),
    }
}
