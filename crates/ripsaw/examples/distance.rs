//! Measures the distance between two diagrams in `.npy` files and says how long it took.
//!
//! `distance A.npy B.npy [--metric bottleneck|wasserstein] [--order 1|2] [--ground linf|l2] [--relative-error DELTA]`
//!
//! Each file holds float64 of shape (n, 2), a birth and a death a row. Prints one line of JSON.

use std::env;
use std::error::Error;
use std::fs;
use std::io::{Write as _, stdout};
use std::time::Instant;

use ripsaw::{Bar, DistanceOptions, GroundNorm, WassersteinOrder, bottleneck, wasserstein};

fn main() -> Result<(), Box<dyn Error>> {
    let (mut files, mut options) = (Vec::new(), DistanceOptions::default());
    let (mut is_bottleneck, mut order, mut ground) = (false, WassersteinOrder::One, GroundNorm::LInfinity);
    let mut arguments = env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
        match argument.as_str() {
            "--metric" => is_bottleneck = chosen(&argument, &value()?, [("bottleneck", true), ("wasserstein", false)])?,
            "--order" => {
                order = chosen(&argument, &value()?, [("1", WassersteinOrder::One), ("2", WassersteinOrder::Two)])?;
            }
            "--ground" => {
                ground = chosen(&argument, &value()?, [("linf", GroundNorm::LInfinity), ("l2", GroundNorm::L2)])?;
            }
            "--relative-error" => options = options.with_relative_error(value()?.parse()?),
            flag if flag.starts_with("--") => return Err(format!("{flag} is unknown").into()),
            _ => files.push(argument),
        }
    }
    let [a, b] = &files[..] else { return Err(format!("two diagrams are needed, got {}", files.len()).into()) };
    let (a, b) = (read_bars(a)?, read_bars(b)?);
    let start = Instant::now();
    let distance =
        if is_bottleneck { bottleneck(&a, &b, &options)? } else { wasserstein(&a, &b, order, ground, &options)? };
    let seconds = start.elapsed().as_secs_f64();
    writeln!(stdout(), r#"{{"bars": [{}, {}], "distance": {distance:?}, "seconds": {seconds:.7}}}"#, a.len(), b.len())?;
    Ok(())
}

fn chosen<T: Copy>(flag: &str, got: &str, choices: [(&str, T); 2]) -> Result<T, String> {
    let choice = choices.iter().find(|(name, _)| *name == got).map(|&(_, choice)| choice);
    choice.ok_or(format!("{flag} takes {} or {}, got {got}", choices[0].0, choices[1].0))
}

/// Returns the rows of a little-endian `f64` matrix of two columns in C order.
fn read_bars(path: &str) -> Result<Vec<Bar>, Box<dyn Error>> {
    let bytes = fs::read(path)?;
    let Some((b"\x93NUMPY\x01\x00", rest)) = bytes.split_first_chunk() else {
        return Err(format!("{path} is no .npy file of version 1.0").into());
    };
    let (length, rest) = rest.split_first_chunk().ok_or("the file ends in its header")?;
    let (header, numbers) =
        rest.split_at_checked(u16::from_le_bytes(*length).into()).ok_or("the file ends in its header")?;
    let header = str::from_utf8(header)?;
    if !["'<f8'", "'fortran_order': False", ", 2)"].iter().all(|part| header.contains(part)) {
        return Err(format!("{path} must hold '<f8' of shape (n, 2) in C order, got {header}").into());
    }
    let (rows, _) = numbers.as_chunks::<16>();
    let number = |bytes: &[u8]| bytes.try_into().map(f64::from_le_bytes);
    rows.iter().map(|row| Ok((number(&row[..8])?, number(&row[8..])?).into())).collect()
}
