#!/usr/bin/env python3
"""The rules of importing a legacy database, row by row with dictionaries: slow, obvious, and independent of the program.

    python3 oracle.py FILE.sqlite [--timezone ZONE] > report.json

Prints the report that `loopscope import legacy FILE.sqlite --report report.json` must write. It needs NumPy and Pillow.
`reference/import/README.md` has the rules.
"""

import argparse
import datetime
import io
import json
import re
import sqlite3
import sys
import zipfile
import zoneinfo

import numpy
from PIL import Image

HEX32 = re.compile(rb"[0-9a-f]{32}\Z")
TIME = re.compile(rb"(\d{4})-(\d\d)-(\d\d)[ T](\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?\Z", re.ASCII)
TEXT_MODELS = {"Nomic", "JinaClip", "STSBMpnet", "STSBRoberta", "STSBDistilRoberta", "DummyText", "DummyText2"}
IMAGE_MODELS = {"NomicVision", "JinaClipVision", "DummyVision", "DummyVision2"}
REPORT_NAMES = {
    "experimentconfig": "experiment", "run": "run", "invocation": "invocation", "embedding": "embedding",
    "persistencediagram": "persistence_diagram", "clusteringresult": "clustering_result",
    "embeddingcluster": "embedding_cluster",
}


class Value:
    """A cell: its storage class and its content, compared as SQLite compares without any affinity."""

    def __init__(self, kind, content):
        self.kind, self.content = kind, content

    def key(self):
        if self.kind == "null":
            return None
        kind = "number" if self.kind in ("integer", "real") else self.kind
        return (kind, self.content)

    def text(self):
        """The text, or None where this is no UTF-8 text."""
        if self.kind != "text":
            return None
        try:
            return self.content.decode("utf-8")
        except UnicodeDecodeError:
            return None

    def integer(self):
        return self.content if self.kind == "integer" else None

    @property
    def is_null(self):
        return self.kind == "null"


NULL = Value("null", None)


def read_table(db, table):
    """All rows in the order of their rowid, as (rowid, {column in lower case: Value})."""
    columns = [row[1].decode().lower() for row in db.execute(f"PRAGMA table_info({table})")]
    picked = ", ".join(f'typeof("{c}"), "{c}"' for c in columns)
    rows = []
    for row in db.execute(f"SELECT rowid, {picked} FROM {table} ORDER BY rowid"):
        cells = {c: Value(row[1 + 2 * i].decode(), row[2 + 2 * i]) for i, c in enumerate(columns)}
        rows.append((row[0], cells))
    return columns, rows


def hex_id(value):
    if value.kind == "text" and HEX32.match(value.content):
        return value.content.decode()
    return None


def time_is_valid(value):
    """Whether a time that is present has the form and names a moment of the calendar."""
    if value.kind != "text":
        return False
    found = TIME.match(value.content)
    if not found:
        return False
    year, month, day, hour, minute, second = (int(part) for part in found.groups()[:6])
    try:
        datetime.datetime(year, month, day, hour, minute, second)
    except ValueError:
        return False
    return True


def micros(value, zone):
    """The moment of a valid time in microseconds since 1970; skipped and repeated times by the earlier offset."""
    found = TIME.match(value.content)
    year, month, day, hour, minute, second = (int(part) for part in found.groups()[:6])
    fraction = int(((found.group(7) or b"") + b"000000")[:6])
    local = datetime.datetime(year, month, day, hour, minute, second)
    offset = local.replace(tzinfo=zone, fold=0).utcoffset()
    return (local - datetime.datetime(1970, 1, 1) - offset) // datetime.timedelta(microseconds=1) + fraction


def has_invalid_time(row):
    return any(not v.is_null and not time_is_valid(v) for v in (row.get("started_at", NULL), row.get("completed_at", NULL)))


