//! Mosaics over time: every run's pictures, turn by turn, in one video.
//!
//! Frames are drawn, encoded and written one by one, the next drawn while one is encoded; none is stored. A frame that is
//! the same as the one before is not encoded again but shown longer. The built-in encoder makes AV1, whose licence asks nothing of anybody; ffmpeg, where it is
//! installed, makes larger frames and other codecs.

mod av1;
mod blocks;
mod encode;
mod ffmpeg;
mod stage;
mod yuv;

use std::path::Path;

use loopscope_core::store::Store;
use serde::Serialize;

use crate::mosaic::Board;
use crate::{ExportError, OutputFile, Part, Progress};
use encode::Encoding;
use stage::Stage;
use yuv::Planes;

/// Why a video was not made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VideoError {
    /// The built-in encoder makes AV1 in HD.
    #[error("{what} needs ffmpeg, and there is none on the path")]
    NoFfmpeg {
        /// What was asked for.
        what: String,
    },
    /// This ffmpeg lacks an encoder.
    #[error("this ffmpeg has no encoder for {codec}: it lacks {encoders}")]
    NoEncoder {
        /// The codec.
        codec: &'static str,
        /// The encoders that would do.
        encoders: String,
    },
    /// ffmpeg gave up.
    #[error("ffmpeg failed: {message}")]
    Ffmpeg {
        /// Its last words.
        message: String,
    },
    /// The built-in encoder does not know this codec.
    #[error("the built-in encoder makes AV1, and {codec} was asked for")]
    NotBuiltIn {
        /// The codec.
        codec: &'static str,
    },
    /// The built-in encoder gave up.
    #[error("the AV1 encoder failed: {message}")]
    Av1 {
        /// Why.
        message: String,
    },
    /// The container was not made.
    #[error("the MP4 was not made: {message}")]
    Mp4 {
        /// Why.
        message: String,
    },
    /// The file system said no.
    #[error("writing the video")]
    Io(#[from] std::io::Error),
}

/// How large a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// 1920 × 1080.
    Hd,
    /// 3840 × 2160.
    FourK,
    /// 7680 × 4320.
    EightK,
}

impl Resolution {
    /// Returns width and height in pixels.
    #[must_use]
    pub const fn size(self) -> (usize, usize) {
        match self {
            Self::Hd => (1920, 1080),
            Self::FourK => (3840, 2160),
            Self::EightK => (7680, 4320),
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Hd => "hd",
            Self::FourK => "4k",
            Self::EightK => "8k",
        }
    }
}

/// How frames are encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// Free for everybody; plays in browsers.
    Av1,
    /// Plays everywhere.
    H264,
    /// Small, and plays on devices of Apple and televisions.
    H265,
}

impl Codec {
    const fn name(self) -> &'static str {
        match self {
            Self::Av1 => "AV1",
            Self::H264 => "H.264",
            Self::H265 => "H.265",
        }
    }
}

/// Who encodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EncoderChoice {
    /// The built-in one for AV1 in HD, otherwise ffmpeg.
    Auto,
    /// The one in this program.
    BuiltIn,
    /// The one on the path.
    Ffmpeg,
}

/// What a video is like.
#[derive(Clone, Copy, Debug)]
pub struct VideoOptions {
    /// Turns a second, in `1..=60`.
    pub fps: u32,
    /// Size of frames.
    pub resolution: Resolution,
    /// How they are encoded.
    pub codec: Codec,
    /// By whom.
    pub encoder: EncoderChoice,
    /// Threads of the built-in encoder; 0 for all cores.
    pub threads: usize,
    /// `--force`.
    pub may_replace: bool,
}

/// What was made.
#[derive(Clone, Debug, Serialize)]
pub struct WrittenVideo {
    /// Frames that were encoded.
    pub frames: u64,
    /// Frames that were the same as the one before, which is shown longer instead.
    pub held: u64,
    /// In seconds.
    pub seconds: f64,
    /// Of the file.
    pub bytes: u64,
    /// Which encoder made it.
    pub encoder: String,
}

/// A frame as the encoders take it.
struct Shown {
    planes: Planes,
    /// For how long it is shown, in parts of 1 / fps seconds.
    ticks: u32,
    /// Whether most of it is other than what was shown before, so that nothing can be predicted from there.
    is_cut: bool,
}

