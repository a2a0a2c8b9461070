//! Reading rows as they are, for `doctor`: every other reader stops at the first value that should not be there.

use rusqlite::Connection;

use super::{Store, StoreError};
use crate::experiment::ExperimentId;

impl Store {
    /// Returns the connection, to be read from only.
    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Returns the ids of all experiments, oldest row first, whatever else their rows say; an id that is none is left
    /// out.
    ///
    /// # Errors
    ///
    /// [`StoreError::Sqlite`].
    pub fn experiment_ids(&self) -> Result<Vec<ExperimentId>, StoreError> {
        let sql = "SELECT id FROM experiment WHERE typeof(id) = 'blob' AND length(id) = 16 ORDER BY rowid";
        self.collect(sql, [], |row| row.get(0).map(ExperimentId::from_bytes))
    }
}
