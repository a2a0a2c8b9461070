//! Damaged files: every command ends with an answer or an error, in bounded time and memory, and reading writes nothing.
//!
//! `LOOPSCOPE_MUTATIONS` files (40 by itself) from seed `LOOPSCOPE_MUTATION_SEED` on; each is one small database with one
//! to four wounds.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::chance::{Chance, setting};
use crate::support::{Ended, Place, ended};

const CONFIG: &str = r#"{
  "name": "wounded",
  "networks": [["DummyT2I", "DummyI2T"]],
  "prompts": ["a small red circle on a blue background"],
  "seeds": [1, 2],
  "embedding_models": ["DummyText", "DummyVision"],
  "max_length": 6
}"#;

/// What no command may take: of memory (address space, threads' stacks included) and of time.
const MEMORY_KIB_MAX: u64 = 2 << 20;
const PATIENCE: Duration = Duration::from_secs(60);
/// A resume that a wound sent on a long way is stopped after this; it works, it does not hang.
const RESUME_PATIENCE: Duration = Duration::from_secs(10);

/// What a glance at a command counts for at most.
const GLANCE_MAX: Duration = Duration::from_millis(20);

/// What happened to a command.
enum Came {
    Ended(Ended),
    /// Still at work when its time was over.
    Stopped,
}

fn run(place: &Place, arguments: &[&str], patience: Duration) -> Came {
    let plain = place.command(arguments);
    let mut command = Command::new("bash");
    command.arg("-c").arg(format!("ulimit -v {MEMORY_KIB_MAX}; exec \"$0\" \"$@\""));
    command.arg(plain.get_program()).args(plain.get_args()).current_dir(place.folder.path()).stdin(Stdio::null());
    for (name, value) in plain.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    // Into files: a pipe that nobody empties would be a hang of our own making.
    let out = |name: &str| std::fs::File::create(place.path(name)).unwrap();
    let mut child = command.stdout(out("out")).stderr(out("err")).spawn().unwrap();
    // Time in which this process was stopped itself, or waited for a processor, is not the command's.
    let mut waited = Duration::ZERO;
    loop {
        let glance = Instant::now();
        if let Some(status) = child.try_wait().unwrap() {
            let read = |name: &str| std::fs::read(place.path(name)).unwrap();
            return Came::Ended(ended(std::process::Output { status, stdout: read("out"), stderr: read("err") }));
        }
        if waited > patience {
            child.kill().unwrap();
            child.wait().unwrap();
            return Came::Stopped;
        }
        std::thread::sleep(Duration::from_millis(2));
        waited += glance.elapsed().min(GLANCE_MAX);
    }
}

/// Damages a file in one of six ways; returns which.
fn wound(bytes: &mut Vec<u8>, chance: &mut Chance) -> &'static str {
    let length = bytes.len() as u64;
    let page = 4096;
    let pages = length / page;
    let at = |number: u64| usize::try_from(number).unwrap();
    if pages == 0 {
        return "nothing left";
    }
    match chance.below(12) {
        0 | 1 => {
            for _ in 0..=chance.below(16) {
                bytes[at(chance.below(length))] ^= 1 << chance.below(8);
            }
            "bits"
        }
        // The places that matter most: the headers of the pages.
        2..=4 => {
            let begin = chance.below(pages) * page;
            for _ in 0..=chance.below(3) {
                bytes[at(begin + chance.below(64))] = at(chance.below(256)) as u8;
            }
            "page header"
        }
        5 => {
            bytes.truncate(at(chance.below(length)));
            "truncation"
        }
        6 | 7 => {
            let (left, right) = (at(chance.below(pages) * page), at(chance.below(pages) * page));
            let moved = bytes[left..left + at(page)].to_vec();
            bytes.copy_within(right..right + at(page), left);
            bytes[right..right + at(page)].copy_from_slice(&moved);
            "pages swapped"
        }
        8 => {
            let begin = at(chance.below(pages) * page);
            bytes[begin..begin + at(page)].fill(0);
            "page zeroed"
        }
        9 => {
            bytes[at(chance.below(100))] = at(chance.below(256)) as u8;
            "file header"
        }
        // A run of bytes put elsewhere: cells that hold what another should.
        10 => {
            let count = at(chance.below(200) + 1).min(bytes.len());
            let (from, to) = (at(chance.below(length - count as u64 + 1)), at(chance.below(length - count as u64 + 1)));
            bytes.copy_within(from..from + count, to);
            "bytes moved"
        }
        _ => {
            bytes.extend((0..at(chance.below(3 * page))).map(|index| (index * 7) as u8));
            "garbage at the end"
        }
    }
}

/// Reading commands that a user would try on such a file.
const READING: [&[&str]; 7] = [
    &["experiment", "list"],
    &["experiment", "show", "latest"],
    &["run", "list"],
    &["run", "show", "latest", "--json"],
    &["doctor"],
    &["doctor", "--json", "--decode-images"],
    &["backup", "copy.sqlite"],
];

/// Checks that a command ended as commands do: a code of ours, no panic, no signal.
fn check_end(came: &Came, place: &str) {
    let Came::Ended(ended) = came else { panic!("{place}: no end after {PATIENCE:?}") };
    assert!([0, 1, 2, 3].contains(&ended.code), "{place}: code {}: {}", ended.code, ended.stderr);
    assert!(
        !ended.stderr.contains("panicked") && !ended.stderr.contains("please report this"),
        "{place}: {}",
        ended.stderr
    );
    assert!(ended.code != 1 || !ended.stderr.is_empty() || !ended.stdout.is_empty(), "{place}: failed without a word");
}

