//! Computes the persistence of a cloud in an `.npy` file and says where the time went.
//!
//! `persistence CLOUD.npy [--max-dim 2] [--threshold X] [--collapse auto|on|off] [--threads N]
//! [--memory-limit BYTES] [--bars FILE]`
//!
//! Prints one line of JSON. With `--bars`, writes one bar a line, `dimension birth death`, sorted: two programs agree
//! when the files do.

use std::env;
use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::io::{Write as _, stdout};
use std::ops::ControlFlow;
use std::time::Instant;

use ripsaw::{Collapse, Metric, Options, PointCloud, Stage, persistence_of_points_watched};

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
            "--threads" => options = options.with_threads(value()?.parse()?),
            "--memory-limit" => options = options.with_memory_bytes_max(value()?.parse()?),
            "--bars" => bars_file = Some(value()?),
            flag if flag.starts_with("--") => return Err(format!("{flag} is unknown").into()),
            _ => cloud = Some(argument),
        }
    }
    let cloud = cloud.ok_or("a cloud is needed")?;
    let (count, dimension, coordinates) = read_npy(&cloud)?;

    let points = PointCloud::new(&coordinates, count, dimension)?;
    let start = Instant::now();
    let mut begun: Vec<(Stage, f64)> = Vec::new();
    let mut watch = |stage, _| {
        if begun.last().is_none_or(|&(last, _)| last != stage) {
            begun.push((stage, start.elapsed().as_secs_f64()));
        }
        ControlFlow::Continue(())
    };
    let persistence = persistence_of_points_watched(&points, Metric::Euclidean, &options, &mut watch)?;
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
    // A stage lasts from its first report, that of the distances from the start, to the first of the next.
    let ends = begun.iter().skip(1).map(|&(_, time)| time).chain([total]);
    let mut seconds = String::new();
    for (number, (&(stage, time), end)) in begun.iter().zip(ends).enumerate() {
        let time = if number == 0 { 0.0 } else { time };
        write!(seconds, r#""{}": {:.4}, "#, name(stage), end - time)?;
    }
    let edge_count = persistence.edge_count;
    writeln!(
        stdout(),
        r#"{{"n": {count}, "edges": {edge_count}, "bars": {bar_counts:?}, "seconds": {{{seconds}"total": {total:.4}}}}}"#,
    )?;
    Ok(())
}

fn name(stage: Stage) -> String {
    match stage {
        Stage::Columns { dimension } => format!("columns {dimension}"),
        Stage::Reduction { dimension } => format!("reduction {dimension}"),
        other => format!("{other:?}").to_lowercase(),
    }
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
