//! Times holos-tda on a cloud in an `.npy` file: `holos-peer CLOUD.npy MAX_DIM THREADS on|off`.
//!
//! Prints one line of JSON, as the Python peers do. Reading the file is not timed; the distances are.

use std::env;
use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::time::Instant;

use holos_tda::{DistanceMatrix, RipsParams, rips_persistence};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [cloud, max_dim, threads, collapse] = &arguments[..] else {
        return Err("usage: holos-peer CLOUD.npy MAX_DIM THREADS on|off".into());
    };
    let mut params = RipsParams::new(max_dim.parse()?);
    params.threads = threads.parse()?;
    params.collapse_edges = collapse == "on";

    let points = read_npy(cloud)?;
    // The peak starts again from here, where the kernel allows it.
    let _ = fs::write("/proc/self/clear_refs", "5");
    let baseline = memory("VmRSS:");
    let start = Instant::now();
    let distances = DistanceMatrix::from_points(&points)?;
    let measured = start.elapsed().as_secs_f64();
    let diagram = rips_persistence(&distances, &params)?;
    let total = start.elapsed().as_secs_f64();
    let peak = memory("VmHWM:");

    let mut diagrams = vec![Vec::new(); params.max_dim + 1];
    for bar in &diagram.bars {
        let death = if bar.death.is_finite() { bar.death.to_string() } else { "null".into() };
        diagrams[bar.dim].push(format!("[{},{death}]", bar.birth));
    }
    let mut text = String::new();
    for bars in &diagrams {
        write!(text, "{}[{}]", if text.is_empty() { "" } else { "," }, bars.join(","))?;
    }
    println!(
        r#"{{"seconds":{total:.6},"distances":{measured:.6},"baseline_bytes":{baseline},"peak_bytes":{peak},"dgms":[{text}]}}"#
    );
    Ok(())
}

/// Returns bytes of a line of `/proc/self/status`, 0 where there is none.
fn memory(field: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap_or("0");
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0) * 1024
}

/// Returns the rows of a little-endian `f32` matrix in C order.
fn read_npy(path: &str) -> Result<Vec<Vec<f64>>, Box<dyn Error>> {
    let bytes = fs::read(path)?;
    if !bytes.starts_with(b"\x93NUMPY\x01\x00") {
        return Err(format!("{path} is no .npy file of version 1").into());
    }
    let data_at = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let header = std::str::from_utf8(&bytes[10..data_at])?;
    if !header.contains("'<f4'") || !header.contains("'fortran_order': False") {
        return Err(format!("{path} must hold '<f4' in C order, got {header}").into());
    }
    let shape = header.split(['(', ')']).nth(1).ok_or("the header has no shape")?;
    let columns: usize = shape.split(',').nth(1).ok_or("the shape has one axis")?.trim().parse()?;
    let (numbers, _) = bytes[data_at..].as_chunks::<4>();
    let numbers: Vec<f64> = numbers.iter().map(|&number| f32::from_le_bytes(number).into()).collect();
    Ok(numbers.chunks(columns).map(<[f64]>::to_vec).collect())
}
