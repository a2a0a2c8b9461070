//! `model pull`.

use loopscope_core::experiment::ModelName;
use loopscope_models::{ModelRegistry, PullError, PullEvent, pull as download};

use crate::args::Global;
use crate::failure::{Exit, UsageError};
use crate::report::{Talk, bytes, print, print_json};

/// How often a plain line tells how far a file is, in percent.
const STEP: u64 = 10;

pub(super) fn pull(registry: &ModelRegistry, name: &ModelName, global: &Global, talk: &Talk) -> anyhow::Result<Exit> {
    if registry.listing(name).is_none() {
        super::info_of(registry, name)?;
    }
    let mut shown = Shown { file: String::new(), bytes: 0, done: 0, told: 0, talk };
    let pulled = download(registry, name, &mut |event| shown.take(&event)).map_err(told)?;
    if global.json {
        print_json(&serde_json::json!({
            "model": name, "repository": pulled.repository, "commit": pulled.commit, "directory": pulled.directory,
            "files": pulled.file_count, "downloaded": pulled.downloaded_count,
        }))?;
        return Ok(Exit::Ok);
    }
    let what = match pulled.downloaded_count {
        0 => "everything was here already".to_owned(),
        number => format!("{number} of {} files downloaded", pulled.file_count),
    };
    print(&format!("{name}: {} at {}: {what}", pulled.repository, pulled.commit))?;
    print(&format!("  {}", pulled.directory.display()))?;
    Ok(Exit::Ok)
}

fn told(error: PullError) -> anyhow::Error {
    // Nothing that people typed is wrong; `failure` has the hint.
    if matches!(error, PullError::Failed { .. }) {
        return error.into();
    }
    let hint = match &error {
        PullError::NotInThisBuild { remedy } | PullError::Refused { remedy, .. } => Some(remedy.clone()),
        PullError::Offline { .. } => Some("unset HF_HUB_OFFLINE, or put the files into the hub's cache".to_owned()),
        _ => Some("`loopscope model list` shows which models run in this process".to_owned()),
    };
    UsageError { message: error.to_string(), hint }.into()
}

/// Tells how far a download is: one line for a tenth of a file.
struct Shown<'a> {
    file: String,
    bytes: u64,
    done: u64,
    told: u64,
    talk: &'a Talk,
}

impl Shown<'_> {
    fn take(&mut self, event: &PullEvent) {
        match event {
            PullEvent::Planned { commit, files } => {
                self.talk.say(&format!("commit {commit}: {files} files to download"));
            }
            PullEvent::File { name, bytes: size } => {
                if self.file != *name {
                    self.talk.say(&format!("{name}: {}", bytes(*size)));
                }
                (self.file, self.bytes, self.done, self.told) = (name.clone(), *size, 0, 0);
            }
            PullEvent::Bytes(more) => {
                self.done += more;
                let percent = self.done.saturating_mul(100) / self.bytes.max(1);
                // Small files are done before anybody could read of it.
                if percent >= self.told + STEP && self.bytes > 16 << 20 {
                    self.told = percent / STEP * STEP;
                    self.talk.say(&format!("{}: {} % of {}", self.file, self.told.min(100), bytes(self.bytes)));
                }
            }
        }
    }
}
