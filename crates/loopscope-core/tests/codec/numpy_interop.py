"""The NumPy side of the interop tests: `write DIR` makes archives, `check DIR` asserts what the Rust side wrote.

Expected values travel as raw little-endian bytes beside each archive, so that both sides compare bit for bit.
"""

import io
import json
import pathlib
import struct
import sys
import zipfile

import numpy as np

INF = float("inf")
# Distances that float32 cannot keep, both zeros, a subnormal, both infinities.
BARS = np.array([[0.0, 0.1], [-0.0, 5e-324], [0.1, INF], [-INF, 1 / 3], [1e308, INF], [0.25, 0.25]])
ONE = np.array([[1.5, 2.5]])
NONE = np.empty((0, 2))


def expected(dgms):
    """Bars in C order as little-endian float64, each diagram behind its number of bars as a little-endian uint64."""
    return b"".join(struct.pack("<Q", len(dgm)) + np.ascontiguousarray(dgm, dtype="<f8").tobytes() for dgm in dgms)


def version_of(array, version):
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, version=version, allow_pickle=False)
    return buffer.getvalue()


def write(folder):
    def savez(name, dgms, save=np.savez, **more):
        members = {f"dgms_{dimension}": dgm for dimension, dgm in enumerate(dgms)}
        members.setdefault("dgms_count", np.array([len(dgms)]))
        save(folder / f"{name}.npz", **{**members, **more})
        (folder / f"{name}.expected").write_bytes(expected(dgms))

    dgms = [BARS, ONE, NONE]
    savez("float64", dgms)
    savez("float64_compressed", dgms, np.savez_compressed)
    narrow = [dgm.astype("<f4") for dgm in [np.abs(BARS[:3]), ONE, NONE]]
    savez("float32", narrow)
    savez("float32_compressed", narrow, np.savez_compressed)
    savez("big_endian", [dgm.astype(">f8") for dgm in dgms])
    savez("big_endian_float32", [dgm.astype(">f4") for dgm in narrow], np.savez_compressed)
    savez("fortran", [np.asfortranarray(dgm) for dgm in dgms])
    savez("fortran_big_endian", [np.asfortranarray(dgm.astype(">f4")) for dgm in narrow])
    savez("sliced", [np.repeat(dgm, 2, axis=0)[::2] for dgm in dgms])
    savez("whole_numbers", [np.array([[0, 1], [2, 1 << 53]])])
    savez("no_dimension", [])
    savez("scalar_count", dgms, dgms_count=np.int32(3))
    savez("big_endian_count", dgms, dgms_count=np.array([[3]], dtype=">u2"))
    savez(
        "legacy",
        dgms,
        np.savez_compressed,
        entropy=np.array([0.5, -0.0, 0.0]),
        metric_meta=np.array(["euclidean"]),
        flag_meta=np.array([True]),
        zero_d=np.array("é\U0001f300"),
        big_text=np.array(["ab"], dtype=">U5"),
        bytes_text=np.array([b"abc"], dtype="S5"),
        small=np.array([-7], dtype=np.int8),
        big_unsigned=np.uint64(1 << 63),
        narrow_float=np.float32(0.1),
        wide_float=np.float64(INF),
        half=np.float16(1.5),
        complex=np.array([1j]),
        objects=np.array([{"a": 1}], dtype=object),
        date=np.array(["2025-01-01"], dtype="M8[D]"),
        curve=np.arange(4.0),
        structured=np.array([(1, 2.0)], dtype=[("a", "<i4"), ("b", "<f8")]),
        gens_0=np.array([[1, 2, 3]], dtype=np.int32),
        gens_1_0=np.asfortranarray(np.arange(6).reshape(2, 3)),
        gens_1_count=np.array([1]),
        gens_2=np.array([], dtype=np.int64),
        gens_3_0=np.array([None, (1, 2)], dtype=object),
    )
    savez("object_dgms", [ONE], dgms_0=np.array([[None, 1.0]], dtype=object))
    for version in [(1, 0), (2, 0), (3, 0)]:
        name = f"version_{version[0]}"
        with zipfile.ZipFile(folder / f"{name}.npz", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("dgms_count.npy", version_of(np.array([3]), version))
            for dimension, dgm in enumerate(dgms):
                archive.writestr(f"dgms_{dimension}.npy", version_of(dgm, version))
        (folder / f"{name}.expected").write_bytes(expected(dgms))
    # What numpy.save writes, for comparison byte by byte.
    arrays = {
        "f4": np.array([1.5, -0.0], dtype="<f4"),
        "f8_fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "i8": np.array([[1], [-2]], dtype="<i8"),
        "u8_0d": np.array(7, dtype="<u8"),
        "b1": np.array([True, False]),
        "text": np.array(["é", "", "abc"]),
        "empty": NONE,
    }
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)


def check(folder):
    manifest = json.loads((folder / "manifest.json").read_text())
    for name in manifest["diagrams"]:
        loaded = np.load(folder / f"{name}.npz", allow_pickle=False)
        count = loaded["dgms_count"]
        assert count.dtype == np.int64 and count.shape == (1,), name
        dgms = [loaded[f"dgms_{dimension}"] for dimension in range(count[0])]
        for dgm in dgms:
            assert dgm.dtype == np.dtype("<f8") and dgm.ndim == 2 and dgm.shape[1] == 2, name
        assert expected(dgms) == (folder / f"{name}.expected").read_bytes(), name
        for member in loaded.files:
            loaded[member]
    loaded = np.load(folder / "full.npz", allow_pickle=False)
    assert loaded.files == [
        *["dgms_count", "dgms_0", "dgms_1", "dgms_2", "entropy"],
        *["flag", "max_dim", "metric", "program_version", "threshold", "ünïcode"],
        *["gens_0", "gens_1"],
    ], loaded.files
    assert loaded["entropy"].shape == (3,) and loaded["entropy"].dtype == np.float64
    for key, dtype, value in [
        ("flag", "|b1", True),
        ("max_dim", "<i8", -(1 << 63)),
        ("metric", "<U9", "euclidean"),
        ("program_version", "<U1", ""),
        ("threshold", "<f8", INF),
        ("ünïcode", "<U2", "é\U0001f300"),
    ]:
        assert loaded[key].dtype == np.dtype(dtype) and loaded[key].shape == (1,), (key, loaded[key].dtype)
        assert loaded[key][0] == value, key
    assert loaded["gens_0"].tolist() == [[1, 2, 3], [4, 5, 6]] and loaded["gens_0"].flags.f_contiguous
    assert loaded["gens_1"].shape == (0,)
    info = zipfile.ZipFile(folder / "full.npz").infolist()
    assert all(member.date_time == (1980, 1, 1, 0, 0, 0) for member in info)
    assert all(member.compress_type == zipfile.ZIP_STORED for member in info)
    vector = np.frombuffer((folder / "vector.bin").read_bytes(), "<f4")
    assert vector.astype("<f8").tobytes() == (folder / "vector.expected").read_bytes()


def fixtures(folder):
    """The small archives kept in the repository: see fixtures/README.md."""
    kept = ["float32_compressed", "fortran_big_endian", "legacy", "object_dgms", "version_3"]
    write(folder)
    for path in folder.iterdir():
        if path.suffix in {".npz", ".expected", ".npy"} and path.stem not in kept:
            path.unlink()


if __name__ == "__main__":
    {"write": write, "check": check, "fixtures": fixtures}[sys.argv[1]](pathlib.Path(sys.argv[2]))
