//! Ways out of the store. An export reads one state of a store and writes files of its own; it never writes the store.

mod db;

pub use db::{ExportedDb, export_db};
