#!/usr/bin/env python3
"""Writes a large legacy database, with defects in it, to measure an import on.

    python3 bench/legacy.py TARGET.sqlite [--invocations 1000000] [--defects 0.001] [--seed 1]

Every invocation has two embeddings of 768 numbers, so that a million of them makes about 9 GB. The rows come in the order in which
the earlier tool wrote them: 32 runs side by side, then their embeddings, then their diagrams. It streams, and the same seed gives the
same file. It needs NumPy and Pillow.
"""

import argparse
import io
import json
import sqlite3
import struct
import zlib

import numpy
from PIL import Image

LENGTH = 100
GROUP = 32
DIMENSION = 768
NETWORKS = [["SDXLTurbo", "BLIP2"], ["FluxSchnell", "Moondream"]]
EMBEDDERS = {"TEXT": ["Nomic", "STSBMpnet"], "IMAGE": ["NomicVision", "DummyVision"]}
PICTURES = 512

SCHEMA = """
CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num));
CREATE TABLE clusteringresult (id CHAR(32) NOT NULL, created_at DATETIME NOT NULL, started_at DATETIME, completed_at DATETIME, embedding_model VARCHAR NOT NULL, algorithm VARCHAR NOT NULL, parameters JSON NOT NULL, PRIMARY KEY (id));
CREATE TABLE experimentconfig (id CHAR(32) NOT NULL, networks JSON NOT NULL, seeds JSON NOT NULL, prompts JSON NOT NULL, embedding_models JSON NOT NULL, max_length INTEGER NOT NULL, started_at DATETIME, completed_at DATETIME, PRIMARY KEY (id));
CREATE TABLE run (id CHAR(32) NOT NULL, network JSON NOT NULL, seed INTEGER NOT NULL, max_length INTEGER NOT NULL, initial_prompt VARCHAR NOT NULL, experiment_id CHAR(32), PRIMARY KEY (id));
CREATE TABLE invocation (id CHAR(32) NOT NULL, started_at DATETIME, completed_at DATETIME, model VARCHAR NOT NULL, type VARCHAR(5) NOT NULL, seed INTEGER NOT NULL, run_id CHAR(32) NOT NULL, sequence_number INTEGER NOT NULL, input_invocation_id CHAR(32), output_text VARCHAR, output_image_data BLOB, PRIMARY KEY (id));
CREATE TABLE embedding (id CHAR(32) NOT NULL, started_at DATETIME, completed_at DATETIME, invocation_id CHAR(32) NOT NULL, embedding_model VARCHAR NOT NULL, vector BLOB, PRIMARY KEY (id), CONSTRAINT unique_invocation_embedding_model UNIQUE (invocation_id, embedding_model));
CREATE TABLE persistencediagram (id CHAR(32) NOT NULL, started_at DATETIME, completed_at DATETIME, diagram_data BLOB, run_id CHAR(32) NOT NULL, embedding_model VARCHAR NOT NULL, PRIMARY KEY (id));
CREATE TABLE embeddingcluster (id CHAR(32) NOT NULL, embedding_id CHAR(32) NOT NULL, clustering_result_id CHAR(32) NOT NULL, medoid_embedding_id CHAR(32), PRIMARY KEY (id), CONSTRAINT unique_embedding_clustering UNIQUE (embedding_id, clustering_result_id));
"""


