//! One engine at a time, also between processes, and also when one is killed.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use loopscope_core::experiment::ExperimentId;
use loopscope_core::store::ExperimentLock;

use super::support::{Bench, Stop, id};

const DATABASE: &str = "LOOPSCOPE_TEST_LOCKED_DATABASE";

fn experiment() -> ExperimentId {
    ExperimentId::from_bytes(id('e', 1, 1))
}

/// The other process of the tests below: it takes the lock and waits to be killed. Alone it does nothing.
#[test]
fn a_child_takes_the_lock_and_waits() {
    let Some(database) = std::env::var_os(DATABASE) else { return };
    let _lock = ExperimentLock::take(Path::new(&database), experiment()).unwrap();
    println!("\nheld");
    // Until the parent kills this process or goes away.
    std::io::stdin().lock().read_line(&mut String::new()).unwrap();
}

fn child_with_lock(database: &Path) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "locks::a_child_takes_the_lock_and_waits", "--nocapture"])
        .env(DATABASE, database)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
    assert!(lines.map_while(Result::ok).any(|line| line == "held"), "the child ended before it held the lock");
    child
}

#[test]
fn a_second_process_is_refused_with_the_pid_of_the_first_and_let_in_when_that_one_is_killed() {
    let bench = Bench::new();
    for _ in 0..3 {
        let mut child = child_with_lock(&bench.path);
        let pid = child.id().to_string();
        assert_eq!(ExperimentLock::holder(&bench.path, experiment()), Some(pid.clone()));
        let error = ExperimentLock::take(&bench.path, experiment()).unwrap_err();
        assert_eq!(error.to_string(), format!("experiment 00000001 is being worked on by process {pid}"));
        let other = ExperimentId::from_bytes(id('e', 1, 2));
        ExperimentLock::take(&bench.path, other).unwrap();
        child.kill().unwrap(); // SIGKILL
        child.wait().unwrap();
        assert_eq!(ExperimentLock::holder(&bench.path, experiment()), None);
        ExperimentLock::take(&bench.path, experiment()).unwrap();
    }
}

#[test]
fn asking_who_holds_the_lock_never_keeps_an_engine_out() {
    let bench = Bench::new();
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_done.load(Ordering::Relaxed) {
                drop(ExperimentLock::holder(&bench.path, experiment()));
            }
        });
        let stop = Stop(&is_done);
        let outcomes: Vec<_> = (0..300).map(|_| ExperimentLock::take(&bench.path, experiment()).map(drop)).collect();
        drop(stop);
        let refused: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).collect();
        assert!(refused.is_empty(), "{} of {} times: {}", refused.len(), outcomes.len(), refused[0]);
    });
}

#[test]
fn a_lock_beside_a_missing_folder_is_an_error_and_no_panic() {
    let bench = Bench::new();
    let error = ExperimentLock::take(&bench.folder.path().join("nowhere/a.sqlite"), experiment()).unwrap_err();
    insta::assert_snapshot!(bench.chain(&error), @r"
    opening the lock [folder]/nowhere/a.sqlite.65000000-0000-0000-0001-000000000001.lock
    No such file or directory (os error 2)
    ");
    assert_eq!(ExperimentLock::holder(&bench.folder.path().join("nowhere/a.sqlite"), experiment()), None);
}
