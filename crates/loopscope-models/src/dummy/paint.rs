//! Painters: flat shapes on a ground, as the words say and, where they are silent, as chance has it.
//!
//! A picture is a pure function of text, seed and sides. What the text says is followed loosely: places, sizes and
//! hues wander a little, so that a describer does not always read back what was written. A small seal in a corner
//! spells the hash of text and seed, which keeps the pictures of different texts different.

use loopscope_core::experiment::Picture;

use super::chance::Chance;
use super::words::{Colour, Place, Scene, Shade, Shape, Size, Texture, Thing, read};

type Rgb = [u8; 3];

/// How a painter paints.
pub(super) struct Style {
    domain: &'static str,
    /// One for each [`Colour`].
    palette: [Rgb; 12],
    /// Half the width of a thing over the shorter side, for each [`Size`].
    radii: [f64; 5],
    /// The middle of a column or row, over the side.
    stops: [f64; 3],
    /// How far a place wanders either way, over the side.
    place_jitter: f64,
    /// How far a size wanders either way, over the size.
    size_jitter: f64,
    /// How often, in 100, a hue wanders far.
    hue_percent: u64,
    /// How often, in 100, a thing appears that nobody named.
    guest_percent: u64,
    /// How often, in 100, the second of two things is left out.
    gap_percent: u64,
    /// How often, in 100, a habit takes the place of what was said of the second thing.
    second_percent: u64,
    /// How often, in 100, a colour is paler than was said, and how often deeper.
    shade_percent: u64,
    /// How often, in 100, a texture is another than the one that was named.
    texture_percent: u64,
    /// How often, in 100, a habit of the seed takes the place of what was named; drawn for each property.
    whim_percent: u64,
    /// Whether things have an inner layer.
    layered: bool,
}

/// What a painter falls back on, whatever the text: the same for all texts of a seed.
///
/// Without habits every loop would lock at a place of its own; with them loops of a seed meet.
struct Habits {
    colours: [Colour; 2],
    grounds: [Colour; 2],
    shapes: [Shape; 2],
    places: [Place; 2],
    texture: Texture,
}

impl Habits {
    fn new(style: &Style, seed: u64) -> Self {
        let mut chance = Chance::new("habits", seed, style.domain.as_bytes());
        let mut place = || Place { column: chance.below(3) as u8, row: chance.below(3) as u8 };
        let places = [place(), place()];
        Self {
            colours: [chance.pick(&Colour::ALL), chance.pick(&Colour::ALL)],
            grounds: [chance.pick(&Colour::ALL), chance.pick(&Colour::ALL)],
            shapes: [chance.pick(&Shape::ALL), chance.pick(&Shape::ALL)],
            places,
            texture: chance.pick(&Texture::ALL),
        }
    }
}

/// Cut paper on warm grounds.
pub(super) static CUT_PAPER: Style = Style {
    domain: "DummyT2I/1",
    palette: [
        [200, 62, 52],
        [224, 134, 60],
        [238, 196, 84],
        [92, 142, 84],
        [66, 148, 146],
        [58, 98, 166],
        [122, 84, 150],
        [222, 146, 158],
        [130, 92, 66],
        [38, 38, 44],
        [146, 148, 150],
        [244, 239, 228],
    ],
    radii: [0.065, 0.115, 0.18, 0.26, 0.36],
    stops: [0.24, 0.5, 0.76],
    place_jitter: 0.1,
    size_jitter: 0.45,
    hue_percent: 9,
    guest_percent: 55,
    gap_percent: 45,
    second_percent: 75,
    shade_percent: 14,
    texture_percent: 16,
    whim_percent: 9,
    layered: false,
};

/// A screen print at dusk: darker, cooler, in two layers.
pub(super) static SCREEN_PRINT: Style = Style {
    domain: "DummyT2I2/1",
    palette: [
        [178, 50, 64],
        [214, 112, 62],
        [222, 180, 92],
        [84, 124, 96],
        [48, 122, 128],
        [40, 66, 118],
        [96, 70, 128],
        [206, 124, 140],
        [108, 80, 70],
        [26, 28, 40],
        [124, 130, 142],
        [230, 226, 214],
    ],
    radii: [0.075, 0.13, 0.195, 0.275, 0.33],
    stops: [0.21, 0.5, 0.79],
    place_jitter: 0.09,
    size_jitter: 0.4,
    hue_percent: 10,
    guest_percent: 50,
    gap_percent: 45,
    second_percent: 75,
    shade_percent: 14,
    texture_percent: 22,
    whim_percent: 9,
    layered: true,
};

