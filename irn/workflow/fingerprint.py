"""Which code a key stands for: the modules that compute, as far as a stage's command imports them."""

import ast
import hashlib
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parents[1]
# What decides numbers. What reads, writes, checks and prints does not count; a stage's `version` covers the rest.
COMPUTING = ("irn.grid", "irn.ops", "irn.networks", "irn.training", "irn.data.demo")


def code_fingerprint(stage: str) -> str:
    """Twelve hexadecimal digits over the computing modules that a stage's command imports, near or far.

    Comments, docstrings, layout and errors that are raised do not count: they make no output stale.
    """
    seen: dict[str, str] = {}
    for name in _normalised(PACKAGE / "commands" / f"{stage}.py")[1]:
        _collect(name, seen)
    return hashlib.sha256("\n".join(f"{name} {seen[name]}" for name in sorted(seen)).encode()).hexdigest()[:12]


def _collect(module: str, seen: dict[str, str]) -> None:
    if module in seen or not f"{module}.".startswith(tuple(f"{room}." for room in COMPUTING)):
        return
    path = PACKAGE.joinpath(*module.split(".")[1:])
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    if path.is_file():
        seen[module], imported = _normalised(path)
        for name in imported:
            _collect(name, seen)


@cache
def _normalised(path: Path) -> tuple[str, tuple[str, ...]]:
    """Digest of a source file without what does not count, and the names that it may import from this package."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imported: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("irn"):
            imported.update([node.module, *(f"{node.module}.{alias.name}" for alias in node.names)])
        elif isinstance(node, ast.Import):
            imported.update(alias.name for alias in node.names if alias.name.startswith("irn"))
        elif (
            isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
            and ast.get_docstring(node) is not None
        ):
            node.body = node.body[1:] or [ast.Pass()]
    return hashlib.sha256(ast.unparse(_WithoutErrors().visit(tree)).encode()).hexdigest(), tuple(sorted(imported))


class _WithoutErrors(ast.NodeTransformer):
    """Leaves out what is raised, and conditions that only raise."""

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        return ast.Pass()

    def visit_If(self, node: ast.If) -> ast.AST:
        self.generic_visit(node)
        return node if node.orelse or any(not isinstance(part, ast.Pass) for part in node.body) else ast.Pass()
