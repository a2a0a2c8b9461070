#!/usr/bin/env python3
"""Imports generated legacy files with the program and with the oracle, and compares the reports.

    python3 compare.py PROGRAM [--seeds 0:300] [--keep FOLDER]

For each seed: the report of a dry run, of an import, and of the same import again must be the oracle's; the times and bytes that
the store then has must be the source's; and doctor must find no violation. A file that differs is kept. Ends with 1 if one does.
"""

import argparse
import json
import pathlib
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import zoneinfo

import generate
import oracle

ZONES = ["UTC", "Europe/Berlin", "Australia/Sydney", "America/St_Johns"]


def differences(expected, got):
    for table, parts in expected.items():
        for part, value in parts.items():
            other = got.get(table, {}).get(part)
            if value == other:
                continue
            if not isinstance(value, dict):
                yield f"{table}.{part}: expected {value}, got {other}"
                continue
            for reason in sorted(set(value) | set(other)):
                want, have = set(value.get(reason, [])), set(other.get(reason, []))
                if want != have:
                    yield f"{table}.{part}.{reason}: missing {sorted(want - have)[:3]}, unexpected {sorted(have - want)[:3]}"


def contents(source, store, zone):
    """What the store holds against what the source does."""
    wanted = oracle.Import(source)
    zone = zoneinfo.ZoneInfo(zone)
    ours = sqlite3.connect(f"file:{store}?mode=ro", uri=True)

    def rows(sql):
        return {row[0].hex(): row[1:] for row in ours.execute(sql)}

    def times(row):
        cells = (row.get(name, oracle.NULL) for name in ("started_at", "completed_at"))
        return tuple(None if cell.is_null else oracle.micros(cell, zone) for cell in cells)

    invocations = rows("SELECT i.id, started_at, completed_at, output_text, m.bytes, sequence_number FROM invocation i LEFT JOIN image m ON m.hash = i.output_image")
    for id_, row in wanted.tables["invocation"].carried.items():
        is_text = row["type"].content == b"TEXT"
        output = (row["output_text"].text(), None) if is_text else (None, row["output_image_data"].content)
        if invocations.get(id_) != (*times(row), *output, row["sequence_number"].content):
            yield f"invocation {id_}: {invocations.get(id_)}"
    parts = {"embedding": ("vector", "embedding"), "persistencediagram": ("diagram_data", "persistence_diagram")}
    for table, (column, name) in parts.items():
        stored = rows(f"SELECT id, started_at, completed_at, {column} FROM {name}")
        for id_, row in wanted.tables[table].carried.items():
            if stored.get(id_) != (*times(row), row[column].content):
                yield f"{name} {id_}: {stored.get(id_)}"
        if len(stored) != len(wanted.tables[table].carried):
            yield f"{name}: {len(stored)} rows"
    runs = rows("SELECT id, network, initial_prompt, seed, max_length FROM run")
    for id_, row in wanted.tables["run"].carried.items():
        network, *rest = runs[id_]
        if json.loads(network) != oracle.json_of(row["network"]) or rest != [row["initial_prompt"].text(), row["seed"].content, row["max_length"].content]:
            yield f"run {id_}: {runs[id_]}"
    stored = rows("SELECT id, hex(embedding_id) FROM embedding_cluster")
    if set(stored) != set(wanted.tables["embeddingcluster"].carried):
        yield "embedding_cluster: other rows"
    if ours.execute("PRAGMA foreign_key_check").fetchone() or ours.execute("PRAGMA integrity_check").fetchone() != ("ok",):
        yield "the store is damaged"
    ours.close()


def check(program, folder, seed):
    source, store, report = folder / f"{seed}.sqlite", folder / f"{seed}.db", folder / f"{seed}.json"
    generate.generate(str(source), seed)
    before, zone = source.read_bytes(), ZONES[seed % len(ZONES)]
    expected = oracle.report_of(str(source))
    problems = []
    for what, extra in [("dry run", ["--dry-run"]), ("import", []), ("again", [])]:
        command = [program, "import", "legacy", str(source), "--db", str(store), "--timezone", zone, "--report", str(report), *extra]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            return [f"{what}: exit {done.returncode}: {done.stderr}"]
        problems += [f"{what}: {line}" for line in differences(expected, json.loads(report.read_text()))]
        if extra and store.exists():
            problems.append("a dry run wrote the target")
    problems += contents(oracle.open_source(str(source)), store, zone)
    doctor = subprocess.run([program, "doctor", "--db", str(store), "--decode-images"], capture_output=True, text=True)
    if doctor.returncode != 0:
        problems += [line for line in (doctor.stdout + doctor.stderr).splitlines() if "violation" in line or "error" in line]
    if source.read_bytes() != before or {path.name for path in folder.iterdir()} != {source.name, store.name, report.name}:
        problems.append(f"files: {sorted(path.name for path in folder.iterdir())}")
    return problems


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--seeds", default="0:300")
    parser.add_argument("--keep", help="where a file that differs is kept")
    arguments = parser.parse_args()
    first, last = map(int, arguments.seeds.split(":"))
    failed = 0
    for seed in range(first, last):
        with tempfile.TemporaryDirectory() as folder:
            problems = check(arguments.program, pathlib.Path(folder), seed)
            if problems:
                failed += 1
                print(f"seed {seed}:", *problems[:8], sep="\n  ")
                if arguments.keep:
                    shutil.copy(pathlib.Path(folder) / f"{seed}.sqlite", arguments.keep)
    print(f"{last - first} files, {failed} differ")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
