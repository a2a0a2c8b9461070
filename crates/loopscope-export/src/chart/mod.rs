//! Charts of an experiment: what analyses found, drawn.
//!
//! Nothing is estimated here: the numbers are those of `loopscope_core::analysis`, which says how they were made. What is
//! computed is how to show them: densities of violins, bins of histograms, where a bubble stands. A chart that does not
//! apply says why, and which command would change that, instead of being empty.

mod barcode;
mod clusters;
mod density;
mod divergence;
mod drift;
mod examples;
mod facet;
mod kind;
mod map;
mod markov;
mod persistence;
mod recurrence;
mod sense;
mod source;
mod violin;
mod wasserstein;

pub use kind::Kind;
pub use source::Source;

use crate::ExportError;
use crate::figure::raster::{letters_without_font, raster_of_svg};
use crate::figure::{Figure, pdf_of_svg};

/// Pixels of a PNG for each pixel of the figure, and what that makes of an inch.
const PNG_SCALE: f32 = 2.0;
const PNG_DOTS_PER_INCH: f64 = 192.0;

/// A chart, ready to be written in any format.
#[derive(Clone, Debug)]
pub struct Chart {
    /// What tells it from other charts of its kind, such as the embedder; empty for the only one. Fit for a file name.
    pub part: String,
    /// The heading.
    pub title: String,
    /// What stands below it, for those who cannot see it.
    pub description: String,
    svg: String,
}

/// Why there is no chart of a kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skip {
    /// In words, with what to do about it.
    pub why: String,
}

impl Skip {
    fn new(why: impl Into<String>) -> Self {
        Self { why: why.into() }
    }
}

/// What charts write: the file's ending says which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Vectors, text as text.
    Svg,
    /// Pixels, 192 to the inch.
    Png,
    /// A page, letters as outlines.
    Pdf,
}

impl Format {
    /// Returns the ending of files.
    #[must_use]
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Svg => "svg",
            Self::Png => "png",
            Self::Pdf => "pdf",
        }
    }
}

impl Chart {
    fn of(part: impl Into<String>, figure: &Figure) -> Self {
        #[cfg(debug_assertions)]
        assert_eq!(figure.mark_outside(), None, "marks lie within their panels");
        Self {
            part: slug(&part.into()),
            title: figure.title.clone(),
            description: figure.caption.join(" "),
            svg: figure.to_svg(),
        }
    }

    /// Returns the chart as SVG.
    #[must_use]
    pub fn svg(&self) -> &str {
        &self.svg
    }

    /// Returns the chart as the bytes of a file.
    ///
    /// # Errors
    ///
    /// [`ExportError::Pixels`].
    pub fn to_bytes(&self, format: Format) -> Result<Vec<u8>, ExportError> {
        Ok(match format {
            Format::Svg => self.svg.clone().into_bytes(),
            Format::Png => raster_of_svg(&self.svg, PNG_SCALE)?.to_png(Some(PNG_DOTS_PER_INCH))?,
            Format::Pdf => pdf_of_svg(&self.svg, &self.title)?,
        })
    }

    /// Returns the letters of the chart that no font here has: a box stands for each in PNG and PDF. An SVG is drawn with the
    /// fonts of whoever opens it.
    #[must_use]
    pub fn letters_without_font(&self) -> std::collections::BTreeSet<char> {
        letters_without_font(&self.svg)
    }

    /// Returns the name of its file without the ending.
    #[must_use]
    pub fn file_stem(&self, kind: Kind) -> String {
        if self.part.is_empty() { kind.name().to_owned() } else { format!("{}.{}", kind.name(), self.part) }
    }
}

/// What a kind comes to: charts, or why there are none.
pub type Outcome = Result<Vec<Chart>, Skip>;

/// Draws a kind of chart.
///
/// # Errors
///
/// [`ExportError`] when the store does not give what the chart needs; what does not apply is a [`Skip`].
pub fn draw(kind: Kind, source: &Source<'_>) -> Result<Outcome, ExportError> {
    match kind {
        Kind::PersistenceDiagram => persistence::plain(source),
        Kind::PersistenceDiagramFaceted => persistence::faceted(source),
        Kind::PersistenceDiagramByPrompt => persistence::by_prompt(source),
        Kind::EntropyViolin => persistence::entropy_violin(source),
        Kind::EntropyByPrompt => persistence::entropy_by_prompt(source),
        Kind::ClusterRunLengths => clusters::run_lengths(source),
        Kind::ClusterRunLengthViolin => clusters::run_length_violin(source),
        Kind::DriftRidgeline => drift::ridgeline(source),
        Kind::ClusterTimelines => clusters::timelines(source),
        Kind::ClusterBubbleGrid => clusters::bubble_grid(source),
        Kind::RunLengthBubbleGrid => clusters::run_length_bubble_grid(source),
        Kind::SenseCheck => sense::histograms(source),
        Kind::ClusterHistogram => clusters::histogram(source, None),
        Kind::ClusterHistogramTop => clusters::histogram(source, Some(source.details().options().top)),
        Kind::ClusterTransitions => clusters::transitions(source),
        Kind::ClusterExamples => examples::examples(source),
        Kind::InvocationDuration => sense::durations(source),
        Kind::WassersteinHistogram => wasserstein::histogram(source),
        Kind::WassersteinViolin => wasserstein::violin_chart(source),
        Kind::DivergenceCurves => divergence::curves(source),
        Kind::FtleHeatmap => divergence::heatmap(source),
        Kind::Barcode => barcode::barcode(source),
        Kind::EmbeddingMap => map::map(source),
        Kind::MarkovGraph => markov::graph(source),
        Kind::RecurrencePlot => recurrence::plot(source),
        Kind::ImpliedTimescales => markov::timescales(source),
    }
}

/// Returns a text as a part of a file name: lower case, digits, and hyphens.
pub(crate) fn slug(text: &str) -> String {
    let letters = text.chars().map(|letter| if letter.is_alphanumeric() { letter } else { '-' });
    let joined: String = letters.flat_map(char::to_lowercase).collect();
    let parts: Vec<&str> = joined.split('-').filter(|part| !part.is_empty()).collect();
    parts.join("-").chars().take(60).collect()
}
