//! Puts a chart of each kind on one sheet: `chart_sheet CHARTS SHEET.webp [PART]`.
//!
//! CHARTS is a folder that `loopscope export charts --format png` wrote. Of a kind with several charts the one of PART is taken,
//! such as `dummyvision`, otherwise the first by name. docs/export.md has the command that made the sheet in the docs.

#![expect(clippy::print_stdout, reason = "says what it made")]

use std::error::Error;
use std::path::{Path, PathBuf};

use loopscope_export::chart::Kind;

/// Charts beside each other, and the width of each in pixels.
const COLUMNS: usize = 4;
const WIDTH: usize = 480;
const GAP: usize = 10;
const GROUND: [u8; 3] = [120, 120, 128];

/// Opaque pixels, RGB.
struct Picture {
    width: usize,
    height: usize,
    rgb: Vec<u8>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (folder, out, part) = match arguments.as_slice() {
        [folder, out] => (folder, out, ""),
        [folder, out, part] => (folder, out, part.as_str()),
        _ => return Err("expected CHARTS SHEET.webp [PART]".into()),
    };
    let (mut placed, mut bottoms, mut missing) = (Vec::new(), [GAP; COLUMNS], Vec::new());
    for kind in Kind::ALL {
        let Some(file) = file_of(Path::new(folder), kind, part)? else {
            missing.push(kind.name());
            continue;
        };
        let picture = scaled(&read(&file)?, WIDTH);
        // Each into the column that ends first; the earliest of those that end alike.
        let column = (0..COLUMNS).min_by_key(|&column| bottoms[column]).unwrap_or(0);
        let top = bottoms[column];
        bottoms[column] += picture.height + GAP;
        placed.push((GAP + column * (WIDTH + GAP), top, picture));
    }
    let (width, height) = (GAP + COLUMNS * (WIDTH + GAP), bottoms.into_iter().max().unwrap_or(GAP));
    let mut sheet = GROUND.repeat(width * height);
    for (left, top, picture) in &placed {
        for row in 0..picture.height {
            let at = ((top + row) * width + left) * 3;
            sheet[at..at + picture.width * 3]
                .copy_from_slice(&picture.rgb[row * picture.width * 3..][..picture.width * 3]);
        }
    }
    let mut bytes = Vec::new();
    let encoder = image_webp::WebPEncoder::new(&mut bytes);
    encoder.encode(&sheet, u32::try_from(width)?, u32::try_from(height)?, image_webp::ColorType::Rgb8)?;
    std::fs::write(out, &bytes)?;
    println!("{} charts, {width} × {height} pixels, {} bytes; without: {missing:?}", placed.len(), bytes.len());
    Ok(())
}

/// Returns the file of a kind: of the part that is wanted, or the first.
fn file_of(folder: &Path, kind: Kind, part: &str) -> Result<Option<PathBuf>, Box<dyn Error>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let stem = name.strip_suffix(".png").unwrap_or_default();
        if stem == kind.name() || stem.starts_with(&format!("{}.", kind.name())) {
            names.push(name);
        }
    }
    names.sort();
    let wanted = format!("{}.{part}.png", kind.name());
    Ok(names.iter().find(|name| **name == wanted).or(names.first()).map(|name| folder.join(name)))
}

fn read(path: &Path) -> Result<Picture, Box<dyn Error>> {
    let mut reader = png::Decoder::new(std::io::BufReader::new(std::fs::File::open(path)?)).read_info()?;
    let mut rgb = vec![0; reader.output_buffer_size().ok_or("the picture is too large")?];
    let info = reader.next_frame(&mut rgb)?;
    if info.color_type != png::ColorType::Rgb || info.bit_depth != png::BitDepth::Eight {
        return Err(format!("{} is none of ours: expected RGB of 8 bits", path.display()).into());
    }
    rgb.truncate(info.buffer_size());
    Ok(Picture { width: info.width as usize, height: info.height as usize, rgb })
}

/// Makes a picture narrower: each pixel is the mean of those that it stands for, its channels without their last three bits, a
/// difference that nobody sees and the file pays for.
fn scaled(picture: &Picture, width: usize) -> Picture {
    let height = (picture.height * width).div_ceil(picture.width).max(1);
    let mut rgb = Vec::with_capacity(width * height * 3);
    let range = |place: usize, from: usize, to: usize| place * from / to..((place + 1) * from).div_ceil(to).min(from);
    for y in 0..height {
        let rows = range(y, picture.height, height);
        for x in 0..width {
            let columns = range(x, picture.width, width);
            let count = (rows.len() * columns.len()).max(1);
            for channel in 0..3 {
                let sum: usize = rows
                    .clone()
                    .flat_map(|row| columns.clone().map(move |column| (row * picture.width + column) * 3 + channel))
                    .map(|at| usize::from(picture.rgb[at]))
                    .sum();
                let mean = (sum / count) as u8;
                rgb.push(if mean > 246 { 255 } else { mean & 0xF8 });
            }
        }
    }
    Picture { width, height, rgb }
}
