//! Pictures on sheets of pixels.

use loopscope_core::experiment::Picture;

use crate::Raster;
use crate::figure::Color;

/// A rectangle of pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rect {
    pub(crate) left: usize,
    pub(crate) top: usize,
    pub(crate) width: usize,
    pub(crate) height: usize,
}

impl Raster {
    /// Returns a sheet of one colour.
    pub(crate) fn filled(width: u32, height: u32, color: Color) -> Self {
        Self { width, height, rgb: color.repeat(width as usize * height as usize) }
    }

    /// Fills a rectangle; what lies outside of the sheet is left out.
    #[cfg(any(feature = "video", test))]
    pub(crate) fn fill(&mut self, place: Rect, color: Color) {
        let (right, bottom) = self.clip(place);
        for y in place.top.min(bottom)..bottom {
            let row = y * self.width as usize;
            for pixel in self.rgb[(row + place.left.min(right)) * 3..(row + right) * 3].chunks_exact_mut(3) {
                pixel.copy_from_slice(&color);
            }
        }
    }

    /// Copies pixels onto the sheet; what lies outside of it is left out.
    pub(crate) fn paste(&mut self, left: usize, top: usize, other: &Self) {
        let place = Rect { left, top, width: other.width as usize, height: other.height as usize };
        let (right, bottom) = self.clip(place);
        if left >= right {
            return;
        }
        for y in top..bottom {
            let from = (y - top) * place.width * 3;
            let to = (y * self.width as usize + left) * 3;
            let length = (right - left) * 3;
            self.rgb[to..to + length].copy_from_slice(&other.rgb[from..from + length]);
        }
    }

    fn clip(&self, place: Rect) -> (usize, usize) {
        ((place.left + place.width).min(self.width as usize), (place.top + place.height).min(self.height as usize))
    }
}

/// Scales a picture into a box, as large as fits: a mean of what each pixel covers when it shrinks, a blend of the four nearest when it grows.
pub(crate) fn scaled(picture: &Picture, width_max: usize, height_max: usize) -> Raster {
    let (from_width, from_height) = (picture.width() as usize, picture.height() as usize);
    let scale = (width_max as f64 / from_width as f64).min(height_max as f64 / from_height as f64);
    let width = ((from_width as f64 * scale).round() as usize).clamp(1, width_max.max(1));
    let height = ((from_height as f64 * scale).round() as usize).clamp(1, height_max.max(1));
    let (columns, rows) = (weights(from_width, width), weights(from_height, height));
    // Rows first, then columns: each pixel of the source is read once.
    let mut squeezed = vec![0.0_f32; height * from_width * 3];
    for (y, taps) in rows.iter().enumerate() {
        let line = &mut squeezed[y * from_width * 3..(y + 1) * from_width * 3];
        for &(source, weight) in taps {
            let from = &picture.rgb()[source * from_width * 3..(source + 1) * from_width * 3];
            line.iter_mut().zip(from).for_each(|(sum, &value)| *sum += weight * f32::from(value));
        }
    }
    let mut rgb = vec![0_u8; width * height * 3];
    for y in 0..height {
        let line = &squeezed[y * from_width * 3..(y + 1) * from_width * 3];
        for (x, taps) in columns.iter().enumerate() {
            let mut sums = [0.0_f32; 3];
            for &(source, weight) in taps {
                for (sum, value) in sums.iter_mut().zip(&line[source * 3..source * 3 + 3]) {
                    *sum += weight * value;
                }
            }
            let at = (y * width + x) * 3;
            rgb[at..at + 3].copy_from_slice(&sums.map(|sum| sum.round().clamp(0.0, 255.0) as u8));
        }
    }
    Raster { width: width as u32, height: height as u32, rgb }
}

/// Returns for each target pixel the source pixels that it is made of, with weights that sum to 1.
fn weights(from: usize, to: usize) -> Vec<Vec<(usize, f32)>> {
    let ratio = from as f64 / to as f64;
    (0..to)
        .map(|target| {
            if ratio <= 1.0 {
                let center = ((target as f64 + 0.5) * ratio - 0.5).clamp(0.0, (from - 1) as f64);
                let (low, share) = (center.floor() as usize, center.fract() as f32);
                let high = (low + 1).min(from - 1);
                return if share == 0.0 || low == high {
                    vec![(low, 1.0)]
                } else {
                    vec![(low, 1.0 - share), (high, share)]
                };
            }
            let (begin, end) = (target as f64 * ratio, (target + 1) as f64 * ratio);
            (begin as usize..(end.ceil() as usize).min(from))
                .map(|source| {
                    let covered = (end.min(source as f64 + 1.0) - begin.max(source as f64)).max(0.0);
                    (source, (covered / ratio) as f32)
                })
                .filter(|(_, weight)| *weight > 0.0)
                .collect()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn picture(width: u32, height: u32) -> Picture {
        let rgb =
            (0..width * height).flat_map(|i| [(i % 251) as u8, (i * 7 % 241) as u8, (i * 31 % 239) as u8]).collect();
        Picture::new(width, height, rgb).unwrap()
    }

    #[test]
    fn the_same_size_is_the_same_picture_and_one_colour_stays_itself() {
        let original = picture(17, 9);
        assert_eq!(scaled(&original, 17, 9).rgb, original.rgb());
        let red = Picture::new(40, 30, [200, 10, 30].repeat(1200)).unwrap();
        for side in [1, 7, 33, 95] {
            assert!(scaled(&red, side, side).rgb.chunks_exact(3).all(|pixel| pixel == [200, 10, 30]));
        }
    }

    #[test]
    fn what_lies_outside_of_the_sheet_is_left_out() {
        let mut sheet = Raster::filled(8, 6, [0; 3]);
        sheet.paste(5, 4, &Raster::filled(10, 10, [9; 3]));
        sheet.paste(20, 20, &Raster::filled(2, 2, [9; 3]));
        sheet.fill(Rect { left: 7, top: 0, width: 9, height: 1 }, [1; 3]);
        assert_eq!(sheet.rgb.iter().filter(|value| **value == 9).count(), 3 * 2 * 3);
        assert_eq!(sheet.rgb.iter().filter(|value| **value == 1).count(), 3);
    }

    proptest! {
        #[test]
        fn scaling_keeps_the_mean_and_fits(width in 1..60_u32, height in 1..60_u32, w in 1..80_usize, h in 1..80_usize) {
            let original = picture(width, height);
            let small = scaled(&original, w, h);
            prop_assert!(small.width as usize <= w && small.height as usize <= h);
            prop_assert_eq!(small.rgb.len(), (small.width * small.height * 3) as usize);
            for taps in [weights(width as usize, w), weights(height as usize, h)].concat() {
                let sum: f32 = taps.iter().map(|tap| tap.1).sum();
                prop_assert!((sum - 1.0).abs() < 1e-4);
            }
        }
    }
}
