//! Persistence diagrams as NumPy `.npz` archives, which `numpy.load(…, allow_pickle=False)` reads.
//!
//! An archive has the members `dgms_count` (int64, one number), `dgms_0` and so on (float64, shape (n, 2)), `entropy`
//! (float64, one number a dimension) where it is known, a one-element array for each scalar of the metadata, and
//! the `gens_*` arrays that say which points make a bar. The bytes are a function of the diagram alone: members lie in that
//! order, those of one kind sorted by name, all dated 1980-01-01, and they are *stored*, not deflated. A diagram is a
//! thousandth of the vectors it was made of, so that compression would save nothing that counts, and would make the
//! bytes depend on the version of the compressor.
//!
//! Reading takes what `numpy.savez` and `numpy.savez_compressed` write. Whether bytes are a diagram rests on
//! `dgms_count` and the `dgms_*` that it counts, and on nothing else: any other member is kept when it is an entropy
//! of one number a dimension, an array whose name begins with `gens_`, or a readable scalar, and left out otherwise.
//! The numbers come back bit for bit, float32 widened. Which numbers make sense is asked before they are written
//! ([`Diagram::check`]), not here: a reader must see what a file holds.
//!
//! Memory is bounded by [`DIAGRAM_BYTES_MAX`], whatever the archive claims. When two members share a name, the later
//! one counts, as in NumPy.

use super::npy::{NpyArray, NpyError, NpyValues, read_npy_within, shape_text, write_npy};
use std::collections::BTreeMap;
use std::io::{self, Cursor, Read, Write};
use zip::result::ZipError;

/// The most bytes that the members of an archive may take together, uncompressed.
pub const DIAGRAM_BYTES_MAX: usize = 1 << 30;
/// The most members that an archive may have.
pub const DIAGRAM_MEMBERS_MAX: usize = 4096;
/// A member larger than this is no scalar; some earlier files keep a whole list as one text.
const SCALAR_BYTES_MAX: u64 = 1 << 20;
/// Above this not every whole number is a float64.
const EXACT_MAX: u64 = 1 << f64::MANTISSA_DIGITS;

/// A bar of a diagram: when a class is born and when it dies; `death` may be infinite.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bar {
    /// Filtration value of birth.
    pub birth: f64,
    /// Filtration value of death; `f64::INFINITY` when it never dies.
    pub death: f64,
}

/// A scalar stored beside the bars as a one-element array.
#[derive(Clone, Debug, PartialEq)]
pub enum Scalar {
    /// A whole number.
    Integer(i64),
    /// A float64.
    Float(f64),
    /// A truth value.
    Bool(bool),
    /// A text.
    Text(String),
}

/// A persistence diagram as the store holds it.
#[derive(Clone, Debug, PartialEq)]
pub struct Diagram {
    /// The bars of each dimension from 0, shape (n, 2) each; possibly none.
    pub dgms: Vec<Vec<Bar>>,
    /// The persistent entropy of each dimension, when it was stored.
    pub entropy: Option<Vec<f64>>,
    /// What it took: metric, `max_dim`, threshold, program version; whatever scalars an older file has, under the
    /// name of their member (`<key>_meta` there).
    pub metadata: BTreeMap<String, Scalar>,
    /// Which points make a bar: arrays under names that begin with `gens_`, ours as [`super::generator_arrays`] says,
    /// those of older files as they are.
    pub gens: BTreeMap<String, NpyArray>,
}

