//! What is refused, what is said, and what is left behind when an export is stopped: nothing.

use loopscope_export::images::{ImageOptions, export_images};
use loopscope_export::tables::{TableOptions, export_tables};
use loopscope_export::{ExportError, Part, PlaceError, Progress, Silent};

use crate::bench::{Bench, BenchModels, Choice};

fn tables(bench: &Bench, options: &TableOptions, progress: &mut dyn Progress) -> Result<(), ExportError> {
    let names = ["circles".to_owned()];
    export_tables(&bench.store(), &names, &bench.out(), options, &BenchModels::STORED, progress).map(|_| ())
}

/// Stops at once, and keeps what was said.
struct Stopping(Vec<String>);

impl Progress for Stopping {
    fn begin(&mut self, _: Part<'_>) {}
    fn advance(&mut self, _: u64) {}
    fn note(&mut self, text: &str) {
        self.0.push(text.to_owned());
    }
    fn is_stopped(&self) -> bool {
        true
    }
}

#[test]
fn an_experiment_without_outputs_is_nothing_to_export() {
    let bench = Bench::new(&[Choice { lengths: vec![0], ..Choice::default() }]);
    let error = tables(&bench, &TableOptions::default(), &mut Silent).unwrap_err();
    assert_eq!(error.to_string(), "there is nothing to export: \"circles\" has no outputs yet");
    assert!(!bench.out().exists());
}

#[test]
fn unknown_models_are_named_with_their_neighbour() {
    let bench = Bench::new(&[Choice::default()]);
    let options = TableOptions { embedding_models: vec!["Wrods".to_owned()], ..TableOptions::default() };
    let error = tables(&bench, &options, &mut Silent).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no experiment of the export has the embedding model \"Wrods\"; did you mean \"Words\"?"
    );
    assert!(!bench.out().exists());
}

#[test]
fn what_is_there_is_replaced_only_when_asked_for() {
    let bench = Bench::new(&[Choice::default()]);
    tables(&bench, &TableOptions { images: true, ..TableOptions::default() }, &mut Silent).unwrap();
    let error = tables(&bench, &TableOptions::default(), &mut Silent).unwrap_err();
    assert!(matches!(error, ExportError::Place(PlaceError::NotEmpty { .. })), "{error}");
    std::fs::write(bench.out().join("mine.txt"), "mine").unwrap();
    tables(&bench, &TableOptions { may_replace: true, ..TableOptions::default() }, &mut Silent).unwrap();
    assert!(!bench.out().join("images.parquet").exists(), "what the first export wrote and the second did not is gone");
    assert!(bench.out().join("mine.txt").exists());
}

#[test]
fn what_is_not_complete_is_exported_as_far_as_it_is_and_says_so() {
    let bench = Bench::new(&[Choice { is_complete: false, ..Choice::default() }]);
    let mut said = Stopping(Vec::new());
    // Stopped, so that this shows that it is said before anything is written.
    export_images(&bench.store(), &["circles".to_owned()], &bench.out(), &ImageOptions::default(), &mut said)
        .unwrap_err();
    assert_eq!(said.0.len(), 1);
    assert!(
        said.0[0].starts_with("experiment \"circles\" is not complete; exported is what is there: "),
        "{:?}",
        said.0
    );
}

#[test]
fn an_export_that_is_stopped_leaves_nothing() {
    let bench = Bench::new(&[Choice::default()]);
    let names = ["circles".to_owned()];
    let error =
        export_images(&bench.store(), &names, &bench.out(), &ImageOptions::default(), &mut Stopping(Vec::new()));
    assert!(matches!(error, Err(ExportError::Stopped)));
    assert!(!bench.out().exists());
}

#[test]
fn a_place_that_cannot_be_written_is_named() {
    let bench = Bench::new(&[Choice::default()]);
    std::fs::write(bench.out(), "a file").unwrap();
    let error = tables(&bench, &TableOptions::default(), &mut Silent).unwrap_err();
    assert!(error.to_string().ends_with("out is a file; expected a directory"), "{error}");
}
