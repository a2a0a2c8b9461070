//! All simplices of one dimension, without a list of them.

use crate::error::Error;
use crate::filtration::{Complex, Simplex};

/// Calls `visit` for each simplex of so many vertices within the threshold, with its vertices in falling order.
///
/// Nothing is stored but one row of bits for each vertex of the simplex. The first error ends the walk.
pub(crate) fn for_each_simplex<F>(complex: &Complex, vertex_count: usize, visit: &mut F) -> Result<(), Error>
where
    F: FnMut(Simplex, &[usize]) -> Result<(), Error>,
{
    let words = complex.point_count().div_ceil(64);
    let mut walk = Walk { complex, vertex_count, vertices: Vec::new(), candidates: vec![vec![0; words]; vertex_count] };
    if vertex_count == 0 {
        return Ok(());
    }
    (0..complex.point_count()).for_each(|v| walk.candidates[0][v / 64] |= 1 << (v % 64));
    walk.extend(0.0, 0, visit)
}

struct Walk<'a> {
    complex: &'a Complex,
    vertex_count: usize,
    /// The clique so far, in falling order.
    vertices: Vec<usize>,
    /// For each size of the clique, the smaller vertices that extend it.
    candidates: Vec<Vec<u64>>,
}

impl Walk<'_> {
    /// Visits all cliques that extend the present one, whose diameter and part of the index are given.
    fn extend<F>(&mut self, diameter: f32, index: u64, visit: &mut F) -> Result<(), Error>
    where
        F: FnMut(Simplex, &[usize]) -> Result<(), Error>,
    {
        let size = self.vertices.len();
        if size == self.vertex_count {
            return visit(Simplex::new(diameter, index), &self.vertices);
        }
        for word in (0..self.candidates[size].len()).rev() {
            let mut bits = self.candidates[size][word];
            while bits != 0 {
                let bit = 63 - bits.leading_zeros() as usize;
                bits ^= 1 << bit;
                let vertex = 64 * word + bit;
                let row = self.complex.distances_from(vertex);
                let diameter = self.vertices.iter().map(|&v| row[v]).fold(diameter, f32::max);
                let index = index + self.complex.binomials().choose(vertex, self.vertex_count - size);
                self.narrow(size, vertex);
                self.vertices.push(vertex);
                self.extend(diameter, index, visit)?;
                self.vertices.pop();
            }
        }
        Ok(())
    }

    /// Keeps, for the clique with `vertex` added, the candidates that are smaller and next to it.
    fn narrow(&mut self, size: usize, vertex: usize) {
        if size + 1 == self.vertex_count {
            return;
        }
        let (wider, narrower) = self.candidates.split_at_mut(size + 1);
        let neighbours = self.complex.neighbours(vertex);
        narrower[0].fill(0);
        for word in 0..vertex / 64 {
            narrower[0][word] = wider[size][word] & neighbours[word];
        }
        let smaller = (1u64 << (vertex % 64)) - 1;
        narrower[0][vertex / 64] = wider[size][vertex / 64] & neighbours[vertex / 64] & smaller;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::distance::CondensedDistances;
    use crate::filtration::Binomials;

    #[test]
    fn every_clique_is_visited_once() {
        let count = 67;
        let values = (0..count * (count - 1) / 2).map(|k| (1 + k * k % 11) as f32).collect();
        let distances = CondensedDistances::from_condensed(values, count).unwrap();
        let chosen: Vec<usize> = (0..count).collect();
        let complex = Complex::new(&distances, &chosen, Some(4.0), Binomials::new(count, 5).unwrap()).unwrap();
        let mut vertices = Vec::new();
        for vertex_count in 1..=3 {
            let mut expected = Vec::new();
            for index in 0..complex.binomials().choose(count, vertex_count) {
                complex.binomials().write_vertices(index, vertex_count, &mut vertices);
                let lengths = vertices.iter().flat_map(|&v| vertices.iter().map(move |&w| (v, w)));
                let diameter = lengths.map(|(v, w)| complex.distances_from(v)[w]).fold(0.0, f32::max);
                if diameter <= 4.0 {
                    expected.push((Simplex::new(diameter, index), vertices.clone()));
                }
            }
            let mut found = Vec::new();
            for_each_simplex(&complex, vertex_count, &mut |simplex, vertices: &[usize]| {
                found.push((simplex, vertices.to_vec()));
                Ok(())
            })
            .unwrap();
            found.reverse();
            assert_eq!(found, expected);
        }
    }
}
