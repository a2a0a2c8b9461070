//! NumPy `.npy` arrays: the header, the element types that we need, and both directions.
//!
//! Reads versions 1.0, 2.0 and 3.0, either byte order, C and Fortran order. Whole numbers of every width become
//! 64 bits wide and `|S` becomes text, so that writing what was read keeps each value but not always its width.
//! Python objects are never unpickled, and structured, complex, half and long double arrays are refused by name.
//! Every length is compared with the bytes that are there before anything is allocated.

/// The most bytes that one array may take in memory.
pub const NPY_BYTES_MAX: usize = 1 << 30;
/// The most bytes that the header of one array may take; NumPy itself stops at 10,000.
pub const NPY_HEADER_BYTES_MAX: usize = 64 << 10;
/// As in NumPy.
const DIMENSIONS_MAX: usize = 64;
const MAGIC: &[u8; 6] = b"\x93NUMPY";
/// NumPy starts the numbers at a multiple of this.
const ALIGNMENT: usize = 64;
/// NumPy leaves room for the growing axis of a file to reach this many digits.
const GROWTH_DIGITS: usize = 21;

/// An array: `shape` says how many values there are along each axis, and they lie in file order.
///
/// The last index runs fastest, or the first one where `fortran_order` is set. A shape of `[]` is one value.
#[derive(Clone, Debug, PartialEq)]
pub struct NpyArray {
    /// The length of each axis.
    pub shape: Vec<usize>,
    /// Whether the first index runs fastest.
    pub fortran_order: bool,
    /// As many values as the product of `shape`.
    pub values: NpyValues,
}

/// The values of an array, in file order.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum NpyValues {
    /// `f4`.
    F32(Vec<f32>),
    /// `f8`.
    F64(Vec<f64>),
    /// `i1`, `i2`, `i4` and `i8`.
    I64(Vec<i64>),
    /// `u1`, `u2`, `u4` and `u8`.
    U64(Vec<u64>),
    /// `b1`; any byte but 0 is true, as in NumPy.
    Bool(Vec<bool>),
    /// `U` and, where it is UTF-8, `S`; without the NULs at the end, as in NumPy.
    Text(Vec<String>),
}

/// Why bytes are no array that we read, or values none that we write.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum NpyError {
    /// Other bytes, or too few.
    #[error("the bytes do not begin as a NumPy array")]
    NotNpy,
    /// A format of the future.
    #[error("npy version {major}.{minor} is not read, expected 1.0, 2.0 or 3.0")]
    Version {
        /// Before the dot.
        major: u8,
        /// After it.
        minor: u8,
    },
    /// A header longer than the limit.
    #[error("the npy header takes {got} bytes, expected at most {max}")]
    HeaderLength {
        /// What the file says.
        got: usize,
        /// The limit.
        max: usize,
    },
    /// A header longer than the bytes.
    #[error("the npy header takes {expected} bytes, got {got}")]
    HeaderCut {
        /// What the file says.
        expected: usize,
        /// What is there.
        got: usize,
    },
    /// A header that is no dictionary of `descr`, `fortran_order` and `shape`.
    #[error("the npy header does not read, expected {expected} at byte {at} of it")]
    Header {
        /// What should have been there.
        expected: &'static str,
        /// Where, from 0.
        at: usize,
    },
    /// An object array.
    #[error("the array holds Python objects, which are never unpickled")]
    Object,
    /// A type that we do not read.
    #[error("the array type {descr} is not read, expected f4, f8, i1 to i8, u1 to u8, b1, U or S")]
    Type {
        /// As the file spells it, shortened.
        descr: String,
    },
    /// More or fewer bytes than the header promises.
    #[error("an array of shape {shape} and type {descr} takes {expected} bytes, got {got}")]
    Length {
        /// The shape, as Python spells it.
        shape: String,
        /// The type.
        descr: String,
        /// What the header promises.
        expected: u128,
        /// What is there.
        got: usize,
    },
    /// An array over the limit.
    #[error("the array takes {got} bytes in memory, expected at most {max}")]
    TooLarge {
        /// What it would take.
        got: u128,
        /// The limit.
        max: usize,
    },
    /// Text that is no Unicode.
    #[error("the text at index {index} of the array is not Unicode")]
    Text {
        /// Which value, from 0, in file order.
        index: usize,
    },
    /// To be written: a shape that is not of these values.
    #[error("an array of shape {shape} has {expected} values, got {got}")]
    Count {
        /// The shape, as Python spells it.
        shape: String,
        /// Its product.
        expected: u128,
        /// The values given.
        got: usize,
    },
    /// To be written: NumPy pads text with NULs, and so would drop these.
    #[error("the text at index {index} of the array ends with a NUL, which NumPy cannot keep")]
    TrailingNul {
        /// Which value, from 0, in file order.
        index: usize,
    },
}

