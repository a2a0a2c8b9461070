//! From a picture to what a model sees of it, as the file `preprocessor_config.json` says: resize, crop, scale, centre.

use loopscope_core::backend::ModelError;
use loopscope_core::experiment::Picture;
use serde::Deserialize;

use super::files::Files;
use super::resample::{Filter, resize};

/// The file that says how.
pub(crate) const FILE: &str = "preprocessor_config.json";

/// Longest side of a picture that a model may want; none known wants more than a few thousand.
pub(crate) const SIDE_MAX: usize = 1 << 14;

/// What a size is in a config: the sides, the shorter side, or one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
enum Size {
    Sides { height: usize, width: usize },
    Shortest { shortest_edge: usize },
    Number(usize),
}

const fn yes() -> bool {
    true
}

const fn per_255() -> f64 {
    1.0 / 255.0
}

const fn bicubic() -> u64 {
    3
}

#[derive(Deserialize)]
struct Config {
    #[serde(default = "yes")]
    do_resize: bool,
    size: Option<Size>,
    #[serde(default = "bicubic")]
    resample: u64,
    #[serde(default)]
    do_center_crop: bool,
    crop_size: Option<Size>,
    #[serde(default = "yes")]
    do_rescale: bool,
    #[serde(default = "per_255")]
    rescale_factor: f64,
    #[serde(default = "yes")]
    do_normalize: bool,
    image_mean: [f32; 3],
    image_std: [f32; 3],
}

/// How one number for a size is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Number {
    /// Both sides.
    Square,
    /// The shorter side.
    Shortest,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Resize {
    To(usize, usize),
    Shortest(usize),
}

/// How pictures are prepared.
#[derive(Clone, Debug)]
pub(crate) struct Preparation {
    resize: Resize,
    filter: Filter,
    /// Height and width of what is cut from the middle.
    crop: Option<[usize; 2]>,
    scale: f64,
    mean: [f32; 3],
    deviation: [f32; 3],
}

impl Preparation {
    /// Reads how pictures are prepared.
    ///
    /// # Errors
    ///
    /// [`ModelError`] that names the file and the key.
    pub(crate) fn read(files: &Files<'_>, number: Number) -> Result<Self, ModelError> {
        let config: Config = files.json(FILE)?;
        let error = |what: &str| Err(files.error(FILE, what));
        if !config.do_resize || !config.do_rescale || !config.do_normalize {
            return error("do_resize, do_rescale and do_normalize: expected true for each");
        }
        let resize = match (config.size, number) {
            (Some(Size::Sides { height, width }), _) => Resize::To(height, width),
            (Some(Size::Shortest { shortest_edge }), _) => Resize::Shortest(shortest_edge),
            (Some(Size::Number(side)), Number::Square) => Resize::To(side, side),
            (Some(Size::Number(side)), Number::Shortest) => Resize::Shortest(side),
            (None, _) => return error("missing field `size`"),
        };
        let crop = match (config.do_center_crop, config.crop_size) {
            (false, _) => None,
            (true, Some(Size::Sides { height, width })) => Some([height, width]),
            (true, Some(Size::Number(side))) => Some([side, side]),
            (true, _) => return error("crop_size: expected height and width"),
        };
        let Some(filter) = Filter::from_number(config.resample) else {
            return error("resample: expected 1, 2 or 3 (Lanczos, bilinear, bicubic)");
        };
        let smallest = match resize {
            Resize::To(height, width) => [height, width],
            Resize::Shortest(side) => [side, side],
        };
        let sides = crop.unwrap_or(smallest);
        if let Some(side) = smallest.into_iter().find(|side| *side > SIDE_MAX) {
            return error(&format!("size: expected sides up to {SIDE_MAX}, got {side}"));
        }
        if sides.contains(&0) || smallest.iter().zip(sides).any(|(smallest, side)| *smallest < side) {
            return error("crop_size: expected sides from 1 to those of `size`");
        }
        if crop.is_none() && matches!(resize, Resize::Shortest(_)) {
            return error("size: expected height and width, or a crop to them");
        }
        let (mean, deviation) = (config.image_mean, config.image_std);
        Ok(Self { resize, filter, crop, scale: config.rescale_factor, mean, deviation })
    }

    /// Returns the preparation to `side` by `side` pixels, bicubic, to numbers from −1 to 1.
    pub(crate) const fn square(side: usize) -> Self {
        let half = [0.5; 3];
        let (resize, filter) = (Resize::To(side, side), Filter::Bicubic);
        Self { resize, filter, crop: None, scale: per_255(), mean: half, deviation: half }
    }

