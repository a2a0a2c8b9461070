//! `array …`: measures of files, against the same reference clouds as the library.

use std::path::PathBuf;

use crate::support::Place;

fn fixture(name: &str) -> String {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../ripsaw/tests/fixtures/tda");
    folder.join(name).to_str().unwrap().to_owned()
}

fn dgms(value: &serde_json::Value) -> Vec<Vec<(f64, Option<f64>)>> {
    serde_json::from_value(value["dgms"].clone()).unwrap()
}

#[test]
fn points_and_their_distances_give_the_reference_diagrams() {
    let place = Place::new();
    for name in ["circle_noisy_150", "torus_120", "octahedron", "duplicates_21", "single"] {
        let expected: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(fixture(&format!("{name}.json"))).unwrap()).unwrap();
        let eps = expected["robust_eps"].as_f64().unwrap();
        for extra in [&["--collapse", "off"][..], &["--collapse", "on"], &["--threads", "2"]] {
            let file = fixture(&format!("{name}.npy"));
            let from_points = place.json(&[&["array", "topology", &file, "--json"], extra].concat());
            let file = fixture(&format!("{name}.dist.npy"));
            let from_distances = place.json(&[&["array", "topology", &file, "--distances", "--json"], extra].concat());
            for got in [from_points, from_distances] {
                for (dimension, bars) in dgms(&got).iter().enumerate() {
                    let wanted: Vec<(f64, Option<f64>)> =
                        serde_json::from_value(expected["dgms"][format!("H{dimension}")].clone()).unwrap();
                    let kept: Vec<_> =
                        bars.iter().filter(|(birth, death)| death.is_none_or(|death| death - birth > eps)).collect();
                    assert_eq!(kept.len(), wanted.len(), "{name} H{dimension}");
                    for (got, wanted) in kept.iter().zip(&wanted) {
                        assert!((got.0 - wanted.0).abs() < 1e-5 * 4.0, "{name} H{dimension}: {got:?} {wanted:?}");
                        assert_eq!(got.1.is_some(), wanted.1.is_some());
                        assert!((got.1.unwrap_or(0.0) - wanted.1.unwrap_or(0.0)).abs() < 1e-5 * 4.0);
                    }
                }
            }
        }
    }
}

#[test]
fn diagrams_are_written_and_compared() {
    let place = Place::new();
    place.ok(&["array", "topology", &fixture("circle_noisy_150.npy"), "--npz", "a.npz"]);
    place.ok(&["array", "topology", &fixture("torus_120.npy"), "--npz", "b.npz"]);
    for metric in ["wasserstein", "bottleneck", "legacy-sorted-l1"] {
        let far =
            place.json(&["array", "distance", "a.npz", "b.npz", "--metric", metric, "--infinite", "drop", "--json"]);
        assert_eq!(far["metric"], metric);
        assert!(far["distances"][1]["distance"].as_f64().unwrap() > 0.01, "{far}");
        let near = place.json(&["array", "distance", "a.npz", "a.npz", "--metric", metric, "--json"]);
        assert_eq!(near["distances"][1]["distance"].as_f64().unwrap(), 0.0);
    }
}

#[test]
fn files_that_are_no_arrays_and_limits_that_are_met_are_errors() {
    let place = Place::new();
    place.write("text.npy", "no array");
    insta::assert_snapshot!("no_array", place.complaint(&["array", "topology", "text.npy"]));
    insta::assert_snapshot!("no_file", place.complaint(&["array", "topology", "nowhere.npy"]));
    std::fs::copy(fixture("torus_120.dist.npy"), place.path("torus.npy")).unwrap();
    insta::assert_snapshot!("distances_as_points", place.complaint(&["array", "topology", "torus.npy"]));
    std::fs::copy(fixture("traj768_200_ld.npy"), place.path("long.npy")).unwrap();
    let complaint = place.complaint(&["array", "topology", "long.npy", "--memory-limit", "100KiB"]);
    assert!(complaint.contains("memory"), "{complaint}");
    insta::assert_snapshot!(
        "no_size",
        place.complaint(&["array", "topology", "long.npy", "--memory-limit", "4 parsecs"])
    );
}
