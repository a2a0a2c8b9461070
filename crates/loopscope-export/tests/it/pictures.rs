//! Picture files: where they lie, that no pixel changes, and what they say.

use std::path::{Path, PathBuf};

use loopscope_core::codec::decode_image;
use loopscope_core::store::StoredOutput;
use loopscope_export::Silent;
use loopscope_export::images::{ImageFormat, ImageOptions, export_images, inspect};

use crate::bench::{Bench, Choice};

fn files_below(folder: &Path) -> Vec<String> {
    fn walk(folder: &Path, root: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, root, found)
            } else {
                found.push(path.strip_prefix(root).unwrap().to_owned())
            }
        }
    }
    let mut found = Vec::new();
    walk(folder, folder, &mut found);
    let mut names: Vec<String> = found.iter().map(|path| path.to_str().unwrap().to_owned()).collect();
    names.retain(|name| !name.starts_with('.'));
    names.sort();
    names
}

fn export(bench: &Bench, names: &[&str], options: &ImageOptions) {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    export_images(&bench.store(), &names, &bench.out(), options, &mut Silent).unwrap();
}

#[test]
fn pictures_lie_by_network_prompt_and_run() {
    let bench = Bench::new(&[Choice::default()]);
    export(&bench, &["circles"], &ImageOptions::default());
    let files = files_below(&bench.out());
    let of_circle: Vec<&String> = files.iter().filter(|file| file.contains("red")).collect();
    // Two seeds are two runs of a prompt; the bench gives them 4 and 3 steps, every second a picture.
    assert_eq!(
        of_circle,
        [
            "Paint-Tell/a-red-circle/run_0/seq_000.webp",
            "Paint-Tell/a-red-circle/run_0/seq_002.webp",
            "Paint-Tell/a-red-circle/run_1/seq_000.webp",
            "Paint-Tell/a-red-circle/run_1/seq_002.webp",
        ]
    );
    let two = Bench::new(&[Choice::default(), Choice { name: "Circles".to_owned(), ..Choice::default() }]);
    export(&two, &["circles", "Circles"], &ImageOptions::default());
    let above: std::collections::BTreeSet<String> =
        files_below(&two.out()).iter().map(|file| file.split('/').next().unwrap().to_lowercase()).collect();
    assert_eq!(above.len(), 2, "names that differ in case only do not share a folder: {above:?}");
}

#[test]
fn every_file_has_the_stored_pixels_and_says_which_step_it_is() {
    for format in [ImageFormat::WebP, ImageFormat::Png] {
        let bench = Bench::new(&[Choice::default()]);
        export(&bench, &["circles"], &ImageOptions { format, ..ImageOptions::default() });
        let store = bench.store();
        let experiment = store.find_experiment("circles").unwrap();
        let mut seen = 0;
        for file in files_below(&bench.out()) {
            let path = bench.out().join(&file);
            let said = inspect(&path).unwrap();
            assert_eq!((said.format, &said.metadata.experiment_name), (format.as_str(), &"circles".to_owned()));
            let id = said.metadata.invocation_id.parse().unwrap();
            let StoredOutput::Image(stored) = store.output(id).unwrap() else { panic!("{file} is of a text") };
            assert_eq!(decode_image(format.as_str(), &std::fs::read(&path).unwrap()).unwrap(), stored);
            let run = store.run(said.metadata.run_id.parse().unwrap()).unwrap();
            assert_eq!(run.experiment_id, experiment);
            assert_eq!(run.key.initial_prompt, said.metadata.initial_prompt);
            assert_eq!(run.key.seed.value(), said.metadata.run_seed);
            assert!(file.ends_with(&format!("seq_{:03}.{}", said.metadata.sequence_number, format.as_str())));
            seen += 1;
        }
        assert!(seen > 4);
    }
}

#[test]
fn files_without_metadata_are_the_stored_bytes_and_say_nothing() {
    let bench = Bench::new(&[Choice::default()]);
    export(&bench, &["circles"], &ImageOptions { without_metadata: true, ..ImageOptions::default() });
    let stored: Vec<Vec<u8>> = {
        let connection = rusqlite::Connection::open(bench.database()).unwrap();
        let mut statement = connection.prepare("SELECT bytes FROM image").unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    for file in files_below(&bench.out()) {
        let path = bench.out().join(file);
        assert!(stored.contains(&std::fs::read(&path).unwrap()));
        let error = inspect(&path).unwrap_err().to_string();
        assert!(error.ends_with("does not say where it comes from: it has neither EXIF nor XMP"), "{error}");
    }
}
