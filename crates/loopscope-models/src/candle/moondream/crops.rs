//! A picture seen twice: whole, and in overlapping cuts at its own size, put together to the rows of the whole.
//!
//! A cut keeps a margin of squares around what it is for, so that squares at its edges have been seen with their
//! neighbours; margins are dropped again where cuts meet. Facts from `image_crops.py` and `vision.py` of the authors.

use loopscope_core::experiment::Picture;

use crate::candle::resample::{Filter, resize};

/// How pictures are cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Crops {
    /// Squares along a side of a cut.
    pub(super) grid: usize,
    /// Pixels along a side of a square.
    pub(super) patch: usize,
    /// Squares of a margin; two of them are less than the grid.
    pub(super) margin: usize,
    /// Most cuts of a picture.
    pub(super) most: usize,
}

/// A picture's cuts.
#[derive(Debug)]
pub(super) struct Cut {
    /// All of it, at the size of a cut.
    pub(super) whole: Picture,
    /// Row by row; none where there would be one, which is the whole.
    pub(super) cuts: Vec<Picture>,
    /// Cuts down and across.
    pub(super) tiling: [usize; 2],
}

impl Crops {
    /// Squares along a side of what a cut is for.
    const fn inner(&self) -> usize {
        self.grid - 2 * self.margin
    }

    /// Cuts a picture; resampled as Pillow's Lanczos.
    pub(super) fn cut(&self, picture: &Picture) -> Cut {
        let (side, window, edge) = (self.grid * self.patch, self.inner() * self.patch, 2 * self.margin * self.patch);
        let inside = |pixels: u32| (pixels as usize).saturating_sub(edge);
        let [down, across] = tiling([inside(picture.height()), inside(picture.width())], window, self.most);
        let whole = square(resize(picture, side, side, Filter::Lanczos), side);
        if down * across == 1 {
            return Cut { whole, cuts: Vec::new(), tiling: [1, 1] };
        }
        let (height, width) = (down * window + edge, across * window + edge);
        let fitted = resize(picture, width, height, Filter::Lanczos);
        let at = |index: usize| {
            let (top, left) = (index / across * window, index % across * window);
            let row = |line: usize| &fitted[((top + line) * width + left) * 3..][..side * 3];
            square((0..side).flat_map(row).copied().collect(), side)
        };
        Cut { whole, cuts: (0..down * across).map(at).collect(), tiling: [down, across] }
    }

    /// Returns the rows of the cuts as those of one picture of `grid` by `grid` squares: each row of the result is the
    /// mean of the squares that it covers.
    ///
    /// `rows` holds `grid * grid` rows of `width` numbers for each cut.
    pub(super) fn together(&self, rows: &[Vec<f32>], [down, across]: [usize; 2], width: usize) -> Vec<f32> {
        let size = |cuts: usize| cuts * self.inner() + 2 * self.margin;
        let of = |y: usize, x: usize| {
            let [(row, y), (column, x)] = [self.place(y, down), self.place(x, across)];
            &rows[row * across + column][(y * self.grid + x) * width..][..width]
        };
        let mut pooled = Vec::with_capacity(self.grid * self.grid * width);
        for index in 0..self.grid * self.grid {
            let (ys, xs) = (self.covered(index / self.grid, size(down)), self.covered(index % self.grid, size(across)));
            let count = (ys.len() * xs.len()) as f32;
            let start = pooled.len();
            pooled.resize(start + width, 0.0_f32);
            for y in ys {
                for x in xs.clone() {
                    for (sum, value) in pooled[start..].iter_mut().zip(of(y, x)) {
                        *sum += value;
                    }
                }
            }
            pooled[start..].iter_mut().for_each(|sum| *sum /= count);
        }
        pooled
    }

    /// Returns which cut of a row or column a square is taken from, and where it lies in it.
    const fn place(&self, square: usize, cuts: usize) -> (usize, usize) {
        let inner = square.saturating_sub(self.margin) / self.inner();
        let cut = if inner < cuts { inner } else { cuts - 1 };
        (cut, square - cut * self.inner())
    }

    /// Returns the squares that one of `grid` covers when there are `size` along a side.
    const fn covered(&self, index: usize, size: usize) -> std::ops::Range<usize> {
        index * size / self.grid..((index + 1) * size).div_ceil(self.grid)
    }
}

fn square(pixels: Vec<u8>, side: usize) -> Picture {
    let edge = u32::try_from(side).expect("a cut of a few hundred pixels");
    Picture::new(edge, edge, pixels).expect("three bytes for every pixel of a square")
}

/// Returns how many cuts a picture without its margins has, down and across: as many as its shape and the limit allow.
pub(super) fn tiling([height, width]: [usize; 2], window: usize, most: usize) -> [usize; 2] {
    if height <= window || width <= window {
        return [1, 1];
    }
    let (least_down, least_across) = (height.div_ceil(window), width.div_ceil(window));
    let floor = |value: f64| value.floor() as usize;
    if least_down * least_across > most {
        let ratio = (most as f64 / (least_down * least_across) as f64).sqrt();
        return [least_down, least_across].map(|least| floor(least as f64 * ratio).max(1));
    }
    let fitting = |along: usize, other: usize| floor(((most * along) as f64 / other as f64).sqrt());
    let (mut down, mut across) = (least_down.max(fitting(height, width)), least_across.max(fitting(width, height)));
    if down * across > most {
        if across > down {
            across = most / down;
        } else {
            down = most / across;
        }
    }
    [down.max(1), across.max(1)]
}

#[cfg(test)]
mod tests {
    use super::*;

    const CROPS: Crops = Crops { grid: 5, patch: 2, margin: 1, most: 9 };

    #[test]
    fn every_square_is_taken_once_from_where_it_was_cut() {
        // Rows hold the number of their square in the whole picture, by the cut's own place.
        for (down, across) in [(1, 1), (1, 4), (3, 2)] {
            let size = |cuts: usize| cuts * 3 + 2;
            let rows: Vec<Vec<f32>> = (0..down * across)
                .map(|cut| {
                    let (top, left) = (cut / across * 3, cut % across * 3);
                    (0..25).map(|square| ((top + square / 5) * size(across) + left + square % 5) as f32).collect()
                })
                .collect();
            let pooled = CROPS.together(&rows, [down, across], 1);
            // The mean over what a square covers is the number in its middle.
            for (index, got) in pooled.iter().enumerate() {
                let middle = |index: usize, size: usize| {
                    let covered = CROPS.covered(index, size);
                    (covered.start + covered.end - 1) as f32 / 2.0
                };
                let (y, x) = (middle(index / 5, size(down)), middle(index % 5, size(across)));
                assert!((got - (y * size(across) as f32 + x)).abs() < 1e-4, "{down} by {across}, {index}: {got}");
            }
        }
    }

    #[test]
    fn a_picture_of_one_cut_is_the_whole_and_others_overlap_by_two_margins() {
        let pixels = |width: u32, height: u32| {
            let at = |index: u32| [(index % width) as u8 * 5, (index / width) as u8 * 5, 7];
            Picture::new(width, height, (0..width * height).flat_map(at).collect()).unwrap()
        };
        let small = CROPS.cut(&pixels(10, 9));
        assert_eq!((small.tiling, small.cuts.len(), small.whole.width()), ([1, 1], 0, 10));
        // 16 − 4 pixels inside are two windows of 6 both ways, and nothing is resampled.
        let large = CROPS.cut(&pixels(22, 22));
        assert_eq!((large.tiling, large.cuts.len()), ([3, 3], 9));
        assert_eq!(large.cuts[5].rgb()[..3], [60, 30, 7]);
    }
}
