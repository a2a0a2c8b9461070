//! `array topology|distance|changepoints|markov|cluster`: the measures for anyone with arrays of their own, without a
//! database.

mod changepoints;
mod cluster;
mod distance;
mod input;
mod markov;
mod topology;

use clap::Subcommand;

use crate::args::Global;
use crate::failure::Exit;
use crate::report::Talk;

/// Measures of arrays in files.
#[derive(Debug, Subcommand)]
pub(crate) enum ArrayCommand {
    /// Compute the persistent homology of points or distances in a .npy file
    Topology(topology::TopologyArgs),
    /// Compute how far apart two diagrams in .npz files are
    Distance(distance::DistanceArgs),
    /// Find where a series of vectors in a .npy file changes
    Changepoints(changepoints::ChangepointsArgs),
    /// Make a Markov chain of labels in a .npy file
    Markov(markov::MarkovArgs),
    /// Find clusters of the points in a .npy file
    Cluster(cluster::ArrayClusterArgs),
}

pub(super) fn execute(command: &ArrayCommand, global: &Global, talk: &Talk) -> anyhow::Result<Exit> {
    match command {
        ArrayCommand::Topology(arguments) => topology::topology(arguments, global),
        ArrayCommand::Distance(arguments) => distance::distance(arguments, global),
        ArrayCommand::Changepoints(arguments) => changepoints::execute(arguments, global),
        ArrayCommand::Markov(arguments) => markov::execute(arguments, global),
        ArrayCommand::Cluster(arguments) => cluster::cluster(arguments, global, talk),
    }
}
