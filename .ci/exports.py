"""Checks exports against the database they are of, with the libraries that people read them with.

Run by `.ci/exports` in the folder with the exports.
"""

import datetime
import io
import json
import sqlite3
import sys
import uuid

import datasets
import duckdb
import numpy
import polars
import pyarrow
import pyarrow.parquet
from PIL import Image

database = sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True)
(experiment,) = database.execute("SELECT id FROM experiment ORDER BY created_at DESC, rowid DESC LIMIT 1").fetchone()


def text(identity):
    return None if identity is None else str(uuid.UUID(bytes=identity))


def moment(micros):
    if micros is None:
        return None
    return datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC) + datetime.timedelta(microseconds=micros)


def stored(sql):
    return database.execute(sql.replace("@experiment", "x'" + experiment.hex() + "'")).fetchall()


OF_RUNS = "FROM run r JOIN invocation i ON i.run_id = r.id {} WHERE r.experiment_id = @experiment {} ORDER BY r.rowid, i.sequence_number"

# pyarrow: the types are the promised ones, and the rows are the store's.
invocations = pyarrow.parquet.read_table("tables/invocations.parquet")
assert invocations.schema.field("started_at").type == pyarrow.timestamp("us", tz="UTC"), invocations.schema
assert not invocations.schema.field("model").nullable and invocations.schema.field("completed_at").nullable
expected = [
    (text(a), text(b), text(c), d, e, f, g, None if h is None else h.hex(), i, text(j), moment(k), moment(m))
    for a, b, c, d, e, f, g, h, i, j, k, m in stored(
        "SELECT i.id, i.run_id, i.input_invocation_id, i.sequence_number, i.type, i.model, i.output_text, i.output_image, i.seed, "
        "i.model_version_id, i.started_at, i.completed_at " + OF_RUNS.format("", "")
    )
]
assert [tuple(row.values()) for row in invocations.to_pylist()] == expected and len(expected) > 100
runs = pyarrow.parquet.read_table("tables/runs.parquet").to_pylist()
assert [(row["id"], row["network"], row["seed"]) for row in runs] == [
    (text(a), json.loads(b), c)
    for a, b, c in stored("SELECT id, network, seed FROM run WHERE experiment_id = @experiment ORDER BY rowid")
]
models = [name for (name,) in stored("SELECT DISTINCT e.embedding_model " + OF_RUNS.format("JOIN embedding e ON e.invocation_id = i.id", "").split(" ORDER")[0])]
assert len(models) >= 2
for model in models:
    table = pyarrow.parquet.read_table(f"tables/embeddings/{model}.parquet")
    rows = stored("SELECT e.id, e.vector " + OF_RUNS.format("JOIN embedding e ON e.invocation_id = i.id", f"AND e.embedding_model = '{model}'"))
    kind = table.schema.field("vector").type
    assert pyarrow.types.is_fixed_size_list(kind) and kind.list_size == len(rows[0][1]) // 4, kind
    assert table["id"].to_pylist() == [text(identity) for identity, _ in rows]
    vectors = table["vector"].combine_chunks().flatten().to_numpy().reshape(-1, kind.list_size)
    assert vectors.tobytes() == b"".join(vector for _, vector in rows), model
    file = pyarrow.parquet.ParquetFile(f"tables/embeddings/{model}.parquet")
    column = file.metadata.row_group(0).column(file.schema.names.index("embedding_model") if "embedding_model" in file.schema.names else 2)
    assert column.compression == "ZSTD" and "RLE_DICTIONARY" in column.encodings, column
    columns = [file.metadata.row_group(0).column(index) for index in range(file.metadata.num_columns)]
    (column,) = [column for column in columns if column.path_in_schema.startswith("vector.")]
    assert column.compression == "ZSTD" and "BYTE_STREAM_SPLIT" in column.encodings, column

# The bars of `pairs` are those of the archives in the store.
pairs = polars.read_parquet("tables/pairs.parquet")
bars = 0
for identity, data in stored("SELECT p.id, p.diagram_data FROM run r JOIN persistence_diagram p ON p.run_id = r.id WHERE r.experiment_id = @experiment"):
    archive = numpy.load(io.BytesIO(data), allow_pickle=False)
    for dimension in range(archive["dgms_count"][0]):
        own = pairs.filter(polars.col("persistence_diagram_id") == text(identity), polars.col("dimension") == dimension).sort("bar")
        assert numpy.array_equal(own.select("birth", "death").to_numpy(), archive[f"dgms_{dimension}"].reshape(-1, 2)), (text(identity), dimension)
        bars += len(own)
