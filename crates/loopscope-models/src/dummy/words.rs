//! The words that the dummies share: what they mean, and how a sentence becomes a scene.

/// A colour by name; the order is that of every palette.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Colour {
    Red,
    Orange,
    Yellow,
    Green,
    Teal,
    Blue,
    Purple,
    Pink,
    Brown,
    Black,
    Grey,
    White,
}

impl Colour {
    pub(super) const ALL: [Self; 12] = [
        Self::Red,
        Self::Orange,
        Self::Yellow,
        Self::Green,
        Self::Teal,
        Self::Blue,
        Self::Purple,
        Self::Pink,
        Self::Brown,
        Self::Black,
        Self::Grey,
        Self::White,
    ];
}

/// How light a colour is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shade {
    Plain,
    Pale,
    Deep,
}

/// The outline of a thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Circle,
    Square,
    Triangle,
    Ring,
    Cross,
    Diamond,
    Bar,
    Dome,
}

impl Shape {
    pub(super) const ALL: [Self; 8] =
        [Self::Circle, Self::Square, Self::Triangle, Self::Ring, Self::Cross, Self::Diamond, Self::Bar, Self::Dome];

    /// Returns the parts of the row `v` that the shape covers, as two intervals of `u`; an empty one has its ends
    /// crossed. Both axes go from −1 to 1, `v` downwards, over the box around the shape.
    pub(super) fn row(self, v: f64) -> [(f64, f64); 2] {
        const NONE: (f64, f64) = (2.0, -2.0);
        let arc = |radius: f64| (radius * radius - v * v).max(0.0).sqrt();
        let about = |half: f64| [(-half, half), NONE];
        match self {
            Self::Circle => about(arc(1.0)),
            Self::Square | Self::Bar => about(1.0),
            Self::Triangle => about((v + 1.0) / 2.0),
            Self::Ring if v.abs() < 0.56 => [(-arc(1.0), -arc(0.56)), (arc(0.56), arc(1.0))],
            Self::Ring => about(arc(1.0)),
            Self::Cross => about(if v.abs() < 0.34 { 1.0 } else { 0.34 }),
            Self::Diamond => about(1.0 - v.abs()),
            Self::Dome => {
                let height = (1.0 - v) / 2.0;
                about((1.0 - height * height).max(0.0).sqrt())
            }
        }
    }

    /// Returns the height of the box around the shape over its width.
    pub(super) const fn aspect(self) -> f64 {
        match self {
            Self::Bar => 0.36,
            Self::Dome => 0.55,
            Self::Triangle => 0.9,
            _ => 1.0,
        }
    }
}

/// How large a thing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Size {
    Tiny,
    Small,
    Medium,
    Large,
    Huge,
}

impl Size {
    pub(super) const ALL: [Self; 5] = [Self::Tiny, Self::Small, Self::Medium, Self::Large, Self::Huge];
}

/// Where a thing is: a column from the left and a row from the top, each 0, 1 or 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) column: u8,
    pub(super) row: u8,
}

/// What the ground is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Texture {
    Plain,
    Striped,
    Ruled,
    Dotted,
    Split,
}

impl Texture {
    pub(super) const ALL: [Self; 5] = [Self::Plain, Self::Striped, Self::Ruled, Self::Dotted, Self::Split];
}

/// What a text says about a thing; `None` where it is silent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Thing {
    pub(super) colour: Option<Colour>,
    pub(super) shade: Option<Shade>,
    pub(super) shape: Option<Shape>,
    pub(super) size: Option<Size>,
    pub(super) column: Option<u8>,
    pub(super) row: Option<u8>,
    pub(super) corner: bool,
}

/// What a text says about the ground; `None` where it is silent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Ground {
    pub(super) colour: Option<Colour>,
    pub(super) shade: Option<Shade>,
    pub(super) texture: Option<Texture>,
}

/// What a text says: at most two things on a ground.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Scene {
    pub(super) things: [Thing; 2],
    /// How many of `things` the text names.
    pub(super) count: usize,
    pub(super) ground: Ground,
}

/// What a word means; a word may mean several things at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Concept {
    Colour(Colour),
    Shade(Shade),
    Shape(Shape),
    Size(Size),
    Column(u8),
    Row(u8),
    Corner,
    Texture(Texture),
    /// The ground has this colour, wherever the word stands.
    GroundColour(Colour),
    /// What was said of a thing without a shape was said of the ground.
    GroundNoun,
    /// What follows is about the ground.
    Upon,
    /// What follows is about another thing.
    Also,
}

