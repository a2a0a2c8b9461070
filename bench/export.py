"""Megabytes of content a second: `loopscope export parquet` and a script of Python's sqlite3 with pyarrow, in one session.

    python bench/export.py PROGRAM STORE [--repeats 3] [--only-ours]

PROGRAM is loopscope with the feature `parquet`, built with --release. STORE is what the example `large_store` of
loopscope-core writes: `cargo run --release -p loopscope-core --example large_store -- STORE 1000 100 768` makes 100,000
invocations and 200,000 vectors. Ours writes all tables, the script only the vectors: a file for each model, the same
columns, types, order and compression, as somebody who knows both libraries would write it. Content is what cells take as
plain arrays. Neither is told to wait for the disk: ours does all the same. Needs pyarrow and numpy.
"""

import argparse
import json
import os
import resource
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import uuid

BATCH_ROWS = 5_000
QUERY = (
    "SELECT e.id, e.invocation_id, e.embedding_model, e.vector, e.model_version_id, e.started_at, e.completed_at FROM run r "
    "JOIN invocation i ON i.run_id = r.id JOIN embedding e ON e.invocation_id = i.id AND e.embedding_model = ? "
    "ORDER BY r.rowid, i.sequence_number"
)


def by_script(store, folder):
    """Writes the vectors of all models; prints the bytes of their content."""
    import numpy
    import pyarrow
    import pyarrow.parquet

    database = sqlite3.connect(f"file:{store}?mode=ro", uri=True)
    database.execute("PRAGMA cache_size = -32768")
    content = 0
    for (model,) in database.execute("SELECT DISTINCT embedding_model FROM embedding LIMIT 1000").fetchall():
        rows = database.execute(QUERY, (model,))
        writer = None
        while batch := rows.fetchmany(BATCH_ROWS):
            ids, invocations, models, vectors, versions, started, completed = zip(*batch)
            numbers = numpy.frombuffer(b"".join(vectors), "<f4")
            shown = [pyarrow.array([str(uuid.UUID(bytes=one)) for one in column]) for column in (ids, invocations, versions)]
            moments = [pyarrow.array(column, pyarrow.timestamp("us", "UTC")) for column in (started, completed)]
            lists = pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(numbers), len(vectors[0]) // 4)
            table = pyarrow.table({
                "id": shown[0], "invocation_id": shown[1], "embedding_model": pyarrow.array(models), "vector": lists,
                "model_version_id": shown[2], "started_at": moments[0], "completed_at": moments[1],
            })
            content += table.nbytes
            writer = writer or pyarrow.parquet.ParquetWriter(
                os.path.join(folder, f"{model}.parquet"), table.schema, compression="zstd", compression_level=1,
                use_dictionary=["embedding_model", "model_version_id"],
            )
            writer.write_table(table)
        if writer:
            writer.close()
    print(content)


def by_us(program, store, folder):
    done = subprocess.run([program, "export", "parquet", "latest", "--out", folder, "--db", store, "--json"], check=True,
                          capture_output=True, text=True)
    return sum(table["content_bytes"] for table in json.loads(done.stdout)["written"]["tables"])


def by_them(_, store, folder):
    done = subprocess.run([sys.executable, __file__, "--script", store, folder], check=True, capture_output=True, text=True)
    return int(done.stdout)


def measured(tool, program, store):
    """Returns seconds, seconds of processor time, content and bytes of the files."""
    folder = tempfile.mkdtemp(dir=os.path.dirname(os.path.abspath(store)))
    try:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        start = time.perf_counter()
        content = tool(program, store, os.path.join(folder, "out") if tool is by_us else folder)
        wall = time.perf_counter() - start
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        files = sum(os.path.getsize(os.path.join(root, name)) for root, _, names in os.walk(folder) for name in names)
        return wall, after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime, content, files, after.ru_maxrss
    finally:
        shutil.rmtree(folder)


def main():
    if sys.argv[1:2] == ["--script"]:
        by_script(sys.argv[2], sys.argv[3])
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("store")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only-ours", action="store_true")
    given = parser.parse_args()
    tools = {"loopscope": by_us} if given.only_ours else {"loopscope": by_us, "sqlite3 and pyarrow": by_them}
    rates = {name: [] for name in tools}
    for _ in range(given.repeats):
        for name, tool in tools.items():
            wall, user, system, content, files, resident = measured(tool, given.program, given.store)
            rates[name].append(content / wall / 1e6)
            # The most of any so far: ours comes first, and so its own is the number of the first line.
            print(f"{name:20} {content / 1e6:8.0f} MB of content, {files / 1e6:8.0f} MB of files, {wall:6.2f} s, user {user:6.2f} s, "
                  f"system {system:6.2f} s, at most {resident / 1024:.0f} MiB so far: {rates[name][-1]:.0f} MB/s", flush=True)
    medians = {name: statistics.median(all) for name, all in rates.items()}
    print(", ".join(f"{name} {rate:.0f} MB/s" for name, rate in medians.items()))
    if not given.only_ours:
        print(f"ours is {medians['loopscope'] / medians['sqlite3 and pyarrow']:.2f} times as fast")


if __name__ == "__main__":
    main()
