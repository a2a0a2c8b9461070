//! What the crate promises, checked from outside.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails, in its helpers too")]

mod distances_between;
mod errors;
mod generators;
mod memory;
mod npy;
mod oracle;
mod properties;
mod reference;
mod references;
mod shapes;
mod shortcuts;
mod sparse;
mod summaries;
mod threads;

use ripsaw::{Bar, CondensedDistances, Options, persistence_of_distances};

/// Distances of `count` points, given for each pair `i < j`.
fn distances(count: usize, distance: impl Fn(usize, usize) -> f32) -> CondensedDistances {
    let pairs = (0..count).flat_map(|i| (i + 1..count).map(move |j| (i, j)));
    CondensedDistances::from_condensed(pairs.map(|(i, j)| distance(i, j)).collect(), count).unwrap()
}

fn diagrams(distances: &CondensedDistances, options: &Options) -> Vec<Vec<Bar>> {
    persistence_of_distances(distances, options).unwrap().diagrams
}

fn bars<const N: usize>(pairs: [(f64, f64); N]) -> Vec<Bar> {
    pairs.map(Bar::from).to_vec()
}
