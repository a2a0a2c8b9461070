//! What `cluster run` and `array cluster` have in common: the parameters as people type them, and progress.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressDrawTarget};
use loopscope_core::cluster::{ClusterError, Duplicates, HdbscanParameters, Resources, SelectionMethod, Stage};

use crate::failure::UsageError;
use crate::report::{Talk, bar_style};

/// The share of steepness where none is given, as in scikit-learn.
pub(super) const XI: f64 = 0.05;
/// The smallest cluster where parameters are given, but not this one, as in scikit-learn.
const MIN_CLUSTER_SIZE: usize = 5;

/// Parameters of a clustering.
#[derive(Clone, Debug, Args)]
pub(crate) struct ClusterParameters {
    /// What to compute
    #[arg(long, value_enum, default_value_t)]
    pub(super) algorithm: AlgorithmName,
    /// Where parameters start from [default: `default`, or scikit-learn's once one is given]
    #[arg(long, value_enum)]
    pub(super) preset: Option<PresetName>,
    /// The smallest cluster, in rows; of layers the finest
    #[arg(long, value_name = "N")]
    pub(super) min_cluster_size: Option<usize>,
    /// Rows that make a dense point, itself included [default: as --min-cluster-size]
    #[arg(long, value_name = "N")]
    pub(super) min_samples: Option<usize>,
    /// Split no cluster below this distance; for OPTICS, cut at it
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    pub(super) epsilon: Option<f64>,
    /// How to choose clusters from the tree
    #[arg(long, value_enum)]
    pub(super) method: Option<MethodName>,
    /// Whether everything may be one cluster
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(super) allow_single_cluster: Option<bool>,
    /// What to do with equal rows
    #[arg(long, value_enum)]
    pub(super) duplicates: Option<DuplicatesName>,
    /// For OPTICS: how steep the rim of a cluster is [default: 0.05]
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    pub(super) xi: Option<f64>,
    /// Threads; the clusters are the same for any number [default: all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(super) threads: Option<u16>,
    /// Stop with an error before it takes more memory, such as 4GiB
    #[arg(long, value_name = "SIZE", value_parser = loopscope_core::experiment::parse_size)]
    pub(super) memory_limit: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum AlgorithmName {
    /// Exact HDBSCAN, as scikit-learn defines it
    #[default]
    Hdbscan,
    /// An order of the rows by density, and clusters cut from it
    Optics,
    /// HDBSCAN at several resolutions of one tree: the smallest cluster doubles from layer to layer
    Layers,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum PresetName {
    /// Sizes max(5, n/1000), epsilon 0.4, one cluster allowed, equal rows merged
    Default,
    /// Sizes max(2, n/1000), epsilon 0.4, one cluster allowed, equal rows kept
    Reference,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum MethodName {
    /// Excess of mass
    Eom,
    /// The leaves of the tree
    Leaf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum DuplicatesName {
    /// One point with a multiplicity
    Merge,
    /// Separate points, as in scikit-learn
    Keep,
}

/// Returns the word that is typed for a value.
pub(super) fn word(value: impl ValueEnum) -> String {
    value.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}

impl ClusterParameters {
    /// Returns what to compute on so many rows, by name of the preset.
    ///
    /// # Errors
    ///
    /// [`UsageError`] for a number that means nothing, or an option that the algorithm does not have.
    pub(super) fn hdbscan(&self, row_count: usize) -> Result<(HdbscanParameters, &'static str), UsageError> {
        self.check_options()?;
        let is_given = self.min_cluster_size.is_some()
            || self.min_samples.is_some()
            || self.epsilon.is_some()
            || self.method.is_some()
            || self.allow_single_cluster.is_some();
        let (parameters, name) = match self.preset {
            Some(PresetName::Reference) => (HdbscanParameters::reference(row_count), "reference"),
            Some(PresetName::Default) => (HdbscanParameters::default(row_count), "default"),
            None if !is_given => (HdbscanParameters::default(row_count), "default"),
            None => {
                let size = self.min_cluster_size.unwrap_or(MIN_CLUSTER_SIZE);
                (HdbscanParameters::new(size.max(2), size.max(1)).map_err(usage)?, "none")
            }
        };
        Ok((self.changed(parameters).map_err(usage)?, name))
    }

    fn changed(&self, mut parameters: HdbscanParameters) -> Result<HdbscanParameters, ClusterError> {
        if let Some(size) = self.min_cluster_size {
            parameters = parameters.with_min_cluster_size(size)?.with_min_samples(size)?;
        }
        if let Some(samples) = self.min_samples {
            parameters = parameters.with_min_samples(samples)?;
        }
        // For OPTICS epsilon is where the plot is cut.
        if let (Some(epsilon), true) = (self.epsilon, self.algorithm != AlgorithmName::Optics) {
            parameters = parameters.with_epsilon(epsilon)?;
        }
        if let Some(method) = self.method {
            parameters = parameters.with_method(match method {
                MethodName::Eom => SelectionMethod::ExcessOfMass,
                MethodName::Leaf => SelectionMethod::Leaf,
            });
        }
        if let Some(single) = self.allow_single_cluster {
            parameters = parameters.with_single_cluster(single);
        }
        if let Some(duplicates) = self.duplicates {
            parameters = parameters.with_duplicates(match duplicates {
                DuplicatesName::Merge => Duplicates::Merge,
                DuplicatesName::Keep => Duplicates::Keep,
            });
        }
        Ok(parameters)
    }

    fn check_options(&self) -> Result<(), UsageError> {
        let is_optics = self.algorithm == AlgorithmName::Optics;
        let foreign = [
            (self.method.is_some() && is_optics, "--method"),
            (self.allow_single_cluster.is_some() && is_optics, "--allow-single-cluster"),
            (self.duplicates == Some(DuplicatesName::Merge) && is_optics, "--duplicates merge"),
            (self.xi.is_some() && !is_optics, "--xi"),
        ];
        if let Some((_, option)) = foreign.iter().find(|(is_foreign, _)| *is_foreign) {
            let message = format!("{option} means nothing to {}", word(self.algorithm));
            let hint = match is_optics {
                true => "leave it out, or leave out --algorithm optics",
                false => "leave it out, or give --algorithm optics",
            };
            return Err(UsageError { message, hint: Some(hint.to_owned()) });
        }
        if self.xi.is_some() && self.epsilon.is_some() {
            let message = "--xi and --epsilon are two ways to cut clusters from an ordering; got both".to_owned();
            return Err(UsageError { message, hint: Some("leave out one of them".to_owned()) });
        }
        // Before anything is computed.
        match (self.xi, self.epsilon) {
            (Some(got), _) if !(got > 0.0 && got < 1.0) => Err(usage(ClusterError::XiOutOfRange { got })),
            (_, Some(got)) if !(got.is_finite() && got >= 0.0) => Err(usage(ClusterError::EpsilonOutOfRange { got })),
            _ => Ok(()),
        }
    }

    /// Returns threads and memory.
    pub(super) fn resources(&self) -> Resources {
        let all = || std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
        let resources = Resources::default().with_threads(self.threads.map_or_else(all, usize::from));
        match self.memory_limit {
            Some(limit) => resources.with_memory_bytes_max(limit),
            None => resources,
        }
    }
}

/// A number that means nothing was typed.
pub(super) fn usage(error: ClusterError) -> UsageError {
    // As it was typed.
    let typed = [("min_cluster_size", "--min-cluster-size"), ("min_samples", "--min-samples")];
    let message = typed.iter().fold(error.to_string(), |text, (name, option)| text.replace(name, option));
    UsageError { message, hint: None }
}

/// Says what makes an answer doubtful: copies that are dense by themselves.
pub(super) fn warn_of_copies(talk: &Talk, parameters: &HdbscanParameters, copies: usize) {
    let is_dense = copies >= parameters.min_cluster_size().max(parameters.min_samples());
    if is_dense && parameters.epsilon() == 0.0 && parameters.duplicates() == Duplicates::Keep {
        talk.say_anyway(&format!(
            "warning: a row is there {copies} times; at epsilon 0 such copies are infinitely dense and can turn their \
             neighbours into noise (--duplicates merge, or --epsilon 0.4, prevents that)"
        ));
    }
}

/// How long work goes on before anything is said of it.
const SILENT_FOR: Duration = Duration::from_secs(2);
/// How often a line comes where no bar can be drawn.
const LINE_EVERY: Duration = Duration::from_secs(15);

/// Shows how far a long clustering has come.
pub(super) struct Watch {
    talk: Talk,
    began: Instant,
    bar: Option<ProgressBar>,
    last_line: Instant,
}

impl Watch {
    pub(super) fn new(talk: &Talk) -> Self {
        Self { talk: talk.clone(), began: Instant::now(), bar: None, last_line: Instant::now() }
    }

    pub(super) fn see(&mut self, stage: Stage, share: f64) -> ControlFlow<()> {
        if self.talk.is_quiet || self.began.elapsed() < SILENT_FOR {
            return ControlFlow::Continue(());
        }
        let percent = share * 100.0;
        if self.talk.is_terminal {
            let bar = self.bar.get_or_insert_with(|| {
                let bar = ProgressBar::with_draw_target(Some(1000), ProgressDrawTarget::stderr_with_hz(4));
                bar.with_style(bar_style("{msg:>20} {bar:30} {percent:>3} % {elapsed:>5}"))
            });
            bar.set_message(stage.describe());
            bar.set_position((share * 1000.0) as u64);
        } else if self.last_line.elapsed() >= LINE_EVERY {
            self.last_line = Instant::now();
            self.talk.say(&format!("{}: {percent:.0} %", stage.describe()));
        }
        ControlFlow::Continue(())
    }

    pub(super) fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}
