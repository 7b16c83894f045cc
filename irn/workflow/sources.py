"""What counts in the source of a module: a digest without words and layout, and what it imports from this package.

To read the syntax of all modules takes a second, and every start and every job does so. Digests are kept beside
Python's compiled files, by the sources' own digests: what is kept is right whatever was edited, and nobody misses it.
"""

import ast
import hashlib
import json
import os
import sys
from contextlib import suppress
from functools import cache
from importlib.util import cache_from_source
from pathlib import Path

Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
# Calls that only say something.
SAYING = {"print", "notice", "note", "problem", "mistake"}
# By version of Python, as versions write syntax differently, and where the user wants compiled files to lie.
KEPT = Path(cache_from_source(__file__)).with_suffix(".json")
MOST = 1000  # digests that are kept, a few times those of all modules


_new: list[str] = []  # digests that are not kept yet


def what_counts(source: bytes) -> tuple[str, tuple[str, ...]]:
    """Digest of a module without what does not count, and the names that it may import from this package."""
    key = _digest(source)
    known = _known()
    if key not in known:
        visitor = _WithoutWords()
        # As source text, which versions of Python agree on.
        text = ast.unparse(visitor.visit(ast.parse(source)))
        known[key] = [_digest(text.encode()), *sorted(visitor.imported)]
        _new.append(key)
    digest, *imported = known[key]
    return digest, tuple(imported)


def keep_digests() -> None:
    """Write new digests for the next process, unless compiled files are not written either."""
    if not _new or sys.dont_write_bytecode:
        return
    _new.clear()
    latest = dict([*_known().items()][-MOST:])
    # Other processes may do the same now.
    partial = KEPT.with_suffix(f".{os.getpid()}")
    with suppress(OSError):
        KEPT.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(json.dumps({"by": _own_digest(), "digests": latest}), encoding="utf-8")
        partial.replace(KEPT)


@cache
def _known() -> dict[str, list[str]]:
    """The digest of each source by the source's own, and what it imports."""
    try:
        kept = json.loads(KEPT.read_text(encoding="utf-8"))
        return dict(kept["digests"]) if kept["by"] == _own_digest() else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


@cache
def _own_digest() -> str:
    """That of this module, which says what counts."""
    return _digest(Path(__file__).read_bytes())


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class _WithoutWords(ast.NodeTransformer):
    """Leaves out docstrings, what is raised or said, and what does nothing else; collects what is imported."""

    def __init__(self) -> None:
        self.imported: set[str] = set()

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST:
        if node.module and node.module.split(".")[0] == "irn":
            self.imported.update([node.module, *(f"{node.module}.{alias.name}" for alias in node.names)])
        return node

    def visit_Import(self, node: ast.Import) -> ast.AST:
        self.imported.update(alias.name for alias in node.names if alias.name.split(".")[0] == "irn")
        return node

    def _without_docstring(self, node: Documented) -> ast.AST:
        if ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]
        return self.generic_visit(node)

    visit_Module = visit_ClassDef = visit_FunctionDef = visit_AsyncFunctionDef = _without_docstring

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        return ast.Pass()

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if _name_of(node.func) == "IrnError":
            node.args = []
        return node

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        self.generic_visit(node)
        says = isinstance(node.value, ast.Call) and _name_of(node.value.func) in SAYING
        return ast.Pass() if says else node

    def visit_If(self, node: ast.If) -> ast.AST:
        self.generic_visit(node)
        return ast.Pass() if _is_empty(node) else node

    def visit_For(self, node: ast.For) -> ast.AST:
        self.generic_visit(node)
        return ast.Pass() if _is_empty(node) else node


def _name_of(function: ast.expr) -> str:
    """The last part of the name of what is called."""
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def _is_empty(node: ast.If | ast.For) -> bool:
    return not node.orelse and all(isinstance(part, ast.Pass) for part in node.body)
