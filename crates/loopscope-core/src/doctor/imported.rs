//! What was imported: the record of another program, which keeps what it said.
//!
//! An experiment says so itself (`origin`). A clustering does not: it is an imported one when all its members are
//! vectors of imported model versions; one without members is, for want of a better sign, when the file has imported
//! experiments, or none that this program made: nothing else can have been clustered here. Asked only where there is a finding.

use rusqlite::{Connection, params};

/// Returns whether an experiment was imported. What does not read was not.
pub(super) fn is_experiment_imported(connection: &Connection, id: [u8; 16]) -> bool {
    let sql = "SELECT 1 FROM experiment WHERE id = ?1 AND origin = 'legacy'";
    connection.prepare_cached(sql).and_then(|mut statement| statement.exists(params![id])).unwrap_or(false)
}

/// Returns whether a clustering was imported. What does not read was not.
pub(super) fn is_clustering_imported(connection: &Connection, id: [u8; 16]) -> bool {
    let sql = "SELECT CASE WHEN EXISTS (SELECT 1 FROM embedding_cluster WHERE clustering_result_id = ?1) \
               THEN NOT EXISTS (SELECT 1 FROM embedding_cluster k JOIN embedding e ON e.id = k.embedding_id \
                 LEFT JOIN model_version v ON v.id = e.model_version_id \
                 WHERE k.clustering_result_id = ?1 AND v.backend IS NOT 'legacy') \
               ELSE EXISTS (SELECT 1 FROM experiment WHERE origin = 'legacy') \
                 OR NOT EXISTS (SELECT 1 FROM experiment WHERE origin = 'native') END";
    let ask = || connection.prepare_cached(sql)?.query_row(params![id], |row| row.get(0));
    ask().unwrap_or(false)
}
