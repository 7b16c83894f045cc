"""Damage and forge caches by seed, and read each; a program of its own, since HDF5 could crash its process.

`python mutations.py FOLDER KIND FIRST COUNT` exits with 0 if each is read as written or refused with IrnError.
"""

import faulthandler
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from irn.errors import IrnError
from irn.grid import cells
from irn.io.cache import CacheReader, CacheWriter

KINDS = ("cam", "ir_label", "field", "walk", "label")
SIZES = {"b": (13, 18), "a.1": (1, 1), "000123": (8, 5)}
SECONDS = 60  # for any file
MARK = b"\x89HDF\r\n\x1a\n"
Arrays = dict[str, np.ndarray]
Rng = np.random.Generator


def one_of(rng: Rng, things: Sequence[Any]) -> Any:
    return things[rng.integers(len(things))]


def arrays_of(kind: str, count: int, height: int, width: int, seed: int = 0) -> Arrays:
    """Random arrays of one image with K, M or N of `count`."""
    rng = np.random.default_rng(seed)
    h, w = cells(height), cells(width)
    return {
        "cam": lambda: {
            "classes": rng.permutation(254)[:count].astype(np.uint16),
            "cam": rng.random((count, h, w), np.float32),
            "high_res": rng.random((count, height, width), np.float32),
        },
        "ir_label": lambda: {"label": rng.integers(0, 256, (height, width)).astype(np.uint8)},
        "field": lambda: {
            "boundary": rng.random((h, w), np.float32),
            "displacement": (30 * rng.standard_normal((2, h, w))).astype(np.float32),
        },
        "walk": lambda: {
            "walk": rng.random((count, h, w), np.float32),
            "walk_class": rng.integers(0, 254, count).astype(np.uint16),
            "walk_instance": rng.integers(0, 2**32, count).astype(np.uint32),
            "groups": rng.integers(0, 2**32, (h, w)).astype(np.uint32),
        },
        "label": lambda: {
            "semantic": rng.integers(0, 255, (height, width)).astype(np.uint8),
            "instance_map": rng.integers(0, count + 1, (height, width)).astype(np.uint16),
            "instance_class": rng.integers(0, 254, count).astype(np.uint16),
            "instance_score": rng.random(count, np.float32),
        },
    }[kind]()


# ---- damage to the bytes


def flipped(rng: Rng, content: bytes) -> bytes:
    found = bytearray(content)
    for _ in range(rng.integers(1, 9)):
        found[rng.integers(len(found))] ^= 1 << rng.integers(8)
    return bytes(found)


def overwritten(rng: Rng, content: bytes) -> bytes:
    found = bytearray(content)
    start, length = rng.integers(len(found)), rng.integers(1, 65)
    found[start : start + length] = one_of(rng, [bytes(length), b"\xff" * length, rng.bytes(length)])
    return bytes(found[: len(content)])


def cut(rng: Rng, content: bytes) -> bytes:
    return content[: rng.integers(len(content))]


def shifted(rng: Rng, content: bytes) -> bytes:
    """With some bytes taken out or put in."""
    start, length = rng.integers(len(content)), int(rng.integers(1, 33))
    return content[:start] + (content[start + length :] if rng.random() < 0.5 else rng.bytes(length) + content[start:])


def copied(rng: Rng, content: bytes) -> bytes:
    """With one part over another."""
    length = int(rng.integers(1, 513))
    one, other = rng.integers(len(content), size=2)
    part = content[one : one + length]
    return (content[:other] + part + content[other + len(part) :])[: len(content)]


def random_bytes(rng: Rng, content: bytes) -> bytes:
    return (MARK if rng.random() < 0.5 else b"") + rng.bytes(int(rng.integers(2000)))


DAMAGES: tuple[Callable[[Rng, bytes], bytes], ...] = (flipped, overwritten, cut, shifted, copied, random_bytes)


# ---- whole HDF5 files that hold something else

