//! What a check says: how bad, of which kind, about which object, and the exact defect.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::cell::Subject;
use super::gauge::Gauge;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Something that this program never writes: the record says what is not so.
    Violation,
    /// Something that the experiment asks for and that is not there yet; a resume computes it.
    Incomplete,
    /// Worth knowing, and allowed.
    Note,
}

impl Severity {
    /// Returns the word for it in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Violation => "violation",
            Self::Incomplete => "incomplete",
            Self::Note => "note",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $name:ident = $word:literal),+ $(,)?) => {
        /// What a finding is about. The words are a promise: scripts select by them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[non_exhaustive]
        pub enum FindingKind {
            $($(#[doc = $doc])+ #[serde(rename = $word)] $name,)+
        }

        impl FindingKind {
            /// All kinds.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// Returns the word for the kind in JSON.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)+ }
            }

            /// Returns what the kind means, in a sentence for people.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),+).trim_ascii(),)+ }
            }
        }
    };
}

kinds! {
    // The file.
    /// SQLite's own check of its pages, indexes and constraints failed.
    Integrity = "integrity",
    /// Rows could not be read; what they hold was not checked.
    Unreadable = "unreadable",
    /// A table, index, trigger or view of the schema is not there.
    SchemaMissing = "schema_missing",
    /// A table, index, trigger or view is not as this program makes it.
    SchemaDiffers = "schema_differs",
    /// A table, index, trigger or view that this program does not know.
    SchemaUnknown = "schema_unknown",
    /// A row refers to one that is not there.
    ForeignKey = "foreign_key",
    /// A row shares with another what is to be unique (looked for where the table is not as this program makes it).
    Duplicate = "duplicate",
    /// A row has the id of another.
    IdDuplicate = "id_duplicate",

    // Single columns.
    /// A value of another storage class than the column declares.
    WrongStorageClass = "wrong_storage_class",
    /// An id that is not 16 bytes, or a hash that is not 32.
    WrongLength = "wrong_length",
    /// Nothing where something is required.
    NullInRequired = "null_in_required",
    /// Text that is not UTF-8.
    TextNotUtf8 = "text_not_utf8",
    /// A number below or above what the column allows.
    OutOfRange = "out_of_range",
    /// A word that is none of those that the column allows.
    UnknownWord = "unknown_word",
    /// A list that is no JSON array of the right items, or an empty one.
    ListInvalid = "list_invalid",
    /// A config or parameters that are no JSON, or no object where one is needed.
    JsonInvalid = "json_invalid",
    /// A name without a letter.
    NameEmpty = "name_empty",
    /// Something ended before it began.
    TimeOrder = "time_order",
    /// No end of something that is there whole (only imported rows may lack it).
    CompletedAtMissing = "completed_at_missing",

    // Experiments and runs.
    /// Marked as complete though something is missing.
    CompletedThoughIncomplete = "completed_though_incomplete",
    /// Everything is there and the experiment is not marked as complete.
    NotMarkedCompleted = "not_marked_completed",
    /// It has invocations and no start.
    NotStartedWithInvocations = "not_started_with_invocations",
    /// Runs that the config asks for are not there.
    RunMissing = "run_missing",
    /// A run in a network that the experiment does not ask for.
    RunNetwork = "run_network",
    /// A run from a prompt that the experiment does not ask for.
    RunPrompt = "run_prompt",
    /// A run with a seed that the experiment does not ask for.
    RunSeed = "run_seed",
    /// More equal runs than the experiment asks for.
    RunNumber = "run_number",
    /// A run with another length than its experiment.
    RunMaxLength = "run_max_length",
    /// A run that has more to do.
    RunUnfinished = "run_unfinished",

    // Invocations.
    /// A number is missing between others.
    SequenceGap = "sequence_gap",
    /// A number stands twice.
    SequenceDuplicate = "sequence_duplicate",
    /// The input is not the invocation before.
    InputLink = "input_link",
    /// A number at or beyond the run's length.
    BeyondMaxLength = "beyond_max_length",
    /// A run went on after its state had come back.
    StepsAfterCycle = "steps_after_cycle",
    /// Neither text nor picture.
    OutputMissing = "output_missing",
    /// Both text and picture.
    OutputBoth = "output_both",
    /// An output of the other type than the row says.
    OutputType = "output_type",
    /// Another model than the network has at this position.
    ModelNotInNetwork = "model_not_in_network",
    /// The seed used is not recorded.
    SeedNotRecorded = "seed_not_recorded",
    /// Another seed than the run's.
    SeedDiffers = "seed_differs",

    // Model versions.
    /// The model version is not there.
    ModelVersionMissing = "model_version_missing",
    /// The model version is of a kind that cannot have made the row.
    ModelVersionKind = "model_version_kind",
    /// The model version is of a model with another name.
    ModelVersionName = "model_version_name",
    /// Nobody knows how far repeating repeats.
    DeterminismUnknown = "determinism_unknown",
    /// A model that this program does not have, so that it cannot compute what is missing of it.
    ModelUnknown = "model_unknown",

    // Pictures.
    /// The hash is not that of the bytes.
    ImageHash = "image_hash",
    /// The bytes do not decode.
    ImageUnreadable = "image_unreadable",
    /// The pixel hash is not that of the pixels.
    ImagePixelHash = "image_pixel_hash",
    /// The sides are not those of the picture.
    ImageSize = "image_size",
    /// A format that this program does not read.
    ImageFormatUnknown = "image_format_unknown",
    /// No invocation gave it.
    ImageUnreferenced = "image_unreferenced",

    // Embeddings.
    /// Bytes that are no positive multiple of 4.
    VectorLength = "vector_length",
    /// A NaN or an infinity.
    VectorNotFinite = "vector_not_finite",
    /// Nothing but zeros.
    VectorAllZero = "vector_all_zero",
    /// Another dimension than the model's other vectors in the experiment.
    VectorDimension = "vector_dimension",
    /// A text embedder embedded a picture, or the other way round.
    EmbeddingModality = "embedding_modality",
    /// Embeddings or diagrams of a model that the experiment does not ask for.
    EmbeddingModelNotAskedFor = "embedding_model_not_asked_for",
    /// Nothing in the store says what an embedding model takes, so that what is missing of it is not known.
    EmbedderKindUnknown = "embedder_kind_unknown",
    /// Outputs that an embedding model has not embedded.
    EmbeddingsMissing = "embeddings_missing",

    // Diagrams.
    /// The bytes are no diagram.
    DiagramUnreadable = "diagram_unreadable",
    /// Bars that no computation gives: NaN, death before birth, an H0 class not born at zero.
    DiagramBars = "diagram_bars",
    /// Not exactly one class of dimension 0 that never dies.
    DiagramInfiniteBars = "diagram_infinite_bars",
    /// The diagram is not that of the vectors that are there.
    DiagramStale = "diagram_stale",
    /// A diagram of a run that has more to do.
    DiagramOfUnfinishedRun = "diagram_of_unfinished_run",
    /// A diagram of fewer than two points.
    DiagramOfFewPoints = "diagram_of_few_points",
    /// The entropy is missing, or not that of the bars.
    DiagramEntropy = "diagram_entropy",
    /// Generators that are not of the bars or name steps that the run has not.
    DiagramGenerators = "diagram_generators",
    /// A diagram that a complete run should have.
    DiagramMissing = "diagram_missing",

    // Clusterings.
    /// A clustering without members.
    ClusteringEmpty = "clustering_empty",
    /// A member that is an embedding of another model.
    ClusterMemberModel = "cluster_member_model",
    /// A medoid that is no member of the clustering.
    MedoidNotMember = "medoid_not_member",
    /// A medoid that lies in another cluster than its own, or in none.
    MedoidElsewhere = "medoid_elsewhere",

    // Failures.
    /// A failure of a run that belongs to another experiment.
    FailureRun = "failure_run",
    /// What failed is still not there.
    FailureUnresolved = "failure_unresolved",
    /// What failed is there by now.
    FailuresResolved = "failures_resolved",
}

