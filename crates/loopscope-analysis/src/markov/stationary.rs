//! The law that a chain keeps.

use super::{MarkovError, TransitionMatrix, communicating_classes};
use crate::linear::SquareMatrix;

/// Returns the stationary law: probabilities that add up to 1 and that one step does not change.
///
/// States that the chain leaves for good have probability 0, so that an absorbing state has all of it. Elimination without a
/// subtraction keeps every digit, however rare a state is. O(K³) time.
///
/// # Errors
///
/// [`MarkovError::Empty`]; [`MarkovError::SeveralClosedClasses`] where the chain can end in several places.
///
/// Reference: `grassmann1985`.
pub fn stationary_distribution(matrix: &TransitionMatrix) -> Result<Vec<f64>, MarkovError> {
    let classes = communicating_classes(matrix.matrix());
    let closed: Vec<_> = classes.iter().filter(|class| class.is_closed).collect();
    let class = match closed.as_slice() {
        [] => return Err(MarkovError::Empty),
        [class] => class,
        several => return Err(MarkovError::SeveralClosedClasses { count: several.len() }),
    };
    let law = irreducible_law(matrix.matrix().restricted(&class.states));
    let mut distribution = vec![0.0; matrix.state_count()];
    for (&state, probability) in class.states.iter().zip(law) {
        distribution[state] = probability;
    }
    Ok(distribution)
}

/// Takes the last state out of the chain again and again, then puts them back.
fn irreducible_law(mut matrix: SquareMatrix) -> Vec<f64> {
    let size = matrix.size();
    for last in (1..size).rev() {
        let leaving: f64 = matrix.row(last)[..last].iter().sum();
        for row in 0..last {
            let share = matrix.get(row, last) / leaving;
            matrix.set(row, last, share);
            for column in 0..last {
                let value = matrix.get(row, column) + share * matrix.get(last, column);
                matrix.set(row, column, value);
            }
        }
    }
    let mut law = vec![1.0; size];
    for state in 1..size {
        law[state] = (0..state).map(|from| law[from] * matrix.get(from, state)).sum();
    }
    let total: f64 = law.iter().sum();
    law.into_iter().map(|probability| probability / total).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absorbing_state_has_everything_and_two_have_no_answer() {
        let one = TransitionMatrix::from_rows(&[[0.5, 0.5, 0.0], [0.1, 0.8, 0.1], [0.0, 0.0, 1.0]]).unwrap();
        assert_eq!(stationary_distribution(&one).unwrap(), [0.0, 0.0, 1.0]);
        let two = TransitionMatrix::from_rows(&[[1.0, 0.0], [0.0, 1.0]]).unwrap();
        assert_eq!(stationary_distribution(&two), Err(MarkovError::SeveralClosedClasses { count: 2 }));
        let none = TransitionMatrix::new(SquareMatrix::zeros(0)).unwrap();
        assert_eq!(stationary_distribution(&none), Err(MarkovError::Empty));
    }

    #[test]
    fn rare_states_keep_their_digits() {
        let rare = 1e-12;
        let matrix = TransitionMatrix::from_rows(&[[1.0 - rare, rare], [0.5, 0.5]]).unwrap();
        let law = stationary_distribution(&matrix).unwrap();
        let expected = rare / (rare + 0.5);
        assert!((law[1] / expected - 1.0).abs() < 1e-14, "{law:?}");
    }
}
