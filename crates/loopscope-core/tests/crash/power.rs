//! Loss of power at any moment: what was synced is there, what was not may be there, in part or in another order.
//!
//! An experiment runs on a file layer that keeps a diary. The diary is cut before and after every sync and at random
//! places between; of every cut several disks are made, as they could be found after the power came back. Each must
//! open, be whole, hold everything that was acknowledged before the cut, and go on to the same end.
//!
//! What a disk may do with a write that was not synced: keep it, lose it, keep any of its sectors of 512 bytes, tear one
//! at any byte, or leave garbage where it should be; writes are forgotten in any combination, so in any order. It does
//! not touch bytes that nobody wrote to (SQLite's "powersafe overwrite"). A name that was made or removed is certain
//! only after its folder is synced.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use loopscope_core::engine::{Event, Outcome};
use loopscope_core::experiment::{ExperimentId, RunId};
use loopscope_core::store::Store;

use crate::chance::{Chance, setting};
use crate::scene::{Content, create, database, defects, folder, options, registry, strangers, undisturbed, work};
use crate::support::content;
use crate::vfs::{Entry, Layer, Obedience};

const SECTOR: u64 = 512;

/// What somebody was told, and how long the diary was by then.
#[derive(Clone, Debug, Default)]
struct Told {
    entries: usize,
    /// Invocations, embeddings, diagrams.
    rows: [u64; 3],
    ended: Vec<(RunId, u64)>,
    is_created: bool,
}

/// A diary with what was told meanwhile.
struct History {
    entries: Vec<Entry>,
    told: Vec<Told>,
    id: ExperimentId,
}

/// Runs the experiment in several sessions, each stopped somewhere, with the log carried over now and then.
fn record(seed: u64, obedience: Obedience) -> History {
    let folder = folder();
    let path = database(&folder);
    let layer = Layer::register(folder.path(), true, obedience);
    let open = options(Some(layer.name()));
    let length = |layer: &Arc<Layer>| layer.diary.lock().unwrap().entries.len();
    let mut chance = Chance(seed);
    let id = create(&path, &open, seed).unwrap();
    let mut told = Told { is_created: true, entries: length(&layer), ..Told::default() };
    let mut all = vec![told.clone()];
    for session in 0.. {
        let stop_after = if session < 2 { 3 + chance.below(20) } else { u64::MAX };
        let mut events = 0;
        let outcome = work(&path, &open, &registry(), (id, seed + 100 + session), &mut |event| {
            events += 1;
            match event {
                Event::Progress { progress } | Event::Finished { progress, .. } | Event::Started { progress, .. } => {
                    told.rows = [progress.invocations.done, progress.embeddings.done, progress.diagrams.done];
                }
                Event::RunStopped { run, length, .. } => told.ended.push((*run, *length)),
                _ => {}
            }
            told.entries = length(&layer);
            all.push(told.clone());
            if chance.percent(8) {
                let how = ["PASSIVE", "FULL", "RESTART", "TRUNCATE"];
                carry_over(&path, &layer, how[usize::try_from(chance.below(4)).unwrap()]);
            }
            events >= stop_after
        });
        told.entries = length(&layer);
        all.push(told.clone());
        if outcome.unwrap() == Outcome::Completed {
            break;
        }
    }
    let entries = std::mem::take(&mut layer.diary.lock().unwrap().entries);
    layer.retire();
    assert_eq!(&content(&path, id), undisturbed(), "seed {seed}: the layer changed what is stored");
    History { entries, told: all, id }
}

/// Another process carries the log over while the engine works.
fn carry_over(path: &Path, layer: &Layer, how: &str) {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_WRITE;
    let sql = rusqlite::Connection::open_with_flags_and_vfs(path, flags, layer.name().as_str()).unwrap();
    sql.busy_timeout(std::time::Duration::from_millis(200)).unwrap();
    // That it is busy is an answer, not an error.
    sql.query_row(&format!("PRAGMA wal_checkpoint({how})"), [], |_| Ok(())).unwrap();
}

/// What is on the platter and what is on its way there.
#[derive(Default)]
struct Disk<'a> {
    synced: BTreeMap<usize, Vec<u8>>,
    unsynced: BTreeMap<usize, Vec<&'a Entry>>,
    names: BTreeMap<PathBuf, usize>,
    /// For each path, what it names after each change that its folder does not know yet.
    renamed: BTreeMap<PathBuf, Vec<Option<usize>>>,
}

impl<'a> Disk<'a> {
    fn after(entries: &'a [Entry]) -> Self {
        let mut disk = Self::default();
        for entry in entries {
            match entry {
                Entry::Create { file, path } => {
                    disk.synced.insert(*file, Vec::new());
                    disk.renamed.entry(path.clone()).or_default().push(Some(*file));
                }
                Entry::Delete { path } => disk.renamed.entry(path.clone()).or_default().push(None),
                Entry::Write { file, .. } | Entry::Truncate { file, .. } => {
                    disk.unsynced.entry(*file).or_default().push(entry);
                }
                Entry::Sync { file } => {
                    let content = disk.synced.entry(*file).or_default();
                    for entry in disk.unsynced.remove(file).unwrap_or_default() {
                        keep(content, entry);
                    }
                }
                Entry::SyncFolder => {
                    for (path, changes) in std::mem::take(&mut disk.renamed) {
                        disk.name(path, changes.last().copied().flatten());
                    }
                }
            }
        }
        disk
    }

