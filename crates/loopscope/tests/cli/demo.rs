//! The demo: what a newcomer runs first.

use crate::support::Place;

#[test]
fn the_demo_makes_whole_experiments_that_doctor_finds_nothing_wrong_with() {
    let place = Place::new();
    let told = place.ok(&["demo"]);
    for word in
        ["full length", "in a cycle of", "most visited", "clusters of", "filmstrips", "next:", "loopscope doctor"]
    {
        assert!(told.contains(word), "{word} is missing from\n{told}");
    }
    let strips = std::fs::read_dir(place.folder.path())
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().path().extension().is_some_and(|end| end == "png"))
        .count();
    assert_eq!(strips, 4, "a filmstrip for each network");
    place.ok(&["demo", "--quiet"]);
    let experiments = place.json(&["experiment", "list", "--json"]);
    let names: Vec<_> = experiments.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["demo", "demo-2"], "a second demo makes a second experiment");
    place.ok(&["doctor", "--strict", "--decode-images"]);
}

#[test]
fn the_demo_shows_varied_endings() {
    let place = Place::new();
    place.ok(&["demo", "--quiet"]);
    let summary = place.json(&["experiment", "show", "demo", "--json"]);
    let stops = &summary["stop_reasons"];
    assert!(stops["length"].as_u64().unwrap() >= 1, "some runs should still be going: {stops}");
    assert!(stops["cycle"].as_object().unwrap().len() >= 3, "cycles should have several periods: {stops}");
    assert_eq!(stops["failed"], 0);
    assert_eq!(stops["unfinished"], 0);
}
