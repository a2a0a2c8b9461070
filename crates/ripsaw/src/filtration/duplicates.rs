//! Points that no distance tells apart.

use crate::distance::CondensedDistances;

/// Returns the first of each set of points that are at distance zero and equally far from all others, in rising order.
///
/// Leaving the rest out changes no bar of positive length: at every threshold the smaller complex is a deformation
/// retract of the larger. Points at distance zero that some third point tells apart are kept; that can happen when the
/// distances are not a metric. Takes O(n²) time, and O(n) more for each pair at distance zero.
pub(crate) fn distinct_points(distances: &CondensedDistances) -> Vec<usize> {
    let count = distances.point_count();
    let mut merged = vec![false; count];
    let mut rest = distances.as_slice();
    for i in 0..count {
        let (row, later_rows) = rest.split_at(count - i - 1);
        rest = later_rows;
        if merged[i] {
            continue;
        }
        for (offset, _) in row.iter().enumerate().filter(|&(_, &distance)| distance == 0.0) {
            let j = i + 1 + offset;
            merged[j] = merged[j] || (0..count).all(|k| distances.distance(i, k) == distances.distance(j, k));
        }
    }
    (0..count).filter(|&i| !merged[i]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_rows_at_distance_zero_are_merged() {
        // Points 0, 2 and 3 are one point.
        let distances = CondensedDistances::from_condensed(vec![1., 0., 0., 1., 1., 0.], 4).unwrap();
        assert_eq!(distinct_points(&distances), [0, 1]);
    }

    #[test]
    fn points_at_distance_zero_that_a_third_tells_apart_are_kept() {
        let distances = CondensedDistances::from_condensed(vec![0., 1., 2.], 3).unwrap();
        assert_eq!(distinct_points(&distances), [0, 1, 2]);
    }

    #[test]
    fn equal_rows_at_a_distance_are_kept() {
        let distances = CondensedDistances::from_condensed(vec![1., 1., 1.], 3).unwrap();
        assert_eq!(distinct_points(&distances), [0, 1, 2]);
    }
}
