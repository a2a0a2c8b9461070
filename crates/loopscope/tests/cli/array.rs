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

fn own_fixture(name: &str) -> String {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/cli/fixtures");
    folder.join(name).to_str().unwrap().to_owned()
}

#[test]
fn sparse_distances_are_those_of_the_matrix_within_a_threshold() {
    let place = Place::new();
    let dense = fixture("polygon_24.dist.npy");
    let dense = place.json(&["array", "topology", &dense, "--distances", "--threshold", "1", "--json"]);
    assert!(dgms(&dense)[1].iter().any(|bar| bar.1.is_none()), "the polygon stays open at 1");
    for name in ["polygon_csr.npz", "polygon_coo.npz"] {
        let sparse = place.json(&["array", "topology", &own_fixture(name), "--distances", "--json"]);
        assert_eq!(dgms(&sparse), dgms(&dense), "{name}");
        assert_eq!((&sparse["n"], &sparse["num_edges"]), (&dense["n"], &dense["num_edges"]));
        assert!(sparse["threshold"].is_null(), "nothing bounds it: {}", sparse["threshold"]);
    }
    for name in ["polygon_csr.npz", "polygon_csc.npz"] {
        std::fs::copy(own_fixture(name), place.path(name)).unwrap();
    }
    insta::assert_snapshot!("sparse_as_points", place.complaint(&["array", "topology", "polygon_csr.npz"]));
    let refused = place.complaint(&["array", "topology", "polygon_csc.npz", "--distances"]);
    insta::assert_snapshot!("sparse_of_another_form", refused);
    place.ok(&["array", "topology", &fixture("octahedron.npy"), "--npz", "diagram.npz"]);
    let refused = place.complaint(&["array", "topology", "diagram.npz", "--distances"]);
    insta::assert_snapshot!("sparse_that_is_a_diagram", refused);
}

#[test]
fn generators_say_which_points_make_a_loop() {
    let place = Place::new();
    let polygon = fixture("polygon_24.npy");
    let plain = place.json(&["array", "topology", &polygon, "--json"]);
    assert!(plain.get("generators").is_none());
    let value =
        place.json(&["array", "topology", &polygon, "--max-dim", "1", "--generators=1", "--npz", "out.npz", "--json"]);
    assert_eq!(value["dgms"][1], plain["dgms"][1]);
    let generators = value["generators"].as_array().unwrap();
    assert_eq!(generators.iter().map(|generator| generator["dimension"].as_u64().unwrap()).collect::<Vec<_>>(), [0, 1]);
    let around: Vec<u64> = serde_json::from_value(generators[1]["loop"].clone()).unwrap();
    assert_eq!(around, (0..24).collect::<Vec<u64>>(), "around the polygon, from its first point");
    assert!(dgms(&value)[1].contains(&serde_json::from_value(generators[1]["bar"].clone()).unwrap()));
    let stored = loopscope_core::codec::decode_diagram(&std::fs::read(place.path("out.npz")).unwrap()).unwrap();
    assert_eq!(stored.gens["gens_1_loops"].shape, [24]);
    assert_eq!(stored.gens["gens_1_cycles"].shape, [24, 2]);
    let shown = place.ok(&["array", "topology", &polygon, "--generators"]);
    assert!(shown.contains("loop of points 0 1 2 3"), "{shown}");
    // A sparse matrix has them too; the polygon is open there, so that nothing but components dies.
    let sparse = own_fixture("polygon_csr.npz");
    let value = place.json(&["array", "topology", &sparse, "--distances", "--generators", "--json"]);
    assert!(value["generators"].as_array().unwrap().iter().all(|generator| generator["dimension"] == 0));
}
