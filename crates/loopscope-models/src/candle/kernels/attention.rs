//! Scaled dot-product attention over one sequence, without padding and without a stored matrix of scores.

use super::{exp, sum, wide};

/// Rows within a larger matrix: row `i` starts at `start + i * stride`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Strided<'a> {
    pub(crate) data: &'a [f32],
    pub(crate) start: usize,
    pub(crate) stride: usize,
}

impl<'a> Strided<'a> {
    #[inline(always)]
    fn row(&self, index: usize, width: usize) -> &'a [f32] {
        &self.data[self.start + index * self.stride..][..width]
    }

    const fn shifted(self, by: usize) -> Self {
        Self { start: self.start + by, ..self }
    }
}

/// The shape of the heads.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Heads {
    /// Heads of queries.
    pub(crate) count: usize,
    /// Heads of keys and values; divides `count`.
    pub(crate) shared: usize,
    /// Numbers in a head.
    pub(crate) width: usize,
    /// What scores are multiplied by.
    pub(crate) scale: f32,
}

/// Cosines and sines of positions: `half` of each a position.
#[derive(Clone, Debug)]
pub(crate) struct Rotary {
    pub(crate) cosines: Vec<f32>,
    pub(crate) sines: Vec<f32>,
    pub(crate) half: usize,
}

impl Rotary {
    /// Returns the rotations of the first `count` positions for heads of `width` numbers.
    pub(crate) fn new(count: usize, width: usize, theta: f64) -> Self {
        let half = width / 2;
        let (mut cosines, mut sines) = (Vec::with_capacity(count * half), Vec::with_capacity(count * half));
        // In f32 as the reference: its angle at position 1,000 has lost four digits, and so must ours.
        let frequency = |pair: usize| 1.0 / (theta as f32).powf((2 * pair) as f32 / width as f32);
        let frequencies: Vec<f32> = (0..half).map(frequency).collect();
        for position in 0..count {
            for frequency in &frequencies {
                let angle = position as f32 * frequency;
                cosines.push(angle.cos());
                sines.push(angle.sin());
            }
        }
        Self { cosines, sines, half }
    }

    /// Turns a head at a position: number `i` with number `i + half`.
    #[inline(always)]
    fn turn(&self, head: &mut [f32], position: usize) {
        let (cosines, sines) =
            (&self.cosines[position * self.half..][..self.half], &self.sines[position * self.half..][..self.half]);
        let (low, high) = head.split_at_mut(self.half);
        for (((low, high), cosine), sine) in low.iter_mut().zip(high).zip(cosines).zip(sines) {
            (*low, *high) = (*low * cosine - *high * sine, *high * cosine + *low * sine);
        }
    }
}

/// What else decides a score.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Masking<'a> {
    /// Whether a query sees only keys at its own position and before.
    pub(crate) causal: bool,
    /// How far from its position a query sees.
    pub(crate) window: Option<usize>,
    /// A number to add by head, query and key: `[head][query][key]` with this many keys a row.
    pub(crate) bias: Option<(&'a [f32], usize)>,
    /// The rotation of queries and keys.
    pub(crate) rotary: Option<&'a Rotary>,
    /// Weights of a norm over each head of the queries, and of the keys, with its epsilon.
    pub(crate) norms: Option<(&'a [f32], &'a [f32], f32)>,
}

