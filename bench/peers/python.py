"""Times one Python peer on one cloud: python.py TOOL CLOUD.npy MAX_DIM THREADS on|off.

Prints one line of JSON: seconds from points to diagrams (imports and reading the file left out), memory before and at
its highest, the diagrams, and the version. Each peer gets what its informed user would give it: distances computed one
by one, and for GUDHI's simplex tree, which has no default threshold, the enclosing radius that the others take by
themselves. Both are timed. GUDHI is there twice: `gudhi` is its RipsPersistence, which reduces without storing the
complex, and `gudhi-tree` its simplex tree, which stores it.
"""

import json
import sys
import time

import numpy as np


def memory(field):
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith(field):
                return 1024 * int(line.split()[1])
    return 0


def distances(points):
    # Not by products of matrices: those put exact repeats 1e-8 apart and break ties, which edge collapse lives on.
    from scipy.spatial.distance import pdist, squareform

    return squareform(pdist(points))


def giotto_ph(points, max_dim, threads, collapse):
    from gph import ripser_parallel

    options = {"maxdim": max_dim, "n_threads": threads, "collapse_edges": collapse, "metric": "precomputed"}
    return lambda: ripser_parallel(distances(points), **options)["dgms"]


def ripser(points, max_dim, threads, collapse):
    from ripser import ripser as compute

    return lambda: compute(distances(points), maxdim=max_dim, distance_matrix=True)["dgms"]


def gudhi(points, max_dim, threads, collapse):
    from gudhi.sklearn.rips_persistence import RipsPersistence

    dimensions = list(range(max_dim + 1))
    options = {"num_collapses": int(collapse), "homology_coeff_field": 2, "n_jobs": threads}
    return lambda: RipsPersistence(dimensions, **options).fit_transform([points])[0]


def gudhi_tree(points, max_dim, threads, collapse):
    import gudhi

    def compute():
        matrix = distances(points)
        complex_ = gudhi.RipsComplex(distance_matrix=matrix, max_edge_length=matrix.max(axis=1).min())
        tree = complex_.create_simplex_tree(max_dimension=1)
        if collapse:
            tree.collapse_edges()
        tree.expansion(max_dim + 1)
        tree.compute_persistence(homology_coeff_field=2)
        return [tree.persistence_intervals_in_dimension(dimension) for dimension in range(max_dim + 1)]

    return compute


TOOLS = {"giotto-ph": giotto_ph, "ripser": ripser, "gudhi": gudhi, "gudhi-tree": gudhi_tree}


def main():
    tool, cloud, max_dim, threads, collapse = sys.argv[1:]
    points = np.load(cloud)
    make = TOOLS[tool]
    # A first run on a few points: what is loaded or compiled late is not the cost of a computation.
    make(points[:20], int(max_dim), int(threads), collapse == "on")()
    compute = make(points, int(max_dim), int(threads), collapse == "on")
    try:
        with open("/proc/self/clear_refs", "w") as peak:
            peak.write("5")  # the peak starts again from here
    except OSError:
        pass
    baseline = memory("VmRSS:")
    start = time.perf_counter()
    try:
        diagrams = compute()
    except MemoryError:
        sys.exit("out of memory")
    seconds = time.perf_counter() - start
    peak = memory("VmHWM:")
    bars = [
        [[float(birth), float(death) if np.isfinite(death) else None] for birth, death in np.reshape(bars, (-1, 2))]
        for bars in diagrams
    ]
    print(json.dumps({"seconds": seconds, "baseline_bytes": baseline, "peak_bytes": peak, "dgms": bars}))


if __name__ == "__main__":
    main()
