//! The noise of a picture: a function of its seed and the place of the draw, equal on every machine.
//!
//! No device and no framework draws anything here, because their generators differ (candle's CPU has none that can be
//! seeded at all), and because a picture must not depend on what else is in its batch. The numbers are ChaCha with 20
//! rounds (`bernstein2008`): the key is the seed, the stream is the draw, and pairs of 53-bit uniforms become pairs of
//! normals by Box and Muller (`box1958`). Logarithm, sine and cosine are those of `libm`, the same code everywhere;
//! the platform's own differ in the last bit. Whoever changes a number here changes every picture: raise `VERSION`.

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// Is part of the key, so that another way of drawing is another stream.
const VERSION: &[u8; 20] = b"loopscope noise v1\0\0";

/// Which draw of a picture it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Draw {
    /// What the first step starts from.
    Initial,
    /// What a stochastic scheduler adds after the step of this index, from 0.
    Step(usize),
}

/// Returns `count` independent standard normal numbers, in the order of the flattened tensor.
///
/// The first numbers of a longer draw are those of a shorter one. Each is finite, and at most 8.6 from zero.
pub(crate) fn normals(seed: u64, draw: Draw, count: usize) -> Vec<f32> {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[12..].copy_from_slice(VERSION);
    let mut random = ChaCha20Rng::from_seed(key);
    random.set_stream(match draw {
        Draw::Initial => 0,
        Draw::Step(index) => index as u64 + 1,
    });
    let mut normals = Vec::with_capacity(count + 1);
    while normals.len() < count {
        let [first, second] = pair(random.next_u64(), random.next_u64());
        normals.push(first);
        normals.push(second);
    }
    normals.truncate(count);
    normals
}

/// Turns 128 random bits into two independent normal numbers.
fn pair(first: u64, second: u64) -> [f32; 2] {
    const STEP: f64 = 1.0 / (1_u64 << 53) as f64;
    // In (0, 1], so that the logarithm is finite.
    let radius = libm::sqrt(-2.0 * libm::log(((first >> 11) + 1) as f64 * STEP));
    let (sine, cosine) = libm::sincos((second >> 11) as f64 * STEP * std::f64::consts::TAU);
    [(radius * cosine) as f32, (radius * sine) as f32]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_argument_changes_the_draw_and_a_longer_one_begins_alike() {
        let base = normals(1, Draw::Initial, 8);
        assert_eq!(base, normals(1, Draw::Initial, 8));
        assert_eq!(base[..5], normals(1, Draw::Initial, 5));
        assert_eq!(base, normals(1, Draw::Initial, 9)[..8]);
        let others = [normals(2, Draw::Initial, 8), normals(1, Draw::Step(0), 8), normals(1, Draw::Step(1), 8)];
        for (index, other) in others.iter().enumerate() {
            assert_ne!(&base, other, "{index}");
            assert!(others[..index].iter().all(|earlier| earlier != other), "{index}");
        }
    }

    #[test]
    fn moments_are_those_of_the_normal_distribution() {
        const COUNT: usize = 200_000;
        let draw = normals(20, Draw::Step(3), COUNT);
        let moment = |power: i32| draw.iter().map(|x| f64::from(*x).powi(power)).sum::<f64>() / COUNT as f64;
        // Four standard errors: the variances of x, x^2, x^3, x^4 are 1, 2, 15, 96.
        for (power, expected, variance) in [(1, 0.0, 1.0), (2, 1.0, 2.0), (3, 0.0, 15.0), (4, 3.0, 96.0_f64)] {
            let error = (moment(power) - expected).abs();
            assert!(error < 4.0 * (variance / COUNT as f64).sqrt(), "moment {power} is off by {error}");
        }
        // Within one standard deviation lie 68.27 %.
        let inside = draw.iter().filter(|x| x.abs() < 1.0).count() as f64 / COUNT as f64;
        assert!((inside - 0.6827).abs() < 0.0042, "{inside}");
        // Neighbours of a pair, and of two pairs, say nothing about each other.
        for lag in [1, 2] {
            let product: f64 = draw.iter().zip(&draw[lag..]).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum();
            assert!((product / COUNT as f64).abs() < 4.0 / (COUNT as f64).sqrt(), "lag {lag}");
        }
    }

    #[test]
    fn the_extremes_are_finite() {
        assert_eq!(pair(u64::MAX, 0), [0.0, 0.0]);
        let [most, none] = pair(0, 0);
        assert!(most > 8.57 && most < 8.6 && none == 0.0, "{most} {none}");
    }
}