class Writer:
    def __init__(self, path, seed, defects):
        self.db = sqlite3.connect(path)
        self.db.executescript("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-131072;" + SCHEMA)
        self.db.execute("INSERT INTO alembic_version VALUES ('0123456789ab')")
        self.chance = numpy.random.Generator(numpy.random.PCG64(seed))
        self.defects = defects
        self.serial = 0
        self.pictures = [self.picture() for _ in range(PICTURES)]
        words = "a old house small city field table green river umbrella near holding man woman red blue on the of".split()
        self.words = numpy.array(words)
        self.members = {}

    def new_id(self):
        self.serial += 1
        high, low = self.chance.integers(0, 1 << 48, 2)
        return f"0688{self.serial:08x}7{int(high) & 0xFFF:03x}8{int(low):012x}{int(high) >> 12 & 0xFFF:03x}"

    def is_defect(self):
        return self.chance.random() < self.defects

    def time(self):
        seconds, micros = divmod(self.serial * 1777, 1_000_000)
        minutes, second = divmod(seconds, 60)
        hours, minute = divmod(minutes, 60)
        days, hour = divmod(hours, 24)
        return f"2025-08-{1 + days % 28:02d} {hour:02d}:{minute:02d}:{second:02d}.{micros:06d}"

    def picture(self):
        """(format, bytes) of a picture of a few shapes."""
        pixels = numpy.zeros((64, 64, 3), numpy.uint8)
        pixels[:] = self.chance.integers(0, 256, 3)
        for _ in range(6):
            x, y, width, height = self.chance.integers(0, 48, 4)
            pixels[y:y + height, x:x + width] = self.chance.integers(0, 256, 3)
        pixels[8:24, 8:24] = self.chance.integers(0, 256, (16, 16, 3))
        format_ = self.chance.choice(["WEBP", "PNG", "JPEG"], p=[0.9, 0.06, 0.04])
        out = io.BytesIO()
        Image.fromarray(pixels).save(out, format_, **({"lossless": True, "method": 2} if format_ == "WEBP" else {}))
        return format_, out.getvalue()

    def one_picture(self):
        """One of the pictures with bytes of its own: a note is added where its format has room for one."""
        format_, content = self.pictures[int(self.chance.integers(PICTURES))]
        note = f"picture {self.serial}".ljust(20).encode()
        if format_ == "WEBP":
            flags = struct.pack("<I", 4) + struct.pack("<I", 63)[:3] + struct.pack("<I", 63)[:3]
            body = b"WEBP" + b"VP8X" + struct.pack("<I", 10) + flags + content[12:] + b"XMP " + struct.pack("<I", len(note)) + note
            return b"RIFF" + struct.pack("<I", len(body)) + body
        if format_ == "PNG":
            chunk = b"tEXtnote\0" + note
            added = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
            return content[:33] + added + content[33:]
        return content[:2] + b"\xff\xfe" + struct.pack(">H", len(note) + 2) + note + content[2:]

    def experiment(self, prompts):
        id_ = self.new_id()
        models = EMBEDDERS["TEXT"] + EMBEDDERS["IMAGE"]
        row = (id_, json.dumps(NETWORKS), "[42, -1]", json.dumps(prompts), json.dumps(models), LENGTH, self.time(), self.time())
        self.db.execute("INSERT INTO experimentconfig VALUES (?,?,?,?,?,?,?,?)", row)
        return id_

    def group(self, experiment, places):
        runs = []
        for network, seed, prompt in places:
            run = self.new_id()
            self.db.execute("INSERT INTO run VALUES (?,?,?,?,?,?)", (run, json.dumps(network), seed, LENGTH, prompt, experiment))
            runs.append((run, network, seed, []))
        for number in range(LENGTH):
            for run in runs:
                self.invocation(run, number)
        for kind, models in EMBEDDERS.items():
            for model in models:
                for _, _, _, outputs in runs:
                    self.embeddings([id_ for id_, type_ in outputs if type_ == kind], model)
        for run, _, _, outputs in runs:
            for kind, models in EMBEDDERS.items():
                for model in models:
                    self.diagram(run, model, sum(type_ == kind for _, type_ in outputs))

    def invocation(self, run, number):
        run_id, network, seed, outputs = run
        type_ = "IMAGE" if number % 2 == 0 else "TEXT"
        before = outputs[-1][0] if outputs else None
        text = " ".join(self.words[self.chance.integers(0, len(self.words), 8)]) if type_ == "TEXT" else None
        image = self.one_picture() if type_ == "IMAGE" else None
        id_, started, shown, input_ = self.new_id(), self.time(), type_, before
        if self.is_defect():
            match int(self.chance.integers(7)):
                case 0: started = None
                case 1: started = "yesterday"
                case 2: text = image = None
                case 3: image, text = (image and image[: len(image) // 2]), text
                case 4: shown = "AUDIO"
                case 5: id_ = id_.upper()[:31]
                case 6: input_ = None
        row = (id_, started, self.time(), network[number % 2], shown, seed, run_id, number, input_, text, image)
        self.db.execute("INSERT INTO invocation VALUES (?,?,?,?,?,?,?,?,?,?,?)", row)
        outputs.append((id_, type_))

    def embeddings(self, invocations, model):
        vectors = self.chance.random((len(invocations), DIMENSION), numpy.float32) - numpy.float32(0.5)
        rows = []
        for invocation, vector in zip(invocations, vectors):
            content, started = vector.tobytes(), self.time()
            if self.is_defect():
                match int(self.chance.integers(5)):
                    case 0: content = None
                    case 1: content = bytes(4 * DIMENSION)
                    case 2: content = b"\0\0\xc0\x7f" + content[4:]
                    case 3: content = content[:-1]
                    case 4: started = None
            id_ = self.new_id()
            rows.append((id_, started, self.time(), invocation, model, content))
            self.members.setdefault(model, []).append(id_)
        self.db.executemany("INSERT INTO embedding VALUES (?,?,?,?,?,?)", rows)

    def diagram(self, run, model, points):
        deaths = numpy.sort(self.chance.random(points))
        deaths[-1] = numpy.inf
        first = numpy.stack([numpy.zeros(points), deaths], axis=1)
        out = io.BytesIO()
        numpy.savez(out, dgms_0=first, dgms_1=numpy.zeros((0, 2)), dgms_count=numpy.array([2]), entropy=numpy.array([3.0, 0.0]))
        content = out.getvalue()
        if self.is_defect():
            content = None if self.chance.random() < 0.5 else content[: len(content) // 2]
        row = (self.new_id(), self.time(), self.time(), content, run, model)
        self.db.execute("INSERT INTO persistencediagram VALUES (?,?,?,?,?,?)", row)

    def clustering(self, model):
        id_, members = self.new_id(), self.members.get(model, [])
        row = (id_, self.time(), self.time(), self.time(), model, "hdbscan", '{"cluster_selection_epsilon": 0.4, "min_samples": 5}')
        self.db.execute("INSERT INTO clusteringresult VALUES (?,?,?,?,?,?,?)", row)
        for start in range(0, len(members), 1000):
            part = members[start:start + 1000]
            medoid = part[0]
            rows = [(self.new_id(), member, id_, medoid if index % 3 else (None if index else medoid)) for index, member in enumerate(part)]
            self.db.executemany("INSERT INTO embeddingcluster VALUES (?,?,?,?)", rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target")
    parser.add_argument("--invocations", type=int, default=1_000_000)
    parser.add_argument("--defects", type=float, default=0.001, help="the share of rows with a defect")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    writer = Writer(arguments.target, arguments.seed, arguments.defects)
    runs_left = max(1, arguments.invocations // LENGTH)
    while runs_left > 0:
        prompts = [f"prompt {writer.serial} {index}" for index in range(64)]
        experiment = writer.experiment(prompts)
        places = [(network, seed, prompt) for network in NETWORKS for prompt in prompts for seed in (42, -1)][:runs_left]
        for start in range(0, len(places), GROUP):
            writer.group(experiment, places[start:start + GROUP])
        writer.db.commit()
        runs_left -= len(places)
    writer.clustering("NomicVision")
    writer.db.commit()
    writer.db.close()


if __name__ == "__main__":
    main()
