#!/usr/bin/env python3
"""Writes small legacy databases with every defect that the rules of the import name, and some that they do not.

    python3 generate.py TARGET.sqlite --seed 7

The layout, the defects and their number follow from the seed. It needs NumPy and Pillow.
"""

import argparse
import io
import json
import random
import sqlite3

import numpy
from PIL import Image

LAYOUTS = ("cluster", "medoid", "required")
NETWORKS = [["SDXLTurbo", "BLIP2"], ["FluxSchnell", "Moondream"], ["DummyT2I", "DummyI2T"], ["A", "B", "C"]]
TEXT = ["Nomic", "STSBMpnet", "JinaClip", "DummyText", "DummyText2", "STSBRoberta", "STSBDistilRoberta"]
IMAGE = ["NomicVision", "JinaClipVision", "DummyVision", "DummyVision2"]
OTHER = ["Unheard", "é", ""]
BAD_TIMES = ["", "last tuesday", "2025-02-30 00:00:00", "2025-01-01", "2025-01-01 25:00:00", "2025-01-01 00:00:60", "2025-01-01 00:00:00Z",
             "2025-01-01 00:00:00.", "2025-01-01 00:00:00.1234567", "2025-01-01 00:00:00+00:00", "0000-01-01 00:00:00", "2025",
             20250101, 1.5, b"2025-01-01 00:00:00", "2025-01-01 00:00:00 ", "２０２５-01-01 00:00:00", "2025-01-01 00:00:00.1\n"]
GOOD_TIMES = ["2025-03-30 02:30:00", "2025-10-26 02:30:00.5", "2025-08-02T11:37:03.303423", "0001-01-01 00:00:00", "9999-12-31 23:59:59.999999",
              "2024-02-29 00:00:00.000001", "1969-12-31 23:59:59"]
BAD_LISTS = [None, "", "[]", "{}", "null", "[1]", "[null]", '["a"', '"a"', b'["a"]', 7, '[["a"]]', "[true]", "[1.0]", "[1e3]", '["1"]', "[[]]",
             '[["A"], []]', "[-2]", "[9223372036854775808]", "[NaN]", '["\\ud800"]', '["a"] x', '["a",]']
ODD_LISTS = ['["\\u0000"]', ' [ "a" ] ', '["\\ud83d\\ude00"]', '[""]']


