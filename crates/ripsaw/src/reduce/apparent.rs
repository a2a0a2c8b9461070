//! Apparent pairs: births and deaths that can be read off one simplex.

use crate::filtration::{Cofacets, Complex, Simplex};

/// Finds apparent pairs of equal diameter.
///
/// A simplex and a cofacet are such a pair when the cofacet is the oldest cofacet of the simplex, the simplex the
/// youngest facet of the cofacet, and their diameters are equal. They are then a pair of persistent cohomology, with a
/// bar of length zero, and the column of the simplex is reduced from the start (`bauer2021`). Vertices and edges are
/// never reported as a pair: components are merged elsewhere.
pub(crate) struct ApparentPairs<'a> {
    complex: &'a Complex,
    cofacets: Cofacets<'a>,
    vertices: Vec<usize>,
    facet: Vec<usize>,
}

impl<'a> ApparentPairs<'a> {
    pub(crate) fn new(complex: &'a Complex) -> Self {
        Self { complex, cofacets: Cofacets::new(complex), vertices: Vec::new(), facet: Vec::new() }
    }

    /// Tells whether a simplex forms an apparent pair with a cofacet; `vertices` are its own, in falling order.
    pub(crate) fn has_cofacet(&mut self, simplex: Simplex, vertices: &[usize]) -> bool {
        self.cofacets.start_at(simplex, vertices);
        let Some((_, added)) = self.cofacets.first_of_equal_diameter() else {
            return false;
        };
        let place = vertices.partition_point(|&v| v > added);
        self.vertices.clear();
        self.vertices.extend_from_slice(&vertices[..place]);
        self.vertices.push(added);
        self.vertices.extend_from_slice(&vertices[place..]);
        let youngest =
            self.complex.youngest_facet_of_equal_diameter(simplex.diameter(), &self.vertices, &mut self.facet);
        youngest == Some(simplex)
    }

    /// Returns the facet with which a simplex of so many vertices forms an apparent pair.
    pub(crate) fn facet_of(&mut self, simplex: Simplex, vertex_count: usize) -> Option<Simplex> {
        self.complex.binomials().write_vertices(simplex.index(), vertex_count, &mut self.vertices);
        let youngest =
            self.complex.youngest_facet_of_equal_diameter(simplex.diameter(), &self.vertices, &mut self.facet)?;
        self.cofacets.start_at(youngest, &self.facet);
        let (oldest, _) = self.cofacets.first_of_equal_diameter()?;
        (oldest == simplex).then_some(youngest)
    }
}
