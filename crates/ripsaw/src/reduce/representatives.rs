//! Cycles that represent bars.
//!
//! The pairs of a birth and a death come from cohomology, as for the diagrams. Cycles come from homology: the boundary of
//! a death, reduced by the boundaries of older deaths until its youngest simplex is the birth, is a cycle that appears
//! with the birth and becomes a boundary with the death. Only the deaths that some asked-for cycle meets are reduced
//! (`cufar2021`), which the pairs make possible. Invariant: which cycle is given depends on the complex alone.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Range;

use crate::error::Error;
use crate::filtration::{Cofacets, Complex, Key, Packing};
use crate::memory::{Ledger, with_room};
use crate::options::{Options, Shortcuts};
use crate::parallel::Progress;
use crate::reduce::apparent::ApparentPairs;
use crate::reduce::assemble::assemble_columns;
use crate::reduce::components::merge_components;
use crate::reduce::pivots::Pivots;
use crate::reduce::reduction::reduce;

/// Which bars of one dimension are wanted: the longest, of at least so long.
#[derive(Clone, Copy)]
pub(crate) struct Wanted {
    pub(crate) count_max: usize,
    pub(crate) length_min: f64,
}

/// Holds a bar and its cycle in vertices of the complex. A simplex begins with the ends of its youngest edge.
pub(crate) struct Representative {
    pub(crate) birth: f32,
    pub(crate) death: f32,
    pub(crate) birth_simplex: Vec<usize>,
    pub(crate) death_simplex: Vec<usize>,
    pub(crate) cycle: Vec<Vec<usize>>,
}

/// Returns the wanted bars of dimensions 0 to the largest asked for, with a cycle for each, longest first.
pub(crate) fn representatives(
    complex: &Complex,
    options: &Options,
    wanted: Wanted,
    ledger: &Ledger,
    progress: &mut Progress<'_>,
) -> Result<Vec<Vec<Representative>>, Error> {
    if Packing::new(complex).is_narrow(options.max_dimension) {
        representatives_by::<u64>(complex, options, wanted, ledger, progress)
    } else {
        representatives_by::<u128>(complex, options, wanted, ledger, progress)
    }
}

fn representatives_by<K: Key>(
    complex: &Complex,
    options: &Options,
    wanted: Wanted,
    ledger: &Ledger,
    progress: &mut Progress<'_>,
) -> Result<Vec<Vec<Representative>>, Error> {
    let mut found = vec![components(complex, wanted, ledger)?];
    let shortcuts = Shortcuts::default();
    let (_, mut pivots) = merge_components::<K>(complex, ledger)?;
    for dimension in 1..=options.max_dimension {
        let before = ledger.held();
        let columns = assemble_columns(complex, dimension, &pivots, shortcuts, ledger, progress)?;
        let (_, next) = reduce(complex, dimension, &columns, &pivots, shortcuts, ledger, progress)?;
        let next = next.into_pivots(ledger)?;
        let mut homology = Homology::new(complex, dimension, next.pairs(&columns, ledger)?, ledger)?;
        drop(columns);
        let (cycles, bytes) = homology.represent(wanted)?;
        drop(homology);
        found.push(cycles);
        pivots = next;
        // Only the pivots and the cycles stay.
        ledger.give_back(ledger.held() - before);
        ledger.take(pivots.bytes().saturating_add(bytes))?;
    }
    Ok(found)
}

/// Returns the wanted bars of dimension 0: each ends with the edge that joins two components.
///
/// The component whose first vertex is larger ends, as if vertices came in their order; its cycle is both first vertices.
fn components(complex: &Complex, wanted: Wanted, ledger: &Ledger) -> Result<Vec<Representative>, Error> {
    // The first vertex of a component is the root of its tree.
    let mut parents: Vec<usize> = (0..complex.point_count()).collect();
    let mut root = move |mut vertex: usize, under: Option<usize>| {
        while parents[vertex] != vertex {
            parents[vertex] = parents[parents[vertex]];
            vertex = parents[vertex];
        }
        parents[vertex] = under.unwrap_or(vertex);
        vertex
    };
    let mut found = Vec::new();
    for edge in complex.edges() {
        let [u, v] = edge.ends().map(|vertex| root(vertex, None));
        if u == v {
            continue;
        }
        let (elder, younger) = (u.min(v), u.max(v));
        root(younger, Some(elder));
        let length = edge.length();
        if length > 0.0 && f64::from(length) >= wanted.length_min {
            ledger.take(representative_bytes(0, 2))?;
            found.push(Representative {
                birth: 0.0,
                death: length,
                birth_simplex: vec![younger],
                death_simplex: edge.ends().to_vec(),
                cycle: vec![vec![elder], vec![younger]],
            });
        }
    }
    // The last to be joined are the longest; of equal ones the first joined comes first.
    found.sort_by(|a, b| b.death.total_cmp(&a.death));
    found.truncate(wanted.count_max);
    Ok(found)
}

