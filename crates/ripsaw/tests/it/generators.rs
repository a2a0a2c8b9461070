//! Cycles are what they are said to be.

use std::collections::BTreeSet;

use proptest::prelude::*;
use ripsaw::{
    Bar, Collapse, CondensedDistances, Error, Generator, GeneratorOptions, Metric, Options, PointCloud,
    generators_of_distances, generators_of_points, memory_bytes_estimate, persistence_of_points,
};

use crate::oracle::{small_cloud, small_dissimilarity};
use crate::{diagrams, distances, npy};

const ROOT_TWO: f64 = std::f32::consts::SQRT_2 as f64;

fn every() -> GeneratorOptions {
    GeneratorOptions::default().with_count_max(usize::MAX)
}

fn generators(distances: &CondensedDistances, options: &Options) -> Vec<Generator> {
    generators_of_distances(distances, options, &every()).unwrap()
}

fn of_dimension(generators: &[Generator], dimension: usize) -> Vec<&Generator> {
    generators.iter().filter(|generator| generator.dimension == dimension).collect()
}

/// `count` points evenly around the unit circle.
fn polygon(count: usize) -> Vec<f32> {
    let angles = (0..count).map(|k| std::f32::consts::TAU * k as f32 / count as f32);
    angles.flat_map(|angle| [angle.cos(), angle.sin()]).collect()
}

#[test]
fn no_points_and_one_point_have_no_generators() {
    assert!(generators(&distances(0, |_, _| 0.0), &Options::default()).is_empty());
    assert!(generators(&distances(1, |_, _| 0.0), &Options::default()).is_empty());
    assert!(generators(&distances(4, |_, _| 0.0), &Options::default()).is_empty());
}

#[test]
fn the_sides_of_a_square_are_its_loop() {
    let points = PointCloud::new(&[0., 0., 1., 1., 1., 0., 0., 1.], 4, 2).unwrap();
    let found = generators_of_points(&points, Metric::Euclidean, &Options::default(), &every()).unwrap();
    let [one, other, third, around] = &found[..] else { panic!("three edges join four points, one closes a loop") };
    for join in [one, other, third] {
        assert_eq!((join.dimension, join.bar, join.birth_edge), (0, (0.0, 1.0).into(), None));
        assert_eq!(join.death_simplex, join.death_edge);
    }
    assert_eq!((around.dimension, around.bar), (1, (1.0, ROOT_TWO).into()));
    assert_eq!(around.loop_vertices.as_deref(), Some(&[0, 2, 1, 3][..]));
    assert_eq!(around.cycle, [[0, 2], [0, 3], [1, 2], [1, 3]]);
    assert!(around.cycle.contains(&around.birth_simplex) && around.death_simplex.len() == 3);
    assert!([[0, 1], [2, 3]].contains(&around.death_edge));
}

#[test]
fn the_loop_of_a_polygon_passes_its_corners_in_order() {
    let coordinates = polygon(24);
    let points = PointCloud::new(&coordinates, 24, 2).unwrap();
    let longest = GeneratorOptions::default().with_count_max(1);
    let found = generators_of_points(&points, Metric::Euclidean, &Options::default(), &longest).unwrap();
    assert_eq!(of_dimension(&found, 1)[0].loop_vertices, Some((0..24).collect()));
}

#[test]
fn the_loop_of_a_polygon_with_repeats_names_first_points() {
    // Every corner comes three times, as itself, with its zeros negated, and as a scaled direction.
    let once = polygon(8);
    let again: Vec<f32> = once.iter().map(|&x| if x == 0.0 { -x } else { x }).collect();
    let coordinates = [once.clone(), again, once.iter().map(|x| 4.0 * x).collect()].concat();
    let longest = GeneratorOptions::default().with_count_max(1);
    let twice = PointCloud::new(&coordinates[..32], 16, 2).unwrap();
    let thrice = PointCloud::new(&coordinates, 24, 2).unwrap();
    for (points, metric) in [(twice, Metric::Euclidean), (twice, Metric::Angular), (thrice, Metric::Cosine)] {
        let found = generators_of_points(&points, metric, &Options::default(), &longest).unwrap();
        assert_eq!(of_dimension(&found, 1)[0].loop_vertices, Some((0..8).collect()));
    }
    // Points 0 and 1 are one, so the square has other numbers.
    let points = PointCloud::new(&[0., 0., 0., 0., 1., 0., 1., 1., 1., 0., 0., 1.], 6, 2).unwrap();
    let found = generators_of_points(&points, Metric::Euclidean, &Options::default(), &longest).unwrap();
    assert_eq!(of_dimension(&found, 1)[0].loop_vertices, Some(vec![0, 2, 3, 5]));
}

