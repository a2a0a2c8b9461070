//! Frames piped into ffmpeg, where it is installed.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread::JoinHandle;

use super::yuv::Planes;
use super::{Codec, FrameSink, Shown, VideoError};

/// What is kept of its complaints.
const MESSAGE_MAX: usize = 2_000;

/// How the planes are meant, said of what goes in and of what comes out, so that nothing is converted.
const COLOURS: [&str; 8] =
    ["-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709", "-color_range", "tv"];

/// A running ffmpeg.
pub(super) struct Ffmpeg {
    child: Child,
    /// `None` once all frames are sent.
    input: Option<ChildStdin>,
    complaints: Option<JoinHandle<String>>,
}

impl Ffmpeg {
    /// Starts ffmpeg; returns it and the name of its encoder.
    pub(super) fn begin(
        path: &Path,
        (width, height): (usize, usize),
        fps: u32,
        codec: Codec,
        what: &str,
    ) -> Result<(Self, String), VideoError> {
        let known = encoders().ok_or_else(|| VideoError::NoFfmpeg { what: what.to_owned() })?;
        let wanted: &[(&str, &[&str])] = match codec {
            Codec::Av1 => &[
                ("libsvtav1", &["-preset", "8", "-crf", "32"]),
                ("libaom-av1", &["-cpu-used", "8", "-crf", "32", "-b:v", "0", "-row-mt", "1"]),
                ("librav1e", &["-speed", "10", "-qp", "90"]),
            ],
            Codec::H264 => &[("libx264", &["-preset", "medium", "-crf", "19"])],
            Codec::H265 => &[(
                "libx265",
                &["-preset", "medium", "-crf", "22", "-tag:v", "hvc1", "-x265-params", "log-level=error"],
            )],
        };
        let has = |name: &str| known.split_whitespace().any(|word| word == name);
        let Some((encoder, options)) = wanted.iter().find(|(name, _)| has(name)) else {
            let encoders = wanted.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
            return Err(VideoError::NoEncoder { codec: codec.name(), encoders });
        };
        // With a colon in it a path would be read as a protocol.
        let mut to = OsString::from("file:");
        to.push(path);
        let mut command = Command::new("ffmpeg");
        command
            .args(["-hide_banner", "-loglevel", "error", "-nostdin", "-y", "-f", "rawvideo", "-pix_fmt", "yuv420p"])
            .args(["-s", &format!("{width}x{height}"), "-r", &fps.to_string()])
            .args(COLOURS)
            .args(["-i", "pipe:0", "-an", "-pix_fmt", "yuv420p"])
            .args(COLOURS)
            .args(["-c:v", encoder])
            .args(*options)
            .args(["-movflags", "+faststart", "-f", "mp4"])
            .arg(to)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let (input, stderr) = (child.stdin.take(), child.stderr.take());
        let complaints = stderr.map(|mut stderr| {
            std::thread::spawn(move || {
                let mut bytes = Vec::new();
                // What cannot be read of a complaint is lost; the exit code remains.
                stderr.read_to_end(&mut bytes).ok();
                String::from_utf8_lossy(&bytes).into_owned()
            })
        });
        Ok((Self { child, input, complaints }, format!("ffmpeg, {encoder}")))
    }

    /// Waits for the end and returns what it complained of.
    fn end(&mut self) -> Result<(), VideoError> {
        drop(self.input.take());
        let status = self.child.wait()?;
        let said = self.complaints.take().and_then(|thread| thread.join().ok()).unwrap_or_default();
        if status.success() {
            return Ok(());
        }
        let lines: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).collect();
        let message = if lines.is_empty() { status.to_string() } else { lines.join("; ") };
        Err(VideoError::Ffmpeg { message: message.chars().take(MESSAGE_MAX).collect() })
    }
}

/// Asks ffmpeg which encoders it has; `None` where there is no ffmpeg.
fn encoders() -> Option<String> {
    let output = Command::new("ffmpeg").args(["-hide_banner", "-encoders"]).stdin(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

impl FrameSink for Ffmpeg {
    fn frame(&mut self, frame: &Shown) -> Result<(), VideoError> {
        let Planes { y, u, v, .. } = &frame.planes;
        for _ in 0..frame.ticks {
            let Some(input) = &mut self.input else { return self.end() };
            if [y, u, v].into_iter().any(|plane| input.write_all(plane).is_err()) {
                // It is gone: its last words say more than the broken pipe.
                self.end()?;
                return Err(VideoError::Ffmpeg { message: "it ended before the last frame".to_owned() });
            }
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<(), VideoError> {
        self.end()
    }
}

impl Drop for Ffmpeg {
    fn drop(&mut self) {
        if self.input.is_some() {
            // An export that was stopped leaves no process behind.
            self.child.kill().ok();
            self.child.wait().ok();
        }
    }
}
