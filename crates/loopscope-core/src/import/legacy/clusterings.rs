//! Clusterings and their members; each clustering goes into the store whole.

use rusqlite::types::ValueRef;
use rusqlite::{OptionalExtension, params};

use super::error::ImportError;
use super::experiments::cells_of;
use super::parse::{TimeCell, id_of, key_of, text_of};
use super::report::{Note, Table};
use super::session::{Kept, Session};
use super::sink::{MEMBERS_MAX, Sink};
use super::source::Membership;
use crate::codec::canonical_json;
use crate::experiment::{
    ClusteringResult, ClusteringResultId, EmbeddingCluster, EmbeddingClusterId, EmbeddingId, ModelName,
};
use crate::store::StoreError;

const CLUSTERING: [&str; 8] =
    ["rowid", "id", "embedding_model", "algorithm", "parameters", "created_at", "started_at", "completed_at"];
const MEMBER: [&str; 6] = ["rowid", "id", "embedding_id", "clustering_result_id", "medoid_embedding_id", "cluster_id"];

/// What a row of the old table of clusters is.
const NOISE: i64 = 0;
const NAMES_MEDOID: i64 = 1;
const NAMES_NOTHING: i64 = 2;

/// The cluster of a member.
enum Cluster {
    Outlier,
    Medoid(Option<[u8; 16]>),
    NamesNoMedoid,
    NotThere,
}

impl Session<'_> {
    pub(super) fn clusterings(&mut self) -> Result<(), ImportError> {
        if self.source.has(Table::ClusteringResult) {
            self.place_clusterings()?;
        }
        if self.source.has(Table::EmbeddingCluster) {
            self.place_members()?;
        }
        self.store_clusterings()
    }

    fn place_clusterings(&mut self) -> Result<(), ImportError> {
        let table = Table::ClusteringResult;
        self.kept.begin(table);
        let failed = |source| self.source.failed(table.legacy_name(), source);
        let mut statement = self.source.all(table, &CLUSTERING)?;
        let mut rows = statement.query([]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            self.kept.place_clustering(&cells_of::<8>(row).map_err(failed)?)?;
            self.kept.step(table)?;
        }
        self.kept.end(table)
    }

    fn place_members(&mut self) -> Result<(), ImportError> {
        let table = Table::EmbeddingCluster;
        self.kept.begin(table);
        let membership = self.source.membership;
        if membership == Membership::Cluster && self.source.has_clusters()? {
            self.place_clusters()?;
        }
        let failed = |source| self.source.failed(table.legacy_name(), source);
        let mut statement = self.source.all(table, &MEMBER)?;
        let mut rows = statement.query([]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            let cells = cells_of::<6>(row).map_err(failed)?;
            self.kept.place_member(&cells, membership)?;
            self.kept.heed_stop()?;
        }
        Ok(())
    }

    fn place_clusters(&mut self) -> Result<(), ImportError> {
        let failed = |source| self.source.failed("cluster", source);
        let sql = "SELECT id, cluster_id, medoid_embedding_id FROM cluster ORDER BY rowid";
        let mut statement = self.source.query("cluster", sql)?;
        let mut rows = statement.query([]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            let [id, number, medoid] = cells_of::<3>(row).map_err(failed)?;
            let Some(key) = key_of(id) else { continue };
            let is_noise = match number {
                ValueRef::Integer(number) => number == -1,
                ValueRef::Real(number) => number == -1.0,
                _ => false,
            };
            let kind = match (is_noise, medoid) {
                (true, _) => NOISE,
                (false, ValueRef::Null) => NAMES_NOTHING,
                (false, _) => NAMES_MEDOID,
            };
            let medoid = if is_noise { None } else { id_of(medoid) };
            let sql = "INSERT OR IGNORE INTO cluster VALUES (?1, ?2, ?3)";
            self.kept.scratch.put(sql, params![key, kind, medoid])?;
        }
        Ok(())
    }

    /// Decides which of equal members is carried, and hands the clusterings to the store, each with its members.
    fn store_clusterings(&mut self) -> Result<(), ImportError> {
        let table = Table::ClusteringResult;
        let mut one = self.source.one(table, &CLUSTERING)?;
        let mut last = i64::MIN;
        let sql = "SELECT id, source FROM clustering WHERE source > ?1 ORDER BY source LIMIT 1";
        while let Some((id, source)) =
            self.kept.scratch.find(sql, [last], |row| Ok((row.get::<_, [u8; 16]>(0)?, row.get::<_, i64>(1)?)))?
        {
            let kept = &mut self.kept;
            let row = one
                .query_row([source], |row| Ok(kept.clustering_of(&cells_of::<8>(row)?)))
                .optional()
                .map_err(|source| self.source.failed(table.legacy_name(), source))?;
            if let Some(row) = row.transpose()?.flatten() {
                self.kept.store_clustering(id, row)?;
            }
            last = source;
        }
        self.kept.end(Table::EmbeddingCluster)
    }
}

