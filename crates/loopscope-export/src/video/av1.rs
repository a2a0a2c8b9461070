//! AV1 in MP4, without anything that has to be installed.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::num::{NonZeroU16, NonZeroU32};
use std::path::Path;

use rav1e::prelude::*;
use shiguredo_mp4::boxes::{Av01Box, Av1cBox, SampleEntry, VisualSampleEntryFields};
use shiguredo_mp4::mux::{Mp4FileMuxer, Mp4FileMuxerOptions, Sample, estimate_maximum_moov_box_size};
use shiguredo_mp4::{TrackKind, Uint};

use super::yuv::Planes;
use super::{FrameSink, Shown, VideoError};

/// The fastest preset: mosaics are flat, and ten times the time saves a fifth of the bytes.
const SPEED: u8 = 10;
/// From 0 to 255; this one keeps small letters sharp.
const QUANTIZER: usize = 100;
/// A place to begin every so many frames, for those who jump.
const KEY_FRAME_EVERY: u64 = 120;
/// Room for the index before the frames, so that a video plays while it loads; more frames than this put it at the end.
const FRAMES_EXPECTED: usize = 4_000;

/// A file on its way.
pub(super) struct Av1File {
    encoder: Context<u8>,
    /// How long frames are shown that have not come out yet.
    ticks: VecDeque<u32>,
    muxer: Mp4FileMuxer,
    file: BufWriter<File>,
    timescale: NonZeroU32,
    entry: Option<SampleEntry>,
    position: u64,
}

impl Av1File {
    pub(super) fn begin(path: &Path, size: (usize, usize), fps: u32, threads: usize) -> Result<Self, VideoError> {
        let threads = if threads > 0 { threads } else { std::thread::available_parallelism().map_or(1, usize::from) };
        // The level says how much a player must be able to do: 4.1, 5.1, 6.1.
        let level = match size.0 {
            ..=2048 => 9,
            2049..=4096 => 13,
            _ => 17,
        };
        let settings = EncoderConfig {
            width: size.0,
            height: size.1,
            time_base: Rational::new(1, u64::from(fps)),
            bit_depth: 8,
            chroma_sampling: ChromaSampling::Cs420,
            pixel_range: PixelRange::Limited,
            color_description: Some(ColorDescription {
                color_primaries: ColorPrimaries::BT709,
                transfer_characteristics: TransferCharacteristics::BT709,
                matrix_coefficients: MatrixCoefficients::BT709,
            }),
            level_idx: Some(level),
            low_latency: true,
            min_key_frame_interval: 12,
            max_key_frame_interval: KEY_FRAME_EVERY,
            quantizer: QUANTIZER,
            tune: Tune::Psnr,
            tiles: threads.next_power_of_two().min(16),
            speed_settings: speed_settings(),
            ..EncoderConfig::default()
        };
        let failed = |error: &dyn std::fmt::Display| VideoError::Av1 { message: error.to_string() };
        let config = Config::new().with_encoder_config(settings).with_threads(threads);
        let encoder = config.new_context().map_err(|error| failed(&error))?;
        let options = Mp4FileMuxerOptions {
            reserved_moov_box_size: estimate_maximum_moov_box_size(&[FRAMES_EXPECTED]),
            ..Mp4FileMuxerOptions::default()
        };
        let muxer = Mp4FileMuxer::with_options(options).map_err(|error| mp4(&error))?;
        let mut file = BufWriter::new(File::create(path)?);
        file.write_all(muxer.initial_boxes_bytes())?;
        let position = muxer.initial_boxes_bytes().len() as u64;
        Ok(Self {
            encoder,
            ticks: VecDeque::new(),
            muxer,
            file,
            timescale: NonZeroU32::new(fps).unwrap_or(NonZeroU32::MIN),
            entry: Some(sample_entry(size, level)),
            position,
        })
    }

    /// Writes what has come out of the encoder.
    fn drain(&mut self) -> Result<(), VideoError> {
        loop {
            match self.encoder.receive_packet() {
                Ok(packet) => self.write(&packet.data, packet.frame_type == FrameType::KEY)?,
                Err(EncoderStatus::Encoded) => {}
                Err(EncoderStatus::NeedMoreData | EncoderStatus::LimitReached) => return Ok(()),
                Err(error) => return Err(VideoError::Av1 { message: error.to_string() }),
            }
        }
    }

