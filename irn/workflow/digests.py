"""Digests of what results depend on: records, and files outside the workflow."""

import hashlib
import json
import os
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any


def digest(record: Any) -> str:
    """Twelve hexadecimal digits of a JSON value."""
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()[:12]


def stat_digest(paths: Iterable[Path], root: Path | None = None) -> str:
    """Digest of the names, sizes and times of files, including those in folders, without reading them.

    root: what the names count from, so that a folder that was moved whole has the same digest; without it, those of
        files in a folder count from there, and other files have their last name alone.
    """
    stats: list[tuple[str, int, int]] = []
    for path in paths:
        if path.is_dir():
            folder = os.path.relpath(path, root or path)
            with os.scandir(path) as entries:
                stats += [_stat(f"{folder}/{entry.name}", entry.stat()) for entry in entries if entry.is_file()]
        elif path.exists():
            stats.append(_stat(os.path.relpath(path, root or path.parent), path.stat()))
    return digest(sorted(stats))


@cache
def content_digest(path: str) -> str:
    """Digest of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _stat(path: str, status: os.stat_result) -> tuple[str, int, int]:
    return path, status.st_size, status.st_mtime_ns
