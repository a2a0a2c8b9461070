//! What opening refuses, in which words, and what a reader leaves behind: nothing.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Barrier;
use std::time::{Duration, SystemTime};

use loopscope_core::experiment::{Determinism, Timestamp};
use loopscope_core::store::{OpenOptions, RecordWriter, Store, StoreError, Write, sqlite_version};
use rusqlite::Connection;

use super::support::{Bench, Frozen, config, count, grow, listing, plant, versions};

fn options() -> OpenOptions {
    OpenOptions::default()
}

fn read_error(bench: &Bench, path: &Path) -> String {
    bench.chain(&Store::open_read(path, &options()).unwrap_err())
}

fn write_error(bench: &Bench, path: &Path) -> String {
    bench.chain(&Store::open_write(path, &options()).unwrap_err())
}

/// A database with an experiment of one run of four steps, closed.
fn planted() -> Bench {
    let bench = Bench::new();
    plant_at(&bench.path);
    bench
}

fn plant_at(path: &Path) {
    let mut store = Store::open_write(path, &options()).unwrap();
    let planted = plant(&mut store, 1, "one", config(&["p"], &[1], 10));
    let versions = versions(&mut store, Determinism::Bitwise);
    grow(&mut store, &planted.runs[0], versions, 0, 4);
}

/// What a reader does: everything that lists and shows.
fn read_everything(store: &Store) {
    for experiment in store.experiments().unwrap() {
        assert_eq!(store.counts(experiment.id).unwrap().invocations, 4);
        for progress in store.progress(experiment.id, &std::collections::BTreeMap::new()).unwrap() {
            assert_eq!(progress.steps, 4);
            let last = progress.last.unwrap();
            store.output(last).unwrap();
        }
    }
}

#[test]
fn the_bundled_sqlite_is_the_first_without_the_log_bug_or_later() {
    let numbers: Vec<u32> = sqlite_version().split('.').map(|part| part.parse().unwrap()).collect();
    assert!(numbers >= vec![3, 51, 3], "{}", sqlite_version());
}

#[test]
fn a_missing_file_is_named_and_not_made_by_a_reader() {
    let bench = Bench::new();
    insta::assert_snapshot!(read_error(&bench, &bench.path), @"there is no database at [folder]/a.sqlite");
    let error = Store::open_existing(&bench.path, &options()).unwrap_err();
    insta::assert_snapshot!(bench.chain(&error), @"there is no database at [folder]/a.sqlite");
    assert!(bench.listing().is_empty());
}

