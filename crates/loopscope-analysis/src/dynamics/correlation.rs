//! Whether one number of a run tells anything that others do not.

use crate::linear::{SquareMatrix, solve};

/// Returns Spearman's rank correlation of two lists, in `[-1, 1]`; `None` where one is constant or they are shorter than 3.
///
/// Ties share their mean rank. O(n log n) time.
///
/// Reference: `spearman1904`.
pub fn rank_correlation(a: &[f64], b: &[f64]) -> Option<f64> {
    partial_rank_correlation(a, b, &[])
}

/// Returns the partial rank correlation of two lists given others: what is left of it when the others explain what they can.
///
/// All lists are ranked; the ranks of the first two are fitted by those of `given` with a constant, and what the fits leave over is
/// correlated. `None` where a remainder is nothing but rounding (the list is constant or explained in full), where there are fewer than
/// three values more than lists given, for lists of unequal length, and for NaN. A list in `given` that repeats others is left out. O(n k²) time.
///
/// Reference: `kendall1942` for partial rank correlation; `spearman1904`.
pub fn partial_rank_correlation(a: &[f64], b: &[f64], given: &[&[f64]]) -> Option<f64> {
    let n = a.len();
    let lists = || [a, b].into_iter().chain(given.iter().copied());
    if n < 3 + given.len() || lists().any(|list| list.len() != n || list.iter().any(|value| value.is_nan())) {
        return None;
    }
    let basis = orthogonal(given);
    let (left, right) = (remainder(&ranks(a), &basis)?, remainder(&ranks(b), &basis)?);
    let product: f64 = left.iter().zip(&right).map(|(x, y)| x * y).sum();
    Some(product.clamp(-1.0, 1.0))
}

/// Returns mean ranks from 1.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut before = 0;
    for tied in order.chunk_by(|&a, &b| values[a] == values[b]) {
        let rank = before as f64 + (tied.len() as f64 + 1.0) / 2.0;
        tied.iter().for_each(|&index| ranks[index] = rank);
        before += tied.len();
    }
    ranks
}

fn centred(values: &[f64]) -> Vec<f64> {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    values.iter().map(|value| value - mean).collect()
}

/// Returns the ranks of lists, centred, without those that the others already span.
fn orthogonal(given: &[&[f64]]) -> Vec<Vec<f64>> {
    let mut basis: Vec<Vec<f64>> = Vec::new();
    for list in given {
        let ranked = centred(&ranks(list));
        if remainder(&ranked, &basis).is_some() {
            basis.push(ranked);
        }
    }
    basis
}

/// Returns what a basis leaves over of a list, of length 1; `None` where that is only rounding.
fn remainder(values: &[f64], basis: &[Vec<f64>]) -> Option<Vec<f64>> {
    let mut rest = centred(values);
    let length = |list: &[f64]| list.iter().map(|value| value * value).sum::<f64>().sqrt();
    let whole = length(&rest);
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
    let mut normal = SquareMatrix::zeros(basis.len());
    for (row, a) in basis.iter().enumerate() {
        for (column, b) in basis.iter().enumerate() {
            normal.set(row, column, dot(a, b));
        }
    }
    let right = vec![basis.iter().map(|list| dot(list, &rest)).collect::<Vec<f64>>()];
    let weights = solve(&normal, &right)?.pop().unwrap_or_default();
    for (list, weight) in basis.iter().zip(weights) {
        rest.iter_mut().zip(list).for_each(|(value, part)| *value -= weight * part);
    }
    let left = length(&rest);
    (left > 1e-9 * whole.max(1.0)).then(|| rest.iter().map(|value| value / left).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chance::Chance;

    #[test]
    fn ranks_of_ties_are_their_mean() {
        assert_eq!(ranks(&[10.0, 20.0, 10.0, 5.0]), [2.5, 4.0, 2.5, 1.0]);
        assert_eq!(rank_correlation(&[1.0, 2.0, 3.0, 9.0], &[0.0, 5.0, 6.0, 7.0]), Some(1.0));
        assert_eq!(rank_correlation(&[1.0, 1.0, 1.0], &[0.0, 5.0, 6.0]), None);
        assert_eq!(rank_correlation(&[1.0, 2.0], &[1.0, 2.0]), None);
        assert_eq!(rank_correlation(&[1.0, f64::NAN, 2.0], &[1.0, 2.0, 3.0]), None);
    }

    #[test]
    fn what_a_third_list_explains_goes_away() {
        let mut chance = Chance::new(6);
        let cause: Vec<f64> = (0..400).map(|_| chance.normal()).collect();
        let a: Vec<f64> = cause.iter().map(|c| c + 0.5 * chance.normal()).collect();
        let b: Vec<f64> = cause.iter().map(|c| c + 0.5 * chance.normal()).collect();
        assert!(rank_correlation(&a, &b).unwrap() > 0.6);
        assert!(partial_rank_correlation(&a, &b, &[&cause]).unwrap().abs() < 0.12);
        assert_eq!(partial_rank_correlation(&a, &cause, &[&cause]), None, "nothing is left over");
        let once = partial_rank_correlation(&a, &b, &[&cause]);
        assert_eq!(partial_rank_correlation(&a, &b, &[&cause, &cause]), once, "a list given twice counts once");
    }

    #[test]
    fn three_given_lists_agree_with_the_inverse_covariance_of_ranks() {
        // −P₀₁ / √(P₀₀ P₁₁), P being the inverse of numpy's covariance of scipy's ranks.
        let a = [3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0, 6.0, 5.0, 3.0, 5.0, 8.0];
        let b = [2.0, 7.0, 1.0, 8.0, 2.0, 8.0, 1.0, 8.0, 2.0, 8.0, 4.0, 5.0];
        let given: [&[f64]; 3] = [
            &[1.0, 4.0, 1.0, 4.0, 2.0, 1.0, 3.0, 5.0, 6.0, 2.0, 3.0, 7.0],
            &[1.0, 7.0, 3.0, 2.0, 0.0, 5.0, 0.0, 8.0, 0.0, 7.0, 5.0, 6.0],
            &[5.0, 7.0, 7.0, 2.0, 1.0, 5.0, 6.0, 6.0, 4.0, 9.0, 0.0, 1.0],
        ];
        assert!((rank_correlation(&a, &b).unwrap() - 0.141_579_686_364_015_72).abs() < 1e-12);
        assert!((partial_rank_correlation(&a, &b, &given).unwrap() + 0.128_750_423_630_518_86).abs() < 1e-12);
    }

    #[test]
    fn one_given_list_agrees_with_the_closed_form() {
        let mut chance = Chance::new(7);
        let mut list = || (0..50).map(|_| chance.normal()).collect::<Vec<f64>>();
        let (a, b, c) = (list(), list(), list());
        let r = |x: &[f64], y: &[f64]| rank_correlation(x, y).unwrap();
        let (ab, ac, bc) = (r(&a, &b), r(&a, &c), r(&b, &c));
        let expected = (ab - ac * bc) / ((1.0 - ac * ac) * (1.0 - bc * bc)).sqrt();
        assert!((partial_rank_correlation(&a, &b, &[&c]).unwrap() - expected).abs() < 1e-12);
    }
}