/// Why bytes are no diagram, or a diagram cannot be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DiagramCodecError {
    /// No zip archive, or a broken one.
    #[error("the bytes are no readable npz archive")]
    Archive(#[source] ZipError),
    /// More members than a diagram has.
    #[error("the archive has {got} members, expected at most {max}")]
    Members {
        /// How many.
        got: usize,
        /// The limit.
        max: usize,
    },
    /// More bytes than a diagram has.
    #[error("the archive takes {got} bytes uncompressed, expected at most {max}")]
    TooLarge {
        /// How many.
        got: u128,
        /// The limit.
        max: usize,
    },
    /// A member that every diagram has is not there.
    #[error("the archive has no member {name}")]
    Missing {
        /// Its name, without `.npy`.
        name: String,
    },
    /// A member does not come out of the archive.
    #[error("member {name} cannot be extracted")]
    Extract {
        /// Its name, without `.npy`.
        name: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A member is no array.
    #[error("member {name} is no array of a diagram")]
    Array {
        /// Its name, without `.npy`.
        name: String,
        /// Why.
        #[source]
        source: NpyError,
    },
    /// `dgms_count` is no count.
    #[error("dgms_count is one whole number from 0, got {got}")]
    Count {
        /// What it is.
        got: String,
    },
    /// Bars are pairs.
    #[error("dgms_{dimension} has the shape (n, 2), got {got}")]
    Shape {
        /// Which diagram, from 0.
        dimension: usize,
        /// The shape, as Python spells it.
        got: String,
    },
    /// Bars are numbers.
    #[error("dgms_{dimension} holds numbers that are exact as float64, got {got}")]
    Type {
        /// Which diagram, from 0.
        dimension: usize,
        /// What it holds.
        got: &'static str,
    },
    /// To be written: a birth or a death that is no number.
    #[error("the {end} of bar {row} in dimension {dimension} is not a number")]
    NotANumber {
        /// Which diagram, from 0.
        dimension: usize,
        /// Which bar, from 0.
        row: usize,
        /// Birth or death.
        end: &'static str,
    },
    /// To be written: a bar of negative length.
    #[error("bar {row} in dimension {dimension} dies at {death}, before its birth at {birth}")]
    DeathBeforeBirth {
        /// Which diagram, from 0.
        dimension: usize,
        /// Which bar, from 0.
        row: usize,
        /// As text, since floats have no equality.
        birth: String,
        /// As text.
        death: String,
    },
    /// To be written: an entropy is of one dimension.
    #[error("the entropy has one number for each of {expected} dimensions, got {got}")]
    EntropyCount {
        /// The diagrams.
        expected: usize,
        /// The numbers.
        got: usize,
    },
    /// To be written: an entropy that is no number.
    #[error("the entropy of dimension {dimension} is not a number")]
    EntropyNotANumber {
        /// Which diagram, from 0.
        dimension: usize,
    },
    /// To be written: a name that another member has, or that no archive should.
    #[error("{name:?} cannot name a member of {part}")]
    Name {
        /// The name.
        name: String,
        /// `metadata` or `gens`.
        part: &'static str,
    },
}

impl Diagram {
    /// Checks what the format cannot say: births and deaths are numbers, none dies before it is born, the entropy has
    /// a number for each dimension.
    ///
    /// # Errors
    ///
    /// [`DiagramCodecError`], naming the first dimension and bar that is wrong.
    pub fn check(&self) -> Result<(), DiagramCodecError> {
        for (dimension, bars) in self.dgms.iter().enumerate() {
            for (row, bar) in bars.iter().enumerate() {
                check_bar(dimension, row, *bar)?;
            }
        }
        let Some(entropy) = &self.entropy else { return Ok(()) };
        if entropy.len() != self.dgms.len() {
            return Err(DiagramCodecError::EntropyCount { expected: self.dgms.len(), got: entropy.len() });
        }
        match entropy.iter().position(|number| number.is_nan()) {
            Some(dimension) => Err(DiagramCodecError::EntropyNotANumber { dimension }),
            None => Ok(()),
        }
    }
}

fn check_bar(dimension: usize, row: usize, Bar { birth, death }: Bar) -> Result<(), DiagramCodecError> {
    for (end, number) in [("birth", birth), ("death", death)] {
        if number.is_nan() {
            return Err(DiagramCodecError::NotANumber { dimension, row, end });
        }
    }
    if death < birth {
        let (birth, death) = (birth.to_string(), death.to_string());
        return Err(DiagramCodecError::DeathBeforeBirth { dimension, row, birth, death });
    }
    Ok(())
}

/// Returns the archive of a diagram; equal diagrams, bit for bit, have equal bytes.
///
/// # Errors
///
/// [`DiagramCodecError`] when [`Diagram::check`] refuses it, a name cannot be written, or it is over the limits.
pub fn encode_diagram(diagram: &Diagram) -> Result<Vec<u8>, DiagramCodecError> {
    diagram.check()?;
    let members = members_of(diagram)?;
    check_size(members.len(), members.iter().map(|(_, bytes)| bytes.len() as u64))?;
    archive_of(&members).map_err(DiagramCodecError::Archive)
}

/// Returns the archive of a diagram for a column that may be NULL: `None` is NULL.
///
/// # Errors
///
/// As [`encode_diagram`].
pub fn encode_optional_diagram(diagram: Option<&Diagram>) -> Result<Option<Vec<u8>>, DiagramCodecError> {
    diagram.map(encode_diagram).transpose()
}

/// Returns the members by name, in the order in which they are written.
fn members_of(diagram: &Diagram) -> Result<Vec<(String, Vec<u8>)>, DiagramCodecError> {
    let mut members = Vec::new();
    let mut add = |name: String, array: &NpyArray| {
        let bytes = write_npy(array).map_err(|source| DiagramCodecError::Array { name: name.clone(), source })?;
        members.push((name, bytes));
        Ok(())
    };
    add("dgms_count".to_owned(), &NpyArray::vector(NpyValues::I64(vec![diagram.dgms.len() as i64])))?;
    for (dimension, bars) in diagram.dgms.iter().enumerate() {
        let numbers = bars.iter().flat_map(|bar| [bar.birth, bar.death]).collect();
        let array = NpyArray { shape: vec![bars.len(), 2], fortran_order: false, values: NpyValues::F64(numbers) };
        add(format!("dgms_{dimension}"), &array)?;
    }
    if let Some(entropy) = &diagram.entropy {
        add("entropy".to_owned(), &NpyArray::vector(NpyValues::F64(entropy.clone())))?;
    }
    for (name, scalar) in &diagram.metadata {
        check_name(name, "metadata", is_metadata_name)?;
        add(name.clone(), &NpyArray::vector(values_of(scalar)))?;
    }
    for (name, array) in &diagram.gens {
        check_name(name, "gens", is_gens_name)?;
        add(name.clone(), array)?;
    }
    Ok(members)
}

fn values_of(scalar: &Scalar) -> NpyValues {
    match scalar {
        Scalar::Integer(value) => NpyValues::I64(vec![*value]),
        Scalar::Float(value) => NpyValues::F64(vec![*value]),
        Scalar::Bool(value) => NpyValues::Bool(vec![*value]),
        Scalar::Text(value) => NpyValues::Text(vec![value.clone()]),
    }
}

fn check_name(name: &str, part: &'static str, is_allowed: fn(&str) -> bool) -> Result<(), DiagramCodecError> {
    if is_allowed(name) { Ok(()) } else { Err(DiagramCodecError::Name { name: name.to_owned(), part }) }
}

fn is_metadata_name(name: &str) -> bool {
    is_name(name) && name != "entropy" && !name.starts_with("dgms_") && !name.starts_with("gens_")
}

fn is_gens_name(name: &str) -> bool {
    is_name(name) && name.starts_with("gens_")
}

/// Returns whether a member may have this name: NumPy would take `x.npy` for the file of `x`, and a name with a
/// slash is a path where archives are unpacked.
fn is_name(name: &str) -> bool {
    (1..=255).contains(&name.len())
        && !name.ends_with(".npy")
        && !name.contains(|letter: char| letter.is_control() || matches!(letter, '/' | '\\'))
}

fn archive_of(members: &[(String, Vec<u8>)]) -> Result<Vec<u8>, ZipError> {
    let options = zip::write::SimpleFileOptions::default()
        .compression_method(zip::CompressionMethod::Stored)
        .last_modified_time(zip::DateTime::DEFAULT)
        .system(zip::System::Unix)
        .unix_permissions(0o644);
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in members {
        writer.start_file(format!("{name}.npy"), options)?;
        writer.write_all(bytes)?;
    }
    Ok(writer.finish()?.into_inner())
}

fn check_size(members: usize, sizes: impl Iterator<Item = u64>) -> Result<(), DiagramCodecError> {
    if members > DIAGRAM_MEMBERS_MAX {
        return Err(DiagramCodecError::Members { got: members, max: DIAGRAM_MEMBERS_MAX });
    }
    let total: u128 = sizes.map(u128::from).sum();
    if total > DIAGRAM_BYTES_MAX as u128 {
        return Err(DiagramCodecError::TooLarge { got: total, max: DIAGRAM_BYTES_MAX });
    }
    Ok(())
}

/// Returns the diagram of an archive that we or NumPy wrote; the module says what is kept of it.
///
/// # Errors
///
/// [`DiagramCodecError`] when the bytes are no archive, it is over the limits, `dgms_count` or one of the diagrams it
/// counts is missing or damaged, or one of them is no array of pairs of numbers.
pub fn decode_diagram(bytes: &[u8]) -> Result<Diagram, DiagramCodecError> {
    let mut archive = Archive::open(bytes)?;
    let count = archive.count()?;
    let dgms = (0..count).map(|dimension| archive.bars(dimension)).collect::<Result<Vec<_>, _>>()?;
    let entropy = archive.entropy(dgms.len());
    let (mut metadata, mut gens) = (BTreeMap::new(), BTreeMap::new());
    for (name, index) in archive.indices.clone() {
        if is_gens_name(&name) {
            gens.extend(archive.array(&name).ok().map(|array| (name, array)));
        } else if is_metadata_name(&name) && archive.is_small(index) {
            metadata.extend(archive.array(&name).ok().and_then(|array| scalar_of(&array)).map(|scalar| (name, scalar)));
        }
    }
    Ok(Diagram { dgms, entropy, metadata, gens })
}

/// Returns the diagram of a column that may be NULL: NULL is `None`.
///
/// # Errors
///
/// As [`decode_diagram`].
pub fn decode_optional_diagram(bytes: Option<&[u8]>) -> Result<Option<Diagram>, DiagramCodecError> {
    bytes.map(decode_diagram).transpose()
}

/// An archive within the limits.
pub(super) struct Archive<'a> {
    zip: zip::ZipArchive<Cursor<&'a [u8]>>,
    /// Where each member is, by its name without `.npy`.
    indices: BTreeMap<String, usize>,
    /// How many bytes the arrays to come may take in memory.
    bytes_left: usize,
}

