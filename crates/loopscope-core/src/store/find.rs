//! What people type for an object: a name, `latest`, or any unique beginning or end of its id.

use rusqlite::params;

use super::{Store, StoreError};
use crate::backend::nearest_name;
use crate::experiment::{ClusteringResultId, ExperimentId, RunId};

impl Store {
    /// Finds the experiment that `typed` means.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotFound`] with the nearest name, [`StoreError::Ambiguous`] with the candidates.
    pub fn find_experiment(&self, typed: &str) -> Result<ExperimentId, StoreError> {
        let named = "SELECT id FROM experiment WHERE name = ?1";
        if let Some(id) = self.collect(named, [typed], |row| row.get(0))?.pop() {
            return Ok(ExperimentId::from_bytes(id));
        }
        match self.find("experiment", "SELECT id FROM experiment ORDER BY created_at DESC, rowid DESC", typed) {
            Ok(id) => Ok(ExperimentId::from_bytes(id)),
            Err(StoreError::NotFound { noun, typed, .. }) => {
                let names: Vec<String> = self.collect("SELECT name FROM experiment", [], |row| row.get(0))?;
                let nearest = nearest_name(&typed, names.iter().map(String::as_str)).map(str::to_owned);
                Err(StoreError::NotFound { noun, typed, nearest })
            }
            Err(error) => Err(error),
        }
    }

    /// Finds the run that `typed` means.
    ///
    /// # Errors
    ///
    /// As [`find_experiment`](Self::find_experiment).
    pub fn find_run(&self, typed: &str) -> Result<RunId, StoreError> {
        self.find("run", "SELECT id FROM run ORDER BY rowid DESC", typed).map(RunId::from_bytes)
    }

    /// Finds the clustering that `typed` means.
    ///
    /// # Errors
    ///
    /// As [`find_experiment`](Self::find_experiment).
    pub fn find_clustering(&self, typed: &str) -> Result<ClusteringResultId, StoreError> {
        let sql = "SELECT id FROM clustering_result ORDER BY created_at DESC, layer, rowid DESC";
        self.find("clustering", sql, typed).map(ClusteringResultId::from_bytes)
    }

    fn find(&self, noun: &'static str, sql: &str, typed: &str) -> Result<[u8; 16], StoreError> {
        let ids: Vec<[u8; 16]> = self.collect(sql, params![], |row| row.get(0))?;
        let not_found = || StoreError::NotFound { noun, typed: typed.to_owned(), nearest: None };
        if typed == "latest" {
            return ids.first().copied().ok_or_else(not_found);
        }
        let wanted: String = typed.chars().filter(|&letter| letter != '-').collect::<String>().to_lowercase();
        if wanted.is_empty() || !wanted.chars().all(|letter| letter.is_ascii_hexdigit()) {
            return Err(not_found());
        }
        let fits = |id: &&[u8; 16]| {
            let hex = hex_of(id);
            hex.starts_with(&wanted) || hex.ends_with(&wanted)
        };
        let matches: Vec<&[u8; 16]> = ids.iter().filter(fits).collect();
        match matches.as_slice() {
            [] => Err(not_found()),
            [id] => Ok(**id),
            several => {
                let matches = several.iter().take(10).map(|id| hex_of(id)[24..].to_owned()).collect();
                Err(StoreError::Ambiguous { noun, typed: typed.to_owned(), count: several.len(), matches })
            }
        }
    }
}

fn hex_of(id: &[u8; 16]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}
