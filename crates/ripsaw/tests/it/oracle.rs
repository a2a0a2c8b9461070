//! Slow, obvious persistent homology: all simplices in a list, their boundary matrix reduced column by column.

use std::collections::HashMap;

use proptest::prelude::*;
use ripsaw::{Bar, CondensedDistances, Metric, Options, PointCloud, persistence_of_points};

use crate::diagrams;

/// Returns the diagrams of homology over Z/2, computed from the definition (`edelsbrunner2002`).
pub(crate) fn slow_diagrams(distances: &CondensedDistances, max_dimension: usize, threshold: f64) -> Vec<Vec<Bar>> {
    let simplices = filtration(distances, max_dimension + 2, threshold);
    let places: HashMap<&[usize], usize> =
        simplices.iter().enumerate().map(|(place, (_, vertices))| (&vertices[..], place)).collect();
    let mut diagrams = vec![Vec::new(); max_dimension + 1];
    let mut column_with_low: HashMap<usize, Vec<usize>> = HashMap::new();
    let mut births: Vec<bool> = Vec::new();
    for (diameter, vertices) in &simplices {
        let mut column = boundary(vertices, &places);
        while let Some(other) = column.last().and_then(|low| column_with_low.get(low)) {
            column = sum(&column, other);
        }
        births.push(column.is_empty());
        if let Some(&low) = column.last() {
            let (birth, born) = &simplices[low];
            births[low] = false;
            if birth < diameter {
                diagrams[born.len() - 1].push(Bar { birth: f64::from(*birth), death: f64::from(*diameter) });
            }
            column_with_low.insert(low, column);
        }
    }
    for ((birth, vertices), _) in simplices.iter().zip(births).filter(|(_, is_birth)| *is_birth) {
        if vertices.len() <= max_dimension + 1 {
            diagrams[vertices.len() - 1].push(Bar { birth: f64::from(*birth), death: f64::INFINITY });
        }
    }
    for diagram in &mut diagrams {
        diagram.sort_by(|a, b| a.birth.total_cmp(&b.birth).then(a.death.total_cmp(&b.death)));
    }
    diagrams
}

/// All vertex sets of so many points at most, by diameter and then size.
fn filtration(distances: &CondensedDistances, size_max: usize, threshold: f64) -> Vec<(f32, Vec<usize>)> {
    let mut simplices = Vec::new();
    for bits in 1u32..1 << distances.point_count() {
        let vertices: Vec<usize> = (0..distances.point_count()).filter(|v| bits >> v & 1 == 1).collect();
        let pairs = vertices.iter().flat_map(|&v| vertices.iter().map(move |&w| (v, w)));
        let diameter = pairs.map(|(v, w)| distances.distance(v, w)).fold(0.0, f32::max);
        if vertices.len() <= size_max && f64::from(diameter) <= threshold {
            simplices.push((diameter, vertices));
        }
    }
    simplices.sort_by(|(a, v), (b, w)| a.total_cmp(b).then(v.len().cmp(&w.len())).then(v.cmp(w)));
    simplices
}

fn boundary(vertices: &[usize], places: &HashMap<&[usize], usize>) -> Vec<usize> {
    let without = |left_out: usize| [&vertices[..left_out], &vertices[left_out + 1..]].concat();
    let facets = (0..vertices.len()).filter(|_| vertices.len() > 1).map(without);
    let mut column: Vec<usize> = facets.map(|facet| places[&facet[..]]).collect();
    column.sort_unstable();
    column
}

/// The symmetric difference of two sorted columns.
fn sum(a: &[usize], b: &[usize]) -> Vec<usize> {
    let mut sum: Vec<usize> =
        a.iter().filter(|x| !b.contains(x)).chain(b.iter().filter(|x| !a.contains(x))).copied().collect();
    sum.sort_unstable();
    sum
}

/// Up to nine points of the plane or space; whole coordinates give ties, duplicates and points in line.
pub(crate) fn small_cloud() -> impl Strategy<Value = (Vec<f32>, usize, usize)> {
    let coordinate = prop_oneof![(0i8..4).prop_map(f32::from), -2f32..2.0];
    let whole = (0i8..3).prop_map(f32::from);
    (0usize..=9, 1usize..=3).prop_flat_map(move |(count, dimension)| {
        let mixed = prop::collection::vec(coordinate.clone(), count * dimension);
        let grid = prop::collection::vec(whole.clone(), count * dimension);
        (prop_oneof![mixed, grid], Just(count), Just(dimension))
    })
}

/// Any symmetric numbers, few enough to tie, zero among them.
pub(crate) fn small_dissimilarity() -> impl Strategy<Value = CondensedDistances> {
    (0usize..=8).prop_flat_map(|count| {
        prop::collection::vec((0i8..6).prop_map(f32::from), count * count.saturating_sub(1) / 2)
            .prop_map(move |values| CondensedDistances::from_condensed(values, count).unwrap())
    })
}

proptest! {
    #[test]
    fn points_give_the_bars_of_the_oracle((coordinates, count, dimension) in small_cloud()) {
        let points = PointCloud::new(&coordinates, count, dimension).unwrap();
        let distances = CondensedDistances::from_points(&points, Metric::Euclidean).unwrap();
        let persistence = persistence_of_points(&points, Metric::Euclidean, &Options::default()).unwrap();
        prop_assert_eq!(persistence.diagrams, slow_diagrams(&distances, 2, f64::INFINITY));
    }

    #[test]
    fn a_threshold_gives_the_bars_of_the_oracle(distances in small_dissimilarity(), threshold in 0u8..14) {
        let threshold = f64::from(threshold) / 2.0;
        let options = Options::default().with_threshold(threshold);
        // Above the enclosing radius the oracle has the same bars, as a cone adds none.
        prop_assert_eq!(diagrams(&distances, &options), slow_diagrams(&distances, 2, threshold));
    }

    #[test]
    fn every_largest_dimension_gives_the_bars_of_the_oracle(distances in small_dissimilarity(), max_dimension in 0usize..9) {
        let options = Options::default().with_max_dimension(max_dimension);
        prop_assert_eq!(diagrams(&distances, &options), slow_diagrams(&distances, max_dimension, f64::INFINITY));
    }
}
