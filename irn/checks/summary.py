"""What the check of a data set says, as JSON and as text."""

from collections.abc import Sequence
from typing import Any

from irn.checks.data_set import DataSet


def as_json(data: DataSet) -> dict[str, Any]:
    """All that the check says, ready for JSON."""
    return {
        "images": len(data.records),
        "splits": data.splits(),
        "classes": data.counts(),
        "sizes": data.sizes(),
        "modes": dict(data.modes),
        "problems": [problem._asdict() for problem in data.findings.problems],
        "notices": data.findings.notices,
        "notes": data.findings.notes,
    }


def as_lines(data: DataSet) -> list[str]:
    """The same as text: what there is, how it was understood, and a table of the problems."""
    lines = []
    if data.records:
        splits = ", ".join(f"{count} {split}" for split, count in data.splits().items())
        sizes = ", ".join(f"{name} {low} to {high}" for name, (low, high) in data.sizes().items())
        lines.append(f"{len(data.records)} images ({splits}); {sizes}")
        if data.classes.names:
            lines += _aligned(_class_rows(data))
    lines += data.findings.notes
    if data.findings.problems:
        lines += ["", *_aligned([["file", "problem", "remedy"], *map(list, data.findings.problems)])]
    return lines


def _class_rows(data: DataSet) -> list[list[str]]:
    """In how many images each class is, of all and of each split, and in how many it is not."""
    columns = ["all", *data.splits()]
    rows = [["class", *columns, "without"]]
    for name, counts in data.counts().items():
        without = len(data.records) - counts["all"]
        rows.append([name, *(str(counts[column]) for column in columns), str(without)])
    return rows


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of a table, each column as wide as its longest cell."""
    cells = [[" ".join(str(cell).split()) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
