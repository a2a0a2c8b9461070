//! Every message that a person may read about a diagram, with its causes.

use crate::{archive_of, diagram_of, npy_of};
use loopscope_core::codec::{
    Diagram, NpyArray, NpyValues, Scalar, decode_diagram, decode_vector, encode_diagram, read_npy, write_npy,
};

/// Returns the message and below it each cause.
fn told(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    std::iter::once(error.to_string())
        .chain(causes.map(|cause| format!("cause: {cause}")))
        .collect::<Vec<_>>()
        .join("\n")
}

fn refused(diagram: &Diagram) -> String {
    told(&encode_diagram(diagram).unwrap_err())
}

fn unread(members: &[(&str, Vec<u8>)]) -> String {
    told(&decode_diagram(&archive_of(members)).unwrap_err())
}

fn npy(values: NpyValues) -> Vec<u8> {
    write_npy(&NpyArray::vector(values)).unwrap()
}

/// An archive of one diagram, this one.
fn unread_dgm(dgm: Vec<u8>) -> String {
    unread(&[("dgms_count.npy", npy(NpyValues::I64(vec![1]))), ("dgms_0.npy", dgm)])
}

fn unread_count(count: NpyValues) -> String {
    unread(&[("dgms_count.npy", npy(count))])
}

#[test]
fn messages_about_diagrams_to_be_written() {
    let nan = f64::NAN;
    insta::assert_snapshot!(refused(&diagram_of(&[&[], &[(0.0, 1.0), (nan, 1.0)]])), @"the birth of bar 1 in dimension 1 is not a number");
    insta::assert_snapshot!(refused(&diagram_of(&[&[(0.0, nan)]])), @"the death of bar 0 in dimension 0 is not a number");
    insta::assert_snapshot!(refused(&diagram_of(&[&[(1.5, 0.5)]])), @"bar 0 in dimension 0 dies at 0.5, before its birth at 1.5");
    insta::assert_snapshot!(refused(&diagram_of(&[&[(f64::INFINITY, f64::NEG_INFINITY)]])), @"bar 0 in dimension 0 dies at -inf, before its birth at inf");
    let entropy = |entropy: &[f64]| Diagram { entropy: Some(entropy.to_vec()), ..diagram_of(&[&[]]) };
    insta::assert_snapshot!(refused(&entropy(&[1.0, 2.0])), @"the entropy has one number for each of 1 dimensions, got 2");
    insta::assert_snapshot!(refused(&entropy(&[nan])), @"the entropy of dimension 0 is not a number");
    let named = |name: &str, text: &str| Diagram {
        metadata: [(name.to_owned(), Scalar::Text(text.to_owned()))].into(),
        ..diagram_of(&[])
    };
    insta::assert_snapshot!(refused(&named("dgms_0", "")), @r#""dgms_0" cannot name a member of metadata"#);
    insta::assert_snapshot!(refused(&named("a/b\0", "")), @r#""a/b\0" cannot name a member of metadata"#);
    insta::assert_snapshot!(refused(&named("metric", "x\0")), @r#"
    member metric is no array of a diagram
    cause: the text at index 0 of the array ends with a NUL, which NumPy cannot keep
    "#);
    let gens = |name: &str, shape: &[usize]| Diagram {
        gens: [(
            name.to_owned(),
            NpyArray { shape: shape.to_vec(), fortran_order: false, values: NpyValues::I64(vec![1]) },
        )]
        .into(),
        ..diagram_of(&[])
    };
    insta::assert_snapshot!(refused(&gens("generators", &[1])), @r#""generators" cannot name a member of gens"#);
    insta::assert_snapshot!(refused(&gens("gens_0", &[1, 2])), @r#"
    member gens_0 is no array of a diagram
    cause: an array of shape (1, 2) has 2 values, got 1
    "#);
    insta::assert_snapshot!(refused(&gens("gens_0", &[usize::MAX, 2])), @r#"
    member gens_0 is no array of a diagram
    cause: an array of shape (18446744073709551615, 2) has 36893488147419103230 values, got 1
    "#);
}

#[test]
fn messages_about_archives() {
    insta::assert_snapshot!(told(&decode_diagram(b"").unwrap_err()), @r#"
    the bytes are no readable npz archive
    cause: invalid Zip archive: Could not find EOCD
    "#);
    insta::assert_snapshot!(unread(&[]), @"the archive has no member dgms_count");
    insta::assert_snapshot!(unread(&[("dgms_count.npy", npy(NpyValues::I64(vec![2]))), ("dgms_1.npy", vec![])]), @"the archive has no member dgms_0");
    insta::assert_snapshot!(unread_count(NpyValues::I64(vec![i64::MAX])), @"the archive has no member dgms_0");
    insta::assert_snapshot!(unread_count(NpyValues::I64(vec![-1])), @"dgms_count is one whole number from 0, got -1");
    insta::assert_snapshot!(unread_count(NpyValues::I64(vec![1, 2])), @"dgms_count is one whole number from 0, got whole numbers of shape (2,)");
    insta::assert_snapshot!(unread_count(NpyValues::F64(vec![1.0])), @"dgms_count is one whole number from 0, got float64 of shape (1,)");
    insta::assert_snapshot!(unread_dgm(b"pickle".to_vec()), @r#"
    member dgms_0 is no array of a diagram
    cause: the bytes do not begin as a NumPy array
    "#);
    insta::assert_snapshot!(unread_dgm(npy(NpyValues::F64(vec![1.0, 2.0]))), @"dgms_0 has the shape (n, 2), got (2,)");
    insta::assert_snapshot!(unread_dgm(npy_of("{'descr': '|b1', 'fortran_order': False, 'shape': (1, 2)}", &[0, 1])), @"dgms_0 holds numbers that are exact as float64, got truth values");
    insta::assert_snapshot!(unread_dgm(npy_of("{'descr': '|O', 'fortran_order': False, 'shape': (1, 2)}", b"x")), @r#"
    member dgms_0 is no array of a diagram
    cause: the array holds Python objects, which are never unpickled
    "#);
    insta::assert_snapshot!(unread_dgm(npy_of("{'descr': '<f8', 'fortran_order': False, 'shape': (1, 2)}", &[0; 15])), @r#"
    member dgms_0 is no array of a diagram
    cause: an array of shape (1, 2) and type <f8 takes 16 bytes, got 15
    "#);

    let mut bytes = encode_diagram(&diagram_of(&[&[(0.0, 1.0)]])).unwrap();
    let number = bytes.windows(8).rposition(|window| window == 1.0_f64.to_le_bytes()).unwrap();
    bytes[number] = 1;
    insta::assert_snapshot!(told(&decode_diagram(&bytes).unwrap_err()), @r#"
    member dgms_0 cannot be extracted
    cause: Invalid checksum
    "#);
}

#[test]
fn messages_about_limits() {
    let names: Vec<String> = (0..4097).map(|index| format!("m{index}")).collect();
    let members: Vec<(&str, Vec<u8>)> = names.iter().map(|name| (name.as_str(), vec![])).collect();
    insta::assert_snapshot!(unread(&members), @"the archive has 4097 members, expected at most 4096");

    // The directory says what a member takes; this one says 4 GiB less one.
    let mut bytes = archive_of(&[("dgms_count.npy", vec![])]);
    let at = bytes.windows(4).position(|window| window == b"PK\x01\x02").unwrap();
    bytes[at + 24..at + 28].copy_from_slice(&(u32::MAX - 1).to_le_bytes());
    insta::assert_snapshot!(told(&decode_diagram(&bytes).unwrap_err()), @"the archive takes 4294967294 bytes uncompressed, expected at most 1073741824");
}

#[test]
fn messages_about_members_of_another_size() {
    let mut bytes = archive_of(&[("dgms_count.npy", vec![])]);
    let at = bytes.windows(4).position(|window| window == b"PK\x01\x02").unwrap();
    bytes[at + 24] = 1;
    insta::assert_snapshot!(told(&decode_diagram(&bytes).unwrap_err()), @r#"
    member dgms_count cannot be extracted
    cause: the directory declares 1 bytes, got 0
    "#);
}

#[test]
fn messages_about_arrays() {
    let unread = |bytes: &[u8]| told(&read_npy(bytes).unwrap_err());
    let header = |header: &str| unread(&npy_of(header, &[]));
    insta::assert_snapshot!(unread(b"PK"), @"the bytes do not begin as a NumPy array");
    insta::assert_snapshot!(unread(b"\x93NUMPY\x04\x00"), @"npy version 4.0 is not read, expected 1.0, 2.0 or 3.0");
    insta::assert_snapshot!(unread(b"\x93NUMPY\x01\x00\xff\x00"), @"the npy header takes 255 bytes, got 0");
    insta::assert_snapshot!(unread(b"\x93NUMPY\x02\x00\xff\xff\xff\xff"), @"the npy header takes 4294967295 bytes, expected at most 65536");
    insta::assert_snapshot!(header(""), @r#"the npy header does not read, expected "{" at byte 0 of it"#);
    insta::assert_snapshot!(header("{}"), @"the npy header does not read, expected descr, fortran_order and shape once each at byte 2 of it");
    insta::assert_snapshot!(header("{'descr': '<f8', 'descr': '<f8'}"), @"the npy header does not read, expected descr, fortran_order and shape once each at byte 24 of it");
    insta::assert_snapshot!(header("{'descr': <f8}"), @"the npy header does not read, expected a type at byte 11 of it");
    insta::assert_snapshot!(header("{'descr"), @"the npy header does not read, expected a string at byte 1 of it");
    insta::assert_snapshot!(header("{'fortran_order': 1}"), @"the npy header does not read, expected True or False at byte 18 of it");
    insta::assert_snapshot!(header("{'shape': (2)}"), @r#"the npy header does not read, expected "," at byte 12 of it"#);
    insta::assert_snapshot!(header("{'shape': (-1,)}"), @"the npy header does not read, expected a length at byte 11 of it");
    insta::assert_snapshot!(header(&format!("{{'shape': ({})}}", "1, ".repeat(65))), @"the npy header does not read, expected at most 64 dimensions at byte 204 of it");
    insta::assert_snapshot!(header("{'shape': (1,) 'descr'}"), @r#"the npy header does not read, expected "," or "}" at byte 15 of it"#);
    insta::assert_snapshot!(header("{'descr': '<f8', 'fortran_order': False, 'shape': ()} 1"), @r#"the npy header does not read, expected nothing after "}" at byte 54 of it"#);
    insta::assert_snapshot!(header("{'descr': [('a]', '<f8')], 'fortran_order': False, 'shape': ()}"), @"the array type [('a]', '<f8')] is not read, expected f4, f8, i1 to i8, u1 to u8, b1, U or S");
    insta::assert_snapshot!(header("{'descr': '<c16', 'fortran_order': False, 'shape': ()}"), @"the array type <c16 is not read, expected f4, f8, i1 to i8, u1 to u8, b1, U or S");
    insta::assert_snapshot!(header("{'descr': '|O', 'fortran_order': False, 'shape': ()}"), @"the array holds Python objects, which are never unpickled");
    insta::assert_snapshot!(header("{'descr': '<f8', 'fortran_order': False, 'shape': (3, 2)}"), @"an array of shape (3, 2) and type <f8 takes 48 bytes, got 0");
    insta::assert_snapshot!(unread(&npy_of("{'descr': '<U1', 'fortran_order': False, 'shape': ()}", &[0, 0xd8, 0, 0])), @"the text at index 0 of the array is not Unicode");
    insta::assert_snapshot!(told(&decode_vector(&[0; 3]).unwrap_err()), @"a vector is a positive multiple of 4 bytes, got 3");
    insta::assert_snapshot!(told(&decode_vector(&[0; 4]).unwrap_err()), @"a vector needs a number that is not zero, got 1 zeros");
}
