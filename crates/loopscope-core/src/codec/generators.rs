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

use super::diagram::{Bar, Diagram};
use super::npy::{NpyArray, NpyValues, shape_text};

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

/// The parts of which each member is named, with the type of the numbers and the columns above the dimension.
const POINTS: [(&str, usize); 3] = [("birth", 1), ("death", 2), ("cycles", 1)];

/// Checks the generators that we write: members that agree, points among so many, and bars that the diagram has.
///
/// Members of older files, which have other names, are not looked at.
///
/// # Errors
///
/// What is wrong with the first that is, naming the member.
pub fn check_generators(diagram: &Diagram, point_count: usize) -> Result<(), String> {
    for (dimension, bars) in diagram.dgms.iter().enumerate() {
        if let Some(stored) = diagram.gens.get(&format!("gens_{dimension}_bars")) {
            check_dimension(diagram, dimension, bars, stored, point_count)?;
        }
    }
    let beyond = format!("gens_{}_bars", diagram.dgms.len());
    if diagram.gens.contains_key(&beyond) {
        Err(format!("{beyond} is of no dimension that the diagram has"))
    } else {
        Ok(())
    }
}

fn check_dimension(
    diagram: &Diagram,
    dimension: usize,
    bars: &[Bar],
    stored: &NpyArray,
    point_count: usize,
) -> Result<(), String> {
    let name = |part: &str| format!("gens_{dimension}_{part}");
    let (NpyValues::F64(numbers), [count, 2]) = (&stored.values, &stored.shape[..]) else {
        return Err(format!("{} must be float64 of shape (m, 2)", name("bars")));
    };
    let is_bar = |pair: &[f64; 2]| bars.iter().any(|bar| bar.birth == pair[0] && bar.death == pair[1]);
    if let Some(index) = numbers.as_chunks::<2>().0.iter().position(|pair| !is_bar(pair)) {
        return Err(format!("bar {index} of {} is none of the diagram", name("bars")));
    }
    let cycle_ends = check_ends(diagram, &name("cycle_ends"), *count)?;
    for (part, extra) in POINTS {
        let rows = if part == "cycles" { cycle_ends } else { *count };
        check_points(diagram, &name(part), &[rows, dimension + extra], point_count)?;
    }
    if dimension == 1 {
        let loop_ends = check_ends(diagram, &name("loop_ends"), *count)?;
        check_points(diagram, &name("loops"), &[loop_ends], point_count)?;
    }
    Ok(())
}

/// Returns where the last ends.
fn check_ends(diagram: &Diagram, name: &str, count: usize) -> Result<usize, String> {
    let ends = whole(diagram, name)?;
    if ends.len() != count || ends.first().is_some_and(|&first| first < 0) || !ends.is_sorted() {
        return Err(format!("{name} must hold {count} rising numbers from 0"));
    }
    usize::try_from(ends.last().copied().unwrap_or(0)).map_err(|_| format!("{name} must hold numbers from 0"))
}

fn check_points(diagram: &Diagram, name: &str, shape: &[usize], point_count: usize) -> Result<(), String> {
    let points = whole(diagram, name)?;
    if diagram.gens[name].shape != shape {
        let (expected, got) = (shape_text(shape), shape_text(&diagram.gens[name].shape));
        return Err(format!("{name} must have the shape {expected}, got {got}"));
    }
    match points.iter().find(|&&point| !usize::try_from(point).is_ok_and(|point| point < point_count)) {
        Some(point) => Err(format!("{name} names point {point} of {point_count}")),
        None => Ok(()),
    }
}

fn whole<'a>(diagram: &'a Diagram, name: &str) -> Result<&'a [i64], String> {
    match diagram.gens.get(name) {
        Some(NpyArray { values: NpyValues::I64(values), fortran_order: false, .. }) => Ok(values),
        Some(other) => Err(format!("{name} must hold whole numbers in C order, got {}", other.values.kind())),
        None => Err(format!("{name} is missing")),
    }
}

/// Returns the longest bar of dimension 1 that dies and has its generator stored, with the points of its loop: in order
/// where the cycle is a simple loop, else sorted.
#[must_use]
pub fn longest_loop(diagram: &Diagram) -> Option<(Bar, Vec<usize>)> {
    let NpyValues::F64(bars) = &diagram.gens.get("gens_1_bars")?.values else { return None };
    let &[birth, death] = bars.first_chunk()?;
    let first = |points: &str, ends: &str, columns: usize| {
        let end = usize::try_from(*whole(diagram, ends).ok()?.first()?).ok()?;
        let points = whole(diagram, points).ok()?.get(..columns * end)?;
        points.iter().map(|&point| usize::try_from(point).ok()).collect::<Option<Vec<usize>>>()
    };
    let mut points = first("gens_1_loops", "gens_1_loop_ends", 1)?;
    if points.is_empty() {
        points = first("gens_1_cycles", "gens_1_cycle_ends", 2)?;
        points.sort_unstable();
        points.dedup();
    }
    Some((Bar { birth, death }, points))
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

    fn square() -> Diagram {
        let square = ripsaw::CondensedDistances::from_condensed(vec![1., 2., 1., 1., 2., 1.], 4).unwrap();
        let options = ripsaw::Options::default();
        let found = ripsaw::generators_of_distances(&square, &options, &ripsaw::GeneratorOptions::default()).unwrap();
        let bars = ripsaw::persistence_of_distances(&square, &options).unwrap().diagrams;
        let bar = |bar: ripsaw::Bar| Bar { birth: bar.birth, death: bar.death };
        Diagram {
            dgms: bars.into_iter().map(|bars| bars.into_iter().map(bar).collect()).collect(),
            entropy: None,
            metadata: BTreeMap::new(),
            gens: generator_arrays(&found),
        }
    }

    #[test]
    fn what_is_written_is_good_and_read() {
        assert_eq!(check_generators(&square(), 4), Ok(()));
        assert_eq!(longest_loop(&square()), Some((Bar { birth: 1.0, death: 2.0 }, vec![0, 1, 2, 3])));
        let without_loops = Diagram { gens: BTreeMap::new(), ..square() };
        assert_eq!((check_generators(&without_loops, 4), longest_loop(&without_loops)), (Ok(()), None));
    }

    #[test]
    fn what_no_computation_gives_is_named() {
        let said = |change: &dyn Fn(&mut Diagram)| {
            let mut diagram = square();
            change(&mut diagram);
            check_generators(&diagram, 4).unwrap_err()
        };
        assert_eq!(check_generators(&square(), 3).unwrap_err(), "gens_0_birth names point 3 of 3");
        let removed = said(&|diagram| drop(diagram.gens.remove("gens_1_loop_ends")));
        assert_eq!(removed, "gens_1_loop_ends is missing");
        let other_bar = said(&|diagram| diagram.dgms[1][0].death = 3.0);
        assert_eq!(other_bar, "bar 0 of gens_1_bars is none of the diagram");
        let shorter = said(&|diagram| {
            diagram.gens.insert("gens_1_cycle_ends".into(), NpyArray::vector(NpyValues::I64(vec![3])));
        });
        assert_eq!(shorter, "gens_1_cycles must have the shape (3, 2), got (4, 2)");
        let negative = said(&|diagram| {
            diagram.gens.insert("gens_1_cycle_ends".into(), NpyArray::vector(NpyValues::I64(vec![-1])));
        });
        assert_eq!(negative, "gens_1_cycle_ends must hold 1 rising numbers from 0");
        let beyond = said(&|diagram| diagram.dgms.truncate(1));
        assert_eq!(beyond, "gens_1_bars is of no dimension that the diagram has");
    }
}
