#!/usr/bin/env python3
"""Times exact Vietoris-Rips persistence against its peers, side by side, and writes the tables of BENCHMARKS.md.

    python3 bench/persistence.py --quick            a few clouds of 200 points
    python3 bench/persistence.py --n 200 500 1000   every cloud

Timings of different days do not compare, so every tool runs in the same session, in turn, each run in a process of its
own; a cell is the median. A timing counts only if its diagrams agree with those of the other tools.
"""

import argparse
import json
import os
import platform
import resource
import shlex
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import namedtuple
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
PEERS = ["giotto-ph", "gudhi", "ripser"]
CLOUDS = ["traj_hd", "traj_ld", "s3", "torus", "o3", "gauss50"]
FAMILIES = ["ours", "holos", *PEERS, "gudhi-tree"]
START, END = "<!-- persistence:start -->", "<!-- persistence:end -->"

# `family` is the program, `name` the column of the table.
Tool = namedtuple("Tool", "family name threads collapse")
TOOLS = [
    Tool("ours", "ours auto", 1, "auto"),
    Tool("ours", "ours on", 1, "on"),
    Tool("ours", "ours off", 1, "off"),
    Tool("ours", "ours auto, 2 threads", 2, "auto"),
    Tool("giotto-ph", "giotto-ph", 1, "off"),
    Tool("giotto-ph", "giotto-ph collapse", 1, "on"),
    Tool("giotto-ph", "giotto-ph, 2 threads", 2, "off"),
    Tool("giotto-ph", "giotto-ph collapse, 2 threads", 2, "on"),
    Tool("gudhi", "gudhi", 1, "off"),
    Tool("gudhi", "gudhi collapse", 1, "on"),
    Tool("gudhi-tree", "gudhi tree", 1, "off"),
    Tool("gudhi-tree", "gudhi tree collapse", 1, "on"),
    Tool("ripser", "ripser", 1, "off"),
    Tool("holos", "holos", 1, "off"),
    Tool("holos", "holos collapse", 1, "on"),
]

# What a run gave: `failure` says why there is no number.
Run = namedtuple("Run", "seconds memory diagrams failure")


def main():
    options = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the run in progress is ended too
    python = environment(options)
    if Path(sys.executable).absolute() != python.absolute():
        os.execv(python, [str(python), *sys.argv])
    import numpy as np

    sys.path.insert(0, str(HERE))
    import clouds

    absent, versions = {}, {}
    commands = {"ours": find_ours(options, absent, versions), "holos": build_holos(options, absent, versions)}
    find_python_peers(absent, versions)
    tools = [tool for tool in TOOLS if tool.family.removesuffix("-tree") not in absent and tool.family in options.tools]

    results, speed = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        for name, count in rows(options):
            points = clouds.GEN[name](count)
            file = Path(folder) / "cloud.npy"
            np.save(file, points)
            runs = measure(tools, commands, file, options, speed.setdefault(name, {}), count)
            largest = largest_distance(points)
            results[name, count] = judge(runs, largest)
            # Written after each cloud, so that an interrupted session leaves what it has measured.
            write_tables(report(results, tools, absent, versions, options), options.output)
    return 0


def rows(options):
    """Returns what to measure, fewer points first, so that a tool that is too slow is not tried on more."""
    if options.rows:
        return sorted(options.rows, key=lambda row: row[1])
    return [(name, count) for count in sorted(options.n) for name in options.clouds]


def row(text):
    name, _, count = text.partition(":")
    if name not in CLOUDS or not count.isdigit():
        raise argparse.ArgumentTypeError(f"expected CLOUD:N with a cloud of {', '.join(CLOUDS)}, got {text!r}")
    return name, int(count)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--n", type=int, nargs="+", default=[200, 500], metavar="N", help="points a cloud")
    add("--clouds", nargs="+", default=CLOUDS, choices=CLOUDS)
    add("--rows", nargs="+", type=row, metavar="CLOUD:N", help="just these, instead of every cloud with every N")
    add("--quick", action="store_true", help="two clouds of 200 points")
    add("--tools", nargs="+", default=FAMILIES, choices=FAMILIES)
    add("--max-dim", type=int, default=2)
    add("--repetitions", type=int, default=3)
    add("--timeout", type=float, default=300, metavar="S", help="seconds for one run")
    add("--once-above", type=float, default=60, metavar="S", help="do not repeat a run slower than this (marked ¹)")
    add("--memory-limit", type=float, default=8, metavar="GIB", help="address space for one run of a peer")
    add("--ours", default="loopscope array topology", metavar="COMMAND", help="or the example `persistence` of ripsaw")
    add("--ours-version", metavar="TEXT", help="what the table calls it (default: the commit)")
    add("--venv", type=Path, default=HERE / ".venv", help="where the Python peers are installed")
    add("--no-install", action="store_true", help="use the running Python as it is")
    add("--holos", metavar="COMMAND", help="a built holos-peer (default: build bench/peers/holos)")
    add("--output", type=Path, default=ROOT / "BENCHMARKS.md")
    options = parser.parse_args()
    if options.quick:
        options.n, options.clouds = [200], ["traj_hd", "s3"]
    return options