/// Takes frames.
trait FrameSink {
    fn frame(&mut self, frame: &Shown) -> Result<(), VideoError>;

    /// Ends the video. A sink that is dropped before leaves no process behind.
    fn finish(self: Box<Self>) -> Result<(), VideoError>;
}

/// Shortest side of a tile that shows anything, in pixels.
const TILE_MIN: usize = 40;

/// Makes a video of boards, one after another.
///
/// # Errors
///
/// [`ExportError`]; nothing is left behind.
pub fn export_video(
    store: &Store,
    boards: &[Board],
    path: &Path,
    options: &VideoOptions,
    progress: &mut dyn Progress,
) -> Result<WrittenVideo, ExportError> {
    let stages = boards
        .iter()
        .map(|board| Stage::new(store, board, options.resolution.size(), TILE_MIN))
        .collect::<Result<Vec<_>, ExportError>>()?;
    let file = OutputFile::begin(path, options.may_replace)?;
    let (sink, encoder) = open(options, file.temporary_path())?;
    let total: u64 = stages.iter().map(|stage| stage.length() as u64 + 1).sum();
    progress.begin(Part { name: "video", total, unit: "frames" });
    let (ticks, frames, held) = std::thread::scope(|scope| -> Result<_, ExportError> {
        let mut encoding = Encoding::begin(scope, sink)?;
        let ticks = draw(stages, options.fps, &mut encoding, progress)?;
        let (frames, held) = encoding.finish()?;
        Ok((ticks, frames, held))
    })?;
    let bytes = file.finish()?;
    Ok(WrittenVideo { frames, held, seconds: ticks as f64 / f64::from(options.fps), bytes, encoder })
}

/// Draws all frames, in order, and returns for how many ticks they are shown together. Ends early when the encoder has.
fn draw(
    stages: Vec<Stage<'_>>,
    fps: u32,
    encoding: &mut Encoding<'_>,
    progress: &mut dyn Progress,
) -> Result<u64, ExportError> {
    let (mut ticks, mut done) = (0, 0);
    for mut stage in stages {
        let length = stage.length();
        for turn in 0..=length {
            progress.check()?;
            // The card comes first, and the last picture stays, long enough to be looked at.
            let (planes, shown, is_cut) = if turn == 0 {
                (Planes::of(&stage.title_card()?), CARD_SECONDS * fps, true)
            } else {
                let changed = stage.advance(turn - 1)?;
                let shown = if turn == length { HOLD_SECONDS * fps } else { 1 };
                (Planes::of(stage.frame()), shown, turn == 1 || changed >= CUT_SHARE)
            };
            ticks += u64::from(shown);
            if !encoding.show(planes, shown, is_cut) {
                return Ok(ticks);
            }
            done += 1;
            progress.advance(done);
        }
    }
    Ok(ticks)
}

const CARD_SECONDS: u32 = 3;
const HOLD_SECONDS: u32 = 3;
/// From this share of changed tiles on, a frame is encoded by itself: looking for what moved would cost more than it finds.
const CUT_SHARE: f64 = 0.75;

fn open(options: &VideoOptions, path: &Path) -> Result<(Box<dyn FrameSink + Send>, String), VideoError> {
    let can_be_built_in = options.codec == Codec::Av1;
    let is_built_in = match options.encoder {
        EncoderChoice::BuiltIn if !can_be_built_in => {
            return Err(VideoError::NotBuiltIn { codec: options.codec.name() });
        }
        EncoderChoice::BuiltIn => true,
        EncoderChoice::Ffmpeg => false,
        EncoderChoice::Auto => can_be_built_in && options.resolution == Resolution::Hd,
    };
    if is_built_in {
        let sink = av1::Av1File::begin(path, options.resolution.size(), options.fps, options.threads)?;
        return Ok((Box::new(sink), "built-in AV1".to_owned()));
    }
    let what = match options.codec {
        _ if options.encoder == EncoderChoice::Ffmpeg => "--encoder ffmpeg".to_owned(),
        Codec::Av1 => format!("--resolution {}", options.resolution.name()),
        codec => codec.name().to_owned(),
    };
    let (sink, name) = ffmpeg::Ffmpeg::begin(path, options.resolution.size(), options.fps, options.codec, &what)?;
    Ok((Box::new(sink), name))
}
