//! `export video`: mosaics over time.

use std::path::PathBuf;
use std::time::Instant;

use clap::{Args, ValueEnum};
use loopscope_export::Selection;
use loopscope_export::mosaic::Board;
use loopscope_export::video::{Codec, EncoderChoice, Resolution, VideoOptions, export_video};

use super::export;
use super::pictures::tell_left_out;
use crate::args::Global;
use crate::failure::{Exit, UsageError, unless_unread};
use crate::report::{Talk, bytes, count, duration, print, print_json};

#[derive(Debug, Args)]
pub(crate) struct VideoArgs {
    /// Names, ids or the beginnings or ends of ids, or `latest`; shown one after another
    #[arg(required = true, value_name = "EXPERIMENT")]
    experiments: Vec<String>,
    /// The file to make, .mp4
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Pictures of each run that are shown in a second
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=60))]
    fps: u32,
    /// Size of the video; 4k and 8k need ffmpeg on the path, or `--encoder builtin` and patience
    #[arg(long, value_enum, default_value_t = ResolutionArg::Hd)]
    resolution: ResolutionArg,
    /// How it is encoded; h264 and h265 need ffmpeg on the path
    #[arg(long, value_enum, default_value_t = CodecArg::Av1)]
    codec: CodecArg,
    /// Who encodes it [default: the built-in encoder for AV1 in HD, otherwise ffmpeg]
    #[arg(long, value_enum, default_value_t = EncoderArg::Auto)]
    encoder: EncoderArg,
    /// Threads of the built-in encoder [default: all cores]
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    threads: u16,
    /// Only prompts that hold this text; may be repeated
    #[arg(long = "prompt", value_name = "TEXT")]
    prompts: Vec<String>,
    /// Replace the file if it is there
    #[arg(long)]
    force: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ResolutionArg {
    /// 1920 × 1080
    Hd,
    /// 3840 × 2160
    #[value(name = "4k")]
    FourK,
    /// 7680 × 4320
    #[value(name = "8k")]
    EightK,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum CodecArg {
    Av1,
    H264,
    H265,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum EncoderArg {
    Auto,
    Builtin,
    Ffmpeg,
}

pub(super) fn video(arguments: &VideoArgs, global: &Global, talk: &Talk) -> anyhow::Result<Exit> {
    let is_mp4 = arguments.out.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("mp4"));
    if !is_mp4 {
        let message = format!("a video is an MP4, and {} does not end in .mp4", arguments.out.display());
        return Err(UsageError { message, hint: None }.into());
    }
    let options = VideoOptions {
        fps: arguments.fps,
        resolution: match arguments.resolution {
            ResolutionArg::Hd => Resolution::Hd,
            ResolutionArg::FourK => Resolution::FourK,
            ResolutionArg::EightK => Resolution::EightK,
        },
        codec: match arguments.codec {
            CodecArg::Av1 => Codec::Av1,
            CodecArg::H264 => Codec::H264,
            CodecArg::H265 => Codec::H265,
        },
        encoder: match arguments.encoder {
            EncoderArg::Auto => EncoderChoice::Auto,
            EncoderArg::Builtin => EncoderChoice::BuiltIn,
            EncoderArg::Ffmpeg => EncoderChoice::Ffmpeg,
        },
        threads: usize::from(arguments.threads),
        may_replace: arguments.force,
    };
    let began = Instant::now();
    let written = export(global, talk, |store, progress| {
        let selection = Selection::find(store, &arguments.experiments)?;
        selection.tell_unfinished(store, progress)?;
        let boards = selection
            .experiments
            .iter()
            .map(|experiment| Board::load(store, experiment, &arguments.prompts))
            .collect::<Result<Vec<_>, _>>()?;
        boards.iter().for_each(|board| tell_left_out(board, progress));
        export_video(store, &boards, &arguments.out, &options, progress)
    })?;
    let Some(written) = written else { return Ok(Exit::Interrupted) };
    if global.json {
        print_json(&serde_json::json!({ "file": arguments.out, "written": written }))?;
        return Ok(Exit::Ok);
    }
    let took = began.elapsed();
    unless_unread(print(&format!(
        "made {} ({:.1} s of video, {}): {} frames in {}, {:.1} a second, {} held; {}",
        arguments.out.display(),
        written.seconds,
        bytes(written.bytes),
        count(written.frames),
        duration(took),
        written.frames as f64 / took.as_secs_f64(),
        count(written.held),
        written.encoder
    )))?;
    Ok(Exit::Ok)
}
