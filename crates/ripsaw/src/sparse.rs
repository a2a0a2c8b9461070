//! Sparse distances, one part after the other.
//!
//! A complex that falls into parts has the bars of its parts, so that each is a matrix of its own size and no matrix of
//! all points is made. Invariant: the diagrams are those of the matrix with infinity at every pair without an entry.

use std::ops::ControlFlow;

use crate::diagram::sort;
use crate::distance::{CondensedDistances, SparseDistances};
use crate::error::Error;
use crate::filtration::{Graph, distinct_points};
use crate::generators::{Generator, GeneratorOptions, generators, keep_longest};
use crate::memory::{Ledger, condensed_bytes, layout_bytes};
use crate::options::{Options, Shortcuts};
use crate::parallel::{Progress, Stage};
use crate::persistence::{Persistence, binomials, compute};

/// Computes the persistent homology of the Vietoris–Rips filtration of sparse distances, over Z/2.
///
/// As [`crate::persistence_of_distances`] for a matrix that holds infinity wherever there is no entry: such a pair is
/// never an edge. Without a threshold all entries are in, and [`Persistence::threshold`] is infinite unless some point
/// has entries with all others; each part then has an infinite bar of dimension 0, and a loop that no entry fills has
/// one of dimension 1. [`Persistence::distinct_point_count`] goes by the entries within the threshold.
///
/// Memory is that of the entries and, one at a time, of a matrix for each part that entries within the threshold join:
/// a part of 50,000 points takes as much as 50,000 points.
///
/// ```
/// use ripsaw::{Options, SparseDistances, persistence_of_sparse_distances};
///
/// // Two cycles of four points, which nothing joins; a diagonal fills the second.
/// let mut entries = Vec::new();
/// for first in [0, 4] {
///     entries.extend((0..4).map(|k| (first + k, first + (k + 1) % 4, 1.0)));
/// }
/// entries.push((4, 6, 3.0));
/// let distances = SparseDistances::from_entries(8, entries)?;
/// let persistence = persistence_of_sparse_distances(&distances, &Options::default())?;
/// assert_eq!(persistence.diagrams[0].iter().filter(|bar| bar.is_infinite()).count(), 2);
/// assert_eq!(persistence.diagrams[1], [(1.0, 3.0).into(), (1.0, f64::INFINITY).into()]);
/// # Ok::<(), ripsaw::Error>(())
/// ```
///
/// # Errors
///
/// As [`crate::persistence_of_distances`]; [`Error::TooManyPoints`] for a part of more than 65,535 points.
pub fn persistence_of_sparse_distances(distances: &SparseDistances, options: &Options) -> Result<Persistence, Error> {
    of_parts(distances, options, None)
}

/// As [`persistence_of_sparse_distances`], telling a watcher how far each stage has come.
///
/// As [`crate::persistence_of_points_watched`], but the stages come again for each part.
///
/// # Errors
///
/// As [`persistence_of_sparse_distances`], and [`Error::Cancelled`].
pub fn persistence_of_sparse_distances_watched(
    distances: &SparseDistances,
    options: &Options,
    watcher: &mut dyn FnMut(Stage, f64) -> ControlFlow<()>,
) -> Result<Persistence, Error> {
    of_parts(distances, options, Some(watcher))
}