ODD: tuple[Callable[[Rng], Any], ...] = (
    lambda rng: "text",
    lambda rng: b"\xff\xfe",
    lambda rng: int(rng.choice([0, -1, 2**31, 2**40, -(2**63)])),
    lambda rng: float(rng.choice([np.nan, np.inf, 12.5])),
    lambda rng: rng.integers(0, 9, (2, 2)),
    lambda rng: np.zeros(0),
    lambda rng: h5py.Empty("f"),
    lambda rng: np.array([("x", 1)], [("a", "S1"), ("b", "i4")]),
)
SHAPES = ((), (0,), (0, 0, 0), (3,), (2, 4, 5), (2, 2, 2, 2), (10**6, 10**6), (2**40,), (3, 10**6, 10**6))
TYPES = (
    "u1",
    "i1",
    "i8",
    "u8",
    "f2",
    "f4",
    "f8",
    "c8",
    "?",
    "S3",
    h5py.string_dtype(),
    h5py.vlen_dtype("i4"),
    [("a", "f4")],
)


def forge(rng: Rng, path: Path) -> None:
    """Change attributes, shapes or number types by HDF5's own means, or swap arrays and groups."""
    with h5py.File(path, "r+") as file:
        group = file[one_of(rng, list(file))]
        name, what = one_of(rng, list(group)), rng.integers(6)
        if what == 0:
            place, attribute = one_of(rng, [(file, "format_version"), (group, "height"), (group, "width")])
            place.attrs[attribute] = one_of(rng, ODD)(rng)
        elif what == 1:
            del group.attrs[one_of(rng, ["height", "width"])]
        elif what == 2:
            del group[name]
            group.create_group(name)
        elif what == 3:
            whole = group.name
            del file[whole]
            file[whole] = np.arange(3)
        elif what == 4:
            del group[name]
            shape, kind = one_of(rng, SHAPES), one_of(rng, TYPES)
            chunks = tuple(min(side, 100) for side in shape) if shape and min(shape) > 0 else None
            group.create_dataset(name, shape, kind, chunks=chunks)
        else:
            old = group[name][()]
            values = np.array([np.nan, np.inf, -1, 1e300, 255, 65535])
            old = rng.choice(values, old.shape)
            del group[name]
            with np.errstate(all="ignore"):
                group[name] = old.astype(one_of(rng, ["f2", "f4", "f8", "i8"]), casting="unsafe")


# ---- what the reader says


def check(folder: Path, kind: str, first: int, count: int) -> None:
    """Damage or forge `count` caches, and read each; raises for anything but IrnError or the arrays as they were."""
    sound = folder / f"{kind}.h5"
    with CacheWriter(sound, kind, {"stage": "a_stage"}) as cache:
        for number, (image_id, size) in enumerate(SIZES.items()):
            cache.write(image_id, *size, arrays_of(kind, number, *size))
    content, path = sound.read_bytes(), folder / f"{kind}-damaged.h5"
    written = {image_id: CacheReader([sound], kind).read(image_id) for image_id in SIZES}
    for seed in range(first, first + count):
        rng = np.random.default_rng(seed)
        forged = rng.random() < 0.25
        path.write_bytes(content if forged else one_of(rng, DAMAGES)(rng, content))
        if forged:
            forge(rng, path)
        print(seed, flush=True)
        faulthandler.dump_traceback_later(SECONDS, exit=True)
        read(path, kind, None if forged else written)
    faulthandler.cancel_dump_traceback_later()


def read(path: Path, kind: str, written: dict[str, Arrays] | None) -> None:
    """Read all of a file, as far as it goes; what comes back has to be what was written, if that is known."""
    try:
        reader = CacheReader([path], kind)
    except IrnError:
        return
    for image_id in reader.ids:
        try:
            size, arrays = reader.size(image_id), reader.read(image_id)
            reader.names(image_id)
        except IrnError:
            continue
        if written is not None:
            assert size == SIZES[image_id], "another size"
            assert arrays.keys() == written[image_id].keys(), "other arrays"
            for name, array in arrays.items():
                np.testing.assert_array_equal(array, written[image_id][name])


if __name__ == "__main__":
    check(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
