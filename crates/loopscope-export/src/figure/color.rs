//! Colours that people with any colour vision can tell apart, and that print.
//!
//! Categories have the colours of Okabe and Ito; numbers have cividis, which is even in lightness and the same to most
//! eyes, or a blue–white–red that stays apart in lightness where a sign matters.

/// Red, green, blue.
pub(crate) type Color = [u8; 3];

pub(crate) const INK: Color = [34, 34, 40];
pub(crate) const FAINT: Color = [98, 98, 108];
pub(crate) const GRID: Color = [229, 229, 233];
pub(crate) const FRAME: Color = [172, 172, 180];
pub(crate) const PAPER: Color = [255, 255, 255];
pub(crate) const SHADE: Color = [243, 243, 246];
/// What is in no category: outliers, the rest.
pub(crate) const NEUTRAL: Color = [189, 189, 196];

/// The colours of Okabe and Ito, those with most contrast on white first.
pub(crate) const CATEGORIES: [Color; 7] = [
    [0, 114, 178],   // blue
    [213, 94, 0],    // vermilion
    [0, 158, 115],   // bluish green
    [204, 121, 167], // reddish purple
    [230, 159, 0],   // orange
    [86, 180, 233],  // sky blue
    [240, 228, 66],  // yellow
];

/// Returns the colour of a category; after the last they begin again, so that another mark must tell them apart.
pub(crate) fn category(index: usize) -> Color {
    CATEGORIES[index % CATEGORIES.len()]
}

/// How a number becomes a colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Map {
    /// From dark blue to yellow.
    Cividis,
    /// Blue below the middle, red above, white in it.
    Signed,
}

impl Map {
    /// Returns the colour of a share in `[0, 1]`.
    pub(crate) fn color(self, share: f64) -> Color {
        let stops: &[Color] = match self {
            Self::Cividis => &[
                [0, 32, 76],
                [0, 42, 102],
                [39, 60, 108],
                [75, 78, 108],
                [102, 95, 113],
                [123, 112, 116],
                [144, 129, 117],
                [168, 147, 112],
                [192, 167, 104],
                [217, 187, 89],
                [242, 209, 70],
                [255, 233, 69],
            ],
            Self::Signed => &[
                [5, 48, 97],
                [67, 147, 195],
                [209, 229, 240],
                [247, 247, 247],
                [253, 219, 199],
                [214, 96, 77],
                [103, 0, 31],
            ],
        };
        let place = share.clamp(0.0, 1.0) * (stops.len() - 1) as f64;
        let (low, high) = (stops[place.floor() as usize], stops[place.ceil() as usize]);
        mix(low, high, place.fract())
    }
}

/// Returns a colour between two.
pub(crate) fn mix(a: Color, b: Color, share: f64) -> Color {
    let channel = |i: usize| (f64::from(a[i]) + (f64::from(b[i]) - f64::from(a[i])) * share).round() as u8;
    [channel(0), channel(1), channel(2)]
}

/// Returns black or white, whichever reads better on a colour.
pub(crate) fn ink_on(color: Color) -> Color {
    if luminance(color) > 0.22 { INK } else { PAPER }
}

fn luminance(color: Color) -> f64 {
    let linear = |value: u8| {
        let share = f64::from(value) / 255.0;
        if share <= 0.04045 { share / 12.92 } else { ((share + 0.055) / 1.055).powf(2.4) }
    };
    0.2126 * linear(color[0]) + 0.7152 * linear(color[1]) + 0.0722 * linear(color[2])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contrast(a: Color, b: Color) -> f64 {
        let (a, b) = (luminance(a) + 0.05, luminance(b) + 0.05);
        a.max(b) / a.min(b)
    }

    #[test]
    fn text_reads_on_every_colour_that_it_stands_on() {
        for share in 0..=100 {
            for map in [Map::Cividis, Map::Signed] {
                let color = map.color(f64::from(share) / 100.0);
                assert!(contrast(ink_on(color), color) >= 3.7, "{color:?}");
            }
        }
        assert!(contrast(FAINT, PAPER) >= 4.5 && contrast(INK, SHADE) >= 7.0);
    }

    #[test]
    fn cividis_rises_in_lightness() {
        let lightness: Vec<f64> = (0..=50).map(|i| luminance(Map::Cividis.color(f64::from(i) / 50.0))).collect();
        assert!(lightness.windows(2).all(|pair| pair[0] <= pair[1]));
    }
}
