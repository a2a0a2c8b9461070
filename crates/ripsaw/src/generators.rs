//! Which simplices make a bar: where it begins, where it ends, and a cycle in between.
//!
//! Nothing here is computed unless asked for, and then for the longest bars only. A bar has many cycles that represent
//! it; no shortest one is sought, save the shortest loop through the birth edge. Invariant: every number names a point
//! as the caller numbered it; of points that were merged, the first.

use crate::diagram::Bar;
use crate::distance::{CondensedDistances, Metric, PointCloud, condensed_length};
use crate::error::Error;
use crate::filtration::{Binomials, Complex, Graph, collapse, distinct_points};
use crate::memory::{Ledger, condensed_bytes, layout_bytes};
use crate::options::{Collapse, Options};
use crate::parallel::Progress;
use crate::reduce::{Representative, Wanted, representatives};

/// Holds one finite bar and the simplices that make it.
///
/// Points are numbered from 0 as they were given. The points of each simplex are in rising order, and so are the
/// simplices of the cycle. The youngest edge of a simplex is its longest; of equally long ones, that which came last in
/// the order of the filtration.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Generator {
    /// The dimension of the bar.
    pub dimension: usize,
    /// The bar, as it stands in the diagram.
    pub bar: Bar,
    /// The `dimension + 1` points of the simplex with which the class appears; its diameter is the birth.
    pub birth_simplex: Vec<usize>,
    /// The `dimension + 2` points of the simplex that makes the class a boundary; its diameter is the death.
    pub death_simplex: Vec<usize>,
    /// The youngest edge of the birth simplex, as long as the birth; a point of dimension 0 has none.
    pub birth_edge: Option<[usize; 2]>,
    /// The youngest edge of the death simplex, as long as the death. In dimension 0 it joins two components.
    pub death_edge: [usize; 2],
    /// Simplices of `dimension + 1` points each whose boundaries cancel over Z/2. All are there at the birth, the birth
    /// simplex among them; their sum becomes a boundary at the death and not before. In dimension 1 they are the birth
    /// edge and a shortest way back from one end to the other, by older edges not collapsed, unless that represents another bar.
    pub cycle: Vec<Vec<usize>>,
    /// The points of a cycle of dimension 1 in order, the last being next to the first, if it passes each once. It
    /// begins with the smallest, and goes on to the smaller of its neighbours.
    pub loop_vertices: Option<Vec<usize>>,
}

/// Chooses the bars that get a cycle.
///
/// ```
/// use ripsaw::GeneratorOptions;
///
/// let longest = GeneratorOptions::default().with_count_max(3).with_length_min(0.1);
/// assert_eq!((longest.count_max, longest.length_min), (3, 0.1));
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct GeneratorOptions {
    /// The most bars of each dimension, the longest first; 16 by default.
    pub count_max: usize,
    /// The least length of a bar, in units of the metric, not negative; 0 by default.
    pub length_min: f64,
}

impl Default for GeneratorOptions {
    fn default() -> Self {
        Self { count_max: 16, length_min: 0.0 }
    }
}

impl GeneratorOptions {
    /// Sets the most bars of each dimension.
    #[must_use]
    pub fn with_count_max(mut self, count_max: usize) -> Self {
        self.count_max = count_max;
        self
    }

    /// Sets the least length of a bar, in units of the metric.
    #[must_use]
    pub fn with_length_min(mut self, length_min: f64) -> Self {
        self.length_min = length_min;
        self
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        match self.length_min {
            got if got.is_nan() || got < 0.0 => Err(Error::LengthMin { got }),
            _ => Ok(()),
        }
    }
}