# What is measured


def environment(options):
    """Returns a Python that has the peers, or as many as install."""
    if options.no_install:
        return Path(sys.executable)
    python = options.venv / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", options.venv], check=True)
        # One by one: a peer that does not install is missing from the table, and the others are not.
        for package in ["numpy", "scikit-learn", *PEERS]:
            subprocess.run([python, "-m", "pip", "install", "--quiet", package], check=package == "numpy")
    return python


def find_python_peers(absent, versions):
    from importlib import import_module, metadata

    for peer in PEERS:
        try:
            import_module({"giotto-ph": "gph"}.get(peer, peer))
            versions[peer] = f"{peer} {metadata.version(peer)}"
        except Exception as error:
            absent[peer] = f"{type(error).__name__}: {error}".splitlines()[0]


def build_holos(options, absent, versions):
    crate = HERE / "peers" / "holos"
    versions["holos"] = "holos-tda 0.9.0"
    if options.holos:
        return shlex.split(options.holos)
    target = crate / "target"
    build = ["cargo", "build", "--release", "--locked", "--quiet", "--target-dir", str(target)]
    try:
        built = subprocess.run(build, cwd=crate, capture_output=True, text=True)
        if built.returncode == 0:
            return [str(target / "release" / "holos-peer")]
        absent["holos"] = "it does not build: " + (built.stderr.strip().splitlines() or ["no message"])[-1]
    except OSError as error:
        absent["holos"] = f"cargo: {error}"
    return None


# `full` means the program's own command; otherwise the library's example, which writes its bars to a file.
Ours = namedtuple("Ours", "command full")


def find_ours(options, absent, versions):
    command = shlex.split(options.ours)
    versions["ours"] = f"ours {options.ours_version or commit()}"
    if Path(command[0]).name == "persistence":
        return Ours(command, full=False)
    try:
        helped = subprocess.run([*command, "--help"], capture_output=True, text=True)
        if helped.returncode == 0:
            return Ours(command, full=True)
        absent["ours"] = (helped.stderr.strip().splitlines() or ["no message"])[0]
    except OSError as error:
        absent["ours"] = str(error)
    return None


def commit():
    described = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True)
    return described.stdout.strip() or "of no known commit"


# Running


def measure(tools, commands, file, options, speed, count):
    """Returns the runs of each tool on one cloud, taken in turn so that a slow minute falls on all of them."""
    runs = {tool: [] for tool in tools}
    for repetition in range(options.repetitions):
        for tool in tools:
            done = runs[tool]
            if done and (done[-1].failure or done[-1].seconds > options.once_above):
                continue
            if repetition == 0 and hopeless(speed.get(tool), count, options.timeout):
                run = Run(None, None, None, "too slow")
            else:
                run = run_once(tool, commands, file, options)
            done.append(run)
            outcome = run.failure or f"{run.seconds:.3f} s"
            print(f"{count:5} {tool.name:32} {outcome}", file=sys.stderr, flush=True)
            if repetition == 0:
                speed[tool] = (count, run.seconds)
    return runs


def hopeless(known, count, timeout):
    """Whether a tool that took this long on fewer points cannot make it; the cost grows at least with the cube."""
    if known is None or known[0] >= count:
        return False
    fewer, seconds = known
    return seconds is None or seconds * (count / fewer) ** 3 > timeout


def run_once(tool, commands, file, options):
    scratch = {name: str(tool.threads) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
    shared = [str(options.max_dim), str(tool.threads), tool.collapse]
    bars_file = file.with_suffix(".bars")
    if tool.family == "ours":
        ours = commands["ours"]
        command = [*ours.command, str(file), "--max-dim", shared[0], "--collapse", tool.collapse]
        command += ["--threads", shared[1], *(["--json"] if ours.full else ["--bars", str(bars_file)])]
    elif tool.family == "holos":
        command = [*commands["holos"], str(file), *shared]
    else:
        command = [sys.executable, "-W", "ignore", str(HERE / "peers" / "python.py"), tool.family, str(file), *shared]
    limit = int(options.memory_limit * 2**30)
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            command,
            stdout=output,
            stderr=errors,
            env={**os.environ, **scratch},
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
        )
        seen, finished = watch(process, options.timeout)
        output.seek(0)
        errors.seek(0)
        text, message = output.read(), errors.read().strip()
    if not finished:
        return Run(None, None, None, "timeout")
    if process.returncode != 0:
        starved = any(word in message.lower() for word in ("memory", "bad_alloc", "alloc"))
        print(message[-400:], file=sys.stderr)
        return Run(None, None, None, "out of memory" if starved else f"failed ({process.returncode})")
    answer = json.loads(text)
    seconds = answer["seconds"]
    if isinstance(seconds, dict):
        seconds = seconds.get("total", sum(seconds.values()))
    diagrams = answer["dgms"] if "dgms" in answer else read_bars(bars_file, options.max_dim)
    # A peer reads its own memory, less what it held before. Ours is watched, and held the points alone before.
    if tool.family == "ours":
        memory = max(0, seen - file.stat().st_size)
    else:
        memory = answer["peak_bytes"] - answer["baseline_bytes"]
    return Run(seconds, memory, diagrams, None)


