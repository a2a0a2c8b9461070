//! The program as people run it, in a folder of its own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A folder with a database in it.
pub(crate) struct Place {
    pub(crate) folder: tempfile::TempDir,
    /// Another place for the database than this folder.
    pub(crate) database: Option<PathBuf>,
    /// What must stay free on its disk.
    pub(crate) min_free_mib: u64,
}

/// What a command came to.
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), database: None, min_free_mib: 1 }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// The program, in this folder, away from the settings of whoever runs the tests.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_loopscope"));
        command.args(arguments).current_dir(self.folder.path()).stdin(Stdio::null());
        for name in ["LOOPSCOPE_DB", "LOOPSCOPE_MODELS", "NO_COLOR", "CLICOLOR_FORCE", "RUST_BACKTRACE"] {
            command.env_remove(name);
        }
        for name in ["HF_HUB_CACHE", "HF_HOME", "HF_TOKEN", "HF_ENDPOINT", "http_proxy", "HTTP_PROXY", "ALL_PROXY"] {
            command.env_remove(name);
        }
        // Neither models of the user's own nor what is in a cache.
        command.env("XDG_CONFIG_HOME", self.folder.path()).env("XDG_CACHE_HOME", self.folder.path());
        command.env("LOOPSCOPE_MIN_FREE_MIB", self.min_free_mib.to_string());
        if let Some(database) = &self.database {
            command.env("LOOPSCOPE_DB", database);
        }
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        ended(self.command(arguments).output().unwrap())
    }

    /// Runs a command that must succeed.
    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        let ended = self.run(arguments);
        assert_eq!(ended.code, 0, "{arguments:?}\n{}\n{}", ended.stdout, ended.stderr);
        ended.stdout
    }

    pub(crate) fn json(&self, arguments: &[&str]) -> serde_json::Value {
        serde_json::from_str(&self.ok(arguments)).unwrap()
    }

    /// What a failing command tells, with the folder's name taken out.
    pub(crate) fn complaint(&self, arguments: &[&str]) -> String {
        let ended = self.run(arguments);
        assert_ne!(ended.code, 0, "{arguments:?} should fail");
        assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
        let folder = self.folder.path().display().to_string();
        format!("exit {}\n{}", ended.code, ended.stderr.replace(&folder, "FOLDER"))
    }
}

pub(crate) fn ended(output: Output) -> Ended {
    Ended {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// One run as plain values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RunContent {
    pub(crate) outputs: Vec<(u64, String, String)>,
    pub(crate) vectors: BTreeMap<(String, u64), Vec<u8>>,
    pub(crate) diagrams: BTreeMap<String, Vec<u8>>,
}

/// Network, prompt, seed, run number.
pub(crate) type Key = (String, String, i64, u64);

/// Everything in a database by the key of its run, by plain SQL; ids and times are left out.
pub(crate) fn content(path: &Path) -> BTreeMap<Key, RunContent> {
    let sql = rusqlite::Connection::open(path).unwrap();
    let mut all: BTreeMap<Key, RunContent> = BTreeMap::new();
    let key =
        |row: &rusqlite::Row<'_>| Ok::<Key, rusqlite::Error>((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
    let mut runs = sql.prepare("SELECT network, initial_prompt, seed, run_number FROM run").unwrap();
    for row in runs.query_map([], key).unwrap() {
        assert!(all.insert(row.unwrap(), RunContent::default()).is_none(), "a run is there twice");
    }
    let mut steps = sql
        .prepare(
            "SELECT r.network, r.initial_prompt, r.seed, r.run_number, i.sequence_number, i.model, \
             coalesce(i.output_text, lower(hex(m.pixel_hash))) FROM run r JOIN invocation i ON i.run_id = r.id \
             LEFT JOIN image m ON m.hash = i.output_image ORDER BY r.rowid, i.sequence_number",
        )
        .unwrap();
    for row in steps.query_map([], |row| Ok((key(row)?, (row.get(4)?, row.get(5)?, row.get(6)?)))).unwrap() {
        let (key, output) = row.unwrap();
        all.get_mut(&key).unwrap().outputs.push(output);
    }
    let mut vectors = sql
        .prepare(
            "SELECT r.network, r.initial_prompt, r.seed, r.run_number, e.embedding_model, i.sequence_number, e.vector FROM run r \
             JOIN invocation i ON i.run_id = r.id JOIN embedding e ON e.invocation_id = i.id",
        )
        .unwrap();
    for row in vectors.query_map([], |row| Ok((key(row)?, (row.get(4)?, row.get(5)?), row.get(6)?))).unwrap() {
        let (key, place, vector) = row.unwrap();
        assert!(all.get_mut(&key).unwrap().vectors.insert(place, vector).is_none(), "an embedding is there twice");
    }
    let mut diagrams = sql
        .prepare(
            "SELECT r.network, r.initial_prompt, r.seed, r.run_number, p.embedding_model, p.diagram_data FROM run r \
             JOIN persistence_diagram p ON p.run_id = r.id",
        )
        .unwrap();
    for row in diagrams.query_map([], |row| Ok((key(row)?, row.get(4)?, row.get(5)?))).unwrap() {
        let (key, model, diagram) = row.unwrap();
        assert!(all.get_mut(&key).unwrap().diagrams.insert(model, diagram).is_none(), "a diagram is there twice");
    }
    all
}

/// Writes an npy file of version 1, and returns its name.
pub(crate) fn npy(place: &Place, name: &str, descr: &str, shape: &str, values: &[u8]) -> String {
    let mut header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
    while (10 + header.len() + 1) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.bytes());
    bytes.extend(values);
    std::fs::write(place.path(name), bytes).unwrap();
    name.to_owned()
}
