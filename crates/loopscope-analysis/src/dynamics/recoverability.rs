//! Whether an output still tells which prompt it came from.

use crate::series::{Series, SeriesError, cosine_distance};

/// How many runs were given back their prompt.
#[derive(Debug, Clone, PartialEq)]
pub struct Recovery {
    /// For each run whether its nearest other run has its prompt; `None` where the run had no other of its prompt to be like.
    pub is_recovered: Vec<Option<bool>>,
    /// What guessing would reach: the mean share of other runs that have a run's prompt, over the runs that count.
    pub chance: f64,
}

impl Recovery {
    /// Returns the share of the counted runs that were recovered; `None` when none counts.
    pub fn accuracy(&self) -> Option<f64> {
        let counted: Vec<bool> = self.is_recovered.iter().copied().flatten().collect();
        let recovered = counted.iter().filter(|&&is_recovered| is_recovered).count();
        (!counted.is_empty()).then(|| recovered as f64 / counted.len() as f64)
    }
}

/// Gives each run the prompt of its nearest neighbour among the others, leaving itself out.
///
/// `outputs` has one vector a run, all of the same step and place; `prompt_of` says which prompt each came from. Nearest is by cosine
/// distance; among equally near ones the share with the right prompt must be over a half, so that a state which all prompts reach tells nothing.
/// O(n² d) time.
///
/// # Errors
///
/// [`SeriesError::Length`], [`SeriesError::ZeroVector`].
///
/// Reference: `cover1967` for the rule.
pub fn prompt_recovery(outputs: &Series<'_>, prompt_of: &[usize]) -> Result<Recovery, SeriesError> {
    if prompt_of.len() != outputs.len() {
        return Err(SeriesError::Length { expected: outputs.len(), got: prompt_of.len() });
    }
    outputs.check_directions()?;
    let n = outputs.len();
    let (mut is_recovered, mut chances) = (Vec::with_capacity(n), Vec::new());
    for run in 0..n {
        let others: Vec<usize> = (0..n).filter(|&other| other != run).collect();
        let alike = others.iter().filter(|&&other| prompt_of[other] == prompt_of[run]).count();
        if alike == 0 {
            is_recovered.push(None);
            continue;
        }
        chances.push(alike as f64 / others.len() as f64);
        let distances: Vec<f64> =
            others.iter().map(|&other| cosine_distance(outputs.row(run), outputs.row(other))).collect();
        let nearest = distances.iter().copied().fold(f64::INFINITY, f64::min);
        let near: Vec<usize> = others
            .iter()
            .zip(&distances)
            .filter(|(_, distance)| **distance == nearest)
            .map(|(&other, _)| other)
            .collect();
        let right = near.iter().filter(|&&other| prompt_of[other] == prompt_of[run]).count();
        is_recovered.push(Some(2 * right > near.len()));
    }
    let chance = if chances.is_empty() { 0.0 } else { chances.iter().sum::<f64>() / chances.len() as f64 };
    Ok(Recovery { is_recovered, chance })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts_are_recovered_from_their_own_corner_only() {
        let values = [1.0, 0.0, 1.0, 0.1, 0.0, 1.0, 0.1, 1.0, 0.7, 0.7];
        let outputs = Series::new(&values, 5, 2).unwrap();
        let recovery = prompt_recovery(&outputs, &[0, 0, 1, 1, 2]).unwrap();
        assert_eq!(recovery.is_recovered, [Some(true), Some(true), Some(true), Some(true), None]);
        assert_eq!((recovery.accuracy(), recovery.chance), (Some(1.0), 0.25));
    }

    #[test]
    fn a_state_that_all_prompts_reach_tells_nothing() {
        let values = [1.0_f32, 2.0].repeat(6);
        let outputs = Series::new(&values, 6, 2).unwrap();
        let recovery = prompt_recovery(&outputs, &[0, 0, 0, 1, 1, 1]).unwrap();
        assert_eq!(recovery.accuracy(), Some(0.0));
        assert_eq!(prompt_recovery(&outputs, &[0, 1, 2, 3, 4, 5]).unwrap().accuracy(), None);
        assert_eq!(prompt_recovery(&Series::new(&[], 0, 2).unwrap(), &[]).unwrap().accuracy(), None);
    }
}
