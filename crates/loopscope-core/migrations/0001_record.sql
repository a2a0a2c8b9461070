-- Version 1 of the store. An object is whole or it is not there: required columns are NOT NULL and have no default, because a default
-- would forge a value. SCHEMA.md explains the tables to a person.
-- Ids: 16-byte BLOBs. Times: INTEGER microseconds since 1970, UTC. Lists: compact JSON written by one canonical writer.

CREATE TABLE experiment (
  id BLOB PRIMARY KEY CHECK (length(id) = 16),
  name TEXT NOT NULL UNIQUE,                 -- given, or derived; a repeat of a name gets a suffix
  -- Each list is a JSON array that is not empty.
  networks TEXT NOT NULL CHECK (CASE WHEN json_valid(networks) THEN json_type(networks) = 'array' AND json_array_length(networks) > 0 ELSE 0 END),
  prompts TEXT NOT NULL CHECK (CASE WHEN json_valid(prompts) THEN json_type(prompts) = 'array' AND json_array_length(prompts) > 0 ELSE 0 END),
  seeds TEXT NOT NULL CHECK (CASE WHEN json_valid(seeds) THEN json_type(seeds) = 'array' AND json_array_length(seeds) > 0 ELSE 0 END),
  embedding_models TEXT NOT NULL CHECK (CASE WHEN json_valid(embedding_models) THEN json_type(embedding_models) = 'array' AND json_array_length(embedding_models) > 0 ELSE 0 END),
  max_length INTEGER NOT NULL CHECK (max_length > 0),   -- counts invocations
  config TEXT NOT NULL,                      -- as given, as JSON (imported: composed from the carried fields)
  origin TEXT NOT NULL CHECK (origin IN ('native', 'legacy')),
  created_at INTEGER NOT NULL,               -- when this row came into this store
  started_at INTEGER, completed_at INTEGER   -- optional: it may not have begun, or ended
) STRICT;

CREATE TABLE run (
  id BLOB PRIMARY KEY CHECK (length(id) = 16),
  experiment_id BLOB NOT NULL REFERENCES experiment (id) ON DELETE CASCADE,
  network TEXT NOT NULL, initial_prompt TEXT NOT NULL,
  seed INTEGER NOT NULL CHECK (seed >= -1),
  run_number INTEGER NOT NULL CHECK (run_number >= 0),  -- 0.. among runs equal in network, prompt and seed
  max_length INTEGER NOT NULL CHECK (max_length > 0),
  UNIQUE (experiment_id, network, initial_prompt, seed, run_number)
) STRICT;

CREATE TABLE model_version (                 -- what exactly produced a row: enough to do it again
  id BLOB PRIMARY KEY CHECK (length(id) = 16),
  name TEXT NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('text_to_image', 'image_to_text', 'text_embedder', 'image_embedder')),
  backend TEXT NOT NULL,                     -- dummy, candle, http, ..., legacy
  revision TEXT NOT NULL, weights_hash TEXT NOT NULL,   -- 'unknown' where it cannot be known
  parameters TEXT NOT NULL,                  -- JSON object, canonical
  determinism TEXT NOT NULL CHECK (determinism IN ('bitwise', 'same_device', 'best_effort', 'unknown')),
  program_version TEXT NOT NULL,
  UNIQUE (name, kind, backend, revision, weights_hash, parameters, program_version)
) STRICT;

CREATE TABLE image (
  hash BLOB PRIMARY KEY CHECK (length(hash) = 32),      -- BLAKE3 of bytes
  pixel_hash BLOB NOT NULL CHECK (length(pixel_hash) = 32),  -- BLAKE3 of width, height, RGB8 pixels: equality of pictures
  format TEXT NOT NULL,                      -- 'webp' for what we write; imported bytes keep theirs
  width INTEGER NOT NULL CHECK (width > 0), height INTEGER NOT NULL CHECK (height > 0),
  bytes BLOB NOT NULL CHECK (length(bytes) > 0)
) STRICT;

