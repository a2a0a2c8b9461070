#!/usr/bin/env python3
"""Times distances between persistence diagrams beside Hera, on the same pairs, and writes a table of BENCHMARKS.md.

    python3 bench/distances.py --quick             pairs of 200 bars
    python3 bench/distances.py --n 200 1000 5000   every kind of pair

Every tool runs in turn in one session; a cell is the median. Hera is asked for a relative error, which is how it is
used, and so are we for the same; beside it stands what the exact distance takes us. A timing counts only if its value
is right: ours exactly against SciPy's assignment of a dense matrix (up to --exact-max bars), or else ours against
Hera's within the error that both were allowed.
"""

import argparse
import json
import math
import os
import platform
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections import namedtuple
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
START, END = "<!-- distances:start -->", "<!-- distances:end -->"
KINDS = ["noise", "clusters", "one cluster", "far", "line", "H1 of torus", "H1 of trajectory", "H0 of trajectory"]

Metric = namedtuple("Metric", "name order ground")
METRICS = [
    Metric("bottleneck", None, "linf"),
    Metric("W1", 1, "linf"),
    Metric("W2", 2, "linf"),
    Metric("W1 L2", 1, "l2"),
    Metric("W2 L2", 2, "l2"),
]


def main():
    options = arguments()
    python = environment(options)
    if Path(sys.executable).absolute() != python.absolute():
        os.execv(python, [str(python), *sys.argv])
    ours = find_ours(options)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for count in sorted(options.n):
            for kind in options.kinds:
                pair = pair_of(kind, count, options)
                if pair is None:
                    continue
                files = save(pair, Path(folder))
                for metric in (metric for metric in METRICS if metric.name in options.metrics):
                    rows.append(compare(ours, kind, pair, files, metric, options))
                # Written after each pair, so that an interrupted session leaves what it has measured.
                write_table(report(rows, options), options.output)
    return 1 if any(row.void for row in rows) else 0


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--n", type=int, nargs="+", default=[200, 1000, 5000], metavar="N", help="bars of a diagram")
    add("--kinds", nargs="+", default=KINDS, choices=KINDS)
    add("--metrics", nargs="+", default=[m.name for m in METRICS[:3]], choices=[m.name for m in METRICS])
    add("--delta", type=float, default=0.01, help="relative error asked of Hera, and of us beside exactness")
    add("--exact-max", type=int, default=1000, help="most bars for which SciPy's dense assignment is the judge")
    add("--repetitions", type=int, default=3)
    add("--once-above", type=float, default=10, metavar="S", help="do not repeat a run slower than this")
    add("--quick", action="store_true", help="pairs of 200 bars")
    add("--ours", metavar="COMMAND", help="the example `distance` of ripsaw, built (default: build it)")
    add("--persistence", metavar="COMMAND", help="the example `persistence` of ripsaw, built (default: build it)")
    add("--ours-version", metavar="TEXT", help="what the table calls ours (default: the commit)")
    add("--venv", type=Path, default=HERE / ".venv", help="where the peers are installed")
    add("--no-install", action="store_true", help="use the running Python as it is: numpy, scipy, gudhi")
    add("--output", type=Path, default=ROOT / "BENCHMARKS.md")
    options = parser.parse_args()
    if options.quick:
        options.n = [200]
    return options


# What is measured


def environment(options):
    if options.no_install:
        return Path(sys.executable)
    python = options.venv / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", options.venv], check=True)
    missing = [python, "-c", "import numpy, scipy, gudhi.hera"]
    if subprocess.run(missing, capture_output=True).returncode != 0:
        subprocess.run([python, "-m", "pip", "install", "--quiet", "numpy", "scipy", "gudhi"], check=True)
    return python


def find_ours(options):
    options.persistence = shlex.split(options.persistence or "") or build("persistence")
    return shlex.split(options.ours or "") or build("distance")


def build(example):
    command = ["cargo", "build", "--release", "--quiet", "-p", "ripsaw", "--example", example]
    subprocess.run(command, cwd=ROOT, check=True)
    return [str(ROOT / "target" / "release" / "examples" / example)]


def pair_of(kind, count, options):
    """Returns two diagrams of about this many bars, as rows of birth and death, or None where there are none."""
    import numpy as np

    if kind.startswith("H"):
        return real_pair(kind, count, options)

    def diagram(seed):
        random = np.random.default_rng(seed)
        birth, length = random.uniform(0, 1, count), random.exponential(1, count)
        if kind == "noise":  # Nearly all bars near the diagonal, a few long ones.
            length = 0.02 * length + np.where(random.uniform(size=count) < 0.02, random.uniform(0, 2, count), 0)
        elif kind == "clusters":  # Ten heaps, each narrower than its distance from the diagonal.
            centres = np.array([[0.1 * k, 1 + 0.37 * (k * k % 7)] for k in range(10)])
            chosen = centres[random.integers(0, 10, count)] + 1e-3 * random.standard_normal((count, 2))
            return chosen
        elif kind == "one cluster":
            return np.array([1.0, 2.0]) + 1e-4 * random.standard_normal((count, 2))
        elif kind == "far":  # No bar within reach of the diagonal.
            length = 10 + random.uniform(0, 1, count) - birth
        elif kind == "line":  # One birth, as in dimension 0.
            birth = np.zeros(count)
        return np.c_[birth, birth + length]

    return diagram(1), diagram(2)


