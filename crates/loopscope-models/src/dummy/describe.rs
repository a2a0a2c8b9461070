//! Describers: they look at pixels, find a ground and at most two things on it, and say so in one sentence.
//!
//! A sentence is a pure function of pixels and seed. Pictures of any size are looked at through a grid of 64 by 64
//! samples. Where two readings are nearly as good, the seed decides. The vocabulary is finite; no sentence is empty.

use std::sync::LazyLock;

use loopscope_core::experiment::Picture;

use super::chance::Chance;
use super::words::{Colour, Shade, Shape, Size, Texture};

/// Samples along each side of the grid.
const SIDE: usize = 64;
const SAMPLES: usize = SIDE * SIDE;
/// A sample differs from the ground, or from a thing, by at least this much (sum over channels).
const APART: i32 = 72;
/// Fewest samples of a thing.
const THING_MIN: usize = 9;

type Rgb = [i32; 3];

/// How a describer sees and speaks.
pub(super) struct Voice {
    domain: &'static str,
    /// What it calls the colours, in the order of [`Colour`].
    colours: [&'static str; 12],
    shapes: [&'static str; 8],
    /// The middle size goes without saying.
    sizes: [&'static str; 5],
    pale: &'static str,
    deep: &'static str,
    /// Nine places, row by row from the top left.
    places: [&'static str; 9],
    /// Whether it says where the second thing is.
    places_second: bool,
    also: &'static str,
    upon: &'static str,
    textures: [&'static str; 5],
    ground: &'static str,
    /// The longer side of a thing over that of the picture, where one size ends and the next begins.
    size_ends: [f64; 4],
    /// Where the first column or row ends; the last one begins as far from the other side.
    place_end: f64,
    /// What each colour looks like to it.
    references: [Rgb; 12],
    /// The nearest reference for each colour of four bits a channel.
    nearest: LazyLock<Box<[u8]>>,
}

/// Plain words and full sentences.
pub(super) static PLAIN: Voice = Voice {
    domain: "DummyI2T/1",
    colours: ["red", "orange", "yellow", "green", "teal", "blue", "purple", "pink", "brown", "black", "grey", "white"],
    shapes: ["circle", "square", "triangle", "ring", "cross", "diamond", "bar", "dome"],
    sizes: ["tiny", "small", "", "large", "huge"],
    pale: "pale",
    deep: "dark",
    places: [
        "in the top left corner",
        "at the top",
        "in the top right corner",
        "at the left",
        "in the centre",
        "at the right",
        "in the bottom left corner",
        "at the bottom",
        "in the bottom right corner",
    ],
    places_second: true,
    also: " and ",
    upon: " on ",
    textures: ["", "striped", "lined", "dotted", "split"],
    ground: "background",
    size_ends: [0.165, 0.29, 0.44, 0.6],
    place_end: 0.37,
    references: [
        [196, 58, 54],
        [222, 128, 62],
        [234, 192, 88],
        [90, 136, 86],
        [60, 140, 140],
        [54, 90, 150],
        [114, 80, 144],
        [216, 138, 152],
        [122, 88, 68],
        [34, 34, 42],
        [138, 142, 146],
        [240, 235, 224],
    ],
    nearest: LazyLock::new(|| nearest_references(&PLAIN.references)),
};

/// A landscape in few words.
pub(super) static POETIC: Voice = Voice {
    domain: "DummyI2T2/1",
    colours: [
        "crimson", "amber", "golden", "emerald", "jade", "indigo", "violet", "rose", "umber", "ink", "silver", "ivory",
    ],
    shapes: ["disc", "tile", "peak", "hoop", "star", "kite", "beam", "hill"],
    sizes: ["minute", "little", "", "great", "vast"],
    pale: "faded",
    deep: "deep",
    places: [
        "in the north-west",
        "in the north",
        "in the north-east",
        "in the west",
        "at the heart",
        "in the east",
        "in the south-west",
        "in the south",
        "in the south-east",
    ],
    places_second: false,
    also: " beside ",
    upon: " over ",
    textures: ["", "banded", "fluted", "starry", "halved"],
    ground: "sky",
    size_ends: [0.15, 0.26, 0.4, 0.56],
    place_end: 0.34,
    references: [
        [184, 52, 60],
        [220, 122, 58],
        [230, 188, 84],
        [86, 132, 92],
        [54, 134, 136],
        [46, 78, 136],
        [106, 76, 136],
        [214, 132, 148],
        [116, 84, 70],
        [32, 32, 42],
        [132, 136, 142],
        [236, 230, 218],
    ],
    nearest: LazyLock::new(|| nearest_references(&POETIC.references)),
};

/// A colour as it is told: 12 colours in 3 shades.
#[derive(Clone, Copy)]
struct Tint {
    colour: Colour,
    shade: Shade,
}

/// A connected patch of samples of about one colour.
struct Patch {
    label: u8,
    count: usize,
    colour: Rgb,
    left: usize,
    right: usize,
    top: usize,
    bottom: usize,
    /// Sums of coordinates, for the middle.
    sum_x: usize,
    sum_y: usize,
}

/// Returns the sentence for a picture.
pub(super) fn describe(voice: &Voice, picture: &Picture, seed: u64) -> String {
    let samples = sample(picture);
    let mut chance = Chance::new(voice.domain, seed, &fold(&samples).to_le_bytes());
    let ground = ground_of(voice, &samples);
    let mut labels = [0; SAMPLES];
    let patches = patches(&samples, ground, &mut labels);
    let [first, second] = two_largest(&patches, &mut chance);
    let texture = texture_of(&samples, &labels);

    let mut sentence = Sentence::default();
    match first {
        None => sentence.text.push_str("nothing"),
        Some(patch) => say_thing(&mut sentence, voice, patch, &labels, true, &mut chance),
    }
    if let Some(patch) = second {
        sentence.text.push_str(voice.also);
        say_thing(&mut sentence, voice, patch, &labels, voice.places_second, &mut chance);
    }
    sentence.text.push_str(voice.upon);
    let tint = tint_of(voice, ground, &mut chance);
    let texture = voice.textures[texture as usize];
    sentence.noun(&[texture, shade_word(voice, tint.shade), voice.colours[tint.colour as usize], voice.ground]);
    sentence.text
}

fn say_thing(
    sentence: &mut Sentence,
    voice: &Voice,
    patch: &Patch,
    labels: &[u8; SAMPLES],
    placed: bool,
    chance: &mut Chance,
) {
    let size = voice.sizes[size_of(voice, patch, chance) as usize];
    let tint = tint_of(voice, patch.colour, chance);
    let shape = voice.shapes[shape_of(patch, labels, chance) as usize];
    sentence.noun(&[size, shade_word(voice, tint.shade), voice.colours[tint.colour as usize], shape]);
    if placed {
        sentence.text.push(' ');
        sentence.text.push_str(voice.places[place_of(voice, patch, chance)]);
    }
}

/// Text under construction.
#[derive(Default)]
struct Sentence {
    text: String,
}

impl Sentence {
    /// Adds words, those that are not empty, after the article that fits.
    fn noun(&mut self, words: &[&str]) {
        let mut words = words.iter().filter(|word| !word.is_empty()).peekable();
        let vowel = words.peek().is_some_and(|word| word.starts_with(['a', 'e', 'i', 'o', 'u']));
        self.text.push_str(if vowel { "an" } else { "a" });
        for word in words {
            self.text.push(' ');
            self.text.push_str(word);
        }
    }
}

const fn shade_word(voice: &Voice, shade: Shade) -> &'static str {
    match shade {
        Shade::Plain => "",
        Shade::Pale => voice.pale,
        Shade::Deep => voice.deep,
    }
}

fn sample(picture: &Picture) -> Box<[Rgb; SAMPLES]> {
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let at = |index: usize, side: usize| (2 * index + 1) * side / (2 * SIDE);
    let mut samples = Box::new([[0; 3]; SAMPLES]);
    for (y, row) in samples.chunks_exact_mut(SIDE).enumerate() {
        let pixels = &picture.rgb()[at(y, height) * width * 3..][..width * 3];
        for (x, sample) in row.iter_mut().enumerate() {
            let start = at(x, width) * 3;
            *sample = [pixels[start], pixels[start + 1], pixels[start + 2]].map(i32::from);
        }
    }
    samples
}

/// Returns 64 bits that depend on every sample.
fn fold(samples: &[Rgb; SAMPLES]) -> u64 {
    samples.iter().fold(0xcbf2_9ce4_8422_2325, |hash: u64, [red, green, blue]| {
        let sample = (red << 16 | green << 8 | blue) as u64;
        (hash ^ sample).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23)
    })
}

fn distance(left: Rgb, right: Rgb) -> i32 {
    (left[0] - right[0]).abs() + (left[1] - right[1]).abs() + (left[2] - right[2]).abs()
}

/// Returns the mean colour of the border samples of the commonest tint there.
fn ground_of(voice: &Voice, samples: &[Rgb; SAMPLES]) -> Rgb {
    let class = |[red, green, blue]: Rgb| voice.nearest[(red >> 4 << 8 | green >> 4 << 4 | blue >> 4) as usize];
    let mut bins = [(0, [0; 3]); 36];
    let border = |index: usize| {
        let (x, y) = (index % SIDE, index / SIDE);
        x.min(y).min(SIDE - 1 - x).min(SIDE - 1 - y) < 6
    };
    for (_, sample) in samples.iter().enumerate().filter(|(index, _)| border(*index)) {
        let (count, sum) = &mut bins[class(*sample) as usize];
        *count += 1;
        *sum = [sum[0] + sample[0], sum[1] + sample[1], sum[2] + sample[2]];
    }
    // Of equal bins the first one.
    let mut best = bins[0];
    for bin in bins {
        if bin.0 > best.0 {
            best = bin;
        }
    }
    best.1.map(|sum| sum / best.0)
}

/// Returns the patches that are apart from the ground, and labels their samples from 1; after 255 patches the
/// labels repeat, which only pictures of noise come to.
fn patches(samples: &[Rgb; SAMPLES], ground: Rgb, labels: &mut [u8; SAMPLES]) -> Vec<Patch> {
    let mut patches = Vec::new();
    let mut open = Vec::new();
    for start in 0..SAMPLES {
        if labels[start] != 0 || distance(samples[start], ground) < APART {
            continue;
        }
        let label = (patches.len() % 255 + 1) as u8;
        let (x, y) = (start % SIDE, start / SIDE);
        let colour = samples[start];
        let mut patch = Patch { label, count: 0, colour, left: x, right: x, top: y, bottom: y, sum_x: 0, sum_y: 0 };
        labels[start] = label;
        open.push(start);
        while let Some(index) = open.pop() {
            let (x, y) = (index % SIDE, index / SIDE);
            patch.count += 1;
            patch.sum_x += x;
            patch.sum_y += y;
            (patch.left, patch.right) = (patch.left.min(x), patch.right.max(x));
            (patch.top, patch.bottom) = (patch.top.min(y), patch.bottom.max(y));
            let near = [
                (x > 0).then(|| index - 1),
                (x + 1 < SIDE).then(|| index + 1),
                (y > 0).then(|| index - SIDE),
                (y + 1 < SIDE).then(|| index + SIDE),
            ];
            for next in near.into_iter().flatten() {
                let alike = distance(samples[next], colour) < APART && distance(samples[next], ground) >= APART;
                if labels[next] == 0 && alike {
                    labels[next] = label;
                    open.push(next);
                }
            }
        }
        patches.push(patch);
    }
    patches
}

/// Returns the two largest patches, as far as there are any; when they are nearly as large, chance decides which is
/// named first.
fn two_largest<'a>(patches: &'a [Patch], chance: &mut Chance) -> [Option<&'a Patch>; 2] {
    let mut best: [Option<&Patch>; 2] = [None, None];
    let count = |patch: Option<&Patch>| patch.map_or(0, |patch| patch.count);
    for patch in patches.iter().filter(|patch| patch.count >= THING_MIN) {
        if patch.count > count(best[0]) {
            best = [Some(patch), best[0]];
        } else if patch.count > count(best[1]) {
            best[1] = Some(patch);
        }
    }
    let close = count(best[1]) * 10 > count(best[0]) * 8;
    if close && chance.percent(50) {
        best.swap(0, 1);
    }
    best
}

/// Returns the index of the smallest cost; when the next one is nearly as small, chance decides between the two.
fn nearest_of(costs: impl Iterator<Item = i32>, near_percent: i32, chance: &mut Chance) -> usize {
    let (mut best, mut next) = ((i32::MAX, 0), (i32::MAX, 0));
    for (index, cost) in costs.enumerate() {
        if cost < best.0 {
            (best, next) = ((cost, index), best);
        } else if cost < next.0 {
            next = (cost, index);
        }
    }
    let near = i64::from(next.0) * 100 <= i64::from(best.0) * i64::from(100 + near_percent);
    if near && chance.percent(50) { next.1 } else { best.1 }
}

fn tint_of(voice: &Voice, colour: Rgb, chance: &mut Chance) -> Tint {
    let tints = Colour::ALL.into_iter().flat_map(|colour| shades(colour).map(move |shade| Tint { colour, shade }));
    let costs = tints.clone().map(|tint| distance(reference(&voice.references, tint), colour));
    let index = nearest_of(costs, 12, chance);
    tints.clone().nth(index).unwrap_or(Tint { colour: Colour::Grey, shade: Shade::Plain })
}

/// Returns the shades in which a colour is told: a pale black would be grey.
fn shades(colour: Colour) -> impl Iterator<Item = Shade> + Clone {
    let all = [Shade::Plain, Shade::Pale, Shade::Deep];
    let plain = matches!(colour, Colour::Black | Colour::White | Colour::Grey | Colour::Brown);
    all.into_iter().take(if plain { 1 } else { 3 })
}

fn reference(references: &[Rgb; 12], tint: Tint) -> Rgb {
    let towards = |to: Rgb, percent: i32| {
        let from = references[tint.colour as usize];
        [0, 1, 2].map(|i| from[i] + (to[i] - from[i]) * percent / 100)
    };
    match tint.shade {
        Shade::Plain => towards([0; 3], 0),
        Shade::Pale => towards([250, 246, 238], 44),
        Shade::Deep => towards([16, 16, 24], 36),
    }
}

fn nearest_references(references: &[Rgb; 12]) -> Box<[u8]> {
    let tints = || Colour::ALL.into_iter().flat_map(|colour| shades(colour).map(move |shade| Tint { colour, shade }));
    let seen: Vec<_> = tints().map(|tint| (tint, reference(references, tint))).collect();
    let class = |index: i32| {
        let rgb = [index >> 8, index >> 4 & 15, index & 15].map(|bits| bits << 4 | 8);
        let nearest = seen.iter().min_by_key(|(_, reference)| distance(*reference, rgb));
        nearest.map_or(0, |(tint, _)| tint.colour as u8 * 3 + tint.shade as u8)
    };
    (0..4096).map(class).collect()
}

fn size_of(voice: &Voice, patch: &Patch, chance: &mut Chance) -> Size {
    let longer = (patch.right - patch.left).max(patch.bottom - patch.top) + 1;
    let share = longer as f64 / SIDE as f64 * chance.between(0.96, 1.04);
    Size::ALL[voice.size_ends.iter().filter(|end| share > **end).count()]
}

/// Returns the index of the place, row by row from the top left.
fn place_of(voice: &Voice, patch: &Patch, chance: &mut Chance) -> usize {
    let mut third = |sum: usize| {
        let at = (sum as f64 / patch.count as f64 + 0.5) / SIDE as f64 + chance.between(-0.015, 0.015);
        usize::from(at > voice.place_end) + usize::from(at > 1.0 - voice.place_end)
    };
    third(patch.sum_x) + 3 * third(patch.sum_y)
}

/// Returns the shape whose outline is most like the patch, in its box of 8 by 8 cells.
fn shape_of(patch: &Patch, labels: &[u8; SAMPLES], chance: &mut Chance) -> Shape {
    const CELLS: usize = 8;
    let (width, height) = (patch.right - patch.left + 1, patch.bottom - patch.top + 1);
    let covered = |i: usize, j: usize| {
        let x = patch.left + (2 * i + 1) * width / (2 * CELLS);
        let y = patch.top + (2 * j + 1) * height / (2 * CELLS);
        labels[y * SIDE + x] == patch.label
    };
    let middle = |cell: usize| (2 * cell + 1) as f64 / CELLS as f64 - 1.0;
    let cost = |shape: Shape| {
        let mut cost = aspect_cost(shape, width as i32, height as i32);
        for j in 0..CELLS {
            let row = shape.row(middle(j));
            for i in 0..CELLS {
                let inside = row.iter().any(|(low, high)| (*low..=*high).contains(&middle(i)));
                cost += i32::from(inside != covered(i, j)) * 10;
            }
        }
        cost
    };
    Shape::ALL[nearest_of(Shape::ALL.into_iter().map(cost), 20, chance)]
}

/// Returns how much a box of these sides speaks against the shape, in tenths of a cell.
fn aspect_cost(shape: Shape, width: i32, height: i32) -> i32 {
    let percent = height * 100 / width;
    match shape {
        Shape::Bar => (percent - 52).max(0) * 2,
        Shape::Dome => (percent - 66).max(0) * 2,
        _ => (66 - percent).max(0) * 2,
    }
}

/// Returns what the samples of the ground are like, by how often neighbours differ a little.
fn texture_of(samples: &[Rgb; SAMPLES], labels: &[u8; SAMPLES]) -> Texture {
    let toned = |index: usize| labels[index] == 0 && distance(samples[index], samples[0]).min(300) >= 24;
    let (mut count, mut total, mut across, mut down) = (0, 0, 0, 0);
    // The seal of a painter is no texture.
    for y in 0..SIDE - 8 {
        for x in 0..SIDE - 8 {
            let index = y * SIDE + x;
            total += i32::from(labels[index] == 0);
            count += i32::from(toned(index));
            if labels[index] == 0 && labels[index + 1] == 0 {
                across += i32::from(toned(index) != toned(index + 1));
            }
            if labels[index] == 0 && labels[index + SIDE] == 0 {
                down += i32::from(toned(index) != toned(index + SIDE));
            }
        }
    }
    if count * 100 < total * 6 {
        Texture::Plain
    } else if down > 5 * across {
        if down < 3 * (SIDE as i32) { Texture::Split } else { Texture::Striped }
    } else if across > 5 * down {
        Texture::Ruled
    } else {
        Texture::Dotted
    }
}