    fn name(&mut self, path: PathBuf, file: Option<usize>) {
        match file {
            Some(file) => self.names.insert(path, file),
            None => self.names.remove(&path),
        };
    }

    /// Returns the files as they could be found when the power is back; `keep_percent` of what was not synced is there.
    fn found(mut self, chance: &mut Chance, keep_percent: u64) -> BTreeMap<PathBuf, Vec<u8>> {
        for (path, changes) in std::mem::take(&mut self.renamed) {
            // Changes of one name are never seen in another order; of several names in any.
            let known = changes.iter().take_while(|_| chance.percent(keep_percent)).last();
            if let Some(&file) = known {
                self.name(path, file);
            }
        }
        for (file, entries) in std::mem::take(&mut self.unsynced) {
            let content = self.synced.entry(file).or_default();
            for entry in entries {
                keep_in_part(content, entry, chance, keep_percent);
            }
        }
        self.names.iter().map(|(path, file)| (path.clone(), self.synced[file].clone())).collect()
    }
}

fn keep(content: &mut Vec<u8>, entry: &Entry) {
    match entry {
        Entry::Write { offset, bytes, .. } => put(content, *offset, bytes),
        Entry::Truncate { length, .. } => content.resize(usize::try_from(*length).unwrap(), 0),
        _ => {}
    }
}

fn put(content: &mut Vec<u8>, offset: u64, bytes: &[u8]) {
    let begin = usize::try_from(offset).unwrap();
    let end = begin + bytes.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    content[begin..end].copy_from_slice(bytes);
}

fn keep_in_part(content: &mut Vec<u8>, entry: &Entry, chance: &mut Chance, percent: u64) {
    let Entry::Write { offset, bytes, .. } = entry else {
        if chance.percent(percent) {
            keep(content, entry);
        }
        return;
    };
    let mut done = 0;
    while done < bytes.len() {
        let at = offset + done as u64;
        let length = usize::try_from(SECTOR - at % SECTOR).unwrap().min(bytes.len() - done);
        let sector = &bytes[done..done + length];
        done += length;
        if chance.percent(percent) {
            put(content, at, sector);
            continue;
        }
        match chance.below(10) {
            0 => put(content, at, &sector[..usize::try_from(chance.below(length as u64)).unwrap()]),
            1 => put(content, at, &sector.iter().map(|_| (chance.next() & 0xff) as u8).collect::<Vec<u8>>()),
            // The file is as long as it was to be, and holds nothing there.
            2 if content.len() < usize::try_from(at).unwrap() + length => put(content, at, &vec![0; length]),
            _ => {}
        }
    }
}

/// What a disk turned out to be.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Whole,
    /// Something acknowledged is not there.
    Lost(String),
    /// Something is there that should not be, or it does not open.
    Damaged(String),
}

/// Puts a disk in place and looks at it: after this nothing of it is left.
fn examine_disk(files: &BTreeMap<PathBuf, Vec<u8>>, told: &Told, id: ExperimentId, goes_on: bool) -> Verdict {
    let folder = folder();
    for (path, bytes) in files {
        std::fs::write(folder.path().join(path.file_name().unwrap()), bytes).unwrap();
    }
    let path = database(&folder);
    // Opening for writing brings a log back, and makes the tables where there are none yet.
    match Store::open_write(&path, &options(None)) {
        Ok(store) if store.experiment(id).is_ok() => {}
        Ok(_) if told.is_created => return Verdict::Lost("the experiment".to_owned()),
        Ok(_) => return or_damaged(defects(&path)),
        Err(error) => return Verdict::Damaged(format!("it does not open: {error}")),
    }
    let wrong = defects(&path);
    if !wrong.is_empty() {
        return or_damaged(wrong);
    }
    let found = content(&path, id);
    let wrong = strangers(&found);
    if !wrong.is_empty() {
        return or_damaged(wrong);
    }
    if let Some(lost) = lost(&path, &found, told) {
        return Verdict::Lost(lost);
    }
    if goes_on {
        let outcome = work(&path, &options(None), &registry(), (id, 77), &mut |_| false);
        if !matches!(outcome, Ok(Outcome::Completed)) || &content(&path, id) != undisturbed() {
            return Verdict::Damaged(format!("it goes on to {outcome:?}, or to something else"));
        }
    }
    Verdict::Whole
}

fn or_damaged(wrong: Vec<String>) -> Verdict {
    if wrong.is_empty() { Verdict::Whole } else { Verdict::Damaged(wrong.join("\n")) }
}

