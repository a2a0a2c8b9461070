//! All distances among many diagrams, on several threads.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::ground::Ground;
use super::prepare::{Prepared, prepare};
use super::{DiagramDistanceError, DiagramMetric, DistanceOptions, bottleneck_of, wasserstein_of};
use crate::diagram::Bar;

/// Returns the distances among diagrams, as a square matrix in rows, in units of the metric.
///
/// With `n` diagrams the result has `n · n` numbers; it is symmetric and zero on the diagonal. `thread_count` threads
/// share the pairs, one at least; 0 asks for as many as the machine runs at once. It changes the time and no bit of
/// the result.
///
/// ```
/// use ripsaw::{Bar, DiagramMetric, DistanceOptions, diagram_distance_matrix};
///
/// let diagrams = [vec![Bar { birth: 0.0, death: 1.0 }], vec![Bar { birth: 0.0, death: 3.0 }], vec![]];
/// let matrix = diagram_distance_matrix(&diagrams, DiagramMetric::Bottleneck, &DistanceOptions::default(), 2)?;
/// assert_eq!(matrix, [0.0, 1.5, 0.5, 1.5, 0.0, 1.5, 0.5, 1.5, 0.0]);
/// # Ok::<(), ripsaw::DiagramDistanceError>(())
/// ```
///
/// # Errors
///
/// As [`crate::bottleneck`], for the first diagram at fault, or else for the first pair.
pub fn diagram_distance_matrix<D: AsRef<[Bar]>>(
    diagrams: &[D],
    metric: DiagramMetric,
    options: &DistanceOptions,
    thread_count: usize,
) -> Result<Vec<f64>, DiagramDistanceError> {
    options.check()?;
    let prepared: Vec<Prepared> =
        diagrams.iter().enumerate().map(|(index, bars)| prepare(index, bars.as_ref())).collect::<Result<_, _>>()?;
    let count = prepared.len();
    let pairs: Vec<(usize, usize)> = (0..count).flat_map(|i| (i + 1..count).map(move |j| (i, j))).collect();
    let distances = in_parallel(pairs.len(), thread_count, |place| {
        let (i, j) = pairs[place];
        match metric {
            DiagramMetric::Bottleneck => bottleneck_of(&prepared[i], &prepared[j], options),
            DiagramMetric::Wasserstein(order, norm) => {
                wasserstein_of(&prepared[i], &prepared[j], Ground { order, norm }, options)
            }
        }
    });
    let mut matrix = vec![0.0; count * count];
    for ((i, j), distance) in pairs.into_iter().zip(distances) {
        let distance = distance?;
        matrix[i * count + j] = distance;
        matrix[j * count + i] = distance;
    }
    Ok(matrix)
}

/// Computes so many values on several threads and returns them in order.
fn in_parallel<T: Send>(count: usize, thread_count: usize, value: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let thread_count = match thread_count {
        0 => thread::available_parallelism().map_or(1, usize::from),
        some => some,
    };
    let next = AtomicUsize::new(0);
    let work = || {
        let places = std::iter::repeat_with(|| next.fetch_add(1, Ordering::Relaxed));
        places.take_while(|&place| place < count).map(|place| (place, value(place))).collect::<Vec<_>>()
    };
    let mut values = thread::scope(|scope| {
        let others: Vec<_> = (1..thread_count.min(count)).map(|_| scope.spawn(work)).collect();
        let mut values = work();
        for other in others {
            match other.join() {
                Ok(more) => values.extend(more),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        values
    });
    values.sort_unstable_by_key(|&(place, _)| place);
    values.into_iter().map(|(_, value)| value).collect()
}
