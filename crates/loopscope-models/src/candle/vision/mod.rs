//! Image embedders: a picture cut into squares, a transformer over them, and one row made of what comes out.
//!
//! Pictures of a batch go through by themselves or a few at a time; on the CPU each core takes its own.

mod clip;
mod dinov2;
mod siglip;

use std::ops::Range;

use candle_core::{DType, Device, Tensor};
use loopscope_core::backend::{ImageEmbedder, LoadedModel, ModelError};
use loopscope_core::experiment::Picture;
use rayon::prelude::*;

pub(super) use clip::{Shape, Vision as ClipVision, activation, heads};

use super::encoder::{Encoder, failed};
use super::files::Files;
use super::kernels::Threads;
use super::ops::{Linear, Norm};
use super::pixels::{self, Preparation};
use super::weights::shards;
use super::{NativeInfo, NativeModel, device, fault};
use crate::family::Family;

/// The file of the model's shape.
pub(super) const CONFIG: &str = "config.json";
/// The stem of its weights.
pub(super) const STEM: &str = "model";
/// Most pictures in a call.
const BATCH_MAX: usize = 64;
/// Rows that go through the layers together, at least one picture's.
const PACK_ROWS: usize = 256;

/// Squares of a picture as rows.
#[derive(Clone, Debug)]
pub(super) struct Patches {
    /// Pixels of a side of a square.
    pub(super) side: usize,
    /// Pixels to rows.
    pub(super) linear: Linear,
    /// A row before the squares'.
    pub(super) first: Option<Tensor>,
    /// A row to add by position, the first row's included.
    pub(super) places: Tensor,
    pub(super) norm: Option<Norm>,
}

/// Pictures to rows.
#[derive(Clone, Debug)]
pub(super) struct Tower {
    pub(super) preparation: Preparation,
    pub(super) patches: Patches,
    pub(super) encoder: Encoder,
}

impl Tower {
    /// Returns the hidden rows of pictures, one after another, and where each picture's are.
    ///
    /// # Errors
    ///
    /// When the device fails.
    pub(super) fn forward(
        &self,
        pictures: &[&Picture],
        device: &Device,
        threads: Threads,
    ) -> candle_core::Result<(Tensor, Vec<Range<usize>>)> {
        let rows: Vec<Tensor> = pictures
            .iter()
            .map(|picture| self.patches.rows(&self.preparation, picture, device, threads))
            .collect::<candle_core::Result<_>>()?;
        let mut sequences: Vec<Range<usize>> = Vec::with_capacity(rows.len());
        for rows in &rows {
            let start = sequences.last().map_or(0, |last| last.end);
            sequences.push(start..start + rows.dim(0)?);
        }
        let rows = match rows.as_slice() {
            [rows] => rows.clone(),
            rows => Tensor::cat(rows, 0)?,
        };
        Ok((self.encoder.forward(rows, &sequences, &[], threads)?, sequences))
    }

    /// Returns how many rows a picture has.
    pub(super) fn rows(&self) -> usize {
        self.patches.places.dim(0).unwrap_or(1)
    }
}

impl Patches {
    fn rows(
        &self,
        how: &Preparation,
        picture: &Picture,
        device: &Device,
        threads: Threads,
    ) -> candle_core::Result<Tensor> {
        let squares = pixels::patches(&how.prepare(picture), how.sides(), self.side);
        let width = 3 * self.side * self.side;
        let count = squares.len() / width;
        let squares = Tensor::from_vec(squares, (count, width), device)?;
        let rows = self.linear.forward(&squares.to_dtype(self.places.dtype())?, threads)?;
        let rows = match &self.first {
            Some(first) => Tensor::cat(&[first, &rows], 0)?,
            None => rows,
        };
        let rows = (rows + &self.places)?;
        match &self.norm {
            Some(norm) => norm.forward(&rows),
            None => Ok(rows),
        }
    }
}

/// Checks that the processor makes pictures of the size that the model has places for.
///
/// # Errors
///
/// [`ModelError`] that names the file and both sizes.
pub(super) fn check_sides(files: &Files<'_>, preparation: &Preparation, side: usize) -> Result<(), ModelError> {
    let got = preparation.sides();
    if got == [side, side] {
        return Ok(());
    }
    let what = format!("makes pictures of {} by {} pixels; {CONFIG} expects {side} by {side}", got[1], got[0]);
    Err(files.error(pixels::FILE, what))
}

/// Checks that squares fill a picture.
///
/// # Errors
///
/// [`ModelError`] that names the file and the keys.
pub(super) fn squares(files: &Files<'_>, image: usize, patch: usize) -> Result<usize, ModelError> {
    if image > pixels::SIDE_MAX {
        return Err(files.error(CONFIG, format!("image_size: expected at most {}, got {image}", pixels::SIDE_MAX)));
    }
    if patch > 0 && image >= patch && image.is_multiple_of(patch) {
        return Ok((image / patch).pow(2));
    }
    Err(files.error(CONFIG, format!("patch_size: expected a divisor of image_size, {image}, got {patch}")))
}