fn lost(path: &Path, found: &Content, told: &Told) -> Option<String> {
    let sum =
        |count: fn(&crate::support::RunContent) -> usize| found.values().map(|run| count(run) as u64).sum::<u64>();
    let there = [sum(|run| run.outputs.len()), sum(|run| run.vectors.len()), sum(|run| run.diagrams.len())];
    if there.iter().zip(told.rows).any(|(&there, told)| there < told) {
        return Some(format!("told {:?} invocations, embeddings, diagrams; found {there:?}", told.rows));
    }
    let sql = rusqlite::Connection::open(path).unwrap();
    for (run, length) in &told.ended {
        let steps = "SELECT count(*) FROM invocation WHERE run_id = ?1";
        let steps: u64 = sql.query_row(steps, [run.as_bytes()], |row| row.get(0)).unwrap();
        if steps != *length {
            return Some(format!("run {run} was told to have ended after {length}, and has {steps}"));
        }
    }
    None
}

/// What came of all disks of a history.
#[derive(Debug, Default)]
struct Sum {
    cuts: u64,
    disks: u64,
    lost: Vec<String>,
    damaged: Vec<String>,
}

/// Cuts a history before and after every sync and at `between` places, and makes `each` disks of every cut.
fn cut_everywhere(history: &History, seed: u64, (each, between): (u64, u64), sum: &mut Sum) {
    let mut chance = Chance(seed ^ 0xD15C);
    let mut cuts: Vec<usize> = Vec::new();
    for (index, entry) in history.entries.iter().enumerate() {
        if matches!(entry, Entry::Sync { .. } | Entry::SyncFolder) {
            cuts.extend([index, index + 1]);
        }
    }
    let places = history.entries.len() as u64 + 1;
    cuts.extend((0..between).map(|_| usize::try_from(chance.below(places)).unwrap()));
    for cut in cuts {
        sum.cuts += 1;
        let told = history.told.iter().rev().find(|told| told.entries <= cut).cloned().unwrap_or_default();
        for disk in 0..each {
            sum.disks += 1;
            let percent = *chance.pick(&[0, 0, 10, 50, 90, 100]);
            let files = Disk::after(&history.entries[..cut]).found(&mut chance, percent);
            let place = format!("seed {seed}, cut {cut} of {places}, disk {disk} ({percent} % kept)");
            match examine_disk(&files, &told, history.id, chance.percent(15)) {
                Verdict::Whole => {}
                Verdict::Lost(what) => sum.lost.push(format!("{place}: {what}")),
                Verdict::Damaged(what) => sum.damaged.push(format!("{place}: {what}")),
            }
        }
    }
}

/// `LOOPSCOPE_POWER_HISTORIES` histories (2 by itself), from seed `LOOPSCOPE_POWER_SEED` on.
#[test]
fn nothing_acknowledged_is_lost_when_the_power_goes() {
    let first = setting("LOOPSCOPE_POWER_SEED", 1);
    let mut sum = Sum::default();
    let histories = setting("LOOPSCOPE_POWER_HISTORIES", 2);
    for seed in first..first + histories {
        cut_everywhere(&record(seed, Obedience::Honest), seed, (setting("LOOPSCOPE_POWER_DISKS", 1), 20), &mut sum);
    }
    println!(
        "power loss: {histories} histories, {} cuts, {} disks: lost {}, damaged {}",
        sum.cuts,
        sum.disks,
        sum.lost.len(),
        sum.damaged.len()
    );
    assert!(sum.disks > 50, "{} disks test nothing", sum.disks);
    assert!(sum.lost.is_empty() && sum.damaged.is_empty(), "{sum:#?}");
}

/// The test above can fail: on a disk that never syncs, acknowledged rows are lost.
#[test]
fn a_disk_that_never_syncs_loses_what_was_acknowledged() {
    let mut sum = Sum::default();
    let history = record(5, Obedience::NeverSyncs);
    // Nothing is synced, so that there is no sync to cut at.
    cut_everywhere(&history, 5, (2, 40), &mut sum);
    println!("never synced: {} disks: lost {}, damaged {}", sum.disks, sum.lost.len(), sum.damaged.len());
    assert!(!sum.lost.is_empty(), "no acknowledged row was lost without any sync: the test cannot fail");
}

/// What `synchronous=NORMAL` would do: the file stays whole, and rows that somebody was told of are gone.
#[test]
fn a_log_that_is_synced_only_when_carried_over_loses_rows_and_nothing_else() {
    let mut sum = Sum::default();
    cut_everywhere(&record(5, Obedience::SyncsLogForCheckpoints), 5, (1, 60), &mut sum);
    println!("synced for checkpoints: {} disks: lost {}, damaged {}", sum.disks, sum.lost.len(), sum.damaged.len());
    assert!(!sum.lost.is_empty(), "no acknowledged row was lost with late syncs: the test cannot fail");
    assert!(sum.damaged.is_empty(), "{sum:#?}");
}
