//! What people type after `analyse`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use loopscope_core::analysis::{By, CostName, Kind, Options};

/// What every analysis takes.
#[derive(Clone, Debug, Args)]
pub(crate) struct Common {
    /// A name, an id or the beginning or end of one, or `latest`
    #[arg(default_value = "latest")]
    pub(super) experiment: String,
    /// What rows are, separated by commas; vectors of different embedders are apart in any case
    #[arg(long, value_enum, value_delimiter = ',', default_value = "network,embedder")]
    by: Vec<ByName>,
    /// How many times runs are drawn again for the intervals
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    resamples: u32,
    /// The share of resamples within an interval
    #[arg(long, value_name = "SHARE", default_value_t = 0.95, value_parser = parse_share)]
    level: f64,
    /// Where the chance of resampling begins
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    seed: u64,
    /// Write the main table as CSV, and the others beside it
    #[arg(long, value_name = "FILE")]
    pub(super) csv: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ByName {
    Network,
    Prompt,
    Embedder,
    /// Nothing: everything that can be pooled is
    None,
}

/// Which clustering.
#[derive(Clone, Debug, Args)]
pub(crate) struct OfClusters {
    /// A clustering by its id or the end of it [default: the newest of each embedder]
    #[arg(long, value_name = "CLUSTERING")]
    clustering: Option<String>,
}

/// How near is near.
#[derive(Clone, Debug, Args)]
pub(crate) struct Near {
    /// Cosine distance up to which two outputs are the same place
    #[arg(long, value_name = "X", default_value_t = 0.08, value_parser = parse_distance)]
    epsilon: f64,
}

/// How long lists are.
#[derive(Clone, Debug, Args)]
pub(crate) struct Listed {
    /// The most rows of a list for each group
    #[arg(long, value_name = "N", default_value_t = 10)]
    top: usize,
}

/// A kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum CostArg {
    /// Directions
    #[default]
    Cosine,
    /// Sums of squares
    L2,
    /// Gaussian of width 1
    Rbf,
}

impl From<CostArg> for CostName {
    fn from(cost: CostArg) -> Self {
        match cost {
            CostArg::Cosine => Self::Cosine,
            CostArg::L2 => Self::L2,
            CostArg::Rbf => Self::Rbf,
        }
    }
}

/// Look at what trajectories do.
#[derive(Debug, Subcommand)]
pub(crate) enum AnalyseCommand {
    /// How far outputs go from the prompt, how diverse they are, and whether they still tell the prompt
    Drift(Common),
    /// Which cluster follows which, and how long each lasts
    Transitions {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        clusters: OfClusters,
        #[command(flatten)]
        listed: Listed,
    },
    /// The chain of clusters: timescales, stationary law, sets, where it ends
    Markov {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        clusters: OfClusters,
        #[command(flatten)]
        listed: Listed,
        /// Turns from one state to the next
        #[arg(long, value_name = "TURNS", default_value = "1")]
        lag: NonZeroUsize,
        /// Count outliers as the cluster visited last
        #[arg(long)]
        milestoning: bool,
    },
    /// Recurrence quantification: how often trajectories come back, and whether they go on as before
    Recurrence {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        near: Near,
    },
    /// How fast the drift from the prompt settles
    Relaxation(Common),
    /// Where trajectories change
    Changepoints {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        listed: Listed,
        /// How the scatter of a segment is measured
        #[arg(long, value_enum, default_value_t)]
        cost: CostArg,
        /// What a break costs [default: chosen for each trajectory from its steps]
        #[arg(long, value_name = "X", value_parser = parse_penalty)]
        penalty: Option<f64>,
        /// The shortest segment, in turns
        #[arg(long, value_name = "TURNS", default_value = "5")]
        min_size: NonZeroUsize,
    },
    /// Exact repetition: fixed points, periods, transients
    Cycles(Common),
    /// How fast runs of one prompt part
    Divergence(Common),
    /// Contractive, oscillatory or exploratory
    Regimes {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        near: Near,
    },
    /// Persistence diagrams across runs, and whether they tell anything that simpler numbers do not
    Topology {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        near: Near,
        /// Window of the sliding-window persistence, in turns
        #[arg(long, value_name = "TURNS", default_value = "8")]
        window: NonZeroUsize,
        /// Threads [default: all cores]; no number depends on them
        #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
        threads: usize,
    },
}

/// What is to be made.
pub(super) struct Request<'a> {
    pub(super) kind: Kind,
    pub(super) common: &'a Common,
    pub(super) options: Options,
}

impl AnalyseCommand {
    pub(super) fn request(&self) -> Request<'_> {
        let (kind, common) = match self {
            Self::Drift(common) => (Kind::Drift, common),
            Self::Transitions { common, .. } => (Kind::Transitions, common),
            Self::Markov { common, .. } => (Kind::Markov, common),
            Self::Recurrence { common, .. } => (Kind::Recurrence, common),
            Self::Relaxation(common) => (Kind::Relaxation, common),
            Self::Changepoints { common, .. } => (Kind::ChangePoints, common),
            Self::Cycles(common) => (Kind::Cycles, common),
            Self::Divergence(common) => (Kind::Divergence, common),
            Self::Regimes { common, .. } => (Kind::Regimes, common),
            Self::Topology { common, .. } => (Kind::Topology, common),
        };
        let mut options = Options::default();
        let is_by = |name: ByName| common.by.contains(&name);
        options.by =
            By { network: is_by(ByName::Network), prompt: is_by(ByName::Prompt), embedder: is_by(ByName::Embedder) };
        options.bootstrap.resamples = common.resamples as usize;
        options.bootstrap.level = common.level;
        options.bootstrap.seed = common.seed;
        match self {
            Self::Transitions { clusters, listed, .. } => {
                options.clustering = clusters.clustering.clone();
                options.top = listed.top;
            }
            Self::Markov { clusters, listed, lag, milestoning, .. } => {
                options.clustering = clusters.clustering.clone();
                options.top = listed.top;
                options.lag = lag.get();
                options.milestoning = *milestoning;
            }
            Self::Changepoints { listed, cost, penalty, min_size, .. } => {
                options.top = listed.top;
                options.cost = (*cost).into();
                options.penalty = *penalty;
                options.segment_min = min_size.get();
            }
            Self::Recurrence { near, .. } | Self::Regimes { near, .. } => options.epsilon = near.epsilon,
            Self::Topology { near, window, threads, .. } => {
                options.epsilon = near.epsilon;
                options.window = window.get();
                options.threads = *threads;
            }
            Self::Drift(_) | Self::Relaxation(_) | Self::Cycles(_) | Self::Divergence(_) => {}
        }
        Request { kind, common, options }
    }
}

/// Reads a number, and says what was expected when it is out of bounds.
fn parse_within(text: &str, is_within: impl Fn(f64) -> bool, expected: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(number) if is_within(number) => Ok(number),
        _ => Err(format!("expected {expected}")),
    }
}

fn parse_share(text: &str) -> Result<f64, String> {
    parse_within(text, |share| share > 0.0 && share < 1.0, "a share between 0 and 1, such as 0.95")
}

fn parse_distance(text: &str) -> Result<f64, String> {
    parse_within(text, |distance| (0.0..=2.0).contains(&distance), "a cosine distance from 0 to 2")
}

pub(crate) fn parse_penalty(text: &str) -> Result<f64, String> {
    parse_within(text, |penalty| penalty.is_finite() && penalty >= 0.0, "a finite number of at least 0")
}
