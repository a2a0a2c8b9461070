//! Which points make a bar, as arrays of a diagram's archive.
//!
//! For each dimension `k` with generators, all of one length `m` and by falling length of the bar:
//!
//! | member | type and shape | what |
//! | --- | --- | --- |
//! | `gens_k_bars` | float64 (m, 2) | birth and death, as in `dgms_k` |
//! | `gens_k_birth` | int64 (m, k + 1) | the points of the simplex with which the class appears |
//! | `gens_k_death` | int64 (m, k + 2) | the points of the simplex that ends it |
//! | `gens_k_cycles` | int64 (s, k + 1) | the simplices of all cycles, one cycle after the other |
//! | `gens_k_cycle_ends` | int64 (m,) | where each cycle ends in `gens_k_cycles`; it begins where the one before ends |
//!
//! In dimension 1 also `gens_1_loops` (int64, the points of each loop in order, one loop after the other) and
//! `gens_1_loop_ends`; a cycle that is no simple loop has none. Points are rows of the cloud: steps of a trajectory.

use std::collections::BTreeMap;

use super::npy::{NpyArray, NpyValues};

/// Returns the arrays of generators, by the names of their members.
#[must_use]
pub fn generator_arrays(generators: &[ripsaw::Generator]) -> BTreeMap<String, NpyArray> {
    let mut arrays = BTreeMap::new();
    for of_one in generators.chunk_by(|a, b| a.dimension == b.dimension) {
        let Some(dimension) = of_one.first().map(|generator| generator.dimension) else { continue };
        let mut add = |part: &str, array| arrays.insert(format!("gens_{dimension}_{part}"), array);
        let bars = of_one.iter().flat_map(|generator| [generator.bar.birth, generator.bar.death]).collect();
        add("bars", matrix(2, NpyValues::F64(bars)));
        let points = |simplices: &mut dyn Iterator<Item = &Vec<usize>>| {
            NpyValues::I64(simplices.flatten().map(|&point| point as i64).collect())
        };
        add("birth", matrix(dimension + 1, points(&mut of_one.iter().map(|generator| &generator.birth_simplex))));
        add("death", matrix(dimension + 2, points(&mut of_one.iter().map(|generator| &generator.death_simplex))));
        add("cycles", matrix(dimension + 1, points(&mut of_one.iter().flat_map(|generator| &generator.cycle))));
        add("cycle_ends", ends(of_one.iter().map(|generator| generator.cycle.len())));
        if dimension == 1 {
            let loops = || of_one.iter().map(|generator| generator.loop_vertices.as_ref());
            add("loops", NpyArray::vector(points(&mut loops().flatten())));
            add("loop_ends", ends(loops().map(|around| around.map_or(0, Vec::len))));
        }
    }
    arrays
}

fn matrix(columns: usize, values: NpyValues) -> NpyArray {
    let count = match &values {
        NpyValues::F64(values) => values.len(),
        NpyValues::I64(values) => values.len(),
        _ => 0,
    };
    NpyArray { shape: vec![count / columns, columns], fortran_order: false, values }
}

fn ends(lengths: impl Iterator<Item = usize>) -> NpyArray {
    let mut end = 0;
    NpyArray::vector(NpyValues::I64(
        lengths
            .map(|length| {
                end += length as i64;
                end
            })
            .collect(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_is_its_points_in_order_and_its_edges() {
        let square = ripsaw::CondensedDistances::from_condensed(vec![1., 2., 1., 1., 2., 1.], 4).unwrap();
        let found =
            ripsaw::generators_of_distances(&square, &ripsaw::Options::default(), &ripsaw::GeneratorOptions::default());
        let arrays = generator_arrays(&found.unwrap());
        let whole = |name: &str| match &arrays[name].values {
            NpyValues::I64(values) => (arrays[name].shape.clone(), values.clone()),
            other => panic!("{name} holds {}", other.kind()),
        };
        assert_eq!(whole("gens_1_loops"), (vec![4], vec![0, 1, 2, 3]));
        assert_eq!(whole("gens_1_loop_ends"), (vec![1], vec![4]));
        assert_eq!(whole("gens_1_cycles"), (vec![4, 2], vec![0, 1, 0, 3, 1, 2, 2, 3]));
        assert_eq!(whole("gens_1_cycle_ends"), (vec![1], vec![4]));
        assert_eq!(whole("gens_1_death").0, [1, 3]);
        assert_eq!(arrays["gens_1_bars"].values, NpyValues::F64(vec![1.0, 2.0]));
        // Three components die.
        assert_eq!(whole("gens_0_birth").0, [3, 1]);
        assert!(!arrays.keys().any(|name| name.starts_with("gens_2")));
    }
}
