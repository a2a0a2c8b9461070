//! The way from points or distances to diagrams.

use std::ops::ControlFlow;

use crate::diagram::Bar;
use crate::distance::{CondensedDistances, Metric, PointCloud, condensed_length};
use crate::error::Error;
use crate::filtration::{Binomials, Complex, Graph, collapse, distinct_points};
use crate::memory::{Ledger, condensed_bytes, layout_bytes};
use crate::options::{Collapse, Options, Shortcuts};
use crate::parallel::{Progress, Stage};
use crate::reduce::diagrams;

/// Holds the persistence diagrams of one cloud, and what they were computed from.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Persistence {
    /// The bars of each dimension, 0 to [`Options::max_dimension`], sorted by birth, then death. No bar has length zero.
    pub diagrams: Vec<Vec<Bar>>,
    /// The threshold in force, in units of the metric: the one asked for, or the enclosing radius where that is smaller.
    pub threshold: f64,
    /// Points given.
    pub point_count: usize,
    /// Points left when those that no distance tells apart are merged.
    pub distinct_point_count: usize,
    /// Edges within the threshold, between distinct points.
    pub edge_count: u64,
}

/// Computes the persistent homology of the Vietoris–Rips filtration of a cloud, over Z/2.
///
/// A simplex enters at its diameter, its longest edge. Distances are those of
/// [`CondensedDistances::from_points`], measured between distinct points only. A bar is `[birth, death)`; in dimension 0
/// one bar never dies, and more do when the threshold is below the enclosing radius. No points give empty diagrams, one
/// point gives one infinite bar. Points that repeat change nothing but [`Persistence::point_count`].
///
/// The result does not depend on the order of the points, nor on anything else but the arguments. With `n` distinct
/// points, dimension `p` and `E` edges within the threshold, time is at best close to the number of simplices of
/// dimension `p`, and at worst cubic in it; memory is O(n² + E) and the columns, see [`crate::memory_bytes_estimate`].
///
/// ```
/// use ripsaw::{Metric, Options, PointCloud, persistence_of_points};
///
/// // The sides of the unit square close a loop at 1, its diagonals fill it at the square root of 2.
/// let square = PointCloud::new(&[0., 0., 1., 0., 1., 1., 0., 1.], 4, 2)?;
/// let persistence = persistence_of_points(&square, Metric::Euclidean, &Options::default())?;
/// let [loop_bar] = persistence.diagrams[1][..] else { panic!("one loop") };
/// assert_eq!((loop_bar.birth, loop_bar.death), (1.0, f64::from(2f32.sqrt())));
/// assert!(persistence.diagrams[2].is_empty());
/// # Ok::<(), ripsaw::Error>(())
/// ```
///
/// # Errors
///
/// [`Error::MaxDimension`] or [`Error::Threshold`] for options out of range; [`Error::IndexOverflow`] for more points
/// than simplices of such dimension can be numbered for; [`Error::NoDirection`] or [`Error::DistanceOverflow`] for points
/// that cannot be measured; [`Error::MemoryLimit`] before the limit is passed, at the start or on the way;
/// [`Error::OutOfMemory`].
///
/// Reference: `bauer2021` for the algorithm, `edelsbrunner2002` and `zomorodian2005` for what is computed.
pub fn persistence_of_points(points: &PointCloud<'_>, metric: Metric, options: &Options) -> Result<Persistence, Error> {
    persistence_of_points_with(points, metric, options, Shortcuts::default())
}

/// Computes the persistent homology of the Vietoris–Rips filtration of distances, over Z/2.
///
/// As [`persistence_of_points`], for distances that are already there. They need not be a metric: every clique of edges
/// is a simplex. Points at distance zero are merged if no third point tells them apart.
///
/// ```
/// use ripsaw::{CondensedDistances, Options, persistence_of_distances};
///
/// // A cycle of five points; neighbours at distance 1, others at 2.
/// let cycle = CondensedDistances::from_condensed(vec![1., 2., 2., 1., 1., 2., 2., 1., 2., 1.], 5)?;
/// let persistence = persistence_of_distances(&cycle, &Options::default())?;
/// assert_eq!(persistence.diagrams[0].len(), 5);
/// assert_eq!(persistence.diagrams[1], [(1.0, 2.0).into()]);
/// # Ok::<(), ripsaw::Error>(())
/// ```
///
/// # Errors
///
/// As [`persistence_of_points`], without those of measuring.
///
/// Reference: `bauer2021` for the algorithm, `edelsbrunner2002` and `zomorodian2005` for what is computed.
pub fn persistence_of_distances(distances: &CondensedDistances, options: &Options) -> Result<Persistence, Error> {
    persistence_of_distances_with(distances, options, Shortcuts::default())
}