/// What makes one vector of the rows of a picture.
trait Head: Send + Sync {
    /// Returns one row a picture.
    fn vectors(&self, rows: &Tensor, sequences: &[Range<usize>], threads: Threads) -> candle_core::Result<Tensor>;
}

/// How a family reads its files.
trait Architecture {
    /// Numbers in a vector.
    fn dimension(&self) -> usize;
    /// Numbers of the widest layer by rows of a picture.
    fn widest(&self) -> usize;
    /// Reads the weights.
    fn load(&self, files: &Files<'_>, placement: &device::Placement) -> Result<(Tower, Box<dyn Head>), ModelError>;
}

fn architecture(model: &NativeModel<'_>, files: &Files<'_>) -> Result<Box<dyn Architecture>, ModelError> {
    Ok(match model.family {
        Family::Clip => Box::new(clip::Config::read(files)?),
        Family::Siglip => Box::new(siglip::Config::read(files)?),
        Family::Dinov2 => Box::new(dinov2::Config::read(files)?),
        family => return Err(ModelError::permanent(format!("{}: family {family} embeds no pictures", model.name))),
    })
}

/// Describes an image embedder.
///
/// # Errors
///
/// [`ModelError`] as for [`super::describe`].
pub(super) fn describe(model: &NativeModel<'_>) -> Result<NativeInfo, ModelError> {
    let files = model.files();
    let architecture = architecture(model, &files)?;
    let mut read = shards(&files, STEM)?;
    read.extend([CONFIG, pixels::FILE].map(str::to_owned));
    let threads = rayon::current_num_threads() as u64;
    Ok(NativeInfo {
        dimension: Some(architecture.dimension()),
        batch_max: BATCH_MAX,
        memory_bytes: device::memory(model, files.bytes(&read)) + threads * 32 * architecture.widest() as u64,
        weights_hash: files.hash(&read)?,
        determinism: device::determinism(model),
        lane: device::lane(model),
    })
}

/// Loads an image embedder.
///
/// # Errors
///
/// [`ModelError`] as for [`super::load`].
pub(super) fn load(model: &NativeModel<'_>) -> Result<LoadedModel, ModelError> {
    let files = model.files();
    let placement = device::open(model)?;
    let (tower, head) = architecture(model, &files)?.load(&files, &placement)?;
    let name = model.name.to_string();
    Ok(LoadedModel::ImageEmbedder(Box::new(Embedder { name, tower, head, device: placement.device })))
}

struct Embedder {
    name: String,
    tower: Tower,
    head: Box<dyn Head>,
    device: Device,
}

impl ImageEmbedder for Embedder {
    fn embed(&mut self, batch: &[&Picture]) -> Vec<Result<Vec<f32>, ModelError>> {
        let this = &*self;
        let packs: Vec<&[&Picture]> = batch.chunks((PACK_ROWS / this.tower.rows()).max(1)).collect();
        let answer = |pack: &[&Picture], threads| match this.embed_pack(pack, threads) {
            Ok(vectors) => vectors.into_iter().map(Ok).collect::<Vec<_>>(),
            Err(error) => pack.iter().map(|_| Err(fault::failed(&this.name, &error))).collect(),
        };
        if this.device.is_cpu() && packs.len() >= rayon::current_num_threads() {
            return packs.par_iter().with_max_len(1).flat_map_iter(|pack| answer(pack, Threads::One)).collect();
        }
        packs.iter().flat_map(|pack| answer(pack, Threads::All)).collect()
    }
}

impl Embedder {
    fn embed_pack(&self, pack: &[&Picture], threads: Threads) -> candle_core::Result<Vec<Vec<f32>>> {
        let (rows, sequences) = self.tower.forward(pack, &self.device, threads)?;
        let vectors = self.head.vectors(&rows, &sequences, threads)?;
        vectors.to_device(&Device::Cpu)?.to_dtype(DType::F32)?.to_vec2()
    }
}

/// Returns the first row of each sequence.
fn first_rows(rows: &Tensor, sequences: &[Range<usize>]) -> candle_core::Result<Tensor> {
    let starts: Vec<u32> = sequences.iter().map(|sequence| sequence.start as u32).collect();
    rows.index_select(&Tensor::new(starts.as_slice(), rows.device())?, 0)
}

/// Returns the layer of a convolution whose stride is its side: a product over the pixels of each square.
pub(super) fn patch_linear(weight: &Tensor, bias: Option<Tensor>) -> Result<Linear, ModelError> {
    weight.flatten_from(1).and_then(|weight| Linear::new(&weight, bias)).map_err(failed)
}
