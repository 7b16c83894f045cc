"""The code in a key: all that a stage's command imports, near or far, except what cannot change what it makes."""

import ast
import hashlib
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parents[1]
Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
# Their own code only transports and reports; what they import counts.
CARRYING = ("irn.errors", "irn.io")
# What they decide is in a key by other means: settings by their values, weights by the stage that made them, the data
# set by its files. What they import counts only where a stage's own code imports it too.
CONTROLLING = ("irn.settings", "irn.workflow", "irn.weights", "irn.checks", "irn.cli")
# Calls that only say something.
SAYING = {"print", "notice", "note", "problem", "mistake"}


def code_fingerprint(*modules: str) -> str:
    """Twelve hexadecimal digits over the code of some modules of this package and of all that they import.

    Comments, docstrings, layout, errors that are raised and what is printed do not count: they make no output stale.
    """
    digests = "\n".join(f"{name} {digest}" for name, digest in sorted(counted_modules(*modules).items()))
    return hashlib.sha256(digests.encode()).hexdigest()[:12]


def counted_modules(*modules: str) -> dict[str, str]:
    """The modules that count, and the templates beside them, each with a digest of what counts in it.

    Raises FileNotFoundError for a module that does not exist: a key without its code would never change.
    """
    for module in modules:
        if _file_of(module) is None:
            raise FileNotFoundError(f"no module {module}, whose code is to be part of a key")
    seen: dict[str, str] = {}
    visited: set[str] = set()
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        if module in visited:
            continue
        visited.add(module)
        path = _file_of(module)
        if path is None or _is_in(module, CONTROLLING):
            continue
        digest, imported = _normalised(path.read_text(encoding="utf-8"))
        waiting += imported
        if not _is_in(module, CARRYING):
            seen[module] = digest
            seen |= _templates(path.parent)
    return seen


@cache
def _templates(room: Path) -> dict[str, str]:
    """The templates of a room, each with a digest."""
    return {f"irn.{room.name}/{path.name}": _digest(path.read_bytes()) for path in room.glob("templates/*")}


def _is_in(module: str, rooms: tuple[str, ...]) -> bool:
    return f"{module}.".startswith(tuple(f"{room}." for room in rooms))


def _file_of(module: str) -> Path | None:
    """The source of a module; None for a name that an import takes out of a module."""
    path = PACKAGE.joinpath(*module.split(".")[1:])
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return path if path.is_file() else None


@cache
def _normalised(source: str) -> tuple[str, tuple[str, ...]]:
    """Digest of source code without what does not count, and the names that it may import from this package."""
    what_counts = _WithoutWords()
    tree = what_counts.visit(ast.parse(source))
    # As source text, which versions of Python agree on.
    return _digest(ast.unparse(tree).encode()), tuple(sorted(what_counts.imported))


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