/// A member in the order in which it is decided.
struct Member {
    embedding: [u8; 16],
    id: [u8; 16],
    medoid: Option<[u8; 16]>,
}

impl Kept<'_> {
    fn place_clustering(&mut self, cells: &[ValueRef<'_>; 8]) -> Result<(), ImportError> {
        let table = Table::ClusteringResult;
        let ValueRef::Integer(rowid) = cells[0] else { return Ok(()) };
        let Some(id) = self.identify(table, rowid, cells[1])? else { return Ok(()) };
        let times = [TimeCell::of(cells[6]), TimeCell::of(cells[7])];
        let reason = match (text_of(cells[2]), text_of(cells[3])) {
            _ if times[0] == TimeCell::Absent => "missing_started_at",
            _ if times.contains(&TimeCell::Invalid) => "invalid_time",
            (None, _) | (_, None) => "invalid_value",
            (Some(_), Some(_)) => {
                self.carry(table);
                let model = self.scratch.name(&key_of(cells[2]).unwrap_or_default())?;
                self.scratch.put("INSERT INTO clustering VALUES (?1, ?2, ?3)", params![id, model, rowid])?;
                return Ok(());
            }
        };
        self.drop_row(table, reason, &id)
    }

    fn place_member(&mut self, cells: &[ValueRef<'_>; 6], membership: Membership) -> Result<(), ImportError> {
        let table = Table::EmbeddingCluster;
        let ValueRef::Integer(rowid) = cells[0] else { return Ok(()) };
        let Some(id) = self.identify(table, rowid, cells[1])? else { return self.step(table) };
        let embedding = self.model_of("SELECT model FROM embedding WHERE id = ?1", id_of(cells[2]))?;
        let clustering = self.model_of("SELECT model FROM clustering WHERE id = ?1", id_of(cells[3]))?;
        let cluster = match membership {
            Membership::Medoid if cells[4] == ValueRef::Null => Cluster::Outlier,
            Membership::Medoid => Cluster::Medoid(id_of(cells[4])),
            Membership::Cluster => self.cluster_of(cells[5])?,
        };
        let reason = match (embedding, clustering, cluster) {
            (None, _, _) | (_, None, _) | (_, _, Cluster::NotThere) => "orphan",
            (Some((_, model)), Some((_, other)), _) if model != other => "wrong_model",
            (_, _, Cluster::NamesNoMedoid) => "missing_medoid",
            (Some((embedding, _)), Some((clustering, _)), cluster) => {
                let medoid = match cluster {
                    Cluster::Medoid(medoid) => Some(medoid),
                    _ => None,
                };
                let carried =
                    medoid.map(|id| self.model_of("SELECT model FROM embedding WHERE id = ?1", id)).transpose()?;
                if carried != Some(None) {
                    let values = params![clustering, embedding, id, medoid.flatten()];
                    self.scratch.put("INSERT INTO membership VALUES (?1, ?2, ?3, ?4)", values)?;
                    return Ok(());
                }
                "orphan_medoid"
            }
        };
        self.drop_row(table, reason, &id)?;
        self.step(table)
    }

    /// Returns an id with the number of its model, where it was carried.
    fn model_of(&self, sql: &str, id: Option<[u8; 16]>) -> Result<Option<([u8; 16], i64)>, ImportError> {
        let Some(id) = id else { return Ok(None) };
        Ok(self.scratch.find(sql, [id], |row| row.get(0))?.map(|model| (id, model)))
    }

    fn cluster_of(&self, cell: ValueRef<'_>) -> Result<Cluster, ImportError> {
        let Some(key) = key_of(cell) else { return Ok(Cluster::NotThere) };
        let sql = "SELECT kind, medoid FROM cluster WHERE key = ?1";
        let found = self.scratch.find(sql, [key], |row| Ok((row.get::<_, i64>(0)?, row.get(1)?)))?;
        Ok(match found {
            None => Cluster::NotThere,
            Some((NOISE, _)) => Cluster::Outlier,
            Some((NAMES_NOTHING, _)) => Cluster::NamesNoMedoid,
            Some((_, medoid)) => Cluster::Medoid(medoid),
        })
    }

    /// Composes a clustering of its row.
    fn clustering_of(&mut self, cells: &[ValueRef<'_>; 8]) -> Result<Option<ClusteringResult>, ImportError> {
        let zone = &self.options.zone;
        let [created_at, started_at, completed_at] =
            [cells[5], cells[6], cells[7]].map(|cell| TimeCell::of(cell).in_zone(zone));
        let (Some(id), Some(model), Some(algorithm), Some(started_at)) =
            (id_of(cells[1]), text_of(cells[2]), text_of(cells[3]), started_at)
        else {
            return Ok(None);
        };
        if created_at.is_none() {
            self.note(Note::CreatedNow);
        }
        let given = text_of(cells[4]);
        let object =
            given.and_then(|text| serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text).ok());
        let parameters = match object {
            Some(object) => serde_json::Value::Object(object),
            None => {
                self.note(Note::ParametersAsGiven);
                serde_json::json!({ "as_given": given })
            }
        };
        let parameters = canonical_json(&parameters).map_err(|error| StoreError::Invalid {
            object: "a clustering".to_owned(),
            defect: format!("its parameters are no JSON: {error}"),
        })?;
        let created_at = match (&self.sink, created_at) {
            (_, Some(created_at)) => created_at,
            (Sink::Store(sink), None) => sink.now(),
            (Sink::Dry, None) => started_at,
        };
        Ok(Some(ClusteringResult {
            id: ClusteringResultId::from_bytes(id),
            embedding_model: ModelName::new(model),
            algorithm: algorithm.to_owned(),
            parameters,
            layer: 0,
            created_at,
            started_at,
            completed_at,
            members: Vec::new(),
        }))
    }

    fn store_clustering(&mut self, id: [u8; 16], row: ClusteringResult) -> Result<(), ImportError> {
        // The sink is taken out, because what feeds it changes the rest.
        let mut sink = std::mem::replace(&mut self.sink, Sink::Dry);
        let mut last = None;
        let outcome = match &mut sink {
            Sink::Store(store) => store.clustering(row, &mut || self.next_members(id, &mut last)),
            Sink::Dry => loop {
                match self.next_members(id, &mut last) {
                    Ok(list) if list.is_empty() => break Ok(()),
                    Ok(_) => {}
                    Err(error) => break Err(error),
                }
            },
        };
        self.sink = sink;
        outcome
    }

    /// Returns the next carried members of a clustering; none at its end.
    fn next_members(
        &mut self,
        clustering: [u8; 16],
        last: &mut Option<([u8; 16], [u8; 16])>,
    ) -> Result<Vec<EmbeddingCluster>, ImportError> {
        let table = Table::EmbeddingCluster;
        loop {
            let some = self.some_members(clustering, *last)?;
            let mut carried = Vec::new();
            if some.is_empty() {
                return Ok(carried);
            }
            for Member { embedding, id, medoid } in some {
                // In the order of the ids, so that of equals the first was carried.
                if last.is_some_and(|(before, _)| before == embedding) {
                    self.drop_row(table, "duplicate", &id)?;
                } else {
                    self.carry(table);
                    self.scratch.put("INSERT INTO member VALUES (?1)", [id])?;
                    carried.push(EmbeddingCluster {
                        id: EmbeddingClusterId::from_bytes(id),
                        embedding_id: EmbeddingId::from_bytes(embedding),
                        medoid_embedding_id: medoid.map(EmbeddingId::from_bytes),
                        probability: None,
                    });
                }
                *last = Some((embedding, id));
                self.step(table)?;
            }
            if !carried.is_empty() {
                return Ok(carried);
            }
        }
    }

    fn some_members(
        &self,
        clustering: [u8; 16],
        last: Option<([u8; 16], [u8; 16])>,
    ) -> Result<Vec<Member>, ImportError> {
        let sql = "SELECT embedding, id, medoid FROM membership WHERE clustering = ?1 AND (embedding, id) > (?2, ?3) \
                   ORDER BY embedding, id LIMIT ?4";
        let failed = |source| self.scratch.failed(source);
        let (embedding, id) =
            last.map_or((Vec::new(), Vec::new()), |(embedding, id)| (embedding.to_vec(), id.to_vec()));
        let mut statement = self.scratch.query(sql)?;
        let rows = statement.query_map(params![clustering, embedding, id, MEMBERS_MAX], |row| {
            Ok(Member { embedding: row.get(0)?, id: row.get(1)?, medoid: row.get(2)? })
        });
        rows.map_err(failed)?.collect::<rusqlite::Result<_>>().map_err(failed)
    }
}