impl<'a> Archive<'a> {
    pub(super) fn open(bytes: &'a [u8]) -> Result<Self, DiagramCodecError> {
        let zip = zip::ZipArchive::new(Cursor::new(bytes)).map_err(DiagramCodecError::Archive)?;
        let (mut indices, mut sizes) = (BTreeMap::new(), Vec::new());
        for index in 0..zip.len() {
            let entry = zip.by_index_data(index).map_err(DiagramCodecError::Archive)?;
            sizes.push(entry.size());
            if let Ok(name) = entry.name() {
                indices.insert(name.strip_suffix(".npy").unwrap_or(&name).to_owned(), index);
            }
        }
        check_size(sizes.len(), sizes.into_iter())?;
        Ok(Self { zip, indices, bytes_left: DIAGRAM_BYTES_MAX })
    }

    fn is_small(&self, index: usize) -> bool {
        self.zip.by_index_data(index).is_ok_and(|entry| entry.size() <= SCALAR_BYTES_MAX)
    }

    pub(super) fn array(&mut self, name: &str) -> Result<NpyArray, DiagramCodecError> {
        let Some(&index) = self.indices.get(name) else {
            return Err(DiagramCodecError::Missing { name: name.to_owned() });
        };
        let bytes =
            self.extract(index).map_err(|source| DiagramCodecError::Extract { name: name.to_owned(), source })?;
        let array = read_npy_within(&bytes, self.bytes_left)
            .map_err(|source| DiagramCodecError::Array { name: name.to_owned(), source })?;
        self.bytes_left -= array.values.bytes_in_memory().min(self.bytes_left);
        Ok(array)
    }

