//! The row that stands for a cluster.

use super::distance::squared_distance;
use super::duplicates::Vertices;

/// Returns the first row of the vertex among `members` that minimises Σ p d over the rows of the cluster.
///
/// `members` holds vertices in ascending order with their probabilities. Ties go to the lowest row. O(m² d) time, O(m)
/// memory. `None` without members.
#[expect(clippy::cast_precision_loss, reason = "row counts are far below 2^53")]
pub(super) fn medoid(vertices: &Vertices<'_>, members: &[(usize, f64)]) -> Option<usize> {
    let mass: Vec<f64> =
        members.iter().map(|&(vertex, probability)| probability * vertices.multiplicity()[vertex] as f64).collect();
    let mut cost = vec![0.0f64; members.len()];
    for a in 0..members.len() {
        for b in a + 1..members.len() {
            let distance = squared_distance(vertices.point(members[a].0), vertices.point(members[b].0)).sqrt();
            cost[a] += mass[b] * distance;
            cost[b] += mass[a] * distance;
        }
    }
    let best = (0..members.len()).reduce(|best, member| if cost[member] < cost[best] { member } else { best })?;
    Some(vertices.first_row(members[best].0))
}
