use crate::{archive_of, bits_of, diagram_of, npy_of};
use loopscope_core::codec::{
    Bar, DIAGRAM_MEMBERS_MAX, Diagram, DiagramCodecError, NpyArray, NpyValues, Scalar, decode_diagram,
    decode_optional_diagram, encode_diagram, encode_optional_diagram, write_npy,
};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Any two numbers in order: infinities, both zeros and subnormals come up.
fn bars() -> impl Strategy<Value = Vec<Bar>> {
    let number = prop_oneof![
        4 => any::<u64>().prop_map(f64::from_bits).prop_filter("not NaN", |number| !number.is_nan()),
        1 => prop::sample::select(vec![0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, f64::MIN_POSITIVE / 2.0]),
    ];
    let bar = (number.clone(), number).prop_map(|(left, right)| {
        let (birth, death) = if right < left { (right, left) } else { (left, right) };
        Bar { birth, death }
    });
    prop::collection::vec(bar, 0..12)
}

fn scalars() -> impl Strategy<Value = Scalar> {
    prop_oneof![
        any::<i64>().prop_map(Scalar::Integer),
        any::<f64>().prop_map(Scalar::Float),
        any::<bool>().prop_map(Scalar::Bool),
        ".{0,12}".prop_map(|text: String| Scalar::Text(text.trim_end_matches('\0').to_owned())),
    ]
}

fn gens() -> impl Strategy<Value = BTreeMap<String, NpyArray>> {
    let array = (prop::collection::vec(any::<i64>(), 0..6), any::<bool>()).prop_map(|(numbers, fortran_order)| {
        let numbers: Vec<i64> = numbers.iter().chain(&numbers).copied().collect();
        NpyArray { shape: vec![2, numbers.len() / 2], fortran_order, values: NpyValues::I64(numbers) }
    });
    prop::collection::btree_map("gens_[0-9_a-z]{0,4}", array, 0..4)
}

fn diagrams() -> impl Strategy<Value = Diagram> {
    let name = "[a-zA-Z_é][a-zA-Z0-9_ é]{0,10}"
        .prop_filter("taken", |name| name != "entropy" && !name.starts_with("dgms_") && !name.starts_with("gens_"));
    (
        prop::collection::vec((bars(), any::<f64>()), 0..4),
        any::<bool>(),
        prop::collection::btree_map(name, scalars(), 0..5),
        gens(),
    )
        .prop_map(|(dgms, has_entropy, metadata, gens)| {
            let (dgms, entropy): (Vec<_>, Vec<_>) = dgms.into_iter().unzip();
            Diagram { dgms, entropy: has_entropy.then_some(entropy), metadata, gens }
        })
}

