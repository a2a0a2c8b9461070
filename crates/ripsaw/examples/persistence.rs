//! Computes the persistence of a cloud in an `.npy` file and says where the time went.
//!
//! `persistence CLOUD.npy [--max-dim 2] [--threshold X] [--collapse auto|on|off] [--bars FILE]`
//!
//! Prints one line of JSON. With `--bars`, writes one bar a line, `dimension birth death`, sorted: two programs agree
//! when the files do.

use std::env;
use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::io::{Write as _, stdout};
use std::time::Instant;

use ripsaw::{Collapse, CondensedDistances, Metric, Options, PointCloud, persistence_of_distances};

fn main() -> Result<(), Box<dyn Error>> {
    let (mut cloud, mut bars_file, mut options) = (None, None, Options::default());
    let mut arguments = env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
        match argument.as_str() {
            "--max-dim" => options = options.with_max_dimension(value()?.parse()?),
            "--threshold" => options = options.with_threshold(value()?.parse()?),
            "--collapse" => {
                options = options.with_collapse(match value()?.as_str() {
                    "auto" => Collapse::Auto,
                    "on" => Collapse::On,
                    "off" => Collapse::Off,
                    other => return Err(format!("--collapse takes auto, on or off, got {other}").into()),
                });
            }
            "--bars" => bars_file = Some(value()?),
            flag if flag.starts_with("--") => return Err(format!("{flag} is unknown").into()),
            _ => cloud = Some(argument),
        }
    }
    let cloud = cloud.ok_or("a cloud is needed")?;
    let (count, dimension, coordinates) = read_npy(&cloud)?;

    let points = PointCloud::new(&coordinates, count, dimension)?;
    let start = Instant::now();
    let distances = CondensedDistances::from_points(&points, Metric::Euclidean)?;
    let measured = start.elapsed().as_secs_f64();
    let persistence = persistence_of_distances(&distances, &options)?;
    let total = start.elapsed().as_secs_f64();

    let mut text = String::new();
    for (dimension, bars) in persistence.diagrams.iter().enumerate() {
        for bar in bars {
            writeln!(text, "{dimension} {} {}", bar.birth, bar.death)?;
        }
    }
    if let Some(file) = bars_file {
        fs::write(file, text)?;
    }
    let bar_counts: Vec<usize> = persistence.diagrams.iter().map(Vec::len).collect();
    writeln!(
        stdout(),
        r#"{{"n": {count}, "edges": {}, "bars": {bar_counts:?}, "seconds": {{"distances": {measured:.4}, "total": {total:.4}}}}}"#,
        persistence.edge_count
    )?;
    Ok(())
}

/// Returns rows, columns and numbers of a little-endian `f32` matrix in C order.
fn read_npy(path: &str) -> Result<(usize, usize, Vec<f32>), Box<dyn Error>> {
    let bytes = fs::read(path)?;
    let length = match bytes.get(..8) {
        Some(b"\x93NUMPY\x01\x00") => 2,
        Some(b"\x93NUMPY\x02\x00" | b"\x93NUMPY\x03\x00") => 4,
        _ => return Err(format!("{path} is no .npy file").into()),
    };
    let field = bytes.get(8..8 + length).ok_or("the file ends in its header")?;
    let header_length = field.iter().rev().fold(0, |sum, &byte| 256 * sum + usize::from(byte));
    let numbers_at = 8 + length + header_length;
    let header = str::from_utf8(bytes.get(8 + length..numbers_at).ok_or("the file ends in its header")?)?;
    if !header.contains("'<f4'") || !header.contains("'fortran_order': False") {
        return Err(format!("{path} must hold '<f4' in C order, got {header}").into());
    }
    let shape = header.split(['(', ')']).nth(1).ok_or("the header has no shape")?;
    let shape = shape.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::parse);
    let [rows, columns] = shape.collect::<Result<Vec<usize>, _>>()?[..] else {
        return Err(format!("{path} must be a matrix").into());
    };
    let (numbers, _) = bytes[numbers_at..].as_chunks::<4>();
    Ok((rows, columns, numbers.iter().map(|&number| f32::from_le_bytes(number)).collect()))
}