CREATE TABLE invocation (
  id BLOB PRIMARY KEY CHECK (length(id) = 16),
  run_id BLOB NOT NULL REFERENCES run (id) ON DELETE CASCADE,
  sequence_number INTEGER NOT NULL CHECK (sequence_number >= 0),
  input_invocation_id BLOB,                  -- NULL if and only if sequence_number = 0; otherwise the row before it, by the key below
  model TEXT NOT NULL, model_version_id BLOB NOT NULL REFERENCES model_version (id),
  type TEXT NOT NULL CHECK (type IN ('text', 'image')),
  seed INTEGER NOT NULL CHECK (seed >= -1),  -- the seed used; -1 only in imported rows, where it was not recorded
  started_at INTEGER NOT NULL, completed_at INTEGER,
  output_text TEXT, output_image BLOB REFERENCES image (hash),
  previous_number INTEGER GENERATED ALWAYS AS (CASE WHEN sequence_number > 0 THEN sequence_number - 1 END) VIRTUAL,
  CHECK ((sequence_number = 0) = (input_invocation_id IS NULL)),
  CHECK ((type = 'text' AND output_text IS NOT NULL AND output_image IS NULL)
      OR (type = 'image' AND output_image IS NOT NULL AND output_text IS NULL)),
  UNIQUE (run_id, sequence_number), UNIQUE (run_id, sequence_number, id),
  FOREIGN KEY (run_id, previous_number, input_invocation_id) REFERENCES invocation (run_id, sequence_number, id) ON DELETE CASCADE
) STRICT;

CREATE TABLE embedding (
  id BLOB PRIMARY KEY CHECK (length(id) = 16),
  invocation_id BLOB NOT NULL REFERENCES invocation (id) ON DELETE CASCADE,
  embedding_model TEXT NOT NULL, model_version_id BLOB NOT NULL REFERENCES model_version (id),
  vector BLOB NOT NULL CHECK (length(vector) > 0 AND length(vector) % 4 = 0),
  started_at INTEGER NOT NULL, completed_at INTEGER,
  UNIQUE (invocation_id, embedding_model)
) STRICT;

CREATE TABLE persistence_diagram (
  id BLOB PRIMARY KEY CHECK (length(id) = 16),
  run_id BLOB NOT NULL REFERENCES run (id) ON DELETE CASCADE,
  embedding_model TEXT NOT NULL,
  diagram_data BLOB NOT NULL CHECK (length(diagram_data) > 0),
  started_at INTEGER NOT NULL, completed_at INTEGER,
  UNIQUE (run_id, embedding_model)
) STRICT;

CREATE TABLE clustering_result (
  id BLOB PRIMARY KEY CHECK (length(id) = 16),
  embedding_model TEXT NOT NULL, algorithm TEXT NOT NULL,
  parameters TEXT NOT NULL,                  -- JSON object
  layer INTEGER NOT NULL CHECK (layer >= 0), -- 0 unless one of several resolutions
  created_at INTEGER NOT NULL, started_at INTEGER NOT NULL, completed_at INTEGER
) STRICT;

CREATE TABLE embedding_cluster (
  id BLOB PRIMARY KEY CHECK (length(id) = 16),
  embedding_id BLOB NOT NULL REFERENCES embedding (id),               -- no cascade: a clustering is whole or gone
  clustering_result_id BLOB NOT NULL REFERENCES clustering_result (id) ON DELETE CASCADE,
  medoid_embedding_id BLOB REFERENCES embedding (id),                 -- NULL is an outlier
  probability REAL CHECK (probability BETWEEN 0 AND 1),               -- NULL where the algorithm gives none
  UNIQUE (embedding_id, clustering_result_id)
) STRICT;

