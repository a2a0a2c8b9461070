//! Pictures as pixels, and the hashes that name them.
//!
//! Inside the program a picture travels as pixels: decoding what was just encoded would cost more than the store does.

use std::fmt;

/// A BLAKE3 hash: 32 bytes, shown as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash([u8; 32]);

impl Hash {
    /// Returns the hash of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// Returns the hash with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash({self})")
    }
}

/// What is wrong with the numbers that were to become a picture.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum PictureError {
    /// A side of zero, or one that WebP cannot hold.
    #[error("a picture is 1 to 16384 pixels wide and high, got {width} × {height}")]
    Size {
        /// Given width.
        width: u32,
        /// Given height.
        height: u32,
    },
    /// The bytes do not fill the sides.
    #[error("a picture of {width} × {height} needs {expected} bytes of RGB, got {got}")]
    Length {
        /// Given width.
        width: u32,
        /// Given height.
        height: u32,
        /// Width × height × 3.
        expected: usize,
        /// Given bytes.
        got: usize,
    },
}

/// A picture of RGB8 pixels, rows from the top, each from the left; never empty.
#[derive(Clone, PartialEq, Eq)]
pub struct Picture {
    width: u32,
    height: u32,
    rgb: Vec<u8>,
}

impl Picture {
    /// The longest side, in pixels: what lossless WebP can hold.
    pub const SIDE_MAX: u32 = 16_384;

    /// Returns the picture of these pixels: `rgb` holds `width * height` triples, row by row from the top left.
    ///
    /// # Errors
    ///
    /// [`PictureError`] when a side is 0 or over [`SIDE_MAX`](Self::SIDE_MAX), or `rgb` is not `width * height * 3` long.
    pub fn new(width: u32, height: u32, rgb: Vec<u8>) -> Result<Self, PictureError> {
        if !(1..=Self::SIDE_MAX).contains(&width) || !(1..=Self::SIDE_MAX).contains(&height) {
            return Err(PictureError::Size { width, height });
        }
        let expected = width as usize * height as usize * 3;
        if rgb.len() != expected {
            return Err(PictureError::Length { width, height, expected, got: rgb.len() });
        }
        Ok(Self { width, height, rgb })
    }

    /// Returns the width in pixels, at least 1.
    #[must_use]
    pub const fn width(&self) -> u32 {
        self.width
    }

    /// Returns the height in pixels, at least 1.
    #[must_use]
    pub const fn height(&self) -> u32 {
        self.height
    }

    /// Returns the pixels: `width * height` triples of red, green, blue, row by row from the top left.
    #[must_use]
    pub fn rgb(&self) -> &[u8] {
        &self.rgb
    }

    /// Returns the hash that says whether two pictures are equal, whatever encoder wrote them.
    ///
    /// BLAKE3 of the width and the height, each as 4 little-endian bytes, and then the pixels.
    #[must_use]
    pub fn pixel_hash(&self) -> Hash {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.width.to_le_bytes()).update(&self.height.to_le_bytes()).update(&self.rgb);
        Hash(*hasher.finalize().as_bytes())
    }
}

impl fmt::Debug for Picture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Picture({} × {}, {})", self.width, self.height, self.pixel_hash())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_have_the_bytes_that_their_sides_need() {
        assert!(matches!(Picture::new(0, 1, vec![]), Err(PictureError::Size { .. })));
        assert!(matches!(Picture::new(2, 1, vec![0; 5]), Err(PictureError::Length { expected: 6, got: 5, .. })));
        assert!(Picture::new(2, 1, vec![0; 6]).is_ok());
    }

    #[test]
    fn pictures_of_equal_bytes_and_other_sides_have_other_hashes() {
        let flat = Picture::new(2, 1, vec![7; 6]).unwrap();
        let tall = Picture::new(1, 2, vec![7; 6]).unwrap();
        assert_ne!(flat.pixel_hash(), tall.pixel_hash());
    }
}
