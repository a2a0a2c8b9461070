//! Clusterings: carried whole, when every embedding that they rest on is in the target.

use rusqlite::types::ValueRef;
use serde::Serialize;

use super::super::{Store, StoreError};
use super::conflict::{Conflict, MergeError};
use super::copier::{Copier, Tallies, unreadable};
use super::in_transaction;
use super::table::{CLUSTERING, MEMBER};
use crate::experiment::ClusteringResultId;

/// A clustering that was not carried, because some of the embeddings that it rests on are not in the target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// Its id.
    pub id: ClusteringResultId,
    /// The algorithm.
    pub algorithm: String,
    /// Whose embeddings.
    pub embedding_model: String,
    /// Embeddings in it.
    pub members: u64,
    /// How many of them the target has not, counting a medoid that it has not.
    pub missing: u64,
}

/// What became of the clusterings of a source.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MergedClusterings {
    /// Rows by table.
    pub rows: Tallies,
    /// Those that were not carried.
    pub left_out: Vec<LeftOut>,
}

/// Which clusterings of a source a merge is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Clusterings {
    /// All: the whole store is merged.
    All,
    /// Those that rest on at least one embedding of the target.
    Touching,
}

/// Carries clusterings over, each in a transaction of its own.
pub(super) fn merge_clusterings(
    source: &Store,
    target: &Store,
    which: Clusterings,
    is_dry_run: bool,
) -> Result<MergedClusterings, MergeError> {
    let mut merged = MergedClusterings::default();
    let sql = "SELECT id, algorithm, embedding_model FROM clustering_result ORDER BY created_at, rowid";
    let all: Vec<([u8; 16], String, String)> =
        source.collect(sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    for (id, algorithm, embedding_model) in all {
        in_transaction(target, is_dry_run, || {
            let rests = rests_of(source, target, id)?;
            if which == Clusterings::Touching && rests.missing == rests.embeddings {
                return Ok(());
            }
            let id = ClusteringResultId::from_bytes(id);
            if rests.missing > 0 {
                let LeftOutCounts { members, missing, .. } = rests;
                merged.left_out.push(LeftOut { id, algorithm, embedding_model, members, missing });
                return Ok(());
            }
            merge_clustering(source, target, id, &mut merged.rows)
        })?;
    }
    Ok(merged)
}

struct LeftOutCounts {
    members: u64,
    /// Members and medoids.
    embeddings: u64,
    /// Of these, those that the target has not.
    missing: u64,
}

/// Counts what a clustering of the source rests on, and how much of that the target has.
fn rests_of(source: &Store, target: &Store, id: [u8; 16]) -> Result<LeftOutCounts, StoreError> {
    let mut counts = LeftOutCounts { members: 0, embeddings: 0, missing: 0 };
    // A medoid is a member in every sound clustering, and then counts once.
    let sql = "SELECT embedding_id, 1 FROM embedding_cluster WHERE clustering_result_id = ?1 UNION ALL \
               SELECT DISTINCT k.medoid_embedding_id, 0 FROM embedding_cluster k WHERE k.clustering_result_id = ?1 \
               AND k.medoid_embedding_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM embedding_cluster m \
               WHERE m.embedding_id = k.medoid_embedding_id AND m.clustering_result_id = ?1)";
    let mut statement = source.connection.prepare_cached(sql).map_err(unreadable(source))?;
    let mut rows = statement.query([id]).map_err(unreadable(source))?;
    while let Some(row) = rows.next().map_err(unreadable(source))? {
        let (embedding, member): ([u8; 16], u64) =
            (row.get(0).map_err(unreadable(source))?, row.get(1).map_err(unreadable(source))?);
        counts.members += member;
        counts.embeddings += 1;
        let found = target.collect("SELECT 1 FROM embedding WHERE id = ?1", [embedding], |_| Ok(()))?;
        counts.missing += u64::from(found.is_empty());
    }
    Ok(counts)
}

fn merge_clustering(
    source: &Store,
    target: &Store,
    id: ClusteringResultId,
    tallies: &mut Tallies,
) -> Result<(), MergeError> {
    let mut copier = Copier::new(source, target, format!("clustering {}", id.short()));
    copier.copy(&CLUSTERING, "FROM clustering_result t WHERE t.id = ?1", [id.as_bytes()])?;
    let members = "FROM embedding_cluster t WHERE t.clustering_result_id = ?1 ORDER BY t.rowid";
    copier.copy(&MEMBER, members, [id.as_bytes()])?;
    refuse_other_members(&mut copier, id)?;
    copier.refuse_conflicts()?;
    for (table, tally) in copier.tallies {
        let sum = tallies.entry(table).or_default();
        sum.added += tally.added;
        sum.present += tally.present;
    }
    Ok(())
}

/// A clustering is whole: one that is there must have these members and no others.
fn refuse_other_members(copier: &mut Copier<'_>, id: ClusteringResultId) -> Result<(), MergeError> {
    let count = |store: &Store| -> Result<i64, StoreError> {
        let sql = "SELECT count(*) FROM embedding_cluster WHERE clustering_result_id = ?1";
        Ok(store.collect(sql, [id.as_bytes()], |row| row.get(0))?.pop().unwrap_or(0))
    };
    let was_there = copier.tallies.get(CLUSTERING.name).is_some_and(|tally| tally.present > 0);
    let added = copier.tallies.get(MEMBER.name).map_or(0, |tally| i64::try_from(tally.added).unwrap_or(i64::MAX));
    let (in_source, in_target) = (count(copier.source)?, count(copier.target)? - if was_there { added } else { 0 });
    if in_source != in_target {
        copier.conflict(Conflict {
            table: CLUSTERING.name,
            id: super::conflict::key_text(ValueRef::Blob(id.as_bytes())),
            column: "count of members".to_owned(),
            in_source: in_source.to_string(),
            in_target: in_target.to_string(),
            is_of_place: false,
        })?;
    }
    Ok(())
}