impl fmt::Display for FindingKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A row of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Place {
    /// The table.
    pub table: &'static str,
    /// The rowid.
    pub rowid: i64,
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What it is about.
    pub kind: FindingKind,
    /// The object with its short id, such as `embedding 7f3a91c2`.
    pub object: String,
    /// The object's id as hyphenated text (an image's hash as hexadecimal digits); `None` for what has none.
    pub id: Option<String>,
    /// Where it lies: the table and the rowid, by which a row is found whatever its id is.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// The id of the experiment that it belongs to, as hyphenated text, where it is known.
    pub experiment: Option<String>,
    /// What is wrong, with what was expected and what is there.
    pub defect: String,
}

/// What was checked, and how much was found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Diagnosis {
    /// The schema version of the file; 0 when it is too damaged to say.
    pub schema_version: u32,
    /// Rows read of each table.
    pub checked: BTreeMap<String, u64>,
    /// Findings by severity and kind; what was not found is not listed.
    pub counts: BTreeMap<Severity, BTreeMap<FindingKind, u64>>,
    /// How fast pictures were decoded, when they were.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decoding: Option<Decoding>,
}

impl Diagnosis {
    /// Returns how many findings are of this severity.
    #[must_use]
    pub fn count(&self, severity: Severity) -> u64 {
        self.counts.get(&severity).map_or(0, |kinds| kinds.values().sum())
    }
}

