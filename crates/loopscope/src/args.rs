//! The command line, as people type it.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use loopscope_core::store::OpenOptions;
use loopscope_models::{ModelRegistry, ModelsFileError};

#[cfg(feature = "images")]
use crate::command::InspectArgs;
use crate::command::{
    AnalyseCommand, ArrayCommand, ClusterCommand, ExportCommand, ImportCommand, MergeArgs, VerifyArgs,
};
use crate::next::DEFAULT_DATABASE;

const EXAMPLES: &str = "\
Examples:
  loopscope demo                        run a small experiment that needs nothing but this program
  loopscope config check my.toml        see what a config asks for, before it runs
  loopscope experiment run my.toml      run it; Ctrl-C saves, `experiment resume latest` goes on";

/// Runs loops of generative models, records every step, and measures the trajectories.
#[derive(Debug, Parser)]
#[command(name = "loopscope", version, about, after_help = EXAMPLES, max_term_width = 100, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// What every command takes.
#[derive(Clone, Debug, Args)]
pub(crate) struct Global {
    /// The database
    #[arg(long, global = true, value_name = "FILE", env = "LOOPSCOPE_DB", default_value = DEFAULT_DATABASE)]
    pub(crate) db: PathBuf,
    /// Your own names for models [default: models.toml here, else in the configuration folder]
    #[arg(long, global = true, value_name = "FILE", env = "LOOPSCOPE_MODELS")]
    pub(crate) models: Option<PathBuf>,
    /// Print JSON; while running, one event a line
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Say more (twice: everything)
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Say nothing but errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// When to use colour
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    pub(crate) color: Color,
    /// How long to wait for another process's transaction
    #[arg(long, global = true, value_name = "SECONDS", default_value_t = 30, hide = true)]
    pub(crate) busy_timeout: u64,
    /// What must stay free on the disk
    #[arg(long, global = true, value_name = "MIB", default_value_t = 64, hide = true, env = "LOOPSCOPE_MIN_FREE_MIB")]
    pub(crate) min_free: u64,
}

impl Global {
    /// Returns the models there are, with the user's own names.
    ///
    /// # Errors
    ///
    /// When the user's file is not there, does not read, or says what cannot be.
    pub(crate) fn registry(&self) -> Result<ModelRegistry, ModelsFileError> {
        ModelRegistry::open(self.models.as_deref().filter(|path| !path.as_os_str().is_empty()))
    }

    /// Returns how to open the database.
    pub(crate) fn open_options(&self) -> OpenOptions {
        OpenOptions {
            busy_timeout: Duration::from_secs(self.busy_timeout),
            free_bytes_min: self.min_free.saturating_mul(1 << 20),
            ..OpenOptions::default()
        }
    }
}

/// When to use colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless NO_COLOR is set; CLICOLOR_FORCE overrides
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a small experiment that needs no GPU, key or download
    Demo(EngineArgs),
    /// Look at a config before it runs
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Run experiments and look at them
    #[command(alias = "experiments")]
    Experiment {
        #[command(subcommand)]
        command: Option<ExperimentCommand>,
    },
    /// Look at single runs
    #[command(alias = "runs")]
    Run {
        #[command(subcommand)]
        command: Option<RunCommand>,
    },
    /// Look at the models that this program knows
    #[command(subcommand)]
    Model(ModelCommand),
    /// Look at what trajectories do: tables with intervals over runs
    #[command(subcommand, alias = "analyze")]
    Analyse(AnalyseCommand),
    /// Cluster embeddings and look at the clusters
    #[command(alias = "clusters")]
    Cluster {
        #[command(subcommand)]
        command: Option<ClusterCommand>,
    },
    /// Measure arrays of your own, without a database
    #[command(subcommand)]
    Array(ArrayCommand),
    /// Look for anything wrong or missing in a database, and mend it if asked
    Doctor(DoctorArgs),
    /// Do a sample of stored steps again, and compare what comes out with what is stored
    Verify(VerifyArgs),
    /// Take the experiments of other databases into this one
    Merge(MergeArgs),
    /// Write parts of the record into files of their own
    #[command(subcommand)]
    Export(ExportCommand),
    /// Say where an exported picture comes from: experiment, run, step, prompt, model, seed
    #[cfg(feature = "images")]
    Inspect(InspectArgs),
    /// Carry records of other programs into the database
    #[command(subcommand)]
    Import(ImportCommand),
    /// Copy the database, consistently, while others write
    Backup {
        /// The file to make; it must not exist
        file: PathBuf,
    },
    /// Bring a database of an earlier version up to date, after a backup
    Migrate,
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page, or write all of them into a directory
    Man {
        /// Where to write one page for each command
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
}

impl Command {
    /// Returns whether the command, asked for JSON, prints an event a line.
    pub(crate) fn tells_events(&self) -> bool {
        use ExperimentCommand::{Extend, Resume, Run};
        matches!(
            self,
            Self::Demo(_)
                | Self::Doctor(_)
                | Self::Experiment { command: Some(Run { .. } | Resume { .. } | Extend { .. }) }
        )
    }
}