impl NpyValues {
    /// Returns how many values there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::F32(values) => values.len(),
            Self::F64(values) => values.len(),
            Self::I64(values) => values.len(),
            Self::U64(values) => values.len(),
            Self::Bool(values) => values.len(),
            Self::Text(values) => values.len(),
        }
    }

    /// Returns whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns what the values are, for a message.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::F32(_) => "float32",
            Self::F64(_) => "float64",
            Self::I64(_) | Self::U64(_) => "whole numbers",
            Self::Bool(_) => "truth values",
            Self::Text(_) => "text",
        }
    }

    /// Returns how many bytes the values take.
    pub(super) fn bytes_in_memory(&self) -> usize {
        match self {
            Self::F32(values) => size_of_val(&values[..]),
            Self::F64(values) => size_of_val(&values[..]),
            Self::I64(values) => size_of_val(&values[..]),
            Self::U64(values) => size_of_val(&values[..]),
            Self::Bool(values) => size_of_val(&values[..]),
            Self::Text(values) => size_of_val(&values[..]) + values.iter().map(String::len).sum::<usize>(),
        }
    }

    /// Returns the values in another order: the value at each index is the one that lies at `place(index)`.
    fn reordered(&self, place: impl Fn(usize) -> usize) -> Self {
        fn pick<T: Clone>(values: &[T], place: impl Fn(usize) -> usize) -> Vec<T> {
            (0..values.len()).map(|index| values[place(index)].clone()).collect()
        }
        match self {
            Self::F32(values) => Self::F32(pick(values, place)),
            Self::F64(values) => Self::F64(pick(values, place)),
            Self::I64(values) => Self::I64(pick(values, place)),
            Self::U64(values) => Self::U64(pick(values, place)),
            Self::Bool(values) => Self::Bool(pick(values, place)),
            Self::Text(values) => Self::Text(pick(values, place)),
        }
    }
}

impl NpyArray {
    /// Returns the array of one axis.
    #[must_use]
    pub fn vector(values: NpyValues) -> Self {
        Self { shape: vec![values.len()], fortran_order: false, values }
    }

    /// Returns the same array with the last index running fastest.
    ///
    /// # Errors
    ///
    /// [`NpyError::Count`] when the shape is not of these values, which no array that was read has.
    pub fn into_c_order(self) -> Result<Self, NpyError> {
        self.check()?;
        if !self.fortran_order || self.shape.len() < 2 || self.values.is_empty() {
            return Ok(Self { fortran_order: false, ..self });
        }
        let values = self.values.reordered(|index| fortran_place(index, &self.shape));
        Ok(Self { values, fortran_order: false, shape: self.shape })
    }

    fn check(&self) -> Result<(), NpyError> {
        let (expected, got) = (count_of(&self.shape), self.values.len());
        if expected == got as u128 {
            return Ok(());
        }
        Err(NpyError::Count { shape: shape_text(&self.shape), expected, got })
    }
}

/// Returns where the value lies in Fortran order that is at `index` in C order.
fn fortran_place(index: usize, shape: &[usize]) -> usize {
    let mut rest = index;
    let mut stride = shape.iter().product::<usize>();
    let mut place = 0;
    for &length in shape.iter().rev() {
        stride /= length;
        place += rest % length * stride;
        rest /= length;
    }
    place
}