    fn write(&mut self, packet: &[u8], is_key: bool) -> Result<(), VideoError> {
        // MP4 has its own marks of time: the delimiter at the beginning stays out.
        let data = packet.strip_prefix(&[0x12, 0x00]).unwrap_or(packet);
        self.file.write_all(data)?;
        let sample = Sample {
            track_kind: TrackKind::Video,
            sample_entry: self.entry.take(),
            keyframe: is_key,
            timescale: self.timescale,
            duration: self.ticks.pop_front().unwrap_or(1),
            composition_time_offset: None,
            data_offset: self.position,
            data_size: data.len(),
        };
        self.position += data.len() as u64;
        self.muxer.append_sample(&sample).map_err(|error| mp4(&error))
    }
}

/// Returns the fastest preset, without what looks ahead or smooths, since tiles change at once and their edges are meant, and with
/// smaller blocks: the preset's of 32 pixels blur edges, for more bytes and no less time. Angles between the eight directions
/// cost a quarter of the time, and no byte is seen of them.
fn speed_settings() -> SpeedSettings {
    let mut settings = SpeedSettings::from_preset(SPEED);
    settings.cdef = false;
    settings.segmentation = SegmentationLevel::Disabled;
    settings.scene_detection_mode = SceneDetectionSpeed::None;
    settings.rdo_lookahead_frames = 1;
    settings.partition.partition_range = PartitionRange::new(BlockSize::BLOCK_16X16, BlockSize::BLOCK_16X16);
    settings.prediction.fine_directional_intra = false;
    settings
}

fn mp4(error: &dyn std::fmt::Display) -> VideoError {
    VideoError::Mp4 { message: error.to_string() }
}

fn sample_entry(size: (usize, usize), level: u8) -> SampleEntry {
    let side = |side: usize| u16::try_from(side).unwrap_or(u16::MAX);
    SampleEntry::Av01(Av01Box {
        visual: VisualSampleEntryFields {
            data_reference_index: NonZeroU16::MIN,
            width: side(size.0),
            height: side(size.1),
            horizresolution: VisualSampleEntryFields::DEFAULT_HORIZRESOLUTION,
            vertresolution: VisualSampleEntryFields::DEFAULT_VERTRESOLUTION,
            frame_count: VisualSampleEntryFields::DEFAULT_FRAME_COUNT,
            compressorname: VisualSampleEntryFields::NULL_COMPRESSORNAME,
            depth: VisualSampleEntryFields::DEFAULT_DEPTH,
        },
        av1c_box: Av1cBox {
            seq_profile: Uint::new(0),
            seq_level_idx_0: Uint::new(level),
            seq_tier_0: Uint::new(0),
            high_bitdepth: Uint::new(0),
            twelve_bit: Uint::new(0),
            monochrome: Uint::new(0),
            chroma_subsampling_x: Uint::new(1),
            chroma_subsampling_y: Uint::new(1),
            chroma_sample_position: Uint::new(0),
            initial_presentation_delay_minus_one: None,
            config_obus: Vec::new(),
        },
        unknown_boxes: Vec::new(),
    })
}

impl FrameSink for Av1File {
    fn frame(&mut self, frame: &Shown) -> Result<(), VideoError> {
        let mut picture = self.encoder.new_frame();
        let Planes { width, y, u, v } = &frame.planes;
        for (target, (source, stride)) in picture.planes.iter_mut().zip([(y, *width), (u, width / 2), (v, width / 2)]) {
            target.copy_from_raw_u8(source, stride, 1);
        }
        self.ticks.push_back(frame.ticks);
        let frame_type_override = if frame.is_cut { FrameTypeOverride::Key } else { FrameTypeOverride::No };
        let parameters = FrameParameters { frame_type_override, ..FrameParameters::default() };
        self.encoder
            .send_frame((picture, parameters))
            .map_err(|error| VideoError::Av1 { message: error.to_string() })?;
        self.drain()
    }

    fn finish(mut self: Box<Self>) -> Result<(), VideoError> {
        self.encoder.flush();
        self.drain()?;
        if !self.ticks.is_empty() {
            return Err(VideoError::Av1 { message: format!("{} frames did not come out", self.ticks.len()) });
        }
        let boxes = self.muxer.finalize().map_err(|error| mp4(&error))?;
        for (offset, bytes) in boxes.offset_and_bytes_pairs() {
            self.file.seek(SeekFrom::Start(offset))?;
            self.file.write_all(bytes)?;
        }
        self.file.flush()?;
        Ok(())
    }
}
