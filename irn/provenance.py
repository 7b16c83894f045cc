"""What made a file: settings, code, versions."""

import ast
import hashlib
import platform
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).parent
LIBRARIES = ("torch", "torchvision", "numpy", "scipy", "h5py", "numba", "pillow", "pydensecrf2")


# Options that say where to work, not what to compute.
PLACES = ("device", "workers", "shard")


def provenance(stage: str, options: dict[str, Any]) -> dict[str, Any]:
    """JSON-ready record of a stage: its options other than files and places, code fingerprint, git commit and library versions."""
    settings = {name: value for name, value in options.items() if name not in PLACES and not _is_path(value)}
    return {
        "stage": stage,
        "settings": settings,
        "code": code_fingerprint(stage),
        "git_commit": git_commit(),
        "python": platform.python_version(),
        "versions": {name: found for name in LIBRARIES if (found := _version(name))},
    }


def code_fingerprint(stage: str) -> str:
    """Twelve hexadecimal digits over the stage's module and all modules of this package that it imports, near or far.

    Comments, docstrings and layout do not count, so editing them makes no output stale.
    """
    seen: dict[str, str] = {}
    _collect(f"irn.stages.{stage}", seen)
    return hashlib.sha256("\n".join(f"{name} {seen[name]}" for name in sorted(seen)).encode()).hexdigest()[:12]


def git_commit() -> str | None:
    """The commit of the checkout that the package runs from, with `+` when files were edited; None outside a checkout."""
    command = ["git", "-C", str(PACKAGE), "describe", "--always", "--abbrev=40", "--dirty=+", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def _collect(module: str, seen: dict[str, str]) -> None:
    parts = module.split(".")[1:]
    path = PACKAGE.joinpath(*parts).with_suffix(".py") if parts else PACKAGE / "__init__.py"
    if module in seen or not path.is_file():
        return
    seen[module], imported = _normalised(path)
    for name in imported:
        _collect(name, seen)


@cache
def _normalised(path: Path) -> tuple[str, tuple[str, ...]]:
    """Digest of a source file without comments, docstrings and layout, and the names it may import from this package."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imported: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("irn"):
            imported.update([node.module, *(f"{node.module}.{alias.name}" for alias in node.names)])
        elif isinstance(node, ast.Import):
            imported.update(alias.name for alias in node.names if alias.name.startswith("irn"))
        elif isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return hashlib.sha256(ast.unparse(tree).encode()).hexdigest(), tuple(sorted(imported))


def _is_path(value: object) -> bool:
    return isinstance(value, Path) or (isinstance(value, list | tuple) and any(isinstance(item, Path) for item in value))


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