assert bars == len(pairs) > 0

# polars and DuckDB: types, and a join over ids.
vectors = polars.read_parquet(f"tables/embeddings/{models[0]}.parquet")
assert isinstance(vectors.schema["vector"], polars.Array), vectors.schema
assert vectors.schema["started_at"] == polars.Datetime("us", "UTC"), vectors.schema
wide = polars.read_parquet("tables/wide.parquet")
assert len(vectors.join(wide, on="invocation_id", how="inner")) == len(vectors)
joined = duckdb.sql(
    "SELECT count(*), count(DISTINCT r.id) FROM 'tables/embeddings/*.parquet' e JOIN 'tables/invocations.parquet' i ON e.invocation_id = i.id "
    "JOIN 'tables/runs.parquet' r ON i.run_id = r.id JOIN 'tables/experiments.parquet' x ON r.experiment_id = x.id"
).fetchall()[0]
assert joined == stored("SELECT count(*), count(DISTINCT r.id) " + OF_RUNS.format("JOIN embedding e ON e.invocation_id = i.id", "").split(" ORDER")[0])[0], joined
kinds = dict(duckdb.sql("SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM 'tables/invocations.parquet')").fetchall())
assert kinds["started_at"] == "TIMESTAMP WITH TIME ZONE" and kinds["id"] == "VARCHAR", kinds
pictures = {row["hash"]: row["image"] for row in pyarrow.parquet.read_table("tables/images.parquet").to_pylist()}
assert pictures and all(
    database.execute("SELECT bytes FROM image WHERE hash = ?", (bytes.fromhex(name),)).fetchone()[0] == picture["bytes"]
    for name, picture in pictures.items()
)

# Prompts: one more step a run, and its vector.
steps = polars.read_parquet("with-prompts/invocations.parquet").filter(polars.col("sequence_number") == -1)
vectors = polars.read_parquet("with-prompts/embeddings/DummyText.parquet")
assert len(steps) == len(runs) == len(steps.join(vectors, left_on="id", right_on="invocation_id"))

# Hugging Face: the whole set, with pictures.
loaded = datasets.load_dataset("set", split="train")
assert isinstance(loaded.features["image"], datasets.Image), loaded.features
assert len(loaded) == len(expected)
checked = 0
for row, invocation in zip(loaded, expected):
    assert (row["invocation_id"], row["sequence_number"], row["text"]) == (invocation[0], invocation[3], invocation[6])
    if row["image"] is None:
        continue
    assert isinstance(row["image"], Image.Image), type(row["image"])
    if checked < 40:
        own = Image.open(io.BytesIO(pictures[invocation[7]]["bytes"])).convert("RGB")
        assert row["image"].convert("RGB").tobytes() == own.tobytes()
        checked += 1
assert checked == 40
vectors = datasets.load_dataset("set", f"embeddings-{models[0]}", split="train")
assert len(vectors[0]["vector"]) > 0 and vectors[0]["embedding_model"] == models[0]

# exiftool sees what `inspect` says.
inspected = json.load(open("inspected.json"))[0]
for seen in json.load(open("exiftool.json")):
    assert seen["EXIF:ImageDescription"] == seen["XMP:Description"] == seen["XMP:InitialPrompt"], seen
    assert seen["EXIF:Software"].startswith("loopscope") and "EXIF:DateTimeOriginal" in seen, seen
    assert not any(key.endswith(("Warning", "Error")) for key in seen), seen
webp = json.load(open("exiftool.json"))[0]
assert webp["EXIF:ImageUniqueID"] == inspected["invocation_id"].replace("-", "")
assert webp["XMP:RunId"] == inspected["run_id"] and webp["XMP:Seed"] == inspected["seed"], webp
assert webp["XMP:Network"] == inspected["network"] and inspected["command"].startswith("loopscope run show "), webp
assert "has neither EXIF nor XMP" in open("silent.txt").read()
print(f"{len(expected)} steps, {len(pairs)} bars, {len(pictures)} pictures and {len(models)} models read back as stored")