#[test]
fn the_faces_of_cross_polytopes_are_their_voids() {
    // Points 2i and 2i + 1 are opposite; in three dimensions this is the octahedron.
    for dimension in 1..=5 {
        let sphere = distances(2 * dimension + 2, |i, j| if i / 2 == j / 2 { 2.0 } else { 1.0 });
        let found = generators(&sphere, &Options::default().with_max_dimension(dimension));
        let [void] = of_dimension(&found, dimension)[..] else { panic!("one void") };
        assert_eq!(void.bar, (1.0, 2.0).into());
        assert_eq!(void.cycle.len(), 1 << (dimension + 1));
        assert!(void.cycle.iter().flatten().collect::<BTreeSet<_>>().len() == 2 * dimension + 2);
        assert_eq!(void.loop_vertices.is_some(), dimension == 1);
    }
}

#[test]
fn the_longest_come_first_and_the_short_can_be_left_out() {
    let coordinates = npy::read("circle_noisy_150.npy");
    let points = PointCloud::new(&coordinates, 150, 8).unwrap();
    let with = |chosen: &GeneratorOptions| {
        generators_of_points(&points, Metric::Euclidean, &Options::default(), chosen).unwrap()
    };
    let all = with(&every());
    for dimension in 0..=2 {
        let of_all = of_dimension(&all, dimension);
        assert!(of_all.is_sorted_by(|a, b| a.bar.length() >= b.bar.length()));
        for count in [0, 1, 3] {
            let few = with(&GeneratorOptions::default().with_count_max(count));
            assert_eq!(of_dimension(&few, dimension), of_all[..count.min(of_all.len())]);
        }
        let long = with(&every().with_length_min(0.1));
        let expected: Vec<_> = of_all.into_iter().filter(|generator| generator.bar.length() >= 0.1).collect();
        assert_eq!(of_dimension(&long, dimension), expected);
    }
    assert!(with(&every().with_length_min(f64::INFINITY)).is_empty());
}

#[test]
fn a_length_out_of_range_is_refused() {
    for got in [f64::NAN, -1.0] {
        let options = every().with_length_min(got);
        let refused = generators_of_distances(&distances(3, |_, _| 1.0), &Options::default(), &options);
        assert!(matches!(refused, Err(Error::LengthMin { .. })), "{got}");
    }
}

#[test]
fn cycles_stop_at_the_limit() {
    let coordinates = npy::read("sphere_s2_100.npy");
    let points = PointCloud::new(&coordinates, 100, 3).unwrap();
    let with = |limit| {
        let options = Options::default().with_collapse(Collapse::Off).with_memory_bytes_max(limit);
        generators_of_points(&points, Metric::Euclidean, &options, &every())
    };
    let layout = memory_bytes_estimate(100, &Options::default());
    assert_eq!(with(layout - 1), Err(Error::MemoryLimit { needed: layout, limit: layout - 1 }));
    let wide = with(64 << 20).unwrap();
    assert_eq!(wide, with(u64::MAX).unwrap());
    // The least limit that the bars keep to leaves no room for what is reduced beside them.
    let bars_pass = |limit| {
        let options = Options::default().with_collapse(Collapse::Off).with_memory_bytes_max(limit);
        persistence_of_points(&points, Metric::Euclidean, &options).is_ok()
    };
    let limit = (layout..64 << 20).step_by(4096).find(|&limit| bars_pass(limit)).unwrap();
    assert!(matches!(with(limit), Err(Error::MemoryLimit { limit: named, .. }) if named == limit));
}

/// Whole sets of simplices of up to nine points as bits, sums as exclusive or.
struct Oracle<'a> {
    distances: &'a CondensedDistances,
    /// The simplices of each dimension.
    simplices: Vec<Vec<Vec<usize>>>,
}

impl<'a> Oracle<'a> {
    fn new(distances: &'a CondensedDistances) -> Self {
        let count = distances.point_count();
        let mut simplices = vec![Vec::new(); count.max(5)];
        for bits in 1u32..1 << count {
            simplices[bits.count_ones() as usize - 1].push((0..count).filter(|v| bits >> v & 1 == 1).collect());
        }
        Self { distances, simplices }
    }

    fn diameter(&self, simplex: &[usize]) -> f64 {
        let pairs = simplex.iter().flat_map(|&v| simplex.iter().map(move |&w| (v, w)));
        pairs.map(|(v, w)| f64::from(self.distances.distance(v, w))).fold(0.0, f64::max)
    }

