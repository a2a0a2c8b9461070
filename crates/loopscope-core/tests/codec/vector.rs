use loopscope_core::codec::{decode_optional_vector, decode_vector, encode_optional_vector, encode_vector};
use loopscope_core::experiment::Vector;
use proptest::prelude::*;

fn bits(vector: &Vector) -> Vec<u32> {
    vector.numbers().iter().map(|number| number.to_bits()).collect()
}

proptest! {
    #[test]
    fn vectors_come_back_bit_for_bit(words in prop::collection::vec(any::<u32>(), 0..40)) {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        match Vector::new(words.iter().map(|&word| f32::from_bits(word)).collect()) {
            Ok(vector) => {
                prop_assert_eq!(&encode_vector(&vector), &bytes);
                prop_assert_eq!(bits(&decode_vector(&bytes).unwrap()), words);
            }
            Err(_) => prop_assert!(decode_vector(&bytes).is_err()),
        }
    }

    #[test]
    fn vectors_are_whole_numbers_of_float32(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        if let Ok(vector) = decode_vector(&bytes) {
            prop_assert!(bytes.len() % 4 == 0 && vector.dimension() == bytes.len() / 4);
            prop_assert_eq!(encode_vector(&vector), bytes);
        }
    }
}

#[test]
fn a_nullable_column_maps_null_to_none_and_nothing_else() {
    let vector = Vector::new(vec![-0.0, 1e-45, f32::MAX]).unwrap();
    assert_eq!(encode_optional_vector(None), None);
    assert_eq!(decode_optional_vector(None), Ok(None));
    let bytes = encode_optional_vector(Some(&vector)).unwrap();
    assert_eq!(bits(&decode_optional_vector(Some(&bytes)).unwrap().unwrap()), bits(&vector));
    assert!(decode_optional_vector(Some(&[])).is_err(), "no bytes are not NULL");
}