/// A thing with every question answered.
struct Figure {
    shape: Shape,
    colour: Rgb,
    /// Middle and half sides, in pixels.
    x: f64,
    y: f64,
    half_width: f64,
    half_height: f64,
}

/// Returns the picture of a text. Sides are at least 1.
pub(super) fn paint(style: &Style, text: &str, seed: u64, width: u32, height: u32) -> Picture {
    let mut chance = Chance::new(style.domain, seed, text.as_bytes());
    let seal = chance.bits();
    let habits = Habits::new(style, seed);
    let scene = take_whims(style, &habits, read(text), &mut chance);
    let ground = ground_colour(style, &scene, &mut chance);
    let mut canvas = Canvas::new(width as usize, height as usize, ground);
    draw_texture(&mut canvas, style, scene.ground.texture, ground, &mut chance);
    for figure in figures(style, &scene, ground, (f64::from(width), f64::from(height)), &mut chance) {
        draw_figure(&mut canvas, style, &figure);
    }
    draw_seal(&mut canvas, seal);
    // The registry has checked the sides, and a canvas fills them.
    Picture::new(width, height, canvas.rgb).expect("a canvas has the sides it was made with")
}

/// Returns the scene as the painter wants it: a habit here and there instead of what was named, and a guest or a gap.
fn take_whims(style: &Style, habits: &Habits, mut scene: Scene, chance: &mut Chance) -> Scene {
    if scene.count < 2 && chance.percent(style.guest_percent) {
        scene.count = 2;
        scene.things[1] = Thing::default();
    } else if scene.count == 2 && chance.percent(style.gap_percent) {
        scene.count = 1;
    }
    // A second thing is seldom worth much care.
    let second = &mut scene.things[1];
    if second.colour.is_none() || chance.percent(style.second_percent) {
        second.colour = Some(chance.pick(&habits.colours));
    }
    if second.shape.is_none() || chance.percent(style.second_percent) {
        second.shape = Some(chance.pick(&habits.shapes));
    }
    for thing in &mut scene.things {
        whim(style, &mut thing.colour, &habits.colours, chance);
        whim(style, &mut thing.shape, &habits.shapes, chance);
        let mut place = None;
        whim(style, &mut place, &habits.places, chance);
        if let Some(place) = place {
            (thing.column, thing.row) = (Some(place.column), Some(place.row));
        }
    }
    whim(style, &mut scene.ground.colour, &habits.grounds, chance);
    whim(style, &mut scene.ground.texture, &[habits.texture, Texture::Plain], chance);
    scene
}

fn whim<T: Copy>(style: &Style, property: &mut Option<T>, habits: &[T], chance: &mut Chance) {
    let habit = chance.pick(habits);
    if chance.percent(style.whim_percent) {
        *property = Some(habit);
    }
}

fn ground_colour(style: &Style, scene: &Scene, chance: &mut Chance) -> Rgb {
    const QUIET: [Colour; 6] = [Colour::White, Colour::Blue, Colour::Teal, Colour::Black, Colour::Yellow, Colour::Grey];
    let default = chance.pick(&QUIET);
    tint(style, scene.ground.colour.unwrap_or(default), scene.ground.shade, chance)
}

/// Returns the colour as this painter has it today: near the palette's, now and then towards a neighbour.
fn tint(style: &Style, colour: Colour, shade: Option<Shade>, chance: &mut Chance) -> Rgb {
    let neighbour = style.palette[chance.pick(&neighbours(colour)) as usize];
    let far = chance.percent(style.hue_percent);
    let share = if far { chance.between(0.35, 0.7) } else { chance.between(0.0, 0.18) };
    let mixed = blend(style.palette[colour as usize], neighbour, share);
    let wander = chance.below(100);
    let shade = match shade {
        Some(shade) if wander >= 2 * style.shade_percent => shade,
        _ if wander < style.shade_percent => Shade::Pale,
        _ if wander < 2 * style.shade_percent => Shade::Deep,
        _ => Shade::Plain,
    };
    match shade {
        Shade::Plain => mixed,
        Shade::Pale => blend(mixed, [252, 248, 240], chance.between(0.3, 0.55)),
        Shade::Deep => blend(mixed, [14, 14, 22], chance.between(0.25, 0.45)),
    }
}

const fn neighbours(colour: Colour) -> [Colour; 2] {
    match colour {
        Colour::Red => [Colour::Orange, Colour::Pink],
        Colour::Orange => [Colour::Red, Colour::Yellow],
        Colour::Yellow => [Colour::Orange, Colour::White],
        Colour::Green => [Colour::Yellow, Colour::Teal],
        Colour::Teal => [Colour::Green, Colour::Blue],
        Colour::Blue => [Colour::Teal, Colour::Purple],
        Colour::Purple => [Colour::Blue, Colour::Pink],
        Colour::Pink => [Colour::Purple, Colour::White],
        Colour::Brown => [Colour::Orange, Colour::Black],
        Colour::Black => [Colour::Brown, Colour::Blue],
        Colour::Grey => [Colour::Black, Colour::White],
        Colour::White => [Colour::Grey, Colour::Yellow],
    }
}