def watch(process, timeout):
    """Waits, and returns the highest memory of the process as last seen, and whether it ended by itself."""
    start, seen = time.monotonic(), 0
    try:
        while process.poll() is None:
            if time.monotonic() - start > timeout:
                return seen, False
            seen = max(seen, high_water(process.pid))
            time.sleep(0.002 if time.monotonic() - start < 1 else 0.02)
        return seen, True
    finally:
        process.kill()
        process.wait()


def high_water(pid):
    try:
        with open(f"/proc/{pid}/status") as status:
            for line in status:
                if line.startswith("VmHWM:"):
                    return 1024 * int(line.split()[1])
    except OSError:
        pass
    return 0


def read_bars(file, max_dim):
    diagrams = [[] for _ in range(max_dim + 1)]
    for line in file.read_text().splitlines():
        dimension, birth, death = line.split()
        diagrams[int(dimension)].append([float(birth), float(death) if float(death) < float("inf") else None])
    return diagrams


# Whether the diagrams agree


def largest_distance(points):
    import numpy as np

    points = points.astype(np.float64)
    return max(float(np.sqrt(((points - point) ** 2).sum(axis=1)).max()) for point in points)


def judge(runs, largest):
    """Returns each tool's runs, those void whose diagrams are not those of most programs."""
    first = {}
    for tool, done in runs.items():
        if done[0].failure is None:
            first[tool] = done[0].diagrams
    friends = {
        tool: {other.family.removesuffix("-tree") for other in first if agree(first[tool], first[other], largest)}
        for tool in first
    }
    if not friends:
        return runs
    consensus = max(friends, key=lambda tool: len(friends[tool]))
    judged = {}
    for tool, done in runs.items():
        judged[tool] = [
            run._replace(failure="diagrams differ")
            if run.failure is None and not agree(first[consensus], run.diagrams, largest)
            else run
            for run in done
        ]
    return judged


def agree(one, other, largest):
    """Whether two lists of diagrams are the same but for rounding, dimension by dimension."""
    return len(one) == len(other) and all(same_bars(a, b, largest) for a, b in zip(one, other))


def same_bars(one, other, largest):
    tolerance, noise = 1e-5 * max(1, largest), 1e-5 * largest
    if sum(death is None for _, death in one) != sum(death is None for _, death in other):
        return False
    one, other = (
        sorted((birth, float("inf") if death is None else death) for birth, death in bars) for bars in (one, other)
    )
    one = [bar for bar in one if bar[1] - bar[0] > noise]
    other = [bar for bar in other if bar[1] - bar[0] > noise]
    # A bar barely longer than noise may have been rounded away on the other side.
    needed = noise + 2 * tolerance
    return covers(one, other, tolerance, needed) and covers(other, one, tolerance, needed)


def covers(one, other, tolerance, needed):
    """Whether every bar of `one` that is long enough has a bar of `other` of its own within the tolerance.

    Two injections, one each way, make a perfect matching (Mendelsohn-Dulmage), so that the two calls are enough.
    """
    from bisect import bisect_left, bisect_right

    births = [birth for birth, _ in other]
    taken = {}

    def place(index, tried):
        birth, death = one[index]
        for near in range(bisect_left(births, birth - tolerance), bisect_right(births, birth + tolerance)):
            end = other[near][1]
            if near in tried or not (end == death or abs(end - death) <= tolerance):
                continue
            tried.add(near)
            if near not in taken or place(taken[near], tried):
                taken[near] = index
                return True
        return False

    sys.setrecursionlimit(100_000)
    return all(place(i, set()) for i, (birth, death) in enumerate(one) if death - birth > needed)


# The tables


