//! How an export tells how far it is, and learns that it should stop.

use crate::{ExportError, OutputFolder};

/// A part of an export, as progress names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part<'a> {
    /// What is being written, such as `embeddings` or a file's name.
    pub name: &'a str,
    /// How much of it there will be; 0 where nobody knows.
    pub total: u64,
    /// What is counted, in the plural, such as `rows`, `pictures` or `frames`.
    pub unit: &'static str,
}

/// Hears how far an export is.
pub trait Progress {
    /// A part begins; the one before it, if any, is done.
    fn begin(&mut self, part: Part<'_>);

    /// So much of the part is done, since it began. Called often: whoever shows it chooses how often.
    fn advance(&mut self, done: u64);

    /// Says something that people should know and that is no error.
    fn note(&mut self, text: &str);

    /// Returns whether the export should end now and leave nothing behind.
    fn is_stopped(&self) -> bool {
        false
    }
}

impl dyn Progress + '_ {
    /// Says what an export that was killed left half in a folder, and is taken away.
    pub fn tell_leftovers(&mut self, folder: &OutputFolder) {
        let left = folder.leftovers();
        if let Some(first) = left.first() {
            let more = if left.len() > 1 { format!(" and {} more", left.len() - 1) } else { String::new() };
            self.note(&format!("took away {}{more}, half written by an export that was killed", first.display()));
        }
    }

    /// Ends the export when it was asked to.
    ///
    /// # Errors
    ///
    /// [`ExportError::Stopped`].
    pub fn check(&self) -> Result<(), ExportError> {
        if self.is_stopped() { Err(ExportError::Stopped) } else { Ok(()) }
    }
}

/// Nobody listens.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn begin(&mut self, _: Part<'_>) {}
    fn advance(&mut self, _: u64) {}
    fn note(&mut self, _: &str) {}
}
