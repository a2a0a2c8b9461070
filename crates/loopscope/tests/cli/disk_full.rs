//! A disk that fills up: a clean error, a store that is whole, and a resume when there is room again.
//!
//! The disk is a small memory file system, which takes the right to mount one. Where that is not given the test says
//! so and counts as skipped; `LOOPSCOPE_DISK_FULL=required` makes it fail instead, as in the soak.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Place, content};

const CONFIG: &str = r#"{
  "name": "full",
  "networks": [["DummyT2I", "DummyI2T"], ["DummyT2I2", "DummyI2T2"]],
  "prompts": ["a small red circle on a blue background", "nothing at all"],
  "seeds": [1, 2],
  "embedding_models": ["DummyText", "DummyVision"],
  "max_length": 40
}"#;

/// Sizes of the disk; each is a part of what the finished store takes, so that none is enough.
const SIZES: u64 = 28;

/// A mounted memory file system of a given size.
struct Disk(PathBuf);

impl Disk {
    /// Mounts one, or says why that is not allowed.
    fn mount(folder: &Path, bytes: u64) -> Result<Self, String> {
        let outcome = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={bytes}"), "tmpfs"])
            .arg(folder)
            .output()
            .map_err(|error| error.to_string())?;
        match outcome.status.success() {
            true => Ok(Self(folder.to_owned())),
            false => Err(String::from_utf8_lossy(&outcome.stderr).trim().to_owned()),
        }
    }

    fn grow(&self) {
        let status = Command::new("mount").args(["-o", "remount,size=64m"]).arg(&self.0).status().unwrap();
        assert!(status.success());
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        Command::new("umount").arg("-l").arg(&self.0).status().ok();
    }
}

fn has_experiment(database: &Path) -> bool {
    let Ok(sql) = rusqlite::Connection::open(database) else { return false };
    sql.query_row("SELECT count(*) FROM experiment", [], |row| row.get::<_, i64>(0)).unwrap_or(0) > 0
}

/// Copies what is on the full disk to one with room, and checks that SQLite finds it whole.
fn check_copy(disk: &Path, size: u64) {
    let elsewhere = Place::new();
    for entry in std::fs::read_dir(disk).unwrap() {
        let entry = entry.unwrap();
        // The log's index is shared memory, not a part of what was saved.
        if entry.file_type().unwrap().is_file() && !entry.file_name().to_string_lossy().ends_with("-shm") {
            std::fs::copy(entry.path(), elsewhere.path(&entry.file_name().to_string_lossy())).unwrap();
        }
    }
    let copy = elsewhere.path("loopscope.sqlite");
    if std::fs::metadata(&copy).is_ok_and(|status| status.len() > 0) {
        let sql = rusqlite::Connection::open(&copy).unwrap();
        let verdict: String = sql.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(verdict, "ok", "{size} bytes");
        drop(sql);
        if has_experiment(&copy) {
            elsewhere.ok(&["doctor"]);
        }
    }
}

#[test]
fn a_disk_that_fills_up_is_an_error_and_a_resume_completes_it_when_there_is_room() {
    let calm = Place::new();
    let config = calm.write("full.json", CONFIG);
    let config = config.to_str().unwrap();
    calm.ok(&["experiment", "run", config, "--quiet"]);
    let expected = content(&calm.path("loopscope.sqlite"));
    let whole = std::fs::metadata(calm.path("loopscope.sqlite")).unwrap().len();
    let (mut filled, mut refused) = (0, 0);
    for step in 1..=SIZES {
        let size = (whole * step / SIZES).next_multiple_of(4096);
        let mut place = Place::new();
        let folder = place.path("disk");
        std::fs::create_dir(&folder).unwrap();
        let disk = match Disk::mount(&folder, size) {
            Ok(disk) => disk,
            Err(reason) => {
                println!("SKIPPED 1 test (disk full): no memory file system can be mounted here: {reason}");
                assert!(std::env::var("LOOPSCOPE_DISK_FULL").as_deref() != Ok("required"), "it was required");
                return;
            }
        };
        place.database = Some(folder.join("loopscope.sqlite"));
        // Every fourth time the guard is on, which stops before the disk is full.
        place.min_free_mib = u64::from(step % 4 == 0);
        let ended = place.run(&["experiment", "run", config, "--quiet"]);
        assert_eq!(ended.code, 1, "{size} of {whole} bytes: {}{}", ended.stdout, ended.stderr);
        assert!(ended.stderr.starts_with("error: "), "{}", ended.stderr);
        assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
        if ended.stderr.contains("MiB free") {
            refused += 1;
        } else {
            assert!(ended.stderr.contains("is full"), "{size} of {whole} bytes: {}", ended.stderr);
            filled += 1;
        }
        check_copy(&folder, size);
        disk.grow();
        place.min_free_mib = 1;
        let arguments: &[&str] = if has_experiment(&folder.join("loopscope.sqlite")) {
            &["experiment", "resume", "latest", "--quiet"]
        } else {
            &["experiment", "run", config, "--quiet"]
        };
        place.ok(arguments);
        assert_eq!(content(&folder.join("loopscope.sqlite")), expected, "{size} of {whole} bytes");
        place.ok(&["doctor", "--strict", "--decode-images"]);
        drop(disk);
    }
    println!("disk full: {SIZES} sizes up to {whole} bytes; {filled} filled up, {refused} refused before; all resumed");
    assert!(filled >= 20 && filled + refused == SIZES, "{filled} filled, {refused} refused");
}
