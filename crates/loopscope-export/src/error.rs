//! Why an export did not come about.

use std::path::PathBuf;

use loopscope_core::store::StoreError;

use crate::PlaceError;

/// Why an export did not come about.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The store did not give what was asked for.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The files cannot be where they should be.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// The experiments have nothing of the kind that was asked for.
    #[error("there is nothing to export: {what}")]
    Nothing {
        /// Which experiments lack what.
        what: String,
    },
    /// A model that no experiment of the export has.
    #[error("no experiment of the export has the embedding model \"{typed}\"{}", hint(.nearest))]
    UnknownModel {
        /// What was typed.
        typed: String,
        /// A name that is spelt alike, or nothing.
        nearest: Option<String>,
        /// The models that there are.
        known: Vec<String>,
    },
    /// The file system said no while a file was written.
    #[error("writing {}", .path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A value that the file cannot hold.
    #[error("{object} {defect}")]
    Unfit {
        /// Which object.
        object: String,
        /// What is wrong with it.
        defect: String,
    },
    /// An analysis that a chart draws could not be made.
    #[error(transparent)]
    Analysis(#[from] loopscope_core::analysis::AnalysisError),
    /// A chart or a label did not become pixels or a page.
    #[cfg(feature = "charts")]
    #[error(transparent)]
    Pixels(#[from] crate::PixelError),
    /// Tiles that are too small, or a sheet that is too large.
    #[cfg(feature = "charts")]
    #[error(transparent)]
    Layout(#[from] crate::mosaic::LayoutError),
    /// A video was not made.
    #[cfg(feature = "video")]
    #[error(transparent)]
    Video(#[from] crate::video::VideoError),
    /// It was asked to stop.
    #[error("the export was stopped; files that it had made are gone again")]
    Stopped,
}

fn hint(nearest: &Option<String>) -> String {
    nearest.as_ref().map_or_else(String::new, |name| format!("; did you mean \"{name}\"?"))
}