/// As [`persistence_of_points`], telling a watcher how far each stage has come, from 0 to 1.
///
/// It is called from this thread, many times a second where much is to be done, and ends the computation by returning
/// [`ControlFlow::Break`]. Stages come in order; fractions do not fall within one, and may stop short of 1.
///
/// ```
/// use std::ops::ControlFlow;
///
/// use ripsaw::{Error, Metric, Options, PointCloud, persistence_of_points_watched};
///
/// let square = PointCloud::new(&[0., 0., 1., 0., 1., 1., 0., 1.], 4, 2)?;
/// let mut impatient = |_stage, _fraction| ControlFlow::Break(());
/// let ended = persistence_of_points_watched(&square, Metric::Euclidean, &Options::default(), &mut impatient);
/// assert_eq!(ended, Err(Error::Cancelled));
/// # Ok::<(), ripsaw::Error>(())
/// ```
///
/// # Errors
///
/// As [`persistence_of_points`], and [`Error::Cancelled`].
pub fn persistence_of_points_watched(
    points: &PointCloud<'_>,
    metric: Metric,
    options: &Options,
    watcher: &mut dyn FnMut(Stage, f64) -> ControlFlow<()>,
) -> Result<Persistence, Error> {
    let progress = Progress::new(options.thread_count, Some(watcher));
    of_points(points, metric, options, Shortcuts::default(), progress)
}

/// As [`persistence_of_distances`], telling a watcher how far each stage has come, as [`persistence_of_points_watched`].
///
/// # Errors
///
/// As [`persistence_of_distances`], and [`Error::Cancelled`].
pub fn persistence_of_distances_watched(
    distances: &CondensedDistances,
    options: &Options,
    watcher: &mut dyn FnMut(Stage, f64) -> ControlFlow<()>,
) -> Result<Persistence, Error> {
    let progress = Progress::new(options.thread_count, Some(watcher));
    of_distances(distances, options, Shortcuts::default(), progress)
}

/// As [`persistence_of_points`], with each shortcut on or off.
///
/// # Errors
///
/// As [`persistence_of_points`].
#[doc(hidden)]
pub fn persistence_of_points_with(
    points: &PointCloud<'_>,
    metric: Metric,
    options: &Options,
    shortcuts: Shortcuts,
) -> Result<Persistence, Error> {
    of_points(points, metric, options, shortcuts, Progress::new(options.thread_count, None))
}

/// As [`persistence_of_distances`], with each shortcut on or off.
///
/// # Errors
///
/// As [`persistence_of_distances`].
#[doc(hidden)]
pub fn persistence_of_distances_with(
    distances: &CondensedDistances,
    options: &Options,
    shortcuts: Shortcuts,
) -> Result<Persistence, Error> {
    of_distances(distances, options, shortcuts, Progress::new(options.thread_count, None))
}

fn of_points(
    points: &PointCloud<'_>,
    metric: Metric,
    options: &Options,
    shortcuts: Shortcuts,
    mut progress: Progress<'_>,
) -> Result<Persistence, Error> {
    options.check()?;
    let chosen = if shortcuts.merge_duplicates { points.distinct() } else { (0..points.count()).collect() };
    let binomials = binomials(chosen.len(), options)?;
    let ledger = Ledger::new(options.memory_bytes_max);
    ledger.take(condensed_bytes(chosen.len()).saturating_add(layout_bytes(chosen.len(), options)))?;
    let distances = CondensedDistances::from_chosen_points(points, metric, &chosen, &mut progress)?;
    // A metric of directions finds duplicates that the coordinates do not show.
    let chosen = distinct(&distances, shortcuts);
    let graph = Graph::new(&distances, &chosen, options.threshold)?;
    drop(distances);
    let persistence = compute(graph, binomials, options, shortcuts, &ledger, progress)?;
    Ok(Persistence { point_count: points.count(), ..persistence })
}

fn of_distances(
    distances: &CondensedDistances,
    options: &Options,
    shortcuts: Shortcuts,
    progress: Progress<'_>,
) -> Result<Persistence, Error> {
    options.check()?;
    let chosen = distinct(distances, shortcuts);
    let binomials = binomials(chosen.len(), options)?;
    let ledger = Ledger::new(options.memory_bytes_max);
    ledger.take(layout_bytes(chosen.len(), options))?;
    let graph = Graph::new(distances, &chosen, options.threshold)?;
    let persistence = compute(graph, binomials, options, shortcuts, &ledger, progress)?;
    Ok(Persistence { point_count: distances.point_count(), ..persistence })
}

/// Returns the points to keep: all, unless duplicates are to be merged.
fn distinct(distances: &CondensedDistances, shortcuts: Shortcuts) -> Vec<usize> {
    if shortcuts.merge_duplicates { distinct_points(distances) } else { (0..distances.point_count()).collect() }
}

/// Tabulates the binomials of all simplices looked at, whose dimension is one above the largest asked for.
pub(crate) fn binomials(point_count: usize, options: &Options) -> Result<Binomials, Error> {
    condensed_length(point_count)?;
    Binomials::new(point_count, options.max_dimension + 2)
}

/// Does all that follows the distances; the points given are taken to be distinct.
pub(crate) fn compute(
    mut graph: Graph,
    binomials: Binomials,
    options: &Options,
    shortcuts: Shortcuts,
    ledger: &Ledger,
    mut progress: Progress<'_>,
) -> Result<Persistence, Error> {
    let (point_count, threshold) = (graph.point_count, graph.threshold());
    let mut edges = graph.edges()?;
    let edge_count = edges.len() as u64;
    if options.collapse != Collapse::Off {
        collapse(&mut graph, &edges, options.collapse == Collapse::Auto, &mut progress)?;
        edges.retain(|edge| graph.has_edge(edge.ends()));
    }
    let complex = Complex::new(graph, edges, binomials)?;
    let diagrams = diagrams(&complex, options, shortcuts, ledger, &mut progress)?;
    Ok(Persistence { diagrams, threshold, point_count, distinct_point_count: point_count, edge_count })
}
