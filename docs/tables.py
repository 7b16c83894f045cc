"""Write the tables that the code determines into the pages, between their markers, and the editors' JSON schema.

make tables
"""

import argparse
import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT)]

from irn.cli import build_parser  # noqa: E402
from irn.io.cache_format import FORMATS, ArraySpec  # noqa: E402
from irn.settings.final_networks import GROUND_TRUTH  # noqa: E402
from irn.settings.lookup import Setting, all_settings  # noqa: E402
from irn.settings.reading import read_config  # noqa: E402
from irn.settings.settings import Settings, value  # noqa: E402
from irn.settings.types import Section  # noqa: E402
from irn.settings.writing import as_text  # noqa: E402
from irn.workflow.commands_without_rule import COMMANDS  # noqa: E402
from irn.workflow.stages import ALL_STAGES, REPORT, STAGES, behind  # noqa: E402

ALL = (*STAGES, REPORT)
# Behind every edit that makes anything run again.
LAST = {"gather_scores", "report"}
# What runs again after edits of keys that no stage uses, or that decide which files there are.
FILES_ALONE = {
    "run": "`report`, which shows its name; the new folder shows the existing results",
    "gpus": "nothing",
    "seeds": "for each new seed `train_cam` →",
    "sweep": "for each combination the first stage that uses a swept key →",
    "ablation": "only `ablation`, once; nothing is trained or inferred",
    "shards": "the per-image stages, which get new files; never training",
    "dataset.train_split": "the per-image stages for splits without labels, `train_cam` →",
    "dataset.eval_split": "the per-image stages for splits without labels, `evaluate`, `show`; never training",
}
# How the kinds of caches are called in running text, where that is not their key.
CACHES = {"cam": "CAM", "ir_label": "IR label"}


def pages() -> dict[Path, str]:
    """The text that each file should have."""
    texts = {ROOT / "configs/schema.json": json.dumps(Settings.model_json_schema(), indent=1)}
    tables = {
        "docs/configuration.md": {"settings": _settings()},
        "docs/store.md": {"files": _files(), "behind": _behind()},
        "docs/formats.md": {"formats": _formats()},
        "docs/hpc.md": {"stages": _stages()},
        "docs/commands.md": {"commands": _commands()},
    }
    for name, parts in tables.items():
        text = (ROOT / name).read_text(encoding="utf-8")
        for marker, lines in parts.items():
            begin, end = f"<!-- {marker}: begin -->\n", f"<!-- {marker}: end -->"
            before, _, rest = text.partition(begin)
            assert end in rest, f"{name}: no place for {marker}"
            text = "\n".join([before + begin + lines[0], *lines[1:], end + rest.partition(end)[2]])
        texts[ROOT / name] = text
    return texts


def _settings() -> list[str]:
    """A heading and a table for each section of the settings; those outside of any come first."""
    sections: dict[str, list[Setting]] = {}
    for row in all_settings().values():
        sections.setdefault(row.key.rpartition(".")[0], []).append(row)
    demonstration = read_config()
    lines = []
    for key, rows in sections.items():
        lines += [f"### {key or 'Top level'}", "", *([_section(key).__doc__ or "", ""] if key else [])]
        lines += ["| key | not set | demonstration | meaning | runs again |", "|---|---|---|---|---|"]
        lines += [*(_setting(row, value(demonstration, row.key)) for row in rows), ""]
    return lines


def _section(key: str) -> type[Section]:
    section: type[Section] = Settings
    for name in key.split("."):
        section = section.model_fields[name].annotation
    return section


def _setting(row: Setting, in_demonstration: object) -> str:
    shown = "" if in_demonstration == row.default else f"`{as_text(in_demonstration)}`"
    return f"| `{row.key}` | `{as_text(row.default)}` | {shown} | {row.meaning} | {_runs_again(row)} |"


def _runs_again(row: Setting) -> str:
    if row.key in FILES_ALONE:
        return FILES_ALONE[row.key]
    section, _, name = row.key.rpartition(".")
    if name == "labels":
        return f"`train_{section}`, `train_{section}_gt` → where added; `evaluate` → where removed"
    stages = [name for name in ALL_STAGES if row.goes_to(name) and not name.endswith(GROUND_TRUTH)]
    first = [name for name in stages if not any(name in behind(other) for other in stages)]
    followed = {name for stage in first for name in behind(stage)} > LAST
    return _rules(first, followed)


def _rules(names: list[str], followed: bool = True) -> str:
    """Rules as the last column of a table names them; an arrow adds all behind them."""
    text = ", ".join(f"`{name}`" for name in names) or "nothing"
    return f"{text} →" if names and followed else text


def _formats() -> list[str]:
    rows = [
        f"| {CACHES.get(kind, kind)} | `{name}` | {_shape(spec)} | {spec.dtype} | {_error(spec)} | {spec.meaning} |"
        for kind, arrays in FORMATS.items()
        for name, spec in arrays.items()
    ]
    return ["| cache | array | shape | written as | error | meaning |", "|---|---|---|---|---|---|", *rows]


def _shape(spec: ArraySpec) -> str:
    return f"({', '.join(map(str, spec.dims))}{',' if len(spec.dims) == 1 else ''})"


def _error(spec: ArraySpec) -> str:
    if "f" not in spec.kinds:
        return ""
    return f"{spec.error:.2g}" if spec.error else "exact"


def _behind() -> list[str]:
    rows = [
        f"| `{stage.name}` | {', '.join(f'`{before.name}`' for before in stage.reads) or '-'} |" for stage in STAGES
    ]
    return ["| rule | reads |", "|---|---|", *rows]


def _files() -> list[str]:
    rows = [
        f"| `{stage.name}` | "
        + ("`<split>/<I>-of-<N>.h5`" if stage.per_image else ", ".join(f"`{name}`" for name in stage.makes))
        + " |"
        for stage in ALL
    ]
    return ["| stage | its files |", "|---|---|", *rows]


def _stages() -> list[str]:
    lines = ["| rule | cores | memory, MB | minutes | GPU |", "|---|---|---|---|---|"]
    for stage in ALL:
        base, each = stage.resources.memory
        memory = f"{base} + {each} per core" if each else str(base)
        gpus = ("`gpus`" if stage.shares_batches else "one") if stage.resources.gpu else ""
        lines.append(f"| `{stage.name}` | {stage.resources.cores} | {memory} | {stage.resources.minutes} | {gpus} |")
    return lines


def _commands() -> list[str]:
    (subparsers,) = (action for action in build_parser()._actions if isinstance(action, argparse._SubParsersAction))
    lines = []
    for command in COMMANDS.values():
        lines += [f"## {command.words}", "", command.help, "", "| option | values | meaning |", "|---|---|---|"]
        for action in subparsers.choices[command.words]._actions[1:]:
            flag = f"`{action.option_strings[0]}`{' (required)' if action.required else ''}"
            meaning = _escaped((action.help or "") % vars(action))
            lines.append(f"| {flag} | {_values(action)} | {meaning} |")
        lines.append("")
    return lines


def _values(action: argparse.Action) -> str:
    if action.nargs == 0:
        return ""
    words = action.choices or [action.metavar or action.dest.upper()]
    values = " or ".join(f"`{word}`" for word in words)
    return f"{values} ..." if action.nargs in ("+", "*") else values


def _escaped(text: str) -> str:
    return re.sub(r"of \d+ cores", "of the cores", text).replace("|", "\\|").replace("<", "&lt;")


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
