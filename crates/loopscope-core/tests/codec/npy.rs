use crate::npy_of;
use loopscope_core::codec::{NpyArray, NpyError, NpyValues, read_npy, write_npy};
use proptest::prelude::*;

fn values() -> impl Strategy<Value = NpyValues> {
    let count = 0..24_usize;
    let text = ".{0,6}".prop_map(|text: String| text.trim_end_matches('\0').to_owned());
    prop_oneof![
        prop::collection::vec(any::<u32>(), count.clone())
            .prop_map(|words| NpyValues::F32(words.into_iter().map(f32::from_bits).collect())),
        prop::collection::vec(any::<u64>(), count.clone())
            .prop_map(|words| NpyValues::F64(words.into_iter().map(f64::from_bits).collect())),
        prop::collection::vec(any::<i64>(), count.clone()).prop_map(NpyValues::I64),
        prop::collection::vec(any::<u64>(), count.clone()).prop_map(NpyValues::U64),
        prop::collection::vec(any::<bool>(), count.clone()).prop_map(NpyValues::Bool),
        prop::collection::vec(text, count).prop_map(NpyValues::Text),
    ]
}

/// Arrays of one and two axes; two where the count is even.
fn arrays() -> impl Strategy<Value = NpyArray> {
    (values(), any::<bool>(), any::<bool>()).prop_map(|(values, fortran_order, is_flat)| {
        let count = values.len();
        let shape = if is_flat || count % 2 == 1 { vec![count] } else { vec![count / 2, 2] };
        NpyArray { shape, fortran_order, values }
    })
}

proptest! {
    #[test]
    fn arrays_come_back_bit_for_bit(array in arrays()) {
        let bytes = write_npy(&array).unwrap();
        let back = read_npy(&bytes).unwrap();
        prop_assert_eq!((&back.shape, back.fortran_order), (&array.shape, array.fortran_order));
        // NaN equals nothing, but its bytes do.
        prop_assert_eq!(write_npy(&back).unwrap(), bytes);
    }

    #[test]
    fn any_bytes_behind_the_magic_are_read_or_refused(
        version in 0..5_u8,
        rest in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let bytes = [b"\x93NUMPY".as_slice(), &[version, 0], &rest].concat();
        prop_assert!(read_npy(&bytes).is_err());
    }

    #[test]
    fn headers_with_one_byte_changed_never_panic(array in arrays(), at in any::<prop::sample::Index>(), byte: u8) {
        let mut bytes = write_npy(&array).unwrap();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(read) = read_npy(&bytes) {
            prop_assert_eq!(read.shape.iter().product::<usize>(), read.values.len());
        }
    }

    #[test]
    fn header_like_text_never_panics(header in "[{}()\\[\\]'\",: 0-9LTrueFalsedscropf_\\\\<>|USiOb-]{0,80}") {
        prop_assert!(read_npy(&npy_of(&header, &[])).is_err());
    }
}

#[test]
fn fortran_order_is_undone() {
    // [[0, 1, 2], [3, 4, 5]] column by column; then a cube whose value is its place in C order.
    let array = NpyArray { shape: vec![2, 3], fortran_order: true, values: NpyValues::I64(vec![0, 3, 1, 4, 2, 5]) };
    assert_eq!(array.into_c_order().unwrap().values, NpyValues::I64((0..6).collect()));
    let mut cube = Vec::new();
    for third in 0..4 {
        for second in 0..3 {
            for first in 0..2 {
                cube.push(first * 12 + second * 4 + third);
            }
        }
    }
    let array = NpyArray { shape: vec![2, 3, 4], fortran_order: true, values: NpyValues::I64(cube) };
    assert_eq!(array.into_c_order().unwrap().values, NpyValues::I64((0..24).collect()));
}

#[test]
fn headers_of_every_spelling_are_read() {
    for header in [
        "{'descr': '<i2', 'fortran_order': False, 'shape': (2,), }",
        "{'shape':(2,),'fortran_order':False,'descr':'<i2'}",
        "{\"descr\": \"<i2\", \"shape\": (2L,), \"fortran_order\": False}   \n",
        " {\n'descr': '<i2', 'shape': (1, 2), 'fortran_order': True}",
    ] {
        assert_eq!(
            read_npy(&npy_of(header, &[1, 0, 255, 255])).unwrap().values,
            NpyValues::I64(vec![1, -1]),
            "{header}"
        );
    }
}

#[test]
fn lying_shapes_are_refused_before_anything_is_allocated() {
    for shape in [
        "(1000000000000,)",
        "(18446744073709551615,)",
        "(18446744073709551616,)",
        "(4294967296, 4294967296)",
        "(4294967296, 4294967296, 0, 1)",
    ] {
        for descr in ["<f8", "|b1", "<U1", "<U0", "|S0", "<U4611686018427387904", "<U18446744073709551615"] {
            let header = format!("{{'descr': '{descr}', 'fortran_order': True, 'shape': {shape}, }}");
            match read_npy(&npy_of(&header, &[])) {
                Ok(array) => assert!(array.values.is_empty() && array.into_c_order().is_ok()),
                Err(error) => assert!(
                    matches!(error, NpyError::Length { .. } | NpyError::Type { .. } | NpyError::Header { .. }),
                    "{error}"
                ),
            }
        }
    }
}

#[test]
fn narrow_numbers_may_not_grow_past_the_limit() {
    // 2^27 + 1 bytes of i1 would be 2^30 + 8 bytes of i64.
    let count = (1 << 27) + 1;
    let header = format!("{{'descr': '|i1', 'fortran_order': False, 'shape': ({count},), }}");
    let error = read_npy(&npy_of(&header, &vec![0; count])).unwrap_err();
    assert_eq!(error, NpyError::TooLarge { got: (1 << 30) + 8, max: 1 << 30 });
}