def json_of(value):
    text = value.text()
    if text is None:
        return None
    try:
        parsed = json.loads(text, parse_constant=lambda name: (_ for _ in ()).throw(ValueError(name)))
    except (ValueError, RecursionError):
        return None
    try:
        json.dumps(parsed, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        return None
    return parsed


def is_strings(value):
    return isinstance(value, list) and value != [] and all(isinstance(item, str) for item in value)


def image_decodes(content):
    try:
        with Image.open(io.BytesIO(content)) as picture:
            if picture.format not in ("WEBP", "PNG", "JPEG"):
                return False
            picture.load()
        return True
    except Exception:
        return False


def diagram_is_valid(content):
    """Looks at dgms_count and the dgms it counts, at nothing else."""
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
        names = {name[:-4] if name.endswith(".npy") else name: name for name in archive.namelist()}

        def array(name):
            with archive.open(names[name]) as member:
                return numpy.lib.format.read_array(io.BytesIO(member.read()), allow_pickle=False)

        count = array("dgms_count")
        if count.size != 1 or count.dtype.kind not in "iu":
            return False
        for dimension in range(int(count.reshape(-1)[0])):
            dgm = array(f"dgms_{dimension}")
            if dgm.ndim != 2 or dgm.shape[1] != 2 or dgm.dtype.kind not in "fiu":
                return False
        return int(count.reshape(-1)[0]) >= 0
    except Exception:
        return False


class Table:
    def __init__(self):
        self.source, self.carried, self.dropped, self.repaired = 0, {}, {}, {}

    def drop(self, reason, name):
        self.dropped.setdefault(reason, []).append(name)

    def report(self):
        return {
            "source": self.source,
            "carried": sorted(self.carried),
            "dropped": {reason: sorted(ids) for reason, ids in sorted(self.dropped.items())},
            "repaired": {kind: sorted(ids) for kind, ids in sorted(self.repaired.items())},
        }


class Import:
    def __init__(self, db):
        self.tables, self.columns, self.rows = {}, {}, {}
        for name in REPORT_NAMES:
            self.columns[name], self.rows[name] = read_table(db, name)
            self.tables[name] = Table()
            self.tables[name].source = len(self.rows[name])
        has_cluster = db.execute("SELECT 1 FROM sqlite_master WHERE name = 'cluster'").fetchone()
        self.clusters = {}
        if has_cluster:
            for _, row in read_table(db, "cluster")[1]:
                self.clusters.setdefault(row["id"].key(), row)
        self.experiments()
        self.runs()
        self.invocations()
        self.embeddings()
        self.diagrams()
        self.clusterings()
        self.members()

    def valid_rows(self, name):
        """The rows with an id, in the order of their ids; the others are dropped."""
        table, kept, seen = self.tables[name], [], set()
        for rowid, row in self.rows[name]:
            row["#"] = hex_id(row["id"])
            if row["#"] is None:
                table.drop("invalid_id", f"rowid:{rowid}")
            elif row["#"] in seen:
                table.drop("duplicate_id", f"rowid:{rowid}")
            else:
                seen.add(row["#"])
                kept.append(row)
        return sorted(kept, key=lambda row: row["#"])

    def experiments(self):
        table = self.tables["experimentconfig"]
        for row in self.valid_rows("experimentconfig"):
            reason = self.experiment_reason(row)
            if reason:
                table.drop(reason, row["#"])
            else:
                table.carried[row["#"]] = row

    def experiment_reason(self, row):
        networks, seeds = json_of(row["networks"]), json_of(row["seeds"])
        is_valid = (
            isinstance(networks, list) and networks != [] and all(is_strings(network) for network in networks)
            and is_strings(json_of(row["prompts"])) and is_strings(json_of(row["embedding_models"]))
            and isinstance(seeds, list) and seeds != [] and all(type(seed) is int and seed_fits(seed) for seed in seeds)
            and row["max_length"].kind == "integer" and row["max_length"].content > 0
        )
        if not is_valid:
            return "invalid_config"
        return "invalid_time" if has_invalid_time(row) else None

    def runs(self):
        table, experiments = self.tables["run"], self.tables["experimentconfig"].carried
        for row in self.valid_rows("run"):
            if row["experiment_id"].is_null:
                reason = "missing_experiment"
            elif hex_id(row["experiment_id"]) not in experiments:
                reason = "orphan"
            elif not (
                is_strings(json_of(row["network"])) and row["max_length"].kind == "integer" and row["max_length"].content > 0
                and row["seed"].kind == "integer" and seed_fits(row["seed"].content)
                and row["initial_prompt"].text() is not None
            ):
                reason = "invalid_run"
            else:
                table.carried[row["#"]] = row
                continue
            table.drop(reason, row["#"])

    def invocations(self):
        table, runs = self.tables["invocation"], self.tables["run"].carried
        self.run_of_invocation = {}
        largest = {}
        for _, row in self.rows["invocation"]:
            self.run_of_invocation.setdefault(row["id"].key(), row["run_id"].key())
            if row["sequence_number"].kind in ("integer", "real"):
                run = row["run_id"].key()
                largest[run] = max(largest.get(run, float("-inf")), row["sequence_number"].content)
        self.run_of_invocation.pop(None, None)
        passing = {}
        for row in self.valid_rows("invocation"):
            run = runs.get(hex_id(row["run_id"]))
            reason = "orphan" if run is None else self.invocation_reason(row, run)
            number = row["sequence_number"].integer()
            if reason is None and (number is None or number < 0):
                reason = "broken_chain"
            if reason is None and (run["#"], number) in passing:
                reason = "duplicate_sequence"
            if reason:
                table.drop(reason, row["#"])
            else:
                passing[run["#"], number] = row
        kept = {run: 0 for run in runs}
        for (run, number), row in sorted(passing.items()):
            if number != kept[run]:
                table.drop("broken_chain", row["#"])
                continue
            kept[run] += 1
            expected = None if number == 0 else ("text", passing[run, number - 1]["#"].encode())
            if row["input_invocation_id"].key() != expected:
                table.repaired.setdefault("input_link", []).append(row["#"])
            table.carried[row["#"]] = row
        self.truncated = {run for run in runs if kept[run] - 1 < largest.get(("text", run.encode()), -1)}

    def invocation_reason(self, row, run):
        kind = row["type"].text()
        if kind not in ("TEXT", "IMAGE"):
            return "invalid_type"
        if row["started_at"].is_null:
            return "missing_started_at"
        if has_invalid_time(row):
            return "invalid_time"
        if kind == "TEXT" and row["output_text"].text() is None:
            return "missing_output"
        if kind == "IMAGE":
            image = row["output_image_data"]
            if image.kind not in ("blob", "text") or len(image.content) == 0:
                return "missing_output"
            if image.kind != "blob" or not image_decodes(image.content):
                return "undecodable_image"
        number = row["sequence_number"].integer()
        if number is not None and number >= run["max_length"].content:
            return "beyond_max_length"
        if row["model"].text() is None:
            return "invalid_value"
        return None

    def embeddings(self):
        table, invocations = self.tables["embedding"], self.tables["invocation"].carried
        self.spoiled, self.embedded, taken = set(), set(), set()
        for row in self.valid_rows("embedding"):
            model = row["embedding_model"]
            invocation = invocations.get(hex_id(row["invocation_id"]))
            reason = "orphan" if invocation is None else self.embedding_reason(row, invocation)
            if reason is None and (invocation["#"], model.key()) in taken:
                table.drop("duplicate", row["#"])
                continue
            if reason is None:
                taken.add((invocation["#"], model.key()))
                self.embedded.add((invocation["run_id"].key(), model.key()))
                table.carried[row["#"]] = row
                continue
            table.drop(reason, row["#"])
            self.spoil(row)
        for _, row in self.rows["embedding"]:
            if hex_id(row["id"]) is None:
                self.spoil(row)

    def spoil(self, row):
        self.spoiled.add((self.run_of_invocation.get(row["invocation_id"].key()), row["embedding_model"].key()))

    def embedding_reason(self, row, invocation):
        if row["started_at"].is_null:
            return "missing_started_at"
        if has_invalid_time(row):
            return "invalid_time"
        vector = row["vector"]
        if vector.is_null:
            return "missing_vector"
        if vector.kind != "blob" or len(vector.content) == 0 or len(vector.content) % 4:
            return "invalid_vector"
        numbers = numpy.frombuffer(vector.content, "<f4")
        if not numpy.isfinite(numbers).all() or not numbers.any():
            return "invalid_vector"
        model = row["embedding_model"].text()
        kind = invocation["type"].text()
        if (model in TEXT_MODELS and kind != "TEXT") or (model in IMAGE_MODELS and kind != "IMAGE"):
            return "wrong_modality"
        return "invalid_value" if model is None else None

    def diagrams(self):
        table, runs, taken = self.tables["persistencediagram"], self.tables["run"].carried, set()
        for row in self.valid_rows("persistencediagram"):
            place = (row["run_id"].key(), row["embedding_model"].key())
            if hex_id(row["run_id"]) not in runs:
                reason = "orphan"
            elif row["started_at"].is_null:
                reason = "missing_started_at"
            elif has_invalid_time(row):
                reason = "invalid_time"
            elif row["diagram_data"].is_null:
                reason = "missing_diagram_data"
            elif row["diagram_data"].kind != "blob" or not diagram_is_valid(row["diagram_data"].content):
                reason = "invalid_diagram"
            elif hex_id(row["run_id"]) in self.truncated or place in self.spoiled or place not in self.embedded:
                reason = "stale"
            elif place in taken:
                reason = "duplicate"
            else:
                taken.add(place)
                table.carried[row["#"]] = row
                continue
            table.drop(reason, row["#"])

    def clusterings(self):
        table = self.tables["clusteringresult"]
        for row in self.valid_rows("clusteringresult"):
            if row["started_at"].is_null:
                table.drop("missing_started_at", row["#"])
            elif has_invalid_time(row):
                table.drop("invalid_time", row["#"])
            elif row["embedding_model"].text() is None or row["algorithm"].text() is None:
                table.drop("invalid_value", row["#"])
            else:
                table.carried[row["#"]] = row

    def members(self):
        table, taken = self.tables["embeddingcluster"], set()
        for row in self.valid_rows("embeddingcluster"):
            place = (row["embedding_id"].key(), row["clustering_result_id"].key())
            reason = self.member_reason(row)
            if reason is None and place in taken:
                reason = "duplicate"
            if reason:
                table.drop(reason, row["#"])
            else:
                taken.add(place)
                table.carried[row["#"]] = row

    def member_reason(self, row):
        embeddings = self.tables["embedding"].carried
        embedding = embeddings.get(hex_id(row["embedding_id"]))
        clustering = self.tables["clusteringresult"].carried.get(hex_id(row["clustering_result_id"]))
        has_medoid_column = "medoid_embedding_id" in self.columns["embeddingcluster"]
        cluster = None if has_medoid_column else self.clusters.get(row["cluster_id"].key())
        if embedding is None or clustering is None or (not has_medoid_column and cluster is None):
            return "orphan"
        if embedding["embedding_model"].key() != clustering["embedding_model"].key():
            return "wrong_model"
        if has_medoid_column:
            medoid = row["medoid_embedding_id"]
            if medoid.is_null:
                return None
        else:
            if cluster["cluster_id"].kind in ("integer", "real") and cluster["cluster_id"].content == -1:
                return None
            medoid = cluster["medoid_embedding_id"]
            if medoid.is_null:
                return "missing_medoid"
        return None if hex_id(medoid) in embeddings else "orphan_medoid"

    def report(self):
        return {REPORT_NAMES[name]: table.report() for name, table in self.tables.items()}


def seed_fits(seed):
    """A seed is -1 or from 0, in 64 bits: nothing else fits the new schema."""
    return -1 <= seed < 2**63


def open_source(path):
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    db.text_factory = bytes
    return db


def report_of(path):
    db = open_source(path)
    try:
        return Import(db).report()
    finally:
        db.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    arguments = parser.parse_args()
    json.dump(report_of(arguments.file), sys.stdout, indent=1, sort_keys=True)


if __name__ == "__main__":
    main()