def real_pair(kind, count, options):
    """Returns the diagrams of two clouds, such that there are about so many bars, as our own program finds them."""
    import numpy as np

    sys.path.insert(0, str(HERE))
    import clouds

    # A cloud of n points has n bars of dimension 0, and some share of n of dimension 1.
    dimension = int(kind[1])
    points = count if dimension == 0 else 3 * count if "torus" in kind else 4 * count
    if points > 5000:
        return None
    make = clouds.torus if "torus" in kind else lambda n, seed: clouds.traj(n, seed=seed, dup=0.0, eff=16)
    return tuple(bars_of(make(points, seed=seed), dimension, options) for seed in (1, 2))


def bars_of(points, dimension, options):
    import numpy as np

    with tempfile.TemporaryDirectory() as folder:
        cloud, bars = Path(folder) / "cloud.npy", Path(folder) / "bars"
        np.save(cloud, points)
        command = [*options.persistence, str(cloud), "--max-dim", str(dimension), "--bars", str(bars)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        rows = [line.split() for line in bars.read_text().splitlines()]
    kept = [(float(birth), float(death)) for d, birth, death in rows if int(d) == dimension and death != "inf"]
    return np.array(kept).reshape(-1, 2)


def save(pair, folder):
    import numpy as np

    files = []
    for name, diagram in zip("ab", pair):
        files.append(folder / f"{name}.npy")
        np.save(files[-1], np.ascontiguousarray(diagram, dtype=np.float64))
    return files


# Running

# `times` maps a tool to its seconds, `void` says why the row does not count.
Row = namedtuple("Row", "kind metric bars times void judge")


def compare(ours, kind, pair, files, metric, options):
    tools = {
        "ours exact": lambda: run_ours(ours, files, metric, 0.0),
        "ours": lambda: run_ours(ours, files, metric, options.delta),
        "Hera": lambda: run_hera(pair, metric, options.delta),
    }
    seconds, values = {tool: [] for tool in tools}, {}
    for _ in range(options.repetitions):
        for tool, run in tools.items():
            if seconds[tool] and seconds[tool][-1] > options.once_above:
                continue
            taken, values[tool] = run()
            seconds[tool].append(taken)
    bars = tuple(len(diagram) for diagram in pair)
    void, judge = verdict(values, pair, metric, options)
    row = Row(kind, metric.name, bars, {tool: statistics.median(all_) for tool, all_ in seconds.items()}, void, judge)
    shown = " ".join(f"{tool} {taken:.4f} s ({values[tool]:.9g})" for tool, taken in row.times.items())
    print(f"{kind:18} {bars[0]:5} {metric.name:10} {shown} {void or ''}", file=sys.stderr, flush=True)
    return row


def run_ours(command, files, metric, error):
    chosen = ["--metric", "bottleneck"] if metric.order is None else ["--order", str(metric.order)]
    command = [*command, *map(str, files), *chosen, "--ground", metric.ground, "--relative-error", str(error)]
    answer = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return answer["seconds"], answer["distance"]


def run_hera(pair, metric, delta):
    from gudhi import hera

    start = time.perf_counter()
    if metric.order is None:
        value = hera.bottleneck_distance(*pair, delta=delta)
    else:
        norm = math.inf if metric.ground == "linf" else 2.0
        value = hera.wasserstein_distance(*pair, order=float(metric.order), internal_p=norm, delta=delta)
    return time.perf_counter() - start, value


def verdict(values, pair, metric, options):
    """Returns why the values cannot all be right, or None, and who judged."""
    exact, near, hera = values["ours exact"], values["ours"], values["Hera"]
    allowed = (1 + options.delta) * (1 + 1e-9)
    rounding = 1e-9 * max(exact, 1e-12)
    judge = "the others"
    if max(map(len, pair)) <= options.exact_max:
        judge = "dense"
        true = dense(pair, metric)
        if abs(exact - true) > 1e-9 * max(true, 1e-6):
            return f"our exact value is {exact:.12g}, that of the dense matrix {true:.12g}", judge
    for name, value in (("ours", near), ("Hera's", hera)):
        # Both give the cost of a matching that is there, so never less than the least.
        if not exact - rounding <= value <= exact * allowed + rounding:
            return f"{name} value is {value:.12g}, our exact one {exact:.12g}", judge
    return None, judge


def dense(pair, metric):
    """The exact distance by a dense matrix, with a place on the diagonal for every bar."""
    import numpy as np
    from scipy.optimize import linear_sum_assignment
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import maximum_bipartite_matching

    a, b = pair
    moves = np.abs(a[:, None, :] - b[None, :, :])
    cost = moves.max(2) if metric.ground == "linf" else np.sqrt((moves**2).sum(2))
    share = 0.5 if metric.ground == "linf" else math.sqrt(0.5)
    ends = [share * (diagram[:, 1] - diagram[:, 0]) for diagram in (a, b)]
    n, m = len(a), len(b)
    full = np.zeros((n + m, n + m))
    full[:n, :m], full[:n, m:], full[n:, :m] = cost, ends[0][:, None], ends[1][None, :]
    if metric.order is not None:
        full **= metric.order
        rows, columns = linear_sum_assignment(full)
        return full[rows, columns].sum() ** (1 / metric.order)
    values = np.unique(full)
    low, high = 0, len(values) - 1
    while low < high:
        middle = (low + high) // 2
        matched = maximum_bipartite_matching(csr_matrix(full <= values[middle]), perm_type="column")
        low, high = (low, middle) if (matched >= 0).all() else (middle + 1, high)
    return values[low]


# The table


def report(rows, options):
    from importlib import metadata

    heads = ["pair", "bars", "distance", f"Hera, δ = {options.delta:g}", f"ours, δ = {options.delta:g}", "ours exact"]
    heads += ["ours / Hera", "exact / Hera", "exact value judged by"]
    body = []
    for row in rows:
        hera, near, exact = (row.times[tool] for tool in ("Hera", "ours", "ours exact"))
        ratios = [f"**{near / hera:.2f}**", f"{exact / hera:.2f}"] if not row.void else ["void", "void"]
        bars = f"{row.bars[0]}, {row.bars[1]}" if row.bars[0] != row.bars[1] else str(row.bars[0])
        body.append([row.kind, bars, row.metric, *map(number, (hera, near, exact)), *ratios, row.judge])
    notes = [f"{row.kind}, {row.bars[0]} bars, {row.metric}: {row.void}." for row in rows if row.void]
    shown = f"python3 bench/distances.py --n {' '.join(map(str, options.n))} --delta {options.delta:g}"
    shown += f" --repetitions {options.repetitions} --exact-max {options.exact_max}"
    if options.kinds != KINDS:
        shown += " --kinds " + " ".join(map(shlex.quote, options.kinds))
    shown += " --metrics " + " ".join(map(shlex.quote, options.metrics))
    slower = [row for row in rows if not row.void and row.times["ours"] > row.times["Hera"]]
    return [
        "Milliseconds for one distance between two diagrams in memory, one thread. Medians of "
        f"{options.repetitions} runs, every tool in turn in one session on {os.cpu_count()} CPUs "
        f"({platform.machine()}). Hera may be off by the share δ, and so may we where it says so; *exact* is not off. A "
        "ratio below 1 is ours ahead. A row is void if a value is not what it may be: the exact one to 1e-9 of a dense "
        "assignment (where there are few enough bars), the others between it and 1 + δ times it.",
        "",
        *table(heads, body),
        "",
        f"Slower than Hera at equal δ: {len(slower)} of {len(rows)} rows.",
        *(["", "Void: " + " ".join(notes)] if notes else []),
        "",
        f"Versions: ours ripsaw {options.ours_version or commit()}, gudhi {metadata.version('gudhi')} (its Hera), "
        f"scipy {metadata.version('scipy')}; Python {platform.python_version()}.",
        "",
        f"Command: `{shown}`",
    ]


def commit():
    described = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True)
    return described.stdout.strip() or "of no known commit"


def number(seconds):
    milliseconds = 1000 * seconds
    return f"{milliseconds:.2f}" if milliseconds < 10 else f"{milliseconds:.1f}" if milliseconds < 100 else f"{milliseconds:.0f}"


def table(heads, rows):
    return ["| " + " | ".join(row) + " |" for row in [heads, ["---"] * len(heads), *rows]]


def write_table(lines, output):
    text = output.read_text() if output.exists() else "# Benchmarks\n"
    if START not in text:
        text += f"\n## Distances between diagrams\n\n`bench/distances.py` writes what follows.\n\n{START}\n{END}\n"
    before, _, rest = text.partition(START)
    _, closed, after = rest.partition(END)
    if not closed:
        sys.exit(f"{output} has {START} and no {END} after it")
    output.write_text(before + START + "\n" + "\n".join(lines) + "\n" + END + after)


if __name__ == "__main__":
    sys.exit(main())