fn database_files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("loopscope.sqlite"))
        .map(|entry| (entry.file_name().to_string_lossy().into_owned(), std::fs::read(entry.path()).unwrap()))
        .collect();
    files.sort();
    files
}

#[test]
fn no_damage_to_a_file_makes_a_command_panic_hang_or_write_where_it_reads() {
    let calm = Place::new();
    let config = calm.write("wounded.json", CONFIG);
    calm.ok(&["experiment", "run", config.to_str().unwrap(), "--quiet"]);
    // Unfinished again, so that a resume has something to do.
    let sql = rusqlite::Connection::open(calm.path("loopscope.sqlite")).unwrap();
    let undo = "UPDATE experiment SET completed_at = NULL; DELETE FROM persistence_diagram; \
                DELETE FROM embedding WHERE rowid % 3 = 0; PRAGMA wal_checkpoint(TRUNCATE)";
    sql.execute_batch(undo).unwrap();
    sql.close().unwrap();
    let whole = std::fs::read(calm.path("loopscope.sqlite")).unwrap();
    let (first, count) = (setting("LOOPSCOPE_MUTATION_SEED", 1), setting("LOOPSCOPE_MUTATIONS", 40));
    let (mut commands, mut refused, mut stopped) = (0_u64, 0_u64, 0_u64);
    let mut kinds = std::collections::BTreeMap::<&str, u64>::new();
    for seed in first..first + count {
        let mut chance = Chance(seed);
        let mut bytes = whole.clone();
        for _ in 0..=chance.below(3) {
            *kinds.entry(wound(&mut bytes, &mut chance)).or_default() += 1;
        }
        let place = Place::new();
        std::fs::write(place.path("loopscope.sqlite"), &bytes).unwrap();
        let before = database_files(place.folder.path());
        for arguments in READING {
            let context = format!("seed {seed}, {arguments:?}");
            let came = run(&place, arguments, PATIENCE);
            check_end(&came, &context);
            commands += 1;
            refused += u64::from(matches!(came, Came::Ended(ended) if ended.code != 0));
            assert!(database_files(place.folder.path()) == before, "{context}: it wrote");
        }
        commands += 1;
        match run(&place, &["experiment", "resume", "latest", "--quiet"], RESUME_PATIENCE) {
            Came::Stopped => stopped += 1,
            came => check_end(&came, &format!("seed {seed}, resume")),
        }
    }
    assert_eq!(std::fs::read(calm.path("loopscope.sqlite")).unwrap(), whole, "the original was written");
    println!(
        "damaged files: {count} ({kinds:?}); {commands} commands, {refused} of the reading ones with an error or findings; \
         {stopped} resumes stopped at work after {RESUME_PATIENCE:?}; panics 0, hangs 0, writes by readers 0"
    );
    assert!(refused > 0, "no damage was ever noticed: the test tests nothing");
}

/// `LOOPSCOPE_LEGACY_MUTATIONS` files (24 by itself) of the three layouts of the earlier tool.
///
/// What such a file says may be wrong in ways that the rules of the import do not look for (a time, a name, a medoid); the
/// doctor names them afterwards, and they are counted here.
#[test]
fn nothing_of_a_damaged_legacy_file_makes_an_import_panic_hang_or_write_to_it() {
    let (first, count) = (setting("LOOPSCOPE_MUTATION_SEED", 1), setting("LOOPSCOPE_LEGACY_MUTATIONS", 24));
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/legacy");
    let layouts =
        ["cluster", "medoid", "required"].map(|name| std::fs::read(fixtures.join(format!("{name}.sqlite"))).unwrap());
    let (mut imported, mut refused, mut with_violations) = (0_u64, 0_u64, 0_u64);
    let mut kinds = std::collections::BTreeMap::new();
    for seed in first..first + count {
        let mut chance = Chance(seed ^ 0x1E6A);
        let mut bytes = layouts[usize::try_from(seed % 3).unwrap()].clone();
        for _ in 0..=chance.below(3) {
            wound(&mut bytes, &mut chance);
        }
        let place = Place::new();
        std::fs::write(place.path("old.sqlite"), &bytes).unwrap();
        for arguments in [&["import", "legacy", "old.sqlite", "--dry-run"][..], &["import", "legacy", "old.sqlite"]] {
            let context = format!("seed {seed}, {arguments:?}");
            let came = run(&place, arguments, PATIENCE);
            check_end(&came, &context);
            assert!(std::fs::read(place.path("old.sqlite")).unwrap() == bytes, "{context}: the source was written");
            let Came::Ended(ended) = came else { continue };
            if ended.code == 0 { imported += 1 } else { refused += 1 }
        }
        if place.path("loopscope.sqlite").exists() {
            let Came::Ended(doctor) = run(&place, &["doctor", "--decode-images"], PATIENCE) else {
                panic!("seed {seed}: the doctor hangs")
            };
            // An import that failed before the tables were there leaves a file that is none of ours yet.
            if doctor.code != 0 && !doctor.stderr.contains("it is empty") {
                assert!(doctor.stdout.contains("violation"), "seed {seed}: {}{}", doctor.stdout, doctor.stderr);
                for line in doctor.stdout.lines().filter_map(|line| line.strip_prefix("violation ")) {
                    let kind = line.split(':').next().unwrap().to_owned();
                    *kinds.entry(kind).or_insert(0_u64) += 1;
                }
                with_violations += 1;
            }
        }
    }
    println!(
        "damaged legacy files: {count}; {imported} imports went through, {refused} were refused; {with_violations} stores with \
         something for the doctor {kinds:?}"
    );
    assert!(
        imported > 0 && refused > 0,
        "{imported} imported, {refused} refused: the wounds are too light or too deep"
    );
}