    /// Returns height and width of every prepared picture.
    pub(crate) const fn sides(&self) -> [usize; 2] {
        match (self.crop, self.resize) {
            (Some(sides), _) => sides,
            (None, Resize::To(height, width)) => [height, width],
            (None, Resize::Shortest(side)) => [side, side],
        }
    }

    /// Returns what the model sees: red, then green, then blue, each `height * width` numbers row by row.
    pub(crate) fn prepare(&self, picture: &Picture) -> Vec<f32> {
        let [height, width] = self.resized(picture);
        let pixels = resize(picture, width, height, self.filter);
        let [crop_height, crop_width] = self.crop.unwrap_or([height, width]);
        let (top, left) = ((height - crop_height) / 2, (width - crop_width) / 2);
        let mut seen = Vec::with_capacity(3 * crop_height * crop_width);
        for channel in 0..3 {
            // Of each byte once, in the precision and order of the reference.
            let value = |byte: usize| {
                let scaled = (byte as f64 * self.scale) as f32;
                (scaled - self.mean[channel]) / self.deviation[channel]
            };
            let values: Vec<f32> = (0..256).map(value).collect();
            for row in pixels.chunks_exact(width * 3).skip(top).take(crop_height) {
                let row = &row[left * 3..(left + crop_width) * 3];
                seen.extend(row.chunks_exact(3).map(|pixel| values[usize::from(pixel[channel])]));
            }
        }
        seen
    }

    /// Returns height and width after resizing.
    fn resized(&self, picture: &Picture) -> [usize; 2] {
        let (height, width) = (picture.height() as usize, picture.width() as usize);
        match self.resize {
            Resize::To(height, width) => [height, width],
            Resize::Shortest(side) if width <= height => [side * height / width, side],
            Resize::Shortest(side) => [side, side * width / height],
        }
    }
}

/// Returns the squares of `side` by `side` of a prepared picture as rows, each red, green and blue in turn; squares go
/// row by row. What does not fill a square at the right and the bottom is left out.
pub(crate) fn patches(seen: &[f32], [height, width]: [usize; 2], side: usize) -> Vec<f32> {
    let mut rows = Vec::with_capacity(seen.len());
    for y in 0..height / side {
        for x in 0..width / side {
            for channel in 0..3 {
                for line in 0..side {
                    let start = (channel * height + y * side + line) * width + x * side;
                    rows.extend_from_slice(&seen[start..start + side]);
                }
            }
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn squares_go_row_by_row_and_channel_by_channel() {
        // 2 by 4 pixels; channel c at (y, x) holds 100 c + 10 y + x.
        let seen: Vec<f32> =
            (0..3).flat_map(|c| (0..2).flat_map(move |y| (0..4).map(move |x| (100 * c + 10 * y + x) as f32))).collect();
        let rows = patches(&seen, [2, 4], 2);
        assert_eq!(rows[..6], [0.0, 1.0, 10.0, 11.0, 100.0, 101.0]);
        assert_eq!(rows[12..16], [2.0, 3.0, 12.0, 13.0]);
    }

    #[test]
    fn configs_that_do_not_fit_are_named() {
        let directory = tempfile::tempdir().expect("a directory");
        let files = Files { name: "M", directory: directory.path() };
        let path = directory.path().join(FILE);
        let rest = r#""image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]"#;
        let check = |keys: &str, number| {
            std::fs::write(&path, format!("{{{keys}, {rest}}}")).expect("written");
            let read = Preparation::read(&files, number).map(|preparation| preparation.sides());
            read.map_err(|error| error.to_string().replace(&path.display().to_string(), "FILE"))
        };
        assert_eq!(check(r#""size": 30"#, Number::Square), Ok([30, 30]));
        let old = r#""size": 30, "do_center_crop": true, "crop_size": 28"#;
        assert_eq!(check(old, Number::Shortest), Ok([28, 28]));
        let refused = |keys: &str| check(keys, Number::Shortest).expect_err("refused");
        assert_eq!(refused(r#""resample": 3"#), "M: FILE: missing field `size`");
        assert_eq!(refused(r#""size": 30"#), "M: FILE: size: expected height and width, or a crop to them");
        let large = r#""size": 30, "do_center_crop": true, "crop_size": 31"#;
        assert_eq!(refused(large), "M: FILE: crop_size: expected sides from 1 to those of `size`");
        let box_filter = r#""size": {"height": 3, "width": 3}, "resample": 4"#;
        assert_eq!(refused(box_filter), "M: FILE: resample: expected 1, 2 or 3 (Lanczos, bilinear, bicubic)");
    }
}