    fn bit(&self, simplex: &[usize]) -> u128 {
        1 << self.simplices[simplex.len() - 1].iter().position(|other| other == simplex).unwrap()
    }

    fn boundary(&self, simplex: &[usize]) -> u128 {
        let facets = (0..simplex.len()).filter(|_| simplex.len() > 1);
        let facets = facets.map(|left_out| [&simplex[..left_out], &simplex[left_out + 1..]].concat());
        facets.map(|facet| self.bit(&facet)).fold(0, |sum, bit| sum ^ bit)
    }

    /// The boundaries of all simplices of a dimension that pass.
    fn boundaries(&self, dimension: usize, passes: impl Fn(f64) -> bool) -> Vec<u128> {
        let passing = self.simplices[dimension].iter().filter(|simplex| passes(self.diameter(simplex)));
        passing.map(|simplex| self.boundary(simplex)).collect()
    }

    /// A basis of the cycles of simplices of a dimension that pass.
    fn cycles(&self, dimension: usize, passes: impl Fn(f64) -> bool) -> Vec<u128> {
        let mut reduced: Vec<(u128, u128)> = Vec::new();
        let mut cycles = Vec::new();
        for simplex in self.simplices[dimension].iter().filter(|simplex| passes(self.diameter(simplex))) {
            let (mut boundary, mut chain) = (self.boundary(simplex), self.bit(simplex));
            for &(other, of) in &reduced {
                if boundary ^ other < boundary {
                    (boundary, chain) = (boundary ^ other, chain ^ of);
                }
            }
            if boundary == 0 {
                cycles.push(chain);
            } else {
                reduced.push((boundary, chain));
                reduced.sort_unstable_by(|a, b| b.cmp(a));
            }
        }
        cycles
    }
}

/// Tells whether a sum of some of the vectors gives this one.
fn is_spanned(vector: u128, vectors: &[u128]) -> bool {
    let mut basis: Vec<u128> = Vec::new();
    let reduce = |basis: &[u128], vector: u128| basis.iter().fold(vector, |left, &other| left.min(left ^ other));
    for &other in vectors {
        let left = reduce(&basis, other);
        if left != 0 {
            basis.push(left);
            basis.sort_unstable_by(|a, b| b.cmp(a));
        }
    }
    reduce(&basis, vector) == 0
}

