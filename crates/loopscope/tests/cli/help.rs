//! What the program says of itself.

use crate::support::Place;

#[test]
fn help_is_short_and_has_three_examples() {
    let place = Place::new();
    insta::assert_snapshot!("bare", place.ok(&[]));
    insta::assert_snapshot!("help_experiment", place.ok(&["experiment", "--help"]));
    insta::assert_snapshot!("help_experiment_run", place.ok(&["experiment", "run", "--help"]));
}

#[test]
fn completions_and_manual_pages_are_made() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish"] {
        assert!(place.ok(&["completions", shell]).contains("experiment"), "{shell}");
    }
    assert!(place.ok(&["man"]).contains(".TH loopscope"));
    place.ok(&["man", "--out", "pages"]);
    assert!(place.path("pages/loopscope-experiment-run.1").exists());
}

#[test]
fn every_command_is_in_the_readme_or_the_changelog() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let pages = ["README.md", "CHANGELOG.md"].map(|page| std::fs::read_to_string(root.join(page)).unwrap()).concat();
    for command in [
        "demo",
        "config",
        "experiment",
        "run",
        "model",
        "doctor",
        "backup",
        "merge",
        "export",
        "inspect",
        "verify",
        "migrate",
        "completions",
        "man",
        "extend",
        "resume",
    ] {
        assert!(pages.contains(command), "{command} is in neither page");
    }
    let map = std::fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap();
    for crate_name in
        ["ripsaw", "loopscope-analysis", "loopscope-core", "loopscope-models", "loopscope-export", "loopscope"]
    {
        assert!(map.contains(&format!("**{crate_name}**")), "{crate_name} is not on the map");
    }
}

#[test]
fn every_reference_key_exists() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let references = std::fs::read_to_string(root.join("../REFERENCES.md")).unwrap();
    let mut stack = vec![root];
    let mut seen = 0;
    while let Some(folder) = stack.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                if path.file_name().unwrap() != "target" {
                    stack.push(path);
                }
            } else if path.extension().is_some_and(|end| end == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                for line in text.lines().filter(|line| line.contains("Reference: `")) {
                    for key in line
                        .split('`')
                        .skip(1)
                        .step_by(2)
                        .filter(|key| key.ends_with(|letter: char| letter.is_ascii_digit()))
                    {
                        assert!(
                            references.contains(&format!("`{key}`")),
                            "{key} of {} is not in REFERENCES.md",
                            path.display()
                        );
                        seen += 1;
                    }
                }
            }
        }
    }
    assert!(seen > 5, "only {seen} keys found: is the form of the line still the same?");
}
