//! Clusterings: whole, of one model, each cluster with a medoid of its own.

use std::cell::OnceCell;

use rusqlite::{Connection, params};

use super::cell::{self, Subject, quoted, text};
use super::finding::{FindingKind, Ledger, Severity};
use super::imported::is_clustering_imported;
use super::table::CLUSTERING_OF_EXPERIMENT;
use crate::experiment::ExperimentId;

/// Checks every clustering, or those that rest on one experiment.
pub(super) fn check_clusterings(connection: &Connection, ledger: &mut Ledger<'_>, only: Option<ExperimentId>) {
    let outcome = each_clustering(connection, ledger, only);
    ledger.unreadable("table clustering_result", outcome);
}

fn each_clustering(
    connection: &Connection,
    ledger: &mut Ledger<'_>,
    only: Option<ExperimentId>,
) -> rusqlite::Result<()> {
    let filter = if only.is_some() { format!(" WHERE {CLUSTERING_OF_EXPERIMENT}") } else { String::new() };
    let sql = format!(
        "SELECT t.rowid AS rowid, t.id AS id, t.embedding_model AS embedding_model FROM clustering_result t{filter}"
    );
    let mut statement = connection.prepare(&sql)?;
    let mut rows = match only {
        Some(id) => statement.query(params![id.as_bytes()])?,
        None => statement.query([])?,
    };
    while let Some(row) = rows.next()? {
        let Some(id) = cell::bytes(row, "id") else { continue };
        let subject = Subject::of_row("clustering", row, "id");
        let model = text(row, "embedding_model").unwrap_or_default();
        let clustering = Clustering { connection, id, subject: &subject, is_imported: OnceCell::new() };
        let outcome = check_members(&clustering, ledger, model).and_then(|()| check_medoids(&clustering, ledger));
        ledger.unreadable(&subject.object, outcome);
    }
    Ok(())
}

/// The clustering that is looked at.
struct Clustering<'a> {
    connection: &'a Connection,
    id: [u8; 16],
    subject: &'a Subject,
    /// Asked once, when something is found.
    is_imported: OnceCell<bool>,
}

impl Clustering<'_> {
    /// Reports what this program never writes, and what an imported clustering may say of itself.
    fn report_unless_imported(&self, ledger: &mut Ledger<'_>, kind: FindingKind, defect: String) {
        let is_imported = *self.is_imported.get_or_init(|| is_clustering_imported(self.connection, self.id));
        let severity = if is_imported { Severity::Note } else { Severity::Violation };
        ledger.add_of(severity, kind, self.subject, None, defect);
    }
}

fn violation(ledger: &mut Ledger<'_>, kind: FindingKind, subject: &Subject, defect: String) {
    ledger.add_of(Severity::Violation, kind, subject, None, defect);
}

/// Checks that there are members, and that they are embeddings of the clustering's model.
fn check_members(clustering: &Clustering<'_>, ledger: &mut Ledger<'_>, model: &str) -> rusqlite::Result<()> {
    let sql = "SELECT k.rowid AS rowid, k.id AS id, e.embedding_model AS embedding_model FROM embedding_cluster k \
               LEFT JOIN embedding e ON e.id = k.embedding_id WHERE k.clustering_result_id = ?1";
    let mut statement = clustering.connection.prepare_cached(sql)?;
    let mut rows = statement.query(params![clustering.id])?;
    let mut is_empty = true;
    while let Some(row) = rows.next()? {
        is_empty = false;
        // A member whose embedding is not there breaks a foreign key, which is a finding of its own.
        if let Some(other) = text(row, "embedding_model")
            && other != model
        {
            let member = Subject::of_row("cluster member", row, "id");
            let defect = format!(
                "its embedding is of model {}, its {} of {}",
                quoted(other),
                clustering.subject.object,
                quoted(model)
            );
            violation(ledger, FindingKind::ClusterMemberModel, &member, defect);
        }
    }
    if is_empty {
        clustering.report_unless_imported(ledger, FindingKind::ClusteringEmpty, "it has no members".to_owned());
    }
    Ok(())
}

/// Checks that each medoid is a member, and of its own cluster; one finding for each medoid.
///
/// Those of an imported clustering are as its program chose them, of members that may not all have been carried.
fn check_medoids(clustering: &Clustering<'_>, ledger: &mut Ledger<'_>) -> rusqlite::Result<()> {
    let sql = "SELECT c.medoid AS medoid, c.members AS members, m.id AS member, m.medoid_embedding_id AS other \
               FROM (SELECT medoid_embedding_id AS medoid, count(*) AS members FROM embedding_cluster \
                 WHERE clustering_result_id = ?1 AND medoid_embedding_id IS NOT NULL GROUP BY medoid_embedding_id) c \
               LEFT JOIN embedding_cluster m ON m.embedding_id = c.medoid AND m.clustering_result_id = ?1";
    let mut statement = clustering.connection.prepare_cached(sql)?;
    let mut rows = statement.query(params![clustering.id])?;
    while let Some(row) = rows.next()? {
        let (Some(medoid), Ok(members)) = (cell::bytes::<16>(row, "medoid"), row.get::<_, i64>("members")) else {
            continue;
        };
        let medoid_shown = cell::hyphenated(medoid);
        if cell::is_null(row, "member") {
            let defect = format!("embedding {medoid_shown} is the medoid of {members} members and is no member itself");
            clustering.report_unless_imported(ledger, FindingKind::MedoidNotMember, defect);
        } else if cell::bytes::<16>(row, "other") != Some(medoid) {
            let other = cell::bytes::<16>(row, "other");
            let place = other.map_or_else(
                || "is an outlier itself".to_owned(),
                |other| format!("lies in the cluster of {}", cell::hyphenated(other)),
            );
            let defect = format!("embedding {medoid_shown} is the medoid of {members} members and {place}");
            clustering.report_unless_imported(ledger, FindingKind::MedoidElsewhere, defect);
        }
    }
    Ok(())
}
