//! Which states reach each other.

use super::TransitionCounts;
use crate::linear::SquareMatrix;

/// States that all reach each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommunicatingClass {
    /// The states, ascending.
    pub states: Vec<usize>,
    /// Whether nothing leads out of it.
    pub is_closed: bool,
}

/// The states that an estimate is made on.
#[derive(Debug, Clone, PartialEq)]
pub struct ActiveSet {
    /// The states, ascending.
    pub states: Vec<usize>,
    /// The share of all counts that lie within, in `[0, 1]`; 1 where there are no counts.
    pub share_kept: f64,
}

/// Returns the classes of states that reach each other through entries above zero, by their first state.
///
/// Every state is in one class; one that nothing joins is a class of its own. O(K²) time, without recursion.
///
/// Reference: `kemeny1976`; the search is `tarjan1972`.
pub fn communicating_classes(matrix: &SquareMatrix) -> Vec<CommunicatingClass> {
    let class_of = components(matrix);
    let class_count = class_of.iter().max().map_or(0, |last| last + 1);
    let mut classes = vec![CommunicatingClass { states: Vec::new(), is_closed: true }; class_count];
    for (state, &class) in class_of.iter().enumerate() {
        classes[class].states.push(state);
        let leaves = |(to, &weight): (usize, &f64)| weight > 0.0 && class_of[to] != class;
        if matrix.row(state).iter().enumerate().any(leaves) {
            classes[class].is_closed = false;
        }
    }
    classes.sort_by_key(|class| class.states.first().copied());
    classes
}

/// Returns the largest set of states that all reach each other.
///
/// The largest is the one with most counts within; then with most states, then with the smallest first state. No state gives an
/// empty set. A chain that ends in an absorbing state stays long there, so that the set may be that state alone:
/// [`communicating_classes`] and [`super::absorption`] tell the rest. O(K²) time.
///
/// Reference: `bowman2009`.
pub fn active_set(counts: &TransitionCounts) -> ActiveSet {
    let matrix = counts.matrix();
    let within = |class: &CommunicatingClass| matrix.restricted(&class.states).total();
    let classes = communicating_classes(matrix);
    let best = classes.into_iter().map(|class| (within(&class), class)).reduce(|best, other| {
        let is_larger = (other.0, other.1.states.len()) > (best.0, best.1.states.len());
        if is_larger { other } else { best }
    });
    let total = counts.total();
    match best {
        Some((kept, class)) => {
            ActiveSet { states: class.states, share_kept: if total > 0.0 { kept / total } else { 1.0 } }
        }
        None => ActiveSet { states: Vec::new(), share_kept: 1.0 },
    }
}

/// One state on the way down of the depth-first search.
struct Frame {
    state: usize,
    next: usize,
}

/// Numbers the strongly connected components, in the order in which they are finished.
fn components(matrix: &SquareMatrix) -> Vec<usize> {
    let size = matrix.size();
    let (mut number_of, mut low, mut class_of) = (vec![usize::MAX; size], vec![0; size], vec![usize::MAX; size]);
    let (mut open, mut numbered, mut class_count) = (Vec::new(), 0, 0);
    for root in 0..size {
        if number_of[root] != usize::MAX {
            continue;
        }
        let mut way = vec![Frame { state: root, next: 0 }];
        while let Some(frame) = way.last_mut() {
            let state = frame.state;
            if frame.next == 0 {
                (number_of[state], low[state]) = (numbered, numbered);
                numbered += 1;
                open.push(state);
            }
            let to =
                (frame.next..size).find(|&to| matrix.get(state, to) > 0.0 && class_of[to] == usize::MAX && to != state);
            if let Some(to) = to {
                if number_of[to] == usize::MAX {
                    // Look at it again when it is finished: its low is known then.
                    frame.next = to.max(1);
                    way.push(Frame { state: to, next: 0 });
                } else {
                    low[state] = low[state].min(low[to]);
                    frame.next = to + 1;
                }
                continue;
            }
            if low[state] == number_of[state] {
                while let Some(member) = open.pop() {
                    class_of[member] = class_count;
                    if member == state {
                        break;
                    }
                }
                class_count += 1;
            }
            way.pop();
        }
    }
    class_of
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chance::Chance;

    fn reachable(matrix: &SquareMatrix) -> Vec<Vec<bool>> {
        let size = matrix.size();
        let mut reach: Vec<Vec<bool>> =
            (0..size).map(|a| (0..size).map(|b| a == b || matrix.get(a, b) > 0.0).collect()).collect();
        for via in 0..size {
            for from in 0..size {
                for to in 0..size {
                    reach[from][to] |= reach[from][via] && reach[via][to];
                }
            }
        }
        reach
    }

    #[test]
    fn classes_are_those_of_the_closure() {
        let mut chance = Chance::new(9);
        for round in 0..400 {
            let size = 1 + round % 9;
            let mut matrix = SquareMatrix::zeros(size);
            for _ in 0..chance.below(2 * size + 1) {
                matrix.set(chance.below(size), chance.below(size), 1.0);
            }
            let reach = reachable(&matrix);
            let classes = communicating_classes(&matrix);
            assert_eq!(classes.iter().map(|class| class.states.len()).sum::<usize>(), size);
            for class in &classes {
                for &state in &class.states {
                    let expected: Vec<usize> =
                        (0..size).filter(|&other| reach[state][other] && reach[other][state]).collect();
                    assert_eq!(class.states, expected, "{matrix:?}");
                    let stays = (0..size).all(|other| !reach[state][other] || class.states.contains(&other));
                    assert_eq!(class.is_closed, stays, "{matrix:?}");
                }
            }
        }
    }

    #[test]
    fn the_active_set_has_the_most_counts() {
        let sequence = [0, 1, 0, 1, 0, 2, 2, 2, 2, 2].map(Some);
        let counts = TransitionCounts::of([&sequence[..]], 4, 1).unwrap();
        // Four counts within {0, 1} and four within {2}: the larger set wins.
        assert_eq!(active_set(&counts), ActiveSet { states: vec![0, 1], share_kept: 4.0 / 9.0 });
        let nothing = TransitionCounts::new(0, 1).unwrap();
        assert_eq!(active_set(&nothing), ActiveSet { states: vec![], share_kept: 1.0 });
        let unseen = TransitionCounts::new(2, 1).unwrap();
        assert_eq!(active_set(&unseen), ActiveSet { states: vec![0], share_kept: 1.0 });
    }
}
