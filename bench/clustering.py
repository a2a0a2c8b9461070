#!/usr/bin/env python3
"""Times HDBSCAN beside its peers on the same vectors, and writes a table of BENCHMARKS.md.

    python3 bench/clustering.py --quick                       2,000 vectors, every tool
    python3 bench/clustering.py --n 100000 --tools ours       one cell; those already measured are kept

Every tool gets the same parameters, those of the preset `reference`: min_cluster_size = min_samples = n / 1000,
epsilon 0.4, one cluster allowed, copies kept as points. Each run is a process of its own, the tools in turn, and a cell
is the median. What compiles itself does so on few vectors before its clock starts. A run is written to --partial as
soon as it is done, so that a session can be had in pieces; the table is made of all that is there. The adjusted Rand
index of the labels tells who computed the same thing.
"""

import argparse
import json
import os
import platform
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
START, END = "<!-- clustering:start -->", "<!-- clustering:end -->"
PACKAGES = {"scikit-learn": "scikit-learn", "fast_hdbscan": "fast_hdbscan", "EVoC": "evoc"}
# scikit-learn 1.9.1 ends with a TypeError at an epsilon above 0 with later ones.
NUMPY = "numpy<2.4"
TOOLS = ["ours", *PACKAGES]
DIMENSION = 768