class Generator:
    def __init__(self, path, seed):
        self.chance = random.Random(seed)
        self.numbers = numpy.random.Generator(numpy.random.PCG64(seed))
        self.layout = LAYOUTS[seed % 3]
        self.is_loose = self.chance.random() < 0.5  # no constraints, no affinities: whatever came in stays
        self.rate = self.chance.choice([0.0, 0.01, 0.05, 0.15])
        self.db = sqlite3.connect(path)
        self.serial = 0
        self.schema()
        self.pictures = [self.picture() for _ in range(6)]

    def is_bad(self, factor=1.0):
        return self.chance.random() < self.rate * factor

    def pick(self, *options):
        return self.chance.choice(options)

    def schema(self):
        has_unique, required = not self.is_loose and self.chance.random() < 0.7, self.layout == "required"
        started = "DATETIME DEFAULT (datetime('now')) NOT NULL" if required and not self.is_loose else "DATETIME"
        null = "" if self.is_loose else "NOT NULL"
        id_, text, number = ("", "", "") if self.is_loose else ("CHAR(32)", "VARCHAR", "INTEGER")
        if self.chance.random() < 0.3:
            id_ = "UUID"
        key = ", PRIMARY KEY (id)" if self.chance.random() < 0.8 else ""
        completed = "" if self.is_loose and self.chance.random() < 0.3 else ", completed_at DATETIME"
        unique = lambda columns: f", UNIQUE ({columns})" if has_unique and self.layout != "cluster" else ""
        extra = ", colour VARCHAR" if self.chance.random() < 0.3 else ""
        self.columns = {
            "experimentconfig": f"id {id_} {null}, networks JSON, seeds JSON, prompts JSON, embedding_models JSON, max_length {number}, started_at DATETIME, completed_at DATETIME{extra}{key}",
            "run": f"id {id_} {null}, network JSON, seed {number}, max_length {number}, initial_prompt {text}, experiment_id {id_}{key}",
            "invocation": f"id {id_} {null}, started_at {started}{completed}, model {text}, type {text}, seed {number}, run_id {id_}, sequence_number {number}, input_invocation_id {id_}, output_text {text}, output_image_data BLOB{extra}{key}{unique('run_id, sequence_number')}",
            "embedding": f"id {id_} {null}, started_at {started}{completed}, invocation_id {id_}, embedding_model {text}, vector BLOB{key}{unique('invocation_id, embedding_model')}",
            "persistencediagram": f"id {id_} {null}, started_at {started}{completed}, diagram_data BLOB, run_id {id_}, embedding_model {text}{key}{unique('run_id, embedding_model')}",
            "clusteringresult": f"id {id_} {null}, created_at DATETIME, started_at {started}{completed}, embedding_model {text}, algorithm {text}, parameters JSON{', experiment_id CHAR(32), clusters JSON' if self.layout == 'cluster' else ''}{key}",
            "embeddingcluster": f"id {self.pick('UUID', id_)} {null}, embedding_id {id_}, clustering_result_id {id_}, {'cluster_id' if self.layout == 'cluster' else 'medoid_embedding_id'} {id_}{key}{unique('embedding_id, clustering_result_id')}",
        }
        if self.layout == "cluster":
            self.columns["cluster"] = f"id {id_}, clustering_result_id {id_}, cluster_id {number}, medoid_embedding_id {id_}, size INTEGER, properties JSON{key}"
        if self.chance.random() < 0.5:
            self.columns["alembic_version"] = "version_num VARCHAR(32)"
            self.db.execute("CREATE TABLE alembic_version (version_num VARCHAR(32))")
            self.db.execute("INSERT INTO alembic_version VALUES ('nonsense')")
        if self.chance.random() < 0.3:
            self.db.execute("CREATE TABLE leftover (id INTEGER PRIMARY KEY, note TEXT)")
        tables = [(name, columns) for name, columns in self.columns.items() if name != "alembic_version"]
        self.chance.shuffle(tables)
        for name, columns in tables:
            self.db.execute(f"CREATE TABLE {name} ({columns})")

    def insert(self, table, **values):
        present = [row[1] for row in self.db.execute(f"PRAGMA table_info({table})")]
        values = {name: value for name, value in values.items() if name in present}
        names, marks = ", ".join(values), ", ".join("?" * len(values))
        try:
            self.db.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", tuple(values.values()))
            return True
        except sqlite3.IntegrityError:
            return False

    def new_id(self, may_be_bad=True):
        self.serial += self.chance.choice([1, 1, 1, 7])
        # Not always in the order of time: what is decided by the smaller id must look at the id.
        serial = self.serial ^ (0x55 if self.chance.random() < 0.1 else 0)
        # Digits in front, so that the text is a number where a column makes numbers of texts.
        good = f"0688{serial:08x}7{self.chance.getrandbits(12):03x}8{self.chance.getrandbits(60):015x}"
        if may_be_bad and self.is_bad(0.5):
            return self.pick(good.upper().replace("8", "A", 1), good[:31], good + "0", f"{good[:8]}-{good[8:27]}", "", None,
                             self.serial, self.serial + 0.5, good.encode(), f"1e{self.serial}", "0" * 30 + "e5", good[:31] + "g")
        if self.chance.random() < 0.01:
            return "0" * 24 + f"{self.serial:07d}e"[-8:] if self.chance.random() < 0.5 else f"{self.serial:032d}"
        return good

    def time(self, required=False):
        if self.is_bad(0.5):
            return self.chance.choice(BAD_TIMES)
        if not required and self.is_bad():
            return None
        if self.chance.random() < 0.1:
            return self.chance.choice(GOOD_TIMES)
        moment = f"2025-{self.chance.randint(1, 12):02d}-{self.chance.randint(1, 28):02d} {self.chance.randint(0, 23):02d}:{self.chance.randint(0, 59):02d}:{self.chance.randint(0, 59):02d}"
        return moment + self.pick("", ".1", ".123456", ".000001")

    def picture(self):
        pixels = self.numbers.integers(0, 256, (self.chance.randint(1, 9), self.chance.randint(1, 9), 3)).astype(numpy.uint8)
        mode = self.pick("RGB", "RGB", "L", "RGBA")
        format_ = self.pick("WEBP", "WEBP", "PNG", "JPEG")
        out = io.BytesIO()
        image = Image.fromarray(pixels).convert("RGB" if mode == "RGBA" and format_ == "JPEG" else mode)
        image.save(out, format_, **({"lossless": True} if format_ == "WEBP" else {}))
        return out.getvalue()

    def image(self):
        content = self.chance.choice(self.pictures)
        if self.is_bad():
            gif = io.BytesIO()
            Image.new("RGB", (2, 2)).save(gif, "GIF")
            return self.pick(None, b"", "", "text", content[: len(content) // 2], b"RIFF\x10\0\0\0WEBP", gif.getvalue(), b"\0" * 40, content[:12], 5)
        return content

    def list_(self, good):
        if self.is_bad(0.4):
            return self.chance.choice(BAD_LISTS)
        return json.dumps(good)

    def length(self, good):
        return self.pick(0, -1, 2.5, "many", None, float(good), str(good), b"5") if self.is_bad(0.4) else good

    def seed(self, good):
        return self.pick(-2, 1.5, "x", None, True, 2**62, b"1", "42", 42.0) if self.is_bad(0.3) else good

    def fill(self):
        chance = self.chance
        experiments = []
        for _ in range(chance.randint(1, 4)):
            id_, networks = self.new_id(), chance.sample(NETWORKS, chance.randint(1, 3))
            prompts = ["a prompt", "", "é ♥"][: chance.randint(1, 3)]
            models = chance.sample(TEXT + IMAGE + OTHER, 4)
            length = chance.randint(1, 8)
            seeds = chance.choice([[42], [-1, -1], [7, 0, 7]])
            if self.insert("experimentconfig", id=id_, networks=self.list_(networks), seeds=self.list_(seeds),
                           prompts=chance.choice(ODD_LISTS) if self.is_bad(0.3) else self.list_(prompts), embedding_models=self.list_(models),
                           max_length=self.length(length), started_at=self.time(), completed_at=self.time()):
                experiments.append((id_, networks, prompts, seeds, models, length))
        self.embedded = {}
        for experiment in experiments:
            for _ in range(chance.randint(1, 5)):
                self.run(experiment)
        self.clusterings()
        self.db.commit()

    def reference(self, id_, others=()):
        """A reference, now and then to nothing or to something else."""
        if self.is_bad(0.3):
            return self.pick(None, "", "f" * 32, self.new_id(), b"x" * 16, 5, *(list(others)[:3]))
        return id_

    def run(self, experiment):
        chance, (experiment_id, networks, prompts, seeds, models, length) = self.chance, experiment
        id_, network = self.new_id(), chance.choice(networks)
        prompt = self.pick(None, 5, b"bytes") if self.is_bad(0.3) else chance.choice(prompts)
        if not self.insert("run", id=id_, network=self.list_(network), seed=self.seed(chance.choice(seeds)), max_length=self.length(length),
                           initial_prompt=prompt, experiment_id=self.reference(experiment_id)):
            return
        invocations, before = [], None
        numbers = list(range(chance.randint(0, length)))
        if self.is_bad(3) and numbers:
            numbers.remove(chance.choice(numbers))
        for _ in range(3):
            if self.is_bad(2):
                numbers.append(self.pick(length, length + 3, -1, -1, 0, 1, 2, 1.5, 0.5, "x", None, b"1", "3", 2.0, length + 0.5))
        if chance.random() < 0.3:
            chance.shuffle(numbers)
        for number in numbers:
            is_text = isinstance(number, int) and number % 2 == 1
            kind, own = ("TEXT" if is_text else "IMAGE"), self.new_id()
            text, image = (chance.choice(["", "a text", "é\n"]), None) if is_text else (None, self.image())
            if is_text and self.is_bad():
                text = self.pick(None, b"bytes", 5, 1.5)
            if self.is_bad(0.3):
                text, image = self.pick("both", text), self.pick(self.pictures[0], image)
            shown = self.pick("text", "AUDIO", None, "IMAGE", "TEXT", b"TEXT", 1) if self.is_bad(0.5) else kind
            model = self.pick(None, 5, b"m", "") if self.is_bad(0.2) else network[number % len(network) if isinstance(number, int) else 0]
            if self.insert("invocation", id=own, started_at=self.time(), completed_at=self.time(), model=model, type=shown, seed=self.seed(42),
                           run_id=self.reference(id_), sequence_number=number, input_invocation_id=self.reference(before), output_text=text, output_image_data=image):
                invocations.append((own, kind))
                before = own
        for own, kind in invocations:
            for model in models:
                right = (model in TEXT and kind == "TEXT") or (model in IMAGE and kind == "IMAGE") or model in OTHER
                for _ in range(2 if self.is_bad() else 1):
                    if right or self.is_bad(0.3):
                        self.embedding(own, model)
        for model in models:
            for _ in range(2 if self.is_bad() else 1):
                if chance.random() < 0.8:
                    name = self.pick(None, "Nobody", b"m", 5) if self.is_bad(0.2) else model
                    self.insert("persistencediagram", id=self.new_id(), started_at=self.time(), completed_at=self.time(), diagram_data=self.diagram(),
                                run_id=self.reference(id_), embedding_model=name)

    def embedding(self, invocation, model):
        id_ = self.new_id()
        vector = self.numbers.standard_normal(self.chance.choice([4, 4, 4, 3]), numpy.float32)
        content = vector.tobytes()
        if self.is_bad():
            content = self.pick(None, b"", content[:-1], bytes(16), numpy.array([0.0, -0.0], "<f4").tobytes(), numpy.array([1, numpy.nan], "<f4").tobytes(),
                                numpy.array([numpy.inf], "<f4").tobytes(), "text", 5, "", numpy.array([1e-45], "<f4").tobytes())
        name = self.pick(None, 5, b"m") if self.is_bad(0.2) else model
        if self.insert("embedding", id=id_, started_at=self.time(), completed_at=self.time(), invocation_id=self.reference(invocation), embedding_model=name, vector=content):
            self.embedded.setdefault(model, []).append(id_)

    def diagram(self):
        chance, members = self.chance, {}
        count = chance.choice([1, 2, 3, 0])
        kind = chance.choice(["f4", "f8", "f8"])
        for dimension in range(count):
            rows = chance.randint(0, 4)
            dgm = numpy.zeros((rows, 2), kind)
            dgm[:, 1] = numpy.inf if dimension == 0 else 1.0
            members[f"dgms_{dimension}"] = dgm
        members["dgms_count"] = numpy.array([count])
        if chance.random() < 0.8:
            members["entropy"] = numpy.zeros(max(count, 1))
        if chance.random() < 0.3:
            members["gens_0"] = numpy.array([[1, 2, 3]])
        if chance.random() < 0.3:
            members["metric_meta"] = numpy.array(["euclidean"])
        if chance.random() < 0.1:
            members["odd_meta"] = numpy.array([{"a": 1}], dtype=object)
        if self.is_bad():
            match chance.randint(0, 7):
                case 0: del members["dgms_count"]
                case 1: members.pop("dgms_0", None)
                case 2: members["dgms_0"] = numpy.zeros((2, 3))
                case 3: members["dgms_0"] = numpy.zeros(4)
                case 4: members["dgms_0"] = numpy.array([[{}, 1]], dtype=object)
                case 5: members["dgms_count"] = numpy.array([count + 1])
                case 6: members["dgms_count"] = numpy.array([1, 2])
                case 7: members["dgms_count"] = numpy.array(count)
        out = io.BytesIO()
        (numpy.savez_compressed if chance.random() < 0.5 else numpy.savez)(out, **members)
        content = out.getvalue()
        if self.is_bad():
            content = self.pick(None, b"", b"PK", content[: len(content) // 2], "text", 5, content[:-30])
        return content

    def clusterings(self):
        chance = self.chance
        for model, embeddings in list(self.embedded.items()):
            if chance.random() < 0.4:
                continue
            id_ = self.new_id()
            name = self.pick(None, "Nobody", 5) if self.is_bad(0.3) else model
            parameters = self.pick(None, "[]", "x", 5) if self.is_bad(0.5) else '{"min_samples": 5, "a": 0.4}'
            algorithm = self.pick(None, b"h", 5) if self.is_bad(0.2) else "hdbscan"
            if not self.insert("clusteringresult", id=id_, created_at=self.time(), started_at=self.time(), completed_at=self.time(), embedding_model=name,
                               algorithm=algorithm, parameters=parameters):
                continue
            everything = [other for others in self.embedded.values() for other in others]
            clusters = []
            if self.layout == "cluster":
                for number in range(-1, 3):
                    cluster = self.new_id()
                    medoid = None if self.is_bad(3) else chance.choice(embeddings)
                    if number == -1:
                        medoid = self.pick(None, chance.choice(embeddings))
                        number = self.pick(-1, -1, -1, -1.0, "-1")
                    if self.insert("cluster", id=cluster, clustering_result_id=id_, cluster_id=number, medoid_embedding_id=self.reference(medoid, everything), size=1, properties="{}"):
                        clusters.append(cluster)
            for embedding in embeddings:
                for _ in range(2 if self.is_bad() else 1):
                    if self.is_bad(0.3):
                        embedding = chance.choice(everything)
                    cluster = self.reference(chance.choice(clusters)) if clusters else None
                    self.insert("embeddingcluster", id=self.new_id(), embedding_id=self.reference(embedding, everything), clustering_result_id=self.reference(id_),
                                cluster_id=cluster, medoid_embedding_id=self.pick(None, self.reference(chance.choice(embeddings), everything)))


def generate(path, seed):
    generator = Generator(path, seed)
    generator.fill()
    generator.db.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    generate(arguments.target, arguments.seed)


if __name__ == "__main__":
    main()