proptest! {
    #[test]
    fn diagrams_come_back_bit_for_bit(diagram in diagrams()) {
        let bytes = encode_diagram(&diagram).unwrap();
        let back = decode_diagram(&bytes).unwrap();
        prop_assert_eq!(bits_of(&back), bits_of(&diagram));
        let bits = |entropy: &Option<Vec<f64>>| {
            entropy.as_ref().map(|numbers| numbers.iter().map(|number| number.to_bits()).collect::<Vec<u64>>())
        };
        prop_assert_eq!(bits(&back.entropy), bits(&diagram.entropy));
        prop_assert_eq!(&back.metadata, &diagram.metadata);
        prop_assert_eq!(&back.gens, &diagram.gens);
        prop_assert_eq!(encode_diagram(&back).unwrap(), bytes);
    }

    #[test]
    fn damaged_archives_never_panic_and_bars_never_change_in_silence(
        diagram in diagrams(),
        is_deflated: bool,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = encode_diagram(&diagram).unwrap();
        if is_deflated {
            bytes = deflated(&bytes);
        }
        for (at, byte) in &changes {
            let at = at.index(bytes.len());
            bytes[at] = *byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        // A changed name in the directory may hide a member or swap two, but the numbers of a bar have a checksum.
        if let Ok(back) = decode_diagram(&bytes) {
            for bars in &back.dgms {
                let alone = bits_of(&Diagram { dgms: vec![bars.clone()], ..diagram_of(&[]) });
                let known = |bars: &Vec<Bar>| bits_of(&Diagram { dgms: vec![bars.clone()], ..diagram_of(&[]) }) == alone;
                prop_assert!(diagram.dgms.iter().any(known));
            }
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(decode_diagram(&bytes).is_err());
    }

    #[test]
    fn any_member_is_read_or_refused(
        header in "\\{'descr': '[<>|][a-zA-Z][0-9]{0,2}', 'fortran_order': (True|False), 'shape': \\([0-9]{1,3},( 2)?\\), \\}",
        values in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        let member = npy_of(&header, &values);
        let archive = archive_of(&[
            ("dgms_count.npy", npy_of("{'descr': '|u1', 'fortran_order': False, 'shape': (), }", &[1])),
            ("dgms_0.npy", member.clone()),
            ("entropy.npy", member.clone()),
            ("gens_0.npy", member.clone()),
            ("metric_meta.npy", member),
        ]);
        // A shape of (n, 2) is rare here, and right only with as many bytes.
        if let Ok(diagram) = decode_diagram(&archive) {
            prop_assert_eq!(diagram.dgms.len(), 1);
        }
    }
}

/// Returns the same members, deflated.
fn deflated(bytes: &[u8]) -> Vec<u8> {
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(bytes)).unwrap();
    let names: Vec<String> = archive.file_names().map(|name| name.unwrap().into_owned()).collect();
    let members: Vec<(&str, Vec<u8>)> = names
        .iter()
        .map(|name| {
            let mut member = Vec::new();
            std::io::Read::read_to_end(&mut archive.by_name(name).unwrap(), &mut member).unwrap();
            (name.as_str(), member)
        })
        .collect();
    archive_of(&members)
}

#[test]
fn every_cut_of_an_archive_is_an_error() {
    let bytes = encode_diagram(&diagram_of(&[&[(0.0, f64::INFINITY)], &[]])).unwrap();
    for length in 0..bytes.len() {
        assert!(decode_diagram(&bytes[..length]).is_err(), "{length} bytes");
    }
}

#[test]
fn a_nullable_column_maps_null_to_none_and_nothing_else() {
    let diagram = diagram_of(&[]);
    assert_eq!(encode_optional_diagram(None).unwrap(), None);
    assert_eq!(decode_optional_diagram(None).unwrap(), None);
    let bytes = encode_optional_diagram(Some(&diagram)).unwrap().unwrap();
    assert_eq!(decode_optional_diagram(Some(&bytes)).unwrap(), Some(diagram));
    assert!(decode_optional_diagram(Some(&[])).is_err(), "no bytes are not NULL");
}

#[test]
fn other_members_cannot_make_a_diagram_invalid() {
    let array = |values| write_npy(&NpyArray::vector(values)).unwrap();
    let archive = archive_of(&[
        ("dgms_count.npy", array(NpyValues::I64(vec![0]))),
        ("entropy.npy", array(NpyValues::Text(vec!["high".to_owned()]))),
        ("gens_0.npy", b"no array".to_vec()),
        ("objects.npy", npy_of("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", b"\x80\x04N.")),
        ("notes.txt", b"written by hand".to_vec()),
        ("curve.npy", array(NpyValues::F64(vec![1.0, 2.0]))),
        ("dgms_7.npy", array(NpyValues::F64(vec![1.0]))),
        ("big.npy", array(NpyValues::U64(vec![u64::MAX]))),
        ("metric_meta.npy", array(NpyValues::Text(vec!["euclidean".to_owned()]))),
    ]);
    let diagram = decode_diagram(&archive).unwrap();
    let metadata = BTreeMap::from([("metric_meta".to_owned(), Scalar::Text("euclidean".to_owned()))]);
    assert_eq!(diagram, Diagram { metadata, ..diagram_of(&[]) });
    assert_eq!(decode_diagram(&encode_diagram(&diagram).unwrap()).unwrap(), diagram);
}

#[test]
fn nan_in_a_stored_diagram_is_seen_as_it_is_and_not_written_again() {
    let bars = NpyArray { shape: vec![1, 2], fortran_order: false, values: NpyValues::F64(vec![f64::NAN, 1.0]) };
    let archive = archive_of(&[
        ("dgms_count.npy", write_npy(&NpyArray::vector(NpyValues::I64(vec![1]))).unwrap()),
        ("dgms_0.npy", write_npy(&bars).unwrap()),
    ]);
    let diagram = decode_diagram(&archive).unwrap();
    assert_eq!(diagram.dgms[0][0].birth.to_bits(), f64::NAN.to_bits());
    assert!(matches!(diagram.check(), Err(DiagramCodecError::NotANumber { dimension: 0, row: 0, .. })));
    assert!(encode_diagram(&diagram).is_err());
}

#[test]
fn a_bomb_is_refused_by_what_it_declares() {
    // Five deflated members of 256 MiB of zeros each: 1.25 GiB out of a little over a megabyte.
    let zeros = vec![0; 256 << 20];
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for name in ["dgms_count.npy", "dgms_0.npy", "dgms_1.npy", "gens_0.npy", "metric.npy"] {
        writer.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        std::io::Write::write_all(&mut writer, &zeros).unwrap();
    }
    let mut bytes = writer.finish().unwrap().into_inner();
    assert!(bytes.len() < 8 << 20);
    assert!(matches!(decode_diagram(&bytes), Err(DiagramCodecError::TooLarge { got, .. }) if got == 5 << 28));
    // The same with a directory that declares 8 bytes each: what comes out is not more than that.
    let directory: Vec<usize> =
        bytes.windows(4).enumerate().filter(|(_, at)| *at == b"PK\x01\x02").map(|(at, _)| at).collect();
    for at in directory {
        bytes[at + 24..at + 28].copy_from_slice(&8_u32.to_le_bytes());
    }
    assert!(matches!(decode_diagram(&bytes), Err(DiagramCodecError::Extract { .. })));
}

#[test]
fn an_archive_of_many_members_is_refused() {
    let names: Vec<String> = (0..=DIAGRAM_MEMBERS_MAX).map(|index| format!("m{index}")).collect();
    let members: Vec<(&str, Vec<u8>)> = names.iter().map(|name| (name.as_str(), Vec::new())).collect();
    assert!(matches!(decode_diagram(&archive_of(&members)), Err(DiagramCodecError::Members { got: 4097, max: 4096 })));
}
