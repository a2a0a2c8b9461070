//! What people type for an object, and what they are told when it fits none or several.

use loopscope_core::experiment::{Experiment, ExperimentConfig, ExperimentId, Origin, RunId, Timestamp};
use loopscope_core::store::{Store, StoreError};

use super::support::{Bench, config, plant};

fn store_with(ids: &[(&str, u8, u8)]) -> (Bench, Store, Vec<ExperimentId>) {
    let bench = Bench::new();
    let mut store = bench.store();
    let experiments = ids.iter().zip(1..).map(|(&(name, first, last), age)| {
        let mut bytes = [0xA0 + age as u8; 16];
        (bytes[0], bytes[15]) = (first, last);
        let id = ExperimentId::from_bytes(bytes);
        let experiment = Experiment {
            id,
            name: name.to_owned(),
            config: ExperimentConfig { name: None, ..config(&["p"], &[1], 1) },
            config_as_given: "{}".to_owned(),
            origin: Origin::Native,
            created_at: Timestamp::from_micros(age),
            started_at: None,
            completed_at: None,
        };
        store.create_experiment(&experiment, &[]).unwrap();
        id
    });
    let experiments = experiments.collect();
    (bench, store, experiments)
}

fn three() -> (Bench, Store, Vec<ExperimentId>) {
    store_with(&[("dawn chorus", 0x01, 0x10), ("evening", 0x02, 0x20), ("noon", 0x02, 0x30)])
}

#[test]
fn a_name_a_beginning_and_an_end_find_the_experiment() {
    let (_bench, store, ids) = three();
    for typed in [
        "dawn chorus",
        "01",
        "01a1",
        "01a1a1a1-a1a1",
        "01A1A1A1",
        "10",
        "a1a1a110",
        "A1-A110",
        "01a1a1a1-a1a1-a1a1-a1a1-a1a1a1a1a110",
        "01a1a1a1a1a1a1a1a1a1a1a1a1a1a110",
        &ids[0].to_string(),
        &ids[0].short(),
    ] {
        assert_eq!(store.find_experiment(typed).unwrap(), ids[0], "{typed}");
    }
}

#[test]
fn latest_is_the_one_that_came_last_into_the_store() {
    let (_bench, store, ids) = three();
    assert_eq!(store.find_experiment("latest").unwrap(), ids[2]);
    let (_bench, store, ids) = store_with(&[("latest", 1, 1), ("other", 2, 2)]);
    assert_eq!(store.find_experiment("latest").unwrap(), ids[0], "a name comes first");
    let (_bench, store, _) = store_with(&[]);
    insta::assert_snapshot!(store.find_experiment("latest").unwrap_err(), @r#"no experiment matches "latest""#);
}

#[test]
fn a_name_comes_before_an_id_that_it_resembles() {
    let (_bench, store, ids) = store_with(&[("beef", 1, 1), ("other", 0xBE, 0xEF)]);
    assert_eq!(store.find_experiment("beef").unwrap(), ids[0]);
    assert_eq!(store.find_experiment("be").unwrap(), ids[1]);
}

#[test]
fn what_fits_several_is_refused_with_them() {
    let (_bench, store, _) = three();
    let error = store.find_experiment("02").unwrap_err();
    insta::assert_snapshot!(error, @r#""02" fits 2 experiments: a3a3a330, a2a2a220"#);
    let crowd: Vec<(String, u8, u8)> = (0..25).map(|number| (format!("crowd {number}"), 0x07, number)).collect();
    let crowd: Vec<(&str, u8, u8)> = crowd.iter().map(|(name, first, last)| (name.as_str(), *first, *last)).collect();
    let (_bench, store, _) = store_with(&crowd);
    insta::assert_snapshot!(store.find_experiment("07").unwrap_err(), @r#""07" fits 25 experiments: b9b9b918, b8b8b817, b7b7b716, b6b6b615, b5b5b514, b4b4b413, b3b3b312, b2b2b211, b1b1b110, b0b0b00f, …"#);
}

#[test]
fn what_fits_none_is_refused_with_the_name_nearest_to_it() {
    let (_bench, store, _) = three();
    insta::assert_snapshot!(store.find_experiment("dawn chrous").unwrap_err(), @r#"no experiment matches "dawn chrous"; did you mean "dawn chorus"?"#);
    insta::assert_snapshot!(store.find_experiment("Evening").unwrap_err(), @r#"no experiment matches "Evening"; did you mean "evening"?"#);
    insta::assert_snapshot!(store.find_experiment("ffff").unwrap_err(), @r#"no experiment matches "ffff""#);
    for typed in ["", "-", "--", "%", "_", "*", "'; DROP TABLE run; --", "é", "a2a2a2a2a2a2", &"0".repeat(33)] {
        let error = store.find_experiment(typed).unwrap_err();
        assert!(matches!(error, StoreError::NotFound { .. }), "{typed}: {error}");
    }
}

#[test]
fn runs_are_found_by_id_and_latest() {
    let bench = Bench::new();
    let mut store = bench.store();
    insta::assert_snapshot!(store.find_run("latest").unwrap_err(), @r#"no run matches "latest""#);
    let planted = plant(&mut store, 1, "one", config(&["p"], &[1, 2], 1));
    let last = planted.runs[1].id;
    assert_eq!(store.find_run("latest").unwrap(), last);
    assert_eq!(store.find_run(&last.to_string().to_uppercase()).unwrap(), last);
    assert_eq!(store.find_run("0001").unwrap(), last);
    assert!(matches!(store.find_run("72"), Err(StoreError::Ambiguous { .. })));
    insta::assert_snapshot!(store.find_run("one").unwrap_err(), @r#"no run matches "one""#);
    let nobody = RunId::from_bytes([0xFE; 16]);
    assert!(matches!(store.run(nobody), Err(StoreError::NotFound { .. })));
}
