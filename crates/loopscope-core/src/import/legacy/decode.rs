//! Threads that decode pictures, so that the one that reads the source need not wait for each.

use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use super::error::ImportError;
use crate::codec::record_of_foreign_image;
use crate::experiment::ImageRecord;

/// Encoded bytes above which a picture is decoded alone: what it takes decoded can be large.
const LARGE_BYTES: usize = 2 << 20;

/// A picture, or nothing where the bytes are none.
pub(super) type Decoded = Option<Box<ImageRecord>>;

struct Job {
    bytes: Vec<u8>,
    answer: SyncSender<Decoded>,
}

/// Where the bytes of pictures go.
pub(super) struct Decoders {
    jobs: std::sync::mpsc::Sender<Job>,
}

impl Decoders {
    /// Starts the threads. They end when this is dropped and what they were given is done.
    pub(super) fn start(threads: usize) -> Result<Self, ImportError> {
        let (jobs, incoming) = channel::<Job>();
        let (incoming, alone) = (Arc::new(Mutex::new(incoming)), Arc::new(Mutex::new(())));
        for index in 0..threads.max(1) {
            let (incoming, alone) = (Arc::clone(&incoming), Arc::clone(&alone));
            std::thread::Builder::new()
                .name(format!("decode {index}"))
                .spawn(move || serve(&incoming, &alone))
                .map_err(|source| ImportError::System { what: "thread", source })?;
        }
        Ok(Self { jobs })
    }

    /// Hands in bytes; the answer comes when they are decoded.
    pub(super) fn decode(&self, bytes: Vec<u8>) -> Result<Receiver<Decoded>, ImportError> {
        let (answer, coming) = sync_channel(1);
        self.jobs.send(Job { bytes, answer }).map_err(|_| ImportError::ThreadLost)?;
        Ok(coming)
    }
}

fn serve(incoming: &Mutex<Receiver<Job>>, alone: &Mutex<()>) {
    loop {
        // A thread that panicked while it held the lock had taken nothing: the rest go on.
        let job = incoming.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Job { bytes, answer }) = job else { return };
        let _alone = (bytes.len() >= LARGE_BYTES).then(|| alone.lock().unwrap_or_else(PoisonError::into_inner));
        // Bytes of strangers: a decoder that panics has not decoded them.
        let decoded = std::panic::catch_unwind(move || record_of_foreign_image(bytes).ok()).unwrap_or(None);
        // Nobody waits for it any more when the import was stopped.
        answer.send(decoded.map(Box::new)).ok();
    }
}
