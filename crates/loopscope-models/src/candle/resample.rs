//! Pictures at other sizes, equal to Pillow's to the byte.
//!
//! The processors of all captioners and image embedders resize with Pillow, and a caption can turn on a pixel. Two
//! passes, over rows and over columns, each a weighted sum in integers of 22 fractional bits and rounded to bytes in
//! between; the weights widen with the scale, so that shrinking averages. Which pass is first changes the rounding: it is
//! that of Pillow 13, found by trying (`columns_first`).

use loopscope_core::experiment::Picture;

/// How a pixel is weighed by its distance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Filter {
    /// A triangle: support 1.
    Bilinear,
    /// Keys' cubic with a = −1/2: support 2.
    Bicubic,
    /// A sinc in a sinc window: support 3.
    Lanczos,
}

/// Fractional bits of a weight: what a sum of bytes by weights leaves of 32.
const BITS: u32 = 32 - 8 - 2;

impl Filter {
    /// Returns the filter of Pillow's number for it.
    pub(crate) const fn from_number(number: u64) -> Option<Self> {
        match number {
            1 => Some(Self::Lanczos),
            2 => Some(Self::Bilinear),
            3 => Some(Self::Bicubic),
            _ => None,
        }
    }

    const fn support(self) -> f64 {
        match self {
            Self::Bilinear => 1.0,
            Self::Bicubic => 2.0,
            Self::Lanczos => 3.0,
        }
    }

    fn weight(self, distance: f64) -> f64 {
        let x = distance.abs();
        match self {
            Self::Bilinear => (1.0 - x).max(0.0),
            Self::Bicubic if x < 1.0 => (1.5 * x - 2.5) * x * x + 1.0,
            Self::Bicubic if x < 2.0 => ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0,
            Self::Lanczos if x < 3.0 => sinc(x) * sinc(x / 3.0),
            Self::Bicubic | Self::Lanczos => 0.0,
        }
    }
}

fn sinc(x: f64) -> f64 {
    if x == 0.0 {
        return 1.0;
    }
    let turn = x * std::f64::consts::PI;
    turn.sin() / turn
}

/// Where a pixel of the result looks: the first pixel of the source, and a weight for each from there.
struct Look {
    first: usize,
    weights: Vec<i64>,
}

fn looks(from: usize, to: usize, filter: Filter) -> Vec<Look> {
    let scale = from as f64 / to as f64;
    let stretch = scale.max(1.0);
    let support = filter.support() * stretch;
    let look = |at: usize| {
        let centre = (at as f64 + 0.5) * scale;
        let first = ((centre - support + 0.5) as i64).max(0) as usize;
        let end = ((centre + support + 0.5) as usize).min(from);
        let weights: Vec<f64> =
            (first..end).map(|pixel| filter.weight((pixel as f64 - centre + 0.5) / stretch)).collect();
        let total: f64 = weights.iter().sum();
        let fixed = |weight: &f64| {
            let scaled = weight / total * f64::from(1 << BITS);
            (if scaled < 0.0 { scaled - 0.5 } else { scaled + 0.5 }) as i64
        };
        Look { first, weights: weights.iter().map(fixed).collect() }
    };
    (0..to).map(look).collect()
}

/// Returns the byte of a weighed sum.
fn byte(sum: i64) -> u8 {
    (sum >> BITS).clamp(0, 255) as u8
}

/// Returns the pixels of a picture at another size: `width * height` triples, row by row.
pub(crate) fn resize(picture: &Picture, width: usize, height: usize, filter: Filter) -> Vec<u8> {
    let (from_width, from_height) = (picture.width() as usize, picture.height() as usize);
    let rows = |pixels: Vec<u8>| {
        if width == from_width { pixels } else { resize_rows(&pixels, from_width, &looks(from_width, width, filter)) }
    };
    let columns = |pixels: Vec<u8>, width: usize| {
        if height == from_height { pixels } else { resize_columns(&pixels, width, &looks(from_height, height, filter)) }
    };
    let pixels = picture.rgb().to_vec();
    if columns_first([from_width, width], [from_height, height]) {
        rows(columns(pixels, from_width))
    } else {
        columns(rows(pixels), width)
    }
}

/// Whether Pillow 13 goes over columns first: when the height loses more than twice what the width loses, in pixels.
const fn columns_first([from_width, width]: [usize; 2], [from_height, height]: [usize; 2]) -> bool {
    height < from_height && from_height + 2 * width > height + 2 * from_width
}

fn resize_rows(pixels: &[u8], width: usize, looks: &[Look]) -> Vec<u8> {
    let mut out = Vec::with_capacity(pixels.len() / width * looks.len());
    for row in pixels.chunks_exact(width * 3) {
        for look in looks {
            let mut sums = [1_i64 << (BITS - 1); 3];
            for (pixel, weight) in row[look.first * 3..].chunks_exact(3).zip(&look.weights) {
                for (sum, value) in sums.iter_mut().zip(pixel) {
                    *sum += i64::from(*value) * weight;
                }
            }
            out.extend(sums.map(byte));
        }
    }
    out
}

fn resize_columns(pixels: &[u8], width: usize, looks: &[Look]) -> Vec<u8> {
    let row = width * 3;
    let mut out = Vec::with_capacity(row * looks.len());
    let mut sums = vec![0_i64; row];
    for look in looks {
        sums.fill(1 << (BITS - 1));
        for (source, weight) in pixels[look.first * row..].chunks_exact(row).zip(&look.weights) {
            for (sum, value) in sums.iter_mut().zip(source) {
                *sum += i64::from(*value) * weight;
            }
        }
        out.extend(sums.iter().map(|sum| byte(*sum)));
    }
    out
}