/// Returns the array that these bytes are: one whole `.npy` file, nothing after it.
///
/// Takes at most [`NPY_BYTES_MAX`] bytes of memory, and never more than a small multiple of the bytes given.
///
/// # Errors
///
/// [`NpyError`] when the bytes are no such array, hold Python objects, or promise another length than they have.
pub fn read_npy(bytes: &[u8]) -> Result<NpyArray, NpyError> {
    read_npy_within(bytes, NPY_BYTES_MAX)
}

/// Returns the array that these bytes are, unless it takes more than `bytes_max` in memory.
pub(super) fn read_npy_within(bytes: &[u8], bytes_max: usize) -> Result<NpyArray, NpyError> {
    let (header, values) = split_header(bytes)?;
    let Header { descr, fortran_order, shape } = Parser { text: header, at: 0 }.header()?;
    let element = Element::of(&descr)?;
    let count = count_of(&shape);
    let expected = count.saturating_mul(element.bytes as u128);
    if expected != values.len() as u128 {
        return Err(NpyError::Length { shape: shape_text(&shape), descr, expected, got: values.len() });
    }
    let in_memory = count.saturating_mul(element.bytes_in_memory() as u128);
    if in_memory > bytes_max as u128 {
        return Err(NpyError::TooLarge { got: in_memory, max: bytes_max });
    }
    Ok(NpyArray { shape, fortran_order, values: element.values(values)? })
}

/// Splits the file into the text of its header and the values.
fn split_header(bytes: &[u8]) -> Result<(&[u8], &[u8]), NpyError> {
    let Some((&[major, minor], rest)) = bytes.strip_prefix(MAGIC).and_then(|rest| rest.split_first_chunk::<2>()) else {
        return Err(NpyError::NotNpy);
    };
    let (length, rest) = match (major, minor) {
        (1, 0) => rest.split_first_chunk::<2>().map(|(&length, rest)| (usize::from(u16::from_le_bytes(length)), rest)),
        (2 | 3, 0) => rest.split_first_chunk::<4>().map(|(&length, rest)| (u32::from_le_bytes(length) as usize, rest)),
        _ => return Err(NpyError::Version { major, minor }),
    }
    .ok_or(NpyError::NotNpy)?;
    if length > NPY_HEADER_BYTES_MAX {
        return Err(NpyError::HeaderLength { got: length, max: NPY_HEADER_BYTES_MAX });
    }
    rest.split_at_checked(length).ok_or(NpyError::HeaderCut { expected: length, got: rest.len() })
}

/// Returns the product of the lengths; one beyond counting is the largest number, which no bytes can match.
fn count_of(shape: &[usize]) -> u128 {
    if shape.contains(&0) {
        return 0;
    }
    shape.iter().fold(1, |count: u128, &length| count.saturating_mul(length as u128))
}

/// Returns a shape as Python spells it, such as `(3, 2)`, `(3,)` and `()`.
pub(super) fn shape_text(shape: &[usize]) -> String {
    let lengths: Vec<String> = shape.iter().map(usize::to_string).collect();
    format!("({}{})", lengths.join(", "), if shape.len() == 1 { "," } else { "" })
}

struct Header {
    descr: String,
    fortran_order: bool,
    shape: Vec<usize>,
}