CREATE TABLE failure (                        -- append-only; whether it is resolved is derived
  id BLOB PRIMARY KEY CHECK (length(id) = 16),
  experiment_id BLOB NOT NULL REFERENCES experiment (id) ON DELETE CASCADE,
  run_id BLOB REFERENCES run (id) ON DELETE CASCADE,
  stage TEXT NOT NULL CHECK (stage IN ('run', 'embedding', 'diagram', 'clustering')),
  subject TEXT NOT NULL,                     -- e.g. the model and the sequence number
  attempt INTEGER NOT NULL CHECK (attempt >= 1),
  error TEXT NOT NULL, occurred_at INTEGER NOT NULL
) STRICT;
-- What foreign keys and deletes look up from the other side.
CREATE INDEX invocation_by_previous ON invocation (run_id, previous_number);
CREATE INDEX invocation_by_image ON invocation (output_image) WHERE output_image IS NOT NULL;
CREATE INDEX embedding_cluster_by_clustering ON embedding_cluster (clustering_result_id);
CREATE INDEX embedding_cluster_by_medoid ON embedding_cluster (medoid_embedding_id) WHERE medoid_embedding_id IS NOT NULL;
CREATE INDEX failure_by_experiment ON failure (experiment_id);
CREATE INDEX failure_by_run ON failure (run_id) WHERE run_id IS NOT NULL;

-- An embedder of one kind never embeds an output of the other.
CREATE TRIGGER embedding_modality BEFORE INSERT ON embedding
WHEN EXISTS (
  SELECT 1 FROM model_version, invocation
  WHERE model_version.id = NEW.model_version_id AND invocation.id = NEW.invocation_id
    AND ((model_version.kind = 'text_embedder' AND invocation.type <> 'text')
      OR (model_version.kind = 'image_embedder' AND invocation.type <> 'image'))
)
BEGIN
  SELECT RAISE(ABORT, 'an embedding model embeds outputs of its own kind only');
END;

-- For people: ids as hyphenated text, times as ISO 8601.
CREATE VIEW v_experiment AS SELECT
  lower(substr(hex(id), 1, 8) || '-' || substr(hex(id), 9, 4) || '-' || substr(hex(id), 13, 4) || '-' || substr(hex(id), 17, 4) || '-' || substr(hex(id), 21, 12)) AS id,
  name,
  networks,
  prompts,
  seeds,
  embedding_models,
  max_length,
  config,
  origin,
  strftime('%Y-%m-%dT%H:%M:%S', (created_at - ((created_at % 1000000) + 1000000) % 1000000) / 1000000, 'unixepoch') || printf('.%06dZ', ((created_at % 1000000) + 1000000) % 1000000) AS created_at,
  strftime('%Y-%m-%dT%H:%M:%S', (started_at - ((started_at % 1000000) + 1000000) % 1000000) / 1000000, 'unixepoch') || printf('.%06dZ', ((started_at % 1000000) + 1000000) % 1000000) AS started_at,
  strftime('%Y-%m-%dT%H:%M:%S', (completed_at - ((completed_at % 1000000) + 1000000) % 1000000) / 1000000, 'unixepoch') || printf('.%06dZ', ((completed_at % 1000000) + 1000000) % 1000000) AS completed_at
FROM experiment;
CREATE VIEW v_run AS SELECT
  lower(substr(hex(id), 1, 8) || '-' || substr(hex(id), 9, 4) || '-' || substr(hex(id), 13, 4) || '-' || substr(hex(id), 17, 4) || '-' || substr(hex(id), 21, 12)) AS id,
  lower(substr(hex(experiment_id), 1, 8) || '-' || substr(hex(experiment_id), 9, 4) || '-' || substr(hex(experiment_id), 13, 4) || '-' || substr(hex(experiment_id), 17, 4) || '-' || substr(hex(experiment_id), 21, 12)) AS experiment_id,
  network,
  initial_prompt,
  seed,
  run_number,
  max_length
