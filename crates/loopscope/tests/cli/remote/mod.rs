//! Models at servers, through the program: each dialect, a server that does everything wrong, and what becomes of the key.

mod chaos;
mod commands;
pub(crate) mod server;

use std::process::{Command, Output, Stdio};

use crate::support::{Ended, Place, ended};
use server::{CANARY, Server};

/// The endpoints of a models file: one for each dialect, all at one server; `lines` go into each.
pub(crate) fn endpoints(server: &Server, lines: &str) -> String {
    let endpoint = |dialect: &&str| {
        format!(
            "[endpoints.{dialect}]\ndialect = \"{dialect}\"\nurl = \"{}\"\nkey_env = \"CANARY_KEY\"\n{lines}\n",
            server.url(dialect)
        )
    };
    ["openai", "vllm", "sglang", "localai", "ollama", "openrouter"].iter().map(endpoint).collect()
}

/// A model of the file.
pub(crate) fn model(name: &str, kind: &str, endpoint: &str, model: &str, lines: &str) -> String {
    format!("[models.{name}]\nkind = \"{kind}\"\nendpoint = \"{endpoint}\"\nmodel = \"{model}\"\n{lines}\n")
}

/// The program with the canary as its key.
pub(crate) fn keyed(place: &Place, arguments: &[&str]) -> Command {
    let mut command = place.command(arguments);
    command.env("CANARY_KEY", CANARY);
    command
}

pub(crate) fn run_keyed(place: &Place, arguments: &[&str]) -> Ended {
    let ended = ended(keyed(place, arguments).output().unwrap());
    assert!(!ended.stdout.contains(CANARY), "{arguments:?} prints the key\n{}", ended.stdout);
    assert!(!ended.stderr.contains(CANARY), "{arguments:?} tells the key\n{}", ended.stderr);
    assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
    ended
}

pub(crate) fn ok_keyed(place: &Place, arguments: &[&str]) -> String {
    let ended = run_keyed(place, arguments);
    assert_eq!(ended.code, 0, "{arguments:?}\n{}\n{}", ended.stdout, ended.stderr);
    ended.stdout
}

/// Runs a command to its end and watches the most memory that it ever held, in KiB; 0 where the system does not say.
pub(crate) fn watched(mut command: Command) -> (Output, u64) {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let watch = std::thread::spawn(move || {
        let mut most = 0;
        // The system keeps the highest mark: only what is taken right before the end is missed.
        while let Ok(text) = std::fs::read_to_string(&status) {
            let mark = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            match mark.and_then(|mark| mark.trim().trim_end_matches("kB").trim().parse().ok()) {
                Some(mark) => most = u64::max(most, mark),
                // A process without memory is over.
                None => break,
            }
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        most
    });
    let output = child.wait_with_output().unwrap();
    (output, watch.join().unwrap())
}

/// Whether any file of a folder holds the key.
pub(crate) fn assert_keyless(place: &Place) {
    for entry in std::fs::read_dir(place.folder.path()).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        let found = bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes());
        assert!(!found, "{} holds the key", path.display());
    }
}