def main():
    options = arguments()
    if options.child:
        return child(options)
    python = environment(options)
    if Path(sys.executable).absolute() != python.absolute():
        os.execv(python, [str(python), *sys.argv])
    runs = json.loads(options.partial.read_text()) if options.partial.exists() else []
    measured = {(count, tool) for count in options.n for tool in options.tools}
    runs = [run for run in runs if (run["n"], run["tool"]) not in measured or options.table_only]
    ours = None if options.table_only else find_ours(options)
    for count in [] if options.table_only else sorted(options.n):
        file = vectors(count, options)
        for repetition in range(options.repetitions):
            for tool in options.tools:
                before = [run for run in runs if (run["n"], run["tool"]) == (count, tool)]
                slow = any(run["failure"] or run["seconds"] > options.once_above for run in before)
                if repetition > 0 and slow:
                    continue
                run = measure(tool, ours, file, count, options)
                runs.append(run)
                # Written after each run, so that an interrupted session leaves what it has measured.
                options.partial.parent.mkdir(parents=True, exist_ok=True)
                options.partial.write_text(json.dumps(runs))
                print(f"{count:7} {tool:14} {run['failure'] or cell([run])}", file=sys.stderr, flush=True)
    write_table(report(runs, options), options.output)
    return 0


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--n", type=int, nargs="+", default=[10000, 30000, 100000], metavar="N", help="vectors")
    add("--tools", nargs="+", default=TOOLS, choices=TOOLS)
    add("--repetitions", type=int, default=3)
    add("--once-above", type=float, default=20, metavar="S", help="do not repeat a run slower than this")
    add("--timeout", type=float, default=300, metavar="S", help="end a run that takes longer, compiling included")
    add("--quick", action="store_true", help="2,000 vectors")
    add("--table-only", action="store_true", help="measure nothing, write the table of what is in --partial")
    add("--ours", metavar="COMMAND", help="loopscope, built (default: build it)")
    add("--ours-version", metavar="TEXT", help="what the table calls ours (default: the commit)")
    add("--venv", type=Path, default=HERE / ".venv", help="where the peers are installed")
    add("--no-install", action="store_true", help="use the running Python as it is")
    add("--data", type=Path, default=ROOT / "target" / "bench", help="where vectors are kept")
    add("--partial", type=Path, default=ROOT / "target" / "bench" / "clustering.json", help="where runs are kept")
    add("--output", type=Path, default=ROOT / "BENCHMARKS.md")
    add("--child", nargs=2, metavar=("TOOL", "FILE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.quick:
        options.n = [2000]
    return options


def environment(options):
    if options.no_install:
        return Path(sys.executable)
    python = options.venv / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", options.venv], check=True)
    there = [python, "-c", "import numpy, sklearn, pynndescent, fast_hdbscan, evoc"]
    if subprocess.run(there, capture_output=True).returncode != 0:
        subprocess.run([python, "-m", "pip", "install", "--quiet", NUMPY, "pynndescent", *PACKAGES.values()], check=True)
    return python


def find_ours(options):
    if options.ours:
        return shlex.split(options.ours)
    subprocess.run(["cargo", "build", "--release", "--quiet", "-p", "loopscope"], cwd=ROOT, check=True)
    return [str(ROOT / "target" / "release" / "loopscope")]


def vectors(count, options):
    import numpy as np

    sys.path.insert(0, str(HERE))
    from vectors import gen

    file = options.data / f"vectors_{count}.npy"
    if not file.exists():
        options.data.mkdir(parents=True, exist_ok=True)
        points, planted = gen(count, DIMENSION, seed=count + DIMENSION)
        np.save(options.data / f"planted_{count}.npy", planted)
        np.save(file, points)
    return file


# Running


def measure(tool, ours, file, count, options):
    size = str(max(2, count // 1000))
    if tool == "ours":
        command = [*ours, "array", "cluster", str(file), "--min-cluster-size", size, "--min-samples", size]
        command += ["--epsilon", "0.4", "--allow-single-cluster=true", "--duplicates", "keep", "--json"]
    else:
        command = [sys.executable, str(Path(__file__).resolve()), "--child", tool, str(file)]
    run = {"n": count, "tool": tool, "seconds": None, "memory": None, "labels": None, "failure": None}
    with tempfile.TemporaryFile("w+") as said:
        try:
            done = subprocess.run(command, stdout=said, stderr=subprocess.PIPE, timeout=options.timeout)
        except subprocess.TimeoutExpired:
            return {**run, "failure": "timeout"}
        if done.returncode != 0:
            print(done.stderr.decode(errors="replace")[-2000:], file=sys.stderr)
            return {**run, "failure": "failed"}
        said.seek(0)
        answer = json.load(said)
    if tool == "ours":
        labels = [-1 if label is None else label for label in answer["labels"]]
        memory = answer["peak_bytes"] - 4 * DIMENSION * count
        return {**run, "seconds": answer["seconds"]["clustering"], "memory": memory, "labels": labels}
    return {**run, **answer}


def child(options):
    """Runs one peer on one file, and prints its seconds, its labels and the memory that it took."""
    import numpy as np

    tool, file = options.child
    points = np.load(file)
    few = np.random.default_rng(0).normal(size=(500, points.shape[1])).astype(np.float32)
    few /= np.linalg.norm(few, axis=1, keepdims=True)
    if tool != "scikit-learn":
        peer(tool, 500)(few)  # Compiles.
    run = peer(tool, len(points))
    Path("/proc/self/clear_refs").write_text("5")  # The high-water mark starts from here.
    before, start = memory_of("VmRSS"), time.perf_counter()
    labels = run(points)
    seconds = time.perf_counter() - start
    print(json.dumps({"seconds": seconds, "memory": memory_of("VmHWM") - before, "labels": [int(x) for x in labels]}))
    return 0


def peer(tool, count):
    size = max(2, count // 1000)
    if tool == "EVoC":
        import evoc

        # It takes no epsilon, and chooses a layer by itself.
        return evoc.EVoC(base_min_cluster_size=max(5, size)).fit_predict
    given = {"min_cluster_size": size, "min_samples": size, "cluster_selection_epsilon": 0.4, "allow_single_cluster": True}
    if tool == "fast_hdbscan":
        import fast_hdbscan

        # In so many dimensions its neighbours are those of pynndescent.
        return fast_hdbscan.HDBSCAN(**given).fit_predict
    from sklearn.cluster import HDBSCAN

    return HDBSCAN(**given, algorithm="brute", n_jobs=-1, copy=True).fit_predict


def memory_of(key):
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return 1024 * int(line.split()[1])
    raise KeyError(key)


# The table


def report(runs, options):
    import numpy as np
    from importlib import metadata
    from sklearn.metrics import adjusted_rand_score

    heads = ["vectors", "tool", "s / MB", "ours / theirs", "clusters", "outliers", "ARI with ours", "ARI with planted"]
    body = []
    for count in sorted({run["n"] for run in runs}):
        of = {tool: [run for run in runs if (run["n"], run["tool"]) == (count, tool)] for tool in TOOLS}
        file = options.data / f"planted_{count}.npy"
        planted = np.load(file) if file.exists() else None
        ours = next((run["labels"] for run in of["ours"] if not run["failure"]), None)
        for tool, done in of.items():
            if not done:
                continue
            row = [f"{count:,}", tool, cell(done)]
            if any(run["failure"] for run in done):
                body.append(row + ["–"] * 5)
                continue
            labels = np.array(done[0]["labels"])
            ratio = median(of["ours"], "seconds") / median(done, "seconds") if ours and tool != "ours" else None
            row.append(f"**{ratio:.2f}**" if ratio else "–")
            row += [str(len(set(labels[labels >= 0]))), f"{100 * np.mean(labels < 0):.1f} %"]
            row.append(f"{adjusted_rand_score(ours, labels):.4f}" if ratio else "–")
            core = None if planted is None else planted >= 0
            row.append("–" if core is None else f"{adjusted_rand_score(planted[core], labels[core]):.3f}")
            body.append(row)
    there = {(run["n"], run["tool"]) for run in runs}
    missing = [f"{tool} at {count:,}" for count in sorted(options.n) for tool in TOOLS if (count, tool) not in there]
    versions = ", ".join(f"{name} {metadata.version(package)}" for name, package in PACKAGES.items())
    return [
        f"Wall seconds from vectors in memory to labels / MB at most beside the vectors, {DIMENSION} dimensions, "
        f"{os.cpu_count()} CPUs ({platform.machine()}), all of them used. min_cluster_size = min_samples = n / 1000, "
        "epsilon 0.4, one cluster allowed, copies kept; what peers compile before they run is left out. scikit-learn and "
        "ours are exact, fast_hdbscan and EVoC approximate, and EVoC knows no epsilon. Ratios below 1 are ours ahead; "
        "*ARI with planted* counts only vectors planted in cores.",
        "",
        *table(heads, body),
        "",
        *([f"Not measured yet: {', '.join(missing)}.", ""] if missing else []),
        f"Medians of several runs, ¹ of one. *timeout*: more than {options.timeout:g} s. Pieces of the table may be of different sessions on the same machine.",
        "",
        f"Versions: ours {options.ours_version or commit()}, {versions}; Python {platform.python_version()}.",
        "",
        "Command: `python3 bench/clustering.py`, in pieces by `--n` and `--tools`.",
    ]


def cell(done):
    failure = next((run["failure"] for run in done if run["failure"]), None)
    if failure:
        return failure
    mark = "¹" if len(done) == 1 else ""
    return f"{median(done, 'seconds'):.2f}{mark} / {median(done, 'memory') / 1e6:.0f}"


def median(done, key):
    return statistics.median(run[key] for run in done)


def commit():
    described = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True)
    return described.stdout.strip() or "of no known commit"


def table(heads, rows):
    return ["| " + " | ".join(row) + " |" for row in [heads, ["---"] * len(heads), *rows]]


def write_table(lines, output):
    text = output.read_text() if output.exists() else "# Benchmarks\n"
    if START not in text:
        text += f"\n## Clusters\n\n`bench/clustering.py` writes what follows.\n\n{START}\n{END}\n"
    before, _, rest = text.partition(START)
    _, closed, after = rest.partition(END)
    if not closed:
        sys.exit(f"{output} has {START} and no {END} after it")
    output.write_text(before + START + "\n" + "\n".join(lines) + "\n" + END + after)


if __name__ == "__main__":
    sys.exit(main())
