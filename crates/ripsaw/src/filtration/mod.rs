//! The Vietoris–Rips filtration: simplices, their order, and the way from one to its cofacets.
//!
//! Edges are ordered by length, ties broken by their ends, and numbered in that order. A simplex is named by the number
//! of its youngest edge and by its other vertices; it enters at its diameter, the length of that edge. Nothing here
//! stores simplices above dimension 1; they are enumerated from the graph of the edges within the threshold. Invariant:
//! no two edges have one number, so that apparent pairs can be read off the vertices.

mod binomial;
mod cofacets;
mod collapse;
mod complex;
mod domination;
mod duplicates;
mod graph;
mod key;

pub(crate) use binomial::Binomials;
pub(crate) use cofacets::Cofacets;
pub(crate) use collapse::collapse;
pub(crate) use complex::Complex;
pub(crate) use duplicates::distinct_points;
pub(crate) use graph::{Edge, Graph, POINT_COUNT_MAX, flip};
pub(crate) use key::{Key, Packing};