fn blend(from: Rgb, to: Rgb, share: f64) -> Rgb {
    let channel = |i: usize| f64::from(from[i]) + (f64::from(to[i]) - f64::from(from[i])) * share;
    [channel(0) as u8, channel(1) as u8, channel(2) as u8]
}

fn distance(left: Rgb, right: Rgb) -> u32 {
    left.iter().zip(right).map(|(l, r)| u32::from(l.abs_diff(r))).sum()
}

fn luma(rgb: Rgb) -> u32 {
    (u32::from(rgb[0]) * 2 + u32::from(rgb[1]) * 5 + u32::from(rgb[2])) / 8
}

/// Returns a colour near `rgb` that can be told from it without being noticed: lighter on dark, darker on light.
fn undertone(rgb: Rgb, step: i16) -> Rgb {
    let step = if luma(rgb) < 90 { step } else { -step };
    rgb.map(|channel| (i16::from(channel) + step).clamp(0, 255) as u8)
}

/// Returns the things of the scene, at least one.
fn figures(style: &Style, scene: &Scene, ground: Rgb, sides: (f64, f64), chance: &mut Chance) -> Vec<Figure> {
    let mut figures = Vec::with_capacity(2);
    let mut taken = None;
    for (index, thing) in scene.things.iter().take(scene.count.max(1)).enumerate() {
        let place = place(thing, taken, chance);
        taken = Some(place);
        figures.push(figure(style, thing, index, place, ground, sides, chance));
    }
    figures
}

fn place(thing: &Thing, taken: Option<Place>, chance: &mut Chance) -> Place {
    let ends = [0, 2];
    let any = Place { column: chance.below(3) as u8, row: chance.below(3) as u8 };
    let corner = Place { column: chance.pick(&ends), row: chance.pick(&ends) };
    if thing.corner {
        return Place { column: thing.column.unwrap_or(corner.column), row: thing.row.unwrap_or(corner.row) };
    }
    match (thing.column, thing.row, taken) {
        (None, None, None) => any,
        // A second thing that is nowhere in particular keeps out of the way of the first.
        (None, None, Some(first)) if first.column == 1 && first.row == 1 => corner,
        (None, None, Some(first)) => Place { column: 2 - first.column, row: 2 - first.row },
        (column, row, _) => Place { column: column.unwrap_or(1), row: row.unwrap_or(1) },
    }
}

fn figure(
    style: &Style,
    thing: &Thing,
    index: usize,
    place: Place,
    ground: Rgb,
    (width, height): (f64, f64),
    chance: &mut Chance,
) -> Figure {
    let shape = thing.shape.unwrap_or(chance.pick(&Shape::ALL));
    let colour = tint(style, thing.colour.unwrap_or(chance.pick(&Colour::ALL)), thing.shade, chance);
    // Unnamed sizes are the middle ones; a second thing is the smaller one.
    let usual = if index == 0 { 1 + chance.below(3) } else { chance.below(2) } as usize;
    let radius = style.radii[thing.size.map_or(usual, |size: Size| size as usize)];
    let half_width = radius * width.min(height) * chance.between(1.0 - style.size_jitter, 1.0 + style.size_jitter);
    let jitter = style.place_jitter;
    Figure {
        shape,
        colour: contrast(colour, ground),
        x: width * (style.stops[place.column as usize] + chance.between(-jitter, jitter)),
        y: height * (style.stops[place.row as usize] + chance.between(-jitter, jitter)),
        half_width,
        half_height: half_width * shape.aspect() * chance.between(0.92, 1.09),
    }
}

/// Returns the colour, moved away from the ground's until it stands out.
fn contrast(mut colour: Rgb, ground: Rgb) -> Rgb {
    let away = if luma(ground) < 120 { [250, 246, 238] } else { [20, 20, 28] };
    for _ in 0..6 {
        if distance(colour, ground) >= 110 {
            break;
        }
        colour = blend(colour, away, 0.25);
    }
    colour
}

