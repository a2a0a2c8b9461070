//! Sparse matrices as `scipy.sparse.save_npz` writes them, in COO or CSR form.
//!
//! Memory is bounded as for diagrams, whatever the archive claims.

use super::diagram::{Archive, DiagramCodecError, Scalar, numbers_of, scalar_of};
use super::npy::{NpyArray, NpyValues, shape_text};

/// A square matrix of which only some entries are there.
#[derive(Clone, Debug, PartialEq)]
pub struct SparseMatrix {
    /// Rows, and columns.
    pub size: usize,
    /// Row, column and value of each entry, as the file has them.
    pub entries: Vec<(usize, usize, f64)>,
}

/// Why bytes are no sparse square matrix.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SparseCodecError {
    /// No archive, or one without a member that every such matrix has.
    #[error("the archive is none that scipy.sparse.save_npz wrote")]
    Archive(#[source] DiagramCodecError),
    /// Another form.
    #[error("the matrix has the form {got}, expected coo or csr; `.tocsr()` makes one")]
    Form {
        /// Its name.
        got: String,
    },
    /// A matrix that is not square.
    #[error("the matrix has the shape {got}, expected (n, n)")]
    Shape {
        /// Its shape.
        got: String,
    },
    /// A member that is not what the form says.
    #[error("member {name} must hold {expected}, got {got}")]
    Member {
        /// Its name.
        name: &'static str,
        /// What it holds in a good file.
        expected: String,
        /// What it holds.
        got: String,
    },
}

/// Returns whether bytes are a zip archive, as every `.npz` is.
#[must_use]
pub fn is_npz(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PK")
}

/// Reads a sparse square matrix.
///
/// # Errors
///
/// [`SparseCodecError`], naming the member that is wrong. Rows and columns out of range are not looked for here.
pub fn read_sparse_npz(bytes: &[u8]) -> Result<SparseMatrix, SparseCodecError> {
    let mut archive = Archive::open(bytes).map_err(SparseCodecError::Archive)?;
    let mut member = |name| archive.array(name).map_err(SparseCodecError::Archive);
    let form = match scalar_of(&member("format")?) {
        Some(Scalar::Text(form)) if form == "coo" || form == "csr" => form,
        Some(Scalar::Text(got)) => return Err(SparseCodecError::Form { got }),
        _ => return Err(SparseCodecError::Form { got: "of no name".to_owned() }),
    };
    let shape = indices("shape", &member("shape")?)?;
    let &[size, columns] = shape.as_slice() else {
        return Err(SparseCodecError::Shape { got: shape_text(&shape) });
    };
    if size != columns {
        return Err(SparseCodecError::Shape { got: shape_text(&shape) });
    }
    let array = member("data")?;
    let data = numbers_of(&array.values).ok_or_else(|| wrong("data", "numbers".to_owned(), &array))?;
    let (rows, columns) = if form == "coo" {
        (indices("row", &member("row")?)?, indices("col", &member("col")?)?)
    } else {
        (rows_of(&indices("indptr", &member("indptr")?)?, size, data.len())?, indices("indices", &member("indices")?)?)
    };
    for (name, got) in [("row", rows.len()), ("col or indices", columns.len())] {
        if got != data.len() {
            let expected = format!("one number for each of the {} entries", data.len());
            return Err(SparseCodecError::Member { name, expected, got: got.to_string() });
        }
    }
    let entries = rows.into_iter().zip(columns).zip(data).map(|((i, j), value)| (i, j, value)).collect();
    Ok(SparseMatrix { size, entries })
}

/// Returns the row of each entry: `starts` holds where each row begins, and the end.
fn rows_of(starts: &[usize], size: usize, entry_count: usize) -> Result<Vec<usize>, SparseCodecError> {
    let is_good = size.checked_add(1) == Some(starts.len())
        && starts.first() == Some(&0)
        && starts.last() == Some(&entry_count)
        && starts.is_sorted();
    if !is_good {
        let expected = format!("{size} + 1 rising numbers from 0 to {entry_count}");
        let got = format!("{} numbers that are not", starts.len());
        return Err(SparseCodecError::Member { name: "indptr", expected, got });
    }
    let rows = starts.windows(2).enumerate();
    Ok(rows.flat_map(|(row, ends)| std::iter::repeat_n(row, ends[1] - ends[0])).collect())
}

fn indices(name: &'static str, array: &NpyArray) -> Result<Vec<usize>, SparseCodecError> {
    let whole = match &array.values {
        NpyValues::I64(values) => values.iter().map(|&value| usize::try_from(value).ok()).collect(),
        NpyValues::U64(values) => values.iter().map(|&value| usize::try_from(value).ok()).collect(),
        _ => None,
    };
    whole.ok_or_else(|| wrong(name, "whole numbers from 0".to_owned(), array))
}

fn wrong(name: &'static str, expected: String, array: &NpyArray) -> SparseCodecError {
    let got = format!("{} of shape {}", array.values.kind(), shape_text(&array.shape));
    SparseCodecError::Member { name, expected, got }
}
