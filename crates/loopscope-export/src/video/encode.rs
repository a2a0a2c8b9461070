//! Frames on their way to the encoder, which works on one while the next is drawn.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Builder, Scope, ScopedJoinHandle};

use super::yuv::Planes;
use super::{FrameSink, Shown, VideoError};

/// What goes to the encoder's thread.
enum Sent {
    Frame(Shown),
    /// All frames are sent; without it the video is given up.
    End,
}

/// An encoder in a thread of its own; at most one frame waits for it.
pub(super) struct Encoding<'scope> {
    frames: SyncSender<Sent>,
    thread: ScopedJoinHandle<'scope, Result<(), VideoError>>,
    /// The frame that would be sent next, unless what comes looks the same.
    waiting: Option<Shown>,
    /// Frames that were encoded.
    pub(super) frame_count: u64,
    /// Frames that looked like the one before.
    pub(super) held_count: u64,
}

impl<'scope> Encoding<'scope> {
    pub(super) fn begin<'env>(
        scope: &'scope Scope<'scope, 'env>,
        sink: Box<dyn FrameSink + Send>,
    ) -> Result<Self, VideoError> {
        let (frames, arriving) = sync_channel(1);
        let thread = Builder::new().name("encoder".to_owned()).spawn_scoped(scope, move || encode(sink, &arriving))?;
        Ok(Self { frames, thread, waiting: None, frame_count: 0, held_count: 0 })
    }

    /// Takes a frame. One that looks like the one before is not encoded: that one is shown longer.
    ///
    /// Returns `false` when the encoder has ended, for which [`finish`](Self::finish) has the reason.
    pub(super) fn show(&mut self, planes: Planes, ticks: u32, is_cut: bool) -> bool {
        match &mut self.waiting {
            Some(before) if before.planes == planes => {
                before.ticks += ticks;
                self.held_count += 1;
                true
            }
            waiting => match waiting.replace(Shown { planes, ticks, is_cut }) {
                Some(before) => self.send(before),
                None => true,
            },
        }
    }

    fn send(&mut self, frame: Shown) -> bool {
        self.frame_count += 1;
        self.frames.send(Sent::Frame(frame)).is_ok()
    }

    /// Sends what waits and waits for the end of the video; returns how many frames were encoded, and how many held.
    ///
    /// # Errors
    ///
    /// Why the encoder gave up.
    pub(super) fn finish(mut self) -> Result<(u64, u64), VideoError> {
        let last = self.waiting.take();
        // A thread that has ended does not hear this, and says why below.
        if last.is_none_or(|frame| self.send(frame)) {
            self.frames.send(Sent::End).ok();
        }
        drop(self.frames);
        match self.thread.join() {
            Ok(ended) => ended.map(|()| (self.frame_count, self.held_count)),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

/// Encodes what arrives, to the end, or until whoever sends it gives up.
fn encode(mut sink: Box<dyn FrameSink + Send>, arriving: &Receiver<Sent>) -> Result<(), VideoError> {
    while let Ok(sent) = arriving.recv() {
        match sent {
            Sent::Frame(frame) => sink.frame(&frame)?,
            Sent::End => return sink.finish(),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// Notes what it is given: the first byte of each frame and its ticks.
    #[derive(Clone, Default)]
    struct Notes {
        frames: Arc<Mutex<Vec<(u8, u32)>>>,
        is_finished: Arc<Mutex<bool>>,
        frames_max: Option<usize>,
    }

    impl FrameSink for Notes {
        fn frame(&mut self, frame: &Shown) -> Result<(), VideoError> {
            let mut frames = self.frames.lock().unwrap();
            if self.frames_max == Some(frames.len()) {
                return Err(VideoError::Av1 { message: "no more".to_owned() });
            }
            frames.push((frame.planes.y[0], frame.ticks));
            Ok(())
        }

        fn finish(self: Box<Self>) -> Result<(), VideoError> {
            *self.is_finished.lock().unwrap() = true;
            Ok(())
        }
    }

    fn planes(value: u8) -> Planes {
        Planes { width: 2, y: vec![value; 4], u: vec![128], v: vec![128] }
    }

    #[test]
    fn a_frame_like_the_one_before_is_shown_longer_and_none_is_lost() {
        let notes = Notes::default();
        let counts = std::thread::scope(|scope| {
            let mut encoding = Encoding::begin(scope, Box::new(notes.clone())).unwrap();
            for (value, ticks) in [(1, 30), (1, 1), (2, 1), (2, 1), (2, 30), (1, 1)] {
                assert!(encoding.show(planes(value), ticks, false));
            }
            encoding.finish().unwrap()
        });
        assert_eq!(counts, (3, 3));
        assert_eq!(*notes.frames.lock().unwrap(), [(1, 31), (2, 32), (1, 1)]);
        assert!(*notes.is_finished.lock().unwrap());
    }

    #[test]
    fn an_encoder_that_fails_ends_the_drawing_and_says_why() {
        let notes = Notes { frames_max: Some(2), ..Notes::default() };
        let error = std::thread::scope(|scope| {
            let mut encoding = Encoding::begin(scope, Box::new(notes.clone())).unwrap();
            let shown = (0..100).take_while(|value| encoding.show(planes(*value), 1, false)).count();
            assert!(shown < 10, "the drawing went on for {shown} frames");
            encoding.finish().unwrap_err()
        });
        assert!(error.to_string().contains("no more") && !*notes.is_finished.lock().unwrap(), "{error}");
    }

    #[test]
    fn a_video_that_is_given_up_is_not_finished() {
        let notes = Notes::default();
        std::thread::scope(|scope| {
            let mut encoding = Encoding::begin(scope, Box::new(notes.clone())).unwrap();
            encoding.show(planes(1), 1, true);
            encoding.show(planes(2), 1, true);
        });
        assert!(!*notes.is_finished.lock().unwrap());
    }
}