/// Returns what a lower-case word means; nothing, for most words.
pub(super) fn concepts(word: &str) -> &'static [Concept] {
    use Concept as C;
    match word {
        "red" | "crimson" | "scarlet" | "ruby" | "cherry" | "vermilion" => &[C::Colour(Colour::Red)],
        "orange" | "amber" | "rust" | "tangerine" | "copper" => &[C::Colour(Colour::Orange)],
        "yellow" | "gold" | "golden" | "lemon" | "mustard" => &[C::Colour(Colour::Yellow)],
        "green" | "moss" | "emerald" | "olive" | "lime" => &[C::Colour(Colour::Green)],
        "teal" | "jade" | "cyan" | "turquoise" | "aqua" => &[C::Colour(Colour::Teal)],
        "blue" | "indigo" | "navy" | "azure" | "cobalt" => &[C::Colour(Colour::Blue)],
        "purple" | "violet" | "lilac" | "mauve" | "plum" => &[C::Colour(Colour::Purple)],
        "pink" | "rose" | "coral" | "magenta" | "salmon" => &[C::Colour(Colour::Pink)],
        "brown" | "umber" | "tan" | "chocolate" | "wooden" => &[C::Colour(Colour::Brown)],
        "black" | "ink" | "coal" | "jet" => &[C::Colour(Colour::Black)],
        "grey" | "gray" | "ash" | "silver" | "stone" => &[C::Colour(Colour::Grey)],
        "white" | "ivory" | "snowy" | "cream" | "pearl" => &[C::Colour(Colour::White)],
        "pale" | "light" | "faded" | "soft" | "pastel" => &[C::Shade(Shade::Pale)],
        "deep" | "dark" | "dim" | "heavy" => &[C::Shade(Shade::Deep)],
        "circle" | "disc" | "disk" | "ball" | "dot" | "round" => &[C::Shape(Shape::Circle)],
        "square" | "tile" | "box" | "block" | "cube" | "house" => &[C::Shape(Shape::Square)],
        "triangle" | "peak" | "pyramid" | "mountain" | "sail" => &[C::Shape(Shape::Triangle)],
        "ring" | "hoop" | "loop" | "wheel" | "halo" => &[C::Shape(Shape::Ring)],
        "cross" | "plus" | "star" => &[C::Shape(Shape::Cross)],
        "diamond" | "kite" | "lozenge" | "rhombus" => &[C::Shape(Shape::Diamond)],
        "bar" | "beam" | "plank" | "line" | "rectangle" | "bridge" => &[C::Shape(Shape::Bar)],
        "dome" | "hill" | "arch" | "umbrella" => &[C::Shape(Shape::Dome)],
        "sun" => &[C::Shape(Shape::Circle), C::Colour(Colour::Yellow)],
        "moon" => &[C::Shape(Shape::Circle), C::Colour(Colour::White)],
        "tree" => &[C::Shape(Shape::Triangle), C::Colour(Colour::Green)],
        "tiny" | "minute" | "speck" => &[C::Size(Size::Tiny)],
        "small" | "little" => &[C::Size(Size::Small)],
        "medium" | "modest" => &[C::Size(Size::Medium)],
        "large" | "big" | "great" => &[C::Size(Size::Large)],
        "huge" | "giant" | "vast" | "enormous" => &[C::Size(Size::Huge)],
        "left" | "west" => &[C::Column(0)],
        "right" | "east" => &[C::Column(2)],
        "top" | "north" | "upper" => &[C::Row(0)],
        "bottom" | "south" | "lower" => &[C::Row(2)],
        "centre" | "center" | "middle" | "heart" => &[C::Column(1), C::Row(1)],
        "corner" | "corners" => &[C::Corner],
        "plain" | "flat" | "empty" | "still" => &[C::Texture(Texture::Plain)],
        "striped" | "stripes" | "stripe" | "banded" => &[C::Texture(Texture::Striped)],
        "ruled" | "lined" | "fluted" => &[C::Texture(Texture::Ruled)],
        "dotted" | "dots" | "speckled" | "starry" | "spotted" => &[C::Texture(Texture::Dotted)],
        "split" | "halved" | "horizon" | "shore" => &[C::Texture(Texture::Split)],
        "sea" | "ocean" | "lake" => &[C::GroundColour(Colour::Blue), C::Texture(Texture::Striped)],
        "night" => &[C::GroundColour(Colour::Black)],
        "snow" | "winter" => &[C::GroundColour(Colour::White)],
        "meadow" | "forest" | "grass" => &[C::GroundColour(Colour::Green), C::Texture(Texture::Split)],
        "desert" | "sand" | "beach" => &[C::GroundColour(Colour::Yellow), C::Texture(Texture::Split)],
        "background" | "ground" | "backdrop" | "sky" | "field" | "wall" | "paper" | "cloth" => &[C::GroundNoun],
        "on" | "over" | "upon" | "against" | "before" => &[C::Upon],
        "and" | "with" | "beside" | "near" | "under" | "above" | "below" => &[C::Also],
        _ => &[],
    }
}