/// Finds which points make the longest finite bars of sparse distances.
///
/// As [`crate::generators_of_distances`] for a matrix that holds infinity wherever there is no entry.
///
/// ```
/// use ripsaw::{GeneratorOptions, Options, SparseDistances, generators_of_sparse_distances};
///
/// let entries = [(1, 2, 1.0), (2, 3, 1.0), (3, 4, 1.0), (4, 1, 1.0), (1, 3, 3.0)];
/// let distances = SparseDistances::from_entries(6, entries)?;
/// let found = generators_of_sparse_distances(&distances, &Options::default(), &GeneratorOptions::default())?;
/// let around = found.iter().find(|generator| generator.dimension == 1).unwrap();
/// assert_eq!(around.loop_vertices, Some(vec![1, 2, 3, 4]));
/// # Ok::<(), ripsaw::Error>(())
/// ```
///
/// # Errors
///
/// As [`persistence_of_sparse_distances`]; [`Error::LengthMin`] for a length out of range.
pub fn generators_of_sparse_distances(
    distances: &SparseDistances,
    options: &Options,
    generator_options: &GeneratorOptions,
) -> Result<Vec<Generator>, Error> {
    options.check()?;
    generator_options.check()?;
    let mut found = Vec::new();
    for_each_part(distances, options, |points, part, binding| {
        let chosen = distinct_points(&part);
        let binomials = binomials(chosen.len(), options)?;
        let graph = Graph::new(&part, &chosen, Some(binding.threshold))?;
        drop(part);
        let originals: Vec<usize> = chosen.iter().map(|&place| points[place]).collect();
        found.extend(generators(graph, &originals, binomials, options, generator_options, &binding.ledger)?);
        Ok(())
    })?;
    Ok(keep_longest(found, generator_options.count_max))
}

fn of_parts(
    distances: &SparseDistances,
    options: &Options,
    mut watcher: Option<&mut dyn FnMut(Stage, f64) -> ControlFlow<()>>,
) -> Result<Persistence, Error> {
    options.check()?;
    let threshold = threshold(distances, options)?;
    let mut all = Persistence {
        diagrams: vec![Vec::new(); options.max_dimension + 1],
        threshold,
        point_count: distances.point_count(),
        distinct_point_count: 0,
        edge_count: 0,
    };
    for_each_part(distances, options, |_, part, binding| {
        let chosen = distinct_points(&part);
        let binomials = binomials(chosen.len(), options)?;
        let graph = Graph::new(&part, &chosen, Some(binding.threshold))?;
        drop(part);
        // The watcher is lent to one part after the other.
        let progress = match &mut watcher {
            Some(watcher) => Progress::new(options.thread_count, Some(&mut **watcher)),
            None => Progress::new(options.thread_count, None),
        };
        let persistence = compute(graph, binomials, options, Shortcuts::default(), &binding.ledger, progress)?;
        all.distinct_point_count += persistence.distinct_point_count;
        all.edge_count += persistence.edge_count;
        for (bars, more) in all.diagrams.iter_mut().zip(persistence.diagrams) {
            bars.extend(more);
        }
        Ok(())
    })?;
    all.diagrams.iter_mut().for_each(|bars| sort(bars));
    Ok(all)
}

/// What binds the computation of a part.
struct Binding {
    threshold: f64,
    ledger: Ledger,
}

/// Calls `work` with the points of each part and their distances, for which there is room within the limit.
fn for_each_part(
    distances: &SparseDistances,
    options: &Options,
    mut work: impl FnMut(&[usize], CondensedDistances, &Binding) -> Result<(), Error>,
) -> Result<(), Error> {
    let threshold = threshold(distances, options)?.min(f32::MAX.into());
    // The parts hold each entry again, and a few numbers for each point.
    let split_bytes =
        (distances.entry_count() as u64).saturating_mul(16).saturating_add(distances.point_count() as u64 * 48);
    Ledger::new(options.memory_bytes_max).take(split_bytes)?;
    for part in distances.parts(threshold)? {
        let count = part.points.len();
        let binding = Binding { threshold, ledger: Ledger::new(options.memory_bytes_max) };
        binding.ledger.take(split_bytes)?;
        binding.ledger.take(condensed_bytes(count).saturating_add(layout_bytes(count, options)))?;
        work(&part.points, part.distances()?, &binding)?;
    }
    Ok(())
}

/// The threshold asked for, or the enclosing radius of all points where that is smaller.
fn threshold(distances: &SparseDistances, options: &Options) -> Result<f64, Error> {
    let radius = f64::from(distances.enclosing_radius()?);
    Ok(options.threshold.map_or(radius, |threshold| threshold.min(radius)))
}