/// The bytes of a cycle of so many simplices, and of its birth and death.
fn representative_bytes(dimension: usize, simplex_count: usize) -> u64 {
    let simplex = size_of::<Vec<usize>>() + (dimension + 1) * size_of::<usize>();
    (size_of::<Representative>() + (simplex_count + 3) * simplex) as u64
}

/// Reduces boundaries of the simplices that end the bars of one dimension.
struct Homology<'a, K> {
    complex: &'a Complex,
    dimension: usize,
    packing: Packing<'a>,
    cofacets: Cofacets<'a>,
    apparent: ApparentPairs<'a>,
    /// Births and deaths that no apparent pair settles.
    pairs: Vec<(K, K)>,
    /// For each birth the place of its pair.
    places: Pivots<K>,
    /// For each pair where its reduced column stands, once it is there; nothing stands at an empty range.
    spans: Vec<Range<usize>>,
    entries: Vec<K>,
    ledger: &'a Ledger,
}

impl<'a, K: Key> Homology<'a, K> {
    fn new(complex: &'a Complex, dimension: usize, pairs: Vec<(K, K)>, ledger: &'a Ledger) -> Result<Self, Error> {
        let mut places = Pivots::new();
        for (place, &(birth, _)) in pairs.iter().enumerate() {
            places.insert(birth, place as u32, ledger)?;
        }
        ledger.take((pairs.len() * size_of::<Range<usize>>()) as u64)?;
        let mut spans = with_room(pairs.len())?;
        spans.resize(pairs.len(), 0..0);
        Ok(Self {
            complex,
            dimension,
            packing: Packing::new(complex),
            cofacets: Cofacets::new(complex),
            apparent: ApparentPairs::new(complex),
            pairs,
            places,
            spans,
            entries: Vec::new(),
            ledger,
        })
    }

    /// Returns the wanted bars with a cycle for each, and how many bytes these take.
    fn represent(&mut self, wanted: Wanted) -> Result<(Vec<Representative>, u64), Error> {
        let mut chosen = Vec::new();
        for (place, &(birth, death)) in self.pairs.iter().enumerate() {
            let (birth, death) = (self.diameter(birth, 1), self.diameter(death, 0));
            let length = f64::from(death) - f64::from(birth);
            if length > 0.0 && length >= wanted.length_min {
                self.ledger.reserve(&mut chosen, 1)?;
                chosen.push((place, length));
            }
        }
        let pairs = &self.pairs;
        chosen.sort_unstable_by(|(p, a), (q, b)| b.total_cmp(a).then_with(|| pairs[*p].cmp(&pairs[*q])));
        chosen.truncate(wanted.count_max);
        let (mut found, mut bytes) = (Vec::new(), 0);
        for (place, _) in chosen {
            self.reduce(place)?;
            let (birth, death) = self.pairs[place];
            let cycle = match self.shortest_loop(place)? {
                Some(shortest) => shortest,
                None => self.entries[self.spans[place].clone()].to_vec(),
            };
            let needed = representative_bytes(self.dimension, cycle.len());
            self.ledger.take(needed)?;
            bytes += needed;
            found.push(Representative {
                birth: self.diameter(birth, 1),
                death: self.diameter(death, 0),
                birth_simplex: self.vertices(birth, 1),
                death_simplex: self.vertices(death, 0),
                cycle: cycle.iter().map(|&simplex| self.vertices(simplex, 1)).collect(),
            });
        }
        Ok((found, bytes))
    }

