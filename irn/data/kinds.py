"""The kinds of data sets: the one place that lists them.

A kind is a module with a `LAYOUT` (irn/data/layout.py) and a row in `KINDS`, which also names the module of its
ground truth, with a `TRUTH` (irn/data/truth.py). Nothing heavy is imported here: the command line reads the names,
and a module is loaded when its data is.
"""

from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING

from irn.errors import IrnError

if TYPE_CHECKING:
    from irn.data.layout import Layout
    from irn.data.truth import Truth


@dataclass(frozen=True)
class Kind:
    """A kind: the modules of its layout and ground truth, what it is in words, and whether the workflow draws it."""

    layout_module: str
    meaning: str
    truth_module: str = "irn.data.masks"
    is_drawn: bool = False

    @cached_property
    def layout(self) -> "Layout":
        """How its data sets lie in their folder."""
        layout: Layout = import_module(self.layout_module).LAYOUT
        return layout

    @cached_property
    def truth(self) -> "type[Truth]":
        """How its ground truth is read."""
        truth: type[Truth] = import_module(self.truth_module).TRUTH
        return truth


KINDS = {
    "demo": Kind("irn.data.voc", "drawn by the workflow", is_drawn=True),
    "voc": Kind("irn.data.voc", "a devkit in PASCAL VOC's layout"),
    "coco": Kind("irn.data.coco", "images and `annotations/instances_<split>.json`", "irn.data.coco_masks"),
    "folder": Kind(
        "irn.data.folder", "`images/` and `labels.csv`, or files of an annotation tool", "irn.data.outlined"
    ),
}


def kind(name: str) -> Kind:
    """The kind of a name; IrnError where there is none."""
    if name not in KINDS:
        raise IrnError(f"data set kind {name!r} is not known; expected one of {', '.join(KINDS)}")
    return KINDS[name]


def truth_modules() -> tuple[str, ...]:
    """The modules that may read ground truth, any of which may fit a given file or folder."""
    return tuple(dict.fromkeys(kind.truth_module for kind in KINDS.values()))


def in_words() -> str:
    """All kinds with their meaning, as a clause: "`a` (...), `b` (...) or `c` (...)"."""
    *rows, last = (f"`{name}` ({kind.meaning})" for name, kind in KINDS.items())
    return f"{', '.join(rows)} or {last}"
