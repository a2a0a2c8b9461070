//! Pictures as files that know where they come from.
//!
//! A file lies at `<network>/<prompt>/run_<n>/seq_<NNN>.<ext>`, under the name of its experiment where there are several.
//! What is stored as the format that is asked for keeps its bytes: metadata goes into the container beside them, so that no
//! pixel and no bit of the picture's own stream changes. Everything else is decoded and encoded anew without loss.

mod container;
mod exif_fields;
mod inspect;
mod metadata;
mod xmp;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use loopscope_core::codec::{decode_image, encode_image};
use loopscope_core::experiment::{Experiment, ExperimentId, ImageRecord, ModelName, Run};
use loopscope_core::store::{Store, StoredInvocation};
use serde::Serialize;

use crate::slug::Slugs;
use crate::{ExportError, OutputFolder, Part, Progress, Selection, Unfinished};

pub use inspect::{InspectError, Inspected, inspect};
pub use metadata::PictureMetadata;

/// The format of the files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ImageFormat {
    /// As loopscope stores pictures: without loss, small.
    #[default]
    WebP,
    /// For programs that do not read WebP.
    Png,
}

impl ImageFormat {
    /// Returns how files end, which is also the store's word for the format.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::WebP => "webp",
            Self::Png => "png",
        }
    }
}

/// How pictures are written.
#[derive(Clone, Copy, Debug, Default)]
pub struct ImageOptions {
    /// The format of the files.
    pub format: ImageFormat,
    /// Whether files say nothing of where they come from.
    pub without_metadata: bool,
    /// Whether files that are there already may be replaced.
    pub may_replace: bool,
    /// The version of the program, which the files name.
    pub program_version: &'static str,
}

/// What was written.
#[derive(Clone, Debug, Serialize)]
pub struct WrittenImages {
    /// The experiments, by id.
    pub experiments: Vec<ExperimentId>,
    /// Files.
    pub pictures: u64,
    /// Those of them that are stored in another format, and were decoded and encoded anew.
    pub converted: u64,
    /// Bytes of all files.
    pub bytes: u64,
    /// Experiments that are not complete.
    pub unfinished: Vec<Unfinished>,
}

/// Writes the pictures of experiments into a folder.
///
/// # Errors
///
/// [`ExportError`], also when there are no pictures, or the folder holds something and may not be replaced.
pub fn export_images(
    store: &Store,
    typed: &[String],
    folder: &Path,
    options: &ImageOptions,
    progress: &mut dyn Progress,
) -> Result<WrittenImages, ExportError> {
    let _state = store.snapshot()?;
    let selection = Selection::find(store, typed)?;
    let total = count_pictures(store, &selection)?;
    let mut written = WrittenImages {
        experiments: selection.experiments.iter().map(|experiment| experiment.id).collect(),
        pictures: 0,
        converted: 0,
        bytes: 0,
        unfinished: Vec::new(),
    };
    let mut folder = OutputFolder::begin(folder, options.may_replace)?;
    progress.tell_leftovers(&folder);
    written.unfinished = selection.tell_unfinished(store, progress)?;
    progress.begin(Part { name: "pictures", total, unit: "pictures" });
    let mut names = Slugs::default();
    for experiment in &selection.experiments {
        let above = match selection.experiments.len() {
            1 => String::new(),
            _ => format!("{}/", names.name(&experiment.name)),
        };
        write_experiment(store, experiment, &above, options, &mut folder, &mut written, progress)?;
    }
    written.bytes = folder.finish()?;
    Ok(written)
}

/// Counts the pictures, and refuses to export none.
fn count_pictures(store: &Store, selection: &Selection) -> Result<u64, ExportError> {
    let mut total = 0;
    for experiment in &selection.experiments {
        total += store.picture_count(experiment.id)?;
    }
    if total == 0 {
        let names: Vec<&str> = selection.experiments.iter().map(|experiment| experiment.name.as_str()).collect();
        return Err(ExportError::Nothing { what: format!("\"{}\" has no pictures", names.join("\", \"")) });
    }
    Ok(total)
}