/// Reads the one Python dictionary that a header is, without recursion.
struct Parser<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Parser<'a> {
    fn header(mut self) -> Result<Header, NpyError> {
        let (mut descr, mut fortran_order, mut shape) = (None, None, None);
        self.expect(b'{', "\"{\"")?;
        while !self.accept(b'}') {
            match self.string()? {
                b"descr" if descr.is_none() => descr = Some(self.after_colon(Self::descr)?),
                b"fortran_order" if fortran_order.is_none() => fortran_order = Some(self.after_colon(Self::boolean)?),
                b"shape" if shape.is_none() => shape = Some(self.after_colon(Self::shape)?),
                _ => return Err(self.expected("descr, fortran_order and shape once each")),
            }
            if !self.accept(b',') && self.peek() != Some(b'}') {
                return Err(self.expected("\",\" or \"}\""));
            }
        }
        if self.peek().is_some() {
            return Err(self.expected("nothing after \"}\""));
        }
        match (descr, fortran_order, shape) {
            (Some(descr), Some(fortran_order), Some(shape)) => Ok(Header { descr, fortran_order, shape }),
            _ => Err(self.expected("descr, fortran_order and shape once each")),
        }
    }

    fn after_colon<T>(&mut self, value: impl FnOnce(&mut Self) -> Result<T, NpyError>) -> Result<T, NpyError> {
        self.expect(b':', "\":\"")?;
        value(self)
    }

    /// A plain type is a string; a structured one is a list, which is kept as text for the message that refuses it.
    fn descr(&mut self) -> Result<String, NpyError> {
        let taken = match self.peek() {
            Some(b'\'' | b'"') => self.string()?,
            _ => self.balanced()?,
        };
        Ok(String::from_utf8_lossy(taken).chars().take(60).collect())
    }

    fn boolean(&mut self) -> Result<bool, NpyError> {
        self.peek();
        for (word, value) in [(b"True".as_slice(), true), (b"False".as_slice(), false)] {
            if self.text[self.at..].starts_with(word) {
                self.at += word.len();
                return Ok(value);
            }
        }
        Err(self.expected("True or False"))
    }

    fn shape(&mut self) -> Result<Vec<usize>, NpyError> {
        self.expect(b'(', "\"(\"")?;
        let mut shape = Vec::new();
        while !self.accept(b')') {
            shape.push(self.length()?);
            if shape.len() > DIMENSIONS_MAX {
                return Err(self.expected("at most 64 dimensions"));
            }
            if !self.accept(b',') && (self.peek() != Some(b')') || shape.len() == 1) {
                return Err(self.expected("\",\""));
            }
        }
        Ok(shape)
    }

    fn length(&mut self) -> Result<usize, NpyError> {
        self.peek();
        let digits = self.text[self.at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let text = std::str::from_utf8(&self.text[self.at..self.at + digits]).unwrap_or_default();
        let length = text.parse().map_err(|_| self.expected("a length"))?;
        self.at += digits;
        // Python 2 wrote its long integers as 3L.
        if self.text.get(self.at) == Some(&b'L') {
            self.at += 1;
        }
        Ok(length)
    }

    /// Returns the text between quotes; no name or type that we read has an escape in it.
    fn string(&mut self) -> Result<&'a [u8], NpyError> {
        let quote = self.peek().filter(|byte| matches!(byte, b'\'' | b'"')).ok_or(self.expected("a string"))?;
        let start = self.at + 1;
        let length = self.text[start..].iter().position(|&byte| byte == quote).ok_or(self.expected("a string"))?;
        self.at = start + length + 1;
        Ok(&self.text[start..start + length])
    }

    /// Returns a value in brackets, strings with escapes and all.
    fn balanced(&mut self) -> Result<&'a [u8], NpyError> {
        let (start, mut depth, mut quote) = (self.at, 0_usize, None);
        while let Some(&byte) = self.text.get(self.at) {
            self.at += 1;
            match (quote, byte) {
                (Some(_), b'\\') => self.at += 1,
                (Some(open), _) if open == byte => quote = None,
                (Some(_), _) => {}
                (None, b'\'' | b'"') => quote = Some(byte),
                (None, b'[' | b'(') => depth += 1,
                (None, b']' | b')') if depth > 1 => depth -= 1,
                (None, b']' | b')') if depth == 1 => return Ok(&self.text[start..self.at]),
                (None, _) if depth == 0 => break,
                (None, _) => {}
            }
        }
        Err(self.expected("a type"))
    }

    /// Returns the next byte that is no white space, and stands before it.
    fn peek(&mut self) -> Option<u8> {
        while self.text.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
        self.text.get(self.at).copied()
    }

    fn accept(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, byte: u8, expected: &'static str) -> Result<(), NpyError> {
        if self.accept(byte) { Ok(()) } else { Err(self.expected(expected)) }
    }

    fn expected(&self, expected: &'static str) -> NpyError {
        NpyError::Header { expected, at: self.at.min(self.text.len()) }
    }
}

