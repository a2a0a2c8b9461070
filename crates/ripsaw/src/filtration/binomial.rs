//! Binomial coefficients, and the numbering of simplices by them.

use crate::error::Error;

/// Holds C(v, k) for all `v` up to the number of points and all `k` up to the largest number of vertices.
///
/// A simplex with vertices `v_0 > v_1 > … > v_d` has index C(v_0, d + 1) + C(v_1, d) + … + C(v_d, 1): among simplices
/// of one dimension, a larger index means larger vertices from the front.
#[derive(Clone, Debug)]
pub(crate) struct Binomials {
    /// Row `k` holds C(0, k), C(1, k), …, C(n, k).
    rows: Vec<Vec<u64>>,
}

impl Binomials {
    /// Tabulates what `point_count` points and simplices of up to `vertex_count` vertices need.
    ///
    /// # Errors
    ///
    /// [`Error::IndexOverflow`], with the lowest dimension whose simplices cannot be numbered in 64 bits.
    pub(crate) fn new(point_count: usize, vertex_count: usize) -> Result<Self, Error> {
        let mut rows = vec![vec![1; point_count + 1]];
        for k in 1..=vertex_count {
            let mut row = vec![0; point_count + 1];
            for v in 1..=point_count {
                let sum = u64::checked_add(row[v - 1], rows[k - 1][v - 1]);
                row[v] = sum.ok_or(Error::IndexOverflow { point_count, dimension: k - 1 })?;
            }
            rows.push(row);
        }
        Ok(Self { rows })
    }

    /// Returns C(v, k).
    #[inline]
    pub(crate) fn choose(&self, v: usize, k: usize) -> u64 {
        self.rows[k][v]
    }

    /// Appends the vertices of the simplex with this index and number of vertices, in falling order.
    #[inline]
    pub(crate) fn push_vertices(&self, mut index: u64, vertex_count: usize, vertices: &mut Vec<usize>) {
        let mut bound = self.rows[0].len();
        for k in (1..=vertex_count).rev() {
            // The largest v with C(v, k) <= index; the next vertex is smaller.
            let v = self.rows[k][..bound].partition_point(|&binomial| binomial <= index) - 1;
            index -= self.rows[k][v];
            bound = v;
            vertices.push(v);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indices_number_the_simplices_without_gaps() {
        let binomials = Binomials::new(9, 5).unwrap();
        let mut vertices = Vec::new();
        for vertex_count in 1..=5 {
            let mut last = Vec::new();
            for index in 0..binomials.choose(9, vertex_count) {
                vertices.clear();
                binomials.push_vertices(index, vertex_count, &mut vertices);
                assert!(vertices.is_sorted_by(|a, b| a > b) && vertices > last);
                let places = (1..=vertex_count).rev();
                assert_eq!(vertices.iter().zip(places).map(|(&v, k)| binomials.choose(v, k)).sum::<u64>(), index);
                last.clone_from(&vertices);
            }
        }
    }

    #[test]
    fn an_overflow_names_the_lowest_dimension() {
        // C(67, 33) is 1.4e19, below 2^64; C(68, 33) is 2.8e19, above.
        assert!(Binomials::new(67, 68).is_ok());
        assert_eq!(Binomials::new(68, 68).unwrap_err(), Error::IndexOverflow { point_count: 68, dimension: 30 });
        assert!(Binomials::new(5_000, 5).is_ok());
        assert_eq!(Binomials::new(5_000, 9).unwrap_err(), Error::IndexOverflow { point_count: 5_000, dimension: 5 });
    }
}
