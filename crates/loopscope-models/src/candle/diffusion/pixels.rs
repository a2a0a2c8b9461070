//! From what an autoencoder gives to a picture.

use candle_core::{DType, Tensor};
use loopscope_core::backend::ModelError;
use loopscope_core::experiment::Picture;

use super::failed;

/// Returns the picture of (1, 3, height, width), where -1 is dark and 1 is light; what is beyond is cut off, and halves
/// are rounded to the even neighbour, as NumPy does.
///
/// # Errors
///
/// A [`ModelError`] when a number is not finite: the model has overflowed, and a picture of it would say nothing.
pub(crate) fn picture(decoded: &Tensor) -> Result<Picture, ModelError> {
    let numbers = || {
        let (_, _, height, width) = decoded.dims4()?;
        let rows = decoded.squeeze(0)?.permute((1, 2, 0))?.flatten_all()?.to_dtype(DType::F32)?;
        Ok((rows.to_vec1::<f32>()?, height, width))
    };
    let (numbers, height, width) = numbers().map_err(|error| failed("pixels", &error))?;
    if let Some(at) = numbers.iter().position(|value| !value.is_finite()) {
        return Err(ModelError::permanent(format!(
            "the model gave {} at channel {} of pixel {}; half precision overflows in some models: try dtype = \"bf16\" or \"f32\"",
            numbers[at],
            at % 3,
            at / 3,
        )));
    }
    let level = |value: f32| ((value * 0.5 + 0.5).clamp(0.0, 1.0) * 255.0).round_ties_even() as u8;
    let rgb = numbers.into_iter().map(level).collect();
    let side = |side: usize| u32::try_from(side).unwrap_or(u32::MAX);
    Picture::new(side(width), side(height), rgb).map_err(|error| ModelError::permanent(error.to_string()))
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn levels_are_cut_rounded_to_even_and_laid_out_by_pixel() {
        // Two pixels; 0.5 of a level up from 0 and from 1.
        let half = 1.0 / 255.0;
        let data = [-1.0 + half, 1.0, -3.0, 7.0, 0.0, -1.0 + 3.0 * half];
        let tensor = Tensor::from_slice(&data.map(|value: f64| value as f32), (1, 3, 1, 2), &Device::Cpu).unwrap();
        let picture = picture(&tensor).unwrap();
        assert_eq!((picture.width(), picture.height()), (2, 1));
        assert_eq!(picture.rgb()[1..5], [0, 128, 255, 255], "{:?}", picture.rgb());
    }

    #[test]
    fn overflow_is_an_error_with_a_place() {
        let tensor = Tensor::from_slice(&[0.0, 0.0, 0.0, f32::NAN, 0.0, 0.0], (1, 3, 1, 2), &Device::Cpu).unwrap();
        let message = picture(&tensor).unwrap_err().to_string();
        assert!(message.starts_with("the model gave NaN at channel 1 of pixel 1"), "{message}");
    }
}