/// Writes what each of `queries` queries gathers from `keys` keys to `out`: rows of `heads.count * heads.width`.
///
/// The queries are the last of the positions that the keys cover; without masks, rotation and bias a position means
/// nothing, and they may be of another sequence, and more than the keys. `q`, `k` and `v` point at the first head of the first
/// row of each.
pub(crate) fn attend(
    [q, k, v]: [Strided<'_>; 3],
    [queries, keys]: [usize; 2],
    heads: Heads,
    masking: &Masking<'_>,
    out: &mut [f32],
) {
    let width = heads.width;
    let mut scratch = Scratch::new(keys, width);
    for head in 0..heads.count {
        let shared = head / (heads.count / heads.shared);
        if head % (heads.count / heads.shared) == 0 {
            scratch.turn_keys(k.shifted(shared * width), keys, masking);
        }
        let (q, v) = (q.shifted(head * width), v.shifted(shared * width));
        wide(
            #[inline(always)]
            || {
                for query in 0..queries {
                    let position = (keys + query).saturating_sub(queries);
                    scratch.query.copy_from_slice(q.row(query, width));
                    prepare(
                        &mut scratch.query,
                        position,
                        masking.norms.map(|(q, _, epsilon)| (q, epsilon)),
                        masking.rotary,
                    );
                    let seen = seen(position, keys, masking);
                    scratch.score(seen.clone(), heads.scale);
                    if let Some((bias, row)) = masking.bias {
                        let bias = &bias[(head * row + position) * row..][..keys];
                        for (score, bias) in scratch.scores[seen.clone()].iter_mut().zip(&bias[seen.clone()]) {
                            *score += bias;
                        }
                    }
                    let total = soften(&mut scratch.scores[seen.clone()]);
                    let gathered = &mut out[(query * heads.count + head) * width..][..width];
                    gather(gathered, &scratch.scores, v, seen, 1.0 / total);
                }
            },
        );
    }
}

/// The keys that a query at a position sees.
#[inline(always)]
fn seen(position: usize, keys: usize, masking: &Masking<'_>) -> std::ops::Range<usize> {
    let reach = masking.window.unwrap_or(keys);
    let last = if masking.causal { position + 1 } else { keys };
    position.saturating_sub(reach)..last.min(position.saturating_add(reach).saturating_add(1))
}

struct Scratch {
    /// Keys of a head, turned on their side: number `d` of key `i` at `d * keys + i`.
    across: Vec<f32>,
    keys: usize,
    query: Vec<f32>,
    scores: Vec<f32>,
    key: Vec<f32>,
}

impl Scratch {
    fn new(keys: usize, width: usize) -> Self {
        Self {
            across: vec![0.0; keys * width],
            keys,
            query: vec![0.0; width],
            scores: vec![0.0; keys],
            key: vec![0.0; width],
        }
    }

    fn turn_keys(&mut self, k: Strided<'_>, keys: usize, masking: &Masking<'_>) {
        let width = self.key.len();
        for index in 0..keys {
            self.key.copy_from_slice(k.row(index, width));
            prepare(&mut self.key, index, masking.norms.map(|(_, k, epsilon)| (k, epsilon)), masking.rotary);
            for (number, value) in self.key.iter().enumerate() {
                self.across[number * keys + index] = *value;
            }
        }
    }

    /// Sets the scores of the keys in a range.
    #[inline(always)]
    fn score(&mut self, seen: std::ops::Range<usize>, scale: f32) {
        let scores = &mut self.scores[seen.clone()];
        scores.fill(0.0);
        for (number, value) in self.query.iter().enumerate() {
            let across = &self.across[number * self.keys..][seen.clone()];
            for (score, key) in scores.iter_mut().zip(across) {
                *score += value * key;
            }
        }
        for score in scores {
            *score *= scale;
        }
    }
}

/// Norms and turns a head of a query or a key.
#[inline(always)]
fn prepare(head: &mut [f32], position: usize, norm: Option<(&[f32], f32)>, rotary: Option<&Rotary>) {
    if let Some((weight, epsilon)) = norm {
        let scale = 1.0 / (sum(head, |value| value * value) / head.len() as f32 + epsilon).sqrt();
        for (value, weight) in head.iter_mut().zip(weight) {
            *value *= scale * weight;
        }
    }
    if let Some(rotary) = rotary {
        rotary.turn(head, position);
    }
}

/// Replaces scores by their exponentials, the largest as 1, and returns their sum.
#[inline(always)]
fn soften(scores: &mut [f32]) -> f32 {
    let largest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    for score in scores.iter_mut() {
        *score = exp(*score - largest);
    }
    sum(scores, |score| score)
}

#[inline(always)]
fn gather(out: &mut [f32], shares: &[f32], v: Strided<'_>, seen: std::ops::Range<usize>, scale: f32) {
    let width = out.len();
    out.fill(0.0);
    for key in seen {
        let share = shares[key];
        for (out, value) in out.iter_mut().zip(v.row(key, width)) {
            *out += share * value;
        }
    }
    for out in out {
        *out *= scale;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADS: Heads = Heads { count: 2, shared: 1, width: 4, scale: 0.5 };

    fn numbers(count: usize, seed: u32) -> Vec<f32> {
        (0..count as u32).map(|index| ((index * 37 + seed * 11) % 29) as f32 / 14.5 - 1.0).collect()
    }

    /// Attention by its definition, in 64 bits, for 6 positions of `[q q k v]`.
    fn slow(rows: &[f32], sees: impl Fn(usize, usize) -> bool) -> Vec<f64> {
        let at = |row: usize, part: usize, number: usize| f64::from(rows[row * 16 + part * 4 + number]);
        let mut out = Vec::new();
        for query in 0..6 {
            for head in 0..2 {
                let score = |key: usize| (0..4).map(|d| at(query, head, d) * at(key, 2, d)).sum::<f64>() * 0.5;
                let shares: Vec<f64> =
                    (0..6).map(|key| if sees(query, key) { score(key).exp() } else { 0.0 }).collect();
                let total: f64 = shares.iter().sum();
                out.extend((0..4).map(|d| (0..6).map(|key| shares[key] / total * at(key, 3, d)).sum::<f64>()));
            }
        }
        out
    }

    fn fast(rows: &[f32], first: usize, masking: &Masking<'_>) -> Vec<f32> {
        let part = |start| Strided { data: rows, start, stride: 16 };
        let mut out = vec![0.0; (6 - first) * 8];
        attend([part(first * 16), part(8), part(12)], [6 - first, 6], HEADS, masking, &mut out);
        out
    }

    fn near(got: &[f32], exact: &[f64]) {
        assert_eq!(got.len(), exact.len());
        for (got, exact) in got.iter().zip(exact) {
            assert!((f64::from(*got) - exact).abs() < 1e-6, "{got} for {exact}");
        }
    }

    #[test]
    fn attention_is_that_of_the_definition() {
        let rows = numbers(6 * 16, 1);
        near(&fast(&rows, 0, &Masking::default()), &slow(&rows, |_, _| true));
        let causal = Masking { causal: true, ..Masking::default() };
        near(&fast(&rows, 0, &causal), &slow(&rows, |query, key| key <= query));
        let window = Masking { window: Some(1), ..Masking::default() };
        near(&fast(&rows, 0, &window), &slow(&rows, |query, key| query.abs_diff(key) <= 1));
    }

    #[test]
    fn the_last_queries_are_the_same_by_themselves() {
        let rows = numbers(6 * 16, 2);
        let causal = Masking { causal: true, ..Masking::default() };
        assert_eq!(fast(&rows, 4, &causal), fast(&rows, 0, &causal)[4 * 8..]);
    }

    #[test]
    fn turned_scores_depend_on_the_distance_only() {
        let rotary = Rotary::new(40, 4, 10_000.0);
        let score = |query: usize, key: usize| {
            let (mut left, mut right) = ([0.3, -0.2, 0.9, 0.4], [0.1, 0.7, -0.5, 0.2]);
            rotary.turn(&mut left, query);
            rotary.turn(&mut right, key);
            left.iter().zip(right).map(|(left, right)| left * right).sum::<f32>()
        };
        assert!((score(3, 1) - score(37, 35)).abs() < 1e-5);
        assert!((score(3, 1) - score(3, 2)).abs() > 1e-2);
    }
}
