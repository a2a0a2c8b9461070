//! Image embedders: pictures of like colours in like places lie near each other.
//!
//! Pictures of any size are looked at through a grid of 48 by 48 samples. The numbers are centred on what a middling
//! picture would give, so that pictures spread about the origin; none of them is a zero vector.

use loopscope_core::experiment::Picture;

const SIDE: usize = 48;

/// Three colour numbers in −1..=1: lightness, red against green, yellow against blue.
type Opponent = [f64; 3];

/// What a picture looks like through the grid.
struct View {
    samples: Vec<Opponent>,
}

/// Returns the 64 numbers of a picture: 4 by 4 mean colours, 8 shares of lightness, 8 shares of edges; a unit vector.
pub(super) fn embed(picture: &Picture) -> Vec<f32> {
    let view = View::of(picture);
    let mut numbers = Vec::with_capacity(64);
    numbers.extend(view.means(4).into_iter().flatten());
    numbers.extend(view.shares::<8>(|[lightness, ..]| lightness).map(|share| (share - 0.125) * 1.5));
    numbers.extend(view.edges(2).flatten().map(|edge| (edge - 0.04) * 6.0));
    unit(&numbers)
}

/// Returns the 48 numbers of a picture: 3 by 3 mean colours, 6 shares each of lightness and of warmth, 9 of edges; a
/// unit vector.
pub(super) fn embed_coarse(picture: &Picture) -> Vec<f32> {
    let view = View::of(picture);
    let mut numbers = Vec::with_capacity(48);
    let weigh = |[lightness, red, yellow]: Opponent| [lightness * 0.7, red * 1.4, yellow * 1.4];
    numbers.extend(view.means(3).into_iter().flat_map(weigh));
    numbers.extend(view.shares::<6>(|[lightness, ..]| lightness).map(|share| share - 1.0 / 6.0));
    numbers.extend(view.shares::<6>(|[_, _, yellow]| yellow).map(|share| share - 1.0 / 6.0));
    numbers.extend(view.edges(3).map(|[across, down]| (across + down - 0.08) * 4.0));
    unit(&numbers)
}

impl View {
    fn of(picture: &Picture) -> Self {
        let (width, height) = (picture.width() as usize, picture.height() as usize);
        let at = |index: usize, side: usize| (2 * index + 1) * side / (2 * SIDE);
        let mut samples = Vec::with_capacity(SIDE * SIDE);
        for y in 0..SIDE {
            let row = &picture.rgb()[at(y, height) * width * 3..][..width * 3];
            for x in 0..SIDE {
                let start = at(x, width) * 3;
                let [red, green, blue] = [row[start], row[start + 1], row[start + 2]].map(f64::from);
                let lightness = (red + green + blue) / 382.5 - 1.0;
                samples.push([lightness, (red - green) / 255.0, ((red + green) / 2.0 - blue) / 255.0]);
            }
        }
        Self { samples }
    }

    /// Returns the mean colours of `count` by `count` fields, row by row.
    fn means(&self, count: usize) -> Vec<Opponent> {
        let mut means = vec![[0.0; 3]; count * count];
        for (index, sample) in self.samples.iter().enumerate() {
            let mean: &mut Opponent = &mut means[field(index, count)];
            *mean = [mean[0] + sample[0], mean[1] + sample[1], mean[2] + sample[2]];
        }
        let area = (SIDE * SIDE / (count * count)) as f64;
        means.iter().map(|mean| mean.map(|sum| sum / area)).collect()
    }

    /// Returns how the values of `of` spread over `N` bins from −1 to 1; a value counts to the two bins about it, so
    /// that a small step in a picture is a small step here.
    fn shares<const N: usize>(&self, of: impl Fn(Opponent) -> f64) -> [f64; N] {
        let mut shares = [0.0; N];
        for sample in &self.samples {
            let at = (of(*sample) + 1.0) / 2.0 * (N - 1) as f64;
            let low = (at as usize).min(N - 2);
            let high_share = at - low as f64;
            shares[low] += 1.0 - high_share;
            shares[low + 1] += high_share;
        }
        shares.map(|share| share / self.samples.len() as f64)
    }

    /// Returns the mean steps of lightness across and down in `count` by `count` fields, row by row.
    fn edges(&self, count: usize) -> impl Iterator<Item = [f64; 2]> {
        let mut edges = vec![[0.0; 2]; count * count];
        for y in 0..SIDE - 1 {
            for x in 0..SIDE - 1 {
                let index = y * SIDE + x;
                let here = self.samples[index][0];
                let edge: &mut [f64; 2] = &mut edges[field(index, count)];
                edge[0] += (self.samples[index + 1][0] - here).abs();
                edge[1] += (self.samples[index + SIDE][0] - here).abs();
            }
        }
        let area = (SIDE * SIDE / (count * count)) as f64;
        edges.into_iter().map(move |edge| edge.map(|sum| sum / area))
    }
}

/// Returns the field, of `count` by `count`, that a sample is in.
const fn field(index: usize, count: usize) -> usize {
    index / SIDE * count / SIDE * count + index % SIDE * count / SIDE
}

/// Scales to length 1; a vector too short to scale becomes the last axis.
fn unit(numbers: &[f64]) -> Vec<f32> {
    let length = numbers.iter().map(|number| number * number).sum::<f64>().sqrt();
    if length > 1e-9 {
        return numbers.iter().map(|number| (number / length) as f32).collect();
    }
    let mut axis = vec![0.0; numbers.len()];
    if let Some(last) = axis.last_mut() {
        *last = 1.0;
    }
    axis
}