    /// Returns the bytes of a member: as many as the directory declares, whose sum is within the limit.
    fn extract(&mut self, index: usize) -> io::Result<Vec<u8>> {
        let file = self.zip.by_index(index)?;
        let declared = file.size();
        let mut bytes = Vec::new();
        // One more than declared, so that the checksum at the end is reached and too many bytes are seen.
        file.take(declared.saturating_add(1)).read_to_end(&mut bytes)?;
        if bytes.len() as u64 != declared {
            let message = format!("the directory declares {declared} bytes, got {}", bytes.len());
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        Ok(bytes)
    }

    fn count(&mut self) -> Result<usize, DiagramCodecError> {
        let array = self.array("dgms_count")?;
        match scalar_of(&array) {
            Some(Scalar::Integer(count)) => {
                usize::try_from(count).map_err(|_| DiagramCodecError::Count { got: count.to_string() })
            }
            _ => {
                let got = format!("{} of shape {}", array.values.kind(), shape_text(&array.shape));
                Err(DiagramCodecError::Count { got })
            }
        }
    }

    fn bars(&mut self, dimension: usize) -> Result<Vec<Bar>, DiagramCodecError> {
        let name = format!("dgms_{dimension}");
        let array = self.array(&name)?;
        if !matches!(array.shape[..], [_, 2]) {
            return Err(DiagramCodecError::Shape { dimension, got: shape_text(&array.shape) });
        }
        let array = array.into_c_order().map_err(|source| DiagramCodecError::Array { name, source })?;
        let numbers =
            numbers_of(&array.values).ok_or(DiagramCodecError::Type { dimension, got: array.values.kind() })?;
        Ok(numbers.as_chunks::<2>().0.iter().map(|&[birth, death]| Bar { birth, death }).collect())
    }

    /// Returns the entropy where it has one number for each dimension, whatever its shape.
    fn entropy(&mut self, dimensions: usize) -> Option<Vec<f64>> {
        let array = self.array("entropy").ok()?;
        numbers_of(&array.values).filter(|numbers| numbers.len() == dimensions)
    }
}

/// Returns the values as float64 where each of them is exactly one.
pub(super) fn numbers_of(values: &NpyValues) -> Option<Vec<f64>> {
    match values {
        NpyValues::F32(values) => Some(values.iter().map(|&value| value.into()).collect()),
        NpyValues::F64(values) => Some(values.clone()),
        NpyValues::I64(values) => {
            values.iter().map(|&value| (value.unsigned_abs() <= EXACT_MAX).then_some(value as f64)).collect()
        }
        NpyValues::U64(values) => values.iter().map(|&value| (value <= EXACT_MAX).then_some(value as f64)).collect(),
        _ => None,
    }
}

/// Returns the one value of an array, whether its shape is (), (1,) or (1, 1).
pub(super) fn scalar_of(array: &NpyArray) -> Option<Scalar> {
    match &array.values {
        NpyValues::F32(values) => one(values).map(|&value| Scalar::Float(value.into())),
        NpyValues::F64(values) => one(values).map(|&value| Scalar::Float(value)),
        NpyValues::I64(values) => one(values).map(|&value| Scalar::Integer(value)),
        NpyValues::U64(values) => one(values).and_then(|&value| i64::try_from(value).ok()).map(Scalar::Integer),
        NpyValues::Bool(values) => one(values).map(|&value| Scalar::Bool(value)),
        NpyValues::Text(values) => one(values).map(|value| Scalar::Text(value.clone())),
    }
}

fn one<T>(values: &[T]) -> Option<&T> {
    match values {
        [value] => Some(value),
        _ => None,
    }
}