FROM run;
CREATE VIEW v_invocation AS SELECT
  lower(substr(hex(id), 1, 8) || '-' || substr(hex(id), 9, 4) || '-' || substr(hex(id), 13, 4) || '-' || substr(hex(id), 17, 4) || '-' || substr(hex(id), 21, 12)) AS id,
  lower(substr(hex(run_id), 1, 8) || '-' || substr(hex(run_id), 9, 4) || '-' || substr(hex(run_id), 13, 4) || '-' || substr(hex(run_id), 17, 4) || '-' || substr(hex(run_id), 21, 12)) AS run_id,
  sequence_number,
  CASE WHEN input_invocation_id IS NOT NULL THEN lower(substr(hex(input_invocation_id), 1, 8) || '-' || substr(hex(input_invocation_id), 9, 4) || '-' || substr(hex(input_invocation_id), 13, 4) || '-' || substr(hex(input_invocation_id), 17, 4) || '-' || substr(hex(input_invocation_id), 21, 12)) END AS input_invocation_id,
  model,
  lower(substr(hex(model_version_id), 1, 8) || '-' || substr(hex(model_version_id), 9, 4) || '-' || substr(hex(model_version_id), 13, 4) || '-' || substr(hex(model_version_id), 17, 4) || '-' || substr(hex(model_version_id), 21, 12)) AS model_version_id,
  type,
  seed,
  strftime('%Y-%m-%dT%H:%M:%S', (started_at - ((started_at % 1000000) + 1000000) % 1000000) / 1000000, 'unixepoch') || printf('.%06dZ', ((started_at % 1000000) + 1000000) % 1000000) AS started_at,
  strftime('%Y-%m-%dT%H:%M:%S', (completed_at - ((completed_at % 1000000) + 1000000) % 1000000) / 1000000, 'unixepoch') || printf('.%06dZ', ((completed_at % 1000000) + 1000000) % 1000000) AS completed_at,
  output_text,
  CASE WHEN output_image IS NOT NULL THEN lower(hex(output_image)) END AS output_image
FROM invocation;
CREATE VIEW v_embedding AS SELECT
  lower(substr(hex(id), 1, 8) || '-' || substr(hex(id), 9, 4) || '-' || substr(hex(id), 13, 4) || '-' || substr(hex(id), 17, 4) || '-' || substr(hex(id), 21, 12)) AS id,
  lower(substr(hex(invocation_id), 1, 8) || '-' || substr(hex(invocation_id), 9, 4) || '-' || substr(hex(invocation_id), 13, 4) || '-' || substr(hex(invocation_id), 17, 4) || '-' || substr(hex(invocation_id), 21, 12)) AS invocation_id,
  embedding_model,
  lower(substr(hex(model_version_id), 1, 8) || '-' || substr(hex(model_version_id), 9, 4) || '-' || substr(hex(model_version_id), 13, 4) || '-' || substr(hex(model_version_id), 17, 4) || '-' || substr(hex(model_version_id), 21, 12)) AS model_version_id,
  vector,
  strftime('%Y-%m-%dT%H:%M:%S', (started_at - ((started_at % 1000000) + 1000000) % 1000000) / 1000000, 'unixepoch') || printf('.%06dZ', ((started_at % 1000000) + 1000000) % 1000000) AS started_at,
  strftime('%Y-%m-%dT%H:%M:%S', (completed_at - ((completed_at % 1000000) + 1000000) % 1000000) / 1000000, 'unixepoch') || printf('.%06dZ', ((completed_at % 1000000) + 1000000) % 1000000) AS completed_at
FROM embedding;
CREATE VIEW v_persistence_diagram AS SELECT
  lower(substr(hex(id), 1, 8) || '-' || substr(hex(id), 9, 4) || '-' || substr(hex(id), 13, 4) || '-' || substr(hex(id), 17, 4) || '-' || substr(hex(id), 21, 12)) AS id,
  lower(substr(hex(run_id), 1, 8) || '-' || substr(hex(run_id), 9, 4) || '-' || substr(hex(run_id), 13, 4) || '-' || substr(hex(run_id), 17, 4) || '-' || substr(hex(run_id), 21, 12)) AS run_id,
  embedding_model,
  diagram_data,
  strftime('%Y-%m-%dT%H:%M:%S', (started_at - ((started_at % 1000000) + 1000000) % 1000000) / 1000000, 'unixepoch') || printf('.%06dZ', ((started_at % 1000000) + 1000000) % 1000000) AS started_at,
  strftime('%Y-%m-%dT%H:%M:%S', (completed_at - ((completed_at % 1000000) + 1000000) % 1000000) / 1000000, 'unixepoch') || printf('.%06dZ', ((completed_at % 1000000) + 1000000) % 1000000) AS completed_at
FROM persistence_diagram;