/// What one value of an array is in the file.
struct Element {
    kind: u8,
    bytes: usize,
    is_big_endian: bool,
}

impl Element {
    fn of(descr: &str) -> Result<Self, NpyError> {
        let refused = || NpyError::Type { descr: descr.to_owned() };
        let (order, kind, digits) = match descr.as_bytes() {
            [order @ (b'<' | b'>' | b'|'), kind, digits @ ..] => (*order, *kind, digits),
            [b'O', ..] => return Err(NpyError::Object),
            _ => return Err(refused()),
        };
        if kind == b'O' {
            return Err(NpyError::Object);
        }
        if !digits.iter().all(u8::is_ascii_digit) {
            return Err(refused());
        }
        let size: usize = std::str::from_utf8(digits).ok().and_then(|text| text.parse().ok()).ok_or_else(refused)?;
        let bytes = match (kind, size) {
            (b'f', 4 | 8) | (b'i' | b'u', 1 | 2 | 4 | 8) | (b'b', 1) => size,
            // Text of no width at all would be values without bytes: any number of them in an empty file.
            (b'S', 1..) => size,
            (b'U', 1..) => size.checked_mul(4).ok_or_else(refused)?,
            _ => return Err(refused()),
        };
        Ok(Self { kind, bytes, is_big_endian: order == b'>' })
    }

    fn bytes_in_memory(&self) -> usize {
        match self.kind {
            b'f' | b'b' => self.bytes,
            b'U' | b'S' => self.bytes.saturating_add(size_of::<String>()),
            _ => 8,
        }
    }

    fn values(&self, bytes: &[u8]) -> Result<NpyValues, NpyError> {
        let big = self.is_big_endian;
        Ok(match (self.kind, self.bytes) {
            (b'f', 4) => NpyValues::F32(words(bytes, big, f32::from_le_bytes)),
            (b'f', _) => NpyValues::F64(words(bytes, big, f64::from_le_bytes)),
            (b'i', 1) => NpyValues::I64(words(bytes, big, |word| i8::from_le_bytes(word).into())),
            (b'i', 2) => NpyValues::I64(words(bytes, big, |word| i16::from_le_bytes(word).into())),
            (b'i', 4) => NpyValues::I64(words(bytes, big, |word| i32::from_le_bytes(word).into())),
            (b'i', _) => NpyValues::I64(words(bytes, big, i64::from_le_bytes)),
            (b'u', 1) => NpyValues::U64(words(bytes, big, |word| u8::from_le_bytes(word).into())),
            (b'u', 2) => NpyValues::U64(words(bytes, big, |word| u16::from_le_bytes(word).into())),
            (b'u', 4) => NpyValues::U64(words(bytes, big, |word| u32::from_le_bytes(word).into())),
            (b'u', _) => NpyValues::U64(words(bytes, big, u64::from_le_bytes)),
            (b'b', _) => NpyValues::Bool(bytes.iter().map(|&byte| byte != 0).collect()),
            (b'S', width) => NpyValues::Text(texts(bytes, width, |bytes| {
                let length = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
                std::str::from_utf8(&bytes[..length]).ok().map(str::to_owned)
            })?),
            (_, width) => NpyValues::Text(texts(bytes, width, |bytes| {
                let codes = words(bytes, big, u32::from_le_bytes);
                let length = codes.iter().rposition(|&code| code != 0).map_or(0, |last| last + 1);
                codes[..length].iter().map(|&code| char::from_u32(code)).collect()
            })?),
        })
    }
}

/// Returns the numbers of `N` bytes each; `of` takes them with the lowest byte first.
fn words<const N: usize, T>(bytes: &[u8], is_big_endian: bool, of: impl Fn([u8; N]) -> T) -> Vec<T> {
    let in_order = |mut word: [u8; N]| {
        if is_big_endian {
            word.reverse();
        }
        word
    };
    bytes.as_chunks::<N>().0.iter().map(|&word| of(in_order(word))).collect()
}

