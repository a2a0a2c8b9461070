//! What the store promises, checked from outside: through its public calls, and through raw SQL against the file.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails, in its helpers too")]

mod backups;
mod clusterings;
mod constraints;
mod deleting;
mod extending;
mod finding;
mod locks;
mod merging;
mod migrations;
mod opening;
mod reading;
mod rows;
mod schema;
mod support;
mod views;
mod writing;
