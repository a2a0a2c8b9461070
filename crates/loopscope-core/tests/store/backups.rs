//! Copies are whole, of one state, and never in the way of what is there.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use loopscope_core::experiment::Determinism;
use loopscope_core::store::{OpenOptions, Store};
use rusqlite::Connection;

use super::support::{Bench, Stop, broken_references, config, count, dump, grow, plant, versions};

fn backup(bench: &Bench, target: &Path) -> Result<u64, String> {
    Store::backup(&bench.path, target, &OpenOptions::default(), |_, _| {})
        .map(|report| report.bytes)
        .map_err(|error| bench.chain(&error))
}

#[test]
fn a_copy_equals_its_source_and_is_one_file() {
    let bench = Bench::new();
    let mut store = bench.store();
    let planted = plant(&mut store, 1, "one", config(&["p"], &[1, 2], 10));
    let versions = versions(&mut store, Determinism::Bitwise);
    grow(&mut store, &planted.runs[0], versions, 0, 5);
    let target = bench.folder.path().join("copy.sqlite");
    let mut steps = Vec::new();
    let report = Store::backup(&bench.path, &target, &OpenOptions::default(), |done, all| steps.push((done, all)));
    assert_eq!(report.unwrap().bytes, std::fs::metadata(&target).unwrap().len());
    let &(done, all) = steps.last().unwrap();
    assert!(done == all && all > 0, "{steps:?}");
    drop(store);
    assert_eq!(bench.listing(), ["a.sqlite", "copy.sqlite"]);
    assert_eq!(dump(&Connection::open(&target).unwrap()), dump(&bench.raw()));
    Store::open_read(&target, &OpenOptions::default()).unwrap();
    drop(Store::open_write(&target, &OpenOptions::default()).unwrap());
}

#[test]
fn a_copy_made_while_another_commits_holds_whole_groups_only() {
    let bench = Bench::new();
    let mut store = bench.store();
    let planted = plant(&mut store, 1, "one", config(&["p"], &[1], 1_000_000));
    let versions = versions(&mut store, Determinism::Bitwise);
    const GROUP: u64 = 16;
    let is_done = AtomicBool::new(false);
    let (mut copies, mut sizes) = (0, Vec::new());
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut number = 0;
            while !is_done.load(Ordering::Relaxed) {
                grow(&mut store, &planted.runs[0], versions, number, number + GROUP);
                number += GROUP;
            }
            number
        });
        let stop = Stop(&is_done);
        while copies < 20 {
            let target = bench.folder.path().join(format!("copy-{copies}.sqlite"));
            backup(&bench, &target).unwrap();
            copies += 1;
            let copy = Connection::open(&target).unwrap();
            assert_eq!(broken_references(&copy), 0);
            let integrity: String = copy.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
            assert_eq!(integrity, "ok");
            let steps = count(&copy, "invocation");
            assert_eq!(steps % GROUP, 0, "a group is there whole or not at all");
            assert_eq!(count(&copy, "embedding"), steps);
            sizes.push(steps);
        }
        drop(stop);
        assert!(writer.join().unwrap() >= *sizes.last().unwrap());
    });
    assert!(sizes.is_sorted() && sizes[0] < sizes[copies - 1], "the writer wrote meanwhile: {sizes:?}");
    drop(store);
    assert!(bench.listing().iter().all(|name| name.ends_with(".sqlite")), "{:?}", bench.listing());
}

#[test]
fn a_copy_never_overwrites() {
    let bench = Bench::new();
    drop(bench.store());
    let target = bench.folder.path().join("copy.sqlite");
    std::fs::write(&target, "mine").unwrap();
    insta::assert_snapshot!(backup(&bench, &target).unwrap_err(), @"[folder]/copy.sqlite exists already; a backup never overwrites");
    assert_eq!(std::fs::read(&target).unwrap(), b"mine");
    let dangling = bench.folder.path().join("link.sqlite");
    std::os::unix::fs::symlink("nowhere", &dangling).unwrap();
    assert!(backup(&bench, &dangling).is_err(), "a link that leads nowhere is there too");
    assert!(backup(&bench, &bench.path).is_err(), "nor onto itself");
    assert_eq!(bench.listing(), ["a.sqlite", "copy.sqlite", "link.sqlite"]);
}

#[test]
fn a_copy_that_fails_leaves_nothing() {
    let bench = Bench::new();
    drop(bench.store());
    let nowhere = bench.folder.path().join("nowhere/copy.sqlite");
    insta::assert_snapshot!(backup(&bench, &nowhere).unwrap_err().replace(&std::process::id().to_string(), "[pid]"), @r"
    copying into [folder]/nowhere/copy.sqlite.partial-[pid]
    unable to open database file: [folder]/nowhere/copy.sqlite.partial-[pid]
    Error code 14: unable to open database file
    ");

    // A file that ends before its last page: the copy fails half way.
    let bytes = std::fs::read(&bench.path).unwrap();
    std::fs::write(&bench.path, &bytes[..bytes.len() / 2]).unwrap();
    let target = bench.folder.path().join("copy.sqlite");
    assert!(backup(&bench, &target).is_err());
    assert_eq!(bench.listing(), ["a.sqlite"]);
}

#[test]
fn what_is_no_database_of_ours_is_not_copied() {
    let bench = Bench::new();
    let target = bench.folder.path().join("copy.sqlite");
    insta::assert_snapshot!(backup(&bench, &target).unwrap_err(), @"there is no database at [folder]/a.sqlite");
    std::fs::write(&bench.path, "no database").unwrap();
    insta::assert_snapshot!(backup(&bench, &target).unwrap_err(), @"[folder]/a.sqlite is not a loopscope database: its first bytes are not those of SQLite");
    assert_eq!(bench.listing(), ["a.sqlite"]);
}