/// Finds which points make the longest finite bars of a cloud.
///
/// Bars are those of [`crate::persistence_of_points`] with the same options, but without the infinite ones. They come by
/// dimension, and in one dimension by length, the longest first; equal lengths keep the order of the filtration.
///
/// [`Options::collapse`] changes no bar and no promise made about a cycle, but may change the cycle: edges that were taken
/// out are not in it. With [`Collapse::Off`] loops are shorter, and all takes longer, by the same factor as the bars.
///
/// Renumbering the points changes no bar that is given, except that where `count_max` cuts between bars of equal length
/// another may be taken. Where no two distances are equal it changes no edge either, but may change which of several
/// simplices that enter with one edge is named, and with it the cycle.
///
/// ```
/// use ripsaw::{GeneratorOptions, Metric, Options, PointCloud, generators_of_points};
///
/// // Ten points around a circle, each a little off it, in an order that jumps; one more in the middle of nowhere.
/// let mut coordinates = Vec::new();
/// for k in 0..10 {
///     let (angle, radius) = (std::f32::consts::TAU * (3 * k % 10) as f32 / 10.0, 1.0 + 0.02 * (k % 3) as f32);
///     coordinates.extend([radius * angle.cos(), radius * angle.sin()]);
/// }
/// coordinates.extend([5.0, 5.0]);
/// let cloud = PointCloud::new(&coordinates, 11, 2)?;
///
/// let options = Options::default().with_max_dimension(1);
/// let longest = GeneratorOptions::default().with_count_max(1);
/// let generators = generators_of_points(&cloud, Metric::Euclidean, &options, &longest)?;
///
/// // The component that lasts longest is the outlier, and the loop goes around the circle.
/// let [outlier, circle] = &generators[..] else { panic!("one of each dimension") };
/// assert_eq!(outlier.birth_simplex, [10]);
/// assert_eq!(circle.loop_vertices.as_deref(), Some(&[0, 3, 6, 9, 2, 5, 8, 1, 4, 7][..]));
/// assert!(circle.bar.birth < 0.7 && circle.bar.death > 1.7);
/// # Ok::<(), ripsaw::Error>(())
/// ```
///
/// Time is that of the bars, and that of the columns which the cycles meet. Beside what the bars take,
/// memory holds the pairs of one dimension, those columns and the cycles.
///
/// # Errors
///
/// As [`crate::persistence_of_points`]; [`Error::LengthMin`] for a length out of range. [`Error::MemoryLimit`] counts the
/// cycles too.
///
/// Reference: `cufar2021`.
pub fn generators_of_points(
    points: &PointCloud<'_>,
    metric: Metric,
    options: &Options,
    generator_options: &GeneratorOptions,
) -> Result<Vec<Generator>, Error> {
    options.check()?;
    generator_options.check()?;
    let chosen = points.distinct();
    let ledger = Ledger::new(options.memory_bytes_max);
    let binomials = binomials(chosen.len(), options)?;
    ledger.take(condensed_bytes(chosen.len()).saturating_add(layout_bytes(chosen.len(), options)))?;
    let mut progress = Progress::new(options.thread_count, None);
    let distances = CondensedDistances::from_chosen_points(points, metric, &chosen, &mut progress)?;
    // A metric of directions finds duplicates that the coordinates do not show.
    let kept = distinct_points(&distances);
    let originals: Vec<usize> = kept.iter().map(|&kept| chosen[kept]).collect();
    let graph = Graph::new(&distances, &kept, options.threshold)?;
    drop(distances);
    generators(graph, &originals, binomials, options, generator_options, &ledger)
}

/// Finds which points make the longest finite bars of given distances.
///
/// As [`generators_of_points`], for distances that are already there.
///
/// ```
/// use ripsaw::{CondensedDistances, GeneratorOptions, Options, generators_of_distances};
///
/// // A cycle of five points; neighbours at distance 1, others at 2.
/// let cycle = CondensedDistances::from_condensed(vec![1., 2., 2., 1., 1., 2., 2., 1., 2., 1.], 5)?;
/// let generators = generators_of_distances(&cycle, &Options::default(), &GeneratorOptions::default())?;
/// let around = generators.iter().find(|generator| generator.dimension == 1).unwrap();
/// assert_eq!(around.loop_vertices, Some(vec![0, 1, 2, 3, 4]));
/// # Ok::<(), ripsaw::Error>(())
/// ```
///
/// # Errors
///
/// As [`generators_of_points`], without those of measuring.
///
/// Reference: `cufar2021`.
pub fn generators_of_distances(
    distances: &CondensedDistances,
    options: &Options,
    generator_options: &GeneratorOptions,
) -> Result<Vec<Generator>, Error> {
    options.check()?;
    generator_options.check()?;
    let chosen = distinct_points(distances);
    let ledger = Ledger::new(options.memory_bytes_max);
    let binomials = binomials(chosen.len(), options)?;
    ledger.take(layout_bytes(chosen.len(), options))?;
    let graph = Graph::new(distances, &chosen, options.threshold)?;
    generators(graph, &chosen, binomials, options, generator_options, &ledger)
}

/// Tabulates the binomials of all simplices looked at, whose dimension is one above the largest asked for.
fn binomials(point_count: usize, options: &Options) -> Result<Binomials, Error> {
    condensed_length(point_count)?;
    Binomials::new(point_count, options.max_dimension + 2)
}