/// How the engine works.
#[derive(Clone, Debug, Args)]
pub(crate) struct EngineArgs {
    /// Threads for work on the CPU [default: all cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,
    /// Attempts at a call that fails in passing, in all
    #[arg(long, value_name = "N", default_value_t = 15, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub(crate) attempts: u64,
    /// Memory that one diagram may take, such as 8GiB, instead of what the config says
    #[arg(long, value_name = "SIZE", value_parser = loopscope_core::experiment::parse_size)]
    pub(crate) diagram_memory: Option<u64>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Check a config and print its plan: runs, calls of each model, an estimate of the disk
    Check {
        /// JSON or TOML
        file: PathBuf,
    },
    /// Print the JSON Schema of a config
    Schema,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ExperimentCommand {
    /// Run the experiment of a config
    #[command(alias = "perform")]
    Run {
        /// JSON or TOML
        file: PathBuf,
        /// Its name [default: the config's, or the file's]
        #[arg(long, value_parser = experiment_name)]
        name: Option<String>,
        #[command(flatten)]
        engine: EngineArgs,
    },
    /// Compute what is missing of an experiment
    Resume {
        /// A name, an id or the beginning or end of one, or `latest`
        experiment: String,
        #[command(flatten)]
        engine: EngineArgs,
    },
    /// Ask for more, and compute only what is new
    Extend {
        /// A name, an id or the beginning or end of one, or `latest`
        experiment: String,
        /// One more prompt; may be repeated
        #[arg(long = "prompt", alias = "prompts", value_name = "TEXT")]
        prompts: Vec<String>,
        /// One more seed, or -1; may be repeated
        #[arg(long = "seed", alias = "seeds", value_name = "SEED", allow_negative_numbers = true)]
        seeds: Vec<i64>,
        /// One more embedding model; may be repeated
        #[arg(long = "embedding-model", alias = "embedding-models", value_name = "MODEL")]
        embedding_models: Vec<String>,
        /// The new length of all runs
        #[arg(long, value_name = "N")]
        max_length: Option<std::num::NonZeroU64>,
        #[command(flatten)]
        engine: EngineArgs,
    },
    /// List experiments
    List,
    /// Show an experiment: counts, stop reasons, the states that it visits most
    Show {
        /// A name, an id or the beginning or end of one, or `latest`
        #[arg(default_value = "latest")]
        experiment: String,
        /// Show again every two seconds until it is complete or nobody works on it
        #[arg(long)]
        watch: bool,
        /// Only what fits into five lines
        #[arg(long)]
        compact: bool,
    },
    /// Delete an experiment, its runs, and the clusterings that rest on them
    Delete {
        /// A name, an id or the beginning or end of one, or `latest`
        experiment: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum RunCommand {
    /// List the runs of an experiment
    List {
        /// A name, an id or the beginning or end of one, or `latest`
        #[arg(default_value = "latest")]
        experiment: String,
        /// The same, as an option
        #[arg(long = "experiment", value_name = "EXPERIMENT", conflicts_with = "experiment")]
        named: Option<String>,
    },
    /// Show a run, step by step
    Show {
        /// An id, the beginning or end of one, or `latest`
        #[arg(default_value = "latest")]
        run: String,
        /// Write its pictures into a directory, as stored
        #[arg(long, value_name = "DIR")]
        images: Option<PathBuf>,
    },
}

/// A kind of model, as the store names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum Kind {
    TextToImage,
    ImageToText,
    TextEmbedder,
    ImageEmbedder,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ModelCommand {
    /// List the models that this program knows
    List {
        /// Only models of this kind
        #[arg(long, value_enum)]
        kind: Option<Kind>,
        /// Only models that can be called as they are
        #[arg(long)]
        installed: bool,
        /// Only models whose estimated memory this machine has free
        #[arg(long)]
        fits: bool,
    },
    /// Show what is known of a model, and what it takes to have it here
    Show {
        /// Its name
        name: String,
    },
    /// Download the files of a model that runs in this process
    Pull {
        /// Its name
        name: String,
    },
    /// Time a model: seconds per item in batches of 1, 2, 4 and 8
    Bench {
        /// Its name
        name: String,
        /// How long to call it for each size, at least
        #[arg(long, value_name = "SECONDS", default_value_t = 2.0, value_parser = bench_seconds)]
        seconds: f64,
    },
    /// Call a model a few times and look at what it gives
    Test {
        /// Its name
        name: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Only this experiment
    #[arg(long)]
    pub(crate) experiment: Option<String>,
    /// Fail on what is incomplete, too
    #[arg(long)]
    pub(crate) strict: bool,
    /// Decode every picture and compare its pixels with their hash
    #[arg(long)]
    pub(crate) decode_images: bool,
    /// Take out what is invalid, with what rests on it, and compute what is missing; asks first
    #[arg(long)]
    pub(crate) fix: bool,
    /// With --fix: do not ask
    #[arg(long, requires = "fix")]
    pub(crate) yes: bool,
    /// With --fix: copy the database here before anything is changed
    #[arg(long, value_name = "FILE", requires = "fix")]
    pub(crate) backup: Option<PathBuf>,
    /// With --fix: make no copy, not even before tables are written anew
    #[arg(long, requires = "fix", conflicts_with = "backup")]
    pub(crate) no_backup: bool,
    #[command(flatten)]
    pub(crate) engine: EngineArgs,
}

fn bench_seconds(typed: &str) -> Result<f64, &'static str> {
    let seconds = typed.parse().ok().filter(|seconds| (0.0..=3600.0).contains(seconds));
    seconds.ok_or("expected a number of seconds from 0 to 3600")
}

/// Returns a name that an experiment can have: what is asked for, without the blanks around it.
fn experiment_name(typed: &str) -> Result<String, &'static str> {
    match typed.trim() {
        "" => Err("a name is not blank"),
        "latest" => Err("\"latest\" means the newest experiment"),
        name => Ok(name.to_owned()),
    }
}
