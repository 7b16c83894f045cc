"""Reading class maps from a cache, beside plain float32 and float32 that is compressed in the same way."""

from pathlib import Path

import h5py
import numpy as np
from inputs import VOC, scene

from cases.common import MB, Case, Finding, Measures, Sides, must, speed
from irn.io.cache import CacheReader, CacheWriter


def _sides(quick: bool, folder: Path) -> Sides:
    size, count = ((48, 64), 3) if quick else (VOC, 40)
    scenes = {f"{seed:06d}": scene(seed, *size, 1 + seed % 2, 2 + seed % 4) for seed in range(count)}
    ours, plain, packed = (folder / f"{name}.h5" for name in ("cache", "plain", "packed"))
    with (
        CacheWriter(ours, "cam", {"stage": "bench"}) as cache,
        h5py.File(plain, "w") as one,
        h5py.File(packed, "w") as other,
    ):
        for name, s in scenes.items():
            cache.write(name, *size, s.cams())
            for key, array in s.cams().items():
                one.create_dataset(f"{name}/{key}", data=array)
                filters = {"compression": "gzip", "shuffle": True, "fletcher32": True}
                other.create_dataset(f"{name}/{key}", data=array, chunks=(1, *array.shape[1:]), **filters)

    def read(path: Path) -> tuple[int, list[np.ndarray]]:
        with h5py.File(path) as file:
            arrays = [{key: file[name][key][()] for key in ("classes", "cam", "high_res")} for name in scenes]
        return path.stat().st_size, [a["high_res"] for a in arrays[:3]]

    def read_cache() -> tuple[int, list[np.ndarray]]:
        reader = CacheReader([ours], "cam")
        arrays = [reader.read(name) for name in scenes]
        return ours.stat().st_size, [a["high_res"] for a in arrays[:3]]

    return {"float32": lambda: read(plain), "float32, compressed": lambda: read(packed), "cache": read_cache}


def _judge(m: Measures) -> tuple[str, list[Finding]]:
    (plain, expected), (ours, found) = m["float32"].result, m["cache"].result
    error = max(np.abs(a - b).max() for a, b in zip(expected, found, strict=True))
    must(error <= 4.1e-4, f"class maps differ by {error:.2g}")
    wait = m["cache"].median - m["float32"].median
    rate = (plain - ours) / wait / MB if wait > 0 else float("inf")
    return (
        f"maps within {error:.1g}; below {rate:.0f} MB/s of storage the cache is read faster than plain float32",
        [
            Finding("CAM cache, bytes", f"1/{plain / ours:.1f}", "float32"),
            speed("reading the CAM cache from the page cache", m["cache"], than=m["float32, compressed"]),
            speed("reading the CAM cache from the page cache", m["cache"], than=m["float32"]),
        ],
    )


CASES = {
    "cam_cache": Case("Reading CAM caches of 40 images", _sides, ("float32", "float32, compressed", "cache"), _judge)
}