/// How much was decoded, and how long it took: reading, hashing and comparing included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Decoding {
    /// Pictures.
    pub pictures: u64,
    /// Microseconds.
    pub micros: u64,
}

/// Passes findings on and counts them; keeps none.
pub(super) struct Ledger<'a> {
    pub diagnosis: Diagnosis,
    pub gauge: &'a Gauge,
    found: &'a mut dyn FnMut(&Finding),
}

impl<'a> Ledger<'a> {
    pub(super) fn new(schema_version: u32, gauge: &'a Gauge, found: &'a mut dyn FnMut(&Finding)) -> Self {
        Self { diagnosis: Diagnosis { schema_version, ..Diagnosis::default() }, gauge, found }
    }

    pub(super) fn add(&mut self, finding: &Finding) {
        let kinds = self.diagnosis.counts.entry(finding.severity).or_default();
        *kinds.entry(finding.kind).or_default() += 1;
        (self.found)(finding);
    }

    /// Reports a defect of an object.
    pub(super) fn add_of(
        &mut self,
        severity: Severity,
        kind: FindingKind,
        subject: &Subject,
        experiment: Option<String>,
        defect: String,
    ) {
        let Subject { object, id, place } = subject.clone();
        self.add(&Finding { severity, kind, object, id, place, experiment, defect });
    }

    /// Reports a defect of the file itself.
    pub(super) fn add_of_file(&mut self, severity: Severity, kind: FindingKind, object: String, defect: String) {
        self.add(&Finding { severity, kind, object, id: None, place: None, experiment: None, defect });
    }

    /// Reports what SQLite said when something could not be read; the checks that follow go on.
    pub(super) fn unreadable(&mut self, object: &str, outcome: rusqlite::Result<()>) {
        if let Err(error) = outcome {
            let defect = format!("it could not be read to its end: {error}");
            self.add_of_file(Severity::Violation, FindingKind::Unreadable, object.to_owned(), defect);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_one_word_and_json_uses_it() {
        let mut words: Vec<&str> = FindingKind::ALL.iter().map(|kind| kind.as_str()).collect();
        for kind in FindingKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
        let count = words.len();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), count);
        assert!(count >= 40);
        assert_eq!(FindingKind::VectorNotFinite.meaning(), "A NaN or an infinity.");
    }
}