/// The folders of an experiment: what people see of its networks, prompts and runs.
#[derive(Default)]
struct Folders {
    networks: (Slugs, BTreeMap<Vec<ModelName>, String>),
    prompts: (Slugs, BTreeMap<String, String>),
    /// Runs so far of a network and a prompt.
    runs: BTreeMap<(String, String), u64>,
}

impl Folders {
    fn of(&mut self, run: &Run) -> String {
        let models = run.key.network.models();
        let (slugs, known) = &mut self.networks;
        let network = known.entry(models.to_vec()).or_insert_with(|| {
            let names: Vec<&str> = models.iter().map(ModelName::as_str).collect();
            slugs.name(&names.join("-"))
        });
        let (slugs, known) = &mut self.prompts;
        let prompt = known.entry(run.key.initial_prompt.clone()).or_insert_with(|| slugs.name(&run.key.initial_prompt));
        let number = self.runs.entry((network.clone(), prompt.clone())).or_default();
        let folder = format!("{network}/{prompt}/run_{number}");
        *number += 1;
        folder
    }
}

fn write_experiment(
    store: &Store,
    experiment: &Experiment,
    above: &str,
    options: &ImageOptions,
    folder: &mut OutputFolder,
    written: &mut WrittenImages,
    progress: &mut dyn Progress,
) -> Result<(), ExportError> {
    let mut folders = Folders::default();
    // As many digits as the last number has, so that names sort as steps do.
    let digits = experiment.config.max_length.get().saturating_sub(1).to_string().len().max(3);
    for run in store.runs(experiment.id)? {
        let place = format!("{above}{}", folders.of(&run));
        store.visit_stored_invocations(run.id, |row| {
            let Some(hash) = row.output_image else { return Ok(()) };
            progress.check()?;
            let picture = store.image(hash)?;
            let ending = options.format.as_str();
            let bytes =
                encoded(&picture, options, &PictureMetadata::of(experiment, &run, &row, options.program_version))
                    .map_err(|defect| unfit(&row, defect))?;
            written.converted += u64::from(picture.format != ending);
            let mut file = folder.file(&format!("{place}/seq_{:0digits$}.{ending}", row.sequence_number.0))?;
            let path = file.path().to_owned();
            file.write_all(&bytes).map_err(|source| ExportError::Write { path, source })?;
            folder.keep_unsynced(file)?;
            written.pictures += 1;
            progress.advance(written.pictures);
            Ok::<(), ExportError>(())
        })?;
    }
    Ok(())
}

/// Returns the bytes of the file of a picture.
fn encoded(picture: &ImageRecord, options: &ImageOptions, metadata: &PictureMetadata) -> Result<Vec<u8>, String> {
    let bytes = match options.format.as_str() {
        format if format == picture.format => picture.bytes.clone(),
        _ => {
            let pixels = decode_image(&picture.format, &picture.bytes).map_err(|error| error.to_string())?;
            match options.format {
                ImageFormat::WebP => encode_image(&pixels).map_err(|error| error.to_string())?.bytes,
                ImageFormat::Png => png_of(&pixels).map_err(|error| error.to_string())?,
            }
        }
    };
    let about = (!options.without_metadata).then(|| (exif_fields::exif_of(metadata), xmp::xmp_of(metadata)));
    let about = match about {
        Some((exif, xmp)) => Some((exif.map_err(|error| error.to_string())?, xmp)),
        None => None,
    };
    container::with_metadata(options.format, bytes, about).map_err(|error| error.to_string())
}

fn png_of(picture: &loopscope_core::experiment::Picture) -> Result<Vec<u8>, png::EncodingError> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, picture.width(), picture.height());
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(picture.rgb())?;
    writer.finish()?;
    Ok(bytes)
}

fn unfit(row: &StoredInvocation, defect: String) -> ExportError {
    let defect = format!("cannot become a file: {defect}");
    ExportError::Unfit { object: format!("the picture of invocation {}", row.id.short()), defect }
}