def report(results, tools, absent, versions, options):
    def cell(done):
        if done[0].failure or any(run.failure for run in done):
            return next(run.failure for run in done if run.failure)
        mark = "¹" if len(done) < options.repetitions else ""
        return f"{number(median(done))}{mark} / {megabytes(done)}"

    best_rows, time_rows = [], []
    for (name, count), runs in results.items():
        counted = {tool: done for tool, done in runs.items() if not any(run.failure for run in done)}
        peers = {t: d for t, d in counted.items() if t.family != "ours" and t.threads == 1}
        by_name = {tool.name: done for tool, done in counted.items()}
        ours, two = by_name.get("ours auto"), by_name.get("ours auto, 2 threads")
        best = min(peers, key=lambda tool: median(peers[tool]), default=None)
        forced = [median(by_name[key]) for key in ("ours on", "ours off") if key in by_name]
        row = [name, str(count)]
        row.append(f"{number(median(ours))} / {megabytes(ours)}" if ours else cell_of(runs, "ours auto", cell))
        row.append(f"{best.name} {number(median(peers[best]))} / {megabytes(peers[best])}" if best else "–")
        row.append(f"**{median(ours) / median(peers[best]):.2f}**" if ours and best else "–")
        row.append(f"{memory(ours) / max(memory(peers[best]), 1):.2f}" if ours and best else "–")
        row.append(f"{median(ours) / min(forced):.2f}" if ours and forced else "–")
        row.append(f"{median(ours) / median(two):.2f}" if ours and two else "–")
        best_rows.append(row)
        time_rows.append([name, str(count), *(cell(runs[tool]) for tool in tools)])

    heads = ["cloud", "n", "ours auto, s / MB", "best peer, s / MB", "time ratio", "memory ratio", "auto / better of on, off"]
    heads.append("speed-up of 2 threads")
    used = {tool.family.removesuffix("-tree") for tool in tools}
    lines = [
        "Wall seconds from points to diagrams in dimensions 0 to "
        f"{options.max_dim} (start of the process and reading the file left out) / MB above what the process held "
        f"before. Medians of {options.repetitions} runs, one thread unless said, every tool in turn in one session on "
        f"{os.cpu_count()} CPUs ({platform.machine()}). A ratio below 1 is ours ahead.",
        "",
        *table(heads, best_rows),
        "",
        "Every tool, s / MB:",
        "",
        *table(["cloud", "n", *(tool.name for tool in tools)], time_rows),
        "",
        f"¹ slower than {options.once_above:g} s, run once. *timeout*: more than {options.timeout:g} s; *too slow*: not "
        "tried, as fewer points already took too long; *out of memory*: more than "
        f"{options.memory_limit:g} GiB; *diagrams differ*: from those of most programs, so the timing is void. Diagrams "
        "are compared after bars of at most 1e-5 × the largest distance are dropped, to 1e-5 × max(1, largest distance).",
        "",
        f"Versions: {', '.join(versions[key] for key in versions if key in used)}; "
        f"Python {platform.python_version()}.",
    ]
    lines += [f"Missing: {family} ({why})." for family, why in absent.items()]
    left = [f"{name} {count}" for name, count in rows(options) if (name, count) not in results]
    if left:
        lines += ["", f"Stopped before {', '.join(left)}."]
    shown = "python3 bench/persistence.py "
    if options.rows:
        shown += f"--rows {' '.join(f'{name}:{count}' for name, count in options.rows)}"
    else:
        shown += f"--n {' '.join(map(str, options.n))} --clouds {' '.join(options.clouds)}"
    shown += f" --repetitions {options.repetitions} --timeout {options.timeout:g} --once-above {options.once_above:g}"
    if options.tools != FAMILIES:
        shown += f" --tools {' '.join(options.tools)}"
    shown += f" --memory-limit {options.memory_limit:g} --max-dim {options.max_dim}"
    lines += ["", f"Command: `{shown}`"]
    return lines


def cell_of(runs, name, cell):
    return next((cell(done) for tool, done in runs.items() if tool.name == name), "–")


def median(done):
    return statistics.median(run.seconds for run in done)


def memory(done):
    return statistics.median(run.memory for run in done)


def megabytes(done):
    return f"{memory(done) / 1e6:.0f}"


def number(seconds):
    return f"{seconds:.3f}" if seconds < 1 else f"{seconds:.2f}" if seconds < 10 else f"{seconds:.1f}"


def table(heads, rows):
    return ["| " + " | ".join(row) + " |" for row in [heads, ["---"] * len(heads), *rows]]


def write_tables(lines, output):
    fresh = f"# Benchmarks\n\n## Vietoris–Rips persistence\n\n`bench/persistence.py` writes what follows.\n\n{START}\n{END}\n"
    text = output.read_text() if output.exists() else fresh
    before, found, rest = text.partition(START)
    _, closed, after = rest.partition(END)
    if not (found and closed):
        sys.exit(f"{output} has no {START} … {END} to write between")
    output.write_text(before + START + "\n" + "\n".join(lines) + "\n" + END + after)


if __name__ == "__main__":
    sys.exit(main())
