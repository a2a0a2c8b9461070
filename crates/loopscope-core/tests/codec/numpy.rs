//! NumPy's own word: fixtures that it wrote, and, where `LOOPSCOPE_PYTHON` names a Python with NumPy, both directions live.

use crate::{bits_of, diagram_of};
use loopscope_core::codec::{
    Diagram, DiagramCodecError, NpyArray, NpyError, NpyValues, Scalar, decode_diagram, encode_diagram, encode_vector,
    read_npy, write_npy,
};
use loopscope_core::experiment::Vector;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/codec")
}

/// Checks each archive of a folder against the bits beside it; returns how many there were.
fn check_folder(folder: &Path) -> usize {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "npz"));
    for path in &paths {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let result = decode_diagram(&fs::read(path).unwrap());
        if name == "object_dgms" {
            let error = result.unwrap_err();
            assert!(matches!(&error, DiagramCodecError::Array { source: NpyError::Object, .. }), "{error:?}");
            continue;
        }
        let diagram = result.unwrap_or_else(|error| panic!("{name}: {error:?}"));
        assert_eq!(bits_of(&diagram), fs::read(path.with_extension("expected")).unwrap(), "{name}");
        if name == "legacy" {
            check_legacy(&diagram);
        }
        let again = decode_diagram(&encode_diagram(&diagram).unwrap()).unwrap();
        assert_eq!(again, diagram, "{name}");
    }
    paths.len()
}

/// Every readable scalar and every `gens_*` array is kept; what is of another kind is left out.
fn check_legacy(diagram: &Diagram) {
    let entropy: Vec<u64> = diagram.entropy.as_ref().unwrap().iter().map(|number| number.to_bits()).collect();
    assert_eq!(entropy, [0.5_f64, -0.0, 0.0].map(f64::to_bits));
    let text = |text: &str| Scalar::Text(text.to_owned());
    let expected = [
        ("big_text", text("ab")),
        ("bytes_text", text("abc")),
        ("flag_meta", Scalar::Bool(true)),
        ("metric_meta", text("euclidean")),
        ("narrow_float", Scalar::Float(0.1_f32.into())),
        ("small", Scalar::Integer(-7)),
        ("wide_float", Scalar::Float(f64::INFINITY)),
        ("zero_d", text("é\u{1f300}")),
    ];
    assert_eq!(diagram.metadata, expected.map(|(key, value)| (key.to_owned(), value)).into());
    let integers = |shape: &[usize], fortran_order, values: &[i64]| NpyArray {
        shape: shape.to_vec(),
        fortran_order,
        values: NpyValues::I64(values.to_vec()),
    };
    let expected = [
        ("gens_0", integers(&[1, 3], false, &[1, 2, 3])),
        ("gens_1_0", integers(&[2, 3], true, &[0, 3, 1, 4, 2, 5])),
        ("gens_1_count", integers(&[1], false, &[1])),
        ("gens_2", integers(&[0], false, &[])),
    ];
    assert_eq!(diagram.gens, expected.map(|(key, value)| (key.to_owned(), value)).into());
}

#[test]
fn archives_that_numpy_wrote_are_read_bit_for_bit() {
    assert_eq!(check_folder(&here().join("fixtures")), 5);
}

#[expect(clippy::print_stdout, reason = "a skipped test says so")]
fn python(mode: &str, folder: &Path) -> bool {
    let Some(python) = std::env::var_os("LOOPSCOPE_PYTHON") else {
        println!("skipped: LOOPSCOPE_PYTHON does not name a Python with NumPy");
        return false;
    };
    let output = Command::new(python).arg(here().join("numpy_interop.py")).arg(mode).arg(folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    true
}

#[test]
fn what_numpy_writes_now_is_read_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    if !python("write", folder.path()) {
        return;
    }
    assert_eq!(check_folder(folder.path()), 18);
    for path in fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()) {
        if path.extension().is_some_and(|extension| extension == "npy") {
            let bytes = fs::read(&path).unwrap();
            assert_eq!(write_npy(&read_npy(&bytes).unwrap()).unwrap(), bytes, "{}", path.display());
        }
    }
}

#[test]
fn what_we_write_numpy_reads_bit_for_bit_without_pickle() {
    let folder = tempfile::tempdir().unwrap();
    let save = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).unwrap();
    let dgms = diagram_of(&[
        &[(0.0, 0.1), (-0.0, 5e-324), (f64::NEG_INFINITY, f64::INFINITY), (1.0 / 3.0, 1e308)],
        &[(0.25, 0.25)],
        &[],
    ]);
    let text = |text: &str| Scalar::Text(text.to_owned());
    let metadata = [
        ("flag", Scalar::Bool(true)),
        ("max_dim", Scalar::Integer(i64::MIN)),
        ("metric", text("euclidean")),
        ("program_version", text("")),
        ("threshold", Scalar::Float(f64::INFINITY)),
        ("ünïcode", text("é\u{1f300}")),
    ];
    let gens = [
        ("gens_0", NpyArray { shape: vec![2, 3], fortran_order: true, values: NpyValues::I64(vec![1, 4, 2, 5, 3, 6]) }),
        ("gens_1", NpyArray::vector(NpyValues::I64(vec![]))),
    ];
    let full = Diagram {
        entropy: Some(vec![0.5, -0.0, 0.0]),
        metadata: metadata.map(|(key, value)| (key.to_owned(), value)).into(),
        gens: gens.map(|(key, value)| (key.to_owned(), value)).into(),
        ..dgms.clone()
    };
    let diagrams = [("full", full), ("bars", dgms), ("no_dimension", diagram_of(&[])), ("empty", diagram_of(&[&[]]))];
    for (name, diagram) in &diagrams {
        save(&format!("{name}.npz"), &encode_diagram(diagram).unwrap());
        save(&format!("{name}.expected"), &bits_of(diagram));
    }
    let names: Vec<&str> = diagrams.iter().map(|(name, _)| *name).collect();
    save("manifest.json", serde_json::json!({ "diagrams": names }).to_string().as_bytes());
    let vector = Vector::new(vec![1.5, -0.0, 1e-45, f32::MAX]).unwrap();
    save("vector.bin", &encode_vector(&vector));
    let widened: Vec<u8> = vector.numbers().iter().flat_map(|&number| f64::from(number).to_le_bytes()).collect();
    save("vector.expected", &widened);
    python("check", folder.path());
}
