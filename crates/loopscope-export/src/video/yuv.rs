//! RGB as the encoder wants it: BT.709, limited range, colour at half the resolution.

use crate::Raster;

/// Planes of a frame with even sides, rows without padding; the colour planes have half the sides.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Planes {
    /// Of `y`, in pixels.
    pub(super) width: usize,
    pub(super) y: Vec<u8>,
    pub(super) u: Vec<u8>,
    pub(super) v: Vec<u8>,
}

/// Fixed point: 16 bits after the point.
const fn fixed(value: f64) -> i32 {
    (value * 65536.0 + if value < 0.0 { -0.5 } else { 0.5 }) as i32
}

/// Luma of red, green, blue, scaled from 0..=255 to 16..=235.
const Y: [i32; 3] = [fixed(0.2126 * 219.0 / 255.0), fixed(0.7152 * 219.0 / 255.0), fixed(0.0722 * 219.0 / 255.0)];
const U: [i32; 3] = [
    fixed(-0.2126 / 1.8556 * 224.0 / 255.0),
    fixed(-0.7152 / 1.8556 * 224.0 / 255.0),
    fixed(0.9278 / 1.8556 * 224.0 / 255.0),
];
const V: [i32; 3] = [
    fixed(0.7874 / 1.5748 * 224.0 / 255.0),
    fixed(-0.7152 / 1.5748 * 224.0 / 255.0),
    fixed(-0.0722 / 1.5748 * 224.0 / 255.0),
];

impl Planes {
    /// Converts a frame with even sides.
    pub(super) fn of(frame: &Raster) -> Self {
        let width = frame.width as usize;
        let area = width * frame.height as usize;
        let (mut y, mut u, mut v) = (vec![0; area], vec![0; area / 4], vec![0; area / 4]);
        for (pixel, y) in frame.rgb.chunks_exact(3).zip(&mut y) {
            *y = (16 + (weigh(&Y, [pixel[0], pixel[1], pixel[2]].map(i32::from)) >> 16)) as u8;
        }
        let colours = u.chunks_exact_mut(width / 2).zip(v.chunks_exact_mut(width / 2));
        for (rows, (u, v)) in frame.rgb.chunks_exact(width * 6).zip(colours) {
            let (upper, lower) = rows.split_at(width * 3);
            let squares = upper.chunks_exact(6).zip(lower.chunks_exact(6));
            for ((a, b), (u, v)) in squares.zip(u.iter_mut().zip(v)) {
                let mean = [0, 1, 2]
                    .map(|i| (i32::from(a[i]) + i32::from(a[i + 3]) + i32::from(b[i]) + i32::from(b[i + 3]) + 2) / 4);
                *u = (128 + (weigh(&U, mean) >> 16)) as u8;
                *v = (128 + (weigh(&V, mean) >> 16)) as u8;
            }
        }
        Self { width, y, u, v }
    }
}

fn weigh(weights: &[i32; 3], color: [i32; 3]) -> i32 {
    // Half a step up, so that shifting rounds.
    weights[0] * color[0] + weights[1] * color[1] + weights[2] * color[2] + (1 << 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(color: [u8; 3]) -> (u8, u8, u8) {
        let planes = Planes::of(&Raster { width: 2, height: 2, rgb: color.repeat(4) });
        assert_eq!((planes.y.len(), planes.u.len(), planes.v.len()), (4, 1, 1));
        (planes.y[0], planes.u[0], planes.v[0])
    }

    #[test]
    fn primaries_are_those_of_the_standard() {
        // ITU-R BT.709-6, with 8 bits.
        assert_eq!(of([0, 0, 0]), (16, 128, 128));
        assert_eq!(of([255, 255, 255]), (235, 128, 128));
        assert_eq!(of([255, 0, 0]), (63, 102, 240));
        assert_eq!(of([0, 255, 0]), (173, 42, 26));
        assert_eq!(of([0, 0, 255]), (32, 240, 118));
    }
}