/// Does all that follows the distances.
///
/// Edges that are collapsed leave a complex which at every length is a deformation retract of the whole one, by the same
/// lengths for those that stay. A cycle of the smaller complex is one of the larger, and a boundary in both or in neither.
pub(crate) fn generators(
    mut graph: Graph,
    originals: &[usize],
    binomials: Binomials,
    options: &Options,
    generator_options: &GeneratorOptions,
    ledger: &Ledger,
) -> Result<Vec<Generator>, Error> {
    let mut progress = Progress::new(options.thread_count, None);
    let mut edges = graph.edges()?;
    if options.collapse != Collapse::Off {
        collapse(&mut graph, &edges, options.collapse == Collapse::Auto, &mut progress)?;
        edges.retain(|edge| graph.has_edge(edge.ends()));
    }
    let complex = Complex::new(graph, edges, binomials)?;
    let wanted = Wanted { count_max: generator_options.count_max, length_min: generator_options.length_min };
    let mut generators = Vec::new();
    let found = representatives(&complex, options, wanted, ledger, &mut progress)?;
    for (dimension, found) in found.into_iter().enumerate() {
        generators.extend(found.into_iter().map(|one| in_points(one, dimension, originals)));
    }
    Ok(generators)
}

/// Keeps the longest of each dimension, as if those of several complexes came from one.
pub(crate) fn keep_longest(mut generators: Vec<Generator>, count_max: usize) -> Vec<Generator> {
    // Stable: in one complex equal lengths keep the order of the filtration.
    generators.sort_by(|a, b| a.dimension.cmp(&b.dimension).then(b.bar.length().total_cmp(&a.bar.length())));
    let mut taken = (0, 0);
    generators.retain(|generator| {
        taken = if generator.dimension == taken.0 { (taken.0, taken.1 + 1) } else { (generator.dimension, 1) };
        taken.1 <= count_max
    });
    generators
}

/// Turns vertices of the complex into points.
fn in_points(representative: Representative, dimension: usize, originals: &[usize]) -> Generator {
    let Representative { birth, death, birth_simplex, death_simplex, cycle } = representative;
    let mut cycle: Vec<Vec<usize>> = cycle.into_iter().map(|simplex| points_of(&simplex, originals)).collect();
    cycle.sort_unstable();
    Generator {
        dimension,
        bar: Bar { birth: birth.into(), death: death.into() },
        birth_edge: birth_simplex.first_chunk().map(|&ends| edge_of(ends, originals)),
        death_edge: edge_of([death_simplex[0], death_simplex[1]], originals),
        birth_simplex: points_of(&birth_simplex, originals),
        death_simplex: points_of(&death_simplex, originals),
        loop_vertices: if dimension == 1 { closed_walk(&cycle) } else { None },
        cycle,
    }
}

fn points_of(simplex: &[usize], originals: &[usize]) -> Vec<usize> {
    let mut points: Vec<usize> = simplex.iter().map(|&vertex| originals[vertex]).collect();
    points.sort_unstable();
    points
}

fn edge_of(ends: [usize; 2], originals: &[usize]) -> [usize; 2] {
    let [u, v] = ends.map(|vertex| originals[vertex]);
    [u.min(v), u.max(v)]
}

/// Returns the points along sorted edges in order, if the edges are one closed walk that passes each point once.
fn closed_walk(edges: &[Vec<usize>]) -> Option<Vec<usize>> {
    let mut steps: Vec<[usize; 2]> = edges.iter().flat_map(|edge| [[edge[0], edge[1]], [edge[1], edge[0]]]).collect();
    steps.sort_unstable();
    if !steps.chunk_by(|a, b| a[0] == b[0]).all(|from| from.len() == 2) {
        return None;
    }
    // Each point has two steps, the one to the smaller neighbour first.
    let [start, mut next] = *steps.first()?;
    let (mut walk, mut last) = (vec![start], start);
    while next != start {
        walk.push(next);
        let place = steps.partition_point(|step| step[0] < next);
        let onward = if steps[place][1] == last { steps[place + 1][1] } else { steps[place][1] };
        (last, next) = (next, onward);
    }
    (walk.len() == edges.len()).then_some(walk)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_closes_only_around_one_simple_cycle() {
        let walk = |edges: &[[usize; 2]]| closed_walk(&edges.iter().map(|edge| edge.to_vec()).collect::<Vec<_>>());
        assert_eq!(walk(&[[0, 3], [0, 7], [2, 3], [2, 7]]), Some(vec![0, 3, 2, 7]));
        let two_triangles = [[0, 1], [0, 2], [1, 2], [3, 4], [3, 5], [4, 5]];
        assert_eq!(walk(&two_triangles), None);
        let figure_eight = [[0, 1], [0, 2], [1, 2], [2, 3], [2, 4], [3, 4]];
        assert_eq!(walk(&figure_eight), None);
        assert_eq!(walk(&[]), None);
    }
}