/// Checks every promise of [`Generator`] by ranks of whole matrices.
fn check(distances: &CondensedDistances, generators: &[Generator], options: &Options) -> Result<(), TestCaseError> {
    let oracle = Oracle::new(distances);
    for (dimension, diagram) in diagrams(distances, options).into_iter().enumerate() {
        let of_this = of_dimension(generators, dimension);
        let mut found: Vec<Bar> = of_this.iter().map(|generator| generator.bar).collect();
        found.sort_by(|a, b| a.birth.total_cmp(&b.birth).then(a.death.total_cmp(&b.death)));
        let finite: Vec<Bar> = diagram.into_iter().filter(|bar| !bar.is_infinite()).collect();
        prop_assert_eq!(&found, &finite);
        let births: BTreeSet<_> = of_this.iter().map(|generator| &generator.birth_simplex).collect();
        let deaths: BTreeSet<_> = of_this.iter().map(|generator| &generator.death_simplex).collect();
        prop_assert_eq!((births.len(), deaths.len()), (found.len(), found.len()));
    }
    for generator in generators {
        let Generator { dimension, bar, birth_simplex, death_simplex, cycle, .. } = generator;
        prop_assert!(
            cycle.is_sorted() && cycle.iter().all(|simplex| simplex.is_sorted() && simplex.len() == dimension + 1)
        );
        prop_assert!(cycle.windows(2).all(|pair| pair[0] != pair[1]));
        prop_assert_eq!(cycle.iter().fold(0, |sum, simplex| sum ^ oracle.boundary(simplex)), 0);
        prop_assert!(cycle.iter().all(|simplex| oracle.diameter(simplex) <= bar.birth));
        prop_assert!(cycle.contains(birth_simplex));
        prop_assert_eq!(oracle.diameter(birth_simplex), bar.birth);
        prop_assert!(death_simplex.is_sorted() && death_simplex.len() == dimension + 2);
        prop_assert_eq!(oracle.diameter(death_simplex), bar.death);
        prop_assert_eq!(oracle.diameter(&generator.death_edge), bar.death);
        prop_assert!(generator.death_edge.iter().all(|point| death_simplex.contains(point)));
        prop_assert_eq!(generator.birth_edge.is_some(), *dimension > 0);
        if let Some(edge) = &generator.birth_edge {
            prop_assert_eq!(oracle.diameter(edge), bar.birth);
            prop_assert!(edge.iter().all(|point| birth_simplex.contains(point)));
        }
        let sum = cycle.iter().fold(0, |sum, simplex| sum ^ oracle.bit(simplex));
        prop_assert!(is_spanned(sum, &oracle.boundaries(dimension + 1, |diameter| diameter <= bar.death)));
        // Before the death it is no boundary, and differs by none from any cycle that was there before the birth.
        let mut known = oracle.boundaries(dimension + 1, |diameter| diameter < bar.death);
        known.extend(oracle.cycles(*dimension, |diameter| diameter < bar.birth));
        prop_assert!(!is_spanned(sum, &known));
        if let Some(walk) = &generator.loop_vertices {
            let steps = walk.iter().zip(walk.iter().cycle().skip(1)).map(|(&v, &w)| vec![v.min(w), v.max(w)]);
            prop_assert_eq!(&steps.collect::<BTreeSet<_>>(), &cycle.iter().cloned().collect::<BTreeSet<_>>());
            prop_assert_eq!((walk.len(), walk[0]), (cycle.len(), *walk.iter().min().unwrap()));
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn cycles_of_points_pass_the_oracle((coordinates, count, dimension) in small_cloud()) {
        let points = PointCloud::new(&coordinates, count, dimension).unwrap();
        let distances = CondensedDistances::from_points(&points, Metric::Euclidean).unwrap();
        for collapse in [Collapse::Auto, Collapse::On, Collapse::Off] {
            let options = Options::default().with_collapse(collapse);
            let found = generators_of_points(&points, Metric::Euclidean, &options, &every()).unwrap();
            check(&distances, &found, &options)?;
        }
    }

    #[test]
    fn cycles_of_distances_pass_the_oracle(distances in small_dissimilarity(), threshold in 0u8..14) {
        let options = Options::default().with_max_dimension(3).with_threshold(f64::from(threshold) / 2.0);
        for collapse in [Collapse::Auto, Collapse::On, Collapse::Off] {
            let options = options.clone().with_collapse(collapse);
            check(&distances, &generators(&distances, &options), &options)?;
        }
    }

    #[test]
    fn renumbering_the_points_renumbers_the_edges(
        cloud in prop::collection::vec(prop::array::uniform3(-1f32..1.0), 9),
        order in Just((0..9).collect::<Vec<usize>>()).prop_shuffle(),
    ) {
        let renumbered: Vec<[f32; 3]> = order.iter().map(|&i| cloud[i]).collect();
        let found = |cloud: &[[f32; 3]]| {
            let points = PointCloud::new(cloud.as_flattened(), 9, 3).unwrap();
            generators_of_points(&points, Metric::Euclidean, &Options::default(), &every()).unwrap()
        };
        let edge = |ends: [usize; 2], names: &[usize]| ends.map(|end| names[end]).iter().copied().collect::<BTreeSet<_>>();
        let same: Vec<usize> = (0..9).collect();
        let named = |generators: Vec<Generator>, names: &[usize]| -> Vec<_> {
            let ends = |one: &Generator| (one.bar.death, one.birth_edge.map(|ends| edge(ends, names)), edge(one.death_edge, names));
            generators.iter().map(ends).collect()
        };
        prop_assert_eq!(named(found(&renumbered), &order), named(found(&cloud), &same));
    }
}

#[test]
fn bars_match_those_of_larger_clouds() {
    for (name, count, dimension) in
        [("torus_120.npy", 120, 3), ("traj768_100.npy", 100, 768), ("gauss_50_d16.npy", 50, 16)]
    {
        let coordinates = npy::read(name);
        let points = PointCloud::new(&coordinates, count, dimension).unwrap();
        let persistence = persistence_of_points(&points, Metric::Euclidean, &Options::default()).unwrap();
        let found = generators_of_points(&points, Metric::Euclidean, &Options::default(), &every()).unwrap();
        for (dimension, diagram) in persistence.diagrams.iter().enumerate() {
            let finite = diagram.iter().filter(|bar| !bar.is_infinite()).count();
            assert_eq!(of_dimension(&found, dimension).len(), finite, "{name}");
        }
        for generator in &found {
            let mut facets: Vec<Vec<usize>> = Vec::new();
            for simplex in &generator.cycle {
                let without = |left_out: usize| [&simplex[..left_out], &simplex[left_out + 1..]].concat();
                facets.extend((0..simplex.len()).map(without));
            }
            facets.sort_unstable();
            let is_even = facets.chunk_by(|a, b| a == b).all(|equal| equal.len() % 2 == 0);
            assert!(is_even && generator.cycle.contains(&generator.birth_simplex), "{name}");
        }
    }
}
