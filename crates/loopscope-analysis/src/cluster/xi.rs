//! Clusters between a steep way down and a steep way up of a reachability plot (`ankerst1999`, figure 19).
//!
//! Differences to the paper are scikit-learn's, so that both find the same clusters: the end of a cluster that is cut
//! from the right lies where the plot is *above* its beginning, and a cluster whose last rows were not reached from
//! within it is shortened (`schubert2018`, algorithm 2).

/// A reachability plot.
pub(super) struct Plot<'a> {
    /// Reachability along the ordering, and one infinite value behind.
    pub(super) heights: &'a [f64],
    /// Along the ordering, the row that each was reached from.
    pub(super) predecessors: &'a [Option<usize>],
    pub(super) ordering: &'a [usize],
}

/// A steep way down.
struct Descent {
    start: usize,
    end: usize,
    /// The greatest height since its end.
    highest_since: f64,
}

/// Returns clusters as first and last place of the ordering, smaller ones before those around them.
pub(super) fn steep_clusters(
    plot: &Plot<'_>,
    xi: f64,
    min_samples: usize,
    min_cluster_size: usize,
) -> Vec<(usize, usize)> {
    let heights = plot.heights;
    let keep = 1.0 - xi;
    // Between two infinite heights the ratio is NaN, and no comparison holds.
    let ratio = |place: usize| heights[place] / heights[place + 1];
    let is_steep_up = |place: usize| ratio(place) <= keep;
    let is_steep_down = |place: usize| ratio(place) >= 1.0 / keep;
    let count = plot.ordering.len();
    let mut descents: Vec<Descent> = vec![];
    let mut clusters = vec![];
    let mut index = 0;
    let mut highest = 0.0f64;
    for place in 0..count {
        if place < index || !(is_steep_up(place) || is_steep_down(place)) {
            continue;
        }
        highest = heights[index..=place].iter().copied().fold(highest, f64::max);
        keep_high(&mut descents, highest, keep, heights);
        if is_steep_down(place) {
            let end = extend(count, place, min_samples, is_steep_down, |place| ratio(place) < 1.0);
            descents.push(Descent { start: place, end, highest_since: 0.0 });
            index = end + 1;
        } else {
            let end = extend(count, place, min_samples, is_steep_up, |place| ratio(place) > 1.0);
            index = end + 1;
            let found = descents.iter().filter_map(|descent| between(plot, keep, descent, (place, end)));
            let mut found: Vec<_> = found.filter(|(start, end)| end + 1 - start >= min_cluster_size).collect();
            found.reverse(); // Later descents make smaller clusters.
            clusters.extend(found);
        }
        highest = heights[index];
    }
    clusters
}

/// Drops the descents that begin too low for what came since.
fn keep_high(descents: &mut Vec<Descent>, highest: f64, keep: f64, heights: &[f64]) {
    if highest.is_infinite() {
        descents.clear();
    }
    descents.retain(|descent| highest <= heights[descent.start] * keep);
    for descent in descents {
        descent.highest_since = descent.highest_since.max(highest);
    }
}

/// Follows a steep way to its last steep place, over at most `min_samples` places in a row that are not steep.
fn extend(
    count: usize,
    start: usize,
    min_samples: usize,
    is_steep: impl Fn(usize) -> bool,
    is_against: impl Fn(usize) -> bool,
) -> usize {
    let (mut end, mut flat) = (start, 0);
    for place in start..count {
        if is_steep(place) {
            (end, flat) = (place, 0);
        } else if is_against(place) {
            break;
        } else {
            flat += 1;
            if flat > min_samples {
                break;
            }
        }
    }
    end
}

/// The cluster between a way down and a way up, if they make one.
fn between(plot: &Plot<'_>, keep: f64, down: &Descent, (up_start, up_end): (usize, usize)) -> Option<(usize, usize)> {
    let heights = plot.heights;
    let (left, right) = (heights[down.start], heights[up_end + 1]);
    if right * keep < down.highest_since {
        return None;
    }
    let (mut start, mut end) = (down.start, up_end);
    if left * keep >= right {
        while heights[start + 1] > right && start < down.end {
            start += 1;
        }
    } else if right * keep >= left {
        while end > up_start && heights[end - 1] > left {
            end -= 1;
        }
    }
    let end = last_reached_within(plot, start, end)?;
    (start <= down.end && end >= up_start).then_some((start, end))
}

/// The last place up to `end` that was reached from a row of the cluster, or that lies below its beginning.
fn last_reached_within(plot: &Plot<'_>, start: usize, end: usize) -> Option<usize> {
    (start + 1..=end).rev().find(|&end| {
        plot.heights[start] > plot.heights[end]
            || plot.predecessors[end].is_some_and(|row| plot.ordering[start..end].contains(&row))
    })
}