    /// Returns the edge of a birth and a shortest path of older edges between its ends, if that represents the bar.
    ///
    /// It appears with the birth. It becomes a boundary with the death, like the reduced column, if the boundaries of
    /// older deaths make up their difference.
    fn shortest_loop(&mut self, place: usize) -> Result<Option<Vec<K>>, Error> {
        if self.dimension != 1 {
            return Ok(None);
        }
        let (birth, death) = self.pairs[place];
        let Some(mut edges) = shortest_path(self.complex, birth.rank(0)) else { return Ok(None) };
        edges.push(birth.rank(0));
        let no_rest = self.packing.pack::<K>(&[]);
        let edges: Vec<K> = edges.into_iter().map(|rank| K::join(rank, no_rest, 0)).collect();
        let mut column = Column::new();
        let span = self.spans[place].clone();
        column.reserve(span.len() + edges.len(), self.ledger)?;
        self.entries[span].iter().chain(&edges).for_each(|&edge| column.push(edge));
        while let Some(youngest) = column.youngest() {
            if let Some(other) = self.places.column_of(youngest) {
                let other = other as usize;
                if self.pairs[other].1 >= death {
                    break;
                }
                self.reduce(other)?;
                let span = self.spans[other].clone();
                column.reserve(span.len(), self.ledger)?;
                self.entries[span].iter().for_each(|&edge| column.push(edge));
            } else if let Some(older) = self.apparent_cofacet(youngest) {
                self.add_boundary(older, &mut column)?;
            } else {
                break;
            }
        }
        self.ledger.give_back(column.bytes());
        Ok(column.youngest().is_none().then_some(edges))
    }

    /// Reduces the column of one pair, and before it those it meets.
    fn reduce(&mut self, place: usize) -> Result<(), Error> {
        if !self.spans[place].is_empty() {
            return Ok(());
        }
        let mut open = vec![self.begin(place)?];
        while let Some((place, column)) = open.last_mut() {
            let Some(youngest) = column.youngest() else {
                unreachable!("the boundary of a death is not a sum of boundaries of older ones");
            };
            if youngest == self.pairs[*place].0 {
                let start = self.entries.len();
                while let Some(entry) = column.take_youngest() {
                    self.ledger.reserve(&mut self.entries, 1)?;
                    self.entries.push(entry);
                }
                self.spans[*place] = start..self.entries.len();
                self.ledger.give_back(column.bytes());
                open.pop();
            } else if let Some(next) = self.places.column_of(youngest) {
                let next = next as usize;
                let span = self.spans[next].clone();
                if span.is_empty() {
                    let column = self.begin(next)?;
                    open.push(column);
                } else {
                    column.reserve(span.len(), self.ledger)?;
                    self.entries[span].iter().for_each(|&entry| column.push(entry));
                }
            } else if let Some(death) = self.apparent_cofacet(youngest) {
                self.add_boundary(death, column)?;
            } else {
                unreachable!("a birth that an older death leaves is paired");
            }
        }
        Ok(())
    }

    /// Starts the column of a pair with the boundary of its death.
    fn begin(&mut self, place: usize) -> Result<(usize, Column<K>), Error> {
        let mut column = Column::new();
        self.add_boundary(self.pairs[place].1, &mut column)?;
        Ok((place, column))
    }

    /// Returns the death of a birth that is not among the pairs, if it has one.
    fn apparent_cofacet(&mut self, birth: K) -> Option<K> {
        self.cofacets.start(birth, self.dimension - 1);
        let death = self.cofacets.first_of_equal_rank(false)?;
        (self.apparent.facet_of(death, self.dimension) == Some(birth)).then_some(death)
    }

    /// Adds all facets of a death.
    fn add_boundary(&mut self, death: K, column: &mut Column<K>) -> Result<(), Error> {
        let mut vertices = self.vertices(death, 0);
        vertices.sort_unstable_by_key(|&vertex| Reverse(vertex));
        column.reserve(vertices.len(), self.ledger)?;
        let mut facet = Vec::with_capacity(vertices.len());
        for left_out in 0..vertices.len() {
            facet.clear();
            facet.extend_from_slice(&vertices[..left_out]);
            facet.extend_from_slice(&vertices[left_out + 1..]);
            column.push(key(self.complex, &self.packing, &mut facet));
        }
        Ok(())
    }

