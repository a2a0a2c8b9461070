//! RGB as the encoder wants it: BT.709, limited range, colour at half the resolution.

use crate::Raster;

/// Planes of a frame, rows without padding; the colour planes have half the sides, rounded up.
#[derive(Debug, Default)]
pub(super) struct Planes {
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
    pub(super) fn fill(&mut self, frame: &Raster) {
        let (width, height) = (frame.width as usize, frame.height as usize);
        self.y.resize(width * height, 0);
        self.u.resize(width / 2 * (height / 2), 0);
        self.v.resize(width / 2 * (height / 2), 0);
        for (pixel, y) in frame.rgb.chunks_exact(3).zip(&mut self.y) {
            *y = (16 + (weigh(&Y, [pixel[0], pixel[1], pixel[2]].map(i32::from)) >> 16)) as u8;
        }
        for row in 0..height / 2 {
            let (upper, rest) = frame.rgb[row * 2 * width * 3..].split_at(width * 3);
            let pairs = upper.chunks_exact(6).zip(rest[..width * 3].chunks_exact(6));
            for (column, (a, b)) in pairs.enumerate() {
                let mean = [0, 1, 2]
                    .map(|i| (i32::from(a[i]) + i32::from(a[i + 3]) + i32::from(b[i]) + i32::from(b[i + 3]) + 2) / 4);
                let at = row * (width / 2) + column;
                self.u[at] = (128 + (weigh(&U, mean) >> 16)) as u8;
                self.v[at] = (128 + (weigh(&V, mean) >> 16)) as u8;
            }
        }
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
        let mut planes = Planes::default();
        planes.fill(&Raster { width: 2, height: 2, rgb: color.repeat(4) });
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
