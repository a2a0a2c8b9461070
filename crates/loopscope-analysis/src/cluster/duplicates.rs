//! Rows and the vertices they stand on.
//!
//! Invariant: vertices are numbered by their first row, ascending, and every row has exactly one vertex.

use std::cmp::Ordering;

use super::{Duplicates, Vectors};

/// The distinct points that a tree is built on, and which rows stand on each.
pub(super) struct Vertices<'a> {
    vectors: Vectors<'a>,
    first_row: Vec<usize>,
    multiplicity: Vec<usize>,
    vertex_of_row: Vec<usize>,
}

impl<'a> Vertices<'a> {
    /// Makes one vertex per distinct row, or per row. Minus zero equals zero. O(n log n) comparisons of rows.
    pub(super) fn new(vectors: Vectors<'a>, duplicates: Duplicates) -> Self {
        let first_of_row = match duplicates {
            Duplicates::Keep => (0..vectors.row_count()).collect(),
            Duplicates::Merge => first_equal_rows(&vectors),
        };
        let mut vertices = Self { vectors, first_row: vec![], multiplicity: vec![], vertex_of_row: vec![] };
        for (row, &first) in first_of_row.iter().enumerate() {
            if first == row {
                vertices.vertex_of_row.push(vertices.first_row.len());
                vertices.first_row.push(row);
                vertices.multiplicity.push(1);
            } else {
                let vertex = vertices.vertex_of_row[first];
                vertices.vertex_of_row.push(vertex);
                vertices.multiplicity[vertex] += 1;
            }
        }
        vertices
    }

    pub(super) fn len(&self) -> usize {
        self.first_row.len()
    }

    pub(super) fn point(&self, vertex: usize) -> &'a [f32] {
        self.vectors.row(self.first_row[vertex])
    }

    /// For each vertex its first row, ascending.
    pub(super) fn first_rows(&self) -> &[usize] {
        &self.first_row
    }

    pub(super) fn vectors(&self) -> &Vectors<'a> {
        &self.vectors
    }

    /// How many rows stand on each vertex; at least 1.
    pub(super) fn multiplicity(&self) -> &[usize] {
        &self.multiplicity
    }

    pub(super) fn vertex_of_row(&self) -> &[usize] {
        &self.vertex_of_row
    }
}

/// For each row the first row that equals it.
fn first_equal_rows(vectors: &Vectors<'_>) -> Vec<usize> {
    let by_value = |&a: &usize, &b: &usize| {
        // Rows are finite, so they are always comparable.
        vectors.row(a).partial_cmp(vectors.row(b)).unwrap_or(Ordering::Equal)
    };
    let mut rows: Vec<usize> = (0..vectors.row_count()).collect();
    rows.sort_by(by_value); // Stable: equal rows stay in ascending order.
    let mut first_of_row = vec![0; rows.len()];
    for equal in rows.chunk_by(|a, b| by_value(a, b).is_eq()) {
        for &row in equal {
            first_of_row[row] = equal[0];
        }
    }
    first_of_row
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_rows_are_one_vertex_with_a_multiplicity() {
        let values = [3., 0., 1., 1., 3., -0., 2., 2., 1., 1., 3., 0.];
        let vectors = Vectors::new(&values, 6, 2).unwrap();
        let merged = Vertices::new(vectors, Duplicates::Merge);
        assert_eq!(merged.vertex_of_row, [0, 1, 0, 2, 1, 0]);
        assert_eq!(merged.multiplicity, [3, 2, 1]);
        assert_eq!(merged.first_row, [0, 1, 3]);
        let kept = Vertices::new(vectors, Duplicates::Keep);
        assert_eq!(kept.vertex_of_row, [0, 1, 2, 3, 4, 5]);
        assert_eq!(kept.multiplicity, [1; 6]);
    }
}