    /// Returns how many vertices a simplex has besides its youngest edge, for a death or what is `below` it.
    fn rest_count(&self, below: usize) -> usize {
        self.dimension - below
    }

    fn diameter(&self, simplex: K, below: usize) -> f32 {
        self.complex.diameter(simplex.rank(self.packing.shift(self.rest_count(below))))
    }

    fn vertices(&self, simplex: K, below: usize) -> Vec<usize> {
        let mut vertices = Vec::new();
        self.packing.write_vertices(simplex, self.rest_count(below), &mut vertices);
        vertices
    }
}

/// Returns the ranks of the edges along a shortest path between the ends of an edge, of edges of smaller rank (Dijkstra).
fn shortest_path(complex: &Complex, rank: u32) -> Option<Vec<u32>> {
    let [from, to] = complex.edges()[rank as usize].ends();
    let mut lengths = vec![f64::INFINITY; complex.point_count()];
    let mut last = vec![from; complex.point_count()];
    let mut open: Vec<usize> = (0..complex.point_count()).collect();
    lengths[from] = 0.0;
    loop {
        let nearest = (0..open.len()).min_by(|&i, &j| lengths[open[i]].total_cmp(&lengths[open[j]]))?;
        let vertex = open.swap_remove(nearest);
        if lengths[vertex] == f64::INFINITY {
            return None;
        }
        if vertex == to {
            break;
        }
        let ranks = complex.ranks_from(vertex);
        for &next in open.iter().filter(|&&next| ranks[next] < rank) {
            let length = lengths[vertex] + f64::from(complex.diameter(ranks[next]));
            if length < lengths[next] {
                (lengths[next], last[next]) = (length, vertex);
            }
        }
    }
    let steps = std::iter::successors(Some(to), |&vertex| Some(last[vertex]));
    let path = steps.take_while(|&vertex| vertex != from);
    Some(path.map(|vertex| complex.ranks_from(vertex)[last[vertex]]).collect())
}

/// Returns the key of a simplex of vertices in falling order, of which the ends of the youngest edge are taken out.
fn key<K: Key>(complex: &Complex, packing: &Packing<'_>, vertices: &mut Vec<usize>) -> K {
    let (mut rank, mut ends) = (0, [0, 1]);
    for i in 0..vertices.len() {
        for j in i + 1..vertices.len() {
            let other = complex.ranks_from(vertices[i])[vertices[j]];
            if other >= rank {
                (rank, ends) = (other, [i, j]);
            }
        }
    }
    vertices.remove(ends[1]);
    vertices.remove(ends[0]);
    K::join(rank, packing.pack::<K>(vertices), packing.shift(vertices.len()))
}

/// Holds a sum of boundaries modulo 2, as a heap in which equal entries cancel when they come to the top.
struct Column<K> {
    heap: BinaryHeap<K>,
}

impl<K: Key> Column<K> {
    fn new() -> Self {
        Self { heap: BinaryHeap::new() }
    }

    fn reserve(&mut self, additional: usize, ledger: &Ledger) -> Result<(), Error> {
        let (len, capacity) = (self.heap.len(), self.heap.capacity());
        if capacity - len >= additional {
            return Ok(());
        }
        ledger.grow(len, capacity, additional, size_of::<K>(), |extra| self.heap.try_reserve_exact(extra))
    }

    fn bytes(&self) -> u64 {
        (self.heap.capacity() * size_of::<K>()) as u64
    }

    fn push(&mut self, simplex: K) {
        self.heap.push(simplex);
    }

    /// Takes out the youngest entry.
    fn take_youngest(&mut self) -> Option<K> {
        let mut top = self.heap.pop()?;
        while self.heap.peek() == Some(&top) {
            self.heap.pop();
            top = self.heap.pop()?;
        }
        Some(top)
    }

    /// Returns the youngest entry, which stays in.
    fn youngest(&mut self) -> Option<K> {
        let top = self.take_youngest()?;
        self.heap.push(top);
        Some(top)
    }
}