/// Returns the words of a text, in lower case: the longest runs of letters and digits.
pub(super) fn words(text: &str) -> Vec<String> {
    let is_part = |part: &&str| !part.is_empty();
    text.split(|c: char| !c.is_alphanumeric()).filter(is_part).map(str::to_lowercase).collect()
}

/// Returns what a text says, as far as these dummies understand it.
pub(super) fn read(text: &str) -> Scene {
    let mut scene = Scene::default();
    let mut upon = false;
    let mut index = 0;
    for concept in words(text).iter().flat_map(|word| concepts(word)) {
        match *concept {
            Concept::Upon => upon = true,
            Concept::Also => {
                upon = false;
                index = usize::from(scene.things[0].shape.is_some());
            }
            Concept::GroundNoun => {
                let thing = &mut scene.things[index];
                if thing.shape.is_none() {
                    scene.ground.colour = scene.ground.colour.or(thing.colour.take());
                    scene.ground.shade = scene.ground.shade.or(thing.shade.take());
                    if *thing == Thing::default() {
                        scene.count = scene.count.min(index);
                    }
                }
            }
            Concept::GroundColour(colour) => scene.ground.colour = Some(colour),
            Concept::Texture(texture) => scene.ground.texture = Some(texture),
            Concept::Colour(colour) if upon => scene.ground.colour = Some(colour),
            Concept::Shade(shade) if upon => scene.ground.shade = Some(shade),
            said => {
                // "on the left" is about the thing, whatever "on" had promised.
                upon = upon && !matches!(said, Concept::Column(_) | Concept::Row(_) | Concept::Corner);
                say(&mut scene.things[index], said);
                scene.count = scene.count.max(index + 1);
            }
        }
    }
    scene
}

/// Adds to a thing what one word says of it; the first word of a kind holds, but a later shape is the noun.
fn say(thing: &mut Thing, said: Concept) {
    match said {
        Concept::Colour(colour) => thing.colour = thing.colour.or(Some(colour)),
        Concept::Shade(shade) => thing.shade = thing.shade.or(Some(shade)),
        Concept::Shape(shape) => thing.shape = Some(shape),
        Concept::Size(size) => thing.size = thing.size.or(Some(size)),
        Concept::Column(column) => thing.column = Some(column),
        Concept::Row(row) => thing.row = Some(row),
        Concept::Corner => thing.corner = true,
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_become_scenes() {
        let scene = read("A small red circle at the left and a jade hoop on a striped pale blue background");
        assert_eq!(scene.count, 2);
        assert_eq!((scene.things[0].colour, scene.things[0].shape), (Some(Colour::Red), Some(Shape::Circle)));
        assert_eq!((scene.things[0].size, scene.things[0].column), (Some(Size::Small), Some(0)));
        assert_eq!((scene.things[1].colour, scene.things[1].shape), (Some(Colour::Teal), Some(Shape::Ring)));
        assert_eq!(scene.ground.colour, Some(Colour::Blue));
        assert_eq!(scene.ground.shade, Some(Shade::Pale));
        assert_eq!(scene.ground.texture, Some(Texture::Striped));
    }

    #[test]
    fn grounds_are_found_before_and_after_the_thing() {
        let before = read("blue background with a red square on the right");
        assert_eq!((before.ground.colour, before.things[0].colour), (Some(Colour::Blue), Some(Colour::Red)));
        assert_eq!(before.things[0].column, Some(2));
        assert_eq!(read("a red square and a blue sky").count, 1);
        assert_eq!(read("a sun over the sea").ground.colour, Some(Colour::Blue));
        assert_eq!(read("whatever else"), Scene::default());
    }
}
