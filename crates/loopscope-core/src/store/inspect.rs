//! Reading rows as they are, for `doctor`: every other reader stops at the first value that should not be there.

use rusqlite::Connection;

use super::Store;

impl Store {
    /// Returns the connection, to be read from only.
    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }
}
