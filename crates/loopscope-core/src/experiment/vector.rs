//! Embedding vectors: finite, not all zero, never empty.

/// Why numbers are no embedding vector.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum VectorError {
    /// No numbers at all.
    #[error("a vector needs at least one number, got none")]
    Empty,
    /// A NaN or an infinity.
    #[error("a vector holds finite numbers only, got {value} at index {index}")]
    NotFinite {
        /// Where, from 0.
        index: usize,
        /// The number as text, since NaN does not compare.
        value: String,
    },
    /// A vector of zeros: it has no direction, and no model means it.
    #[error("a vector needs a number that is not zero, got {dimension} zeros")]
    AllZero {
        /// How many zeros.
        dimension: usize,
    },
}

/// An embedding vector of float32, as stored: finite, not all zero, at least one number.
#[derive(Clone, Debug, PartialEq)]
pub struct Vector(Vec<f32>);

impl Vector {
    /// Returns the vector of these numbers.
    ///
    /// # Errors
    ///
    /// [`VectorError`], naming the first number that is wrong.
    pub fn new(numbers: Vec<f32>) -> Result<Self, VectorError> {
        Self::check(&numbers)?;
        Ok(Self(numbers))
    }

    /// Returns why these numbers are no vector, if they are none.
    pub(crate) fn check(numbers: &[f32]) -> Result<(), VectorError> {
        if numbers.is_empty() {
            return Err(VectorError::Empty);
        }
        // Without an end in the middle, so that the compiler looks at several numbers at once: every vector that is read comes by here.
        let are_finite = numbers.iter().fold(true, |all, number| all & number.is_finite());
        if !are_finite && let Some(index) = numbers.iter().position(|number| !number.is_finite()) {
            return Err(VectorError::NotFinite { index, value: numbers[index].to_string() });
        }
        if numbers.iter().all(|&number| number == 0.0) {
            return Err(VectorError::AllZero { dimension: numbers.len() });
        }
        Ok(())
    }

    /// Returns the numbers, at least one.
    #[must_use]
    pub fn numbers(&self) -> &[f32] {
        &self.0
    }

    /// Returns how many numbers there are, at least 1.
    #[must_use]
    pub fn dimension(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_without_direction_or_with_nan_are_refused() {
        assert_eq!(Vector::new(vec![]), Err(VectorError::Empty));
        assert_eq!(Vector::new(vec![0.0, -0.0]), Err(VectorError::AllZero { dimension: 2 }));
        let error = Vector::new(vec![1.0, f32::NAN]).unwrap_err();
        assert_eq!(error.to_string(), "a vector holds finite numbers only, got NaN at index 1");
        assert!(Vector::new(vec![f32::INFINITY]).is_err());
        assert!(Vector::new(vec![f32::MIN_POSITIVE / 2.0]).is_ok(), "subnormal is a number");
    }
}