fn draw_texture(canvas: &mut Canvas, style: &Style, named: Option<Texture>, ground: Rgb, chance: &mut Chance) {
    let other = chance.pick(&Texture::ALL);
    let texture = if chance.percent(style.texture_percent) { other } else { named.unwrap_or(Texture::Plain) };
    let (width, height) = (canvas.width, canvas.height);
    let pitch = (width.min(height) * (9 + chance.below(5) as usize) / 100).max(2);
    let shore = height * (56 + chance.below(20) as usize) / 100;
    canvas.ink(undertone(ground, 13));
    match texture {
        Texture::Plain => {}
        Texture::Striped => {
            for top in (pitch / 2..height).step_by(pitch) {
                canvas.block(0, width, top, top + pitch / 2);
            }
        }
        Texture::Ruled => {
            for left in (pitch / 2..width).step_by(pitch) {
                canvas.block(left, left + pitch / 2, 0, height);
            }
        }
        Texture::Dotted => {
            // Fewer and larger than stripes: every edge costs bytes in the store.
            let pitch = pitch + pitch / 2;
            let radius = pitch as f64 * 0.24;
            let mut dot = Figure {
                shape: Shape::Circle,
                colour: ground,
                x: 0.0,
                y: 0.0,
                half_width: radius,
                half_height: radius,
            };
            for y in (pitch / 2..height).step_by(pitch) {
                for x in (pitch / 2..width).step_by(pitch) {
                    (dot.x, dot.y) = (x as f64 + 0.5, y as f64 + 0.5);
                    draw_shape(canvas, &dot, 1.0);
                }
            }
        }
        Texture::Split => canvas.block(0, width, shore, height),
    }
}

fn draw_figure(canvas: &mut Canvas, style: &Style, figure: &Figure) {
    canvas.ink(figure.colour);
    draw_shape(canvas, figure, 1.0);
    if style.layered && figure.shape != Shape::Ring {
        canvas.ink(undertone(figure.colour, 12));
        draw_shape(canvas, figure, 0.62);
    }
}

/// Draws the shape, `scale` times as large about its middle; a pixel is painted when its middle is inside.
fn draw_shape(canvas: &mut Canvas, figure: &Figure, scale: f64) {
    let (half_width, half_height) = (figure.half_width * scale, figure.half_height * scale);
    let top = pixel(figure.y - half_height, canvas.height);
    let bottom = pixel(figure.y + half_height, canvas.height);
    for y in top..bottom {
        let v = (y as f64 + 0.5 - figure.y) / half_height;
        for (low, high) in figure.shape.row(v) {
            let left = pixel(figure.x + low * half_width, canvas.width);
            let right = pixel(figure.x + high * half_width, canvas.width);
            canvas.span(y, left, right);
        }
    }
}

/// Returns the first pixel whose middle is at or after `at`, within `0..=side`.
fn pixel(at: f64, side: usize) -> usize {
    (at + 0.5).clamp(0.0, side as f64) as usize
}

/// Draws 64 bits as a square of 8 by 8 cells in the bottom right corner, in an undertone of what is there.
fn draw_seal(canvas: &mut Canvas, bits: u64) {
    let cell = (canvas.width.min(canvas.height) / 128).max(1);
    let margin = canvas.width.min(canvas.height) / 40;
    let left = canvas.width.saturating_sub(8 * cell + margin);
    let top = canvas.height.saturating_sub(8 * cell + margin);
    for index in (0..64).filter(|index| bits >> index & 1 == 1) {
        let (x, y) = (left + index % 8 * cell, top + index / 8 * cell);
        for y in y..y + cell {
            let pixels = &mut canvas.rgb[(y * canvas.width + x) * 3..][..cell * 3];
            for pixel in pixels.as_chunks_mut::<3>().0 {
                *pixel = undertone(*pixel, 15);
            }
        }
    }
}

/// Pixels that are painted in horizontal runs of one colour.
struct Canvas {
    width: usize,
    height: usize,
    rgb: Vec<u8>,
    /// A row of the present ink.
    row: Vec<u8>,
}

impl Canvas {
    fn new(width: usize, height: usize, ground: Rgb) -> Self {
        let row = ground.repeat(width);
        Self { width, height, rgb: row.repeat(height), row }
    }

    fn ink(&mut self, colour: Rgb) {
        self.row.as_chunks_mut::<3>().0.fill(colour);
    }

    fn span(&mut self, y: usize, left: usize, right: usize) {
        if left < right {
            let start = (y * self.width + left) * 3;
            let length = (right - left) * 3;
            self.rgb[start..start + length].copy_from_slice(&self.row[..length]);
        }
    }

    /// Fills a rectangle, as much of it as is on the canvas.
    fn block(&mut self, left: usize, right: usize, top: usize, bottom: usize) {
        for y in top..bottom.min(self.height) {
            self.span(y, left, right.min(self.width));
        }
    }
}