fn texts(bytes: &[u8], width: usize, of: impl Fn(&[u8]) -> Option<String>) -> Result<Vec<String>, NpyError> {
    bytes.chunks_exact(width).enumerate().map(|(index, text)| of(text).ok_or(NpyError::Text { index })).collect()
}

/// Returns the bytes that `numpy.save` writes for this array on a little-endian machine.
///
/// # Errors
///
/// [`NpyError`] when the shape is not of these values, a text ends with a NUL, or the array is over
/// [`NPY_BYTES_MAX`].
pub fn write_npy(array: &NpyArray) -> Result<Vec<u8>, NpyError> {
    array.check()?;
    let (descr, values) = value_bytes(&array.values)?;
    let mut bytes = header_bytes(&descr, array)?;
    bytes.extend(values);
    Ok(bytes)
}

fn header_bytes(descr: &str, array: &NpyArray) -> Result<Vec<u8>, NpyError> {
    let order = if array.fortran_order { "True" } else { "False" };
    let mut text = format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {}, }}", shape_text(&array.shape));
    let growing = if array.fortran_order { array.shape.last() } else { array.shape.first() };
    if let Some(length) = growing {
        let room = GROWTH_DIGITS.saturating_sub(length.to_string().len());
        text.extend(std::iter::repeat_n(' ', room));
    }
    let before = MAGIC.len() + 4;
    let padding = ALIGNMENT - (before + text.len() + 1) % ALIGNMENT;
    let length = text.len() + padding + 1;
    let length =
        u16::try_from(length).map_err(|_| NpyError::HeaderLength { got: length, max: usize::from(u16::MAX) })?;
    let mut bytes = MAGIC.to_vec();
    bytes.extend([1, 0]);
    bytes.extend(length.to_le_bytes());
    bytes.extend(text.as_bytes());
    bytes.resize(bytes.len() + padding, b' ');
    bytes.push(b'\n');
    Ok(bytes)
}

fn value_bytes(values: &NpyValues) -> Result<(String, Vec<u8>), NpyError> {
    let width = match values {
        NpyValues::Text(texts) => text_width(texts)?,
        _ => 1,
    };
    let bytes_each = match values {
        NpyValues::F32(_) => 4,
        NpyValues::Bool(_) => 1,
        NpyValues::Text(_) => width.saturating_mul(4),
        _ => 8,
    };
    let total = values.len() as u128 * bytes_each as u128;
    if total > NPY_BYTES_MAX as u128 {
        return Err(NpyError::TooLarge { got: total, max: NPY_BYTES_MAX });
    }
    Ok(match values {
        NpyValues::F32(values) => ("<f4".to_owned(), values.iter().flat_map(|value| value.to_le_bytes()).collect()),
        NpyValues::F64(values) => ("<f8".to_owned(), values.iter().flat_map(|value| value.to_le_bytes()).collect()),
        NpyValues::I64(values) => ("<i8".to_owned(), values.iter().flat_map(|value| value.to_le_bytes()).collect()),
        NpyValues::U64(values) => ("<u8".to_owned(), values.iter().flat_map(|value| value.to_le_bytes()).collect()),
        NpyValues::Bool(values) => ("|b1".to_owned(), values.iter().map(|&value| u8::from(value)).collect()),
        NpyValues::Text(values) => {
            let codes = values.iter().flat_map(|text| text.chars().chain(std::iter::repeat('\0')).take(width));
            (format!("<U{width}"), codes.flat_map(|code| u32::from(code).to_le_bytes()).collect())
        }
    })
}

/// Returns the width that holds every text; NumPy gives the empty one a width of 1.
fn text_width(texts: &[String]) -> Result<usize, NpyError> {
    if let Some(index) = texts.iter().position(|text| text.ends_with('\0')) {
        return Err(NpyError::TrailingNul { index });
    }
    Ok(texts.iter().map(|text| text.chars().count()).max().unwrap_or(0).max(1))
}
