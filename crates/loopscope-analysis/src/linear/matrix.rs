//! A square matrix in rows.

/// A square matrix of `f64`, in rows.
#[derive(Debug, Clone, PartialEq)]
pub struct SquareMatrix {
    size: usize,
    values: Vec<f64>,
}

impl SquareMatrix {
    /// Returns a matrix of zeros with `size` rows and columns.
    pub fn zeros(size: usize) -> Self {
        Self { size, values: vec![0.0; size * size] }
    }

    /// Returns the matrix with ones on the diagonal.
    pub fn identity(size: usize) -> Self {
        let mut identity = Self::zeros(size);
        (0..size).for_each(|index| identity.set(index, index, 1.0));
        identity
    }

    /// Returns the matrix of these rows, or `None` when a row is not as long as there are rows.
    pub fn from_rows<R: AsRef<[f64]>>(rows: &[R]) -> Option<Self> {
        let size = rows.len();
        let values: Vec<f64> = rows.iter().flat_map(|row| row.as_ref()).copied().collect();
        rows.iter().all(|row| row.as_ref().len() == size).then_some(Self { size, values })
    }

    /// Returns the number of rows, which is that of columns.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Returns the number in row `row` and column `column`, from 0. Panics outside the matrix, as a slice does.
    pub fn get(&self, row: usize, column: usize) -> f64 {
        self.row(row)[column]
    }

    /// Sets the number in row `row` and column `column`. Panics outside the matrix, as a slice does.
    pub fn set(&mut self, row: usize, column: usize, value: f64) {
        self.row_mut(row)[column] = value;
    }

    /// Returns a row, from 0. Panics past the last one, as a slice does.
    pub fn row(&self, row: usize) -> &[f64] {
        &self.values[row * self.size..(row + 1) * self.size]
    }

    /// Returns a row to change.
    pub fn row_mut(&mut self, row: usize) -> &mut [f64] {
        &mut self.values[row * self.size..(row + 1) * self.size]
    }

    /// Returns all rows in order.
    pub fn rows(&self) -> impl Iterator<Item = &[f64]> {
        (0..self.size).map(|row| self.row(row))
    }

    /// Returns the sum of all numbers.
    pub fn total(&self) -> f64 {
        self.values.iter().sum()
    }

    /// Returns rows and columns `indices` in that order.
    #[must_use]
    pub fn restricted(&self, indices: &[usize]) -> Self {
        let mut restricted = Self::zeros(indices.len());
        for (row, &from) in indices.iter().enumerate() {
            for (column, &to) in indices.iter().enumerate() {
                restricted.set(row, column, self.get(from, to));
            }
        }
        restricted
    }

    /// Returns the product `self · other`. Panics when the sizes differ.
    #[must_use]
    pub fn product(&self, other: &Self) -> Self {
        assert_eq!(self.size, other.size, "the product of matrices of different sizes");
        let mut product = Self::zeros(self.size);
        for row in 0..self.size {
            for (inner, &factor) in self.row(row).iter().enumerate() {
                for (sum, &value) in product.row_mut(row).iter_mut().zip(other.row(inner)) {
                    *sum += factor * value;
                }
            }
        }
        product
    }

    /// Returns the matrix multiplied with itself `exponent` times; the identity for 0. O(n³ log exponent).
    #[must_use]
    pub fn power(&self, exponent: usize) -> Self {
        let (mut result, mut square, mut rest) = (Self::identity(self.size), self.clone(), exponent);
        while rest > 0 {
            if rest % 2 == 1 {
                result = result.product(&square);
            }
            rest /= 2;
            if rest > 0 {
                square = square.product(&square);
            }
        }
        result
    }

    /// Adds another matrix of the same size. Panics when the sizes differ.
    pub fn add(&mut self, other: &Self) {
        assert_eq!(self.size, other.size, "the sum of matrices of different sizes");
        self.values.iter_mut().zip(&other.values).for_each(|(sum, value)| *sum += value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_multiply() {
        let fibonacci = SquareMatrix::from_rows(&[[1.0, 1.0], [1.0, 0.0]]).unwrap();
        assert_eq!(fibonacci.power(10).row(0), [89.0, 55.0]);
        assert_eq!(fibonacci.power(0), SquareMatrix::identity(2));
        assert_eq!(fibonacci.restricted(&[1, 0]).row(0), [0.0, 1.0]);
        assert!(SquareMatrix::from_rows(&[vec![1.0], vec![2.0]]).is_none());
    }
}
