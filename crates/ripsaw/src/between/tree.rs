//! A k-d tree over points of the plane.
//!
//! Boxes are compared by the same subtractions as points, and rounding is monotone, so that a search never misses a
//! point that the comparison of points would accept. What a search looks for beside distance (who is left, which dual is
//! largest) is kept outside, one value a node.

use super::ground::Point;

/// Points in a leaf, at most.
const LEAF: usize = 8;

/// Holds points in boxes, each with its bounds.
pub(super) struct Tree {
    nodes: Vec<Node>,
    /// The points, those of a node side by side.
    entries: Vec<(Point, u32)>,
}

/// A box: its first half is the next node, its second half is named; a leaf has none.
struct Node {
    start: usize,
    end: usize,
    second: Option<usize>,
    low: Point,
    high: Point,
}

impl Tree {
    /// Builds the tree of the points with these indices. Takes O(n log² n) time.
    pub(super) fn new(points: &[Point], indices: impl Iterator<Item = u32>) -> Self {
        let entries: Vec<(Point, u32)> = indices.map(|index| (points[index as usize], index)).collect();
        let mut tree = Self { nodes: Vec::with_capacity(entries.len() / 2), entries };
        if !tree.entries.is_empty() {
            tree.split(0, tree.entries.len());
        }
        tree
    }

    fn split(&mut self, start: usize, end: usize) {
        let (low, high) = bounds(&self.entries[start..end]);
        let place = self.nodes.len();
        self.nodes.push(Node { start, end, second: None, low, high });
        if end - start <= LEAF {
            return;
        }
        let middle = start + (end - start) / 2;
        let by_birth = high.birth - low.birth >= high.death - low.death;
        self.entries[start..end].select_nth_unstable_by(middle - start, |(a, _), (b, _)| {
            if by_birth { a.birth.total_cmp(&b.birth) } else { a.death.total_cmp(&b.death) }
        });
        self.split(start, middle);
        self.nodes[place].second = Some(self.nodes.len());
        self.split(middle, end);
    }

    /// Returns for each node the largest of the values of its points.
    pub(super) fn largest(&self, values: &[f64]) -> Vec<f64> {
        let mut largest = vec![f64::NEG_INFINITY; self.nodes.len()];
        for (place, node) in self.nodes.iter().enumerate().rev() {
            largest[place] = match node.second {
                Some(second) => largest[place + 1].max(largest[second]),
                None => {
                    let entries = &self.entries[node.start..node.end];
                    entries.iter().map(|&(_, index)| values[index as usize]).fold(f64::NEG_INFINITY, f64::max)
                }
            };
        }
        largest
    }

    /// Visits every point of every leaf whose boxes `enter` lets pass, given the place of the box and how far it lies off
    /// in birth and in death.
    pub(super) fn visit(
        &self,
        point: Point,
        enter: impl Fn(usize, f64, f64) -> bool,
        mut found: impl FnMut(Point, u32),
    ) {
        let mut open = Vec::with_capacity(32);
        open.extend((!self.nodes.is_empty()).then_some(0));
        while let Some(place) = open.pop() {
            let node = &self.nodes[place];
            let (across, up) = node.gap(point);
            if !enter(place, across, up) {
                continue;
            }
            match node.second {
                Some(second) => open.extend([second, place + 1]),
                None => self.entries[node.start..node.end].iter().for_each(|&(other, index)| found(other, index)),
            }
        }
    }
}

impl Node {
    /// How far a point lies outside the box, in birth and in death.
    fn gap(&self, point: Point) -> (f64, f64) {
        let outside = |value: f64, low: f64, high: f64| (low - value).max(value - high).max(0.0);
        (outside(point.birth, self.low.birth, self.high.birth), outside(point.death, self.low.death, self.high.death))
    }
}

fn bounds(entries: &[(Point, u32)]) -> (Point, Point) {
    let first = entries[0].0;
    entries.iter().fold((first, first), |(low, high), (point, _)| {
        (
            Point { birth: low.birth.min(point.birth), death: low.death.min(point.death) },
            Point { birth: high.birth.max(point.birth), death: high.death.max(point.death) },
        )
    })
}

/// Hands out the points of a tree, each once.
pub(super) struct Remaining {
    tree: Tree,
    /// Points left in each node.
    counts: Vec<usize>,
    is_left: Vec<bool>,
}

impl Remaining {
    pub(super) fn new(tree: Tree) -> Self {
        let is_left = vec![true; tree.entries.len()];
        let mut remaining = Self { counts: Vec::new(), is_left, tree };
        remaining.put_back_all();
        remaining
    }

    pub(super) fn put_back_all(&mut self) {
        self.counts.clear();
        self.counts.extend(self.tree.nodes.iter().map(|node| node.end - node.start));
        self.is_left.fill(true);
    }

    /// Returns the L∞ distance to the nearest point that is left, or this one where all lie farther.
    pub(super) fn nearest_within(&self, point: Point, distance: f64) -> f64 {
        if self.counts.is_empty() { distance } else { self.nearest(0, point, distance) }
    }

    fn nearest(&self, place: usize, point: Point, distance: f64) -> f64 {
        let node = &self.tree.nodes[place];
        let (across, up) = node.gap(point);
        if self.counts[place] == 0 || across.max(up) >= distance {
            return distance;
        }
        match node.second {
            Some(second) => self.nearest(second, point, self.nearest(place + 1, point, distance)),
            None => {
                let slots = (node.start..node.end).filter(|&slot| self.is_left[slot]);
                slots.map(|slot| self.tree.entries[slot].0.distance(point)).fold(distance, f64::min)
            }
        }
    }

    /// Takes out a point within this L∞ distance, if one is left.
    pub(super) fn take_within(&mut self, point: Point, distance: f64) -> Option<u32> {
        if self.counts.is_empty() { None } else { self.take(0, point, distance) }
    }

    fn take(&mut self, place: usize, point: Point, distance: f64) -> Option<u32> {
        let node = &self.tree.nodes[place];
        let (across, up) = node.gap(point);
        if self.counts[place] == 0 || across.max(up) > distance {
            return None;
        }
        let taken = match node.second {
            Some(second) => self.take(place + 1, point, distance).or_else(|| self.take(second, point, distance)),
            None => {
                let mut slots = node.start..node.end;
                let slot =
                    slots.find(|&slot| self.is_left[slot] && self.tree.entries[slot].0.distance(point) <= distance)?;
                self.is_left[slot] = false;
                Some(self.tree.entries[slot].1)
            }
        };
        self.counts[place] -= usize::from(taken.is_some());
        taken
    }
}
