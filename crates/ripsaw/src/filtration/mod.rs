//! The Vietoris–Rips filtration: simplices, their order, and the way from one to its facets and cofacets.
//!
//! A simplex is named by its place in the combinatorial number system and enters at its diameter. Nothing here stores
//! simplices above dimension 1; they are enumerated from the graph of the edges within the threshold. Invariant: all
//! enumerations run through rising vertex sets by falling index, which is what the shortcuts of the reduction rest on.

mod binomial;
mod cliques;
mod cofacets;
mod complex;
mod duplicates;
mod simplex;

pub(crate) use binomial::Binomials;
pub(crate) use cliques::for_each_simplex;
pub(crate) use cofacets::Cofacets;
pub(crate) use complex::Complex;
pub(crate) use duplicates::distinct_points;
pub(crate) use simplex::Simplex;