#[test]
fn a_missing_folder_is_named() {
    let bench = Bench::new();
    let path = bench.folder.path().join("nowhere/a.sqlite");
    insta::assert_snapshot!(write_error(&bench, &path), @r"
    opening the folder [folder]/nowhere
    No such file or directory (os error 2)
    ");
    insta::assert_snapshot!(read_error(&bench, &path), @"there is no database at [folder]/nowhere/a.sqlite");
}

#[test]
fn a_directory_is_no_database() {
    let bench = Bench::new();
    insta::assert_snapshot!(read_error(&bench, bench.folder.path()), @"[folder] is a directory; expected a database file");
    insta::assert_snapshot!(write_error(&bench, bench.folder.path()), @"[folder] is a directory; expected a database file");
}

#[test]
fn a_path_below_a_file_is_an_error() {
    let bench = planted();
    let path = bench.path.join("b.sqlite");
    insta::assert_snapshot!(read_error(&bench, &path), @r"
    opening [folder]/a.sqlite/b.sqlite
    Not a directory (os error 20)
    ");
}

#[test]
fn files_of_other_kinds_are_refused_and_stay_as_they_are() {
    let bench = Bench::new();
    let garbage: Vec<u8> = (0..10_000_u32).map(|index| (index * index / 7) as u8).collect();
    let cases: [(&str, &[u8]); 4] = [
        ("note.txt", b"hello"),
        ("garbage.bin", &garbage),
        ("half.sqlite", b"SQLite format 3\0 and then something else, which fills no page of a database at all"),
        ("zeros.bin", &[0; 8192]),
    ];
    for (name, bytes) in cases {
        let path = bench.folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let expected = format!("[folder]/{name} is not a loopscope database: its first bytes are not those of SQLite");
        assert_eq!(read_error(&bench, &path), expected);
        assert_eq!(write_error(&bench, &path), expected);
        assert_eq!(std::fs::read(&path).unwrap(), bytes, "{name}");
    }
    assert_eq!(bench.listing().len(), cases.len(), "nothing was left beside them");
}

#[test]
fn an_empty_file_is_no_database_to_read_and_becomes_one_to_write() {
    let bench = Bench::new();
    std::fs::write(&bench.path, "").unwrap();
    insta::assert_snapshot!(read_error(&bench, &bench.path), @"[folder]/a.sqlite is not a loopscope database: it is empty");
    assert_eq!(std::fs::metadata(&bench.path).unwrap().len(), 0);
    drop(bench.store());
    Store::open_read(&bench.path, &options()).unwrap();
}

#[test]
fn a_database_of_another_program_is_refused_and_stays_as_it_is() {
    let bench = Bench::new();
    let other = Connection::open(&bench.path).unwrap();
    other.execute_batch("CREATE TABLE experiment (id TEXT); INSERT INTO experiment VALUES ('x')").unwrap();
    drop(other);
    let before = std::fs::read(&bench.path).unwrap();
    insta::assert_snapshot!(read_error(&bench, &bench.path), @"[folder]/a.sqlite is not a loopscope database: it is a SQLite database of another program");
    insta::assert_snapshot!(write_error(&bench, &bench.path), @"[folder]/a.sqlite is not a loopscope database: it is a SQLite database of another program");
    assert_eq!(std::fs::read(&bench.path).unwrap(), before);
    assert_eq!(bench.listing(), ["a.sqlite"]);
}

#[test]
fn an_empty_database_that_carries_another_programs_mark_is_refused() {
    let bench = Bench::new();
    let other = Connection::open(&bench.path).unwrap();
    other.execute_batch("PRAGMA application_id = 1; VACUUM").unwrap();
    drop(other);
    assert!(matches!(Store::open_write(&bench.path, &options()), Err(StoreError::NotADatabase { .. })));
}

#[test]
fn a_database_whose_making_was_cut_short_is_made() {
    // What a process leaves that is killed after it asked for the log and before the tables were committed.
    let bench = Bench::new();
    let cut_short = Connection::open(&bench.path).unwrap();
    cut_short.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(())).unwrap();
    drop(cut_short);
    assert!(std::fs::metadata(&bench.path).unwrap().len() > 0);
    insta::assert_snapshot!(read_error(&bench, &bench.path), @"[folder]/a.sqlite is not a loopscope database: it is empty");
    drop(bench.store());
    assert!(Store::open_read(&bench.path, &options()).unwrap().experiments().unwrap().is_empty());
}

#[test]
fn processes_that_make_a_database_at_once_all_get_it() {
    for round in 0..12 {
        let bench = Bench::new();
        let threads = 6;
        let barrier = Barrier::new(threads);
        let outcomes: Vec<Result<(), String>> = std::thread::scope(|scope| {
            let open = || {
                barrier.wait();
                Store::open_write(&bench.path, &options()).map(drop).map_err(|error| bench.chain(&error))
            };
            let handles: Vec<_> = (0..threads).map(|_| scope.spawn(open)).collect();
            handles.into_iter().map(|handle| handle.join().unwrap()).collect()
        });
        assert_eq!(outcomes, vec![Ok(()); threads], "round {round}");
    }
}

#[test]
fn a_newer_database_is_refused_and_stays_as_it_is() {
    let bench = planted();
    bench.raw().pragma_update(None, "user_version", 7).unwrap();
    let before = std::fs::read(&bench.path).unwrap();
    insta::assert_snapshot!(read_error(&bench, &bench.path), @"[folder]/a.sqlite has schema version 7, but this program knows versions up to 1; use a newer loopscope");
    insta::assert_snapshot!(write_error(&bench, &bench.path), @"[folder]/a.sqlite has schema version 7, but this program knows versions up to 1; use a newer loopscope");
    assert_eq!(std::fs::read(&bench.path).unwrap(), before);
}

#[test]
fn an_older_database_is_refused_by_a_reader_and_migrated_by_a_writer() {
    let bench = Bench::new();
    let older = Connection::open(&bench.path).unwrap();
    older.pragma_update(None, "application_id", 0x4C4F_4F50).unwrap();
    drop(older);
    insta::assert_snapshot!(read_error(&bench, &bench.path), @"[folder]/a.sqlite has schema version 0, and this program reads version 1; `loopscope migrate` brings it up to date, after a backup");
    drop(bench.store());
    Store::open_read(&bench.path, &options()).unwrap();
}

#[test]
fn a_read_only_file_can_be_read_and_not_written() {
    let bench = planted();
    let _frozen = match Frozen::new(&bench.path) {
        Ok(frozen) => frozen,
        Err(reason) => return println!("{reason}"),
    };
    insta::assert_snapshot!(write_error(&bench, &bench.path), @"[folder]/a.sqlite cannot be written: the file, its folder or its disk is read-only");
    read_everything(&Store::open_read(&bench.path, &options()).unwrap());
}

#[test]
fn a_read_only_folder_can_be_read_and_not_written() {
    let bench = planted();
    let frozen = match Frozen::new(bench.folder.path()) {
        Ok(frozen) => frozen,
        Err(reason) => return println!("{reason}"),
    };
    insta::assert_snapshot!(write_error(&bench, &bench.path), @"[folder]/a.sqlite cannot be written: unable to open database file");
    read_everything(&Store::open_read(&bench.path, &options()).unwrap());
    insta::assert_snapshot!(write_error(&bench, &bench.folder.path().join("new.sqlite")), @"[folder]/new.sqlite cannot be written: unable to open database file: [folder]/new.sqlite");
    drop(frozen);
    assert_eq!(bench.listing(), ["a.sqlite"]);
}

#[test]
fn a_log_in_a_read_only_folder_is_not_passed_over() {
    let bench = planted();
    let mut store = bench.store();
    let experiment = store.find_experiment("one").unwrap();
    store.commit(&[Write::ExperimentStarted(experiment, Timestamp::from_micros(77))]).unwrap();
    let killed = Bench::new();
    for name in ["a.sqlite", "a.sqlite-wal"] {
        std::fs::copy(bench.folder.path().join(name), killed.folder.path().join(name)).unwrap();
    }
    let _frozen = match Frozen::new(killed.folder.path()) {
        Ok(frozen) => frozen,
        Err(reason) => return println!("{reason}"),
    };
    insta::assert_snapshot!(read_error(&killed, &killed.path), @"[folder]/a.sqlite has a log that was not carried over, and its folder is read-only; copy both to a folder that is not");
}

#[test]
fn a_read_only_folder_of_any_name_can_be_read() {
    let bench = Bench::new();
    let folder = bench.folder.path().join(OsStr::from_bytes(b"50% of #1? caf\xc3\xa9 \xff+x&mode=memory"));
    std::fs::create_dir(&folder).unwrap();
    let path = folder.join("a b?.sqlite");
    plant_at(&path);
    let _frozen = match Frozen::new(&folder) {
        Ok(frozen) => frozen,
        Err(reason) => return println!("{reason}"),
    };
    read_everything(&Store::open_read(&path, &options()).unwrap());
}

#[test]
fn a_write_lock_that_another_holds_is_named_after_the_wait() {
    let bench = planted();
    let holder = bench.raw();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    let hasty = OpenOptions { busy_timeout: Duration::from_millis(20), ..options() };
    let mut store = Store::open_write(&bench.path, &hasty).unwrap();
    let experiment = store.find_experiment("one").unwrap();
    let error = store.commit(&[Write::ExperimentStarted(experiment, Timestamp::from_micros(1))]).unwrap_err();
    assert!(matches!(error, StoreError::Busy { .. }));
    insta::assert_snapshot!(bench.chain(&error), @"another process has held the write lock of [folder]/a.sqlite for 0 s");
    holder.execute_batch("ROLLBACK").unwrap();
    store.commit(&[Write::ExperimentStarted(experiment, Timestamp::from_micros(1))]).unwrap();
}

#[test]
fn a_disk_that_is_nearly_full_is_refused_before_anything_is_made() {
    let bench = Bench::new();
    let demanding = OpenOptions { free_bytes_min: u64::MAX, ..options() };
    let error = Store::open_write(&bench.path, &demanding).unwrap_err();
    let StoreError::DiskNearlyFull { free_bytes, .. } = error else { panic!("{error}") };
    let message = bench.redacted(&error.to_string()).replace(&(free_bytes / 1_048_576).to_string(), "[free]");
    insta::assert_snapshot!(message, @"the disk of [folder]/a.sqlite has [free] MiB free; at least 17592186044415 MiB are kept free so that everything committed stays whole");
    assert!(bench.listing().is_empty());

    plant_at(&bench.path);
    let store = Store::open_read(&bench.path, &demanding).unwrap();
    read_everything(&store);
    assert!(matches!(RecordWriter::check(&store), Err(StoreError::DiskNearlyFull { .. })));
}

fn state_of(bench: &Bench) -> (Vec<u8>, SystemTime, Vec<String>) {
    let modified = std::fs::metadata(&bench.path).unwrap().modified().unwrap();
    (std::fs::read(&bench.path).unwrap(), modified, bench.listing())
}

#[test]
fn a_closed_database_is_one_file() {
    assert_eq!(planted().listing(), ["a.sqlite"]);
}

#[test]
fn a_reader_writes_nothing_and_leaves_nothing_behind() {
    let bench = planted();
    let before = state_of(&bench);
    let reader = Store::open_read(&bench.path, &options()).unwrap();
    read_everything(&reader);
    read_everything(&reader.reader().unwrap());
    drop(reader);
    assert_eq!(state_of(&bench), before);
}

#[test]
fn a_refused_reader_leaves_nothing_behind() {
    let bench = planted();
    bench.raw().pragma_update(None, "user_version", 7).unwrap();
    let before = state_of(&bench);
    assert!(Store::open_read(&bench.path, &options()).is_err());
    assert_eq!(state_of(&bench), before);
}

#[test]
fn a_reader_leaves_the_log_of_a_killed_writer_as_it_is() {
    // A copy of file and log, taken while the writer lives, is what a kill leaves.
    let bench = planted();
    let mut store = bench.store();
    let experiment = store.find_experiment("one").unwrap();
    store.commit(&[Write::ExperimentStarted(experiment, Timestamp::from_micros(77))]).unwrap();
    let killed = Bench::new();
    for suffix in ["", "-wal"] {
        let path = |bench: &Bench| PathBuf::from(format!("{}{suffix}", bench.path.display()));
        std::fs::copy(path(&bench), path(&killed)).unwrap();
    }
    let (bytes, modified, _) = state_of(&killed);
    let log = killed.folder.path().join("a.sqlite-wal");
    let log_before = std::fs::read(&log).unwrap();
    assert!(!log_before.is_empty());
    let reader = Store::open_read(&killed.path, &options()).unwrap();
    let started = reader.experiment(experiment).unwrap().started_at;
    assert_eq!(started, Some(Timestamp::from_micros(77)), "what is in the log is read");
    drop(reader);
    assert_eq!(std::fs::read(&log).unwrap(), log_before);
    let after = state_of(&killed);
    assert_eq!((after.0, after.1), (bytes, modified));
}

#[test]
fn readers_and_a_writer_do_not_wait_for_each_other() {
    let bench = planted();
    let mut store = bench.store();
    let reader = store.reader().unwrap();
    let other = bench.raw();
    other.execute_batch("BEGIN IMMEDIATE; UPDATE experiment SET name = 'changed'").unwrap();
    assert_eq!(reader.experiments().unwrap()[0].name, "one", "what is not committed is not seen");
    let late = Store::open_read(&bench.path, &options()).unwrap();
    read_everything(&late);
    other.execute_batch("COMMIT").unwrap();
    assert_eq!(reader.experiments().unwrap()[0].name, "changed");
    let experiment = store.find_experiment("changed").unwrap();
    drop(late);
    store.commit(&[Write::ExperimentStarted(experiment, Timestamp::from_micros(1))]).unwrap();
    drop((store, reader, other));
    assert_eq!(bench.listing(), ["a.sqlite"]);
}

#[test]
fn a_reader_cannot_be_made_to_write() {
    let bench = planted();
    let mut reader = Store::open_read(&bench.path, &options()).unwrap();
    let experiment = reader.find_experiment("one").unwrap();
    let error = reader.delete_experiment(experiment).unwrap_err();
    assert!(matches!(error, StoreError::ReadOnly { .. }), "{error}");
    assert_eq!(count(&bench.raw(), "experiment"), 1);
}

#[test]
fn a_path_is_only_ever_a_path() {
    let bench = Bench::new();
    let names: [&[u8]; 8] = [
        b"with space.sqlite",
        b"what?mode=memory",
        b"number #1.sqlite",
        b"100%41.sqlite",
        "caf\u{e9} \u{732b}.sqlite".as_bytes(),
        b"not \xff utf-8.sqlite",
        b":memory:",
        b"file:a.sqlite?mode=memory",
    ];
    for name in names {
        let path = bench.folder.path().join(OsStr::from_bytes(name));
        plant_at(&path);
        read_everything(&Store::open_read(&path, &options()).unwrap());
    }
    let lying: Vec<Vec<u8>> = std::fs::read_dir(bench.folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().as_bytes().to_vec())
        .collect();
    assert_eq!(lying.len(), names.len());
    assert!(names.iter().all(|name| lying.iter().any(|found| found == name)));
}

const FOLDER: &str = "LOOPSCOPE_TEST_RELATIVE_FOLDER";

/// The other process of the test below, which stands in the folder. Alone it does nothing.
#[test]
fn a_child_opens_relative_paths() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    std::env::set_current_dir(&folder).unwrap();
    for name in ["plain.sqlite", ":memory:", "file:a.sqlite?mode=memory", "file::memory:"] {
        plant_at(Path::new(name));
        read_everything(&Store::open_read(Path::new(name), &options()).unwrap());
        assert!(Path::new(name).exists(), "{name} is a file");
    }
    assert!(Store::open_write(Path::new(""), &options()).is_err(), "a database without a name is gone at the end");
}

#[test]
fn a_relative_path_that_sqlite_would_read_otherwise_is_a_file() {
    let bench = Bench::new();
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "opening::a_child_opens_relative_paths"])
        .env(FOLDER, bench.folder.path())
        .output()
        .unwrap();
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stdout));
    assert_eq!(listing(bench.folder.path()).len(), 4);
}

#[test]
fn another_programs_database_with_a_log_is_refused_untouched() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.sqlite");
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE mine (x); INSERT INTO mine VALUES (1);").unwrap();
    // Left as a killed process leaves it: the log is not carried over.
    std::mem::forget(other);
    let before = std::fs::read(&path).unwrap();
    let log = std::fs::read(folder.path().join("other.sqlite-wal")).unwrap();
    let error = Store::open_write(&path, &OpenOptions { free_bytes_min: 0, ..OpenOptions::default() }).unwrap_err();
    assert!(error.to_string().contains("another program"), "{error}");
    assert!(std::fs::read(&path).unwrap() == before);
    assert!(std::fs::read(folder.path().join("other.sqlite-wal")).unwrap() == log);
}
